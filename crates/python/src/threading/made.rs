//! What `__init__` makes: a subclass may call it with arguments of its own, late, or once more.

use crate::ffi::OnceBox;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// What the last call of `__init__` made. What those before made lives as long, for somebody may be waiting for it.
pub(crate) struct Made<T> {
    value: OnceBox<T>,
    later: OnceBox<Self>,
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { value: OnceBox::default(), later: OnceBox::default() }
    }
}

impl<T> Made<T> {
    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(later) = last.later.get() {
            last = later;
        }
        last
    }

    /// None before the first `__init__`.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&T> {
        self.last().value.get()
    }

    /// Fails before the first `__init__`.
    #[inline]
    pub(crate) fn get(&self) -> PyResult<&T> {
        self.peek().ok_or_else(|| PyRuntimeError::new_err("__init__() was not called"))
    }

    /// What all calls made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let all = std::iter::successors(Some(self), |made| made.later.get());
        all.filter_map(|made| made.value.get())
    }

    /// The object is made, or made anew.
    pub(crate) fn make(&self, value: T) {
        let (mut value, mut place) = (value, self);
        while let Err(given_back) = place.value.set(value) {
            value = given_back;
            // Another thread may be making it as well.
            let _ = place.later.set(Self::default());
            place = place.later.get().expect("it has been set");
        }
    }
}
