//! The end of a thread, for those who join it.
//!
//! `Thread` in Python makes one when its thread begins, in that thread, and opens it when the thread's Python code is over,
//! however it ended. Then whoever joins goes on to the stdlib's own wait for what is left of the thread. Should Python not
//! come to open it (a profile function can see to that, by raising), the system's end of the thread does.

use super::timeout::Patience;
use super::wait;
use pyo3::prelude::*;
use raddle_sync::{Latch, Owner, Waitable, Waiter, Woken};
use std::cell::Cell;
use std::sync::Arc;

/// Open once the thread has ended; until then, nobody but the thread can open it.
struct End {
    latch: Latch,
    thread: Owner,
}

impl End {
    fn open(&self) {
        self.latch.count_down(1);
    }
}

impl Waitable for End {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.latch.attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.latch.abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.latch.pass_on(waiter)
    }

    fn holders(&self, _waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        if self.latch.count() > 0 {
            visit(self.thread);
        }
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Opens the end when the system's thread has ended.
struct Opens(Arc<End>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

thread_local!(static OPENS: Cell<Option<Opens>> = const { Cell::new(None) });

/// The end of the thread that makes it, to be opened by that thread at its end.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct ThreadEnd(Arc<End>);

#[pymethods]
impl ThreadEnd {
    #[new]
    fn new() -> Self {
        let end = Arc::new(End { latch: Latch::new(1), thread: Owner::current_thread() });
        OPENS.set(Some(Opens(Arc::clone(&end))));
        Self(end)
    }

    /// The thread has ended. Once is enough.
    fn open(&self) {
        self.0.open();
    }

    /// Waits for the end of `thread`, whose end this is, for `timeout` seconds (None: for ever). Returns whether it has ended.
    ///
    /// Raises `DeadlockError` when that thread waits for the calling one, and what signal handlers raise.
    #[pyo3(signature = (thread, timeout = None))]
    fn wait(&self, thread: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<bool> {
        if self.0.latch.count() == 0 {
            return Ok(true);
        }
        wait::block_patiently(thread, Arc::clone(&self.0), Patience::of_wait(timeout)?)
    }
}
