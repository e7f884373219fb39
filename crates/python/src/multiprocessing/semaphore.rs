//! The native half of `Semaphore` and `BoundedSemaphore`.

use super::{Name, name, os_error, patience, wait};
use crate::ffi::take_fd;
use crate::threading::timeout::{Patience, truth};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use raddle_process::primitives::Semaphore as Core;

/// The native half of semaphores: permits that processes take and give back.
#[pyclass(frozen, subclass, weakref, module = "raddle._raddle")]
pub(crate) struct SharedSemaphore {
    pub(super) core: Core,
}

impl SharedSemaphore {
    fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        Ok(self.core.try_acquire() || wait(py, patience, |until| self.core.acquire(until))?)
    }
}

#[pymethods]
impl SharedSemaphore {
    /// A semaphore without permits, or the one that another process has named by `_name()`, whose descriptor it takes over.
    #[new]
    #[pyo3(signature = (given = None, /))]
    fn new(given: Option<Name>) -> PyResult<Self> {
        match given {
            None => Core::new(0, 0),
            Some((fd, offset)) => Core::attach(take_fd(fd), offset),
        }
        .map(|core| Self { core })
        .map_err(os_error)
    }

    /// Gives it `value` permits, and never more than `limit`: what `__init__` does.
    #[pyo3(signature = (value, limit, /))]
    fn _reset(&self, value: i64, limit: u32) -> PyResult<()> {
        // The system refuses the stdlib such a value in this way.
        let value = u32::try_from(value).ok().filter(|value| *value <= limit);
        let value = value.ok_or_else(|| os_error(std::io::Error::from_raw_os_error(22)))?;
        self.core.reset(value, limit);
        Ok(())
    }

    /// Takes a permit. Waits for one if `block`, at most `timeout` seconds (None: for ever). Returns whether it was taken.
    #[pyo3(signature = (block = true, timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        self.take(py, patience(block, timeout)?)
    }

    /// Gives a permit back. Raises `ValueError` when that would be one too many.
    fn release(&self) -> PyResult<()> {
        let too_many = |_| PyValueError::new_err("semaphore or lock released too many times");
        self.core.release().map_err(too_many)
    }

    /// How many permits are left.
    fn get_value(&self) -> u32 {
        self.core.value()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Patience::Until(None))
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release()
    }

    /// By what another process finds it: a descriptor, which stays this object's, and an offset.
    fn _name(&self) -> Name {
        name(self.core.name())
    }

    /// The most permits that it ever has.
    fn _limit(&self) -> u32 {
        self.core.limit()
    }
}
