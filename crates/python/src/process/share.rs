//! `Shared`, an object that is put into shared memory once: the parent's handle, and what workers have made of it.

use crate::ffi::buffer::{SharedBuffer, bytes_of, raw};
use crate::process::codec::corrupt;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use raddle_process::share::{Identity, Share, SharedBytes};
use raddle_sync::Mutex;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, LazyLock};

// The shares that a pickle refers to, while one is made for a worker.
thread_local!(static REFERRED: RefCell<Option<Vec<Arc<Share>>>> = const { RefCell::new(None) });

/// Runs `dump`, and returns beside its result the shares that what it pickles refers to: they must live until the receiver has
/// answered.
pub(crate) fn referring<R>(dump: impl FnOnce() -> R) -> (R, Vec<Arc<Share>>) {
    let before = REFERRED.replace(Some(Vec::new()));
    let result = dump();
    (result, REFERRED.replace(before).unwrap_or_default())
}

/// What this process has made of the shares of others.
struct Opened {
    identity: Identity,
    bytes: Arc<SharedBytes>,
    object: Py<PyAny>,
}

static OPENED: LazyLock<Mutex<Vec<Opened>>> = LazyLock::new(Mutex::default);

pub(crate) fn prepare() {
    LazyLock::force(&OPENED);
}

/// Lets go of what has been made of shares that have ended.
pub(crate) fn sweep(_py: Python<'_>) {
    let mut opened = OPENED.lock();
    if opened.is_empty() {
        return;
    }
    let ended: Vec<_> = opened.extract_if(.., |opened| !opened.bytes.is_alive()).collect();
    drop(opened);
    // Not dropped under the lock: it may run anything.
    drop(ended);
}

/// A handle to an object in shared memory; made by `raddle.share`.
///
/// As an argument of a task in a worker process it arrives as the object itself. Safe across threads; in a forked child it can
/// be used, and ends nothing.
#[pyclass(frozen, weakref, module = "raddle", generic)]
pub(crate) struct Shared {
    share: Arc<Share>,
}

#[pymethods]
impl Shared {
    /// Puts a pickle and its out-of-band buffers into shared memory.
    #[new]
    #[pyo3(signature = (pickle, buffers, /))]
    fn new(py: Python<'_>, pickle: &Bound<'_, PyBytes>, buffers: &Bound<'_, PyList>) -> PyResult<Self> {
        let buffers: Vec<PyBuffer<u8>> =
            buffers.iter().map(|buffer| raw(&buffer)).collect::<PyResult<_>>()?;
        let mut parts = vec![pickle.as_bytes()];
        parts.extend(buffers.iter().map(bytes_of));
        let share = py.detach(|| Share::new(&parts))?;
        Ok(Self { share: Arc::new(share) })
    }

    /// The object, as workers get it: made anew, its buffers read-only and not copied.
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        load(py, self.share.bytes())
    }

    /// How many bytes of shared memory it takes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.share.len()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (u32, i32, Identity))> {
        let referred = REFERRED.with_borrow_mut(|referred| {
            referred.as_mut().map(|referred| referred.push(Arc::clone(&self.share))).is_some()
        });
        if !referred {
            return Err(PyTypeError::new_err(
                "a handle of raddle.share can only be sent from the process that made it to workers of its executors",
            ));
        }
        let open = py.import("raddle._internal.sharing")?.getattr("open_shared")?;
        Ok((open, self.share.address()))
    }

    fn __repr__(&self) -> String {
        format!("<raddle.Shared object of {} bytes>", self.share.len())
    }
}

/// Calls `dump()`, in which handles of `raddle.share` may be pickled; who calls keeps them alive until the pickle has been loaded.
#[pyfunction]
#[pyo3(signature = (dump, /))]
pub(crate) fn dump_with_shared<'py>(dump: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    referring(|| crate::ffi::invoke(dump, ())).0
}

/// What this process has made of the share with this identity; None when it has not opened it.
#[pyfunction]
#[pyo3(signature = (identity, /))]
pub(crate) fn find_shared(py: Python<'_>, identity: Identity) -> Option<Py<PyAny>> {
    let opened = OPENED.lock();
    let found = opened.iter().find(|opened| opened.identity == identity);
    found.map(|opened| opened.object.clone_ref(py))
}

/// Makes an object of a share of another process, and keeps it until the share ends.
///
/// Arguments: a file descriptor of its memory, which is taken over; its identity.
/// Raises `FileNotFoundError` when the descriptor is no longer that of the share.
#[pyfunction]
#[pyo3(signature = (fd, identity, /))]
pub(crate) fn open_shared(py: Python<'_>, fd: i32, identity: Identity) -> PyResult<Py<PyAny>> {
    let bytes = SharedBytes::open(crate::ffi::take_fd(fd), identity).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => pyo3::exceptions::PyFileNotFoundError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    })?;
    let object = load(py, &bytes)?.unbind();
    OPENED.lock().push(Opened { identity, bytes, object: object.clone_ref(py) });
    Ok(object)
}

fn load<'py>(py: Python<'py>, bytes: &Arc<SharedBytes>) -> PyResult<Bound<'py, PyAny>> {
    let parts = bytes.parts().map_err(corrupt)?;
    let pickle = bytes.copy(parts.first().cloned().unwrap_or_default()).map_err(corrupt)?;
    let buffers =
        parts.iter().skip(1).map(|part| Bound::new(py, SharedBuffer::new(Arc::clone(bytes), part.clone())));
    let buffers = PyList::new(py, buffers.collect::<PyResult<Vec<_>>>()?)?;
    let loads = py.import("raddle._internal.serialization")?.getattr("loads")?;
    crate::ffi::invoke(&loads, (PyBytes::new(py, &pickle), buffers))
}
