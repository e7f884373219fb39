//! `Latch`.

use super::async_wait::{self, AsyncWait, Ready};
use super::naming::name_and_place;
use super::timeout::Patience;
use super::wait;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Latch as Core, Waitable};
use std::sync::Arc;

/// A count that goes down to zero, once, and lets those go on then who wait for that.
#[pyclass(frozen, weakref, module = "raddle.threading")]
pub(crate) struct Latch {
    core: Arc<Core>,
}

#[pymethods]
impl Latch {
    #[new]
    #[pyo3(signature = (count))]
    fn new(count: i64) -> PyResult<Self> {
        let count = u64::try_from(count).map_err(|_| PyValueError::new_err("count must be >= 0"))?;
        Ok(Self { core: Arc::new(Core::new(count)) })
    }

    /// Counts down by `n`, at most to zero, and returns what is left. At zero it opens, for good.
    #[pyo3(signature = (n = 1))]
    fn count_down(&self, n: i64) -> PyResult<u64> {
        match u64::try_from(n) {
            Ok(count @ 1..) => Ok(self.core.count_down(count)),
            _ => Err(PyValueError::new_err("n must be one or more")),
        }
    }

    /// What is left to count down.
    #[getter]
    fn count(&self) -> u64 {
        self.core.count()
    }

    /// Waits until the count is zero, at most `timeout` seconds (None: for ever). Returns whether it is.
    #[pyo3(signature = (timeout = None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        let core = &slf.get().core;
        if core.count() == 0 {
            return Ok(true);
        }
        wait::block_patiently(slf.as_any(), Arc::clone(core), Patience::of_wait(timeout)?)
    }

    /// `wait` for coroutines: `await latch.wait_async()`, or `await latch`.
    #[pyo3(signature = (timeout = None))]
    fn wait_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().core.count() == 0 {
            return Ready::yes(slf.py());
        }
        Self::wait_async(slf, None)?.call_method0("__await__")
    }

    fn _async_wait<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let core = &slf.get().core;
        if core.count() == 0 {
            return Ok(None);
        }
        AsyncWait::of_current_task(slf.as_any(), Arc::clone(core) as Arc<dyn Waitable>).map(Some)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{}: count={}>", name_and_place(slf)?, slf.get().core.count()))
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the collector's protocol")]
    fn __traverse__(&self, _visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }
}
