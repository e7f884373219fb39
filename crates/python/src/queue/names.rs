//! What is defined in Python and needed here.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// The methods by which a subclass organises its items otherwise.
const HOOKS: [&str; 4] = ["_init", "_put", "_get", "_qsize"];

/// How the items of a class stand in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fifo,
    Lifo,
    Heap,
}

/// A class with native items, and its hooks: a subclass in which one of them is another one is no longer native.
pub(crate) struct Native {
    pub(crate) kind: Kind,
    pub(crate) hooks: Vec<Py<PyAny>>,
}

pub(crate) struct Names {
    empty: Py<PyType>,
    full: Py<PyType>,
    shut_down: Py<PyType>,
    /// `Hooked()`: the state of a queue in Python.
    pub(crate) hooked: Py<PyAny>,
    /// `collections.deque`, which holds the items of a `Queue` in Python.
    pub(crate) deque: Py<PyAny>,
    /// `itertools.chain`, for the items that were not put.
    pub(crate) chain: Py<PyAny>,
    /// `aget(queue, timeout)`: a coroutine that takes an item.
    pub(crate) aget: Py<PyAny>,
    /// What `_try_get` returns when there is nothing to get.
    pub(crate) later: Py<PyAny>,
    pub(crate) natives: Vec<Native>,
    /// The names of [`HOOKS`].
    pub(crate) hooks: Vec<Py<PyString>>,
    /// `get` and `put` as they are when no subclass overrides them.
    pub(crate) get: Py<PyAny>,
    pub(crate) put: Py<PyAny>,
}

impl Names {
    /// `Empty()`.
    pub(crate) fn empty(&self, py: Python<'_>) -> PyErr {
        PyErr::from_type(self.empty.bind(py).clone(), ())
    }

    /// `Full()`.
    pub(crate) fn full(&self, py: Python<'_>) -> PyErr {
        PyErr::from_type(self.full.bind(py).clone(), ())
    }

    /// `ShutDown()`.
    pub(crate) fn shut_down(&self, py: Python<'_>) -> PyErr {
        PyErr::from_type(self.shut_down.bind(py).clone(), ())
    }

    /// Whether it is a `ShutDown`.
    pub(crate) fn is_shut_down(&self, py: Python<'_>, error: &PyErr) -> bool {
        error.is_instance(py, self.shut_down.bind(py))
    }
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

pub(crate) fn names(py: Python<'_>) -> &'static Names {
    NAMES.get(py).expect("raddle._internal calls bind_queues() when it is imported")
}

/// Hands the classes that are defined in Python to the native half. Called once, by `raddle._internal`.
#[pyfunction]
#[pyo3(signature = (namespace, /))]
pub(crate) fn bind_queues(namespace: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = namespace.py();
    let class = |name: &str| Ok::<_, PyErr>(namespace.getattr(name)?.cast_into::<PyType>()?.unbind());
    let object = |name: &str| namespace.getattr(name).map(Bound::unbind);
    let hooks: Vec<_> = HOOKS.map(|name| PyString::new(py, name).unbind()).into();
    let native = |kind, name: &str| {
        let class = class(name)?;
        let hooks = hooks.iter().map(|hook| class.bind(py).getattr(hook).map(Bound::unbind));
        Ok::<_, PyErr>(Native { kind, hooks: hooks.collect::<PyResult<_>>()? })
    };
    let queue = class("Queue")?;
    let names = Names {
        empty: class("Empty")?,
        full: class("Full")?,
        shut_down: class("ShutDown")?,
        hooked: object("Hooked")?,
        deque: object("deque")?,
        chain: object("chain")?,
        aget: object("aget")?,
        later: object("LATER")?,
        natives: vec![
            native(Kind::Fifo, "Queue")?,
            native(Kind::Lifo, "LifoQueue")?,
            native(Kind::Heap, "PriorityQueue")?,
        ],
        get: queue.bind(py).getattr("get")?.unbind(),
        put: queue.bind(py).getattr("put")?.unbind(),
        hooks,
    };
    // A second import (a reload) keeps the first classes.
    let _ = NAMES.set(py, names);
    Ok(())
}

/// Whether this is the name of a hook.
pub(crate) fn is_hook(name: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(HOOKS.contains(&name.to_str()?))
}

/// Which order the items of a class have; None when it overrides a hook.
pub(crate) fn kind_of(class: &Bound<'_, PyType>) -> PyResult<Option<Kind>> {
    let py = class.py();
    let names = names(py);
    let hooks = names.hooks.iter().map(|hook| class.getattr(hook)).collect::<PyResult<Vec<_>>>()?;
    let same = |native: &&Native| native.hooks.iter().zip(&hooks).all(|(one, other)| other.is(one));
    Ok(names.natives.iter().find(same).map(|native| native.kind))
}
