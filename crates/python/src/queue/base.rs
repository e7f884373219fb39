//! The native half of `Queue`, `LifoQueue` and `PriorityQueue`.
//!
//! Each method tries at once. Only if there is nothing to have it comes to a slow path: a wait, or the same method of the state
//! in Python ([`switch`](super::switch)).
//!
//! The file is long because a class has one `#[pymethods]` block.

use super::arguments::{Block, Wait};
use super::core::{Core, For, Item, Left};
use super::iterate::QueueIterator;
use super::max_size::{Given, MaxSize};
use super::names::{Kind, is_hook, kind_of, names};
use super::switch;
use crate::ffi;
use crate::threading::async_wait::AsyncWait;
use crate::threading::timeout::Patience;
use crate::threading::wait;
use crate::threading::wanted::Wanted;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyIterator, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::queue::{NoItem, Rejected, TooMany};
use raddle_sync::{Mutex, Owner, Waitable, Waiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The native half of the queues. Safe across threads.
#[pyclass(frozen, subclass, weakref, name = "Queue", module = "raddle._raddle")]
pub(crate) struct Queue {
    pub(super) core: Core,
    /// None when a hook is overridden.
    pub(super) kind: Option<Kind>,
    pub(super) maxsize: MaxSize,
    /// The state in Python, once there is one.
    pub(super) hooked: ffi::OnceRef,
    /// It holds the items.
    pub(super) filled: AtomicBool,
    /// What is still to be handed over to it.
    pub(super) left: Mutex<Option<Left>>,
    overrides_get: AtomicBool,
    overrides_put: AtomicBool,
}

/// What a try comes to.
pub(super) enum Try<T> {
    Done(T),
    /// Not now.
    Later,
    /// Never: it is shut down.
    Never,
    /// The queue is no longer native.
    Switched,
}

impl Queue {
    pub(crate) fn overrides_get(&self) -> bool {
        self.overrides_get.load(Ordering::Relaxed)
    }

    pub(super) fn overrides_put(&self) -> bool {
        self.overrides_put.load(Ordering::Relaxed)
    }

    /// Whether its state is in Python, or will be as soon as somebody needs it.
    #[inline]
    fn is_hooked(&self) -> bool {
        self.kind.is_none() || self.hooked.peek().is_some()
    }

    /// Why the native queue takes or gives nothing any more.
    pub(super) fn closed<T>(&self) -> Try<T> {
        if self.is_hooked() { Try::Switched } else { Try::Never }
    }

    fn no_item<T>(&self, none: NoItem) -> Try<T> {
        match none {
            NoItem::Empty => Try::Later,
            NoItem::ShutDown => self.closed(),
        }
    }

    /// Calls a method of the state in Python, with this queue as the first argument.
    #[cold]
    fn hooked_call<'py, A>(slf: &Bound<'py, Self>, method: &str, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
        PyErr: From<A::Error>,
    {
        ffi::invoke(&switch::hooked(slf)?.getattr(method)?, args)
    }

    /// Tries until it succeeds, and waits in between. None when it may not wait any longer. A wait that ends otherwise passes on
    /// what it was woken for.
    #[cold]
    pub(super) fn wait<T>(
        slf: &Bound<'_, Self>,
        what: For,
        patience: &mut Wait,
        mut attempt: impl FnMut() -> PyResult<Try<T>>,
    ) -> PyResult<Option<Try<T>>> {
        let Patience::Until(deadline) = patience.begin()? else { return Ok(None) };
        let waiter = Waiter::thread(Owner::current_thread());
        let wanted = Wanted::by_thread(slf.as_any(), slf.get().core.until(what));
        while wait::block_with(slf.py(), &waiter, &wanted, deadline)? {
            match attempt() {
                Ok(Try::Later) => {}
                Ok(other) => return Ok(Some(other)),
                Err(error) => {
                    wanted.abandon(&waiter);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    fn try_get(slf: &Bound<'_, Self>) -> PyResult<Try<Item>> {
        let this = slf.get();
        Ok(match this.core.get(slf.as_any())? {
            Ok(item) => Try::Done(item),
            Err(none) => this.no_item(none),
        })
    }

    #[inline]
    pub(crate) fn take(slf: &Bound<'_, Self>, wait: Wait) -> PyResult<Item> {
        match slf.get().core.get(slf.as_any())? {
            Ok(item) => Ok(item),
            Err(none) => Self::take_later(slf, wait, none),
        }
    }

    #[cold]
    fn take_later(slf: &Bound<'_, Self>, mut wait: Wait, none: NoItem) -> PyResult<Item> {
        let py = slf.py();
        let tried = match slf.get().no_item(none) {
            Try::Later => Self::wait(slf, For::Items, &mut wait, || Self::try_get(slf))?,
            other => Some(other),
        };
        match tried {
            Some(Try::Done(item)) => Ok(item),
            Some(Try::Never) => Err(names(py).shut_down(py)),
            Some(Try::Switched) => {
                let (block, timeout) = wait.as_arguments();
                Self::hooked_call(slf, "get", (slf, block, timeout)).map(Bound::unbind)
            }
            Some(Try::Later) | None => Err(names(py).empty(py)),
        }
    }

    #[inline]
    pub(super) fn add(slf: &Bound<'_, Self>, item: Item, wait: Wait) -> PyResult<()> {
        match slf.get().core.put(slf.as_any(), item)? {
            Ok(()) => Ok(()),
            Err(rejected) => Self::add_later(slf, rejected, wait),
        }
    }

    #[cold]
    fn add_later(slf: &Bound<'_, Self>, rejected: Rejected<Item>, mut wait: Wait) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let full = matches!(rejected, Rejected::Full(_));
        let item = rejected.into_inner();
        let attempt = || {
            Ok(match this.core.put(slf.as_any(), item.clone_ref(py))? {
                Ok(()) => Try::Done(()),
                Err(Rejected::Full(_)) => Try::Later,
                Err(Rejected::ShutDown(_)) => this.closed(),
            })
        };
        let tried = if full { Self::wait(slf, For::Room, &mut wait, attempt)? } else { Some(this.closed()) };
        match tried {
            Some(Try::Done(())) => Ok(()),
            Some(Try::Never) => Err(names(py).shut_down(py)),
            Some(Try::Switched) => {
                let (block, timeout) = wait.as_arguments();
                Self::hooked_call(slf, "put", (slf, item, block, timeout)).map(drop)
            }
            Some(Try::Later) | None => Err(names(py).full(py)),
        }
    }

    fn take_many<'py>(slf: &Bound<'py, Self>, most: usize, mut wait: Wait) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if most == 0 {
            return Ok(PyList::empty(py).into_any());
        }
        let attempt = || {
            Ok(match this.core.get_many(slf.as_any(), most)? {
                Ok(items) => Try::Done(items),
                Err(none) => this.no_item(none),
            })
        };
        let tried = match attempt()? {
            Try::Later => Self::wait(slf, For::Items, &mut wait, attempt)?,
            other => Some(other),
        };
        match tried {
            Some(Try::Done(items)) => PyList::new(py, items).map(Bound::into_any),
            Some(Try::Never) => Err(names(py).shut_down(py)),
            Some(Try::Switched) => {
                let (block, timeout) = wait.as_arguments();
                Self::hooked_call(slf, "get_many", (slf, most, block, timeout))
            }
            Some(Try::Later) | None => Err(names(py).empty(py)),
        }
    }

    /// How long a put may wait. A queue without a bound has room, and the stdlib doesn't look at the timeout then.
    #[inline]
    fn put_wait(slf: &Bound<'_, Self>, block: Block, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Wait> {
        match timeout {
            Some(_) if !Self::has_bound(slf)? => Ok(Wait::Forever),
            _ => Self::unless_closed(slf, Wait::of(block, timeout), || Ok(true)),
        }
    }

    /// How long a get may wait.
    #[inline]
    fn get_wait(slf: &Bound<'_, Self>, block: Block, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Wait> {
        Self::unless_closed(slf, Wait::of(block, timeout), || Self::empty(slf))
    }

    /// The stdlib sees that there is nothing to wait for before it sees that the timeout is wrong.
    #[inline]
    fn unless_closed(
        slf: &Bound<'_, Self>,
        wait: PyResult<Wait>,
        closed: impl FnOnce() -> PyResult<bool>,
    ) -> PyResult<Wait> {
        match wait {
            Err(_) if Self::_is_shut_down(slf)? && closed()? => Err(names(slf.py()).shut_down(slf.py())),
            wait => wait,
        }
    }

    fn has_bound(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let this = slf.get();
        if this.is_hooked() {
            return switch::hooked(slf)?.getattr("maxsize")?.gt(0);
        }
        Ok(this.maxsize.bound().is_some())
    }

    fn async_wait<'py>(slf: &Bound<'py, Self>, what: For) -> PyResult<Bound<'py, AsyncWait>> {
        AsyncWait::of_current_task(slf.as_any(), Arc::new(slf.get().core.until(what)))
    }

    fn set_maxsize(slf: &Bound<'_, Self>, maxsize: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        if !this.is_hooked() && this.maxsize.set(maxsize) {
            this.core.set_bound(this.maxsize.bound());
            if !this.is_hooked() {
                return Ok(());
            }
            // It has become Python meanwhile, perhaps with the former one.
        }
        switch::hooked(slf)?.setattr("maxsize", maxsize)
    }
}

fn at_most(n: isize) -> PyResult<usize> {
    usize::try_from(n).map_err(|_| PyValueError::new_err("'n' must be a non-negative number"))
}

#[pymethods]
impl Queue {
    /// A subclass may take other arguments in its `__init__`.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(
        class: &Bound<'_, PyType>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = class.py();
        let kind = kind_of(class)?;
        Ok(Self {
            core: kind.map_or_else(Core::retired, Core::new),
            kind,
            maxsize: MaxSize::default(),
            hooked: ffi::OnceRef::default(),
            filled: AtomicBool::new(kind.is_none()),
            left: Mutex::default(),
            overrides_get: AtomicBool::new(!class.getattr("get")?.is(&names(py).get)),
            overrides_put: AtomicBool::new(!class.getattr("put")?.is(&names(py).put)),
        })
    }

    /// Makes a queue for at most `maxsize` items, or any number when that is zero or less.
    #[pyo3(signature = (maxsize = Given::Nothing))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Given<'_, '_>) -> PyResult<()> {
        let maxsize = match maxsize {
            Given::Nothing => PyInt::new(slf.py(), 0).into_any(),
            Given::Object(given) => given.to_owned(),
        };
        if slf.get().kind.is_some() {
            return Self::set_maxsize(slf, &maxsize);
        }
        switch::hooked(slf)?.setattr("maxsize", &maxsize)?;
        ffi::invoke(&slf.getattr("_init")?, (maxsize,)).map(drop)
    }

    /// Puts an item. While the queue is full it waits if `block`, at most `timeout` seconds.
    ///
    /// Raises `Full` when there is no room by then, `ShutDown` when the queue has been shut down.
    #[pyo3(
        signature = (item, block = Block(true), timeout = None),
        text_signature = "($self, item, block=True, timeout=None)"
    )]
    fn put(
        slf: &Bound<'_, Self>,
        item: Item,
        block: Block,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let wait = Self::put_wait(slf, block, timeout)?;
        Self::add(slf, item, wait)
    }

    /// Takes the next item. While the queue is empty it waits if `block`, at most `timeout` seconds.
    ///
    /// Raises `Empty` when there is none by then, `ShutDown` when the queue is empty and has been shut down.
    #[pyo3(
        signature = (block = Block(true), timeout = None),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn get(slf: &Bound<'_, Self>, block: Block, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Item> {
        Self::take(slf, Self::get_wait(slf, block, timeout)?)
    }

    /// `put(item, block=False)`.
    fn put_nowait(slf: &Bound<'_, Self>, item: Item) -> PyResult<()> {
        if slf.get().overrides_put() {
            return ffi::invoke(&slf.getattr("put")?, (item, false)).map(drop);
        }
        Self::add(slf, item, Wait::Never)
    }

    /// `get(block=False)`.
    fn get_nowait(slf: &Bound<'_, Self>) -> PyResult<Item> {
        if slf.get().overrides_get() {
            return ffi::invoke(&slf.getattr("get")?, (false,)).map(Bound::unbind);
        }
        Self::take(slf, Wait::Never)
    }

    /// Takes the next `n` items, or as many as there are, at least one. Waits for the first one as `get` does.
    ///
    /// If a hook, or a `get` of a subclass, is interrupted in the middle, by Ctrl-C for one, the exception has an attribute
    /// `taken`: the list of the items that were taken before.
    #[pyo3(
        signature = (n, block = Block(true), timeout = None),
        text_signature = "($self, n, block=True, timeout=None)"
    )]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        n: isize,
        block: Block,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wait = Self::get_wait(slf, block, timeout)?;
        let most = at_most(n)?;
        if most > 0 && slf.get().overrides_get() {
            return Self::get_each(slf, most, wait);
        }
        Self::take_many(slf, most, wait)
    }

    /// Puts the items of an iterable in their order, each as soon as there is room; a list's or a tuple's all at once.
    ///
    /// Waits if `block`, at most `timeout` seconds in all. What ends it early, such as `Full`, `ShutDown` or Ctrl-C, has an
    /// attribute `unput`: an iterator over the items that were not put.
    #[pyo3(
        signature = (iterable, block = Block(true), timeout = None),
        text_signature = "($self, iterable, block=True, timeout=None)"
    )]
    fn put_many(
        slf: &Bound<'_, Self>,
        iterable: &Bound<'_, PyAny>,
        block: Block,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let this = slf.get();
        let wait = Self::put_wait(slf, block, timeout)?;
        let batch = iterable.cast_exact::<PyList>().is_ok() || iterable.cast_exact::<PyTuple>().is_ok();
        if !batch || this.overrides_put() || this.is_hooked() {
            return Self::put_each(slf, iterable, wait);
        }
        let items = iterable.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<_>>()?;
        Self::put_all(slf, items, wait)
    }

    /// Reports that the work on an item is finished. Raises `ValueError` when more is reported than was put.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().core.task_done() {
            Ok(()) => Ok(()),
            Err(TooMany) if slf.get().is_hooked() => Self::hooked_call(slf, "task_done", ()).map(drop),
            Err(TooMany) => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    /// Waits until the work on all items that were put has been reported as finished.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if this.core.unfinished() > 0 {
            wait::block(slf.as_any(), this.core.until(For::AllDone), None)?;
        }
        if this.is_hooked() {
            Self::hooked_call(slf, "join", ())?;
        }
        Ok(())
    }

    /// Closes the queue: whoever puts, or gets from it when it is empty, finds `ShutDown` raised.
    ///
    /// With `immediate`, the items are dropped, and count as finished.
    #[pyo3(signature = (immediate = Block(false)), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: Block) -> PyResult<()> {
        let this = slf.get();
        if !this.is_hooked() {
            drop(this.core.shutdown(slf.as_any(), immediate.0)?);
        }
        if this.is_hooked() {
            Self::hooked_call(slf, "shutdown", (slf, immediate.0))?;
        }
        Ok(())
    }

    /// How many items there are.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if this.is_hooked() {
            return Self::hooked_call(slf, "qsize", (slf,)).map(Bound::unbind);
        }
        Ok(this.core.len().into_pyobject(py)?.into_any().unbind())
    }

    /// Whether there is no item.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(!Self::qsize(slf)?.bind(slf.py()).is_truthy()?)
    }

    /// Whether there are as many items as it holds.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let this = slf.get();
        if this.is_hooked() {
            return Self::hooked_call(slf, "full", (slf,))?.extract();
        }
        Ok(this.maxsize.bound().is_some_and(|bound| bound.get() <= this.core.len()))
    }

    fn __iter__(slf: Bound<'_, Self>) -> QueueIterator {
        QueueIterator::new(slf.unbind())
    }

    /// How many items it holds at most; zero or less for any number. May be changed.
    #[getter]
    fn get_maxsize(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if this.is_hooked() {
            return switch::hooked(slf)?.getattr("maxsize").map(Bound::unbind);
        }
        this.maxsize.get(py)
    }

    #[setter(maxsize)]
    fn assign_maxsize(slf: &Bound<'_, Self>, maxsize: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::set_maxsize(slf, maxsize)
    }

    /// The state in Python; the queue is no longer native from now on.
    fn _hooked<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        switch::hooked(slf)
    }

    /// Whether the queue's state is in Python.
    #[pyo3(name = "_is_hooked")]
    fn tell_hooked(&self) -> bool {
        self.is_hooked()
    }

    /// The count of unfinished work.
    fn _unfinished(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let count = this.core.unfinished();
        if this.is_hooked() {
            return switch::hooked(slf)?.getattr("unfinished_tasks").map(Bound::unbind);
        }
        Ok(count.into_pyobject(py)?.into_any().unbind())
    }

    /// Whether it has been shut down.
    fn _is_shut_down(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let shut_down = slf.get().core.is_shut_down();
        if slf.get().is_hooked() {
            return switch::hooked(slf)?.getattr("is_shutdown")?.is_truthy();
        }
        Ok(shut_down)
    }

    /// Takes the next item without waiting, or returns `LATER`. For coroutines.
    fn _try_get(slf: &Bound<'_, Self>) -> PyResult<Item> {
        let py = slf.py();
        match Self::try_get(slf)? {
            Try::Done(item) => Ok(item),
            Try::Later => Ok(names(py).later.clone_ref(py)),
            Try::Never => Err(names(py).shut_down(py)),
            Try::Switched => Self::hooked_call(slf, "try_get", (slf,)).map(Bound::unbind),
        }
    }

    /// Takes items without waiting, or raises `Empty`. For coroutines, which don't use an overridden `get`.
    fn _try_get_many<'py>(slf: &Bound<'py, Self>, n: isize) -> PyResult<Bound<'py, PyAny>> {
        Self::take_many(slf, at_most(n)?, Wait::Never)
    }

    /// Puts items without waiting, the one in the list `pending` first. Returns whether all of them have been put; otherwise
    /// the list has the next one. For coroutines.
    fn _try_put_many(
        slf: &Bound<'_, Self>,
        pending: &Bound<'_, PyList>,
        iterator: &Bound<'_, PyIterator>,
    ) -> PyResult<bool> {
        Self::put_at_once(slf, pending, iterator)
    }

    /// Puts an item without waiting. Returns whether there was room. For coroutines.
    pub(super) fn _try_put(slf: &Bound<'_, Self>, item: Item) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        match this.core.put(slf.as_any(), item)? {
            Ok(()) => Ok(true),
            Err(Rejected::Full(_)) => Ok(false),
            Err(Rejected::ShutDown(item)) => match this.closed::<()>() {
                Try::Switched => Self::hooked_call(slf, "try_put", (slf, item))?.extract(),
                _ => Err(names(py).shut_down(py)),
            },
        }
    }

    /// A hook, a `get` or a `put` that belongs to this queue alone is called from now on.
    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if is_hook(name)? {
            switch::hooked(slf)?;
        }
        ffi::set_attribute(slf.as_any(), name, Some(value))?;
        match name.to_str()? {
            "get" => slf.get().overrides_get.store(true, Ordering::Relaxed),
            "put" => slf.get().overrides_put.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok(())
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<()> {
        ffi::set_attribute(slf.as_any(), name, None)
    }

    /// A coroutine's wait for an item, or the shutdown; then it tries again.
    fn _wait_for_items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, AsyncWait>> {
        Self::async_wait(slf, For::Items)
    }

    /// A coroutine's wait for room, or the shutdown; then it tries again.
    fn _wait_for_room<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, AsyncWait>> {
        Self::async_wait(slf, For::Room)
    }

    /// A coroutine's wait for the end of all work.
    fn _wait_for_end<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, AsyncWait>> {
        Self::async_wait(slf, For::AllDone)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(hooked) = self.hooked.peek() {
            visit.call(hooked)?;
        }
        self.core.inspect(|item| visit.call(item))
    }

    fn __clear__(&self) {
        drop(self.core.clear());
    }
}
