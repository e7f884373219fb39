//! Tasks as owners: which asyncio task the calling thread runs, and in which thread a task that holds something runs.

use crate::ffi;
use crate::interpreter::names;
use pyo3::prelude::*;
use raddle_sync::Owner;
use raddle_sync::fork_mutex::{ForkMutex, Inherit};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Those tasks that hold something, each with its loop's thread and how much it holds.
#[derive(Default)]
struct Holders(HashMap<Owner, Holder>);

struct Holder {
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

/// The task, whose loop runs in the calling thread, has got hold of something.
pub(crate) fn holds(task: Owner) {
    let (thread, ident) = (Owner::current_thread(), raddle_sys::thread::ident());
    let mut holders = HOLDERS.lock();
    let holds = 1 + holders.0.get(&task).map_or(0, |holder| holder.holds);
    // Its thread may be another one than before: an address serves one task after another.
    holders.0.insert(task, Holder { thread, ident, holds });
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
    if let Some(holder) = holders.0.get_mut(&task) {
        holder.holds -= 1;
        if holder.holds == 0 {
            holders.0.remove(&task);
        }
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
