//! What is told of a deadlock, and who waits for what.
//!
//! The graph finds it, Python code puts it into words (`raddle._internal.deadlocks`): the members of a circle are inside their waits
//! as long as nobody has raised an error in one of them.

use super::tasks;
use super::wanted::{Subject, TaskWaits};
use crate::ffi;
use crate::interpreter::{names, timers};
use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::prelude::*;
use pyo3::types::PyWeakrefMethods;
use raddle_sync::graph::{Cycle, Graph};
use raddle_sync::{Owner, Waitable};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who holds something, for people to read: see [`holder`].
pub(crate) type Holder = (Option<u64>, Option<u64>);

/// A wait: the thread's identity, the task if one waits, what it waits for.
type Wait = (u64, Option<Py<PyAny>>, Py<PyAny>);

fn wait_of(py: Python<'_>, waits_for: &dyn Waitable) -> Option<Wait> {
    let subject = waits_for.subject()?;
    if let Some(Subject { ident, object }) = subject.downcast_ref() {
        return Some((*ident, None, object.clone_ref(py)));
    }
    let TaskWaits { ident, task, object } = subject.downcast_ref()?;
    Some((*ident, Some(task.bind(py).upgrade()?.unbind()), object.bind(py).upgrade()?.unbind()))
}

/// Tells of a deadlock that the calling thread has closed; `lasting`: it has been one for long; `returns`: the thread has to go on
/// in any case.
///
/// Fails with the `DeadlockError` to raise. Succeeds when the user's policy is to wait on.
pub(crate) fn report(py: Python<'_>, cycle: &Cycle, lasting: bool, returns: bool) -> PyResult<()> {
    let waits: Vec<_> = cycle.members.iter().filter_map(|member| wait_of(py, &*member.waits_for)).collect();
    match ffi::invoke(names(py).report_deadlock.bind(py), (waits, cycle.presumed, lasting, returns)) {
        Ok(verdict) if verdict.is_none() => Ok(()),
        Ok(verdict) => Err(PyErr::from_value(verdict.cast_into::<PyBaseException>()?.into_any())),
        // A report that fails makes no error of a suspicion.
        Err(error) if cycle.presumed && error.is_instance_of::<PyException>(py) => {
            error.write_unraisable(py, None);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

static SUSPICIONS_RAISE: AtomicBool = AtomicBool::new(false);

/// Whether the policy makes an error of what may be a deadlock, at once. Otherwise it is told when it has lasted.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub(crate) fn raise_suspicions(on: bool) {
    SUSPICIONS_RAISE.store(on, Ordering::Relaxed);
}

pub(crate) fn suspicions_raise() -> bool {
    SUSPICIONS_RAISE.load(Ordering::Relaxed)
}

/// A wait, and whether it ends by itself.
type Standing = (u64, Option<Py<PyAny>>, Py<PyAny>, bool);

/// All waits on Raddle's primitives: `(thread's identity, task or None, what it waits for, whether it ends by itself)`. Of the
/// calling thread, those which it left to look around, such as into the signal handler that asks.
#[pyfunction]
pub(crate) fn waits(py: Python<'_>) -> Vec<Standing> {
    let noted = Graph::of_process().snapshot().into_iter().map(|wait| (wait.waits_for, wait.timed));
    let told = paused().chain(noted).filter_map(|(waits_for, timed)| {
        let (ident, task, object) = wait_of(py, &*waits_for)?;
        Some((ident, task, object, timed))
    });
    told.collect()
}

/// The identities of the threads that sleep until somebody wakes them, which nobody has done yet.
#[pyfunction]
pub(crate) fn sleepers() -> Vec<u64> {
    let asleep = Graph::of_process().snapshot().into_iter();
    let asleep = asleep.filter(|wait| wait.asleep && !wait.timed && !wait.owner.is_task());
    asleep.filter_map(|wait| wait.owner.thread_ident()).collect()
}

/// Whether the thread that keeps Raddle's timers has nothing to do; None while there is no such thread.
#[pyfunction]
pub(crate) fn timer_is_idle() -> Option<bool> {
    timers().is_idle()
}

type Waiting = (Arc<dyn Waitable>, bool);

// What the calling thread waits for while it looks around.
thread_local!(static PAUSED: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) });

fn paused() -> impl Iterator<Item = Waiting> {
    PAUSED
        .with_borrow(|waits| waits.iter().map(|(wait, timed)| (Arc::clone(wait), *timed)).collect::<Vec<_>>())
        .into_iter()
}

/// While it lives, the calling thread looks around in the midst of a wait.
pub(crate) struct Paused(());

impl Paused {
    pub(crate) fn new(waits_for: Arc<dyn Waitable>, timed: bool) -> Self {
        PAUSED.with_borrow_mut(|waits| waits.push((waits_for, timed)));
        Self(())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // Dropped after the list is free again: it may be the last to hold the primitive.
        let wait = PAUSED.with_borrow_mut(Vec::pop);
        drop(wait);
    }
}

/// A holder as Python code knows it: the thread's identity (of a task: where its loop runs), and the task's `id()` if it is one.
pub(crate) fn holder(owner: Owner) -> Holder {
    (tasks::ident_of(owner), owner.task_address())
}
