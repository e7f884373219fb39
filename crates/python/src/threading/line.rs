//! How a waiter's wake-up gets to its task: through the task's event loop, from any thread.
//!
//! Whoever rings must not lose it. It is passed on when the loop has been closed: before, which ringing tells; or while the call
//! lay in the loop, which the call's own end tells. And when ringing fails for reasons of the one who rings, it is tried again:
//!
//! - A signal handler, or somebody who sends exceptions to threads, raises something in the midst of it. That one is raised
//!   again afterwards.
//! - There is no room left on the stack. Then the timers' thread rings.

use super::async_wait::AsyncWait;
use super::wait::chain;
use crate::ffi;
use crate::interpreter::{names, timers};
use pyo3::exceptions::{PyMemoryError, PyRecursionError};
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::Moment;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// How often it is tried to ring: each time may be that of a signal.
const TRIES: u32 = 8;

/// From a waiter to its wait in its loop. It keeps neither.
pub(super) struct Line {
    running_loop: Py<PyWeakrefReference>,
    wait: OnceLock<Py<PyWeakrefReference>>,
}

impl Line {
    pub(super) fn to(running_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let running_loop = PyWeakrefReference::new(running_loop)?.unbind();
        Ok(Arc::new(Self { running_loop, wait: OnceLock::new() }))
    }

    /// To be done once.
    pub(super) fn connect(&self, wait: &Bound<'_, AsyncWait>) -> PyResult<()> {
        let connected = self.wait.set(PyWeakrefReference::new(wait.as_any())?.unbind());
        debug_assert!(connected.is_ok(), "a line leads to one wait");
        Ok(())
    }

    fn wait<'py>(&self, py: Python<'py>) -> Option<Bound<'py, AsyncWait>> {
        self.wait.get()?.bind(py).upgrade()?.cast_into().ok()
    }

    /// False when nobody is there any more.
    pub(super) fn ring(self: &Arc<Self>) -> bool {
        Python::attach(|py| {
            let Some(wait) = self.wait(py) else { return false };
            let rung = match self.try_to_ring(&wait) {
                Err(error) if is_for_want_of_room(py, &error) => self.ring_elsewhere(),
                rung => told(rung, &wait),
            };
            if !rung {
                wait.get().is_lost(py);
            }
            rung
        })
    }

    /// For one who has no room for it.
    fn ring_elsewhere(self: &Arc<Self>) -> bool {
        let line = Arc::clone(self);
        let ring = move || {
            Python::attach(|py| {
                if let Some(wait) = line.wait(py)
                    && !told(line.try_to_ring(&wait), &wait)
                {
                    wait.get().pass_on(py);
                }
            });
        };
        timers().at(Moment::now(), ring).is_ok()
    }

    fn try_to_ring(&self, wait: &Bound<'_, AsyncWait>) -> PyResult<bool> {
        let py = wait.py();
        let Some(running_loop) = self.running_loop.bind(py).upgrade() else { return Ok(false) };
        let mut raised = None;
        for _ in 0..TRIES {
            match Call::give(wait, &running_loop) {
                Err(error) if !is_for_want_of_room(py, &error) => raised = Some(chain(py, error, raised)),
                done => {
                    if let Some(raised) = raised {
                        raise_later(py, raised);
                    }
                    return done;
                }
            }
        }
        raised.map_or(Ok(false), Err)
    }

    /// Whether the loop has been closed, as far as that can be told.
    pub(super) fn is_cut(&self, py: Python<'_>) -> bool {
        let Some(running_loop) = self.running_loop.bind(py).upgrade() else { return true };
        let closed = running_loop.getattr("is_closed").and_then(|is_closed| ffi::invoke(&is_closed, ()));
        closed.and_then(|closed| closed.is_truthy()).unwrap_or(false)
    }
}

fn is_for_want_of_room(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyRecursionError>(py) || error.is_instance_of::<PyMemoryError>(py)
}

/// A loop that can't be rung in has nobody who could be woken.
fn told(rung: PyResult<bool>, wait: &Bound<'_, AsyncWait>) -> bool {
    rung.unwrap_or_else(|error| {
        error.write_unraisable(wait.py(), Some(wait.as_any()));
        false
    })
}

/// Raises what was raised where it could not be, as soon as the calling thread runs Python code.
fn raise_later(py: Python<'_>, error: PyErr) {
    if raddle_sys::thread::is_main() {
        ffi::raise_in_main_thread(py, error);
    } else {
        // Only classes can be sent to other threads: this was one.
        ffi::set_async_exception(py, raddle_sys::thread::ident(), Some(&error.get_type(py)));
    }
}

/// Runs `body` in a destructor, where an exception may be on its way already.
pub(super) fn aside(body: impl FnOnce(Python<'_>)) {
    Python::attach(|py| {
        let raised = PyErr::take(py);
        body(py);
        if let Some(raised) = raised {
            raised.restore(py);
        }
    });
}

/// What the loop is to call.
#[pyclass(frozen, module = "raddle._raddle")]
struct Call {
    wait: Py<AsyncWait>,
    /// It has been called, or its end means nothing.
    settled: AtomicBool,
}

impl Call {
    /// Has a loop call it soon. False when the loop has been closed.
    fn give(wait: &Bound<'_, AsyncWait>, running_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = wait.py();
        let call = Bound::new(py, Self { wait: wait.clone().unbind(), settled: AtomicBool::new(false) })?;
        let taken = ffi::invoke(names(py).ring.bind(py), (running_loop, &call));
        let taken = taken.and_then(|taken| taken.is_truthy());
        if !matches!(taken, Ok(true)) {
            call.get().settle();
        }
        taken
    }

    fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }
}

#[pymethods]
impl Call {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.settle();
        self.wait.get().arrive(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.wait)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !*self.settled.get_mut() {
            // The loop was closed with it, or has gone.
            aside(|py| {
                let wait = self.wait.get();
                if wait.is_abandoned(py) {
                    wait.pass_on(py);
                }
            });
        }
    }
}

pub(super) fn prepare(py: Python<'_>) {
    drop(py.get_type::<Call>());
}
