//! Waiting for many descriptors at once (`epoll`), and an [`Alarm`] with which other threads end the wait (`eventfd`).

use crate::check;
use crate::clock::Moment;
use crate::futex::Wake;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How many descriptors one wait reports at most; the others come with the next.
const BATCH: usize = 64;

/// Waits for whichever of its descriptors becomes readable, or loses its other end. Each is known by a token that its owner chose.
///
/// Level-triggered: what stays readable is reported by every wait.
///
/// ```
/// use raddle_sys::{clock::Moment, futex::Wake, poll::{Alarm, Poller}};
///
/// let (poller, alarm) = (Poller::new()?, Alarm::new()?);
/// poller.add(alarm.fd(), 7)?;
/// let mut ready = Vec::new();
/// assert_eq!(poller.wait(&mut ready, Some(Moment::now()))?, Wake::TimedOut);
/// alarm.ring();
/// assert_eq!(poller.wait(&mut ready, None)?, Wake::Woken);
/// assert_eq!(ready, [7]);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Poller(OwnedFd);

impl Poller {
    /// A poller without descriptors.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes a number.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The poller's own descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits for this descriptor too. It stays until it is [removed](Poller::remove), or all its duplicates are closed: in a program
    /// that forks, closing alone is not enough.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `PermissionDenied` for what is always ready, such as a file.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: token };
        // SAFETY: both descriptors are open, and `event` is only read.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Waits for this descriptor no longer. A wait that has begun may still report it.
    ///
    /// # Errors
    ///
    /// `NotFound` when it was not added.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let nothing = std::ptr::null_mut();
        // SAFETY: both descriptors are open; removing takes no event.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), nothing) })
            .map(drop)
    }

    /// Waits until a descriptor is ready, `deadline` (late by up to a millisecond), or a signal. `tokens` is cleared, and filled with
    /// those of the descriptors that are ready.
    ///
    /// # Errors
    ///
    /// None for a live poller.
    pub fn wait(&self, tokens: &mut Vec<u64>, deadline: Option<Moment>) -> io::Result<Wake> {
        tokens.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let most = libc::c_int::try_from(BATCH).expect("a small number");
        loop {
            let timeout = deadline.map_or(-1, milliseconds_until);
            // SAFETY: the descriptor is open, and `events` has room for that many.
            let ready =
                check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), most, timeout) });
            match ready.map(usize::try_from) {
                // A deadline of weeks takes several waits.
                Ok(Ok(0)) if deadline.is_some_and(|deadline| Moment::now() < deadline) => {}
                Ok(Ok(0)) => return Ok(Wake::TimedOut),
                Ok(ready) => {
                    let ready = &events[..ready.expect("a success is not negative")];
                    tokens.extend(ready.iter().map(|event| event.u64));
                    return Ok(Wake::Woken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Wake::Interrupted),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Rounded up, so that nobody wakes before the deadline; at most as long as one wait can be.
fn milliseconds_until(deadline: Moment) -> libc::c_int {
    let left = deadline.since(Moment::now()).as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(left).unwrap_or(libc::c_int::MAX)
}

/// Something to wake a [`Poller`] with, from any thread, or from a process that was sent the descriptor.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that has not rung.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes two numbers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The alarm whose descriptor another process has sent.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Makes the descriptor readable until [`clear`](Alarm::clear). Ringing twice is ringing once. It never blocks.
    pub fn ring(&self) {
        let one = 1_u64;
        // SAFETY: the descriptor is open and `one` has eight bytes. It fails only when the counter is full: then it rings already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Makes it silent again. Clear first and look at what it stood for afterwards, or a ring in between is lost.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: the descriptor is open and `count` has room for eight bytes. It fails only when it had not rung.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }

    /// The descriptor, readable while it rings.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket;
    use std::sync::Arc;
    use std::time::Duration;

    fn ready(poller: &Poller) -> Vec<u64> {
        let mut tokens = vec![99];
        poller.wait(&mut tokens, Some(Moment::now())).expect("the poller lives");
        tokens.sort_unstable();
        tokens
    }

    #[test]
    fn only_what_is_ready_is_reported() {
        let poller = Poller::new().expect("a descriptor is free");
        let alarms: Vec<Alarm> = (0..3).map(|_| Alarm::new().expect("a descriptor is free")).collect();
        for (token, alarm) in (0..).zip(&alarms) {
            poller.add(alarm.fd(), token).expect("new");
        }
        assert_eq!(ready(&poller), []);
        alarms[0].ring();
        alarms[2].ring();
        alarms[2].ring();
        assert_eq!(ready(&poller), [0, 2]);
        alarms[2].clear();
        alarms[2].clear();
        assert_eq!(ready(&poller), [0]);
        poller.remove(alarms[0].fd()).expect("it was added");
        assert_eq!(ready(&poller), []);
        assert_eq!(poller.remove(alarms[0].fd()).expect_err("removed").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn more_than_a_batch_is_reported_in_turns() {
        let poller = Poller::new().expect("a descriptor is free");
        let alarms: Vec<Alarm> =
            (0..BATCH + 10).map(|_| Alarm::new().expect("a descriptor is free")).collect();
        for (token, alarm) in (0..).zip(&alarms) {
            poller.add(alarm.fd(), token).expect("new");
            alarm.ring();
        }
        let mut left = alarms.len();
        while left > 0 {
            let tokens = ready(&poller);
            left -= tokens.len();
            for token in tokens {
                alarms[usize::try_from(token).expect("small")].clear();
            }
        }
    }

    #[test]
    fn the_end_of_a_socket_is_reported() {
        let poller = Poller::new().expect("a descriptor is free");
        let (here, there) = socket::pair().expect("descriptors are free");
        poller.add(here.as_fd(), 1).expect("new");
        assert_eq!(ready(&poller), []);
        drop(there);
        assert_eq!(ready(&poller), [1]);
    }

    #[test]
    fn another_thread_ends_a_wait() {
        let poller = Poller::new().expect("a descriptor is free");
        let alarm = Arc::new(Alarm::new().expect("a descriptor is free"));
        poller.add(alarm.fd(), 1).expect("new");
        let ringer = std::thread::spawn({
            let alarm = Arc::clone(&alarm);
            move || alarm.ring()
        });
        let mut tokens = Vec::new();
        while poller.wait(&mut tokens, None).expect("the poller lives") != Wake::Woken {}
        assert_eq!(tokens, [1]);
        ringer.join().expect("it only rang");
    }

    #[test]
    fn nobody_wakes_before_the_deadline() {
        let poller = Poller::new().expect("a descriptor is free");
        let deadline = Moment::now() + Duration::from_micros(1500);
        while poller.wait(&mut Vec::new(), Some(deadline)).expect("the poller lives") == Wake::Interrupted {}
        assert!(Moment::now() >= deadline);
        assert_eq!(milliseconds_until(Moment::from_nanos(u64::MAX)), libc::c_int::MAX);
    }
}
