//! A flag between processes.
//!
//! It is a count that goes up by one whenever the flag is set or cleared, odd while it is set: a waiter that saw it clear and finds
//! another count knows that it was set meanwhile, also if it was cleared again.

use super::nap::{Nap, Naps};
use super::slab::{Cells, Place};
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::futex;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// What stands in shared memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct EventCells {
    turns: AtomicU32,
    asleep: AtomicU32,
}

#[expect(unsafe_code, reason = "a marker")]
// SAFETY: a structure of atomics.
unsafe impl Cells for EventCells {}

/// A flag between processes.
#[derive(Debug)]
pub struct Event(Place<EventCells>);

impl Event {
    /// An event that is not set.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors or no address space left.
    pub fn new() -> io::Result<Self> {
        Place::new().map(Self)
    }

    /// The event that another process has named.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is none; else the system's.
    pub fn attach(fd: OwnedFd, offset: usize) -> io::Result<Self> {
        Place::attach(fd, offset).map(Self)
    }

    /// By what another process finds it.
    #[must_use]
    pub fn name(&self) -> (BorrowedFd<'_>, usize) {
        self.0.name()
    }

    /// Whether it is set.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.cells().turns.load(Ordering::SeqCst) & 1 == 1
    }

    /// Sets it, and wakes all who wait.
    #[inline]
    pub fn set(&self) {
        let cells = self.0.cells();
        self.turn(0);
        if cells.asleep.load(Ordering::SeqCst) != 0 {
            cells.asleep.store(0, Ordering::SeqCst);
            futex::wake_shared(&cells.turns, u32::MAX);
        }
    }

    /// Clears it.
    #[inline]
    pub fn clear(&self) {
        self.turn(1);
    }

    /// Adds one if the count is odd, or even, as `parity` says.
    #[inline]
    fn turn(&self, parity: u32) {
        let turns = &self.0.cells().turns;
        let mut now = turns.load(Ordering::SeqCst);
        while now & 1 == parity {
            match turns.compare_exchange_weak(now, now.wrapping_add(1), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// What [`wait`](Event::wait) is to see change.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.0.cells().turns.load(Ordering::SeqCst)
    }

    /// Sleeps until the event is, or was, set, since the count was `seen`.
    #[must_use]
    pub fn wait(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        let cells = self.0.cells();
        let over = || seen & 1 == 1 || cells.turns.load(Ordering::SeqCst) != seen;
        if linger(over) {
            return Wake::Woken;
        }
        let mut naps = Naps::until(deadline);
        loop {
            cells.asleep.store(1, Ordering::SeqCst);
            if over() {
                return Wake::Woken;
            }
            if let Nap::Ends(wake) = naps.sleep(&cells.turns, seen) {
                return wake;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raddle_sys::fork::check_in_child;

    #[test]
    fn all_who_wait_see_it_also_if_it_is_cleared_at_once() {
        let (event, began) = (Event::new().expect("memory is left"), Event::new().expect("memory is left"));
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| event.wait(0, None))).collect();
            assert!(check_in_child(60, || {
                began.set();
                event.set();
                event.clear();
                !event.is_set()
            }));
            assert!(waiters.into_iter().all(|waiter| waiter.join().expect("it ends") == Wake::Woken));
        });
        assert!(began.is_set() && !event.is_set());
    }
}
