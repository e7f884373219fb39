//! The arguments `block` and `timeout`, by the stdlib's rules.

use crate::threading::timeout::{Patience, seconds_until};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use raddle_sync::Moment;

/// `block`: anything that is true or false.
#[derive(Clone, Copy)]
pub(crate) struct Block(pub(crate) bool);

impl<'a, 'py> FromPyObject<'a, 'py> for Block {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

/// How long a call may wait, its timeout checked.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Never,
    Forever,
    /// Seconds, zero or more, that are not counted yet.
    Within(f64),
    /// They are.
    Until(Moment),
}

impl Wait {
    /// Without `block`, the timeout is not looked at.
    #[inline]
    pub(crate) fn of(block: Block, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match timeout {
            _ if !block.0 => Ok(Self::Never),
            None => Ok(Self::Forever),
            Some(timeout) => Self::within(timeout),
        }
    }

    fn within(timeout: &Bound<'_, PyAny>) -> PyResult<Self> {
        let seconds: f64 = timeout.extract()?;
        if seconds < 0.0 {
            return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
        }
        Ok(Self::Within(seconds))
    }

    /// Begins to count, the first time. A timeout that is too large is an error only here: the stdlib does not look at it before
    /// it waits.
    pub(crate) fn begin(&mut self) -> PyResult<Patience> {
        let patience = match *self {
            Self::Never => Patience::Never,
            Self::Forever => Patience::Until(None),
            Self::Within(seconds) => Patience::of_wait(Some(seconds))?,
            Self::Until(moment) => Patience::Until(Some(moment)),
        };
        if let (Self::Within(_), Patience::Until(Some(moment))) = (&self, patience) {
            *self = Self::Until(moment);
        }
        Ok(patience)
    }

    /// What the user gave, or what is left of it, for code in Python.
    pub(crate) fn as_arguments(self) -> (bool, Option<f64>) {
        match self {
            Self::Never => (false, None),
            Self::Forever => (true, None),
            Self::Within(seconds) => (true, Some(seconds)),
            Self::Until(moment) => (true, Some(seconds_until(moment))),
        }
    }
}
