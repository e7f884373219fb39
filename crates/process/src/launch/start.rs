//! Executing an interpreter that has a socket to here.

use super::Spec;
use super::message::{self, FORK, PREPARE};
use raddle_sys::pidfd::Pidfd;
use raddle_sys::shortage::{is_shortage, limit_behind};
use raddle_sys::{process, socket};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// A process that has been started, and the socket to it.
pub(super) struct Started {
    pub(super) socket: OwnedFd,
    pub(super) pid: u32,
    pub(super) pidfd: Pidfd,
}

/// Starts an interpreter, with the preparation in its socket, and behind it what `more` sends.
///
/// Nothing runs between fork and exec, so that the standard library takes `posix_spawn`, which does not copy the page tables of
/// a process however large.
pub(super) fn start(spec: &Spec, more: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<Started> {
    let (socket, theirs) = socket::pair()?;
    message::send(socket.as_fd(), (PREPARE, 0, process::id()), &spec.preparation, &[])?;
    more(socket.as_fd())?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments);
    if let Some(environment) = &spec.environment {
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    }
    // In a group of its own from its first instruction on: the terminal's Ctrl-C is not for it.
    command.stdin(Stdio::from(theirs)).process_group(0);
    let named = |error: io::Error| {
        let (program, limit) = (spec.program.display(), limit_behind(&error));
        let kind = if is_shortage(&error) { ErrorKind::ResourceBusy } else { error.kind() };
        io::Error::new(kind, format!("{program} could not be started: {error}{limit}"))
    };
    let mut child = command.spawn().map_err(named)?;
    let pidfd = Pidfd::open(child.id()).inspect_err(|_| {
        // Without a descriptor nobody could watch it. Both fail only if it is gone already.
        let _ = child.kill();
        let _ = child.wait();
    })?;
    Ok(Started { socket, pid: child.id(), pidfd })
}

/// Starts an interpreter for one worker, which is then a child of this process: to be waited for through its pidfd.
///
/// `fds` are channel, bell, arguments, results, life line, as for [`Zygote::fork`](super::Zygote::fork), and `order` is what that takes.
/// To be called from a thread that stays, as the worker is killed when it ends.
///
/// # Errors
///
/// The system's: no such program, no descriptors or processes left. Whether the program comes to serve, this does not wait for.
pub fn spawn_worker(spec: &Spec, fds: &[BorrowedFd<'_>], order: &[u8]) -> io::Result<(u32, Pidfd)> {
    let Started { pid, pidfd, .. } = start(spec, |socket| message::send(socket, (FORK, 0, 0), order, fds))?;
    Ok((pid, pidfd))
}
