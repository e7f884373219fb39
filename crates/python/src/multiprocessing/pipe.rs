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

/// What a signal does that arrives while a message is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// Python handles it at once, and what it raises ends the transfer.
    AtOnce,
    /// Python handles it once the transfer is over: half a message would leave the connection useless.
    Later,
}

/// Runs `step` without the interpreter again and again until it is done.
pub(super) fn persist<T: Send>(
    py: Python<'_>,
    signals: Signals,
    mut step: impl FnMut() -> io::Result<Option<T>> + Send,
) -> PyResult<T> {
    let _released = raddle_pool::release();
    loop {
        match py.detach(&mut step) {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                if signals == Signals::AtOnce {
                    interpreter::look(py)?;
                }
            }
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
    write_all(thing.py(), borrow_fd(fd)?, Signals::AtOnce, [header, body])
}

/// Writes both parts, one after the other.
pub(super) fn write_all(
    py: Python<'_>,
    fd: BorrowedFd<'_>,
    signals: Signals,
    [first, second]: [&[u8]; 2],
) -> PyResult<()> {
    let mut sent = 0;
    persist(py, signals, || {
        let (before, after) = (sent.min(first.len()), sent.saturating_sub(first.len()));
        sent += descriptor::write(fd, [&first[before..], &second[after..]])?;
        Ok((sent == first.len() + second.len()).then_some(()))
    })
}

/// Reads until `buffer` has `len` bytes.
pub(super) fn fill(
    py: Python<'_>,
    fd: BorrowedFd<'_>,
    signals: Signals,
    buffer: &mut Vec<u8>,
    len: usize,
) -> PyResult<()> {
    while buffer.len() < len {
        let mut had = buffer.len();
        let end = len.min(had + AT_ONCE);
        buffer.try_reserve(end - had).map_err(|_| PyMemoryError::new_err("a message is too long"))?;
        buffer.resize(end, 0);
        let space = &mut *buffer;
        let complete = persist(py, signals, || {
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
    receive_rest(py, borrow_fd(fd)?, &mut Vec::new())
}

/// Receives an object whose first bytes, if any, have been read already: not more than four.
pub(super) fn receive_rest<'py>(
    py: Python<'py>,
    fd: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
) -> PyResult<Bound<'py, PyAny>> {
    fill(py, fd, Signals::AtOnce, buffer, 4)?;
    let len = i32::from_be_bytes(buffer[..4].try_into().expect("four bytes"));
    let len = if len == -1 {
        fill(py, fd, Signals::AtOnce, buffer, 12)?;
        usize::try_from(u64::from_be_bytes(buffer[4..].try_into().expect("eight bytes"))).ok()
    } else {
        usize::try_from(len).ok()
    };
    let len = len.ok_or_else(|| PyOSError::new_err("bad message length"))?;
    buffer.clear();
    fill(py, fd, Signals::AtOnce, buffer, len)?;
    unpickled(py, buffer)
}
