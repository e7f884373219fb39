//! How objects name themselves.

use pyo3::prelude::*;

/// `threading.Event at 0x…`, the beginning of a repr that people know: Raddle's own classes as the stdlib's are shown.
pub(crate) fn name_and_place<T>(object: &Bound<'_, T>) -> PyResult<String> {
    let class = object.as_any().get_type();
    let (module, name) = (class.module()?.to_string(), class.qualname()?);
    let module = module.strip_prefix("raddle.").unwrap_or(&module);
    Ok(format!("{module}.{name} at {:#x}", object.as_ptr() as usize))
}
