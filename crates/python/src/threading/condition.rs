//! `Condition`.

use super::async_wait::{self, AsyncWait, Ready};
use super::condition_lock::{ConditionLock, Saved};
use super::made::Made;
use super::timeout::{self, Patience};
use super::wait;
use super::wanted::Wanted;
use crate::ffi;
use crate::interpreter::names;
use pyo3::exceptions::{PyDeprecationWarning, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Moment, Notifier, Owner, Waitable, Waiter, Woken};
use std::sync::Arc;

/// A lock, and a queue of those who wait for something that it protects to change.
///
/// `lock` is any lock; an `RLock` of its own when there is none.
#[pyclass(frozen, subclass, dict, weakref, module = "raddle.threading")]
pub(crate) struct Condition {
    made: Made<ConditionLock>,
    pub(crate) changed: Arc<Notifier>,
}

/// Whether its methods are the ones that stand here.
#[inline]
pub(super) fn is_plain(class: &Bound<'_, PyType>) -> bool {
    class.is(class.py().get_type::<Condition>())
}

impl Condition {
    #[inline]
    pub(crate) fn lock(&self) -> PyResult<&ConditionLock> {
        self.made.get()
    }

    /// Takes the lock if that is all there is to do.
    #[inline]
    pub(super) fn acquire_at_once(&self) -> bool {
        match self.made.peek() {
            Some(ConditionLock::RLock(lock)) => lock.get().acquire_at_once(),
            Some(ConditionLock::Lock(lock)) => lock.get().acquire_at_once(),
            _ => false,
        }
    }

    /// Frees the lock if that is all there is to do.
    #[inline]
    pub(super) fn release_at_once(&self) -> bool {
        match self.made.peek() {
            Some(ConditionLock::RLock(lock)) => lock.get().release_at_once(),
            Some(ConditionLock::Lock(lock)) => lock.get().release_at_once(),
            _ => false,
        }
    }

    /// Notifies if the calling thread is known to hold the lock, and nobody is there to be notified.
    #[inline]
    pub(super) fn notify_at_once(&self) -> bool {
        let held = match self.made.peek() {
            Some(ConditionLock::RLock(lock)) => lock.get().core.owner() == Some(Owner::current_thread()),
            Some(ConditionLock::Lock(lock)) => lock.get().core.is_locked(),
            _ => false,
        };
        held && self.changed.waiters() == 0
    }

    #[inline]
    fn tell(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        if !self.lock()?.is_owned(py)? {
            return Err(PyRuntimeError::new_err("cannot notify on un-acquired lock"));
        }
        self.changed.notify(count);
        Ok(())
    }

    /// Lets go of the lock, waits to be notified, and takes the lock again. Whether it was notified before the deadline.
    ///
    /// Whatever is raised meanwhile, it has the lock again when this ends, unless taking it fails for good.
    fn sleep(slf: &Bound<'_, Self>, deadline: Option<Moment>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let lock = this.lock()?;
        if !lock.is_owned(py)? {
            return Err(PyRuntimeError::new_err("cannot wait on un-acquired lock"));
        }
        let waiter = Waiter::thread(Owner::current_thread());
        let wanted = Wanted::by_thread(slf.as_any(), Arc::clone(&this.changed));
        // It stands in the queue before the lock is free: no notification is missed.
        this.changed.join(&waiter);
        let saved = lock.let_go(py).inspect_err(|_| {
            Woken::ring_all(wanted.pass_on(&waiter), &*wanted);
        })?;
        let outcome = wait::block_with(py, &waiter, &wanted, deadline);
        let outcome = Self::regain(py, lock, saved, outcome);
        if let Err((notified, error)) = outcome {
            if notified {
                // It won't act on the change: another one may.
                this.changed.notify(1);
            }
            return Err(error);
        }
        outcome.map_err(|(_, error)| error)
    }

    /// Takes the lock again after a wait. An error comes with whether a notification is left over.
    fn regain(
        py: Python<'_>,
        lock: &ConditionLock,
        saved: Saved,
        outcome: PyResult<bool>,
    ) -> Result<bool, (bool, PyErr)> {
        let (notified, early) = match outcome {
            Ok(notified) => (notified, None),
            Err(error) => (false, Some(error)),
        };
        match lock.regain(py, saved) {
            Ok(None) => early.map_or(Ok(notified), |error| Err((false, error))),
            Ok(Some(late)) | Err(late) => Err((notified, wait::chain(py, late, early))),
        }
    }

    /// `self.wait(timeout)`, which a subclass may have replaced.
    fn call_wait(slf: &Bound<'_, Self>, deadline: Option<Moment>) -> PyResult<()> {
        if is_plain(&slf.get_type()) {
            Self::sleep(slf, deadline)?;
        } else {
            ffi::invoke(&slf.getattr("wait")?, (deadline.map(timeout::seconds_until),))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { made: Made::default(), changed: Arc::default() }
    }

    #[pyo3(signature = (lock = None))]
    fn __init__(&self, py: Python<'_>, lock: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.made.make(ConditionLock::new(lock, py)?);
        Ok(())
    }

    /// Takes the lock: `acquire` of the lock.
    #[pyo3(signature = (*args, **kwargs))]
    fn acquire<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.lock()?.acquire(args, kwargs)
    }

    /// Frees the lock: `release` of the lock.
    fn release<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock()?.release(py)
    }

    /// Whether somebody holds the lock: `locked` of the lock.
    fn locked<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        ffi::invoke(&self.lock()?.object(py)?.getattr("locked")?, ())
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.lock()? {
            ConditionLock::Other(_) => ffi::invoke(&self.lock()?.object(py)?.getattr("__enter__")?, ()),
            lock => lock.acquire(&PyTuple::empty(py), None),
        }
    }

    fn __exit__<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        error: &Bound<'py, PyAny>,
        traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = kind.py();
        match self.lock()? {
            ConditionLock::Other(_) => {
                ffi::invoke(&self.lock()?.object(py)?.getattr("__exit__")?, (kind, error, traceback))
            }
            lock => lock.release(py),
        }
    }

    /// Frees the lock, waits to be notified, and takes the lock again. Returns whether it was notified.
    ///
    /// It waits at most `timeout` seconds (None: for ever), not counting the time that it takes to get the lock.
    /// Raises `RuntimeError` when the caller does not hold the lock.
    #[pyo3(signature = (timeout = None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        Self::sleep(slf, Patience::of_wait(timeout)?.deadline())
    }

    /// Waits until `predicate()` is true, at most `timeout` seconds in all (None: for ever). Returns its last result.
    #[pyo3(signature = (predicate, timeout = None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut began = false;
        let mut deadline = None;
        loop {
            let result = ffi::invoke(predicate, ())?;
            if result.is_truthy()? {
                return Ok(result);
            }
            if !began {
                // The time runs from the first look on, and there is a second one in any case.
                began = true;
                deadline = Patience::of_wait(timeout)?.deadline();
            } else if deadline.is_some_and(|deadline| deadline <= Moment::now()) {
                return Ok(result);
            }
            Self::call_wait(slf, deadline)?;
        }
    }

    /// Notifies `n` of those who wait, in the order in which they came. They go on once the lock is free.
    ///
    /// Raises `RuntimeError` when the caller does not hold the lock.
    #[pyo3(signature = (n = 1))]
    fn notify(&self, py: Python<'_>, n: isize) -> PyResult<()> {
        self.tell(py, usize::try_from(n).unwrap_or(0))
    }

    /// Notifies all who wait.
    ///
    /// Raises `RuntimeError` when the caller does not hold the lock.
    fn notify_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if is_plain(&slf.get_type()) {
            return this.tell(slf.py(), usize::MAX);
        }
        ffi::invoke(&slf.getattr("notify")?, (this.changed.waiters(),)).map(drop)
    }

    /// Deprecated: `notify_all`.
    #[pyo3(name = "notifyAll")]
    fn notify_all_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        let category = slf.py().get_type::<PyDeprecationWarning>();
        PyErr::warn(slf.py(), &category, c"notifyAll() is deprecated, use notify_all() instead", 1)?;
        ffi::invoke(&slf.getattr("notify_all")?, ()).map(drop)
    }

    /// `acquire` for coroutines, as of the lock.
    #[pyo3(signature = (timeout = None))]
    fn acquire_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::acquired(slf.as_any(), timeout)
    }

    /// `wait` for coroutines. The lock belongs to the task, and does so again whatever ends the wait.
    #[pyo3(signature = (timeout = None))]
    fn wait_async<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        Patience::of_wait(timeout)?;
        ffi::invoke(names(slf.py()).wait_notified.bind(slf.py()), (slf, timeout))
    }

    /// `wait_for` for coroutines: `predicate` is an ordinary function.
    #[pyo3(signature = (predicate, timeout = None))]
    fn wait_for_async<'py>(
        slf: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Patience::of_wait(timeout)?;
        ffi::invoke(names(slf.py()).wait_until.bind(slf.py()), (slf, predicate, timeout))
    }

    fn __aenter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        async_wait::entered(py, self.begin(py)?)
    }

    fn __aexit__<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        _error: &Bound<'py, PyAny>,
        _traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.release(kind.py())?;
        Ready::nothing(kind.py())
    }

    #[pyo3(name = "_async_wait")]
    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        self.lock()?.begin(py)
    }

    /// Lets go of the lock, which the current task holds. Returns a wait for a notification, which has begun, and one for the lock.
    fn _async_waits<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, AsyncWait>, Bound<'py, AsyncWait>)> {
        let (py, this) = (slf.py(), slf.get());
        let task = async_wait::task(py)?;
        let lock = this.lock()?;
        lock.check_owned_by(py, &task)?;
        // It stands in the queue before the lock is free: no notification is missed.
        let notified = Self::_async_notification(slf)?;
        match lock.let_go_of(py, &task) {
            Ok(regained) => Ok((notified, regained)),
            Err(error) => {
                notified.get().pass_on(py);
                Err(error)
            }
        }
    }

    /// A wait of the current task for a notification, which has begun. For those who see to the lock themselves.
    fn _async_notification<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, AsyncWait>> {
        let (py, this) = (slf.py(), slf.get());
        let what = Arc::clone(&this.changed) as Arc<dyn Waitable>;
        let notified = AsyncWait::of_current_task(slf.as_any(), what)?;
        notified.get().begin(py)?;
        this.changed.join(notified.get().waiter());
        Ok(notified)
    }

    /// One who was notified can't act on it: another one may.
    fn _notify_another(&self) {
        self.changed.notify(1);
    }

    /// The lock.
    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock()?.object(py)
    }

    /// As many items as there are who wait.
    #[getter]
    fn _waiters(&self) -> Vec<Option<()>> {
        vec![None; self.changed.waiters()]
    }

    /// Whether the caller holds the lock; of a plain `Lock`, whether anybody does.
    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        self.lock()?.is_owned(py)
    }

    /// Gives up the lock, however often it is held; returns what `_acquire_restore` takes.
    fn _release_save<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lock = self.lock()?.object(py)?;
        match lock.getattr_opt("_release_save")? {
            Some(release_save) => ffi::invoke(&release_save, ()),
            None => self.release(py),
        }
    }

    /// Takes the lock as it was held before.
    fn _acquire_restore(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let lock = self.lock()?.object(state.py())?;
        match lock.getattr_opt("_acquire_restore")? {
            Some(acquire_restore) => ffi::invoke(&acquire_restore, (state,))?,
            None => ffi::invoke(&lock.getattr("acquire")?, ())?,
        };
        Ok(())
    }

    /// For a forked child, where nobody waits: makes the lock free, whoever holds it.
    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        ffi::invoke(&self.lock()?.object(py)?.getattr("_at_fork_reinit")?, ()).map(drop)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Condition({}, {})>", self.lock()?.object(py)?.str()?, self.changed.waiters()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.made.iter().try_for_each(|lock| lock.traverse(&visit))
    }

    fn __clear__(&self) {
        self.made.iter().for_each(ConditionLock::clear);
    }
}
