//! `RWLock`.
//!
//! The lock itself only counts its readers. A book beside it tells who they are and how often each came in: written after they
//! have come in, and before they leave, so that everybody who stands in it does hold the lock. It makes readers reentrant, keeps
//! those from releasing it who don't hold it, and shows to a waiting writer's wait whom it waits for.

use super::async_wait::{self, AsyncWait, WhenHad};
use super::deadlock::{self, Holder};
use super::naming::name_and_place;
use super::place::Place;
use super::rwlock_side::RWLockSide;
use super::tasks::{self, HoldingTasks};
use super::timeout::{Patience, truth};
use super::wait;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::fork_mutex::{ForkMutex, Inherit};
use raddle_sync::{Owner, ReadSide, RwLock as Core, Waitable, Waiter, Woken, WriteSide};
use std::collections::HashMap;
use std::sync::Arc;

/// A lock that many may hold to read, or one to write.
///
/// By default a writer that waits holds new readers back; a `fair` lock lets both in by turns. Readers may come in again, also
/// while a writer waits; a writer may not, nor become one while it reads.
#[pyclass(frozen, weakref, module = "raddle.threading")]
pub(crate) struct RWLock {
    shared: Arc<Shared>,
    place: Place,
    tasks: HoldingTasks,
}

/// Who is meant by one who ends what both the thread and the task that it runs have begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// By a call such as `release()`, or at the end of a `with`.
    Thread,
    /// At the end of an `async with`.
    Task,
}

struct Shared {
    core: Core,
    readers: ForkMutex<Readers>,
}

/// Who reads, and how often each came in.
#[derive(Default)]
struct Readers(HashMap<Owner, u32>);

impl Inherit for Readers {
    fn inherit(&mut self, parent: &mut Self) {
        self.0 = std::mem::take(&mut parent.0);
    }
}

impl Shared {
    /// Comes in once more; false when it is not inside.
    fn enter_again(&self, reader: Owner) -> bool {
        self.readers.lock().0.get_mut(&reader).map(|count| *count += 1).is_some()
    }

    fn entered(&self, reader: Owner) {
        self.readers.lock().0.insert(reader, 1);
    }

    fn reads(&self, owner: Owner) -> bool {
        self.readers.lock().0.contains_key(&owner)
    }

    /// Who reads, at this moment.
    fn readers(&self) -> Vec<Owner> {
        self.readers.lock().0.keys().copied().collect()
    }

    /// Leaves once; whether that was for good. None when it is not inside.
    fn leave(&self, reader: Owner) -> Option<bool> {
        let mut readers = self.readers.lock();
        let count = readers.0.get_mut(&reader)?;
        *count -= 1;
        let last = *count == 0;
        if last {
            readers.0.remove(&reader);
        }
        Some(last)
    }
}

/// What a reader waits for: writers. Only they can let it in.
struct ToRead(Arc<Shared>);

/// What a writer waits for: the one who writes, or all who read.
struct ToWrite(Arc<Shared>);

impl Waitable for ToRead {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        ReadSide(&self.0.core).attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        ReadSide(&self.0.core).abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        ReadSide(&self.0.core).pass_on(waiter)
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        ReadSide(&self.0.core).holders(waiter, visit);
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl Waitable for ToWrite {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        WriteSide(&self.0.core).attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        WriteSide(&self.0.core).abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        WriteSide(&self.0.core).pass_on(waiter)
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        WriteSide(&self.0.core).holders(waiter, visit);
        self.0.readers().into_iter().for_each(visit);
    }

    fn is_exact(&self) -> bool {
        true
    }
}

fn not_held() -> PyErr {
    PyRuntimeError::new_err("release of a lock that the caller does not hold")
}

impl RWLock {
    /// As whom the calling thread acts on what it holds: as itself or as the task that it runs, whoever holds it.
    fn actor(
        &self,
        py: Python<'_>,
        first: Actor,
        holds: impl Fn(&Shared, Owner) -> bool,
    ) -> PyResult<Option<Owner>> {
        let thread = Some(Owner::current_thread()).filter(|&thread| holds(&self.shared, thread));
        if thread.is_some() && first == Actor::Thread {
            return Ok(thread);
        }
        let task = tasks::current_task(py)?.map(|task| tasks::owner_of(&task));
        Ok(task.filter(|&task| holds(&self.shared, task)).or(thread))
    }

    /// [`actor`](Self::actor) for one who ends what somebody must have begun.
    fn leaver(
        &self,
        py: Python<'_>,
        first: Actor,
        holds: impl Fn(&Shared, Owner) -> bool,
    ) -> PyResult<Owner> {
        let actor = self.actor(py, first, &holds)?;
        let closing = || self.tasks.being_closed(py).filter(|&task| holds(&self.shared, task));
        actor.or_else(closing).ok_or_else(not_held)
    }

    /// Whether anybody writes, or reads.
    pub(super) fn is_held(&self, writes: bool) -> bool {
        let core = &self.shared.core;
        if writes { core.writer().is_some() } else { core.readers() != 0 }
    }

    fn writes(shared: &Shared, owner: Owner) -> bool {
        shared.core.writer() == Some(owner)
    }

    /// A writer that would wait for itself to finish gets to know.
    fn refuse_writer(&self, py: Python<'_>) -> PyResult<()> {
        match self.shared.core.writer() {
            Some(writer) if writer == Owner::current_thread() || tasks::is_current(py, Some(writer))? => {
                Err(PyRuntimeError::new_err("the caller writes: it can downgrade(), but not read as well"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn take_to_read(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let me = Owner::current_thread();
        if this.shared.enter_again(me) {
            return Ok(true);
        }
        if !this.shared.core.try_read(me) {
            this.refuse_writer(py)?;
            if let Some(task) = this.actor(py, Actor::Thread, Shared::reads)? {
                return Ok(this.shared.enter_again(task));
            }
            if !wait::block_patiently(slf.as_any(), ToRead(Arc::clone(&this.shared)), patience)? {
                return Ok(false);
            }
        }
        this.shared.entered(me);
        this.place.note(py);
        Ok(true)
    }

    pub(super) fn take_to_write(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let this = slf.get();
        let taken = this.shared.core.try_write(Owner::current_thread())
            || wait::block_patiently(slf.as_any(), ToWrite(Arc::clone(&this.shared)), patience)?;
        if taken {
            this.place.note(slf.py());
        }
        Ok(taken)
    }

    pub(super) fn stop_reading(&self, py: Python<'_>, first: Actor) -> PyResult<()> {
        let reader = self.leaver(py, first, Shared::reads)?;
        if self.shared.leave(reader) == Some(true) {
            self.shared.core.release_read(reader).map_err(|_| not_held())?;
            self.tasks.remove(Some(reader));
        }
        Ok(())
    }

    pub(super) fn stop_writing(&self, py: Python<'_>, first: Actor) -> PyResult<()> {
        let writer = self.leaver(py, first, Self::writes)?;
        self.place.forget();
        self.shared.core.release_write().map_err(|_| not_held())?;
        self.tasks.remove(Some(writer));
        Ok(())
    }

    pub(super) fn begin_to_read<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let (py, this) = (slf.py(), slf.get());
        let task = async_wait::task(py)?;
        let me = tasks::owner_of(&task);
        if this.shared.enter_again(me) {
            return Ok(None);
        }
        this.refuse_writer(py)?;
        if this.shared.core.try_read(me) {
            this.tasks.add(&task);
            this.shared.entered(me);
            this.place.note(py);
            return Ok(None);
        }
        let when_had: WhenHad = Box::new(|object, task| {
            if let Ok(lock) = object.cast::<Self>() {
                lock.get().tasks.add(task);
                lock.get().shared.entered(tasks::owner_of(task));
                lock.get().place.note(object.py());
            }
        });
        let what = Arc::new(ToRead(Arc::clone(&this.shared)));
        AsyncWait::new(slf.as_any(), what, &task, Some(when_had)).map(Some)
    }

    pub(super) fn begin_to_write<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, AsyncWait>>> {
        let (py, this) = (slf.py(), slf.get());
        let task = async_wait::task(py)?;
        let me = tasks::owner_of(&task);
        if this.shared.core.try_write(me) {
            this.tasks.add(&task);
            this.place.note(py);
            return Ok(None);
        }
        if this.shared.reads(me) || Self::writes(&this.shared, me) {
            return Err(PyRuntimeError::new_err(
                "the task holds the lock already, and would wait for itself",
            ));
        }
        let when_had: WhenHad = Box::new(|object, task| {
            if let Ok(lock) = object.cast::<Self>() {
                lock.get().tasks.add(task);
                lock.get().place.note(object.py());
            }
        });
        let what = Arc::new(ToWrite(Arc::clone(&this.shared)));
        AsyncWait::new(slf.as_any(), what, &task, Some(when_had)).map(Some)
    }
}

#[pymethods]
impl RWLock {
    #[new]
    #[pyo3(signature = (*, fair = false))]
    fn new(fair: bool) -> Self {
        let shared = Shared { core: Core::new(fair), readers: ForkMutex::default() };
        Self { shared: Arc::new(shared), place: Place::default(), tasks: HoldingTasks::default() }
    }

    /// The lock as readers take it: in `with`, in `async with`, or by its `acquire` and `release`.
    fn read(slf: Py<Self>) -> RWLockSide {
        RWLockSide { lock: slf, writes: false }
    }

    /// The lock as a writer takes it: in `with`, in `async with`, or by its `acquire` and `release`.
    fn write(slf: Py<Self>) -> RWLockSide {
        RWLockSide { lock: slf, writes: true }
    }

    /// Takes the lock to read. Arguments and result as of `Lock.acquire`.
    ///
    /// Raises `DeadlockError` when it closes a circle, `RuntimeError` when the caller writes, and what signal handlers raise.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_read(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        Self::take_to_read(slf, Patience::of_lock(blocking, timeout)?)
    }

    /// Ends to read, as often as one began. Raises `RuntimeError` when the caller does not read.
    fn release_read(&self, py: Python<'_>) -> PyResult<()> {
        self.stop_reading(py, Actor::Thread)
    }

    /// Takes the lock to write. Arguments and result as of `Lock.acquire`.
    ///
    /// Raises `DeadlockError` when it closes a circle, such as when the caller holds the lock already, and what signal handlers
    /// raise.
    #[pyo3(signature = (blocking = true, timeout = -1.0), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_write(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] blocking: bool,
        timeout: f64,
    ) -> PyResult<bool> {
        Self::take_to_write(slf, Patience::of_lock(blocking, timeout)?)
    }

    /// Ends to write. Raises `RuntimeError` when the caller does not write.
    fn release_write(&self, py: Python<'_>) -> PyResult<()> {
        self.stop_writing(py, Actor::Thread)
    }

    /// Turns the writer into a reader, without a moment in which somebody else could write. It ends by `release_read()`.
    ///
    /// Raises `RuntimeError` when the caller does not write.
    fn downgrade(&self, py: Python<'_>) -> PyResult<()> {
        let writer = self.actor(py, Actor::Thread, Self::writes)?.ok_or_else(not_held)?;
        self.shared.core.downgrade().map_err(|_| not_held())?;
        self.shared.entered(writer);
        Ok(())
    }

    /// Whether anybody holds it, to read or to write.
    fn locked(&self) -> bool {
        self.shared.core.is_locked()
    }

    /// Makes it free, whoever holds it: for a forked child.
    fn _at_fork_reinit(&self) {
        let readers = std::mem::take(&mut self.shared.readers.lock().0);
        for reader in readers.into_keys() {
            // Whoever doesn't hold it has left already.
            let _ = self.shared.core.release_read(reader);
            self.tasks.remove(Some(reader));
        }
        let writer = self.shared.core.writer();
        if self.shared.core.release_write().is_ok() {
            self.tasks.remove(writer);
        }
    }

    /// Who holds it, as `Lock._holder` tells.
    fn _holder(&self) -> Vec<Holder> {
        let readers = self.shared.readers();
        self.shared.core.writer().into_iter().chain(readers).map(deadlock::holder).collect()
    }

    /// The code object and the line that acquired it last, while `track(True)` is on.
    fn _acquired_at(&self, py: Python<'_>) -> Option<(Py<PyAny>, i32)> {
        self.place.tell(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().shared.core;
        let state = if core.writer().is_some() {
            String::from("writing")
        } else {
            format!("readers={}", core.readers())
        };
        Ok(format!("<{}: {state}>", name_and_place(slf)?))
    }

    /// The collector lists locks because of it.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tasks.traverse(&visit)
    }
}
