//! Sleeping without the interpreter, the process's timers, and the classes that Python hands in.

use crate::ffi::{self, Constructor};
use crate::future::Future;
use crate::process::errands;
use crate::worker::task_deadline;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};
use raddle_sync::{ForkCell, Moment, Wake};
use raddle_task::timer::Timers;
use std::sync::LazyLock;
use std::time::Duration;

/// What is defined in Python and needed here; set once by `raddle._internal`.
pub(crate) struct Names {
    pub(crate) new_future: Constructor,
    pub(crate) task_timeout: Py<PyType>,
    pub(crate) dependency_failed: Py<PyType>,
    pub(crate) executor_full: Py<PyType>,
    pub(crate) fork_error: Py<PyType>,
    pub(crate) broken_pool: Py<PyType>,
    pub(crate) stdlib_future: Py<PyType>,
    pub(crate) cancelled_error: Py<PyType>,
    pub(crate) timeout_error: Py<PyType>,
    pub(crate) invalid_state: Py<PyType>,
    pub(crate) broken_barrier: Py<PyType>,
    /// `describe_stack(thread_id) -> str`: where a thread stands.
    pub(crate) describe_stack: Py<PyAny>,
    /// `threads_are_starting() -> bool`: whether an exception sent to a thread could hit one that it starts.
    pub(crate) threads_are_starting: Py<PyAny>,
    /// `log_callback_error(future, exception)`.
    pub(crate) log_callback_error: Py<PyAny>,
    /// `checkpoint()`: does nothing, and so lets the interpreter raise what was sent to the thread.
    checkpoint: Py<PyAny>,
    /// The logger of `concurrent.futures`.
    pub(crate) logger: Py<PyAny>,
    /// `report_deadlock(members, presumed, lasting, returns) -> BaseException | None`: what to raise, or None to wait on.
    pub(crate) report_deadlock: Py<PyAny>,
    /// `tell_of_lost_wakeups(wanted, asleep, before) -> object | None`: see `threading::watch`.
    pub(crate) tell_of_lost_wakeups: Py<PyAny>,
    /// `current_task() -> Task | None`: the asyncio task that the calling thread runs.
    pub(crate) current_task: Py<PyAny>,
    /// `task_in_step(loop) -> Task | None`: the task that a loop runs a step of, in whichever thread. Written in C.
    pub(crate) task_in_step: Py<PyAny>,
    /// `running_loop() -> AbstractEventLoop | None`: the event loop that runs in the calling thread.
    pub(crate) running_loop: Py<PyAny>,
    /// `ring(loop, call) -> bool`: has the loop call it soon; False when the loop has been closed.
    pub(crate) ring: Py<PyAny>,
    /// Coroutine functions, see `raddle._internal.async_waits`.
    pub(crate) wait_async: Py<PyAny>,
    pub(crate) enter_async: Py<PyAny>,
    pub(crate) wait_notified: Py<PyAny>,
    pub(crate) wait_until: Py<PyAny>,
    /// Of methods that each awaited primitive asks for.
    pub(crate) get_loop: Py<PyString>,
    pub(crate) done: Py<PyString>,
    pub(crate) set_result: Py<PyString>,
    /// What is raised instead of waiting for ever when the interpreter is being finalized.
    pub(crate) finalization_error: Py<PyType>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

pub(crate) fn names(py: Python<'_>) -> &'static Names {
    NAMES.get(py).expect("raddle._internal calls bind() when it is imported")
}

/// Hands the classes that are defined in Python to the native half. Called once, by `raddle._internal`.
#[pyfunction]
#[pyo3(signature = (namespace, /))]
pub(crate) fn bind(namespace: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = namespace.py();
    let class = |name: &str| Ok::<_, PyErr>(namespace.getattr(name)?.cast_into::<PyType>()?.unbind());
    let names = Names {
        new_future: Constructor::new(class("Future")?.bind(py))?,
        task_timeout: class("TaskTimeout")?,
        dependency_failed: class("DependencyFailed")?,
        executor_full: class("ExecutorFull")?,
        fork_error: class("ForkError")?,
        broken_pool: class("BrokenThreadPool")?,
        stdlib_future: class("StdlibFuture")?,
        cancelled_error: class("CancelledError")?,
        timeout_error: class("TimeoutError")?,
        invalid_state: class("InvalidStateError")?,
        broken_barrier: class("BrokenBarrierError")?,
        describe_stack: namespace.getattr("describe_stack")?.unbind(),
        threads_are_starting: namespace.getattr("threads_are_starting")?.unbind(),
        log_callback_error: namespace.getattr("log_callback_error")?.unbind(),
        checkpoint: namespace.getattr("checkpoint")?.unbind(),
        logger: namespace.getattr("LOGGER")?.unbind(),
        report_deadlock: namespace.getattr("report_deadlock")?.unbind(),
        tell_of_lost_wakeups: namespace.getattr("tell_of_lost_wakeups")?.unbind(),
        current_task: namespace.getattr("current_task")?.unbind(),
        task_in_step: namespace.getattr("task_in_step")?.unbind(),
        running_loop: namespace.getattr("running_loop")?.unbind(),
        ring: namespace.getattr("ring")?.unbind(),
        wait_async: namespace.getattr("wait_async")?.unbind(),
        enter_async: namespace.getattr("enter_async")?.unbind(),
        wait_notified: namespace.getattr("wait_notified")?.unbind(),
        wait_until: namespace.getattr("wait_until")?.unbind(),
        get_loop: PyString::intern(py, "get_loop").unbind(),
        done: PyString::intern(py, "done").unbind(),
        set_result: PyString::intern(py, "set_result").unbind(),
        finalization_error: class("FinalizationError")?,
    };
    // A second import (a reload) keeps the first classes: futures that exist are instances of them.
    let _ = NAMES.set(py, names);
    Ok(())
}

/// Tells of an exception that can't be raised: calls `sys.unraisablehook`, which needs an argument that only the interpreter
/// makes.
#[pyfunction]
#[pyo3(signature = (error, place, /))]
pub(crate) fn tell_unraisable(error: Bound<'_, PyAny>, place: &Bound<'_, PyAny>) {
    let py = error.py();
    PyErr::from_value(error).write_unraisable(py, Some(place));
}

/// An exception of a class that is known by name only.
pub(crate) fn error(py: Python<'_>, class: &Py<PyType>, message: impl Into<String>) -> PyErr {
    PyErr::from_type(class.bind(py).clone(), (message.into(),))
}

/// How long the main thread, which handles signals, sleeps before it looks for them of its own accord: a signal that arrives
/// between the last look and the sleep does not end the sleep. That happens to a sleep that has just begun, so the naps are
/// short first and grow.
const FIRST_NAP: Duration = Duration::from_millis(2);
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// How long other threads sleep before they look whether anybody is left who could wake them: so long that no wait in a
/// program that runs well gets there often.
const FIRST_ROUND: Duration = Duration::from_millis(500);
const LONGEST_ROUND: Duration = Duration::from_secs(64);

/// What looked as if nobody could is looked at again after this.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// How often a worker whose task's deadline has passed looks whether it has been interrupted.
const SHORT_NAP: Duration = Duration::from_millis(5);
const SHORT_NAPS: u32 = 100;

/// Why a nap has ended.
pub(crate) enum Nap {
    Woken,
    /// The deadline passed.
    TimedOut,
    /// It is time to [`look`].
    Unrested,
}

/// The naps of one sleep on behalf of Python code, which come back to it again and again: for signals, for exceptions sent to
/// the thread, and for the deadline of a worker's task.
pub(crate) struct Naps {
    look_after: Option<Duration>,
    /// How long the last one was to be.
    last: Duration,
    is_main: bool,
    /// Threads other than the main one come back too.
    rounds: bool,
    hurried: u32,
}

impl Naps {
    /// Those of a thread that has only signals and exceptions to look for.
    fn new() -> Self {
        let is_main = raddle_sys::thread::is_main();
        let look_after = is_main.then_some(FIRST_NAP);
        Self { look_after, last: Duration::ZERO, is_main, rounds: false, hurried: 0 }
    }

    /// Those of a wait that is noted in the graph.
    pub(crate) fn of_wait(timed: bool) -> Self {
        let mut naps = Self::new();
        naps.rounds = !timed;
        if naps.rounds {
            naps.look_after.get_or_insert(FIRST_ROUND);
        }
        naps
    }

    /// Those of a wait that is to be noted if it is not over after the first, which is short.
    pub(crate) fn of_short_wait(timed: bool) -> Self {
        Self { look_after: Some(FIRST_NAP), ..Self::of_wait(timed) }
    }

    /// Whether the last one was so long that something may be wrong.
    pub(crate) fn are_long(&self) -> bool {
        self.last >= FIRST_ROUND
    }

    /// The next one is to be short.
    pub(crate) fn look_again(&mut self) {
        self.look_after = Some(SECOND_LOOK);
    }

    fn grow(&mut self) {
        self.last = self.look_after.unwrap_or_default();
        self.look_after = match self.look_after {
            Some(span) if self.is_main => Some((span * 4).min(LONGEST_NAP)),
            Some(span) if self.rounds => Some((span * 4).clamp(FIRST_ROUND, LONGEST_ROUND)),
            _ => None,
        };
    }

    /// Sleeps without the interpreter. `sleep` gets a deadline and returns why it woke.
    pub(crate) fn sleep(
        &mut self,
        py: Python<'_>,
        deadline: Option<Moment>,
        sleep: impl Fn(Option<Moment>) -> Wake + Sync,
    ) -> Nap {
        let now = Moment::now();
        let nap = match task_deadline().get() {
            Some(ahead) if ahead > now => Some(ahead),
            Some(_) if self.hurried < SHORT_NAPS => {
                self.hurried += 1;
                Some(now + SHORT_NAP)
            }
            // It has been raised before, and the task goes on all the same.
            Some(_) => {
                task_deadline().set(None);
                None
            }
            None => self.look_after.map(|span| now + span),
        };
        let until = [deadline, nap].into_iter().flatten().min();
        raddle_sync::assert_unlocked();
        let _aside = errands::step_aside();
        match py.detach(|| sleep(until)) {
            Wake::Woken => Nap::Woken,
            Wake::TimedOut if deadline.is_some_and(|deadline| deadline <= Moment::now()) => Nap::TimedOut,
            _ => {
                self.grow();
                Nap::Unrested
            }
        }
    }
}

/// Lets Python handle the signals and the exceptions sent to the thread.
pub(crate) fn look(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    checkpoint(py).inspect_err(|_| task_deadline().set(None))
}

/// Sleeps without the interpreter, and lets Python handle the signals and the exceptions sent to the thread that arrive. A
/// worker's slot is free meanwhile, and it wakes at the deadline of its task.
///
/// `sleep` gets a deadline and returns why it woke. Returns true when it was woken, false when `deadline` passed.
pub(crate) fn sleep(
    py: Python<'_>,
    deadline: Option<Moment>,
    sleep: impl Fn(Option<Moment>) -> Wake + Sync,
) -> PyResult<bool> {
    let _released = raddle_pool::release();
    let mut naps = Naps::new();
    loop {
        match naps.sleep(py, deadline, &sleep) {
            Nap::Woken => return Ok(true),
            Nap::TimedOut => return Ok(false),
            Nap::Unrested => look(py)?,
        }
    }
}

/// Does what the interpreter does between two bytecodes: hands it over to a thread that has asked for it, raises what was sent
/// to this one.
pub(crate) fn checkpoint(py: Python<'_>) -> PyResult<()> {
    ffi::invoke(names(py).checkpoint.bind(py), ()).map(drop)
}

/// A timeout in seconds, as Python gives it, as a deadline. Negative ones have passed already.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Moment>> {
    let Some(seconds) = timeout else { return Ok(None) };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("a timeout must be a number of seconds, not nan"));
    }
    // More than the clock can count is no deadline.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).ok().map(|span| Moment::now() + span))
}

static TIMERS: LazyLock<ForkCell<Timers>> = LazyLock::new(|| ForkCell::new(Timers::default()));

pub(crate) fn prepare() {
    LazyLock::force(&TIMERS);
}

/// The process's timers.
pub(crate) fn timers() -> &'static Timers {
    TIMERS.get(Timers::default)
}

/// Whether `object` is one of Raddle's futures.
pub(crate) fn as_future<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Future>> {
    object.cast::<Future>().ok()
}
