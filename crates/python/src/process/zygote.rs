//! What a zygote and its workers need of the system and the standard library lacks.

use pyo3::prelude::*;

/// Has the system kill this process when the thread that made it ends.
///
/// Arguments: `parent`, the process that made this one. Returns False when that one has ended before: then nothing will kill
/// this process.
#[pyfunction]
#[pyo3(signature = (parent, /))]
pub(crate) fn die_with_parent(parent: u32) -> PyResult<bool> {
    Ok(raddle_sys::process::die_with_parent(parent)?)
}
