//! Tasks as owners: which asyncio task the calling thread runs, and which thread has to go on before a task can.
//!
//! A task's address is its name, so it must exist as long as anything goes by that name: an `AsyncWait` keeps the task that
//! waits, and a primitive those that hold it ([`HoldingTasks`]), where the collector sees them. What stands here keeps nobody.
//!
//! While a thread is blocked in a step of its event loop, no task of that loop goes on. So a thread that is about to sleep says
//! which loop it runs ([`InLoop`]). Nothing else tells for sure: a loop may be run by one thread today, by another one
//! tomorrow.

use crate::ffi::{self, OnceBox};
use crate::interpreter::names;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::fork_mutex::{ForkMutex, Inherit};
use raddle_sync::{Mutex, Owner};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The tasks that hold something or may be given it, and the loops whose threads sleep.
#[derive(Default)]
struct Known {
    tasks: HashMap<Owner, Engaged>,
    /// By the loop's address, which lives on as long as it runs.
    blocked: HashMap<usize, Owner>,
}

/// A task that holds something, or waits for what will be its own.
struct Engaged {
    /// The address of its loop, which it keeps.
    running_loop: usize,
    /// `threading.get_ident()` of the thread that ran it.
    ident: u64,
    /// How much it holds and waits for.
    times: usize,
}

impl Inherit for Known {
    fn inherit(&mut self, parent: &mut Self) {
        *self = std::mem::take(parent);
    }
}

static KNOWN: LazyLock<ForkMutex<Known>> = LazyLock::new(ForkMutex::default);

pub(crate) fn prepare() {
    LazyLock::force(&KNOWN);
}

/// The task as an owner. To be asked while somebody keeps the task.
pub(crate) fn owner_of(task: &Bound<'_, PyAny>) -> Owner {
    Owner::task(task.as_ptr() as u64)
}

/// The asyncio task that the calling thread runs, if any.
pub(crate) fn current_task(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let task = ffi::invoke(names(py).current_task.bind(py), ())?;
    Ok((!task.is_none()).then_some(task))
}

/// Whether the calling thread runs the task that is `owner`. Asks nobody when it is a thread.
pub(crate) fn is_current(py: Python<'_>, owner: Option<Owner>) -> PyResult<bool> {
    match owner {
        Some(owner) if owner.is_task() => Ok(current_task(py)?.is_some_and(|task| owner_of(&task) == owner)),
        _ => Ok(false),
    }
}

/// The calling thread's `task` holds something, or may be given it from now on. To be ended by [`disengage`].
pub(crate) fn engage(task: &Bound<'_, PyAny>) {
    let owner = owner_of(task);
    if let Some(engaged) = KNOWN.lock().tasks.get_mut(&owner) {
        engaged.times += 1;
        return;
    }
    // Of a task that can't tell its loop, no deadlock is found.
    let running_loop =
        task.call_method0(&names(task.py()).get_loop).map_or(0, |its_loop| its_loop.as_ptr() as usize);
    let fresh = || Engaged { running_loop, ident: raddle_sys::thread::ident(), times: 0 };
    KNOWN.lock().tasks.entry(owner).or_insert_with(fresh).times += 1;
}

/// Ends an [`engage`].
pub(crate) fn disengage(task: Owner) {
    let mut known = KNOWN.lock();
    if let Some(engaged) = known.tasks.get_mut(&task) {
        engaged.times -= 1;
        if engaged.times == 0 {
            known.tasks.remove(&task);
        }
    }
}

/// The tasks that hold a primitive, as often as they do; part of the object that Python code knows.
///
/// Memory of zeros is an empty one, for the collector.
#[derive(Default)]
pub(crate) struct HoldingTasks(OnceBox<Mutex<Vec<Py<PyAny>>>>);

impl HoldingTasks {
    fn kept(&self) -> &Mutex<Vec<Py<PyAny>>> {
        // When two do that at once, one of them is too late and uses the other's.
        let _ = self.0.get().is_none().then(|| self.0.set(Mutex::new(Vec::new())));
        self.0.get().expect("it has just been set")
    }

    /// `task`, which the calling thread runs, has got hold of the primitive.
    pub(crate) fn add(&self, task: &Bound<'_, PyAny>) {
        engage(task);
        self.kept().lock().push(task.clone().unbind());
    }

    /// [`add`](Self::add) for one who has got it back; for a thread that is none of this module's business.
    pub(crate) fn add_again(&self, py: Python<'_>, holder: Owner) -> PyResult<()> {
        if holder.is_task()
            && let Some(task) = current_task(py)?.filter(|task| owner_of(task) == holder)
        {
            self.add(&task);
        }
        Ok(())
    }

    /// It holds the primitive no longer. For any holder: a thread is none of this module's business.
    #[inline]
    pub(crate) fn remove(&self, holder: Option<Owner>) {
        if let Some(task) = holder.filter(|holder| holder.is_task()) {
            self.forget(task);
        }
    }

    #[cold]
    fn forget(&self, task: Owner) {
        let gone = self.0.get().and_then(|kept| {
            let mut kept = kept.lock();
            let place = kept.iter().position(|kept| Owner::task(kept.as_ptr() as u64) == task)?;
            Some(kept.swap_remove(place))
        });
        if gone.is_some() {
            disengage(task);
        }
    }

    /// The one among them whose coroutine is being closed, as happens to a task that nobody can go on with: what it ends then
    /// was the task's. For one who would be refused otherwise.
    pub(crate) fn being_closed(&self, py: Python<'_>) -> Option<Owner> {
        let kept = self.0.get()?;
        let tasks: Vec<_> = kept.lock().iter().map(|task| task.clone_ref(py).into_bound(py)).collect();
        tasks.iter().find(|task| is_being_closed(task).unwrap_or(false)).map(owner_of)
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.get().and_then(Mutex::try_lock) {
            Some(kept) => kept.iter().try_for_each(|task| visit.call(task)),
            None => Ok(()),
        }
    }
}

impl Drop for HoldingTasks {
    fn drop(&mut self) {
        if let Some(kept) = self.0.get() {
            let tasks = std::mem::take(&mut *kept.lock());
            for task in tasks {
                disengage(Owner::task(task.as_ptr() as u64));
            }
        }
    }
}

/// Whether the task's coroutine runs, or one that it awaits, but in no step of the task.
///
/// Both must be seen at one moment: another thread that runs the task's loop may end a step, or begin one, whenever it gets the
/// interpreter. So between the two looks nothing is called that is written in Python, and nothing made that the collector counts.
fn is_being_closed(task: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = task.py();
    let its_loop = task.call_method0(&names(py).get_loop)?;
    let its_loop = PyTuple::new(py, [its_loop])?;
    // The collector may close any of them first.
    let mut coroutine = task.call_method0("get_coro")?;
    while !coroutine.getattr("cr_running")?.is_truthy()? {
        coroutine = coroutine.getattr("cr_await")?;
    }
    let in_step = ffi::invoke_with(names(py).task_in_step.bind(py), &its_loop, None)?;
    Ok(!in_step.is(task))
}

/// As long as it lives, the calling thread sleeps, or is about to, in a step of a loop.
pub(crate) struct InLoop {
    running_loop: usize,
    /// What was said in the same step already: it sleeps below a signal handler, too.
    outer: Option<Owner>,
}

impl InLoop {
    /// None when it runs no loop, or no task is known whom that could keep from going on.
    pub(crate) fn of_current_thread(py: Python<'_>) -> PyResult<Option<Self>> {
        // A task becomes known in the thread that runs its loop: none of this one's does while it sleeps.
        if KNOWN.lock().tasks.is_empty() {
            return Ok(None);
        }
        let running_loop = ffi::invoke(names(py).running_loop.bind(py), ())?;
        if running_loop.is_none() {
            return Ok(None);
        }
        let running_loop = running_loop.as_ptr() as usize;
        let outer = KNOWN.lock().blocked.insert(running_loop, Owner::current_thread());
        Ok(Some(Self { running_loop, outer }))
    }
}

impl Drop for InLoop {
    fn drop(&mut self) {
        let mut known = KNOWN.lock();
        match self.outer {
            Some(outer) => known.blocked.insert(self.running_loop, outer),
            None => known.blocked.remove(&self.running_loop),
        };
    }
}

/// The thread that sleeps in a step of the task's loop, if any; None for a thread.
pub(crate) fn blocked_with(holder: Owner) -> Option<Owner> {
    if !holder.is_task() {
        return None;
    }
    let known = KNOWN.lock();
    known.blocked.get(&known.tasks.get(&holder)?.running_loop).copied()
}

/// `threading.get_ident()` of a holder: its own, or that of the thread in which the task ran when it got hold of something.
pub(crate) fn ident_of(holder: Owner) -> Option<u64> {
    if holder.is_task() {
        KNOWN.lock().tasks.get(&holder).map(|engaged| engaged.ident)
    } else {
        holder.thread_ident()
    }
}
