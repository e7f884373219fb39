//! The pool's side of its zygote.

use super::Spec;
use super::message::{self, ENDED, FAILED, FORK, FORKED, KILL, Packet, READY, REFUSED, Received};
use super::start::{Started, start};
use raddle_sync::Moment;
use raddle_sys::fork::Withheld;
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::poll::Poller;
use raddle_sys::{process, socket};
use std::io::{self, Error, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

const SIGKILL: i32 = 9;

/// How long a zygote may take to kill its workers and exit.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a zygote tells.
#[derive(Debug)]
pub enum Report {
    /// Its preparation is over: workers can be asked for. Comes again when the number of threads is another one.
    Ready {
        /// Threads that a fork would leave behind, its own included. With more than one it refuses to fork.
        threads: u32,
        /// The module whose import has probably started them; empty when that is not known.
        suspect: String,
    },
    /// A worker was made.
    Forked {
        /// What it was asked for with.
        ticket: u64,
        /// Its number, which is that of its process group too.
        pid: u32,
        /// The worker itself.
        pidfd: Pidfd,
    },
    /// A worker was not made, and the descriptors meant for it are closed.
    Refused {
        /// What it was asked for with.
        ticket: u64,
        /// Why, for people.
        error: String,
    },
    /// A worker has ended. Always after its `Forked`.
    Ended {
        /// Which one. From now on the number may mean another process.
        pid: u32,
        /// How. Code 255 also where a preloaded module has taken the status for itself.
        exit: Exit,
    },
    /// Its preparation went wrong, and it exits: most likely, a module can't be imported.
    Failed {
        /// What Python says.
        traceback: String,
    },
    /// The last report of all: it has ended, or will in a moment, and so will its workers. [`Zygote::stop`] tells how.
    Closed,
}

/// A zygote, used by one thread, the one that started it. Dropped without [`stop`](Zygote::stop), it is killed.
///
/// In a forked child of the process that started it, it means nothing, and dropping it does nothing.
#[derive(Debug)]
pub struct Zygote {
    /// A forked child does not have it: for whoever else has it, the zygote would live on after this process.
    socket: Option<Withheld<OwnedFd>>,
    pidfd: Pidfd,
    pid: u32,
    owner: u32,
}

impl Zygote {
    /// Starts one; it is to be used from this thread, and is killed when the thread ends. Its first report is
    /// [`Ready`](Report::Ready), [`Failed`](Report::Failed), or [`Closed`](Report::Closed).
    ///
    /// # Errors
    ///
    /// The system's: no such program, no descriptors or processes left.
    pub fn start(spec: &Spec) -> io::Result<Self> {
        let Started { socket, pid, pidfd } = start(spec, |_| Ok(()))?;
        let zygote = Self { socket: Some(Withheld::new(socket)), pidfd, pid, owner: process::id() };
        socket::set_nonblocking(zygote.fd(), true)?;
        Ok(zygote)
    }

    /// The socket, readable when there is a report.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().expect("taken by stop, which consumes the zygote").as_fd()
    }

    /// The process.
    #[must_use]
    pub fn pidfd(&self) -> &Pidfd {
        &self.pidfd
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks for a worker that gets `fds` (channel, bell, arguments, results, life line) and an order. It is answered with
    /// [`Forked`](Report::Forked) or [`Refused`](Report::Refused), in the order of asking. The descriptors may be closed at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while so many requests are on their way that the socket is full: to be tried again after the next report.
    /// `BrokenPipe` or `ConnectionReset` when the zygote has ended. Otherwise the system's, such as no descriptors left.
    pub fn fork(&self, ticket: u64, fds: &[BorrowedFd<'_>], order: &[u8]) -> io::Result<()> {
        message::send(self.fd(), (FORK, ticket, 0), order, fds)
    }

    /// The next report, if there is one; it does not wait.
    ///
    /// # Errors
    ///
    /// `InvalidData` for what no zygote in good order sends; it is then to be stopped.
    pub fn receive(&self) -> io::Result<Option<Report>> {
        match message::receive(self.fd())? {
            Received::Nothing => Ok(None),
            Received::End => Ok(Some(Report::Closed)),
            Received::Packet(packet) => self.read(packet).map(Some),
        }
    }

    fn read(&self, packet: Packet) -> io::Result<Report> {
        let Packet { kind, number, ticket, pid, text, mut fds, expected } = packet;
        match (kind, fds.pop(), expected) {
            (READY, None, 0) => Ok(Report::Ready { threads: number, suspect: text }),
            (FORKED, Some(pidfd), 1) => Ok(Report::Forked { ticket, pid, pidfd: Pidfd::from_fd(pidfd) }),
            (FORKED, None, 1) => {
                // Without its descriptor it could not be told from a later process of its number. The zygote can.
                message::send(self.fd(), (KILL, 0, pid), &[], &[])?;
                let error = "too many open files: the worker's descriptor could not be received".to_owned();
                Ok(Report::Refused { ticket, error })
            }
            (REFUSED, None, 0) => Ok(Report::Refused { ticket, error: text }),
            (ENDED, None, 0) => Ok(Report::Ended { pid, exit: message::exit(number) }),
            (FAILED, None, 0) => Ok(Report::Failed { traceback: text }),
            _ => Err(Error::new(ErrorKind::InvalidData, format!("the zygote sent a packet of kind {kind}"))),
        }
    }

    /// Has it kill its workers and exit, kills it when that takes long, and waits until it is gone: a few milliseconds.
    /// Returns how it ended, if nobody else has waited for it.
    #[expect(clippy::must_use_candidate, reason = "called to stop it")]
    pub fn stop(mut self) -> Option<Exit> {
        self.end(PATIENCE)
    }

    fn end(&mut self, patience: Duration) -> Option<Exit> {
        self.socket = None;
        if process::id() != self.owner {
            return None;
        }
        if !self.wait(Some(Moment::now() + patience)) {
            // It fails only when the process is gone.
            let _ = self.pidfd.kill(SIGKILL);
            self.wait(None);
        }
        self.pidfd.wait().ok().flatten()
    }

    /// Waits until the process is over, or the deadline. Returns whether it is over.
    fn wait(&self, deadline: Option<Moment>) -> bool {
        let poller = Poller::new().and_then(|poller| poller.add(self.pidfd.fd(), 0).map(|()| poller));
        let mut tokens = Vec::new();
        while !self.pidfd.is_over() {
            if deadline.is_some_and(|deadline| deadline <= Moment::now()) {
                return false;
            }
            match &poller {
                Ok(poller) if poller.wait(&mut tokens, deadline).is_ok() => {}
                // No descriptor is left for a poller.
                _ => std::thread::yield_now(),
            }
        }
        true
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        if self.socket.is_some() {
            self.end(Duration::ZERO);
        }
    }
}
