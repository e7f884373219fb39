//! `PoolEnd`: waiting for the workers of an executor without keeping the executor, which ends when nobody has it any more.

use crate::process::pool::Share;
use pyo3::prelude::*;
use std::sync::Arc;

/// Tells when the workers of an executor have ended. Safe across threads.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct PoolEnd {
    share: Arc<Share>,
}

impl PoolEnd {
    pub(crate) const fn new(share: Arc<Share>) -> Self {
        Self { share }
    }
}

#[pymethods]
impl PoolEnd {
    /// Waits until every worker has ended, up to `timeout` seconds. Returns whether they have.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.share.wait_ended(py, timeout)
    }
}
