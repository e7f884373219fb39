//! Reading and writing a descriptor of whatever kind, pipe or socket, once at a time.

use crate::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads into `buffer` and returns how much there was; zero at the end. Waits if there is nothing yet, unless the descriptor is one
/// that does not block.
///
/// # Errors
///
/// The system's; `Interrupted` when a signal arrives first.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open and `buffer` is writable for its length.
    let count = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    Ok(check(count)?.cast_unsigned())
}

/// Writes of the parts, one after the other, as much as there is room for, and returns how much that was.
///
/// # Errors
///
/// The system's; `Interrupted` when a signal arrives first.
pub fn write(fd: BorrowedFd<'_>, parts: [&[u8]; 2]) -> io::Result<usize> {
    let parts =
        parts.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    // SAFETY: the descriptor is open and each part is readable for its length; writing does not change it.
    let count = unsafe { libc::writev(fd.as_raw_fd(), parts.as_ptr(), 2) };
    Ok(check(count)?.cast_unsigned())
}

/// Whether a read would not have to wait: there is something, or the end, or an error.
#[must_use]
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one writable entry. Without a timeout it does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_written_can_be_read_until_the_end() {
        let (reader, writer) = io::pipe().expect("descriptors are left");
        assert!(!is_readable(reader.as_fd()));
        assert_eq!(write(writer.as_fd(), [b"one", b"two"]).expect("there is room"), 6);
        assert!(is_readable(reader.as_fd()));
        let mut buffer = [0; 10];
        assert_eq!(read(reader.as_fd(), &mut buffer[..4]).expect("it is there"), 4);
        assert_eq!(read(reader.as_fd(), &mut buffer[4..]).expect("it is there"), 2);
        assert_eq!(&buffer[..6], b"onetwo");
        drop(writer);
        // A child that another test has forked has the other end too, until it ends.
        assert_eq!(read(reader.as_fd(), &mut buffer).expect("the end is none"), 0);
        assert!(is_readable(reader.as_fd()));
    }
}
