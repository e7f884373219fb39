//! A heap in a list of Python's, as `heapq` has it, but whole after a comparison that raises.

use super::paths;
use crate::ffi;
use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyList;

fn check(heap: &Bound<'_, PyList>, len: usize) -> PyResult<()> {
    if heap.len() == len {
        Ok(())
    } else {
        Err(PyRuntimeError::new_err("the heap was changed by a comparison of its items"))
    }
}

/// Adds an item to a heap. When a comparison raises, it is not added.
#[pyfunction]
#[pyo3(signature = (heap, item, /))]
pub(crate) fn heap_push(heap: &Bound<'_, PyList>, item: &Bound<'_, PyAny>) -> PyResult<()> {
    let len = heap.len();
    let place = paths::climb(len, |place| ffi::less(item, &heap.get_item(place)?))?;
    check(heap, len)?;
    heap.append(item)?;
    let mut moved = Ok(());
    paths::rise(place, len, |one, other| {
        let swapped = heap.get_item(one).and_then(|lower| {
            heap.set_item(one, heap.get_item(other)?)?;
            heap.set_item(other, lower)
        });
        moved = std::mem::replace(&mut moved, Ok(())).and(swapped);
    });
    moved
}

/// Takes the least item of a heap. When a comparison raises, it stays.
#[pyfunction]
#[pyo3(signature = (heap, /))]
pub(crate) fn heap_pop<'py>(heap: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
    let len = heap.len();
    let Some(last) = len.checked_sub(1) else {
        return Err(PyIndexError::new_err("pop from an empty heap"));
    };
    let place = if last == 0 {
        0
    } else {
        paths::sink(len, |one, other| ffi::less(&heap.get_item(one)?, &heap.get_item(other)?))?
    };
    check(heap, len)?;
    let mut hand = heap.get_item(last)?;
    heap.del_item(last)?;
    if last == 0 {
        return Ok(hand);
    }
    let mut moved = Ok(());
    paths::lift(place, |at| {
        let swapped = heap.get_item(at).and_then(|found| {
            heap.set_item(at, &hand)?;
            hand = found;
            Ok(())
        });
        moved = std::mem::replace(&mut moved, Ok(())).and(swapped);
    });
    moved.map(|()| hand)
}
