//! The exceptions that tell of a worker's death, and of what else breaks the stdlib's pools.

use crate::ffi;
use crate::interpreter::error;
use crate::process::codec::Codec;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use raddle_process::pool::{Death, Sentence};
use raddle_sys::pidfd::Exit;

struct Errors {
    broken_process_pool: Py<PyType>,
    worker_died: Py<PyType>,
    not_deserializable: Py<PyType>,
}

static ERRORS: PyOnceLock<Errors> = PyOnceLock::new();

fn errors(py: Python<'_>) -> &'static Errors {
    ERRORS.get(py).expect("raddle._internal.processes.bound calls bind_processes() when it is imported")
}

/// Hands in the classes of errors. Called once, by `raddle._internal.processes.bound`.
#[pyfunction]
#[pyo3(signature = (broken_process_pool, worker_died, not_deserializable, /))]
pub(crate) fn bind_processes(
    py: Python<'_>,
    broken_process_pool: Py<PyType>,
    worker_died: Py<PyType>,
    not_deserializable: Py<PyType>,
) {
    let _ = ERRORS.set(py, Errors { broken_process_pool, worker_died, not_deserializable });
}

/// What was pickled well can't be unpickled where it has been sent to.
pub(crate) fn not_deserializable(py: Python<'_>, what: &str, place: &str, cause: PyErr) -> PyErr {
    let message = format!("{what} could not be unpickled in {place}: {cause}");
    let error = error(py, &errors(py).not_deserializable, message);
    error.set_cause(py, Some(cause));
    error
}

/// How a task ends whose worker died.
pub(crate) fn error_of(py: Python<'_>, death: &Death) -> PyErr {
    died(py, death, &describe(py, death))
}

/// The process that has died.
pub(crate) fn who(death: &Death) -> String {
    format!("the worker process {} (pid {})", death.worker, death.pid)
}

/// The pool's workers die before they are ready.
pub(crate) fn hopeless(py: Python<'_>, death: &Death) -> PyErr {
    let how = describe(py, death);
    died(
        py,
        death,
        &format!("the workers end before they are ready: {how}; does the initializer end the process?"),
    )
}

pub(crate) fn broken(py: Python<'_>, complaint: &str) -> PyErr {
    error(py, &errors(py).broken_process_pool, complaint)
}

/// An initializer has raised.
pub(crate) fn initializer_failed(py: Python<'_>, codec: &Codec, pickled: &[u8]) -> PyErr {
    let message = "A process in the process pool was terminated abruptly: its initializer failed";
    let error = broken(py, message);
    let cause = codec.load_error(py, pickled, None).unwrap_or_else(|error| error.into_value(py));
    error.set_cause(py, Some(PyErr::from_value(cause.into_bound(py).into_any())));
    error
}

fn died(py: Python<'_>, death: &Death, message: &str) -> PyErr {
    let (code, signal) = match death.exit {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    let arguments = (message, code, signal, death.out_of_memory, death.pid);
    match ffi::invoke(errors(py).worker_died.bind(py), arguments) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// What a signal is called, as in `WorkerDied.signal`.
fn name_of(py: Python<'_>, signal: i32) -> String {
    let name = || py.import("signal")?.getattr("Signals")?.call1((signal,))?.getattr("name")?.extract();
    name().unwrap_or_else(|_: PyErr| format!("signal {signal}"))
}

fn describe(py: Python<'_>, death: &Death) -> String {
    let how = match (death.sentence, death.corrupt, death.exit) {
        (Some(Sentence::Terminated), ..) => "was killed because its task was terminated".to_owned(),
        (Some(Sentence::Shutdown), ..) => "was killed because its executor was".to_owned(),
        (Some(Sentence::Memory(bytes)), ..) => {
            format!("was killed because it used more memory than memory_limit allows ({bytes} bytes)")
        }
        (_, Some(what), _) => {
            format!("was killed because it wrote over the memory that it shares with its parent ({what})")
        }
        (_, _, Some(Exit::Code(code))) => format!("ended by itself, with exit code {code}"),
        (_, _, Some(Exit::Signal(signal))) => format!("was killed by {}", name_of(py, signal)),
        (_, _, None) => "is gone".to_owned(),
    };
    let memory = match death.out_of_memory {
        Some(true) => ": the system ran out of memory",
        _ => "",
    };
    format!("{} {how}{memory}", who(death))
}
