//! `RLock`.

use super::async_wait::{self, AsyncWait, Ready, WhenHad};
use super::deadlock::{self, Holder};
use super::place::{self, Place};
use super::tasks::{self, HoldingTasks};
use super::timeout::{Patience, truth};
use super::wait;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{NotOwner, Owner, RLock as Core, Waitable};
use std::sync::Arc;

/// A lock that its holder may take again, and must release as often.
///
/// `fair` as for `Lock`.
#[pyclass(frozen, subclass, weakref, module = "raddle.threading")]
pub(crate) struct RLock {
    pub(crate) core: Arc<Core>,
    place: Place,
    tasks: HoldingTasks,
}

impl RLock {
    pub(crate) fn fresh(fair: bool) -> Self {
        Self { core: Arc::new(Core::new(fair)), place: Place::default(), tasks: HoldingTasks::default() }
    }

    /// As whom the calling thread acts: as itself, or as the task that it runs if that one holds the lock.
    #[cold]
    pub(crate) fn actor(&self, py: Python<'_>) -> PyResult<Owner> {
        let me = Owner::current_thread();
        match self.core.owner() {
            Some(holder) if holder != me && tasks::is_current(py, Some(holder))? => Ok(holder),
            _ => Ok(me),
        }
    }

    /// Takes it for the calling thread if that is all there is to do.
    #[inline]
    pub(super) fn acquire_at_once(&self) -> bool {
        !place::tracking() && self.core.acquire_alone(Owner::current_thread())
    }

    /// Gives up one hold of the calling thread if that is all there is to do.
    #[inline]
    pub(super) fn release_at_once(&self) -> bool {
        !place::tracking() && self.core.release_alone(Owner::current_thread())
    }

    fn take(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let taken = this.core.try_acquire(Owner::current_thread())
            || this.core.try_acquire(this.actor(py)?)
            // Not the task that this thread runs, which would hold it: the thread waits.
            || wait::block_patiently(slf.as_any(), Arc::clone(&this.core), patience)?;
        if taken {
            this.note_first(py, Owner::current_thread());
        }
        Ok(taken)
    }

    /// `holder` has taken it. Where it did so first is where it holds it from.
    #[inline]
    fn note_first(&self, py: Python<'_>, holder: Owner) {
        if place::tracking() && self.core.count(holder) == 1 {
            self.place.note(py);
        }
    }

    #[inline]
    pub(crate) fn lock(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::take(slf, Patience::Until(None)).map(drop)
    }

    /// Takes it for the task that the calling thread runs; None when that has it now.
    pub(crate) fn begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let (py, this) = (slf.py(), slf.get());
        let task = async_wait::task(py)?;
        let me = tasks::owner_of(&task);
        if this.core.try_acquire(me) {
            if this.core.count(me) == 1 {
                this.tasks.add(&task);
            }
            this.note_first(py, me);
            return Ok(None);
        }
        Self::wait_of(slf, &task, 1).map(Some)
    }

    /// A wait of `task`, which holds it `count` times then.
    pub(crate) fn wait_of<'py>(
        slf: &Bound<'py, Self>,
        task: &Bound<'py, PyAny>,
        count: u32,
    ) -> PyResult<Bound<'py, AsyncWait>> {
        let when_had: WhenHad = Box::new(move |object, task| {
            if let Ok(lock) = object.cast::<Self>() {
                lock.get().tasks.add(task);
                let restored = lock.get().core.restore(tasks::owner_of(task), count);
                debug_assert!(restored.is_ok(), "it has it");
                lock.get().place.note(object.py());
            }
        });
        let what = Arc::clone(&slf.get().core) as Arc<dyn Waitable>;
        AsyncWait::new(slf.as_any(), what, task, Some(when_had))
    }

    /// Gives up one hold.
    #[inline]
    pub(crate) fn unlock(&self, py: Python<'_>) -> PyResult<()> {
        let me = Owner::current_thread();
        if place::tracking() && self.core.count(me) == 1 {
            self.place.forget();
        }
        match self.core.release(me) {
            Ok(()) => Ok(()),
            Err(NotOwner) => self.unlock_as_task(py),
        }
    }

    #[cold]
    fn unlock_as_task(&self, py: Python<'_>) -> PyResult<()> {
        let mut actor = self.actor(py)?;
        if self.core.count(actor) == 0 {
            actor = self.tasks.being_closed(py).unwrap_or(actor);
        }
        let last = self.core.count(actor) == 1;
        if last {
            self.place.forget();
        }
        let released = self.core.release(actor);
        released.map_err(|NotOwner| PyRuntimeError::new_err("cannot release un-acquired lock"))?;
        if last {
            self.tasks.remove(Some(actor));
        }
        Ok(())
    }

    /// Whether the caller holds it.
    #[inline]
    pub(crate) fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(match self.core.owner() {
            None => false,
            Some(owner) if owner == Owner::current_thread() => true,
            owner => tasks::is_current(py, owner)?,
        })
    }

    /// Gives up all of the caller's holds: the first half of a condition's wait. Returns who held it, and how often.
    pub(crate) fn let_go(&self, py: Python<'_>) -> PyResult<(Owner, u32)> {
        let actor = self.actor(py)?;
        self.place.forget();
        let count = self.core.release_all(actor);
        let count = count.ok_or_else(|| PyRuntimeError::new_err("cannot release un-acquired lock"))?;
        self.tasks.remove(Some(actor));
        Ok((actor, count))
    }

    /// Takes it again as often as it was held: the second half. Result as of [`wait::regain`].
    pub(crate) fn regain(slf: &Bound<'_, Self>, holder: Owner, count: u32) -> PyResult<Option<PyErr>> {
        let core = &slf.get().core;
        let late = if core.try_acquire(holder) {
            None
        } else {
            wait::regain(holder, slf.as_any(), Arc::clone(core))?
        };
        core.restore(holder, count)
            .map_err(|NotOwner| PyRuntimeError::new_err("cannot restore un-acquired lock"))?;
        slf.get().place.note(slf.py());
        let told = slf.get().tasks.add_again(slf.py(), holder);
        Ok(wait::had_again(slf.py(), told, late))
    }
}

#[pymethods]
impl RLock {
    /// A subclass may take other arguments in its `__init__`.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, fair = false, **kwargs))]
    fn new(
        class: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        fair: bool,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let others = !args.is_empty() || kwargs.is_some_and(|kwargs| !kwargs.is_empty());
        if others && class.is(class.py().get_type::<Self>()) {
            return Err(PyTypeError::new_err("RLock() takes no argument but fair="));
        }
        Ok(Self::fresh(fair))
    }

    /// Takes the lock, once more if the caller holds it already. Arguments and result as of `Lock.acquire`.
    ///
    /// Raises `DeadlockError` when it closes a circle, and what signal handlers raise.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        Self::take(slf, Patience::of_lock(blocking, timeout)?)
    }

    /// Gives up one hold. Raises `RuntimeError` when the caller has none.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.unlock(py)
    }

    /// Whether somebody holds it.
    fn locked(&self) -> bool {
        self.core.is_locked()
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::lock(slf).map(|()| true)
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        slf.get().unlock(slf.py())
    }

    /// `acquire` for coroutines: the lock belongs to the task then. Waits at most `timeout` seconds (None: for ever).
    #[pyo3(signature = (timeout = None))]
    fn acquire_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::entered(slf.py(), Self::begin(slf)?)
    }

    fn __aexit__<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        _error: &Bound<'py, PyAny>,
        _traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.unlock(kind.py())?;
        Ready::nothing(kind.py())
    }

    fn _async_wait<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        Self::begin(slf)
    }

    /// Whether the caller holds it.
    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_owned(py)
    }

    /// How often the caller holds it.
    fn _recursion_count(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.core.count(self.actor(py)?))
    }

    /// Gives up all of the caller's holds, for a condition; returns what `_acquire_restore` takes.
    fn _release_save(&self, py: Python<'_>) -> PyResult<(u32, u64)> {
        self.let_go(py).map(|(holder, count)| (count, holder.get()))
    }

    /// Takes the lock for the same holder, as often as it was held before `_release_save`.
    fn _acquire_restore(slf: &Bound<'_, Self>, state: (u32, u64)) -> PyResult<()> {
        let (count, holder) = state;
        let holder = Owner::in_word(holder).unwrap_or_else(Owner::current_thread);
        Self::regain(slf, holder, count)?.map_or(Ok(()), Err)
    }

    /// Makes it free, whoever holds it: for a forked child.
    fn _at_fork_reinit(&self) {
        let holder = self.core.owner();
        self.core.reinit();
        self.tasks.remove(holder);
    }

    /// Who holds it, as `Lock._holder` tells.
    fn _holder(&self) -> Vec<Holder> {
        self.core.owner().map(deadlock::holder).into_iter().collect()
    }

    /// The code object and the line at which its holder acquired it first, while `track(True)` is on.
    fn _acquired_at(&self, py: Python<'_>) -> Option<(Py<PyAny>, i32)> {
        self.place.tell(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type();
        let (state, owner, count) = match this.core.holder() {
            Some((owner, count)) => ("locked", tasks::ident_of(owner).unwrap_or(0), count),
            None => ("unlocked", 0, 0),
        };
        let (module, name) = (class.module()?, class.qualname()?);
        let address = slf.as_ptr() as usize;
        Ok(format!("<{state} {module}.{name} object owner={owner} count={count} at {address:#x}>"))
    }

    /// The collector lists locks because of it.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tasks.traverse(&visit)
    }
}
