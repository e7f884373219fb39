//! Tasks as owners: which asyncio task the calling thread runs, and in which thread a task that holds something runs.

use crate::ffi;
use crate::interpreter::names;
use pyo3::prelude::*;
use raddle_sync::Owner;
use raddle_sync::fork_mutex::{ForkMutex, Inherit};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::LazyLock;

/// Those tasks that hold something, each with its loop's thread and how much it holds.
#[derive(Default)]
struct Holders(HashMap<Owner, Holder>);

struct Holder {
    /// Kept while it holds something: its address is its name.
    task: Py<PyAny>,
    thread: Owner,
    ident: u64,
    holds: usize,
}

impl Inherit for Holders {
    fn inherit(&mut self, parent: &mut Self) {
        self.0 = std::mem::take(&mut parent.0);
    }
}

static HOLDERS: LazyLock<ForkMutex<Holders>> = LazyLock::new(ForkMutex::default);

pub(crate) fn prepare() {
    LazyLock::force(&HOLDERS);
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

/// The task, whose loop runs in the calling thread, has got hold of something, or begins to wait for it.
pub(crate) fn holds(task: &Bound<'_, PyAny>) {
    let fresh = Holder {
        task: task.clone().unbind(),
        thread: Owner::current_thread(),
        ident: raddle_sys::thread::ident(),
        holds: 0,
    };
    let mut holders = HOLDERS.lock();
    let mut spare = None;
    match holders.0.entry(owner_of(task)) {
        Entry::Occupied(mut known) => {
            known.get_mut().holds += 1;
            spare = Some(fresh);
        }
        Entry::Vacant(vacant) => vacant.insert(fresh).holds += 1,
    }
    drop(holders);
    drop(spare);
}

/// [`holds`] for one who has got something back; for a thread that is none of this module's business.
pub(crate) fn holds_again(py: Python<'_>, holder: Owner) -> PyResult<()> {
    if holder.is_task()
        && let Some(task) = current_task(py)?.filter(|task| owner_of(task) == holder)
    {
        holds(&task);
    }
    Ok(())
}

/// It holds that no longer. For anything that is held: a thread as its holder is none of this module's business.
#[inline]
pub(crate) fn holds_no_longer(holder: Option<Owner>) {
    if let Some(task) = holder.filter(|holder| holder.is_task()) {
        forget(task);
    }
}

#[cold]
fn forget(task: Owner) {
    let mut holders = HOLDERS.lock();
    let mut gone = None;
    if let Some(holder) = holders.0.get_mut(&task) {
        holder.holds -= 1;
        if holder.holds == 0 {
            gone = holders.0.remove(&task);
        }
    }
    drop(holders);
    if let Some(gone) = gone {
        drop(gone.task);
    }
}

/// The thread in which a task that holds something runs; None for a thread.
pub(crate) fn thread_of(holder: Owner) -> Option<Owner> {
    if !holder.is_task() {
        return None;
    }
    HOLDERS.lock().0.get(&holder).map(|holder| holder.thread)
}

/// `threading.get_ident()` of a holder: its own, or that of the thread in which the task runs.
pub(crate) fn ident_of(holder: Owner) -> Option<u64> {
    if holder.is_task() {
        HOLDERS.lock().0.get(&holder).map(|holder| holder.ident)
    } else {
        holder.thread_ident()
    }
}
