//! Where a lock was acquired: remembered while `raddle.threading.track(True)` is on.

use crate::ffi;
use pyo3::prelude::*;
use raddle_sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often it has been switched on or off: odd while it is on. What was noted in another period may have been released and
/// acquired elsewhere while nobody took notes.
static PERIOD: AtomicU32 = AtomicU32::new(0);

const fn is_on(period: u32) -> bool {
    period % 2 == 1
}

/// Whether locks remember from now on where they were acquired. Returns whether they did so far.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub(crate) fn track_acquisitions(on: bool) -> bool {
    let switched = |period| (is_on(period) != on).then(|| period.wrapping_add(1));
    PERIOD.try_update(Ordering::Relaxed, Ordering::Relaxed, switched).is_ok() != on
}

/// Whether locks remember where they were acquired.
#[inline]
pub(super) fn tracking() -> bool {
    is_on(PERIOD.load(Ordering::Relaxed))
}

/// A code object and a line in it.
type Line = (Py<PyAny>, i32);

/// Where something that is held was acquired, and in which period.
#[derive(Default)]
pub(crate) struct Place(Mutex<Option<(u32, Line)>>);

impl Place {
    /// It has been acquired, where the calling thread stands.
    #[inline]
    pub(crate) fn note(&self, py: Python<'_>) {
        let period = PERIOD.load(Ordering::Relaxed);
        if is_on(period) {
            self.set(ffi::current_place(py).map(|line| (period, line)));
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
    fn set(&self, noted: Option<(u32, Line)>) {
        let before = std::mem::replace(&mut *self.0.lock(), noted);
        drop(before);
    }

    /// The code object and the line, if they are known.
    pub(crate) fn tell(&self, py: Python<'_>) -> Option<Line> {
        let now = PERIOD.load(Ordering::Relaxed);
        let noted = self.0.lock();
        let (_, (code, line)) = noted.as_ref().filter(|(period, _)| is_on(now) && *period == now)?;
        Some((code.clone_ref(py), *line))
    }
}
