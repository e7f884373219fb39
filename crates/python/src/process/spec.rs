//! How workers are started, as Python says it.

use crate::ffi;
use crate::graveyard::Kept;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use raddle_process::launch::Spec;
use raddle_process::supervisor::Launch;
use raddle_sys::pidfd::Pidfd;
use raddle_sys::shortage::{is_shortage, limit_behind};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// How workers are started. Pools that share one share the process that forks their workers.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct LaunchSpec(Launch);

impl LaunchSpec {
    pub(crate) fn launch(&self) -> Launch {
        self.0.clone()
    }
}

/// An error of Python's as one of the system's: its kind tells whether it may pass.
pub(crate) fn as_io_error(error: PyErr) -> io::Error {
    let number =
        Python::try_attach(|py| error.value(py).getattr("errno").and_then(|number| number.extract()).ok());
    let told = number.flatten().map(io::Error::from_raw_os_error).filter(is_shortage);
    match told {
        Some(told) => io::Error::new(io::ErrorKind::ResourceBusy, format!("{error}{}", limit_behind(&told))),
        None => io::Error::other(error),
    }
}

#[pymethods]
impl LaunchSpec {
    /// Describes interpreters to be executed.
    ///
    /// Arguments: `program` and `arguments` of the interpreter; `environment`, or None for this process's own; `preparation` of one that
    /// is a worker; `zygote`, that of one that forks workers, or None.
    #[new]
    #[pyo3(signature = (program, arguments, environment, preparation, zygote))]
    fn new(
        program: OsString,
        arguments: Vec<OsString>,
        environment: Option<Vec<(OsString, OsString)>>,
        preparation: Vec<u8>,
        zygote: Option<Vec<u8>>,
    ) -> Self {
        let worker = Spec { program, arguments, environment, preparation };
        Self(match zygote {
            Some(preparation) => {
                Launch::Zygote(Arc::new(Spec { preparation, ..worker.clone() }), Arc::new(worker))
            }
            None => Launch::Spawn(Arc::new(worker)),
        })
    }

    /// Workers are made by `fork(order, fds, foreign)`, which returns the pid of a child of this process. `foreign` are descriptors that the
    /// child is to close. Called on a thread of Raddle's that stays.
    #[staticmethod]
    fn own(fork: Py<PyAny>) -> Self {
        // Whoever starts workers may be the last one to have it.
        let fork = Kept::new(fork);
        Self(Launch::Own(Arc::new(move |fds, order, foreign| {
            let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
            let forked = Python::try_attach(|py| {
                let order = PyBytes::new(py, order);
                ffi::invoke(fork.bind(py), (order, fds, foreign.to_vec()))?.extract::<u32>()
            });
            let pid = forked.unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter is ending")));
            let pid = pid.map_err(as_io_error)?;
            // Nobody else waits for it, so the number is its own.
            Ok((pid, Pidfd::open(pid)?))
        })))
    }
}
