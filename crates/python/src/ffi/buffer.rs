//! Bytes on their way between Python objects and the memory that processes share.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use raddle_process::arena::View;
use raddle_process::share::SharedBytes;
use std::ffi::c_int;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that another process has sent, as a writable buffer: this process's own copy, made page by page when somebody writes.
/// The memory goes back when the last buffer of the same message is gone.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct Buffer {
    view: Arc<View>,
    part: Range<usize>,
}

impl Buffer {
    /// A part of what was sent.
    pub(crate) fn new(view: Arc<View>, part: Range<usize>) -> Self {
        assert!(part.start <= part.end && part.end <= view.len(), "a part lies within its view");
        Self { view, part }
    }
}

#[pymethods]
impl Buffer {
    fn __len__(&self) -> usize {
        self.part.len()
    }

    /// # Safety
    ///
    /// Called by the interpreter, with what its protocol asks for.
    #[expect(clippy::needless_pass_by_value, reason = "as the binding library wants it")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let len = isize::try_from(this.part.len()).map_err(|_| PyBufferError::new_err("too long"))?;
        // SAFETY: the part lies within the view, which is mapped for as long as `self` lives, writable, and this process's own; the
        // interpreter keeps `self` alive until the buffer is released, and synchronises those who use it as for any other.
        let status = unsafe {
            let start = this.view.as_ptr().add(this.part.start);
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast(), len, 0, flags)
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Bytes of a share, which all processes that have it see: read-only.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct SharedBuffer {
    bytes: Arc<SharedBytes>,
    part: Range<usize>,
}

impl SharedBuffer {
    pub(crate) fn new(bytes: Arc<SharedBytes>, part: Range<usize>) -> Self {
        Self { bytes, part }
    }
}

#[pymethods]
impl SharedBuffer {
    fn __len__(&self) -> usize {
        self.part.len()
    }

    /// # Safety
    ///
    /// Called by the interpreter, with what its protocol asks for.
    #[expect(clippy::needless_pass_by_value, reason = "as the binding library wants it")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let len = isize::try_from(this.part.len()).map_err(|_| PyBufferError::new_err("too long"))?;
        let start = this.bytes.part(&this.part).cast_mut();
        // SAFETY: mapped for as long as `self` lives, which the interpreter keeps until the buffer is released; read-only.
        let status = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast(), len, 1, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// The bytes of a contiguous buffer, for as long as it is held.
///
/// Somebody may write to them meanwhile, as somebody may while the interpreter's own pickler copies them: what is copied then is
/// a mixture.
pub(crate) fn bytes_of(buffer: &PyBuffer<u8>) -> &[u8] {
    // SAFETY: the buffer's memory, which it keeps; contiguous, as `PyBuffer<u8>` of a raw pickle buffer is.
    unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) }
}

/// A `pickle.PickleBuffer` as plain bytes.
pub(crate) fn raw(buffer: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let raw = buffer.call_method0("raw")?;
    let bytes = PyBuffer::<u8>::get(&raw)?;
    if bytes.is_c_contiguous() {
        Ok(bytes)
    } else {
        Err(PyBufferError::new_err("a buffer out of band must be contiguous"))
    }
}
