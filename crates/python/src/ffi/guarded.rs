//! A value that the interpreter's lock guards; a mutex of its own in an interpreter that has none.
//!
//! A queue that lives with Python needs no lock beside the one that its caller holds already: what it saves is half of what a
//! `put` costs.

use raddle_sync::fork_mutex::Inherit;

#[cfg(not(Py_GIL_DISABLED))]
mod imp {
    use super::Inherit;
    use pyo3::prelude::*;
    use std::cell::{Cell, UnsafeCell};

    /// One user at a time: whoever is attached, and only while nothing foreign runs.
    pub(crate) struct Guarded<T> {
        value: UnsafeCell<T>,
        /// Somebody is inside: set for as long as a closure of `with` runs.
        busy: Cell<bool>,
    }

    // SAFETY: both cells are touched by an attached thread only, of which there is one at a time.
    unsafe impl<T: Send> Sync for Guarded<T> {}

    struct Busy<'a>(&'a Cell<bool>);

    impl Drop for Busy<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }

    impl<T: Inherit> Guarded<T> {
        pub(crate) fn new() -> Self {
            Self { value: UnsafeCell::default(), busy: Cell::new(false) }
        }

        /// Calls `f` with the value. It must run nothing foreign, and drop nothing of Python's.
        #[inline]
        pub(crate) fn with<R>(&self, _py: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
            assert!(!self.busy.replace(true), "nothing foreign runs while the value is in use");
            let _busy = Busy(&self.busy);
            // SAFETY: the caller is attached, so no other thread is here; and `busy` was clear, so neither is this one further
            // up, nor one that let go of the interpreter within `f`.
            f(unsafe { &mut *self.value.get() })
        }

        /// The same, for one who has something else to do when the value is in use.
        #[inline]
        pub(crate) fn try_with<R>(&self, py: Python<'_>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
            (!self.busy.get()).then(|| self.with(py, f))
        }

        /// The same for the garbage collector, which gets nothing when the value is in use.
        pub(crate) fn inspect<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
            // SAFETY: the collector runs attached.
            let py = unsafe { Python::assume_attached() };
            self.try_with(py, f)
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod imp {
    use super::Inherit;
    use pyo3::prelude::*;
    use raddle_sync::fork_mutex::ForkMutex;

    pub(crate) struct Guarded<T: 'static>(ForkMutex<T>);

    impl<T: Inherit + Send> Guarded<T> {
        pub(crate) fn new() -> Self {
            Self(ForkMutex::default())
        }

        #[inline]
        pub(crate) fn with<R>(&self, _py: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.lock())
        }

        #[inline]
        pub(crate) fn try_with<R>(&self, py: Python<'_>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
            Some(self.with(py, f))
        }

        pub(crate) fn inspect<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
            self.0.try_lock().map(|mut value| f(&mut value))
        }
    }
}

pub(crate) use imp::Guarded;
