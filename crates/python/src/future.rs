//! The one `Future`.
//!
//! The Python class `raddle.futures.Future` inherits from this one first and from `concurrent.futures.Future` second, so
//! that it is an instance of both while its state lives here. The stdlib's private fields (`_condition`, `_waiters`,
//! `_state`, …) are views: nothing of them exists until somebody reaches for them, and once `_condition` does, whoever
//! ends the future takes it and tells `_waiters`, as the stdlib's code expects.
//!
//! A future that a task is waiting behind can't be part of a cycle of references before it has a callback, a view, an
//! attribute or an outcome that can. Until then the garbage collector does not look at it: a hundred thousand queued
//! futures would otherwise be walked again and again while they are submitted. (An attribute set through `vars(future)`
//! escapes its notice.)
//!
//! The file is long because a class has one `#[pymethods]` block.

use crate::ffi::{self, CallResult};
use crate::interpreter::{deadline, error, names};
use crate::observer::{Observer, call_back};
use crate::outcome;
use crate::process::lending;
use crate::sent::{Home, Look, Outcome, Sent};
use crate::views::{Viewed, Views};
use crate::worker::Worker;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Moment, Owner};
use raddle_sys::fork;
use raddle_task::completion::{Cancel, Completion, State};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The native half of `raddle.futures.Future`: state, outcome, observers. Safe across threads.
#[pyclass(subclass, frozen, name = "Future", module = "raddle._raddle")]
#[derive(Default)]
pub(crate) struct Future {
    core: Completion<Outcome, Observer>,
    /// The process that will run it, as a fork epoch; 0 for a future that was made by hand.
    epoch: AtomicU32,
    /// A name, or the code object or callable that has one.
    label: ffi::OnceRef,
    /// Monotonic, in nanoseconds; 0 before the start.
    start: AtomicU64,
    /// In nanoseconds; `u64::MAX` before the end.
    duration: AtomicU64,
    worker: ffi::OnceRef,
    /// The thread that runs the task, as an [`Owner`]'s number; 0 when nobody does, or somebody else could end it.
    runner: AtomicU64,
    /// Where the task runs, if that is not a thread of this process.
    home: OnceLock<Home>,
    pub(crate) views: Viewed,
    /// Nobody waits for it any more, or somebody has wanted it ended: it is not tried again.
    unwanted: AtomicBool,
    /// Who waits for it in a worker process gives the worker's place away.
    lends_place: AtomicBool,
    /// The garbage collector does not see it yet.
    untracked: AtomicBool,
}

/// When the monotonic clock started, since 1970: read once, so that a task's start does not change from look to look.
static CLOCK_START: LazyLock<Duration> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_nanos(Moment::now().as_nanos()))
});

pub(crate) fn prepare() {
    LazyLock::force(&CLOCK_START);
}

/// Whether it is done, whether it was cancelled, its result, its exception.
type Snapshot = (bool, bool, Option<Py<PyAny>>, Option<Py<PyBaseException>>);

/// Those who are to be told of the end of a future.
pub(crate) struct Told(Vec<Observer>);

impl Told {
    /// Tells those whom it can be told without the interpreter; the others come back.
    fn tell_natively(self, failed: bool) -> Self {
        Self(self.0.into_iter().filter_map(|observer| observer.tell_natively(failed)).collect())
    }
}

impl Future {
    /// A future for a task of this process.
    pub(crate) fn for_task<'py>(
        py: Python<'py>,
        label: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let object = names(py).new_future.make(py)?.cast_into::<Self>()?;
        let future = object.get();
        future.epoch.store(fork::epoch(), Ordering::Relaxed);
        future.duration.store(u64::MAX, Ordering::Relaxed);
        if let Some(label) = label {
            future.label.set(label.clone().unbind());
        }
        future.untracked.store(true, Ordering::Relaxed);
        ffi::untrack(object.as_any());
        Ok(object)
    }

    /// From now on it may be part of a cycle of references.
    fn track(slf: &Bound<'_, Self>) {
        if slf.get().untracked.swap(false, Ordering::AcqRel) {
            ffi::track(slf.as_any());
        }
    }

    /// A worker is about to run the task; false when it was cancelled.
    pub(crate) fn begin(slf: &Bound<'_, Self>, worker: &Worker, now: Moment) -> bool {
        let this = slf.get();
        if this.core.start() {
            this.start.store(now.as_nanos(), Ordering::Relaxed);
            this.worker.set(worker.name.clone_ref(slf.py()));
            return true;
        }
        Self::acknowledge(slf);
        false
    }

    /// The calling worker, which runs the task, is the one that will end it.
    pub(crate) fn run_by(&self, worker: &Worker) {
        self.runner.store(worker.owner.get(), Ordering::Relaxed);
    }

    /// The thread that must act before the task can end, as far as that is known.
    pub(crate) fn runner(&self) -> Option<Owner> {
        // The state first: a worker takes its number back before the task goes anywhere else.
        let running = self.core.state() == State::Running && !self.is_orphan();
        running.then(|| Owner::in_word(self.runner.load(Ordering::Relaxed))).flatten()
    }

    /// The task has run; how it ended is told by [`Future::settle`].
    pub(crate) fn end(&self, now: Moment) {
        self.runner.store(0, Ordering::Relaxed);
        let start = self.start.load(Ordering::Relaxed);
        self.duration.store(now.as_nanos().saturating_sub(start), Ordering::Relaxed);
    }

    /// Ends the future and tells everybody; the outcome comes back if it has ended before. Returns whether there was
    /// anybody to tell, which may have taken time.
    pub(crate) fn settle(slf: &Bound<'_, Self>, outcome: CallResult) -> Result<bool, CallResult> {
        let failed = outcome.is_err();
        let Some(told) = Self::end_with(slf, outcome)? else { return Ok(false) };
        Self::tell(slf, told, failed);
        Ok(true)
    }

    /// The same, but whom it returns is still to be told; those are told at once that need no interpreter for it.
    pub(crate) fn conclude(slf: &Bound<'_, Self>, outcome: CallResult) -> Result<Option<Told>, CallResult> {
        let failed = outcome.is_err();
        let told = Self::end_with(slf, outcome)?.map(|told| told.tell_natively(failed));
        Ok(told.filter(|told| !slf.get().views.settle() || !told.0.is_empty()))
    }

    fn end_with(slf: &Bound<'_, Self>, outcome: CallResult) -> Result<Option<Told>, CallResult> {
        if outcome.as_ref().map_or(true, |value| ffi::may_be_in_a_cycle(value.bind(slf.py()))) {
            Self::track(slf);
        }
        let observers = slf.get().core.complete(Outcome::Here(outcome)).map_err(|outcome| match outcome {
            Outcome::Here(result) => result,
            Outcome::Sent(_) => unreachable!("it comes back as it was handed over"),
        })?;
        let told = !slf.get().views.settle() || !observers.is_empty();
        slf.get().stir();
        Ok(told.then_some(Told(observers)))
    }

    /// Tells everybody how it has ended.
    pub(crate) fn tell(slf: &Bound<'_, Self>, told: Told, failed: bool) {
        slf.get().views.tell(slf, if failed { "add_exception" } else { "add_result" });
        for observer in told.0 {
            observer.tell(slf);
        }
    }

    /// Ends the future with an outcome from elsewhere. Needs no interpreter, but whom it returns is to be told with one.
    pub(crate) fn arrive(&self, sent: Arc<dyn Sent>, begun: Moment, ended: Moment) -> Option<Told> {
        self.ran(begun, ended);
        let failed = sent.failed();
        let told = Told(self.core.complete(Outcome::Sent(sent)).ok()?).tell_natively(failed);
        (!self.views.settle() || !told.0.is_empty()).then_some(told)
    }

    /// An attempt at the task has been made elsewhere.
    fn ran(&self, begun: Moment, ended: Moment) {
        self.start.store(begun.as_nanos(), Ordering::Relaxed);
        self.duration.store(ended.as_nanos().saturating_sub(begun.as_nanos()), Ordering::Relaxed);
    }

    /// What an attempt that was made elsewhere has come to; how the future ends is told by [`Future::settle`].
    pub(crate) fn look_into(
        slf: &Bound<'_, Self>,
        sent: &dyn Sent,
        begun: Moment,
        ended: Moment,
    ) -> CallResult {
        slf.get().ran(begun, ended);
        slf.get().worker.set(PyString::new(slf.py(), sent.worker()).into_any().unbind());
        sent.open(slf.py(), Some(slf)).unwrap_or_else(|error| Err(error.into_value(slf.py())))
    }

    /// It has been handed to a worker elsewhere; false when it was cancelled. Needs no interpreter.
    pub(crate) fn hand_out(&self) -> bool {
        self.core.start()
    }

    /// The task runs elsewhere. Called once, by whoever has made the future.
    pub(crate) fn set_home(&self, home: Home) {
        let _ = self.home.set(home);
    }

    /// Whoever waits for what arrives from elsewhere looks again.
    fn stir(&self) {
        if let Some(home) = self.home.get() {
            home.place.stir();
        }
    }

    /// Makes objects of an outcome that has not been opened yet.
    fn open(slf: &Bound<'_, Self>, sent: &Arc<dyn Sent>) -> Look {
        let py = slf.py();
        let this = slf.get();
        this.worker.set(PyString::new(py, sent.worker()).into_any().unbind());
        let opened = match sent.open(py, Some(slf)) {
            Ok(opened) => opened,
            Err(interrupt) => return Look::Interrupted(interrupt),
        };
        if opened.as_ref().map_or(true, |value| ffi::may_be_in_a_cycle(value.bind(py))) {
            Self::track(slf);
        }
        let kept = match &opened {
            Ok(value) => Ok(value.clone_ref(py)),
            Err(exception) => Err(exception.clone_ref(py)),
        };
        let mut place = Some(Outcome::Here(kept));
        // Another thread may have been quicker; then what it found holds for this one too.
        let stale = this.core.revise(|outcome| match outcome {
            Outcome::Sent(_) => place.take().map(|kept| std::mem::replace(outcome, kept)),
            Outcome::Here(_) => None,
        });
        if stale.flatten().is_some() { opened.into() } else { Self::look(slf) }
    }

    /// The executor meets a cancelled future: those learn of it who wait for futures of executors.
    pub(crate) fn acknowledge(slf: &Bound<'_, Self>) {
        if let Some(observers) = slf.get().core.acknowledge() {
            slf.get().views.tell(slf, "add_cancelled");
            for observer in observers {
                observer.tell(slf);
            }
        }
    }

    /// Cancels it if it has not begun.
    pub(crate) fn try_cancel(slf: &Bound<'_, Self>) -> bool {
        let this = slf.get();
        if this.is_orphan() {
            return false;
        }
        let recalled = || this.home.get().is_some_and(|home| home.place.recall(home.number));
        let cancel = loop {
            match this.core.cancel(Observer::is_patient) {
                // Handed out and not begun: nobody else brings it back now.
                Cancel::TooLate if this.core.state() == State::Running && recalled() => {
                    let _ = this.core.requeue();
                }
                // It has been put back into the queue meanwhile, where it may be handed out again.
                Cancel::TooLate if this.core.state() == State::Pending => {}
                other => break other,
            }
        };
        match cancel {
            Cancel::Now(observers) => {
                this.stir();
                Views::notify(slf, |_| {});
                for observer in observers {
                    observer.tell(slf);
                }
                // Raddle's own executors need not come across the task to know.
                if this.epoch.load(Ordering::Relaxed) != 0 {
                    Self::acknowledge(slf);
                }
                true
            }
            Cancel::Before => true,
            Cancel::TooLate => false,
        }
    }

    /// Nobody wants it any more: it is cancelled, or killed where that is possible.
    fn abandon(slf: &Bound<'_, Self>) -> bool {
        slf.get().unwanted.store(true, Ordering::Relaxed);
        // Whoever is about to try the task again sees this, or else it is seen here that the task has not begun.
        fence(Ordering::SeqCst);
        if Self::try_cancel(slf) {
            return true;
        }
        let home = slf.get().home.get().filter(|_| !slf.get().is_done());
        home.is_some_and(|home| home.place.terminate(home.number))
    }

    /// Whether it goes back to the queue, for another attempt or because it has not begun.
    pub(crate) fn requeue(&self) -> bool {
        self.core.requeue()
    }

    /// Whether a worker process that waits for it gives its place away.
    pub(crate) fn lends_place(&self) -> bool {
        self.lends_place.load(Ordering::Relaxed)
    }

    /// Whether nobody wants a task to be tried again that has just gone back to the queue.
    pub(crate) fn is_unwanted(&self) -> bool {
        fence(Ordering::SeqCst);
        self.unwanted.load(Ordering::Relaxed)
    }

    pub(crate) fn observe(slf: &Bound<'_, Self>, observer: Observer) {
        let this = slf.get();
        let patient = observer.is_patient();
        let late = if this.is_orphan() { Err(observer) } else { this.core.observe(observer, patient) };
        if let Err(observer) = late {
            observer.tell(slf);
        }
    }

    pub(crate) fn forget(&self, uninterested: impl FnMut(&Observer) -> bool) {
        drop(self.core.forget(uninterested));
    }

    /// Inherited through fork before it was done: the thread that would end it stayed in the parent.
    fn is_orphan(&self) -> bool {
        let epoch = self.epoch.load(Ordering::Relaxed);
        epoch != 0 && epoch != fork::epoch() && !self.core.state().is_done()
    }

    /// The error of a task that has run longer than it may; `how` says more.
    pub(crate) fn timed_out(&self, py: Python<'_>, timeout: Option<Duration>, how: &str) -> PyErr {
        let (name, seconds) = (self.describe(py), timeout.unwrap_or_default().as_secs_f64());
        let message = format!("the task {name} ran longer than its timeout of {seconds} s{how}");
        error(py, &names(py).task_timeout, message)
    }

    fn orphan_error(&self, py: Python<'_>) -> PyErr {
        let name = self.describe(py);
        let message = format!(
            "the task {name} belongs to the process that forked this one, and its outcome arrives there; \
             submit it again in this process"
        );
        error(py, &names(py).fork_error, message)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.core.state().is_done() || self.is_orphan()
    }

    /// Done, and no executor has to come across it any more: what `wait` and `as_completed` wait for.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_done() && self.core.state() != State::Cancelled
    }

    /// Done, with an exception; a cancelled future has not failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.is_orphan() || self.core.with_outcome(Outcome::failed).unwrap_or(false)
    }

    /// Why what depends on it can't run: its exception, or a `CancelledError`.
    pub(crate) fn failure(slf: &Bound<'_, Self>) -> Option<Py<PyBaseException>> {
        let py = slf.py();
        if slf.get().core.state() == State::Finished && !slf.get().has_failed() {
            // A result that nobody has asked for stays as it was sent.
            return None;
        }
        match Self::look(slf) {
            Look::Raised(exception) => Some(exception),
            Look::Interrupted(error) => Some(error.into_value(py)),
            Look::Cancelled => {
                Some(error(py, &names(py).cancelled_error, "the task was cancelled").into_value(py))
            }
            Look::Open | Look::Returned(_) => None,
        }
    }

    fn look(slf: &Bound<'_, Self>) -> Look {
        let py = slf.py();
        let this = slf.get();
        if this.is_orphan() {
            return Look::Raised(this.orphan_error(py).into_value(py));
        }
        match this.core.state() {
            State::Pending | State::Running => Look::Open,
            State::Cancelled | State::CancelledAcknowledged => Look::Cancelled,
            State::Finished => {
                let found = this.core.with_outcome(|outcome| match outcome {
                    Outcome::Here(Ok(value)) => Ok(Look::Returned(value.clone_ref(py))),
                    Outcome::Here(Err(exception)) => Ok(Look::Raised(exception.clone_ref(py))),
                    Outcome::Sent(sent) => Err(Arc::clone(sent)),
                });
                match found {
                    Some(Ok(look)) => look,
                    Some(Err(sent)) => Self::open(slf, &sent),
                    None => Look::Returned(py.None()),
                }
            }
        }
    }

    /// Waits until it is done, and looks.
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Look> {
        let py = slf.py();
        let this = slf.get();
        match Self::look(slf) {
            Look::Open => {}
            found => return Ok(found),
        }
        let deadline = deadline(timeout)?;
        if let Some(sleeper) = this.core.sleeper() {
            let home = this.home.get();
            let woken = outcome::sleep(slf, deadline, |until| {
                let driven = home.and_then(|home| home.place.drive(&|| this.core.state().is_done(), until));
                driven.unwrap_or_else(|| sleeper.sleep(until))
            });
            if let Some(home) = home {
                home.place.sweep(py);
            }
            if sleeper.leave() {
                Self::abandon(slf);
            }
            if !woken? {
                return Err(error(py, &names(py).timeout_error, ""));
            }
        }
        Ok(Self::look(slf))
    }

    fn views(&self, py: Python<'_>) -> PyResult<&Views> {
        let views = self.views.make(py)?;
        // Whoever cancels the future from now on passes this lock first and so sees the views; whoever was quicker has set
        // the state, which the caller of this function looks at next.
        self.core.with_outcome(|_| ());
        Ok(views)
    }

    fn state_name(&self) -> &'static str {
        if self.is_orphan() {
            return "FINISHED";
        }
        match self.core.state() {
            State::Pending => "PENDING",
            State::Running => "RUNNING",
            State::Cancelled => "CANCELLED",
            State::CancelledAcknowledged => "CANCELLED_AND_NOTIFIED",
            State::Finished => "FINISHED",
        }
    }

    fn describe(&self, py: Python<'_>) -> String {
        self.name(py).ok().flatten().map_or_else(|| "?".into(), |name| format!("{:?}", name.to_string()))
    }

    fn invalid_state(slf: &Bound<'_, Self>) -> PyErr {
        let py = slf.py();
        let shown = slf.repr().map(|text| text.to_string()).unwrap_or_default();
        error(py, &names(py).invalid_state, format!("{}: {shown}", slf.get().state_name()))
    }
}

#[pymethods]
impl Future {
    /// Arguments are for the `__init__` of a subclass.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Cancels the task if it has not begun. Returns whether it is cancelled.
    fn cancel(slf: &Bound<'_, Self>) -> bool {
        Self::try_cancel(slf)
    }

    /// Cancels the task if it has not begun, or kills the worker process that runs it. Returns whether it does.
    ///
    /// Another worker takes the place of one that is killed, and the task fails with `WorkerDied`, whatever its
    /// `retries`. A task that a thread runs can't be ended.
    fn terminate(slf: &Bound<'_, Self>) -> bool {
        Self::abandon(slf)
    }

    /// Whether the task was cancelled.
    fn cancelled(&self) -> bool {
        self.core.state().is_cancelled()
    }

    /// Whether a worker runs the task now.
    fn running(&self) -> bool {
        let handed = self.core.state() == State::Running && !self.is_orphan();
        handed && self.home.get().is_none_or(|home| home.place.has_begun(home.number))
    }

    /// Whether there is an outcome, or never will be.
    fn done(&self) -> bool {
        self.is_done()
    }

    /// The task's result. Waits up to `timeout` seconds for it (None: for ever), a worker's slot being free meanwhile.
    ///
    /// Raises what the task raised, `CancelledError`, `TimeoutError` after `timeout`, and `ForkError` in a forked child.
    #[pyo3(signature = (timeout = None))]
    fn result(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match Self::wait(slf, timeout)? {
            Look::Returned(value) => Ok(value),
            Look::Raised(exception) => Err(PyErr::from_value(exception.into_bound(py).into_any())),
            Look::Interrupted(error) => Err(error),
            Look::Cancelled => Err(PyErr::from_type(names(py).cancelled_error.bind(py).clone(), ())),
            Look::Open => Err(Self::invalid_state(slf)),
        }
    }

    /// The exception that the task raised, or None. Waits like `result`.
    #[pyo3(signature = (timeout = None))]
    fn exception(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<Py<PyBaseException>>> {
        let py = slf.py();
        match Self::wait(slf, timeout)? {
            Look::Returned(_) => Ok(None),
            Look::Raised(exception) => Ok(Some(exception)),
            Look::Interrupted(error) => Err(error),
            Look::Cancelled => Err(PyErr::from_type(names(py).cancelled_error.bind(py).clone(), ())),
            Look::Open => Err(Self::invalid_state(slf)),
        }
    }

    /// Calls `fn(future)` when the future is done: in the thread that ends it, or at once when it is done already.
    ///
    /// What `fn` raises is logged to the logger `concurrent.futures` and goes no further.
    #[pyo3(signature = (r#fn))]
    fn add_done_callback(slf: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) {
        let this = slf.get();
        Self::track(slf);
        let late = if this.is_orphan() {
            Some(r#fn)
        } else {
            match this.core.observe(Observer::Callback(r#fn.unbind()), false) {
                Err(Observer::Callback(callback)) => Some(callback.into_bound(slf.py())),
                _ => None,
            }
        };
        if let Some(callback) = late {
            call_back(&callback, slf);
        }
    }

    /// Takes back a callback that has not been called.
    fn _remove_done_callback(&self, callback: &Bound<'_, PyAny>) {
        self.forget(|observer| matches!(observer, Observer::Callback(other) if other.is(callback)));
    }

    /// A coroutine begins to await the future.
    fn _add_awaiter(&self, py: Python<'_>) {
        self.core.add_awaiter();
        if self.lends_place() {
            lending::begin(py);
        }
    }

    /// It no longer does; when it was `cancelled` and nobody else waits, the task is cancelled.
    fn _remove_awaiter(slf: &Bound<'_, Self>, cancelled: bool) {
        if slf.get().lends_place() {
            lending::end(slf.py());
        }
        if slf.get().core.remove_awaiter(cancelled) {
            Self::abandon(slf);
        }
    }

    /// From now on, who waits for it in a worker process gives the worker's place away: what it waits for may need that.
    fn _lend_place(&self) {
        self.lends_place.store(true, Ordering::Relaxed);
    }

    /// For executors: marks the future as running. Returns False when it was cancelled.
    ///
    /// Raises `RuntimeError` when it runs or is done already.
    fn set_running_or_notify_cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        if this.core.start() {
            return Ok(true);
        }
        if this.core.state() == State::Cancelled {
            Self::acknowledge(slf);
            return Ok(false);
        }
        let arguments = ("Future %s in unexpected state: %s", slf.as_ptr() as usize, this.state_name());
        names(py).logger.bind(py).call_method1("critical", arguments)?;
        Err(PyRuntimeError::new_err("Future in unexpected state"))
    }

    /// For executors: ends the future with a result. Raises `InvalidStateError` when it is done already.
    fn set_result(slf: &Bound<'_, Self>, result: Py<PyAny>) -> PyResult<()> {
        Self::settle(slf, Ok(result)).map(drop).map_err(|_| Self::invalid_state(slf))
    }

    /// For executors: ends the future with an exception. Raises `InvalidStateError` when it is done already.
    fn set_exception(slf: &Bound<'_, Self>, exception: Bound<'_, PyAny>) -> PyResult<()> {
        let exception = match exception.cast_into::<PyBaseException>() {
            Ok(exception) => exception,
            Err(other) => {
                let other = other.into_inner();
                // A class is accepted for an instance, as `raise` does.
                let made = other.is_callable().then(|| other.call0()).transpose()?.unwrap_or(other);
                made.cast_into::<PyBaseException>().map_err(|other| {
                    let kind = other.into_inner().get_type();
                    PyTypeError::new_err(format!("set_exception() takes an exception, not {kind}"))
                })?
            }
        };
        Self::settle(slf, Err(exception.unbind())).map(drop).map_err(|_| Self::invalid_state(slf))
    }

    /// The task's name: the one given, or that of its callable; None for a future made by hand.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        let Some(label) = self.label.get(py) else { return Ok(None) };
        if let Ok(name) = label.cast::<PyString>() {
            return Ok(Some(name.clone()));
        }
        let name = match label.getattr_opt("co_qualname")? {
            Some(name) => name,
            None => label.getattr("co_name")?,
        };
        Ok(Some(name.cast_into()?))
    }

    /// When the task (its last attempt) started, in seconds since 1970 as `time.time()` counts; None before.
    #[getter]
    fn start(&self) -> Option<f64> {
        let start = self.start.load(Ordering::Relaxed);
        (start != 0).then(|| (*CLOCK_START + Duration::from_nanos(start)).as_secs_f64())
    }

    /// How long the task (its last attempt) ran, in seconds; None before its end.
    #[getter]
    fn duration(&self) -> Option<f64> {
        let ended = self.start.load(Ordering::Relaxed) != 0 && self.core.state() == State::Finished;
        let nanos = self.duration.load(Ordering::Relaxed);
        (ended && nanos != u64::MAX).then(|| Duration::from_nanos(nanos).as_secs_f64())
    }

    /// The name of the worker thread that ran the task first; None before.
    #[getter]
    fn worker(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.worker.get(py).map(Bound::unbind)
    }

    /// The stdlib's condition; from now on whoever ends the future takes it.
    #[getter]
    fn _condition(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::track(slf);
        Ok(slf.get().views(slf.py())?.condition.clone_ref(slf.py()))
    }

    /// The stdlib's list of waiters.
    #[getter]
    fn _waiters(slf: &Bound<'_, Self>) -> PyResult<Py<PyList>> {
        Self::track(slf);
        Ok(slf.get().views(slf.py())?.waiters.clone_ref(slf.py()))
    }

    #[getter]
    fn _state(&self) -> &'static str {
        match self.state_name() {
            name if self.is_orphan() || !self.views.hides_end() => name,
            "FINISHED" => "RUNNING",
            "CANCELLED_AND_NOTIFIED" => "CANCELLED",
            name => name,
        }
    }

    #[setter(_state)]
    fn force_state(&self, state: &str) -> PyResult<()> {
        let state = match state {
            "PENDING" => State::Pending,
            "RUNNING" => State::Running,
            "CANCELLED" => State::Cancelled,
            "CANCELLED_AND_NOTIFIED" => State::CancelledAcknowledged,
            "FINISHED" => State::Finished,
            other => return Err(PyValueError::new_err(format!("no such state of a future: {other:?}"))),
        };
        drop(self.core.force(Some(state), None));
        self.views.force(matches!(state, State::CancelledAcknowledged | State::Finished));
        Ok(())
    }

    #[getter]
    fn _result(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        match Self::look(slf) {
            Look::Returned(value) => Ok(Some(value)),
            Look::Interrupted(error) => Err(error),
            Look::Open | Look::Cancelled | Look::Raised(_) => Ok(None),
        }
    }

    #[setter(_result)]
    fn force_result(&self, result: Option<Py<PyAny>>) {
        if let Some(result) = result {
            drop(self.core.force(None, Some(Outcome::Here(Ok(result)))));
        }
    }

    #[getter]
    fn _exception(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyBaseException>>> {
        match Self::look(slf) {
            Look::Raised(exception) => Ok(Some(exception)),
            Look::Interrupted(error) => Err(error),
            Look::Open | Look::Cancelled | Look::Returned(_) => Ok(None),
        }
    }

    #[setter(_exception)]
    fn force_exception(&self, exception: Option<Py<PyBaseException>>) {
        if let Some(exception) = exception {
            drop(self.core.force(None, Some(Outcome::Here(Err(exception)))));
        }
    }

    /// `(done, cancelled, result, exception)` in one look, for `CPython` 3.15's asyncio.
    fn _get_snapshot(slf: &Bound<'_, Self>) -> PyResult<Snapshot> {
        match Self::look(slf) {
            Look::Open => Ok((false, false, None, None)),
            Look::Cancelled => Ok((true, true, None, None)),
            Look::Returned(value) => Ok((true, false, Some(value), None)),
            Look::Raised(exception) => Ok((true, false, None, Some(exception))),
            Look::Interrupted(error) => Err(error),
        }
    }

    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::track(slf);
        ffi::set_attribute(slf.as_any(), name, Some(value))
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<()> {
        ffi::set_attribute(slf.as_any(), name, None)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let this = slf.get();
        let class = slf.get_type().name()?;
        let address = slf.as_ptr() as usize;
        let state = match this.state_name() {
            "CANCELLED_AND_NOTIFIED" => "cancelled".to_owned(),
            other => other.to_lowercase(),
        };
        let ending = match Self::look(slf) {
            Look::Returned(value) => format!(" returned {}", value.bind(py).get_type().name()?),
            Look::Raised(exception) => format!(" raised {}", exception.bind(py).get_type().name()?),
            Look::Open | Look::Cancelled | Look::Interrupted(_) => String::new(),
        };
        Ok(format!("<{class} at {address:#x} state={state}{ending}>"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut visited = Ok(());
        self.core.try_inspect(|outcome, observers| {
            visited = (|| {
                match outcome {
                    Some(Outcome::Here(Ok(value))) => visit.call(value)?,
                    Some(Outcome::Here(Err(exception))) => visit.call(exception)?,
                    Some(Outcome::Sent(_)) | None => {}
                }
                observers.iter().try_for_each(|observer| observer.traverse(visit))
            })();
        });
        visited?;
        if let Some(views) = self.views.get() {
            visit.call(&views.condition)?;
            visit.call(&views.waiters)?;
        }
        self.label.peek().map_or(Ok(()), |label| visit.call(label))
    }

    fn __clear__(&self) {
        drop(self.core.clear());
    }
}
