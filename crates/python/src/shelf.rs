//! Tasks that may not start yet: they wait for other tasks, or for the time of their next attempt.
//!
//! ```text
//!  put ──▶ on a pool's shelf ── the last of the futures has ended, or the pause is over ──▶ release: it is queued
//!                    ├── one of the futures has failed ──▶ fail: its own future fails
//!                    └── its own future is cancelled ────▶ take_down
//! ```
//!
//! Each kind of pool has a [`Shelf`]. Whoever lets a task go from there holds a ticket and a weak reference: what was taken off
//! by somebody else meanwhile is not there any more.

use crate::future::Future;
use crate::interpreter::{as_future, error, names, timers};
use crate::observer::{End, Observer};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use raddle_sync::Moment;
use raddle_task::deferred::Ticket;
use raddle_task::dependencies::{Arrival, Gate};
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where tasks wait that may not start yet. All methods do nothing for a ticket whose task is not there any more.
pub(crate) trait Shelf: Send + Sync {
    /// Whether it is this process's, and not that of an ancestor which was forked.
    fn is_ours(&self) -> bool;

    /// Queues the task. Needs no interpreter.
    fn release(&self, ticket: Ticket);

    /// The task's future has been cancelled.
    fn take_down(&self, py: Python<'_>, ticket: Ticket);

    /// The task will not run, and ends with this failure: see [`settle_in_turn`].
    fn fail(&self, py: Python<'_>, ticket: Ticket, failure: Py<PyBaseException>);
}

fn ours(shelf: &Weak<dyn Shelf>) -> Option<Arc<dyn Shelf>> {
    shelf.upgrade().filter(|shelf| shelf.is_ours())
}

/// A task on a shelf.
pub(crate) struct Shelved {
    shelf: Weak<dyn Shelf>,
    ticket: Ticket,
}

impl Shelved {
    /// The task of this ticket, which ends `future`. It is taken down when that is cancelled.
    pub(crate) fn new<S: Shelf + 'static>(
        future: &Bound<'_, Future>,
        shelf: &Arc<S>,
        ticket: Ticket,
    ) -> Self {
        let weak = Arc::downgrade(shelf);
        Future::observe(future, Observer::Shelf(Self { shelf: Weak::<S>::clone(&weak), ticket }));
        Self { shelf: weak, ticket }
    }

    fn release(&self) {
        if let Some(shelf) = ours(&self.shelf) {
            shelf.release(self.ticket);
        }
    }

    pub(crate) fn take_down(&self, py: Python<'_>) {
        if let Some(shelf) = ours(&self.shelf) {
            shelf.take_down(py, self.ticket);
        }
    }

    /// Lets the task go after a pause.
    pub(crate) fn release_after(self, pause: Duration) {
        let task = Arc::new(self);
        let later = Arc::clone(&task);
        if timers().at(Moment::now() + pause, move || later.release()).is_err() {
            // Without a timer the pause can't be kept: better too early than never.
            task.release();
        }
    }

    /// Lets the task go when all of these futures, Raddle's and others, have ended well.
    ///
    /// Raises what a future of somebody else's raises; then the task has been taken down.
    pub(crate) fn release_after_all(self, futures: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = futures.py();
        let dependency = Arc::new(Dependency { gate: Gate::new(futures.len()), task: self });
        for future in futures {
            if let Some(future) = as_future(&future) {
                Future::observe(future, Observer::Dependency(Arc::clone(&dependency)));
                continue;
            }
            let callback = (StdlibDependency(Arc::clone(&dependency)),);
            if let Err(error) = future.call_method1("add_done_callback", callback) {
                // Nobody would ever take the task down from its shelf.
                dependency.task.take_down(py);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// A future, what it fails with, and what is kept until it has.
type Failing = (Py<Future>, Py<PyBaseException>, Box<dyn Any>);
type Doomed = VecDeque<Failing>;

// Those that wait for their turn, while this thread is at it.
thread_local!(static DOOMED: RefCell<Option<Doomed>> = const { RefCell::new(None) });

/// Ends a task whose dependency failed, after those that this thread is ending already: a chain of dependants, however
/// long, does not pile up on the stack. `kept` is dropped when everybody has been told.
pub(crate) fn settle_in_turn(
    py: Python<'_>,
    future: Py<Future>,
    failure: Py<PyBaseException>,
    kept: Box<dyn Any>,
) {
    let mut next: Option<Failing> = Some((future, failure, kept));
    DOOMED.with_borrow_mut(|doomed| {
        if let Some(waiting) = doomed {
            waiting.extend(next.take());
        } else {
            *doomed = Some(Doomed::new());
        }
    });
    let first = next.is_some();
    while let Some((future, failure, kept)) = next {
        let _ = Future::settle(future.bind(py), Err(failure));
        drop((future, kept));
        next = DOOMED.with_borrow_mut(|doomed| doomed.as_mut().and_then(VecDeque::pop_front));
    }
    if first {
        DOOMED.set(None);
    }
}

/// A task on the shelf until the tasks that it comes after have ended.
pub(crate) struct Dependency {
    gate: Gate,
    task: Shelved,
}

impl Dependency {
    /// One of the tasks has ended well. Needs no interpreter.
    pub(crate) fn succeed(&self) {
        if self.gate.arrive(true) == Arrival::Open {
            self.task.release();
        }
    }

    /// One of the tasks has ended in this way.
    pub(crate) fn arrive(&self, ended: &Bound<'_, PyAny>, failure: Option<Py<PyBaseException>>) {
        let Some(cause) = failure else { return self.succeed() };
        let py = ended.py();
        if self.gate.arrive(false) != Arrival::Fail {
            return;
        }
        if let Some(shelf) = ours(&self.task.shelf) {
            let message = format!("a task that this one comes after failed: {ended}");
            let failed = error(py, &names(py).dependency_failed, message);
            failed.set_cause(py, Some(PyErr::from_value(cause.into_bound(py).into_any())));
            shelf.fail(py, self.task.ticket, failed.into_value(py));
        }
    }
}

/// The stdlib's waiter for a dependency: lets the task know that one of its futures is done.
#[pyclass(frozen, module = "raddle._raddle")]
struct StdlibDependency(Arc<Dependency>);

#[pymethods]
impl StdlibDependency {
    fn __call__(&self, future: &Bound<'_, PyAny>) {
        let py = future.py();
        let failure = match End::of(future) {
            Ok(End::Cancelled) => {
                Some(error(py, &names(py).cancelled_error, "the task was cancelled").into_value(py))
            }
            Ok(End::Raised(exception)) => Some(exception),
            Ok(End::Returned) => None,
            // Whatever it is, the task can't count on this future, and nobody would let it go from the shelf otherwise.
            Err(error) => Some(error.into_value(py)),
        };
        self.0.arrive(future, failure);
    }
}

pub(crate) fn prepare(py: Python<'_>) {
    drop(py.get_type::<StdlibDependency>());
}
