//! The native halves of `Lock` and `RLock`.

use super::names::names;
use super::{Name, name, os_error, patience};
use crate::ffi::take_fd;
use crate::interpreter;
use crate::threading::timeout::{Patience, truth};
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use raddle_process::primitives::{Lock as Core, Wait};
use std::sync::atomic::{AtomicU32, Ordering};

/// Takes the lock, or sleeps until it can.
fn take(py: Python<'_>, core: &Core, patience: Patience) -> PyResult<bool> {
    if core.try_acquire() {
        return Ok(true);
    }
    let Patience::Until(deadline) = patience else { return Ok(false) };
    // A wait with a timeout ends by itself.
    let watch = deadline.is_none();
    let dead = AtomicU32::new(0);
    let taken = interpreter::sleep(py, deadline, |until| {
        let wait = core.acquire(until, watch);
        if let Wait::OwnerDied(pid) = wait {
            dead.store(pid, Ordering::Relaxed);
        }
        wait.wake()
    })?;
    match dead.into_inner() {
        0 => Ok(taken),
        pid => Err(names(py).owner_died(py, pid)),
    }
}

fn open(given: Option<Name>) -> PyResult<Core> {
    match given {
        None => Core::new(),
        Some((fd, offset)) => Core::attach(take_fd(fd), offset),
    }
    .map_err(os_error)
}

fn not_held() -> PyErr {
    PyValueError::new_err("semaphore or lock released too many times")
}

/// The native half of `Lock`: held by one thread of one process, and released by anybody.
#[pyclass(frozen, subclass, weakref, module = "raddle._raddle")]
pub(crate) struct SharedLock {
    pub(super) core: Core,
}

#[pymethods]
impl SharedLock {
    /// A lock that is free, or the one that another process has named by `_name()`, whose descriptor it takes over.
    #[new]
    #[pyo3(signature = (given = None, /))]
    fn new(given: Option<Name>) -> PyResult<Self> {
        open(given).map(|core| Self { core })
    }

    /// Takes the lock. Waits for it if `block`, at most `timeout` seconds (None: for ever). Returns whether it was taken.
    ///
    /// Raises `OwnerDied` when it would wait for ever for a process that is gone, and what signal handlers raise.
    #[pyo3(signature = (block = true, timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        take(py, &self.core, patience(block, timeout)?)
    }

    /// Frees the lock, whoever holds it. Raises `ValueError` when nobody does.
    fn release(&self) -> PyResult<()> {
        self.core.release().map_err(|_| not_held())
    }

    /// Whether somebody holds it.
    fn locked(&self) -> bool {
        self.core.is_held()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        take(py, &self.core, Patience::Until(None))
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release()
    }

    /// By what another process finds it: a descriptor, which stays this object's, and an offset.
    fn _name(&self) -> Name {
        name(self.core.name())
    }

    /// Whether the calling thread holds it.
    fn _is_mine(&self) -> bool {
        self.core.is_mine()
    }

    /// How many times this process has taken it and not yet freed it.
    fn _count(&self) -> u32 {
        self.core.count()
    }
}

/// The native half of `RLock`: its holder may take it again.
#[pyclass(frozen, subclass, weakref, module = "raddle._raddle")]
pub(crate) struct SharedRLock {
    pub(super) core: Core,
}

impl SharedRLock {
    fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        if self.core.enter_again() { Ok(true) } else { take(py, &self.core, patience) }
    }

    /// Takes it if that is all there is to do.
    #[inline]
    pub(super) fn acquire_at_once(&self) -> bool {
        self.core.enter_again() || self.core.try_acquire()
    }

    /// Frees it if that is all there is to do.
    #[inline]
    pub(super) fn release_at_once(&self) -> bool {
        self.core.is_mine() && (self.core.leave_again() || self.core.release_alone())
    }
}

#[pymethods]
impl SharedRLock {
    /// A lock that is free, or the one that another process has named by `_name()`, whose descriptor it takes over.
    #[new]
    #[pyo3(signature = (given = None, /))]
    fn new(given: Option<Name>) -> PyResult<Self> {
        open(given).map(|core| Self { core })
    }

    /// Takes the lock. Waits for it if `block`, at most `timeout` seconds (None: for ever). Returns whether it was taken.
    ///
    /// Raises `OwnerDied` when it would wait for ever for a process that is gone, and what signal handlers raise.
    #[pyo3(signature = (block = true, timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        self.take(py, patience(block, timeout)?)
    }

    /// Undoes the last `acquire`. Raises `AssertionError` unless the calling thread holds it, or nobody does any more because
    /// the process that did is gone.
    fn release(&self) -> PyResult<()> {
        if !self.core.is_mine() && !self.core.is_orphaned() {
            let message = "attempt to release recursive lock not owned by thread";
            return Err(PyAssertionError::new_err(message));
        }
        if self.core.is_mine() && self.core.leave_again() {
            return Ok(());
        }
        self.core.release().map_err(|_| not_held())
    }

    /// Whether somebody holds it.
    fn locked(&self) -> bool {
        self.core.is_held()
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

    /// Whether the calling thread holds it.
    fn _is_mine(&self) -> bool {
        self.core.is_mine()
    }

    /// How many times this process has taken it and not yet freed it.
    fn _count(&self) -> u32 {
        self.core.count()
    }
}
