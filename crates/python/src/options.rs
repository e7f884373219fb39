//! The options of a task in native form.

use crate::collect::check_futures;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::time::Duration;

/// The options of a task, checked and in native form. Made by `ThreadPoolExecutor.options`.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct TaskOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    /// A tuple of exception classes.
    pub(crate) retry_on: Py<PyTuple>,
    pub(crate) backoff: Duration,
    /// A callable that gives the pause, instead of `backoff`.
    pub(crate) schedule: Option<Py<PyAny>>,
    pub(crate) priority: i32,
    pub(crate) name: Option<Py<PyString>>,
    pub(crate) after: Py<PyTuple>,
}

#[pymethods]
impl TaskOptions {
    /// Arguments: `timeout` and `backoff` in seconds; `schedule`, None or a callable from the number of the retry to
    /// seconds; the others as for `options`. All have been checked.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "one for each option")]
    fn new(
        timeout: Option<f64>,
        retries: u32,
        retry_on: Py<PyTuple>,
        backoff: f64,
        schedule: Option<Py<PyAny>>,
        priority: i32,
        name: Option<Py<PyString>>,
        after: Bound<'_, PyTuple>,
    ) -> PyResult<Self> {
        check_futures(&after)?;
        let span = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let (timeout, backoff) = (timeout.map(span), span(backoff));
        Ok(Self { timeout, retries, retry_on, backoff, schedule, priority, name, after: after.unbind() })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.retry_on)?;
        visit.call(&self.schedule)?;
        visit.call(&self.after)
    }
}
