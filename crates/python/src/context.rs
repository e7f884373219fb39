//! The context variables that travel into a task.
//!
//! Most programs have none, and then nothing travels: each worker keeps one blank context and uses it again for as long
//! as the tasks leave it blank. That saves an object per queued task, and the garbage collector the sight of it.

use crate::ffi;
use pyo3::prelude::*;
use std::cell::Cell;

thread_local!(static BLANK: Cell<Option<Py<PyAny>>> = const { Cell::new(None) });

/// The variables of the thread that submitted, as they were then. None: there were none.
pub(crate) struct Context(Option<Py<PyAny>>);

impl Context {
    /// What the calling thread sees now.
    pub(crate) fn capture(py: Python<'_>) -> PyResult<Self> {
        let context = ffi::copy_current_context(py)?;
        Ok(Self(if context.len()? == 0 { None } else { Some(context.unbind()) }))
    }

    /// Runs `body` in the captured context itself: for a task that runs once.
    pub(crate) fn run<R>(&self, py: Python<'_>, body: impl FnOnce() -> R) -> PyResult<R> {
        match &self.0 {
            Some(context) => ffi::in_context(context.bind(py), body),
            None => in_blank(py, body),
        }
    }

    /// Runs `body` in a copy: for what runs several times, maybe at once, and must not see what the others set.
    pub(crate) fn run_copy<R>(&self, py: Python<'_>, body: impl FnOnce() -> R) -> PyResult<R> {
        match &self.0 {
            Some(context) => ffi::in_context(&ffi::copy_context(context.bind(py))?, body),
            None => in_blank(py, body),
        }
    }
}

/// A copy of what the calling thread sees now; None when there are no variables.
pub(crate) fn copy_of_current(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let context = ffi::copy_current_context(py)?;
    Ok(if context.len()? == 0 { None } else { Some(context) })
}

/// Runs `body` in a context that came from elsewhere, or in a blank one.
pub(crate) fn in_loaded<R>(
    py: Python<'_>,
    context: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce() -> R,
) -> PyResult<R> {
    match context {
        Some(context) => ffi::in_context(context, body),
        None => in_blank(py, body),
    }
}

/// The same for one of several calls, none of which is to see what another one sets.
pub(crate) fn in_copy_of_loaded<R>(
    py: Python<'_>,
    context: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce() -> R,
) -> PyResult<R> {
    match context {
        Some(context) => ffi::in_context(&ffi::copy_context(context)?, body),
        None => in_blank(py, body),
    }
}

/// The worker ends: its blank context goes while the interpreter is there, not with the thread's other locals. (A reference
/// that is dropped without the interpreter is left in a common pool, whose lock a fork may catch.)
pub(crate) fn forget_blank() {
    drop(BLANK.take());
}

fn in_blank<R>(py: Python<'_>, body: impl FnOnce() -> R) -> PyResult<R> {
    let context = match BLANK.take() {
        Some(context) => context.into_bound(py),
        None => ffi::new_context(py)?,
    };
    let result = ffi::in_context(&context, body)?;
    if context.len()? == 0 {
        BLANK.set(Some(context.unbind()));
    }
    Ok(result)
}
