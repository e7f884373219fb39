//! What the stdlib's own code works with on a future: a condition and a list of waiters, made when they are asked for.
//!
//! That code takes the condition, looks at the state, and puts a waiter on the list that is told of the end if there is one to
//! come. A future that ends here ends without the condition, and tells the waiters a little later, with it. Until then the stdlib's
//! code must find it open: or it would count a future as done of which its waiter is told once more. So the views have a stage:
//!
//! ```text
//!  UNSEEN ── made ──▶ SEEN ── the waiters are told, with the condition ──▶ TOLD
//!     └────────────── the future ends before anybody has looked ────────────▲
//! ```

use crate::ffi::{self, SIGINT};
use crate::future::Future;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// The stdlib's `_condition` and `_waiters` of one future.
pub(crate) struct Views {
    pub(crate) condition: Py<PyAny>,
    pub(crate) waiters: Py<PyList>,
}

const UNSEEN: u8 = 0;
const SEEN: u8 = 1;
const TOLD: u8 = 2;

/// The views of a future, if it has any, and whether they have been told of its end.
#[derive(Default)]
pub(crate) struct Viewed {
    views: OnceLock<Views>,
    stage: AtomicU8,
}

impl Viewed {
    pub(crate) fn get(&self) -> Option<&Views> {
        self.views.get()
    }

    /// Makes them if there are none. Whoever ends the future from now on tells them; or it has ended, and they say so.
    pub(crate) fn make(&self, py: Python<'_>) -> PyResult<&Views> {
        if self.views.get().is_none() {
            let _ = self.views.set(Views::new(py)?);
            let _ = self.stage.compare_exchange(UNSEEN, SEEN, Ordering::AcqRel, Ordering::Acquire);
        }
        Ok(self.views.get().expect("set above, or by somebody else"))
    }

    /// Whether the future, if it has ended, is still open to those who hold its condition.
    pub(crate) fn hides_end(&self) -> bool {
        self.stage.load(Ordering::Acquire) == SEEN
    }

    /// The future has ended; false when there are views that have to be told.
    pub(crate) fn settle(&self) -> bool {
        let settled = self.stage.compare_exchange(UNSEEN, TOLD, Ordering::AcqRel, Ordering::Acquire);
        settled.map_or_else(|found| found == TOLD, |_| true)
    }

    /// The same, and they are told: `method(future)` of each waiter is called, and those are woken who sleep on the condition.
    pub(crate) fn tell(&self, future: &Bound<'_, Future>, method: &str) {
        if self.settle() {
            return;
        }
        let py = future.py();
        Views::notify(future, |views| {
            self.stage.store(TOLD, Ordering::Release);
            for waiter in views.waiters.bind(py).iter() {
                let told = waiter.getattr(method).and_then(|method| ffi::invoke(&method, (future,)));
                if let Err(error) = told {
                    error.write_unraisable(py, Some(&waiter));
                }
            }
        });
        // Whatever became of the condition.
        self.stage.store(TOLD, Ordering::Release);
    }

    /// Somebody has set the future's state by hand.
    pub(crate) fn force(&self, ended: bool) {
        let open = if self.views.get().is_some() { SEEN } else { UNSEEN };
        self.stage.store(if ended { TOLD } else { open }, Ordering::Release);
    }
}

impl Views {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let condition = py.import("threading")?.call_method0("Condition")?.unbind();
        Ok(Self { condition, waiters: PyList::empty(py).unbind() })
    }

    /// Holds the condition, if it is there, while `body` runs; then notifies all. An interrupt in between is put off: those
    /// who wait would never be told.
    pub(crate) fn notify(future: &Bound<'_, Future>, body: impl FnOnce(&Self)) {
        let py = future.py();
        let Some(views) = future.get().views.get() else { return };
        let condition = views.condition.bind(py);
        let mut interrupted = false;
        let mut on_condition = |method: &str| {
            loop {
                match condition.getattr(method).and_then(|method| ffi::invoke(&method, ())) {
                    Ok(_) => return true,
                    Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => interrupted = true,
                    Err(error) => {
                        error.write_unraisable(py, Some(future.as_any()));
                        return false;
                    }
                }
            }
        };
        if on_condition("acquire") {
            body(views);
            on_condition("notify_all");
            on_condition("release");
        }
        if interrupted {
            ffi::trip_signal(SIGINT);
        }
    }
}
