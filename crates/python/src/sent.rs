//! Outcomes that arrive from elsewhere as bytes, and become Python objects when somebody asks for them.
//!
//! Whoever collects them needs no interpreter. The first one who asks opens the outcome; what he found stays.

use crate::ffi::CallResult;
use crate::future::Future;
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
    fn open(&self, py: Python<'_>, future: Option<&Bound<'_, Future>>) -> CallResult;
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
