//! Iteration until the shutdown.

use super::arguments::Wait;
use super::base::Queue;
use super::names::names;
use crate::ffi;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

/// Takes item after item, and ends when the queue is shut down and empty.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct QueueIterator {
    queue: Py<Queue>,
}

impl QueueIterator {
    pub(crate) const fn new(queue: Py<Queue>) -> Self {
        Self { queue }
    }
}

#[pymethods]
impl QueueIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let queue = self.queue.bind(py);
        let item = if queue.get().overrides_get() {
            ffi::invoke(&queue.getattr("get")?, ()).map(Bound::unbind)
        } else {
            Queue::take(queue, Wait::Forever)
        };
        match item {
            Ok(item) => Ok(Some(item)),
            Err(error) if names(py).is_shut_down(py, &error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.queue)
    }
}
