//! `maxsize`: a number for the native queue, and what the user gave for whoever asks.

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};
use raddle_sync::Mutex;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};

/// The argument. None is something that was given, and not what the stdlib has for no bound.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a, 'py> {
    Nothing,
    Object(Borrowed<'a, 'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'a, 'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self::Object(object))
    }
}

#[derive(Default)]
pub(crate) struct MaxSize {
    /// Zero or less for any number of items.
    number: AtomicI64,
    /// What was given, if it is not that number: infinity, or an integer that no queue will ever reach.
    beyond: Mutex<Option<Py<PyAny>>>,
}

impl MaxSize {
    /// Stores it if the native queue can do with it. Subclasses of numbers compare as they like, so they are for Python.
    pub(crate) fn set(&self, given: &Bound<'_, PyAny>) -> bool {
        let number = if given.is_exact_instance_of::<PyInt>() {
            given.extract::<i64>().ok()
        } else if given.cast_exact::<PyFloat>().is_ok_and(|float| float.value().is_infinite()) {
            None
        } else {
            return false;
        };
        let beyond = number.is_none().then(|| given.clone().unbind());
        let former = std::mem::replace(&mut *self.beyond.lock(), beyond);
        self.number.store(number.unwrap_or(0), Ordering::Relaxed);
        drop(former);
        true
    }

    pub(crate) fn bound(&self) -> Option<NonZeroUsize> {
        usize::try_from(self.number.load(Ordering::Relaxed)).ok().and_then(NonZeroUsize::new)
    }

    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let beyond = self.beyond.lock().as_ref().map(|beyond| beyond.clone_ref(py));
        match beyond {
            Some(beyond) => Ok(beyond),
            None => Ok(self.number.load(Ordering::Relaxed).into_pyobject(py)?.into_any().unbind()),
        }
    }
}
