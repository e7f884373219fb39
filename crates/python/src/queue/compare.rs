//! Comparisons that run no foreign code, and can't fail: of numbers, strings, and tuples as far as these decide.
//!
//! A heap compares an item again and again, and each time it would have to fetch it from memory. So it keeps a [`Key`] beside
//! each item, which decides most comparisons of numbers, and of tuples that begin with one.

use crate::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString, PyTuple};
use std::cmp::Ordering;

/// Up to here a float has room for every integer.
const EXACT: u64 = 1 << 53;

/// Tuples in tuples, to this depth.
const DEEPEST: u32 = 4;

/// What an item is compared by as long as that decides.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Key {
    Int(i64),
    Float(f64),
    /// The first element of a tuple.
    FirstInt(i64),
    FirstFloat(f64),
    /// Nothing short.
    Other,
}

/// An item of a heap.
pub(crate) struct Entry {
    key: Key,
    pub(crate) item: Py<PyAny>,
}

impl Key {
    fn of(item: &Bound<'_, PyAny>) -> Self {
        if let Ok(tuple) = item.cast_exact::<PyTuple>() {
            return match tuple.get_borrowed_item(0).map(|first| Self::of_number(&first)) {
                Ok(Self::Int(first)) => Self::FirstInt(first),
                Ok(Self::Float(first)) => Self::FirstFloat(first),
                _ => Self::Other,
            };
        }
        Self::of_number(item)
    }

    fn of_number(item: &Bound<'_, PyAny>) -> Self {
        if let Ok(float) = item.cast_exact::<PyFloat>() {
            return Self::Float(float.value());
        }
        integer(item).map_or(Self::Other, Self::Int)
    }

    /// Whether this one's item is less than the other one's, if the keys decide that.
    #[inline]
    fn less(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Some(one < other),
            (Self::Float(one), Self::Float(other)) => Some(one < other),
            (Self::FirstInt(one), Self::FirstInt(other)) if one != other => Some(one < other),
            // Without NaN, of which nothing can be said here: it is equal to itself if it is the same object.
            (Self::FirstFloat(one), Self::FirstFloat(other)) => match one.partial_cmp(&other) {
                Some(Ordering::Equal) | None => None,
                Some(order) => Some(order == Ordering::Less),
            },
            _ => None,
        }
    }
}

impl Entry {
    pub(crate) fn new(item: Bound<'_, PyAny>) -> Self {
        Self { key: Key::of(&item), item: item.unbind() }
    }

    /// `one < other`, or None when only Python can tell.
    #[inline]
    pub(crate) fn less(&self, py: Python<'_>, other: &Self) -> Option<bool> {
        self.key.less(other.key).or_else(|| self.less_without_key(py, other))
    }

    #[cold]
    fn less_without_key(&self, py: Python<'_>, other: &Self) -> Option<bool> {
        order(self.item.bind(py), other.item.bind(py), DEEPEST).map(|order| order == Some(Ordering::Less))
    }
}

#[inline]
fn integer(object: &Bound<'_, PyAny>) -> Option<i64> {
    object.is_exact_instance_of::<PyInt>().then(|| ffi::small_int(object)).flatten()
}

/// How two objects compare (Some(None): neither less, nor equal, nor greater), or None when only Python can tell.
#[expect(clippy::option_option, reason = "unknown, and known to be without order")]
fn order(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>, depth: u32) -> Option<Option<Ordering>> {
    if let (Ok(one), Ok(other)) = (one.cast_exact::<PyTuple>(), other.cast_exact::<PyTuple>()) {
        return if depth == 0 { None } else { order_of_tuples(one, other, depth - 1) };
    }
    if let (Ok(one), Ok(other)) = (one.cast_exact::<PyString>(), other.cast_exact::<PyString>()) {
        return ffi::compare_strings(one, other).map(Some);
    }
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(Some(one.cmp(&other))),
        _ => Some(float(one)?.partial_cmp(&float(other)?)),
    }
}

/// A number as a float, if that is exact.
fn float(object: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        return Some(float.value());
    }
    #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
    integer(object).filter(|integer| integer.unsigned_abs() <= EXACT).map(|integer| integer as f64)
}

/// By the first elements that are not equal. As in Python, an object is equal to itself there, even NaN.
#[expect(clippy::option_option, reason = "as in `order`")]
fn order_of_tuples(
    one: &Bound<'_, PyTuple>,
    other: &Bound<'_, PyTuple>,
    depth: u32,
) -> Option<Option<Ordering>> {
    for (mine, its) in one.iter_borrowed().zip(other.iter_borrowed()) {
        if mine.is(its) {
            continue;
        }
        match order(&mine, &its, depth)? {
            Some(Ordering::Equal) => {}
            decided => return Some(decided),
        }
    }
    Some(Some(one.len().cmp(&other.len())))
}
