//! Messages over a descriptor, as `multiprocessing.connection` sends them: a length in four bytes, or -1 and a length in eight
//! more, and the pickled object.

use super::encoding::{pickled, unpickled};
use crate::ffi::borrow_fd;
use crate::interpreter;
use pyo3::exceptions::{PyEOFError, PyMemoryError, PyOSError};
use pyo3::prelude::*;
use raddle_sync::linger;
use raddle_sys::descriptor;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

/// More is never asked for at once, so that a length that is nonsense does not take memory before the bytes are there.
const AT_ONCE: usize = 1 << 20;

/// Runs `step` without the interpreter again and again until it is done, and lets Python handle the signals that arrive.
fn persist<T: Send>(py: Python<'_>, mut step: impl FnMut() -> io::Result<Option<T>> + Send) -> PyResult<T> {
    let _released = raddle_pool::release();
    loop {
        match py.detach(&mut step) {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => interpreter::look(py)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends an object.
#[pyfunction]
#[pyo3(signature = (fd, thing, /))]
pub(crate) fn send_object(fd: i32, thing: &Bound<'_, PyAny>) -> PyResult<()> {
    let body = pickled(thing)?;
    let body = body.as_bytes();
    let mut header = [0; 12];
    let header = if let Ok(len) = i32::try_from(body.len()) {
        header[..4].copy_from_slice(&len.to_be_bytes());
        &header[..4]
    } else {
        header[..4].copy_from_slice(&(-1_i32).to_be_bytes());
        header[4..].copy_from_slice(&(body.len() as u64).to_be_bytes());
        &header[..]
    };
    let fd = borrow_fd(fd)?;
    let mut sent = 0;
    persist(thing.py(), || {
        let (before, after) = (sent.min(header.len()), sent.saturating_sub(header.len()));
        sent += descriptor::write(fd, [&header[before..], &body[after..]])?;
        Ok((sent == header.len() + body.len()).then_some(()))
    })
}

/// Reads until `buffer` has `len` bytes.
fn fill(py: Python<'_>, fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, len: usize) -> PyResult<()> {
    while buffer.len() < len {
        let mut had = buffer.len();
        let end = len.min(had + AT_ONCE);
        buffer.try_reserve(end - had).map_err(|_| PyMemoryError::new_err("a message is too long"))?;
        buffer.resize(end, 0);
        let space = &mut *buffer;
        let complete = persist(py, || {
            if had == 0 {
                linger(|| descriptor::is_readable(fd));
            }
            let count = descriptor::read(fd, &mut space[had..])?;
            had += count;
            Ok((count == 0 || had == end).then_some(count > 0))
        })?;
        if !complete && had == 0 {
            return Err(PyEOFError::new_err(()));
        }
        if !complete {
            return Err(PyOSError::new_err("got end of file during message"));
        }
    }
    Ok(())
}

/// Receives an object. Raises `EOFError` when there is none and the other end is closed.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn receive_object(py: Python<'_>, fd: i32) -> PyResult<Bound<'_, PyAny>> {
    let fd = borrow_fd(fd)?;
    let mut buffer = Vec::new();
    fill(py, fd, &mut buffer, 4)?;
    let len = i32::from_be_bytes(buffer[..4].try_into().expect("four bytes"));
    let len = if len == -1 {
        fill(py, fd, &mut buffer, 12)?;
        usize::try_from(u64::from_be_bytes(buffer[4..].try_into().expect("eight bytes"))).ok()
    } else {
        usize::try_from(len).ok()
    };
    let len = len.ok_or_else(|| PyOSError::new_err("bad message length"))?;
    buffer.clear();
    fill(py, fd, &mut buffer, len)?;
    unpickled(py, &buffer)
}
