//! `SimpleQueue`.

use super::arguments::{Block, Wait};
use super::core::Item;
use super::names::names;
use super::simple_core::Core;
use crate::ffi;
use crate::threading::async_wait::AsyncWait;
use crate::threading::timeout::Patience;
use crate::threading::wait;
use crate::threading::wanted::Wanted;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyGenericAlias, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Owner, Waitable, Waiter, Woken};
use std::sync::Arc;

/// A queue without a bound, that can be put to at any time: in a signal handler, in a finalizer, in the middle of a `get`.
///
/// Items come out first in, first out. Threads and coroutines can use it at once.
///
///     >>> from raddle.queue import SimpleQueue
///     >>> queue = SimpleQueue()
///     >>> queue.put("item")
///     >>> queue.get()
///     'item'
#[pyclass(frozen, subclass, weakref, name = "SimpleQueue", module = "raddle.queue")]
pub(crate) struct SimpleQueue {
    pub(super) core: Core,
}

impl SimpleQueue {
    #[inline]
    fn add(slf: &Bound<'_, Self>, item: Item) {
        if let Some(woken) = slf.get().core.put(slf.py(), item) {
            woken.ring(&slf.get().core);
        }
    }

    #[inline]
    fn take(slf: &Bound<'_, Self>, wait: Wait) -> PyResult<Item> {
        match slf.get().core.get(slf.py()) {
            Some(item) => Ok(item),
            None => Self::wait(slf, wait),
        }
    }

    #[cold]
    fn wait(slf: &Bound<'_, Self>, mut wait: Wait) -> PyResult<Item> {
        let (py, core) = (slf.py(), &slf.get().core);
        if let Patience::Until(deadline) = wait.begin()? {
            let waiter = Waiter::thread(Owner::current_thread());
            let wanted = Wanted::by_thread(slf.as_any(), ForItem::of(slf));
            while wait::block_with(py, &waiter, &wanted, deadline)? {
                if let Some(item) = core.get(py) {
                    return Ok(item);
                }
            }
        }
        Err(names(py).empty(py))
    }
}

/// What a wait is for.
struct ForItem(Py<SimpleQueue>);

impl ForItem {
    fn of(queue: &Bound<'_, SimpleQueue>) -> Self {
        Self(queue.clone().unbind())
    }
}

impl Waitable for ForItem {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.0.get().core.attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.0.get().core.abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.0.get().core.pass_on(waiter)
    }
}

#[pymethods]
impl SimpleQueue {
    /// A subclass may take other arguments in its `__init__`.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs), text_signature = "()")]
    fn new(
        class: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let given = !args.is_empty() || kwargs.is_some_and(|kwargs| !kwargs.is_empty());
        if given && class.is(class.py().get_type::<Self>()) {
            return Err(PyTypeError::new_err("SimpleQueue() takes no arguments"));
        }
        Ok(Self { core: Core::new() })
    }

    /// Puts an item, at once. `block` and `timeout` are ignored.
    #[pyo3(
        signature = (item, block = None, timeout = None),
        text_signature = "($self, item, block=True, timeout=None)"
    )]
    fn put(
        slf: &Bound<'_, Self>,
        item: Item,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) {
        let _ = (block, timeout);
        Self::add(slf, item);
    }

    /// Puts an item.
    fn put_nowait(slf: &Bound<'_, Self>, item: Item) {
        Self::add(slf, item);
    }

    /// Takes the next item. While there is none it waits if `block`, at most `timeout` seconds. Raises `Empty` after that.
    #[pyo3(
        signature = (block = Block(true), timeout = None),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn get(slf: &Bound<'_, Self>, block: Block, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Item> {
        let mut wait = Wait::of(block, timeout)?;
        if let Wait::Within(_) = wait {
            // Here the stdlib looks at the timeout before it looks at the queue.
            wait.begin()?;
        }
        Self::take(slf, wait)
    }

    /// Takes the next item, or raises `Empty`.
    fn get_nowait(slf: &Bound<'_, Self>) -> PyResult<Item> {
        Self::take(slf, Wait::Never)
    }

    /// Takes the next item, in a coroutine. While there is none it waits, at most `timeout` seconds. Raises `Empty` after that.
    #[pyo3(signature = (timeout = None))]
    fn aget<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        ffi::invoke(names(slf.py()).aget.bind(slf.py()), (slf, timeout))
    }

    /// Takes the next item, or returns `LATER`. For coroutines.
    fn _try_get(slf: &Bound<'_, Self>) -> Item {
        slf.get().core.get(slf.py()).unwrap_or_else(|| names(slf.py()).later.clone_ref(slf.py()))
    }

    /// Its items are always native.
    #[expect(clippy::unused_self, reason = "a method, as of the other queues")]
    fn _is_hooked(&self) -> bool {
        false
    }

    /// A coroutine's wait for an item; then it tries again.
    fn _wait_for_items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, AsyncWait>> {
        AsyncWait::of_current_task(slf.as_any(), Arc::new(ForItem::of(slf)))
    }

    /// How many items there are.
    fn qsize(&self, py: Python<'_>) -> usize {
        self.core.len(py)
    }

    /// Whether there is no item.
    fn empty(&self, py: Python<'_>) -> bool {
        self.core.len(py) == 0
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        PyGenericAlias::new(class.py(), class, item).map(Bound::into_any)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.core.inspect(|item| visit.call(item))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.core.clear(py));
    }
}
