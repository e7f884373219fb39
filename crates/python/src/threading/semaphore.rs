//! `Semaphore` and `BoundedSemaphore`.

use super::async_wait::{self, AsyncWait, Ready};
use super::made::Made;
use super::naming::name_and_place;
use super::timeout::{Patience, truth};
use super::wait;
use crate::ffi;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Semaphore as Core, Waitable};
use std::sync::Arc;

/// A number of permits, which threads and tasks take and give back.
///
/// `fair`: those who wait get one in the order in which they came.
#[pyclass(frozen, subclass, dict, weakref, module = "raddle.threading")]
pub(crate) struct Semaphore {
    made: Made<Arc<Core>>,
}

/// Whether its methods are the ones that stand here.
#[inline]
pub(super) fn is_plain(class: &Bound<'_, PyType>) -> bool {
    let py = class.py();
    class.is(py.get_type::<Semaphore>()) || class.is(py.get_type::<BoundedSemaphore>())
}

impl Semaphore {
    #[inline]
    pub(crate) fn core(&self) -> PyResult<&Arc<Core>> {
        self.made.get()
    }

    /// Takes a permit if that is all there is to do.
    #[inline]
    pub(super) fn acquire_at_once(&self) -> bool {
        self.made.peek().is_some_and(|core| core.try_acquire(1))
    }

    /// Gives a permit back if that is all there is to do.
    #[inline]
    pub(super) fn release_at_once(&self) -> bool {
        self.made.peek().is_some_and(|core| core.release_alone(1))
    }

    fn make(&self, value: i64, bounded: bool, fair: bool) -> PyResult<()> {
        let value = u64::try_from(value)
            .map_err(|_| PyValueError::new_err("semaphore initial value must be >= 0"))?;
        self.made.make(Arc::new(Core::new(value, bounded.then_some(value), fair)));
        Ok(())
    }

    fn take(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let core = slf.get().core()?;
        Ok(core.try_acquire(1) || wait::block_patiently(slf.as_any(), Arc::clone(core), patience)?)
    }

    fn give_back(&self, count: u64) -> PyResult<()> {
        self.core()?.release(count).map_err(|over| {
            if over.bound == Core::MAX {
                PyOverflowError::new_err(format!("a semaphore holds at most {} permits", Core::MAX))
            } else {
                PyValueError::new_err("Semaphore released too many times")
            }
        })
    }

    /// `<module.Class at 0x…: value=`, the beginning of a repr.
    fn begin_repr(slf: &Bound<'_, Self>) -> PyResult<String> {
        let value = slf.get().core()?.value();
        Ok(format!("<{}: value={value}", name_and_place(slf)?))
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { made: Made::default() }
    }

    #[pyo3(signature = (value = 1, *, fair = false))]
    fn __init__(&self, value: i64, fair: bool) -> PyResult<()> {
        self.make(value, false, fair)
    }

    /// Takes a permit. Waits for one if `blocking`, at most `timeout` seconds (None: for ever). Returns whether it got one.
    #[pyo3(signature = (blocking = true, timeout = None))]
    fn acquire(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        let patience = match (blocking, timeout) {
            (true, timeout) => Patience::of_wait(timeout)?,
            (false, None) => Patience::Never,
            (false, Some(_)) => {
                return Err(PyValueError::new_err("can't specify timeout for non-blocking acquire"));
            }
        };
        Self::take(slf, patience)
    }

    /// Gives `n` permits back, to those who wait first of all. Anybody may do it.
    ///
    /// Raises `ValueError` when a `BoundedSemaphore` would have more permits than at first; then it stays as it was.
    #[pyo3(signature = (n = 1))]
    fn release(&self, n: i64) -> PyResult<()> {
        match u64::try_from(n) {
            Ok(count @ 1..) => self.give_back(count),
            _ => Err(PyValueError::new_err("n must be one or more")),
        }
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::take(slf, Patience::Until(None))
    }

    /// Calls a subclass's `release`, as the stdlib's does; `__enter__` is the class's own `acquire` there, too.
    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if is_plain(&slf.get_type()) {
            return slf.get().give_back(1);
        }
        ffi::invoke(&slf.getattr("release")?, ()).map(drop)
    }

    /// `acquire` for coroutines: waits at most `timeout` seconds (None: for ever).
    #[pyo3(signature = (timeout = None))]
    fn acquire_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::entered(slf.py(), Self::begin(slf)?)
    }

    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        kind: &Bound<'py, PyAny>,
        error: &Bound<'py, PyAny>,
        traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::__exit__(slf, kind, error, traceback)?;
        Ready::nothing(kind.py())
    }

    #[pyo3(name = "_async_wait")]
    fn begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let core = slf.get().core()?;
        if core.try_acquire(1) {
            return Ok(None);
        }
        AsyncWait::of_current_task(slf.as_any(), Arc::clone(core) as Arc<dyn Waitable>).map(Some)
    }

    /// How many permits are free.
    #[getter]
    fn _value(&self) -> PyResult<u64> {
        Ok(self.core()?.value())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(Self::begin_repr(slf)? + ">")
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

/// A semaphore that never has more permits than at first.
#[pyclass(frozen, subclass, extends = Semaphore, module = "raddle.threading")]
pub(crate) struct BoundedSemaphore;

#[pymethods]
impl BoundedSemaphore {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Semaphore::new(args, kwargs)).add_subclass(Self)
    }

    #[pyo3(signature = (value = 1, *, fair = false))]
    fn __init__(slf: &Bound<'_, Self>, value: i64, fair: bool) -> PyResult<()> {
        slf.as_super().get().make(value, true, fair)
    }

    /// How many permits it has when none is taken.
    #[getter]
    fn _initial_value(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Ok(slf.as_super().get().core()?.bound())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let begin = Semaphore::begin_repr(slf.as_super())?;
        Ok(format!("{begin}/{}>", Self::_initial_value(slf)?))
    }
}
