//! `Event`.

use super::async_wait::{self, AsyncWait, Ready};
use super::naming::name_and_place;
use super::timeout::Patience;
use super::wait;
use pyo3::exceptions::{PyDeprecationWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Event as Core, Waitable};
use std::sync::Arc;

/// A flag that threads and tasks wait for, until somebody sets it.
#[pyclass(frozen, subclass, dict, weakref, module = "raddle.threading")]
pub(crate) struct Event {
    pub(crate) core: Arc<Core>,
}

#[pymethods]
impl Event {
    /// A subclass may take arguments in its `__init__`.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        class: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let any = !args.is_empty() || kwargs.is_some_and(|kwargs| !kwargs.is_empty());
        if any && class.is(class.py().get_type::<Self>()) {
            return Err(PyTypeError::new_err("Event() takes no arguments"));
        }
        Ok(Self { core: Arc::new(Core::new()) })
    }

    /// Whether it is set.
    fn is_set(&self) -> bool {
        self.core.is_set()
    }

    /// Deprecated: `is_set`.
    #[pyo3(name = "isSet")]
    fn is_set_once(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let category = slf.py().get_type::<PyDeprecationWarning>();
        PyErr::warn(slf.py(), &category, c"isSet() is deprecated, use is_set() instead", 1)?;
        Ok(slf.get().core.is_set())
    }

    /// Sets it. Whoever waits goes on, even when it is cleared at once.
    fn set(&self) {
        self.core.set();
    }

    /// Takes the flag back.
    fn clear(&self) {
        self.core.clear();
    }

    /// Waits until it is set, at most `timeout` seconds (None: for ever). Returns whether it was set.
    #[pyo3(signature = (timeout = None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        let core = &slf.get().core;
        if core.is_set() {
            return Ok(true);
        }
        wait::block_patiently(slf.as_any(), Arc::clone(core), Patience::of_wait(timeout)?)
    }

    /// `wait` for coroutines: `await event.wait_async()`, or `await event`.
    #[pyo3(signature = (timeout = None))]
    fn wait_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().core.is_set() {
            return Ready::yes(slf.py());
        }
        Self::wait_async(slf, None)?.call_method0("__await__")
    }

    fn _async_wait<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let core = &slf.get().core;
        if core.is_set() {
            return Ok(None);
        }
        AsyncWait::of_current_task(slf.as_any(), Arc::clone(core) as Arc<dyn Waitable>).map(Some)
    }

    /// For a forked child, where nobody waits: it stays set or not as it was.
    #[expect(clippy::unused_self, reason = "the child's first wait begins with an empty queue anyway")]
    fn _at_fork_reinit(&self) {}

    /// Whether it is set.
    #[getter]
    fn _flag(&self) -> bool {
        self.core.is_set()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().core.is_set() { "set" } else { "unset" };
        Ok(format!("<{}: {state}>", name_and_place(slf)?))
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the collector's protocol; attributes are visited by the binding library"
    )]
    fn __traverse__(&self, _visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }
}
