//! Comparisons that run no foreign code, and can't fail: of numbers, strings, and tuples as far as these decide.

use crate::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString, PyTuple};
use std::cmp::Ordering;

/// Up to here a float has room for every integer.
const EXACT: i64 = 1 << 53;

/// Tuples in tuples, to this depth.
const DEEPEST: u32 = 4;

/// `one < other`, or None when only Python can tell.
#[inline]
pub(crate) fn less(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    if let (Some(one), Some(other)) = (integer(one), integer(other)) {
        return Some(one < other);
    }
    order(one, other, DEEPEST).map(|order| order == Some(Ordering::Less))
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
    integer(object).filter(|integer| integer.abs() <= EXACT).map(|integer| integer as f64)
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
