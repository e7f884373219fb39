//! Tasks of threads with options: timeout, retries, dependencies. Layers over submission and completion; the pool knows none
//! of it.

use crate::attempts::{Attempts, Verdict};
use crate::ffi::CallResult;
use crate::future::Future;
use crate::job::{Call, Job};
use crate::options::TaskOptions;
use crate::runtime::PythonRuntime;
use crate::shelf::{Shelf, Shelved, settle_in_turn};
use crate::worker::Worker;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use raddle_pool::Pool;
use raddle_sync::Moment;
use raddle_task::deferred::Ticket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A task with options, through all of its attempts.
pub(crate) struct Managed {
    pub(crate) call: Call,
    attempts: Attempts,
}

impl Managed {
    pub(crate) fn new(call: Call, options: Py<TaskOptions>) -> Arc<Self> {
        Arc::new(Self { call, attempts: Attempts::new(options) })
    }

    fn options(&self) -> &TaskOptions {
        self.attempts.options()
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
        let timeout = future.get().timed_out(py, self.options().timeout, stack);
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
        let ending = pool.runtime().cancelling.load(Ordering::Acquire);
        match self.attempts.judge(py, outcome, ending) {
            Verdict::Again(pause, failure) => self.retry(py, pool, pause, failure),
            Verdict::End(outcome) => self.end(py, pool, outcome),
        }
    }

    fn end(&self, py: Python<'_>, pool: &Pool<PythonRuntime>, outcome: CallResult) {
        pool.runtime().counters.count(1, outcome.is_err());
        let _ = Future::settle(self.call.future.bind(py), outcome);
    }

    fn retry(
        self: Arc<Self>,
        py: Python<'_>,
        pool: &Arc<Pool<PythonRuntime>>,
        pause: Duration,
        failure: Py<PyBaseException>,
    ) {
        let future = self.call.future.bind(py).clone();
        if !future.get().requeue() {
            return;
        }
        if future.get().is_unwanted() {
            return self.end(py, pool, Err(failure));
        }
        pool.runtime().counters.retried.fetch_add(1, Ordering::Relaxed);
        let reservation = pool.reserve_again();
        if pause.is_zero() {
            let priority = self.options().priority;
            return reservation.submit(Job::Managed(self), priority);
        }
        let ticket = pool.runtime().deferred.put((self, reservation));
        Shelved::new(&future, pool, ticket).release_after(pause);
    }
}

/// Tasks of the pool that wait for a dependency or for their next attempt.
impl Shelf for Pool<PythonRuntime> {
    fn is_ours(&self) -> bool {
        Self::is_ours(self)
    }

    fn release(&self, ticket: Ticket) {
        if let Some((task, reservation)) = self.runtime().deferred.take(ticket) {
            let priority = task.options().priority;
            reservation.submit(Job::Managed(task), priority);
        }
    }

    fn take_down(&self, _py: Python<'_>, ticket: Ticket) {
        if self.runtime().deferred.take(ticket).is_some() {
            self.runtime().counters.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fail(&self, py: Python<'_>, ticket: Ticket, failure: Py<PyBaseException>) {
        if let Some(deferred) = self.runtime().deferred.take(ticket) {
            self.runtime().counters.count(1, true);
            let future = deferred.0.call.future.clone_ref(py);
            settle_in_turn(py, future, failure, Box::new(deferred));
        }
    }
}
