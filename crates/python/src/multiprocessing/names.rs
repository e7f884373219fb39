//! What is defined in Python and needed here.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

pub(crate) struct Names {
    owner_died: Py<PyType>,
    empty: Py<PyType>,
    full: Py<PyType>,
    /// `dump(object) -> bytes`, for objects that may need a reducer of `multiprocessing`'s.
    pub(crate) dump: Py<PyAny>,
    /// `pickle.dumps`.
    pub(crate) dumps: Py<PyAny>,
    /// `pickle.loads`.
    pub(crate) loads: Py<PyAny>,
    pub(crate) on_error: Py<PyString>,
    /// What a manager says before what a method has returned, and before an exception.
    pub(crate) returned: Py<PyString>,
    pub(crate) raised: Py<PyString>,
}

impl Names {
    /// `OwnerDied(message, pid)`.
    pub(crate) fn owner_died(&self, py: Python<'_>, pid: u32) -> PyErr {
        let message = format!("process {pid}, which holds the lock, is gone; release() frees it");
        PyErr::from_type(self.owner_died.bind(py).clone(), (message, pid))
    }

    /// `Empty()`.
    pub(crate) fn empty(&self, py: Python<'_>) -> PyErr {
        PyErr::from_type(self.empty.bind(py).clone(), ())
    }

    /// `Full()`.
    pub(crate) fn full(&self, py: Python<'_>) -> PyErr {
        PyErr::from_type(self.full.bind(py).clone(), ())
    }
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

pub(crate) fn names(py: Python<'_>) -> &'static Names {
    NAMES.get(py).expect("raddle._internal calls bind_multiprocessing() when it is imported")
}

/// Hands what is defined in Python to the native half. Called once, by `raddle._internal`.
#[pyfunction]
#[pyo3(signature = (namespace, /))]
pub(crate) fn bind_multiprocessing(namespace: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = namespace.py();
    let class = |name: &str| Ok::<_, PyErr>(namespace.getattr(name)?.cast_into::<PyType>()?.unbind());
    let object = |name: &str| namespace.getattr(name).map(Bound::unbind);
    let names = Names {
        owner_died: class("OwnerDied")?,
        empty: class("Empty")?,
        full: class("Full")?,
        dump: object("dump")?,
        dumps: object("dumps")?,
        loads: object("loads")?,
        on_error: PyString::new(py, "_on_queue_feeder_error").unbind(),
        returned: PyString::new(py, "#RETURN").unbind(),
        raised: PyString::new(py, "#ERROR").unbind(),
    };
    // A second import (a reload) keeps the first classes.
    let _ = NAMES.set(py, names);
    Ok(())
}
