//! A thread waits for a primitive, on behalf of Python code.
//!
//! The wait is noted in the graph while the thread sleeps, and only then: whatever it runs meanwhile, such as a signal handler,
//! may release what it holds. A wait that ends by an error is undone; what was granted to it goes to the next.
//!
//! A pool's worker keeps its slot: what it waits for comes from a thread that runs already, or the stdlib's primitives would
//! make it wait just the same.

use super::timeout::Patience;
use super::wanted::Wanted;
use super::watch::Watch;
use crate::ffi;
use crate::interpreter::{self, Nap, Naps, names};
use pyo3::prelude::*;
use raddle_sync::{Moment, Owner, Waitable, Waiter, Woken};
use std::sync::Arc;

/// Blocks the calling thread until it has `what`, which belongs to `object`. False when `deadline` passed.
///
/// Raises `DeadlockError`, and what signal handlers raise.
pub(crate) fn block<W: Waitable + 'static>(
    object: &Bound<'_, PyAny>,
    what: W,
    deadline: Option<Moment>,
) -> PyResult<bool> {
    let waiter = Waiter::thread(Owner::current_thread());
    block_with(object.py(), &waiter, &Wanted::by_thread(object, what), deadline)
}

/// [`block`] for one who may not want to wait: then it is false at once. For `what` could not be had at once.
pub(crate) fn block_patiently<W: Waitable + 'static>(
    object: &Bound<'_, PyAny>,
    what: W,
    patience: Patience,
) -> PyResult<bool> {
    match patience {
        Patience::Never => Ok(false),
        Patience::Until(deadline) => block(object, what, deadline),
    }
}

/// [`block`] with a waiter of the caller's, which may have joined the queue already, or been woken for nothing before.
pub(crate) fn block_with<W: Waitable + 'static>(
    py: Python<'_>,
    waiter: &Arc<Waiter>,
    wanted: &Arc<Wanted<W>>,
    deadline: Option<Moment>,
) -> PyResult<bool> {
    if wanted.attempt(waiter) {
        return Ok(true);
    }
    let watch = Watch::new(waiter, wanted, deadline.is_some());
    match sleep(py, waiter, wanted, deadline, watch, &mut Err) {
        Ok(true) => Ok(true),
        Ok(false) => Ok(wanted.abandon(waiter)),
        Err(error) => {
            Woken::ring_all(wanted.pass_on(waiter), &**wanted);
            Err(error)
        }
    }
}

/// Blocks until `owner`, who gave `what` away for a wait, has it again; returns what was raised meanwhile, such as by signal
/// handlers, to be raised by one who has it.
///
/// Nothing takes it off that way but the interpreter's finalization, and that is final: it does not have it. A deadlock is no
/// more than warned of: the program counts on having the lock in any case, such as at the end of a `with` block, and another
/// member of the circle can give way without harm. It is told as soon as it looks around in its wait.
pub(crate) fn regain<W: Waitable + 'static>(
    owner: Owner,
    object: &Bound<'_, PyAny>,
    what: W,
) -> PyResult<Option<PyErr>> {
    let py = object.py();
    let (waiter, wanted) = (Waiter::thread(owner), Wanted::by_thread(object, what));
    let mut late = None;
    if wanted.attempt(&waiter) {
        return Ok(late);
    }
    let mut keep = |error| {
        late = Some(chain(py, error, late.take()));
        Ok(())
    };
    let watch = Watch::of_return(&waiter, &wanted);
    match sleep(py, &waiter, &wanted, None, watch, &mut keep) {
        Ok(_) => Ok(late),
        Err(error) => {
            Woken::ring_all(wanted.pass_on(&waiter), &*wanted);
            Err(chain(py, error, late))
        }
    }
}

/// One has again what it gave away for a wait: adds what went wrong when that was `told` to what is to be raised.
pub(crate) fn had_again(py: Python<'_>, told: PyResult<()>, late: Option<PyErr>) -> Option<PyErr> {
    match told {
        Ok(()) => late,
        Err(error) => Some(chain(py, error, late)),
    }
}

/// The later of two errors, with the earlier one as its context.
pub(crate) fn chain(py: Python<'_>, later: PyErr, earlier: Option<PyErr>) -> PyErr {
    if let Some(earlier) = earlier.filter(|earlier| !earlier.value(py).is(later.value(py)))
        && let Err(error) = later.value(py).setattr("__context__", earlier.value(py))
    {
        error.write_unraisable(py, None);
    }
    later
}

/// Fails once the interpreter is being finalized: then no other thread runs Python code any more, and none can end the wait.
/// Runs no Python code, which could be interrupted.
fn refuse_at_finalization(py: Python<'_>) -> PyResult<()> {
    if !ffi::is_finalizing(py) {
        return Ok(());
    }
    let message = "cannot wait at interpreter finalization, when no other thread runs";
    Err(interpreter::error(py, &names(py).finalization_error, message))
}

/// Sleeps until it has what it waits for, or `deadline`. It stands in the queue. `raised` decides about what is raised
/// meanwhile, be it by signal handlers or because of a deadlock.
fn sleep<W: Waitable + 'static>(
    py: Python<'_>,
    waiter: &Arc<Waiter>,
    wanted: &Arc<Wanted<W>>,
    deadline: Option<Moment>,
    mut watch: Watch<W>,
    raised: &mut dyn FnMut(PyErr) -> PyResult<()>,
) -> PyResult<bool> {
    if deadline.is_none() {
        refuse_at_finalization(py)?;
    }
    let mut naps = Naps::of_wait(watch.timed);
    loop {
        let noted = match watch.note(py, &naps) {
            Ok(noted) => noted,
            Err(error) => {
                raised(error)?;
                continue;
            }
        };
        let had = loop {
            match naps.sleep(py, deadline, |until| waiter.sleep(until)) {
                Nap::Woken if wanted.attempt(waiter) => break Some(true),
                Nap::Woken => {}
                Nap::TimedOut => break Some(false),
                Nap::Unrested => break None,
            }
        };
        match had {
            Some(had) => return Ok(had),
            None => watch.look(py, Some(noted), &mut naps).or_else(&mut *raised)?,
        }
    }
}
