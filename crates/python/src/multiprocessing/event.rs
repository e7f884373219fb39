//! The native half of `Event`.

use super::{Name, name, os_error, wait};
use crate::ffi::take_fd;
use crate::threading::timeout::Patience;
use pyo3::prelude::*;
use raddle_process::primitives::Event as Core;

/// The native half of `Event`: a flag that processes set, clear and wait for.
#[pyclass(frozen, subclass, weakref, module = "raddle._raddle")]
pub(crate) struct SharedEvent {
    pub(super) core: Core,
}

#[pymethods]
impl SharedEvent {
    /// An event that is not set, or the one that another process has named by `_name()`, whose descriptor it takes over.
    #[new]
    #[pyo3(signature = (given = None, /))]
    fn new(given: Option<Name>) -> PyResult<Self> {
        match given {
            None => Core::new(),
            Some((fd, offset)) => Core::attach(take_fd(fd), offset),
        }
        .map(|core| Self { core })
        .map_err(os_error)
    }

    /// Whether it is set.
    fn is_set(&self) -> bool {
        self.core.is_set()
    }

    /// Sets it, and wakes all who wait.
    fn set(&self) {
        self.core.set();
    }

    /// Clears it.
    fn clear(&self) {
        self.core.clear();
    }

    /// Waits until it is set, at most `timeout` seconds (None: for ever). Returns whether it was, also if it has been cleared since.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let seen = self.core.turns();
        Ok(seen & 1 == 1 || wait(py, Patience::of_wait(timeout)?, |until| self.core.wait(seen, until))?)
    }

    /// By what another process finds it: a descriptor, which stays this object's, and an offset.
    fn _name(&self) -> Name {
        name(self.core.name())
    }
}
