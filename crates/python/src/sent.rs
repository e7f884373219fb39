//! Outcomes that arrive from elsewhere as bytes, and become Python objects when somebody asks for them.
//!
//! Whoever collects them needs no interpreter. The first one who asks opens the outcome; what he found stays.

use crate::ffi::CallResult;
use crate::future::Future;
use pyo3::exceptions::{PyBaseException, PyException, PyMemoryError, PySystemExit};
use pyo3::prelude::*;
use raddle_sync::{Moment, Wake};
use std::sync::Arc;

/// An outcome that has not been opened.
pub(crate) trait Sent: Send + Sync {
    /// Whether it is an exception.
    fn failed(&self) -> bool;

    /// What ran the task.
    fn worker(&self) -> &str;

    /// Makes objects of it, for the future that it ends if there is one. May be called more than once, when several threads ask
    /// at the same time.
    ///
    /// Raises what has kept this caller from finding out, see [`of_the_pickle`]; the next one may try again.
    fn open(&self, py: Python<'_>, future: Option<&Bound<'_, Future>>) -> PyResult<CallResult>;
}

/// An error that came up while an outcome was opened, if the pickle is to blame: with `SystemExit` it is, as the stdlib has it. An
/// interrupt, or a lack of memory, is the caller's alone and is raised: the outcome is still there.
pub(crate) fn of_the_pickle(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    let pickles = error.is_instance_of::<PyException>(py) && !error.is_instance_of::<PyMemoryError>(py);
    if pickles || error.is_instance_of::<PySystemExit>(py) { Ok(error) } else { Err(error) }
}

/// A future's outcome.
pub(crate) enum Outcome {
    Here(CallResult),
    Sent(Arc<dyn Sent>),
}

impl Outcome {
    pub(crate) fn failed(&self) -> bool {
        match self {
            Self::Here(result) => result.is_err(),
            Self::Sent(sent) => sent.failed(),
        }
    }
}

/// What a look at a future finds.
pub(crate) enum Look {
    Open,
    Cancelled,
    Returned(Py<PyAny>),
    Raised(Py<PyBaseException>),
    /// It was not found out, for this reason; the next look may.
    Interrupted(PyErr),
}

impl From<CallResult> for Look {
    fn from(result: CallResult) -> Self {
        match result {
            Ok(value) => Self::Returned(value),
            Err(exception) => Self::Raised(exception),
        }
    }
}

/// Where a task is that no thread of this process runs.
pub(crate) struct Home {
    pub(crate) place: Arc<dyn Place>,
    /// The task's number there.
    pub(crate) number: u64,
}

/// What runs tasks outside of this process's threads.
pub(crate) trait Place: Send + Sync {
    /// Takes the task back, unless it has begun.
    fn recall(&self, number: u64) -> bool;

    /// Whether the task has begun.
    fn has_begun(&self, number: u64) -> bool;

    /// Kills the task if it runs; its future is told. Returns whether it runs.
    fn terminate(&self, number: u64) -> bool;

    /// Fetches outcomes until `done`, `deadline` or a signal; None when another thread is at it, which tells everybody.
    fn drive(&self, done: &dyn Fn() -> bool, deadline: Option<Moment>) -> Option<Wake>;

    /// Whoever drives looks whether it is done.
    fn stir(&self);

    /// Drops what could not be dropped without the interpreter.
    fn sweep(&self, py: Python<'_>);
}
