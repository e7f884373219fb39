//! One worker's own: its name, its clock, and the deadline of the task that it runs.
//!
//! A worker has at most one running task with a deadline. The timer thread looks at the worker when the deadline comes,
//! not at the task: a task that ends in time costs two short locks and no timer.
//!
//! ```text
//!  worker: arm ─▶ run ─▶ disarm ──▶ still armed: the outcome counts
//!                          └──────▶ expired: it does not; wait out the interruption, withdraw the exception
//!  timer:  due? ─▶ take the task, mark interrupting ─▶ attach, raise in the thread ─▶ settle as TaskTimeout ─▶ unmark
//! ```

use crate::ffi;
use crate::interpreter::{checkpoint, names, timers};
use crate::managed::Managed;
use crate::runtime::PythonRuntime;
use pyo3::prelude::*;
use raddle_pool::{Pool, Post};
use raddle_sync::{Moment, Mutex, Owner, WaitWord};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::LocalKey;
use std::time::Duration;

/// How long a worker keeps the interpreter at most, between two tasks that do not let go of it themselves, from others who have
/// asked for it.
const BREATH: Duration = Duration::from_millis(1);

/// Up to `CPython` 3.11 the state of a thread that is being started carries its creator's identity for a moment, and an
/// exception sent to the creator would hit the new thread. Waits for that moment to pass; false when it does not.
fn wait_until_none_starts(py: Python<'_>) -> bool {
    (0..STARTING_LOOKS).any(|_| {
        let starting = ffi::invoke(names(py).threads_are_starting.bind(py), ());
        let clear = starting.is_ok_and(|starting| !starting.is_truthy().unwrap_or(false));
        if !clear {
            py.detach(|| WaitWord::new(0).wait(0, Some(Moment::now() + STARTING_PAUSE)));
        }
        clear
    })
}

thread_local!(static DEADLINE: Cell<Option<Moment>> = const { Cell::new(None) });

/// When the task that the calling thread runs will be interrupted; taken by whoever has seen the interruption.
pub(crate) fn task_deadline() -> &'static LocalKey<Cell<Option<Moment>>> {
    &DEADLINE
}

/// How often, and how far apart, the timer looks whether a thread is being started.
const STARTING_LOOKS: u32 = 200;
const STARTING_PAUSE: Duration = Duration::from_micros(500);

/// How many calls of a Python function are given the chance to raise an exception.
const WITHDRAWALS: u32 = 10;

#[derive(Default)]
struct Watch {
    /// The running task that has a deadline, until it ends or expires.
    task: Option<(Arc<Managed>, Moment)>,
    /// The earliest time at which the timer will look.
    alarm: Option<Moment>,
}

/// What one worker keeps for itself.
pub(crate) struct Worker {
    pub(crate) name: Py<PyAny>,
    pub(crate) post: Arc<Post>,
    thread: u64,
    pub(crate) owner: Owner,
    /// When the last task ended, if the worker has not slept since; else 0.
    last_end: AtomicU64,
    /// Since when the worker has had the interpreter, as far as it knows.
    attached: AtomicU64,
    watch: Mutex<Watch>,
    /// 1 while the timer thread raises an exception in this worker.
    interrupting: WaitWord,
}

impl Worker {
    /// Made in the worker's own thread.
    pub(crate) fn new(name: Py<PyAny>, thread: u64) -> Self {
        Self {
            name,
            post: Arc::default(),
            thread,
            owner: Owner::current_thread(),
            last_end: AtomicU64::new(0),
            attached: AtomicU64::new(0),
            watch: Mutex::default(),
            interrupting: WaitWord::new(0),
        }
    }

    /// The worker has slept: the clock must be read anew.
    pub(crate) fn rested(&self) {
        self.last_end.store(0, Ordering::Relaxed);
    }

    /// When the task that begins now starts: the end of the one before, where they follow each other.
    pub(crate) fn begin(&self, py: Python<'_>) -> Moment {
        let last = self.last_end.load(Ordering::Relaxed);
        if last == 0 {
            let now = Moment::now();
            self.attached.store(now.as_nanos(), Ordering::Relaxed);
            return now;
        }
        let last = Moment::from_nanos(last);
        if self.breathe(py, last) { Moment::now() } else { last }
    }

    /// When the task that ends now ends.
    pub(crate) fn end(&self) -> Moment {
        let now = Moment::now();
        self.last_end.store(now.as_nanos(), Ordering::Relaxed);
        now
    }

    /// Lets others have the interpreter if they have asked for it and this worker has had it for long: tasks in C never do
    /// so themselves.
    ///
    /// Not by letting go of it for a moment: who waits for it asks for it when a switch interval is over, would be woken each
    /// time to find it taken again, and would wait for another whole interval, and another.
    pub(crate) fn breathe(&self, py: Python<'_>, now: Moment) -> bool {
        let since = Moment::from_nanos(self.attached.load(Ordering::Relaxed));
        let long = now.since(since) >= BREATH;
        if long {
            if let Err(raised) = checkpoint(py) {
                // Somebody sent it to this thread, for whatever it runs next.
                ffi::set_async_exception(py, self.thread, Some(&raised.get_type(py)));
            }
            self.attached.store(Moment::now().as_nanos(), Ordering::Relaxed);
        }
        long
    }

    /// The worker begins `task`, which is to end by `deadline`.
    pub(crate) fn arm(
        self: &Arc<Self>,
        pool: &Arc<Pool<PythonRuntime>>,
        task: Arc<Managed>,
        deadline: Moment,
    ) {
        let mut watch = self.watch.lock();
        let before = watch.task.replace((task, deadline));
        let alarm = watch.alarm.is_none_or(|alarm| deadline < alarm);
        if alarm {
            watch.alarm = Some(deadline);
        }
        drop(watch);
        debug_assert!(before.is_none(), "a worker runs one task at a time");
        DEADLINE.set(Some(deadline));
        if alarm {
            self.set_alarm(Arc::downgrade(pool), deadline);
        }
    }

    /// The worker has ended its task. False when the deadline came first: then the task has been settled.
    pub(crate) fn disarm(&self, py: Python<'_>) -> bool {
        DEADLINE.set(None);
        let task = self.watch.lock().task.take();
        let in_time = task.is_some();
        if !in_time {
            while self.interrupting.load() == 1 {
                py.detach(|| self.interrupting.wait(1, None));
            }
            self.withdraw(py);
        }
        in_time
    }

    /// Takes back what was sent to the calling thread, which is this worker's, and has not been raised.
    ///
    /// By raising it here. Were it merely taken back, `CPython` up to 3.12 would look for it for ever after: every thread at
    /// every turn of a loop, and in 3.11 a function that is traced would not get past its first line. It ends the search when
    /// it raises what it looks for.
    fn withdraw(&self, py: Python<'_>) {
        let raised = wait_until_none_starts(py) && {
            ffi::set_async_exception(py, self.thread, Some(names(py).task_timeout.bind(py)));
            (0..WITHDRAWALS).any(|_| checkpoint(py).is_err())
        };
        if !raised {
            ffi::set_async_exception(py, self.thread, None);
        }
    }

    fn set_alarm(self: &Arc<Self>, pool: Weak<Pool<PythonRuntime>>, moment: Moment) {
        let worker = Arc::downgrade(self);
        let armed = timers().at(moment, move || {
            if let (Some(worker), Some(pool)) = (worker.upgrade(), pool.upgrade()) {
                worker.ring(&pool, moment);
            }
        });
        if let Err(error) = armed {
            eprintln!("raddle: timeouts are not enforced, the timer thread can't be started: {error}");
        }
    }

    /// The timer looks at the worker.
    fn ring(self: &Arc<Self>, pool: &Arc<Pool<PythonRuntime>>, moment: Moment) {
        let mut watch = self.watch.lock();
        if watch.alarm == Some(moment) {
            watch.alarm = None;
        }
        let deadline = watch.task.as_ref().map(|(_, deadline)| *deadline);
        match deadline {
            Some(deadline) if deadline <= Moment::now() => {
                let task = watch.task.take();
                self.interrupting.store(1);
                drop(watch);
                if let Some((task, _)) = task {
                    self.interrupt(pool, task);
                }
            }
            Some(deadline) if watch.alarm.is_none_or(|alarm| deadline < alarm) => {
                watch.alarm = Some(deadline);
                drop(watch);
                self.set_alarm(Arc::downgrade(pool), deadline);
            }
            _ => {}
        }
    }

    fn interrupt(&self, pool: &Arc<Pool<PythonRuntime>>, task: Arc<Managed>) {
        let task = ManuallyDrop::new(task);
        // Without an interpreter nobody will ever ask, and the task can't even be dropped.
        Python::try_attach(|py| {
            let task = ManuallyDrop::into_inner(task);
            let stack = ffi::invoke(names(py).describe_stack.bind(py), (self.thread,));
            let stack = stack.and_then(|text| text.extract::<String>()).unwrap_or_default();
            if wait_until_none_starts(py) {
                ffi::set_async_exception(py, self.thread, Some(names(py).task_timeout.bind(py)));
            }
            // Whoever settles it runs callbacks, which is a worker's business; this one's slot is free for that.
            task.expire(py, pool, &stack);
            pool.abandon(&self.post);
            // Only now may this worker go on to another task: it readmits itself to the pool.
            self.interrupting.store(0);
            self.interrupting.wake_all();
        });
    }
}
