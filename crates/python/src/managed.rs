//! Tasks with options: timeout, retries, dependencies. Layers over submission and completion; the pool knows none of it.

use crate::ffi::{self, CallResult};
use crate::future::Future;
use crate::interpreter::{error, names, timers};
use crate::job::{Call, Job};
use crate::observer::{End, Observer};
use crate::options::TaskOptions;
use crate::runtime::PythonRuntime;
use crate::worker::Worker;
use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::prelude::*;
use raddle_pool::{Pool, Reservation};
use raddle_sync::Moment;
use raddle_task::deferred::Ticket;
use raddle_task::dependencies::{Arrival, Gate};
use raddle_task::retry::{LONGEST_PAUSE, backoff};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A task with options, through all of its attempts.
pub(crate) struct Managed {
    pub(crate) call: Call,
    pub(crate) options: Py<TaskOptions>,
    /// Attempts that have failed.
    failed: AtomicU32,
}

impl Managed {
    pub(crate) fn new(call: Call, options: Py<TaskOptions>) -> Arc<Self> {
        Arc::new(Self { call, options, failed: AtomicU32::new(0) })
    }

    fn options(&self) -> &TaskOptions {
        self.options.get()
    }

    /// One attempt.
    pub(crate) fn run(
        task: Arc<Self>,
        py: Python<'_>,
        pool: &Arc<Pool<PythonRuntime>>,
        worker: &Arc<Worker>,
    ) {
        let future = task.call.future.bind(py).clone();
        // Its deadline counts from here, not from the end of what the worker did before.
        worker.rested();
        let now = worker.begin(py);
        if !Future::begin(&future, worker, now) {
            pool.runtime().counters.cancelled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Each attempt has a context of its own: one that was given up may still be inside the last one.
        let call = || {
            let called = task.call.context.run_copy(py, || task.call.call(py));
            called.unwrap_or_else(|error| Err(error.into_value(py)))
        };
        let Some(timeout) = task.options().timeout else {
            future.get().run_by(worker);
            let outcome = call();
            future.get().end(worker.end());
            return task.conclude(py, pool, outcome);
        };
        worker.arm(pool, Arc::clone(&task), now + timeout);
        let outcome = call();
        if !pool.is_ours() {
            // The task forked and has come back in the child: the timer, and whoever held a lock, are not there.
            let _ = Future::settle(&future, outcome);
            return;
        }
        if worker.disarm(py) {
            future.get().end(worker.end());
            task.conclude(py, pool, outcome);
        } else {
            worker.rested();
            pool.readmit(&worker.post);
        }
    }

    /// The deadline has passed while the task was at `stack`: hands the matter to the next free worker.
    pub(crate) fn expire(self: Arc<Self>, py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, stack: &str) {
        let future = self.call.future.bind(py);
        future.get().end(Moment::now());
        let name = future.getattr("name").map(|name| name.to_string()).unwrap_or_default();
        let seconds = self.options().timeout.unwrap_or_default().as_secs_f64();
        let timeout = error(
            py,
            &names(py).task_timeout,
            format!("the task {name:?} ran longer than its timeout of {seconds} s{stack}"),
        );
        pool.runtime().counters.timed_out.fetch_add(1, Ordering::Relaxed);
        pool.resubmit(Job::Expired(self, timeout.into_value(py)), i32::MAX);
    }

    /// An attempt has ended: the task is tried again, or ends.
    pub(crate) fn conclude(
        self: Arc<Self>,
        py: Python<'_>,
        pool: &Arc<Pool<PythonRuntime>>,
        outcome: CallResult,
    ) {
        let outcome = match outcome {
            Err(exception) => match self.pause_after(py, exception.bind(py)) {
                Ok(Some(pause)) if !pool.runtime().cancelling.load(Ordering::Acquire) => {
                    return self.retry(py, pool, pause);
                }
                Ok(_) => Err(exception),
                // The user's own `backoff` failed: that is what ends the task, with the task's exception as context.
                Err(error) => {
                    let error = error.into_value(py);
                    let _ = error.bind(py).setattr("__context__", exception);
                    Err(error)
                }
            },
            returned => returned,
        };
        pool.runtime().counters.count(&outcome);
        let _ = Future::settle(self.call.future.bind(py), outcome);
    }

    /// Whether `retry_on` covers the exception. A timeout is an `OSError` by descent alone: who names that class means
    /// failures of the system.
    fn is_worth_another(&self, exception: &Bound<'_, PyBaseException>) -> PyResult<bool> {
        let py = exception.py();
        let classes = self.options().retry_on.bind(py);
        if !exception.is_instance(names(py).task_timeout.bind(py))? {
            return exception.is_instance(classes);
        }
        let os_error = py.get_type::<PyOSError>();
        for class in classes {
            if !class.is(&os_error) && exception.is_instance(&class)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How long to wait before another attempt; None when there is none.
    fn pause_after(
        &self,
        py: Python<'_>,
        exception: &Bound<'_, PyBaseException>,
    ) -> PyResult<Option<Duration>> {
        let options = self.options();
        let failed = self.failed.load(Ordering::Relaxed);
        if failed >= options.retries || !self.is_worth_another(exception)? {
            return Ok(None);
        }
        self.failed.store(failed + 1, Ordering::Relaxed);
        if let Some(schedule) = &options.schedule {
            let seconds: f64 = ffi::invoke(schedule.bind(py), (failed + 1,))?.extract()?;
            let pause = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_PAUSE);
            return Ok(Some(pause.min(LONGEST_PAUSE)));
        }
        Ok(Some(backoff(options.backoff, failed + 1)))
    }

    fn retry(self: Arc<Self>, py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, pause: Duration) {
        let future = self.call.future.bind(py).clone();
        if !future.get().requeue() {
            return;
        }
        pool.runtime().counters.retried.fetch_add(1, Ordering::Relaxed);
        let priority = self.options().priority;
        let reservation = pool.reserve_again();
        if pause.is_zero() {
            return reservation.submit(Job::Managed(self), priority);
        }
        let ticket = shelve(&future, pool, Job::Managed(self), reservation);
        let weak = Arc::downgrade(pool);
        let planned = timers().at(Moment::now() + pause, move || {
            if let Some(pool) = weak.upgrade() {
                release(&pool, ticket, priority);
            }
        });
        if planned.is_err() {
            // Without a timer the pause can't be kept: better too early than never.
            release(pool, ticket, priority);
        }
    }
}

/// Puts a job aside until [`release`]; cancelling its future takes it down.
pub(crate) fn shelve(
    future: &Bound<'_, Future>,
    pool: &Arc<Pool<PythonRuntime>>,
    job: Job,
    reservation: Reservation<PythonRuntime>,
) -> Ticket {
    let ticket = pool.runtime().deferred.put((job, reservation));
    Future::observe(future, Observer::Shelf(Arc::downgrade(pool), ticket));
    ticket
}

/// Queues a job that was put aside, unless it has been taken down. Needs no interpreter.
fn release(pool: &Arc<Pool<PythonRuntime>>, ticket: Ticket, priority: i32) {
    if let Some((job, reservation)) = pool.runtime().deferred.take(ticket) {
        reservation.submit(job, priority);
    }
}

type Doomed = VecDeque<(Arc<Managed>, CallResult)>;

// Those that wait for their turn, while this thread is at it.
thread_local!(static DOOMED: RefCell<Option<Doomed>> = const { RefCell::new(None) });

/// Ends a task whose dependency failed, after those that this thread is ending already: a chain of dependants, however
/// long, does not pile up on the stack.
fn settle_in_turn(py: Python<'_>, task: Arc<Managed>, outcome: CallResult) {
    let mut next = Some((task, outcome));
    DOOMED.with_borrow_mut(|doomed| {
        if let Some(waiting) = doomed {
            waiting.extend(next.take());
        } else {
            *doomed = Some(Doomed::new());
        }
    });
    let first = next.is_some();
    while let Some((task, outcome)) = next {
        let _ = Future::settle(task.call.future.bind(py), outcome);
        drop(task);
        next = DOOMED.with_borrow_mut(|doomed| doomed.as_mut().and_then(VecDeque::pop_front));
    }
    if first {
        DOOMED.set(None);
    }
}

/// A task on the shelf until the tasks that it comes after have ended.
pub(crate) struct Dependency {
    gate: Gate,
    pool: Weak<Pool<PythonRuntime>>,
    ticket: Ticket,
    priority: i32,
}

impl Dependency {
    pub(crate) fn new(
        count: usize,
        pool: &Arc<Pool<PythonRuntime>>,
        ticket: Ticket,
        priority: i32,
    ) -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(count), pool: Arc::downgrade(pool), ticket, priority })
    }

    /// One of the tasks has ended, with a failure or without.
    pub(crate) fn arrive(&self, ended: &Bound<'_, PyAny>, failure: Option<Py<PyBaseException>>) {
        let py = ended.py();
        let Some(pool) = self.pool.upgrade().filter(|pool| pool.is_ours()) else { return };
        match self.gate.arrive(failure.is_none()) {
            Arrival::Wait => {}
            Arrival::Open => release(&pool, self.ticket, self.priority),
            Arrival::Fail => {
                if let Some((Job::Managed(task), _reservation)) = pool.runtime().deferred.take(self.ticket) {
                    let message = format!("a task that this one comes after failed: {ended}");
                    let failed = error(py, &names(py).dependency_failed, message);
                    failed.set_cause(
                        py,
                        failure.map(|cause| PyErr::from_value(cause.into_bound(py).into_any())),
                    );
                    let outcome = Err(failed.into_value(py));
                    pool.runtime().counters.count(&outcome);
                    settle_in_turn(py, task, outcome);
                }
            }
        }
    }
}

/// The stdlib's waiter for a dependency: lets the task know that one of its futures is done.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct StdlibDependency(pub(crate) Arc<Dependency>);

#[pymethods]
impl StdlibDependency {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        let failure = match End::of(future)? {
            End::Cancelled => {
                Some(error(py, &names(py).cancelled_error, "the task was cancelled").into_value(py))
            }
            End::Raised(exception) => Some(exception),
            End::Returned => None,
        };
        self.0.arrive(future, failure);
        Ok(())
    }
}

pub(crate) fn prepare(py: Python<'_>) {
    drop(py.get_type::<StdlibDependency>());
}
