//! Where a lock was acquired: remembered while `raddle.threading.track(True)` is on.

use crate::ffi;
use pyo3::prelude::*;
use raddle_sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

static TRACKING: AtomicBool = AtomicBool::new(false);

/// Whether locks remember from now on where they were acquired. Returns whether they did so far.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub(crate) fn track_acquisitions(on: bool) -> bool {
    TRACKING.swap(on, Ordering::Relaxed)
}

/// Whether locks remember where they were acquired.
#[inline]
pub(super) fn tracking() -> bool {
    TRACKING.load(Ordering::Relaxed)
}

/// A code object and a line in it.
type Line = (Py<PyAny>, i32);

/// Where something that is held was acquired.
#[derive(Default)]
pub(crate) struct Place(Mutex<Option<Line>>);

impl Place {
    /// It has been acquired, where the calling thread stands.
    #[inline]
    pub(crate) fn note(&self, py: Python<'_>) {
        if tracking() {
            self.set(ffi::current_place(py));
        }
    }

    /// It is about to be released.
    #[inline]
    pub(crate) fn forget(&self) {
        if tracking() {
            self.set(None);
        }
    }

    #[cold]
    fn set(&self, line: Option<Line>) {
        let before = std::mem::replace(&mut *self.0.lock(), line);
        drop(before);
    }

    /// The code object and the line, if they are known.
    pub(crate) fn tell(&self, py: Python<'_>) -> Option<Line> {
        if !tracking() {
            return None;
        }
        self.0.lock().as_ref().map(|(code, line)| (code.clone_ref(py), *line))
    }
}
