//! What is let go by threads that do not have the interpreter, although it holds references to Python objects.
//!
//! Such a thread must not wait for the interpreter only to drop a reference: it may be the one that fetches everybody's results. The
//! binding library would keep the reference until somebody attaches through it, behind a lock that is held for ever in a
//! child which was forked at that moment. So it is laid down here, where a child finds nothing of its parent's, and dropped by
//! the next one who comes by with the interpreter. After the end of the interpreter nobody comes, and nothing is dropped.

use crate::ffi;
use pyo3::prelude::*;
use raddle_sync::{ForkCell, Mutex};
use std::ops::Deref;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Anything at all.
trait Thing: Send {}
impl<T: Send> Thing for T {}

#[derive(Default)]
struct Graveyard {
    things: Mutex<Vec<Box<dyn Thing>>>,
    any: AtomicBool,
}

static GRAVEYARD: LazyLock<ForkCell<Graveyard>> = LazyLock::new(|| ForkCell::new(Graveyard::default()));

pub(crate) fn prepare() {
    LazyLock::force(&GRAVEYARD);
}

fn graveyard() -> &'static Graveyard {
    GRAVEYARD.get(Graveyard::default)
}

/// Drops what has been laid down.
#[inline]
pub(crate) fn sweep(_py: Python<'_>) {
    let graveyard = graveyard();
    if graveyard.any.load(Ordering::Relaxed) && graveyard.any.swap(false, Ordering::AcqRel) {
        let things = std::mem::take(&mut *graveyard.things.lock());
        drop(things);
    }
}

/// A value that holds references to Python objects, and whose owner may be dropped by any thread.
pub(crate) struct Kept<T: Send + 'static>(Option<T>);

impl<T: Send> Kept<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken when it is dropped")
    }
}

impl<T: Send + 'static> Drop for Kept<T> {
    fn drop(&mut self) {
        if ffi::is_attached() {
            return;
        }
        if let Some(value) = self.0.take() {
            let graveyard = graveyard();
            graveyard.things.lock().push(Box::new(value));
            graveyard.any.store(true, Ordering::Release);
        }
    }
}
