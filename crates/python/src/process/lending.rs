//! A worker whose task waits for another task of the parent's executor gives its place away meanwhile: another worker takes it, so
//! that one worker is enough for any depth.
//!
//! Only futures that say so are waited for in this way ([`Future::lends_place`](crate::future::Future::lends_place)): what a task waits
//! for in pools of its own is its own work, and each worker more would make more of that.

use crate::process::serve;
use pyo3::prelude::*;
use raddle_process::message;
use std::cell::Cell;
use std::marker::PhantomData;

// How many waits of the task that this thread runs are going on, nested or, in a coroutine, side by side. None: it runs no tasks of a
// pool of processes.
thread_local!(static WAITS: Cell<Option<u32>> = const { Cell::new(None) });

/// The calling thread runs the tasks of this worker; the next one begins, and waits for nothing.
pub(crate) fn begin_task() {
    WAITS.set(Some(0));
}

/// One more wait begins.
pub(crate) fn begin(py: Python<'_>) {
    let Some(waits) = WAITS.get() else { return };
    WAITS.set(Some(waits + 1));
    if waits == 0 {
        serve::say_surely(py, message::BLOCKED);
    }
}

/// A wait has ended.
pub(crate) fn end(py: Python<'_>) {
    // Of a task that has ended before its wait, nothing is left to be taken back.
    let Some(waits @ 1..) = WAITS.get() else { return };
    WAITS.set(Some(waits - 1));
    if waits == 1 {
        serve::say_surely(py, message::RESUMED);
    }
}

/// The worker's place is given away; dropped, the worker takes it back. Stays on its thread.
pub(crate) struct Lent<'py>(Option<Python<'py>>, PhantomData<*const ()>);

/// Gives the worker's place away, if that is `wanted` and the calling thread runs tasks.
pub(crate) fn lend(py: Python<'_>, wanted: bool) -> Lent<'_> {
    if wanted {
        begin(py);
    }
    Lent(wanted.then_some(py), PhantomData)
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(py) = self.0 {
            end(py);
        }
    }
}
