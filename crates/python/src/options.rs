//! The options of a task in native form.

use crate::collect::check_futures;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use std::time::Duration;

/// The options of a task, checked and in native form. Made by `options` of an executor.
///
/// They can be pickled without `after`: what a task comes after is the affair of the process that has those futures.
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

    #[getter]
    fn after(&self, py: Python<'_>) -> Py<PyTuple> {
        self.after.clone_ref(py)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let timeout = this.timeout.map(|timeout| timeout.as_secs_f64());
        let pause = this.backoff.as_secs_f64();
        let none = PyTuple::empty(py);
        let arguments =
            (timeout, this.retries, &this.retry_on, pause, &this.schedule, this.priority, &this.name, none);
        Ok((slf.get_type(), arguments.into_pyobject(py)?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.retry_on)?;
        visit.call(&self.schedule)?;
        visit.call(&self.after)
    }
}
