//! What a zygote and its workers need of the system and the standard library lacks.

use pyo3::prelude::*;
use raddle_sys::process;

/// Leaves the terminal's signals to others: SIGINT does nothing here, and is as usual in programs that tasks start.
#[pyfunction]
pub(crate) fn disregard_terminal() -> PyResult<()> {
    Ok(process::disregard_terminal()?)
}

/// Has the system kill this process when the thread that made it ends.
///
/// Arguments: `parent`, the process that made this one; `group`, whether what this one has started goes too (see
/// [`die_with_parent_and_group`](raddle_sys::process::die_with_parent_and_group)). Returns False when the parent has ended
/// before: then nothing will kill this process.
#[pyfunction]
#[pyo3(signature = (parent, /, *, group))]
pub(crate) fn die_with_parent(parent: u32, group: bool) -> PyResult<bool> {
    let die = if group { process::die_with_parent_and_group } else { process::die_with_parent };
    Ok(die(parent)?)
}

/// Which limit an error of this number tells has been reached, in brackets, for people; empty where that is not known.
#[pyfunction]
#[pyo3(signature = (number, /))]
pub(crate) fn limit_behind(number: i32) -> String {
    raddle_sys::shortage::limit_behind(&std::io::Error::from_raw_os_error(number))
}
