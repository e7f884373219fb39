//! Sockets between processes that carry messages and descriptors: `SOCK_SEQPACKET`, so that a message arrives whole or not at all.

use crate::check;
use std::io::{self, Error, ErrorKind};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How many descriptors one message may carry.
pub const MOST_FDS: usize = 16;
/// How long they are, in bytes.
const MOST_FDS_LEN: libc::c_uint = 64;

/// Room for the descriptors of one message and their header, which must be aligned as `cmsghdr` is.
#[repr(align(8))]
struct Control([u8; 128]);

// SAFETY: computes with its argument.
const _: () = assert!(unsafe { libc::CMSG_SPACE(MOST_FDS_LEN) } as usize <= size_of::<Control>());
const _: () = assert!(MOST_FDS_LEN as usize == MOST_FDS * size_of::<RawFd>());
const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

/// Two connected sockets, closed on exec.
///
/// ```
/// use raddle_sys::socket;
/// use std::os::fd::AsFd;
///
/// let (here, there) = socket::pair()?;
/// socket::send(here.as_fd(), b"hello", &[here.as_fd()])?;
/// let mut buffer = [0; 16];
/// let (len, fds) = socket::receive(there.as_fd(), &mut buffer)?;
/// assert_eq!((&buffer[..len], fds.len()), (&b"hello"[..], 1));
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Errors
///
/// The system's: no descriptors left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `fds` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    // SAFETY: the call has just made both descriptors, and nobody else knows them.
    Ok(fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into())
}

/// Lets [`send`] and [`receive`] fail with `WouldBlock` instead of waiting, or wait again.
///
/// This holds for the open socket, not for one descriptor: another process that has it finds it changed.
///
/// # Errors
///
/// None for a socket.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: the descriptor is open; the command takes nothing more.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let flags = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: the descriptor is open; the rest are numbers.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

/// Sends one message, with duplicates of these descriptors. A signal does not end it.
///
/// # Errors
///
/// `InvalidInput` for an empty message, which would look like the end, and for more than [`MOST_FDS`] descriptors;
/// `BrokenPipe` or `ConnectionReset` when the other end is gone; `WouldBlock`; `EMSGSIZE` for a message that is larger than the
/// socket's buffer.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if bytes.is_empty() || fds.len() > MOST_FDS {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; _]);
    let mut message = empty_message(&mut part);
    if !fds.is_empty() {
        let payload = libc::c_uint::try_from(size_of_val(fds)).expect("few, as checked above");
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: computes with its argument.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
        // SAFETY: `control` has room for a header and this many descriptors, as asserted above, and is aligned for the header; so the
        // first header is within it, and the data behind it too.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(payload) as _;
            let data = libc::CMSG_DATA(header).cast::<[u8; size_of::<RawFd>()]>();
            for (index, fd) in fds.iter().enumerate() {
                data.add(index).write(fd.as_raw_fd().to_ne_bytes());
            }
        }
    }
    // SAFETY: the message points to `part` and `control`, which point to live memory; sendmsg only reads it.
    until_done(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) }).map(drop)
}

/// Receives one message into `buffer`: how long it is, and the descriptors that came with it, closed on exec. Zero bytes: the other end
/// is gone. A signal does not end it. The system leaves out descriptors for which this process has no room any more: the message
/// itself must say how many belong to it.
///
/// # Errors
///
/// `InvalidData` for a message that does not fit, or with more than [`MOST_FDS`] descriptors: it is lost, and its descriptors
/// are closed. `WouldBlock`; `ConnectionReset` when the other end was closed with messages unread.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; _]);
    let mut message = empty_message(&mut part);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the message points to `part` and `control`, which point to writable memory of the lengths that they say.
    let len =
        until_done(|| unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    let fds = received(&message);
    // Too many for `control` are too many in any case: it has room for more than that.
    if message.msg_flags & libc::MSG_TRUNC != 0 || fds.len() > MOST_FDS {
        return Err(Error::new(ErrorKind::InvalidData, "the message is larger than its receiver expects"));
    }
    Ok((len, fds))
}

/// Takes hold of every descriptor that came with a message, once.
fn received(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled `msg_control` with headers up to `msg_controllen`, so that the macros, which check against it, stay
    // within; the descriptors in it are new, and nobody else knows them.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let payload = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<[u8; size_of::<RawFd>()]>();
                let numbers = (0..payload / size_of::<RawFd>())
                    .map(|index| RawFd::from_ne_bytes(data.add(index).read()));
                fds.extend(numbers.map(|number| OwnedFd::from_raw_fd(number)));
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    fds
}

/// A message of one part, without address or control data.
fn empty_message(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: the structure is pointers and numbers, for which all zeros is a value. It has padding in some C libraries, so
    // that it can't be written out.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

fn until_done(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match check(call()) {
            Ok(len) => return Ok(usize::try_from(len).expect("a success is not negative")),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::check_in_child;
    use crate::memory::{Access, Memory};
    use std::os::fd::AsFd;

    #[test]
    fn messages_keep_their_bounds() {
        let (here, there) = pair().expect("descriptors are free");
        send(here.as_fd(), b"one", &[]).expect("there is room");
        send(here.as_fd(), b"three", &[]).expect("there is room");
        let mut buffer = [0; 64];
        assert_eq!(receive(there.as_fd(), &mut buffer).expect("sent").0, 3);
        assert_eq!(receive(there.as_fd(), &mut buffer).expect("sent").0, 5);
        assert_eq!(&buffer[..5], b"three");
    }

    #[test]
    fn descriptors_arrive_in_another_process() {
        let (here, there) = pair().expect("descriptors are free");
        let memory = Memory::new("test", 8).expect("a descriptor is free");
        let fds: Vec<BorrowedFd<'_>> = vec![memory.fd(); MOST_FDS];
        send(here.as_fd(), b"x", &fds).expect("there is room");
        assert!(check_in_child(60, || {
            let (_, fds) = receive(there.as_fd(), &mut [0; 8]).expect("sent");
            let mapping = Memory::from_fd(fds.into_iter().next_back().expect("sixteen"))
                .expect("sealed")
                .map(Access::Shared);
            // SAFETY: the mapping has eight bytes, and nobody else uses them now.
            unsafe { mapping.expect("mapped").as_ptr().write(3) };
            true
        }));
        let mapping = memory.map(Access::ReadOnly).expect("mapped");
        // SAFETY: as above; the child is gone.
        assert_eq!(unsafe { mapping.as_ptr().read() }, 3);
    }

    #[test]
    fn received_descriptors_are_closed_on_exec() {
        let (here, there) = pair().expect("descriptors are free");
        send(here.as_fd(), b"x", &[here.as_fd()]).expect("there is room");
        let (_, fds) = receive(there.as_fd(), &mut [0; 8]).expect("sent");
        for fd in [&fds[0], &here, &there] {
            // SAFETY: the descriptor is open; the command takes nothing more.
            assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_the_next_message_is_not() {
        let (here, there) = pair().expect("descriptors are free");
        send(here.as_fd(), b"too long", &[here.as_fd()]).expect("there is room");
        send(here.as_fd(), b"fits", &[]).expect("there is room");
        let mut buffer = [0; 4];
        assert_eq!(receive(there.as_fd(), &mut buffer).expect_err("cut").kind(), ErrorKind::InvalidData);
        assert_eq!(receive(there.as_fd(), &mut buffer).expect("sent").0, 4);
    }

    #[test]
    fn descriptors_without_room_are_left_out_of_a_message() {
        let (here, there) = pair().expect("descriptors are free");
        send(here.as_fd(), b"two", &[here.as_fd(); 2]).expect("there is room");
        assert!(check_in_child(60, || {
            // SAFETY: duplicating an open descriptor gives the lowest free number, which is then closed again.
            let lowest = unsafe { libc::dup(there.as_raw_fd()) };
            let most = libc::rlim_t::try_from(lowest).expect("not negative") + 1;
            let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            // SAFETY: the descriptor is this child's own, and the limit is readable.
            unsafe {
                libc::close(lowest);
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            let (len, fds) = receive(there.as_fd(), &mut [0; 8]).expect("sent");
            len == 3 && fds.len() == 1
        }));
    }

    #[test]
    fn the_end_is_zero_bytes_and_sending_to_it_an_error() {
        let (here, there) = pair().expect("descriptors are free");
        drop(there);
        assert_eq!(receive(here.as_fd(), &mut [0; 4]).expect("the end").0, 0);
        assert_eq!(send(here.as_fd(), b"x", &[]).expect_err("nobody").kind(), ErrorKind::BrokenPipe);
        assert_eq!(
            send(here.as_fd(), b"", &[]).expect_err("looks like the end").kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn nobody_waits_when_told_not_to() {
        let (here, there) = pair().expect("descriptors are free");
        set_nonblocking(there.as_fd(), true).expect("a socket can");
        assert_eq!(receive(there.as_fd(), &mut [0; 4]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
        set_nonblocking(there.as_fd(), false).expect("a socket can");
        send(here.as_fd(), b"x", &[]).expect("there is room");
        assert_eq!(receive(there.as_fd(), &mut [0; 4]).expect("sent").0, 1);
    }
}
