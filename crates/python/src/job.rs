//! What a worker runs.

use crate::context::Context;
use crate::ffi::{self, CallResult};
use crate::future::Future;
use crate::managed::Managed;
use crate::runtime::PythonRuntime;
use crate::turns::Turns;
use crate::worker::Worker;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use raddle_pool::{Pool, Reservation};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A callable with its arguments, the context that it was submitted in, and the future that it ends.
pub(crate) struct Call {
    pub(crate) future: Py<Future>,
    pub(crate) function: Py<PyAny>,
    pub(crate) args: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
    pub(crate) context: Context,
}

/// What is queued.
pub(crate) enum Job {
    /// `submit` without options.
    Plain(Call),
    /// `options(…).submit`: the next attempt.
    Managed(Arc<Managed>),
    /// A task whose deadline has passed is to be told so, or tried again.
    Expired(Arc<Managed>, Py<PyBaseException>),
    /// A worker's turn at a map.
    Turn(Arc<Turns>),
}

impl Job {
    /// Runs it on the calling worker.
    pub(crate) fn run(self, py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, worker: &Arc<Worker>) {
        match self {
            Self::Plain(call) => call.run(py, pool, worker),
            Self::Managed(task) => Managed::run(task, py, pool, worker),
            Self::Expired(task, timeout) => task.conclude(py, pool, Err(timeout)),
            Self::Turn(map) => map.run(py, pool, worker),
        }
    }

    /// It will not run: everybody who waits for it is told.
    fn cancel(self, py: Python<'_>, pool: &Pool<PythonRuntime>) {
        match self {
            Self::Plain(call) => cancel_future(call.future.bind(py), pool),
            Self::Managed(task) => cancel_future(task.call.future.bind(py), pool),
            Self::Expired(task, timeout) => {
                let _ = Future::settle(task.call.future.bind(py), Err(timeout));
            }
            Self::Turn(map) => map.cancel(),
        }
    }

    /// It will not run because the pool is broken.
    pub(crate) fn fail(self, py: Python<'_>, reason: &Py<PyBaseException>) {
        let failure = Err(reason.clone_ref(py));
        match self {
            Self::Plain(call) => drop(Future::settle(call.future.bind(py), failure)),
            Self::Managed(task) => drop(Future::settle(task.call.future.bind(py), failure)),
            Self::Expired(task, timeout) => drop(Future::settle(task.call.future.bind(py), Err(timeout))),
            Self::Turn(map) => map.fail(py, reason),
        }
    }
}

fn cancel_future(future: &Bound<'_, Future>, pool: &Pool<PythonRuntime>) {
    if Future::try_cancel(future) {
        pool.runtime().counters.cancelled.fetch_add(1, Ordering::Relaxed);
        Future::acknowledge(future);
    }
}

/// Cancels every task of the pool that has not begun, deferred ones included; the pool takes no further ones.
pub(crate) fn cancel_all(py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>) {
    let runtime = pool.runtime();
    runtime.cancelling.store(true, Ordering::Release);
    for (job, _promise) in not_begun(pool) {
        job.cancel(py, pool);
    }
}

/// Fails every task of the pool that has not begun, likewise.
pub(crate) fn fail_all(py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, reason: &Py<PyBaseException>) {
    for (job, _promise) in not_begun(pool) {
        job.fail(py, reason);
    }
}

type Promised = (Job, Option<Reservation<PythonRuntime>>);

/// Closes the pool and takes every job that has not begun. A deferred one's promise is dropped by the caller, after the job
/// has been seen to.
fn not_begun(pool: &Arc<Pool<PythonRuntime>>) -> impl Iterator<Item = Promised> {
    pool.drain();
    let deferred = pool
        .runtime()
        .deferred
        .drain()
        .into_iter()
        .map(|(task, promise)| (Job::Managed(task), Some(promise)));
    pool.withdraw().into_iter().map(|job| (job, None)).chain(deferred)
}

impl Call {
    /// Calls the callable, in whatever context the thread is in.
    pub(crate) fn call(&self, py: Python<'_>) -> CallResult {
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        ffi::call(self.function.bind(py), self.args.bind(py), kwargs)
    }

    fn run(self, py: Python<'_>, pool: &Pool<PythonRuntime>, worker: &Worker) {
        let future = self.future.bind(py).clone();
        if !Future::begin(&future, worker, worker.begin(py)) {
            pool.runtime().counters.cancelled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        future.get().run_by(worker);
        let outcome =
            self.context.run(py, || self.call(py)).unwrap_or_else(|error| Err(error.into_value(py)));
        future.get().end(worker.end());
        pool.runtime().counters.count(1, outcome.is_err());
        // What the caller waits for may hang on the arguments being gone.
        drop(self);
        if Future::settle(&future, outcome).unwrap_or(true) {
            worker.rested();
        }
    }
}
