//! `AtomicInt`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyFloat, PyInt};
use std::sync::atomic::{AtomicI64, Ordering};

/// An integer that any number of threads may change at once, without a lock. It has 64 bits, with a sign: what would not fit
/// raises `OverflowError` and changes nothing.
///
/// What changes it returns the value before. `number += n` and `number -= n` change it too, for all who share it; as always, a
/// function that does so to a variable from outside has to declare it `global` or `nonlocal`. It is no number itself: what is
/// formatted or calculated with is `number.load()`. It compares with numbers and others of its kind by the value of the moment,
/// which has no hash: it can be no key of a dictionary.
#[pyclass(frozen, weakref, module = "raddle.threading")]
pub(crate) struct AtomicInt {
    value: AtomicI64,
}

impl AtomicInt {
    fn change(&self, change: impl Fn(i64) -> Option<i64>) -> PyResult<i64> {
        // Sequentially consistent: the order of one's own operations on several of them is the order that all see.
        self.value.try_update(Ordering::SeqCst, Ordering::SeqCst, change).map_err(|value| {
            PyOverflowError::new_err(format!("the result does not fit into 64 bits; the value is {value}"))
        })
    }
}

#[pymethods]
impl AtomicInt {
    #[new]
    #[pyo3(signature = (value = 0))]
    fn new(value: i64) -> Self {
        Self { value: AtomicI64::new(value) }
    }

    /// Returns the value.
    fn load(&self) -> i64 {
        self.value.load(Ordering::SeqCst)
    }

    /// Sets the value.
    #[pyo3(signature = (value, /))]
    fn store(&self, value: i64) {
        self.value.store(value, Ordering::SeqCst);
    }

    /// Sets the value and returns the one before.
    #[pyo3(signature = (value, /))]
    fn exchange(&self, value: i64) -> i64 {
        self.value.swap(value, Ordering::SeqCst)
    }

    /// Sets the value to `new` if it is `expected`. Returns whether it was, and the value before.
    #[pyo3(signature = (expected, new, /))]
    fn compare_exchange(&self, expected: i64, new: i64) -> (bool, i64) {
        match self.value.compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(before) => (true, before),
            Err(before) => (false, before),
        }
    }

    /// Adds `n` and returns the value before. Raises `OverflowError` when the sum does not fit.
    #[pyo3(signature = (n = 1, /))]
    fn add(&self, n: i64) -> PyResult<i64> {
        self.change(|value| value.checked_add(n))
    }

    /// Subtracts `n` and returns the value before. Raises `OverflowError` when the difference does not fit.
    #[pyo3(signature = (n = 1, /))]
    fn sub(&self, n: i64) -> PyResult<i64> {
        self.change(|value| value.checked_sub(n))
    }

    /// Keeps the bits that are set in `bits` too, and returns the value before.
    #[pyo3(signature = (bits, /))]
    fn and_(&self, bits: i64) -> i64 {
        self.value.fetch_and(bits, Ordering::SeqCst)
    }

    /// Sets the bits that are set in `bits`, and returns the value before.
    #[pyo3(signature = (bits, /))]
    fn or_(&self, bits: i64) -> i64 {
        self.value.fetch_or(bits, Ordering::SeqCst)
    }

    /// Flips the bits that are set in `bits`, and returns the value before.
    #[pyo3(signature = (bits, /))]
    fn xor(&self, bits: i64) -> i64 {
        self.value.fetch_xor(bits, Ordering::SeqCst)
    }

    /// Sets the value to `n` if that is greater, and returns the value before.
    #[pyo3(signature = (n, /))]
    fn max(&self, n: i64) -> i64 {
        self.value.fetch_max(n, Ordering::SeqCst)
    }

    /// Sets the value to `n` if that is smaller, and returns the value before.
    #[pyo3(signature = (n, /))]
    fn min(&self, n: i64) -> i64 {
        self.value.fetch_min(n, Ordering::SeqCst)
    }

    fn __iadd__(&self, n: i64) -> PyResult<()> {
        self.add(n).map(drop)
    }

    fn __isub__(&self, n: i64) -> PyResult<()> {
        self.sub(n).map(drop)
    }

    fn __int__(&self) -> i64 {
        self.load()
    }

    fn __index__(&self) -> i64 {
        self.load()
    }

    fn __bool__(&self) -> bool {
        self.load() != 0
    }

    /// Not the value that it has later: so there is no hash.
    fn __richcmp__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let value = self.load().into_pyobject(py)?;
        if let Ok(number) = other.cast::<Self>() {
            return value.rich_compare(number.get().load(), operator);
        }
        if other.is_instance_of::<PyInt>() || other.is_instance_of::<PyFloat>() {
            return value.rich_compare(other, operator);
        }
        Ok(py.NotImplemented().into_bound(py))
    }

    fn __repr__(&self) -> String {
        format!("AtomicInt({})", self.load())
    }
}
