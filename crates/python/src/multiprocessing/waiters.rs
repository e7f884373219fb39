//! The native half of `Condition`: its queue.

use super::{Name, name, os_error, wait};
use crate::ffi::take_fd;
use crate::threading::timeout::Patience;
use pyo3::prelude::*;
use raddle_process::primitives::Waiters as Core;
use raddle_process::primitives::waiters::Seat;

/// Who waits for a condition, in the order in which they came. All but `wait` is for the holder of its lock.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct SharedWaiters {
    core: Core,
}

/// A place in the queue.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct SharedSeat(Seat);

#[pymethods]
impl SharedWaiters {
    /// A queue that nobody stands in, or the one that another process has named by `_name()`, whose descriptor it takes over.
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

    /// Takes a place at the end.
    fn enter(&self) -> SharedSeat {
        SharedSeat(self.core.enter())
    }

    /// Waits until the place is called, at most `timeout` seconds (None: for ever).
    #[pyo3(signature = (seat, timeout = None, /))]
    fn wait(&self, py: Python<'_>, seat: &SharedSeat, timeout: Option<f64>) -> PyResult<()> {
        wait(py, Patience::of_wait(timeout)?, |until| self.core.wait(seat.0, until)).map(drop)
    }

    /// Gives the place up, once. Returns whether it had been called.
    #[pyo3(signature = (seat, /))]
    fn leave(&self, seat: &SharedSeat) -> bool {
        self.core.leave(seat.0)
    }

    /// Calls those who have waited longest.
    #[pyo3(signature = (count, /))]
    fn notify(&self, count: usize) {
        self.core.notify(count);
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    /// By what another process finds it: a descriptor, which stays this object's, and an offset.
    fn _name(&self) -> Name {
        name(self.core.name())
    }
}
