//! How workers are started, as Python says it.

use pyo3::prelude::*;
use raddle_process::launch::Spec;
use raddle_process::supervisor::Launch;
use std::ffi::OsString;
use std::sync::Arc;

/// How workers are started. Pools that share one share the process that forks their workers.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct LaunchSpec(Launch);

impl LaunchSpec {
    pub(crate) fn launch(&self) -> Launch {
        self.0.clone()
    }
}

#[pymethods]
impl LaunchSpec {
    /// Arguments: `kind`, `"zygote"` or `"spawn"`; `program` and `arguments` of the interpreter; `environment`, or None for this
    /// process's own; `preparation`, for the zygote.
    #[new]
    #[pyo3(signature = (kind, program, arguments, environment, preparation))]
    fn new(
        kind: &str,
        program: OsString,
        arguments: Vec<OsString>,
        environment: Option<Vec<(OsString, OsString)>>,
        preparation: Vec<u8>,
    ) -> Self {
        let spec = Arc::new(Spec { program, arguments, environment, preparation });
        Self(if kind == "spawn" { Launch::Spawn(spec) } else { Launch::Zygote(spec) })
    }
}
