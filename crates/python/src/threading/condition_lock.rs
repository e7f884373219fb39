//! The lock of a condition: one of Raddle's, used without a detour through Python, or anybody's.

use super::async_wait::AsyncWait;
use super::lock::Lock;
use super::rlock::RLock;
use super::rwlock_side::RWLockSide;
use super::tasks;
use crate::ffi;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Mutex, Owner};
use std::sync::Arc;

pub(crate) enum ConditionLock {
    Lock(Py<Lock>),
    RLock(Py<RLock>),
    /// Until the garbage collector takes it away: it may refer to the condition.
    Other(Mutex<Option<Arc<Other>>>),
}

/// What the stdlib's condition uses of a lock, looked up once.
pub(crate) struct Other {
    lock: Py<PyAny>,
    acquire: Py<PyAny>,
    release: Py<PyAny>,
    release_save: Option<Py<PyAny>>,
    acquire_restore: Option<Py<PyAny>>,
    is_owned: Option<Py<PyAny>>,
}

/// How the lock was held before a wait.
pub(crate) enum Saved {
    Held(Owner),
    HeldTimes(Owner, u32),
    Told(Py<PyAny>),
}

impl Other {
    fn new(lock: &Bound<'_, PyAny>) -> PyResult<Self> {
        let optional = |name: &str| match lock.getattr(name) {
            Ok(found) => Ok(Some(found.unbind())),
            Err(error) if error.is_instance_of::<PyAttributeError>(lock.py()) => Ok(None),
            Err(error) => Err(error),
        };
        Ok(Self {
            lock: lock.clone().unbind(),
            acquire: lock.getattr("acquire")?.unbind(),
            release: lock.getattr("release")?.unbind(),
            release_save: optional("_release_save")?,
            acquire_restore: optional("_acquire_restore")?,
            is_owned: optional("_is_owned")?,
        })
    }
}

impl ConditionLock {
    pub(crate) fn new(lock: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Self> {
        let Some(lock) = lock else {
            return Ok(Self::RLock(Py::new(py, RLock::fresh(false))?));
        };
        if lock.cast::<RWLockSide>().is_ok_and(|side| !side.get().writes) {
            return Err(PyTypeError::new_err(
                "a Condition needs a lock that one thread holds at a time, and readers share theirs: use RWLock.write()",
            ));
        }
        // A subclass may have methods of its own.
        if let Ok(lock) = lock.cast_exact::<RLock>() {
            return Ok(Self::RLock(lock.clone().unbind()));
        }
        match lock.cast_exact::<Lock>() {
            Ok(lock) => Ok(Self::Lock(lock.clone().unbind())),
            Err(_) => Ok(Self::Other(Mutex::new(Some(Arc::new(Other::new(lock)?))))),
        }
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Lock(lock) => lock.bind(py).as_any().clone(),
            Self::RLock(lock) => lock.bind(py).as_any().clone(),
            Self::Other(other) => there(other)?.lock.bind(py).clone(),
        })
    }

    pub(crate) fn acquire<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let plain = args.is_empty() && kwargs.is_none();
        match self {
            Self::Lock(lock) if plain => Lock::lock(lock.bind(py))?,
            Self::RLock(lock) if plain => RLock::lock(lock.bind(py))?,
            Self::Other(other) => return ffi::invoke_with(there(other)?.acquire.bind(py), args, kwargs),
            _ => return ffi::invoke_with(&self.object(py)?.getattr("acquire")?, args, kwargs),
        }
        Ok(true.into_pyobject(py)?.to_owned().into_any())
    }

    pub(crate) fn release<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Lock(lock) => lock.get().unlock()?,
            Self::RLock(lock) => lock.get().unlock(py)?,
            Self::Other(other) => return ffi::invoke(there(other)?.release.bind(py), ()),
        }
        Ok(py.None().into_bound(py))
    }

    /// Whether the caller holds it, as far as that is known: a plain lock only tells that somebody does.
    #[inline]
    pub(crate) fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Self::RLock(lock) => lock.get().is_owned(py),
            Self::Lock(lock) => Ok(lock.get().core.is_locked()),
            Self::Other(other) => there(other)?.is_owned(py),
        }
    }

    /// Gives it up, however often it is held.
    pub(crate) fn let_go(&self, py: Python<'_>) -> PyResult<Saved> {
        match self {
            Self::RLock(lock) => lock.get().let_go(py).map(|(holder, count)| Saved::HeldTimes(holder, count)),
            Self::Lock(lock) => {
                let lock = lock.get();
                let holder = lock.core.owner();
                let task = if tasks::is_current(py, holder)? { holder } else { None };
                lock.unlock()?;
                Ok(Saved::Held(task.unwrap_or_else(Owner::current_thread)))
            }
            Self::Other(other) => {
                let other = there(other)?;
                let give_up = other.release_save.as_ref().unwrap_or(&other.release);
                Ok(Saved::Told(ffi::invoke(give_up.bind(py), ())?.unbind()))
            }
        }
    }

    /// Takes it again. What is returned is to be raised by one who has it; what fails leaves it to others.
    pub(crate) fn regain(&self, py: Python<'_>, saved: Saved) -> PyResult<Option<PyErr>> {
        match (self, saved) {
            (Self::RLock(lock), Saved::HeldTimes(holder, count)) => {
                RLock::regain(lock.bind(py), holder, count)
            }
            (Self::Lock(lock), Saved::Held(holder)) => Lock::regain(lock.bind(py), holder),
            (Self::Other(other), Saved::Told(state)) => {
                let other = there(other)?;
                match &other.acquire_restore {
                    Some(restore) => ffi::invoke(restore.bind(py), (state,))?,
                    None => ffi::invoke(other.acquire.bind(py), ())?,
                };
                Ok(None)
            }
            _ => unreachable!("a lock saves its own kind of state"),
        }
    }

    /// A coroutine takes it; None when its task has it now.
    pub(crate) fn begin<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        match self {
            Self::Lock(lock) => Lock::begin(lock.bind(py)),
            Self::RLock(lock) => RLock::begin(lock.bind(py)),
            Self::Other(other) => RLock::begin(there(other)?.awaitable(py)?),
        }
    }

    /// Fails when `task` does not hold it.
    pub(crate) fn check_owned_by(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let holder = match self {
            Self::Lock(lock) => lock.get().core.owner(),
            Self::RLock(lock) => lock.get().core.owner(),
            Self::Other(other) => there(other)?.awaitable(py)?.get().core.owner(),
        };
        if holder == Some(tasks::owner_of(task)) {
            return Ok(());
        }
        // A thread that held it would let in every coroutine of its loop.
        Err(PyRuntimeError::new_err(
            "cannot wait on a lock that the task has not acquired: use `async with` or `acquire_async()`",
        ))
    }

    /// The task, which holds it, gives it up; returns the wait by which it gets it back.
    pub(crate) fn let_go_of<'py>(
        &self,
        py: Python<'py>,
        task: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, AsyncWait>> {
        let other;
        let lock = match self {
            Self::Lock(lock) => {
                let wait = Lock::wait_of(lock.bind(py), task)?;
                lock.get().unlock()?;
                return Ok(wait);
            }
            Self::RLock(lock) => lock.bind(py),
            Self::Other(lock) => {
                other = there(lock)?;
                other.awaitable(py)?
            }
        };
        let wait = RLock::wait_of(lock, task, lock.get().core.count(tasks::owner_of(task)))?;
        lock.get().let_go(py)?;
        Ok(wait)
    }

    /// For the garbage collector: lets go of what may refer to the condition. Raddle's own locks refer to nothing.
    pub(crate) fn clear(&self) {
        if let Self::Other(other) = self {
            // Dropped after the mutex is free: whatever runs then may be the user's code.
            let other = other.lock().take();
            drop(other);
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Lock(lock) => visit.call(lock),
            Self::RLock(lock) => visit.call(lock),
            Self::Other(other) => {
                let other = other.lock();
                let Some(other) = &*other else { return Ok(()) };
                visit.call(&other.lock)?;
                visit.call(&other.acquire)?;
                visit.call(&other.release)?;
                visit.call(&other.release_save)?;
                visit.call(&other.acquire_restore)?;
                visit.call(&other.is_owned)
            }
        }
    }
}

/// The lock, unless the garbage collector has taken it away.
fn there(other: &Mutex<Option<Arc<Other>>>) -> PyResult<Arc<Other>> {
    let other = other.lock().clone();
    other.ok_or_else(|| PyRuntimeError::new_err("the garbage collector has taken the lock away"))
}

impl Other {
    /// A subclass of `RLock` can be awaited, a lock of somebody else's can't.
    fn awaitable<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, RLock>> {
        let lock = self.lock.bind(py);
        lock.cast::<RLock>().map_err(|_| {
            PyTypeError::new_err(format!("a Condition over {} can't be awaited", lock.get_type()))
        })
    }

    fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(is_owned) = &self.is_owned {
            return ffi::invoke(is_owned.bind(py), ())?.is_truthy();
        }
        let free = ffi::invoke(self.acquire.bind(py), (false,))?.is_truthy()?;
        if free {
            ffi::invoke(self.release.bind(py), ())?;
        }
        Ok(!free)
    }
}
