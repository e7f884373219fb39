//! Outcomes of tasks that processes have run, or have not: what is kept of them until somebody asks.

use crate::ffi::CallResult;
use crate::future::Future;
use crate::process::codec::Codec;
use crate::process::deaths;
use crate::sent::{Sent, of_the_pickle};
use pyo3::prelude::*;
use raddle_process::arena::View;
use raddle_process::message;
use raddle_process::pool::{Death, Reply, Sentence};
use std::sync::Arc;
use std::time::Duration;

/// An outcome as a worker has sent it.
pub(crate) struct Letter {
    failed: bool,
    /// The call was never made, because the worker could not unpickle what it needs.
    unmade: bool,
    body: Vec<u8>,
    start: usize,
    parcel: Option<Arc<View>>,
    worker: Arc<str>,
    codec: Arc<Codec>,
}

impl Letter {
    pub(crate) fn new(reply: Reply, codec: &Arc<Codec>) -> Self {
        let Reply { failed, flags, body, start, parcel, worker, .. } = reply;
        let unmade = flags & message::UNMADE != 0;
        Self { failed, unmade, body, start, parcel: parcel.map(Arc::new), worker, codec: Arc::clone(codec) }
    }
}

impl Sent for Letter {
    fn failed(&self) -> bool {
        self.failed
    }

    fn worker(&self) -> &str {
        &self.worker
    }

    fn open(&self, py: Python<'_>, _future: Option<&Bound<'_, Future>>) -> PyResult<CallResult> {
        let (data, parcel) = (&self.body[self.start..], self.parcel.as_ref());
        if self.failed {
            let error = self.codec.load_error(py, data, parcel)?;
            if !self.unmade {
                return Ok(Err(error));
            }
            let cause = PyErr::from_value(error.into_bound(py).into_any());
            let error = deaths::not_deserializable(py, "what the task needs", "its worker", cause);
            return Ok(Err(error.into_value(py)));
        }
        match self.codec.load(py, data, parcel) {
            Ok(opened) => Ok(Ok(opened.unbind())),
            Err(error) => {
                let cause = of_the_pickle(py, error)?;
                let error = deaths::not_deserializable(py, "what the task returned", "this process", cause);
                Ok(Err(error.into_value(py)))
            }
        }
    }
}

/// The outcome of a task whose worker died.
pub(crate) struct Lost {
    pub(crate) death: Arc<Death>,
    /// What the task had.
    pub(crate) timeout: Option<Duration>,
}

impl Sent for Lost {
    fn failed(&self) -> bool {
        true
    }

    fn worker(&self) -> &str {
        &self.death.worker
    }

    fn open(&self, py: Python<'_>, future: Option<&Bound<'_, Future>>) -> PyResult<CallResult> {
        let error = match future {
            Some(future) if self.death.sentence == Some(Sentence::Timeout) => {
                let how = format!(", and {} was killed", deaths::who(&self.death));
                future.get().timed_out(py, self.timeout, &how)
            }
            _ => deaths::error_of(py, &self.death),
        };
        Ok(Err(error.into_value(py)))
    }
}

/// Why a pool takes no further tasks.
#[derive(Clone)]
pub(crate) enum Break {
    /// The pickled error of an initializer.
    Initializer(Arc<[u8]>),
    Death(Arc<Death>),
    /// No worker could be started.
    NoWorker(Arc<str>),
}

impl Break {
    /// What a submission raises.
    pub(crate) fn error(&self, py: Python<'_>, codec: &Codec) -> PyErr {
        match self {
            Self::Initializer(error) => deaths::initializer_failed(py, codec, error),
            Self::Death(death) => deaths::hopeless(py, death),
            Self::NoWorker(complaint) => deaths::broken(py, complaint),
        }
    }
}

/// The outcome of a task that a broken pool will not run.
pub(crate) struct Abandoned {
    pub(crate) why: Break,
    pub(crate) codec: Arc<Codec>,
}

impl Sent for Abandoned {
    fn failed(&self) -> bool {
        true
    }

    fn worker(&self) -> &'static str {
        ""
    }

    fn open(&self, py: Python<'_>, _future: Option<&Bound<'_, Future>>) -> PyResult<CallResult> {
        Ok(Err(self.why.error(py, &self.codec).into_value(py)))
    }
}
