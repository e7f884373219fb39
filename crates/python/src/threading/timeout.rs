//! The timeouts of the stdlib's methods: seconds, -1 or None for none, and the stdlib's words about wrong ones.

use crate::interpreter;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use raddle_sync::Moment;

/// `threading.TIMEOUT_MAX`, in seconds.
const MAX: f64 = 9_223_372_036.0;

/// Whether Python takes `object` for true, as an argument such as `blocking` is meant.
pub(crate) fn truth(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.is_truthy()
}

/// How long a call may wait.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Not at all.
    Never,
    /// Until the moment, or for ever.
    Until(Option<Moment>),
}

impl Patience {
    /// From the arguments of `Lock.acquire`, where -1 is for ever and other negative ones are errors.
    pub(crate) fn of_lock(blocking: bool, timeout: f64) -> PyResult<Self> {
        #[expect(clippy::float_cmp, reason = "the stdlib's mark for no timeout")]
        let endless = timeout == -1.0;
        if !blocking && !endless {
            return Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"));
        }
        if !blocking {
            return Ok(Self::Never);
        }
        if endless {
            return Ok(Self::Until(None));
        }
        if timeout < 0.0 {
            return Err(PyValueError::new_err("timeout value must be a non-negative number"));
        }
        Self::within(timeout)
    }

    /// From a timeout for which None is for ever and negative ones have passed already.
    pub(crate) fn of_wait(timeout: Option<f64>) -> PyResult<Self> {
        match timeout {
            None => Ok(Self::Until(None)),
            Some(seconds) if seconds <= 0.0 => Ok(Self::Never),
            Some(seconds) => Self::within(seconds),
        }
    }

    /// The moment at which it ends, for a wait that has to begin in any case.
    pub(crate) fn deadline(self) -> Option<Moment> {
        match self {
            Self::Never => Some(Moment::now()),
            Self::Until(deadline) => deadline,
        }
    }

    fn within(seconds: f64) -> PyResult<Self> {
        if seconds > MAX {
            return Err(PyOverflowError::new_err("timeout value is too large"));
        }
        interpreter::deadline(Some(seconds)).map(Self::Until)
    }
}

/// What is left until a deadline, in seconds.
pub(crate) fn seconds_until(deadline: Moment) -> f64 {
    deadline.since(Moment::now()).as_secs_f64()
}
