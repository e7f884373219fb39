//! A process by descriptor: it means the same process for ever, even once its number is given to another.
//!
//! The descriptor becomes readable when the process ends, so that a [`Poller`](crate::poll::Poller) can wait for many.

use crate::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A process, ours or not, running or over.
///
/// ```
/// use raddle_sys::pidfd::{Exit, Pidfd};
/// use std::process::Command;
///
/// let child = Command::new("sleep").arg("600").spawn()?;
/// let process = Pidfd::open(child.id())?;
/// process.kill(9)?;
/// let exit = loop {
///     if let Some(exit) = process.wait()? {
///         break exit;
///     }
/// };
/// assert_eq!(exit, Exit::Signal(9));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// The process that has this number now. Only the parent, before it has waited, can be sure that it is the one it means.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is none; `InvalidInput` for a number that no process has.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: takes two numbers; the descriptor that it makes is closed on exec.
        let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        let fd = libc::c_int::try_from(fd).expect("a descriptor is an int");
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A process whose descriptor came from elsewhere. Of what is no such descriptor, every method fails.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Another handle to the same process.
    ///
    /// # Errors
    ///
    /// When this process has no file descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The descriptor, readable once the process has ended.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends `signal` to the process.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it is over and waited for; `PermissionDenied` when it is not ours to kill.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; a null pointer stands for what kill(2) would send along.
        check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0) })
            .map(drop)
    }

    /// Whether the process has ended, waited for or not.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one writable entry. Without a timeout it does not wait, so no signal interrupts it.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
        ready == 1 && poll.revents & libc::POLLIN != 0
    }

    /// How the process ended, and lets the system forget it; None while it runs. It does not block. For own children only, and for
    /// each of them once.
    ///
    /// # Errors
    ///
    /// `ECHILD` when it is not a child of this process, or has been waited for.
    pub fn wait(&self) -> io::Result<Option<Exit>> {
        self.ended(0)
    }

    /// The same without letting the system forget it: its number stays its own until [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// `ECHILD` when it is not a child of this process, or has been waited for.
    pub fn look(&self) -> io::Result<Option<Exit>> {
        self.ended(libc::WNOWAIT)
    }

    fn ended(&self, option: libc::c_int) -> io::Result<Option<Exit>> {
        // SAFETY: the structure is plain numbers, for which all zeros is a value; it says "nothing" to the code below.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let id = libc::id_t::try_from(self.0.as_raw_fd()).expect("an open descriptor is not negative");
        // SAFETY: `info` is writable; the rest are numbers.
        check(unsafe {
            libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED | libc::WNOHANG | option)
        })?;
        // SAFETY: waitid filled these in, or left the zeros.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        Ok(match (pid, info.si_code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
            _ => Some(Exit::Signal(status)),
        })
    }
}

#[cfg(test)]
#[expect(clippy::zombie_processes, reason = "waited for by descriptor")]
mod tests {
    use super::*;
    use crate::poll::Poller;
    use std::process::{Command, Stdio};

    fn ended(process: &Pidfd) -> Exit {
        let poller = Poller::new().expect("a descriptor is free");
        poller.add(process.fd(), 1).expect("it can be polled");
        while !process.is_over() {
            poller.wait(&mut Vec::new(), None).expect("there is something to wait for");
        }
        process.wait().expect("it is our child").expect("it is over")
    }

    #[test]
    fn codes_and_signals_are_told_apart() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().expect("there is a shell");
        assert_eq!(ended(&Pidfd::open(child.id()).expect("not waited for")), Exit::Code(7));
        let child = Command::new("sh").args(["-c", "kill -9 $$"]).spawn().expect("there is a shell");
        assert_eq!(ended(&Pidfd::open(child.id()).expect("not waited for")), Exit::Signal(libc::SIGKILL));
    }

    #[test]
    fn a_running_process_is_not_over() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("there is a cat");
        let process = Pidfd::open(child.id()).expect("it runs");
        assert!(!process.is_over());
        assert_eq!(process.wait().expect("it is our child"), None);
        drop(child.stdin.take());
        while process.look().expect("it is our child").is_none() {
            std::thread::yield_now();
        }
        assert_eq!(process.look().expect("still"), Some(Exit::Code(0)));
        assert_eq!(ended(&process), Exit::Code(0));
        assert_eq!(process.wait().expect_err("waited for").raw_os_error(), Some(libc::ECHILD));
        assert_eq!(process.kill(0).expect_err("it is gone").raw_os_error(), Some(libc::ESRCH));
        assert!(process.is_over());
    }

    #[test]
    fn numbers_of_no_process_are_refused() {
        assert!(Pidfd::open(0).is_err());
        assert!(Pidfd::open(u32::MAX).is_err());
    }
}
