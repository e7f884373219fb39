//! A thread waits for a primitive, on behalf of Python code.
//!
//! The wait is noted in the graph while the thread sleeps, and only then: whatever it runs meanwhile, such as a signal handler,
//! may release what it holds. A wait that ends by an error is undone; what was granted to it goes to the next.
//!
//! A pool's worker keeps its slot: what it waits for comes from a thread that runs already, or the stdlib's primitives would
//! make it wait just the same.

use super::wanted::Wanted;
use super::watch::Watch;
use crate::ffi;
use crate::interpreter::{Nap, Naps, names};
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
    block_as(Owner::current_thread(), object, what, deadline)
}

/// [`block`] on behalf of `owner`: the calling thread, or the task that it runs.
pub(crate) fn block_as<W: Waitable + 'static>(
    owner: Owner,
    object: &Bound<'_, PyAny>,
    what: W,
    deadline: Option<Moment>,
) -> PyResult<bool> {
    block_with(object.py(), &Waiter::thread(owner), &Wanted::by_thread(object, what), deadline)
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
    match sleep(py, waiter, wanted, deadline, &mut Err) {
        Ok(true) => Ok(true),
        Ok(false) => Ok(wanted.abandon(waiter)),
        Err(error) => {
            Woken::ring_all(wanted.pass_on(waiter), &**wanted);
            Err(error)
        }
    }
}

/// Blocks until `owner`, who gave `what` away for a wait, has it again; returns what signal handlers raised meanwhile, to be
/// raised by one who has it. An error is final: it does not have it.
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
    match sleep(py, &waiter, &wanted, None, &mut keep) {
        Ok(_) => Ok(late),
        Err(error) => {
            Woken::ring_all(wanted.pass_on(&waiter), &*wanted);
            Err(chain(py, error, late))
        }
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
fn refuse_at_finalization(py: Python<'_>) -> PyResult<()> {
    let error = ffi::invoke(names(py).finalization_error.bind(py), ())?;
    if error.is_none() { Ok(()) } else { Err(PyErr::from_value(error)) }
}

/// Sleeps until it has what it waits for, or `deadline`. It stands in the queue. `raised` decides about what is raised
/// meanwhile by others, such as signal handlers.
fn sleep<W: Waitable + 'static>(
    py: Python<'_>,
    waiter: &Arc<Waiter>,
    wanted: &Arc<Wanted<W>>,
    deadline: Option<Moment>,
    raised: &mut dyn FnMut(PyErr) -> PyResult<()>,
) -> PyResult<bool> {
    refuse_at_finalization(py)?;
    let mut watch = Watch::new(waiter, wanted, deadline.is_some());
    let mut naps = Naps::of_wait(watch.timed);
    loop {
        let noted = watch.note(py, &naps)?;
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
