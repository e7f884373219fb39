//! One side of an `RWLock`: the lock as readers take it, or as writers do.

use super::async_wait::{self, AsyncWait, Ready};
use super::rwlock::{Actor, RWLock};
use super::timeout::{Patience, truth};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

/// An `RWLock` as readers take it, or as writers do. All sides of a lock are the same lock.
#[pyclass(frozen, weakref, module = "raddle.threading")]
pub(crate) struct RWLockSide {
    pub(super) lock: Py<RWLock>,
    pub(super) writes: bool,
}

impl RWLockSide {
    fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let lock = self.lock.bind(py);
        if self.writes { RWLock::take_to_write(lock, patience) } else { RWLock::take_to_read(lock, patience) }
    }

    fn give_back(&self, py: Python<'_>, first: Actor) -> PyResult<()> {
        let lock = self.lock.get();
        if self.writes { lock.stop_writing(py, first) } else { lock.stop_reading(py, first) }
    }
}

#[pymethods]
impl RWLockSide {
    /// Takes the lock. Waits for it if `blocking`, at most `timeout` seconds (-1: for ever). Returns whether it was taken.
    ///
    /// Raises `DeadlockError` when it closes a circle, `RuntimeError` when one who writes asks to read, and what signal handlers
    /// raise.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        self.take(py, Patience::of_lock(blocking, timeout)?)
    }

    /// Gives it back. Raises `RuntimeError` when the caller does not hold it in this way.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.give_back(py, Actor::Thread)
    }

    /// Whether anybody holds it in this way.
    fn locked(&self) -> bool {
        self.lock.get().is_held(self.writes)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Patience::Until(None))
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.give_back(py, Actor::Thread)
    }

    /// `acquire` for coroutines: what it takes belongs to the task. Waits at most `timeout` seconds (None: for ever).
    #[pyo3(signature = (timeout = None))]
    fn acquire_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    fn __aenter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::entered(py, self.begin(py)?)
    }

    fn __aexit__<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        _error: &Bound<'py, PyAny>,
        _traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.give_back(kind.py(), Actor::Task)?;
        Ready::nothing(kind.py())
    }

    #[pyo3(name = "_async_wait")]
    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let lock = self.lock.bind(py);
        if self.writes { RWLock::begin_to_write(lock) } else { RWLock::begin_to_read(lock) }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let side = if self.writes { "write" } else { "read" };
        Ok(format!("<the {side} side of {}>", self.lock.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.lock)
    }
}
