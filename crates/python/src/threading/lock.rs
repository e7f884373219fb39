//! `Lock`.

use super::async_wait::{self, AsyncWait, Ready, WhenHad};
use super::deadlock::{self, Holder};
use super::place::{self, Place};
use super::tasks::{self, HoldingTasks};
use super::timeout::{Patience, truth};
use super::wait;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Lock as Core, Owner, Waitable};
use std::sync::Arc;

/// A lock that one thread or task holds at a time, and anybody may release.
///
/// `fair`: those who wait get it in the order in which they came, which costs a switch of threads each time.
#[pyclass(frozen, weakref, module = "raddle.threading")]
pub(crate) struct Lock {
    pub(crate) core: Arc<Core>,
    place: Place,
    tasks: HoldingTasks,
}

impl Lock {
    /// Takes the lock for the calling thread, or sleeps until it can.
    fn take(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let this = slf.get();
        let taken = this.core.try_acquire(Owner::current_thread())
            || wait::block_patiently(slf.as_any(), Arc::clone(&this.core), patience)?;
        if taken {
            this.place.note(slf.py());
        }
        Ok(taken)
    }

    /// Takes it for the calling thread if that is all there is to do.
    #[inline]
    pub(super) fn acquire_at_once(&self) -> bool {
        !place::tracking() && self.core.try_acquire(Owner::current_thread())
    }

    /// Frees it if that is all there is to do.
    #[inline]
    pub(super) fn release_at_once(&self) -> bool {
        let by_thread = self.core.owner().is_some_and(|holder| !holder.is_task());
        by_thread && !place::tracking() && self.core.release_alone()
    }

    /// Takes it for the calling thread, however long that takes.
    #[inline]
    pub(crate) fn lock(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::take(slf, Patience::Until(None)).map(drop)
    }

    /// Takes it again after a condition's wait, for the one who held it before. Result as of [`wait::regain`].
    pub(crate) fn regain(slf: &Bound<'_, Self>, holder: Owner) -> PyResult<Option<PyErr>> {
        let this = slf.get();
        let late = if this.core.try_acquire(holder) {
            None
        } else {
            wait::regain(holder, slf.as_any(), Arc::clone(&this.core))?
        };
        this.place.note(slf.py());
        let told = this.tasks.add_again(slf.py(), holder);
        Ok(wait::had_again(slf.py(), told, late))
    }

    /// Takes it for the task that the calling thread runs; None when that has it now.
    pub(crate) fn begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let (py, this) = (slf.py(), slf.get());
        let task = async_wait::task(py)?;
        if this.core.try_acquire(tasks::owner_of(&task)) {
            this.had_by(&task);
            return Ok(None);
        }
        Self::wait_of(slf, &task).map(Some)
    }

    /// `task` has taken it.
    fn had_by(&self, task: &Bound<'_, PyAny>) {
        self.tasks.add(task);
        self.place.note(task.py());
    }

    /// A wait of `task`.
    pub(crate) fn wait_of<'py>(
        slf: &Bound<'py, Self>,
        task: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, AsyncWait>> {
        let when_had: WhenHad = Box::new(|object, task| {
            if let Ok(lock) = object.cast::<Self>() {
                lock.get().had_by(task);
            }
        });
        let what = Arc::clone(&slf.get().core) as Arc<dyn Waitable>;
        AsyncWait::new(slf.as_any(), what, task, Some(when_had))
    }

    /// Frees it, or hands it to who is next.
    #[inline]
    pub(crate) fn unlock(&self) -> PyResult<()> {
        let holder = self.core.owner();
        self.place.forget();
        self.core.release().map_err(|_| PyRuntimeError::new_err("release unlocked lock"))?;
        self.tasks.remove(holder);
        Ok(())
    }
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (*, fair = false))]
    fn new(fair: bool) -> Self {
        Self { core: Arc::new(Core::new(fair)), place: Place::default(), tasks: HoldingTasks::default() }
    }

    /// Takes the lock. Waits for it if `blocking`, at most `timeout` seconds (-1: for ever). Returns whether it was taken.
    ///
    /// Raises `DeadlockError` as the policy says, and what signal handlers raise.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        Self::take(slf, Patience::of_lock(blocking, timeout)?)
    }

    /// Frees the lock, whoever holds it. Raises `RuntimeError` when nobody does.
    fn release(&self) -> PyResult<()> {
        self.unlock()
    }

    /// Whether somebody holds it.
    fn locked(&self) -> bool {
        self.core.is_locked()
    }

    /// `acquire`, as it was called once.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_lock(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        Self::take(slf, Patience::of_lock(blocking, timeout)?)
    }

    /// `release`, as it was called once.
    fn release_lock(&self) -> PyResult<()> {
        self.unlock()
    }

    /// `locked`, as it was called once.
    fn locked_lock(&self) -> bool {
        self.core.is_locked()
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::lock(slf).map(|()| true)
    }

    fn __exit__(
        &self,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.unlock()
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
        self.unlock()?;
        Ready::nothing(kind.py())
    }

    fn _async_wait<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        Self::begin(slf)
    }

    /// Makes it free, whoever holds it: for a forked child.
    fn _at_fork_reinit(&self) {
        let holder = self.core.owner();
        self.core.reinit();
        self.tasks.remove(holder);
    }

    /// Who holds it: for each the thread's identity, and the task's `id()` if it is one.
    fn _holder(&self) -> Vec<Holder> {
        self.core.owner().map(deadlock::holder).into_iter().collect()
    }

    /// The code object and the line that acquired it, while `track(True)` is on.
    fn _acquired_at(&self, py: Python<'_>) -> Option<(Py<PyAny>, i32)> {
        self.place.tell(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let state = if slf.get().core.is_locked() { "locked" } else { "unlocked" };
        format!("<{state} raddle.threading.Lock object at {:#x}>", slf.as_ptr() as usize)
    }

    /// The collector lists locks because of it.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tasks.traverse(&visit)
    }
}
