//! What the stdlib's own code works with on a future: a condition and a list of waiters, made when they are asked for.

use crate::ffi::{self, SIGINT};
use crate::future::Future;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The stdlib's `_condition` and `_waiters` of one future.
pub(crate) struct Views {
    pub(crate) condition: Py<PyAny>,
    pub(crate) waiters: Py<PyList>,
}

impl Views {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let condition = py.import("threading")?.call_method0("Condition")?.unbind();
        Ok(Self { condition, waiters: PyList::empty(py).unbind() })
    }

    /// Calls `method(future)` of each waiter, then wakes those who sleep on the condition.
    pub(crate) fn tell(future: &Bound<'_, Future>, method: &str) {
        let py = future.py();
        Self::notify(future, |views| {
            for waiter in views.waiters.bind(py).iter() {
                let told = waiter.getattr(method).and_then(|method| ffi::invoke(&method, (future,)));
                if let Err(error) = told {
                    error.write_unraisable(py, Some(&waiter));
                }
            }
        });
    }

    /// Holds the condition, if it is there, while `body` runs; then notifies all. An interrupt in between is put off: those
    /// who wait would never be told.
    pub(crate) fn notify(future: &Bound<'_, Future>, body: impl FnOnce(&Self)) {
        let py = future.py();
        let Some(views) = future.get().views.get() else { return };
        let condition = views.condition.bind(py);
        let mut interrupted = false;
        let mut on_condition = |method: &str| {
            loop {
                match condition.getattr(method).and_then(|method| ffi::invoke(&method, ())) {
                    Ok(_) => return true,
                    Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => interrupted = true,
                    Err(error) => {
                        error.write_unraisable(py, Some(future.as_any()));
                        return false;
                    }
                }
            }
        };
        if on_condition("acquire") {
            body(views);
            on_condition("notify_all");
            on_condition("release");
        }
        if interrupted {
            ffi::trip_signal(SIGINT);
        }
    }
}
