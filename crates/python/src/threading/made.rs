//! What `__init__` makes: a subclass may call it with arguments of its own, late, or once more.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// What the last call of `__init__` made. What those before made lives as long, for somebody may be waiting for it.
pub(crate) struct Made<T> {
    value: OnceLock<T>,
    later: OnceLock<Box<Self>>,
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), later: OnceLock::new() }
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

    /// Fails before the first `__init__`.
    #[inline]
    pub(crate) fn get(&self) -> PyResult<&T> {
        self.last().value.get().ok_or_else(|| PyRuntimeError::new_err("__init__() was not called"))
    }

    /// What all calls made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let all = std::iter::successors(Some(self), |made| made.later.get().map(|later| &**later));
        all.filter_map(|made| made.value.get())
    }

    /// The object is made, or made anew.
    pub(crate) fn make(&self, value: T) {
        let mut left = Some(value);
        let mut place = self;
        loop {
            let new = &mut left;
            place.value.get_or_init(|| new.take().expect("it was not used yet"));
            if left.is_none() {
                return;
            }
            place = place.later.get_or_init(Box::default);
        }
    }
}
