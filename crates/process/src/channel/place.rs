//! Where shared structures stand: in a mapping of shared memory, or, in a model, on the heap.

use std::ops::Deref;

/// What may stand in memory that another process writes at any time.
///
/// # Safety
///
/// The type consists of integer atomics (and padding) alone, so that any bytes are a valid value and any change by
/// anybody is an atomic access; it is laid out by `repr(C)`, so that two builds agree; and it is not aligned to more
/// than a page.
pub(super) unsafe trait Shareable {}

/// A `T` in shared memory, for as long as this lives.
#[cfg(not(loom))]
pub(super) struct Place<T> {
    mapping: raddle_sys::memory::Mapping,
    is: std::marker::PhantomData<T>,
}

#[cfg(not(loom))]
impl<T: Shareable> Place<T> {
    /// The `T` that `memory` holds; one of zeros when the memory is new.
    ///
    /// # Errors
    ///
    /// When the memory is too small, or the system can't map it.
    pub(super) fn new(memory: &raddle_sys::memory::Memory) -> std::io::Result<Self> {
        if memory.len() < size_of::<T>() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "this memory is too small"));
        }
        let mapping = memory.map(raddle_sys::memory::Access::Shared)?;
        assert!(mapping.as_ptr().cast::<T>().is_aligned(), "a mapping starts at a page");
        Ok(Self { mapping, is: std::marker::PhantomData })
    }
}

#[cfg(not(loom))]
impl<T: Shareable> Deref for Place<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mapping is readable, writable, aligned and long enough (`new`), and can't shrink, as the memory is
        // sealed; it stays until `self` goes. Any bytes are a `T`, and all of it is atomics, so that others may write it
        // while this reference lives (`Shareable`).
        unsafe { &*self.mapping.as_ptr().cast::<T>() }
    }
}

/// A `T` that several ends share in a model.
#[cfg(loom)]
#[derive(Default)]
pub(super) struct Place<T>(std::sync::Arc<T>);

#[cfg(all(test, loom))]
impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self(std::sync::Arc::clone(&self.0))
    }
}

#[cfg(loom)]
impl<T: Shareable> Deref for Place<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
