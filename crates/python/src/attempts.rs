//! Whether a task that has failed is tried again. The same for tasks of threads and of processes.

use crate::ffi::{self, CallResult};
use crate::interpreter::names;
use crate::options::TaskOptions;
use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::prelude::*;
use raddle_task::retry::{LONGEST_PAUSE, backoff};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The attempts at one task, and the options that say how many there may be.
pub(crate) struct Attempts {
    options: Py<TaskOptions>,
    /// Those that have failed.
    failed: AtomicU32,
}

/// What becomes of a task after an attempt.
pub(crate) enum Verdict {
    /// It is tried again after this pause, unless nobody wants it any more: then this is how it ends.
    Again(Duration, Py<PyBaseException>),
    End(CallResult),
}

impl Attempts {
    pub(crate) fn new(options: Py<TaskOptions>) -> Self {
        Self { options, failed: AtomicU32::new(0) }
    }

    pub(crate) fn options(&self) -> &TaskOptions {
        self.options.get()
    }

    /// Whether there may be another attempt after the next failure.
    pub(crate) fn are_left(&self) -> bool {
        self.failed.load(Ordering::Relaxed) < self.options().retries
    }

    /// Decides after an attempt; `ending` when the executor tries nothing again. May call code of the user's.
    pub(crate) fn judge(&self, py: Python<'_>, outcome: CallResult, ending: bool) -> Verdict {
        let exception = match outcome {
            Err(exception) if !ending && self.are_left() => exception,
            outcome => return Verdict::End(outcome),
        };
        match self.pause_after(exception.bind(py)) {
            Ok(Some(pause)) => Verdict::Again(pause, exception),
            Ok(None) => Verdict::End(Err(exception)),
            // The user's own `backoff` failed: that is what ends the task, with the task's exception as context.
            Err(error) => {
                let error = error.into_value(py);
                let _ = error.bind(py).setattr("__context__", exception);
                Verdict::End(Err(error))
            }
        }
    }

    /// Whether `retry_on` covers the exception. A timeout is an `OSError` by descent alone: who names that class means
    /// failures of the system.
    fn is_worth_another(&self, exception: &Bound<'_, PyBaseException>) -> PyResult<bool> {
        let py = exception.py();
        let classes = self.options().retry_on.bind(py);
        if !exception.is_instance(names(py).task_timeout.bind(py))? {
            return exception.is_instance(classes);
        }
        let os_error = py.get_type::<PyOSError>();
        for class in classes {
            if !class.is(&os_error) && exception.is_instance(&class)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How long to wait before another attempt; None when there is none.
    fn pause_after(&self, exception: &Bound<'_, PyBaseException>) -> PyResult<Option<Duration>> {
        if !self.is_worth_another(exception)? {
            return Ok(None);
        }
        let options = self.options();
        let failed = self.failed.load(Ordering::Relaxed) + 1;
        self.failed.store(failed, Ordering::Relaxed);
        if let Some(schedule) = &options.schedule {
            let seconds: f64 = ffi::invoke(schedule.bind(exception.py()), (failed,))?.extract()?;
            let pause = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_PAUSE);
            return Ok(Some(pause.min(LONGEST_PAUSE)));
        }
        Ok(Some(backoff(options.backoff, failed)))
    }
}
