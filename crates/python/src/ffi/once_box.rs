//! A value in a box that is set at most once.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Like a `OnceLock`, but memory of zeros is an empty one.
///
/// That matters to what the garbage collector looks at: `CPython` 3.11 and 3.12 make the dictionary of an instance of a class
/// with a native one, which may run the collector, when it knows the instance already, and its native part is still zeros.
pub(crate) struct OnceBox<T>(AtomicPtr<T>, PhantomData<Option<Box<T>>>);

impl<T> Default for OnceBox<T> {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
    }
}

impl<T> OnceBox<T> {
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: null, or what `set` published, which stays until the drop.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets it; gives the value back when it has been set before.
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let value = Box::into_raw(Box::new(value));
        match self.0.compare_exchange(ptr::null_mut(), value, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // SAFETY: made above, and not published.
            Err(_) => Err(*unsafe { Box::from_raw(value) }),
        }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let value = *self.0.get_mut();
        if !value.is_null() {
            // SAFETY: what `set` published, and nobody else looks at it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}
