//! The queue of a condition: who waits, in the order in which they came.
//!
//! Each waiter has a seat with a word of its own to sleep on, so a notification wakes exactly those that it is meant for. A seat
//! names the process that sits there. Seats are given out and called by whoever holds the condition's lock, so only a waiter
//! that gives up, or is killed, changes a seat at the same time: that is one compare-and-swap against another.
//!
//! A notification passes over processes that are gone, and their seats are given away once no other is free. There are
//! as many seats as fit two kilobytes. Those who find none share one word, and are all woken by a notification that finds nobody
//! else: to be woken for nothing is what a condition's waiters have to expect.

use super::identity;
use super::nap::{Nap, Naps};
use super::slab::{Cells, Place};
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::futex;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const SEATS: usize = 124;

/// Nobody is called by this, and nobody waits.
const FREE: u32 = 0;
const WAITING: u32 = 1;
const CALLED: u32 = 2;

#[repr(C)]
#[derive(Debug)]
struct Chair {
    /// Who sits there; zero for nobody.
    owner: AtomicU64,
    /// The place in the order of those who came.
    number: AtomicU32,
    state: AtomicU32,
}

/// What stands in shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct WaitersCells {
    next_number: AtomicU32,
    /// Seats beyond this one have never been used.
    used: AtomicU32,
    /// What those without a seat sleep on.
    calls: AtomicU32,
    standing: AtomicU32,
    padding: [AtomicU32; 12],
    chairs: [Chair; SEATS],
}

#[expect(unsafe_code, reason = "a marker")]
// SAFETY: a structure of atomics.
unsafe impl Cells for WaitersCells {}

/// The queue of a condition.
#[derive(Debug)]
pub struct Waiters(Place<WaitersCells>);

/// Where a waiter waits.
#[derive(Clone, Copy, Debug)]
pub enum Seat {
    /// On a seat.
    Numbered(usize),
    /// Without one: the count of calls that it saw.
    Standing(u32),
}

impl Waiters {
    /// A queue that nobody stands in.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors or no address space left.
    pub fn new() -> io::Result<Self> {
        Place::new().map(Self)
    }

    /// The queue that another process has named.
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

    fn chairs(&self) -> &[Chair] {
        let used = self.0.cells().used.load(Ordering::Relaxed) as usize;
        &self.0.cells().chairs[..used.min(SEATS)]
    }

    /// Takes a place at the end. To be called by the holder of the condition's lock.
    #[must_use]
    pub fn enter(&self) -> Seat {
        let cells = self.0.cells();
        let mine = identity::mine();
        let is_free = |chair: &Chair| chair.owner.load(Ordering::Acquire) == 0;
        let index = self.chairs().iter().position(is_free).or_else(|| {
            let used = self.chairs().len();
            if used < SEATS {
                cells.used.store(u32::try_from(used + 1).expect("there are few"), Ordering::Relaxed);
                return Some(used);
            }
            let dead = |chair: &Chair| identity::is_gone(chair.owner.load(Ordering::Relaxed));
            let index = self.chairs().iter().position(dead)?;
            self.chairs()[index].state.store(FREE, Ordering::Relaxed);
            Some(index)
        });
        let Some(index) = index else {
            cells.standing.store(1, Ordering::SeqCst);
            return Seat::Standing(cells.calls.load(Ordering::SeqCst));
        };
        let chair = &cells.chairs[index];
        chair.owner.store(mine, Ordering::Relaxed);
        let number = cells.next_number.load(Ordering::Relaxed);
        cells.next_number.store(number.wrapping_add(1), Ordering::Relaxed);
        chair.number.store(number, Ordering::Relaxed);
        // Last, so that a seat that says so is filled in.
        chair.state.store(WAITING, Ordering::Release);
        Seat::Numbered(index)
    }

    /// Sleeps until called.
    #[must_use]
    pub fn wait(&self, seat: Seat, deadline: Option<Moment>) -> Wake {
        let cells = self.0.cells();
        let (word, seen) = match seat {
            Seat::Numbered(index) => (&cells.chairs[index].state, WAITING),
            Seat::Standing(seen) => (&cells.calls, seen),
        };
        let over = || word.load(Ordering::Acquire) != seen;
        if linger(over) {
            return Wake::Woken;
        }
        let mut naps = Naps::until(deadline);
        loop {
            if over() {
                return Wake::Woken;
            }
            if let Nap::Ends(wake) = naps.sleep(word, seen) {
                return wake;
            }
        }
    }

    /// Gives the place up. Returns whether it had been called.
    #[must_use]
    pub fn leave(&self, seat: Seat) -> bool {
        match seat {
            Seat::Numbered(index) => {
                let chair = &self.0.cells().chairs[index];
                let called = chair.state.swap(FREE, Ordering::AcqRel) == CALLED;
                chair.owner.store(0, Ordering::Release);
                called
            }
            Seat::Standing(seen) => self.0.cells().calls.load(Ordering::SeqCst) != seen,
        }
    }

    /// Calls the `count` who have waited longest. To be called by the holder of the condition's lock.
    pub fn notify(&self, count: usize) {
        let cells = self.0.cells();
        let mut called = 0;
        while called < count {
            let now = cells.next_number.load(Ordering::Relaxed);
            // Numbers wrap around: who has waited longest is furthest behind the next one.
            let waiting = |chair: &&Chair| chair.state.load(Ordering::Acquire) == WAITING;
            let age = |chair: &&Chair| now.wrapping_sub(chair.number.load(Ordering::Relaxed));
            let Some(chair) = self.chairs().iter().filter(waiting).max_by_key(age) else { break };
            let owner = chair.owner.load(Ordering::Relaxed);
            if identity::is_gone(owner) {
                chair.state.store(FREE, Ordering::Relaxed);
                chair.owner.store(0, Ordering::Release);
                continue;
            }
            let call = chair.state.compare_exchange(WAITING, CALLED, Ordering::AcqRel, Ordering::Relaxed);
            if call.is_ok() {
                futex::wake_shared(&chair.state, 1);
                called += 1;
            }
        }
        if called < count && cells.standing.load(Ordering::SeqCst) != 0 {
            cells.standing.store(0, Ordering::SeqCst);
            cells.calls.fetch_add(1, Ordering::SeqCst);
            futex::wake_shared(&cells.calls, u32::MAX);
        }
    }

    /// How many wait on a seat.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chairs().iter().filter(|chair| chair.state.load(Ordering::Relaxed) == WAITING).count()
    }

    /// Whether nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raddle_sys::fork::check_in_child;

    #[test]
    fn those_who_came_first_are_called_first() {
        let waiters = Waiters::new().expect("memory is left");
        let seats: Vec<_> = (0..5).map(|_| waiters.enter()).collect();
        assert!(check_in_child(60, || {
            waiters.notify(2);
            waiters.len() == 3
        }));
        let called: Vec<_> = seats.into_iter().map(|seat| waiters.leave(seat)).collect();
        assert_eq!(called, [true, true, false, false, false]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_process_that_is_gone_is_passed_over_and_its_seat_given_away() {
        let waiters = Waiters::new().expect("memory is left");
        assert!(check_in_child(60, || (0..SEATS).all(|_| matches!(waiters.enter(), Seat::Numbered(_)))));
        let seat = waiters.enter();
        assert!(matches!(seat, Seat::Numbered(_)));
        waiters.notify(1);
        assert!(waiters.leave(seat));
    }

    #[test]
    fn those_without_a_seat_are_woken_too() {
        let waiters = Waiters::new().expect("memory is left");
        let seats: Vec<_> = (0..=SEATS).map(|_| waiters.enter()).collect();
        assert!(matches!(seats[SEATS], Seat::Standing(_)));
        waiters.notify(usize::MAX);
        assert!(seats.into_iter().all(|seat| waiters.leave(seat)));
    }
}
