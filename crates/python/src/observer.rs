//! Who is told when a future ends, and how.

use crate::collect::Collector;
use crate::ffi;
use crate::future::Future;
use crate::interpreter::names;
use crate::shelf::{Dependency, Shelved};
use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

/// One that is told when a future ends.
pub(crate) enum Observer {
    /// A callable of the user's, called with the future.
    Callback(Py<PyAny>),
    /// A `wait` or `as_completed` to which the future is number so and so.
    Collector(Arc<Collector>, usize),
    /// A task that comes after this one.
    Dependency(Arc<Dependency>),
    /// The task itself, on a shelf until its next attempt: taken down if the future is cancelled.
    Shelf(Shelved),
}

impl Observer {
    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Callback(callback) => visit.call(callback),
            _ => Ok(()),
        }
    }

    /// Whether it waits until the executor has come across a cancelled future, as the stdlib's `wait` does.
    pub(crate) fn is_patient(&self) -> bool {
        matches!(self, Self::Collector(..))
    }

    /// Tells it if that needs no interpreter; else it comes back. `failed`: how the future has ended.
    pub(crate) fn tell_natively(self, failed: bool) -> Option<Self> {
        match self {
            Self::Collector(collector, index) => collector.arrive(index, failed),
            Self::Dependency(dependency) if !failed => dependency.succeed(),
            // The task has ended, so it is on no shelf any more.
            Self::Shelf(_) => {}
            other => return Some(other),
        }
        None
    }

    /// Tells it. Never fails: what a callback raises is logged, as in the stdlib.
    pub(crate) fn tell(self, future: &Bound<'_, Future>) {
        let py = future.py();
        match self {
            Self::Callback(callback) => call_back(callback.bind(py), future),
            Self::Collector(collector, index) => collector.arrive(index, future.get().has_failed()),
            Self::Dependency(dependency) => dependency.arrive(future.as_any(), Future::failure(future)),
            Self::Shelf(task) => task.take_down(py),
        }
    }
}

/// How a future that is done has ended, as its public methods tell: the stdlib's, or anybody's.
pub(crate) enum End {
    Cancelled,
    Raised(Py<PyBaseException>),
    Returned,
}

impl End {
    pub(crate) fn of(future: &Bound<'_, PyAny>) -> PyResult<Self> {
        if future.call_method0("cancelled")?.is_truthy()? {
            return Ok(Self::Cancelled);
        }
        let exception = future.call_method0("exception")?;
        Ok(if exception.is_none() { Self::Returned } else { Self::Raised(exception.cast_into()?.unbind()) })
    }
}

/// Calls `callback(future)`; logs the exceptions it raises and prints those that are not meant to be caught.
pub(crate) fn call_back(callback: &Bound<'_, PyAny>, future: &Bound<'_, Future>) {
    let py = future.py();
    let Err(raised) = ffi::call_one(callback, future.as_any()) else { return };
    let error = PyErr::from_value(raised.into_bound(py).into_any());
    if error.is_instance_of::<PyException>(py) {
        let logged = ffi::invoke(names(py).log_callback_error.bind(py), (future, error.value(py)));
        if let Err(error) = logged {
            error.write_unraisable(py, Some(callback));
        }
    } else {
        error.write_unraisable(py, Some(callback));
    }
}
