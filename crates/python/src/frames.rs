//! The frames of all threads, asked for without the deadlock that `CPython` 3.11 has there.

use crate::ffi;
use pyo3::prelude::*;

/// `sys._current_frames()`: the innermost frame of every thread, by the thread's identity.
///
/// `CPython` 3.11 makes these objects while it holds the lock of its list of threads. What the collector calls in between may let
/// another thread have the interpreter; when that one needs the lock, because it starts a thread or ends, both wait for ever, and all
/// others with them. (gh-106883, mended in 3.11.9. Up to 3.10 the objects are there already.)
#[pyfunction]
pub(crate) fn current_frames(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let ask = py.import("sys")?.getattr("_current_frames")?;
    ffi::without_collector(py, || ffi::invoke(&ask, ()))
}
