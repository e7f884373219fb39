//! How a native queue becomes Python, for good.
//!
//! The state in Python is made first, its mutex taken by the one who makes it; it is published; the native queue is retired,
//! which wakes everybody who waits there; what it held is handed over; the mutex is released. So whoever finds the native
//! queue retired goes on in Python, where he first waits for the mutex.
//!
//! From the publication to the release of the mutex nothing runs that could raise a signal's exception or come back to this
//! queue: no bytecode, and nothing that lets the garbage collector in. What memory may be missing for stays in `left`, and
//! the next one who needs the state hands it over.

use super::base::Queue;
use super::core::Left;
use super::names::{Kind, names};
use crate::ffi;
use crate::threading::lock::Lock;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::atomic::Ordering;

/// The queue's state in Python: an instance of `Hooked`.
pub(crate) fn hooked<'py>(queue: &Bound<'py, Queue>) -> PyResult<Bound<'py, PyAny>> {
    let (py, this) = (queue.py(), queue.get());
    if let Some(hooked) = this.hooked.get(py) {
        if !this.filled.load(Ordering::Acquire) {
            // Another thread is handing over and has the mutex, or it has failed to.
            let mutex = mutex_of(&hooked)?;
            let append = append_of(&hooked)?;
            let _held = Held::take(&mutex)?;
            fill(this, &hooked, &append)?;
        }
        return Ok(hooked);
    }
    let Some(kind) = this.kind else {
        // Its items are Python's from the beginning.
        this.hooked.set(ffi::invoke(names(py).hooked.bind(py), ())?.unbind());
        return Ok(this.hooked.get(py).expect("it has been published"));
    };
    let hooked = ffi::invoke(names(py).hooked.bind(py), ())?;
    let items = match kind {
        Kind::Fifo => ffi::invoke(names(py).deque.bind(py), ())?,
        Kind::Lifo | Kind::Heap => PyList::empty(py).into_any(),
    };
    hooked.setattr("queue", items)?;
    let (mutex, append) = (mutex_of(&hooked)?, append_of(&hooked)?);
    let held = Held::take(&mutex)?;
    let publish = || this.hooked.set(hooked.clone().unbind());
    let Some(mut left) = this.core.retire(queue.as_any(), publish)? else {
        drop(held);
        return self::hooked(queue);
    };
    // So that they can be popped in their order.
    left.items.reverse();
    *this.left.lock() = Some(left);
    fill(this, &hooked, &append)?;
    drop(held);
    Ok(hooked)
}

fn mutex_of<'py>(hooked: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Lock>> {
    Ok(hooked.getattr("mutex")?.cast_into()?)
}

/// What appends an item to the deque or list in Python.
fn append_of<'py>(hooked: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    hooked.getattr("queue")?.getattr("append")
}

/// The mutex, until this is dropped, also by a panic: pyo3 has one where memory is missing for an integer or a name.
struct Held<'a, 'py>(&'a Bound<'py, Lock>);

impl<'a, 'py> Held<'a, 'py> {
    fn take(mutex: &'a Bound<'py, Lock>) -> PyResult<Self> {
        Lock::lock(mutex)?;
        Ok(Self(mutex))
    }
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        let released = self.0.get().unlock();
        debug_assert!(released.is_ok(), "nobody else knows the mutex yet");
    }
}

/// What is being handed over; what has not been goes back when this is dropped.
struct Rest<'a> {
    queue: &'a Queue,
    left: Option<Left>,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.left.is_some() {
            *self.queue.left.lock() = self.left.take();
        }
    }
}

/// Hands over what is left of the native queue, for the one who has the mutex.
fn fill(this: &Queue, hooked: &Bound<'_, PyAny>, append: &Bound<'_, PyAny>) -> PyResult<()> {
    let left = this.left.lock().take();
    let mut rest = Rest { queue: this, left };
    if let Some(left) = &mut rest.left {
        hand_over(this, hooked, append, left)?;
        rest.left = None;
        this.filled.store(true, Ordering::Release);
    }
    Ok(())
}

fn hand_over(
    this: &Queue,
    hooked: &Bound<'_, PyAny>,
    append: &Bound<'_, PyAny>,
    left: &mut Left,
) -> PyResult<()> {
    let py = hooked.py();
    hooked.setattr("unfinished_tasks", left.unfinished)?;
    hooked.setattr("is_shutdown", left.shut_down)?;
    hooked.setattr("maxsize", this.maxsize.get(py)?)?;
    while let Some(item) = left.items.last() {
        ffi::call_one(append, item.bind(py))
            .map_err(|error| PyErr::from_value(error.into_bound(py).into_any()))?;
        left.items.pop();
    }
    Ok(())
}
