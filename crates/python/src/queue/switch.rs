//! How a native queue becomes Python, for good.
//!
//! The state in Python is made first, its mutex held by the one who makes it; it is published; the native queue is retired,
//! which wakes everybody who waits there; what it held is handed over; the mutex is released. So whoever finds the native
//! queue retired goes on in Python, where he first waits for the mutex.

use super::base::Queue;
use super::core::Left;
use super::names::{Kind, names};
use crate::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::atomic::Ordering;

/// The queue's state in Python: an instance of `Hooked`.
pub(crate) fn hooked<'py>(queue: &Bound<'py, Queue>) -> PyResult<Bound<'py, PyAny>> {
    let (py, this) = (queue.py(), queue.get());
    if let Some(hooked) = this.hooked.get(py) {
        if !this.filled.load(Ordering::Acquire) {
            // Another thread is handing over and has the mutex, so this one has not.
            ffi::invoke(&hooked.getattr("await_hand_over")?, ())?;
        }
        return Ok(hooked);
    }
    let made = ffi::invoke(names(py).hooked.bind(py), (this.kind.is_some(),))?;
    let publish = || this.hooked.set(made.clone().unbind());
    match this.kind {
        // Its items are Python's from the beginning.
        None => _ = publish(),
        Some(kind) => match this.core.retire(queue.as_any(), publish)? {
            Some(left) => hand_over(this, &made, kind, left)?,
            None => return self::hooked(queue),
        },
    }
    Ok(this.hooked.get(py).expect("it has been published"))
}

fn hand_over(this: &Queue, hooked: &Bound<'_, PyAny>, kind: Kind, left: Left) -> PyResult<()> {
    let py = hooked.py();
    let items = PyList::new(py, left.items)?.into_any();
    let items = if kind == Kind::Fifo { ffi::invoke(names(py).deque.bind(py), (items,))? } else { items };
    hooked.setattr("queue", items)?;
    hooked.setattr("unfinished_tasks", left.unfinished)?;
    hooked.setattr("is_shutdown", left.shut_down)?;
    hooked.setattr("maxsize", this.maxsize.load(Ordering::Relaxed))?;
    this.filled.store(true, Ordering::Release);
    ffi::invoke(&hooked.getattr("end_hand_over")?, ()).map(drop)
}
