//! The pool's doorbell: workers ring it when they have replied, and the parent sleeps on it.
//!
//! One thread of the parent at a time waits for mail: the *collector*, a thread of its own, or the *leader*, a thread that waits
//! for a result and collects meanwhile. Each has a word of its own to sleep on, and `who` says which of them is to be rung. While
//! it says Nobody (the parent is awake, and will look), ringing costs a worker one load.
//!
//! # No wake-up is lost
//!
//! Between a worker and a sleeper:
//!
//! ```text
//!   worker                                sleeper
//!   1  publish the message                a  who := me
//!   2  fence                              b  fence
//!   3  who?  nobody: done                 c  seen := rings
//!   4  rings += 1                         d  any mail?  then don't sleep
//!   5  fence                              e  asleep := nap
//!   6  asleep?  0: done                   f  fence
//!   7  wake the sleepers on rings         g  sleep unless rings ≠ seen
//!   8  asleep := 0 if it is still 6's
//! ```
//!
//! Of the fences 2 and b one comes first. If it is 2, then d sees the message. If it is b, then 3 sees who sleeps, and 4
//! happens. If c saw the sum of 4, then d sees the message (4 releases, c acquires). If it did not, then either g finds the
//! changed word, or it came before 4; then f came before 5, 6 sees that it sleeps, and 7 wakes it.
//!
//! Workers are killed, or stopped for minutes, at any instant. One that is gone between 1 and 4 has rung nobody: its end is
//! noticed by other means, and the others ring for themselves. That is why nobody takes the wake-up upon himself before he
//! has done it: 8 comes after 7, and up to then each other worker wakes too. 8 saves them the system call while the sleeper
//! is on its way up. Each sleep is another `nap`, so that a worker that was stopped between 7 and 8 can't undo a later one.
//!
//! Whoever changes `who` must afterwards look for mail himself, or [wake](Bell::wake) the one whose turn it now is: a worker may
//! have read the old value, and rung the one who has left.
//!
//! A worker may write anything to this memory. Then rings are lost or forged, for all workers: the parent looks in vain, or sleeps
//! until its deadline, so it should have one. What the parent must know about itself, it keeps outside.

use super::layout::Line;
use super::place::{Place, Shareable};
use super::word::SharedWord;
use raddle_sync::primitives::{AtomicU32, Ordering, fence};
use raddle_sync::{Moment, Wake};

use crate::fault;

/// Who is to be rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The parent is awake and will look.
    Nobody,
    /// The thread that collects when nobody else does.
    Collector,
    /// A thread that waits for a result, and collects meanwhile.
    Leader,
}

const NOBODY: u32 = 0;
const COLLECTOR: u32 = 1;
const LEADER: u32 = 2;

/// What the pool and its workers share.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Board {
    who: Line<AtomicU32>,
    collector: Line<Bed>,
    leader: Line<Bed>,
}

// SAFETY: atomics throughout, `repr(C)` throughout, aligned to two cache lines.
unsafe impl Shareable for Board {}

/// Where one of the two sleeps.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
struct Bed {
    /// How often it was rung; slept on.
    rings: SharedWord,
    /// Not 0: it sleeps, or is about to. Another number each time.
    asleep: AtomicU32,
}

impl Bed {
    /// Wakes whoever sleeps here.
    fn ring(&self) {
        self.rings.advance();
        fence(Ordering::SeqCst);
        fault::point("bell:counted");
        let nap = self.asleep.load(Ordering::Relaxed);
        if nap != 0 {
            self.rings.wake();
            fault::point("bell:woken");
            // Whether it was, is all the same.
            let _ = self.asleep.compare_exchange(nap, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// The pool's doorbell: one page, shared by the pool and all of its workers.
pub struct Bell {
    #[cfg(not(loom))]
    memory: raddle_sys::memory::Memory,
    board: Place<Board>,
    /// The parent's own: how many naps the collector and the leader have begun and ended, so odd while they sleep.
    naps: [AtomicU32; 2],
}

impl Bell {
    /// A bell that rings nobody.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no file descriptor for it.
    #[cfg(not(loom))]
    pub fn new() -> std::io::Result<Self> {
        Self::over(raddle_sys::memory::Memory::new("raddle-bell", size_of::<Board>())?)
    }

    /// A worker's end of the bell that has this memory.
    ///
    /// # Errors
    ///
    /// When the descriptor is no bell's, or can't be mapped.
    #[cfg(not(loom))]
    pub fn attach(memory: std::os::fd::OwnedFd) -> std::io::Result<Self> {
        Self::over(raddle_sys::memory::Memory::from_fd(memory)?)
    }

    #[cfg(not(loom))]
    fn over(memory: raddle_sys::memory::Memory) -> std::io::Result<Self> {
        Ok(Self::on(Place::new(&memory)?, memory))
    }

    pub(super) fn on(board: Place<Board>, #[cfg(not(loom))] memory: raddle_sys::memory::Memory) -> Self {
        Self {
            #[cfg(not(loom))]
            memory,
            board,
            naps: [0, 0].map(AtomicU32::new),
        }
    }

    /// The memory, for the workers.
    #[cfg(not(loom))]
    #[must_use]
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.memory.fd()
    }

    /// The parent's: says who is to be rung from now on.
    ///
    /// For the one thread that has the leadership. Afterwards it must look for mail, or wake the one that it named.
    #[inline]
    pub fn set_who(&self, who: Who) {
        let who = match who {
            Who::Nobody => NOBODY,
            Who::Collector => COLLECTOR,
            Who::Leader => LEADER,
        };
        self.board.who.0.store(who, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// A worker's: wakes whoever waits for what it has published before.
    #[inline]
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        match self.board.who.0.load(Ordering::Relaxed) {
            NOBODY => {}
            COLLECTOR => self.board.collector.0.ring(),
            LEADER => self.board.leader.0.ring(),
            // Somebody scribbles. Whoever it may be.
            _ => {
                self.board.collector.0.ring();
                self.board.leader.0.ring();
            }
        }
    }

    /// The parent's: what to give to [`sleep`](Self::sleep). To be called before looking for mail.
    #[inline]
    pub fn seen(&self, me: Who) -> u32 {
        self.bed(me).map_or(0, |(bed, _)| bed.rings.load())
    }

    /// The parent's: sleeps as `me`, unless rung since `seen`, until rung, woken, `deadline` or a signal. May return early for
    /// no reason. For one thread at a time in each role; at once as [`Who::Nobody`].
    pub fn sleep(&self, me: Who, seen: u32, deadline: Option<Moment>) -> Wake {
        let Some((bed, naps)) = self.bed(me) else { return Wake::Woken };
        let nap = naps.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        bed.asleep.store(nap, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let wake = bed.rings.wait(seen, deadline);
        bed.asleep.store(0, Ordering::Relaxed);
        naps.fetch_add(1, Ordering::Relaxed);
        wake
    }

    /// The parent's: another of its threads wakes the one that sleeps as `me`, or keeps it from falling asleep.
    pub fn wake(&self, me: Who) {
        let Some((bed, naps)) = self.bed(me) else { return };
        bed.rings.advance();
        fence(Ordering::SeqCst);
        // By its own account, not by what anybody may have written to the bed.
        if naps.load(Ordering::Relaxed) % 2 == 1 {
            bed.rings.wake();
        }
    }

    fn bed(&self, me: Who) -> Option<(&Bed, &AtomicU32)> {
        match me {
            Who::Nobody => None,
            Who::Collector => Some((&self.board.collector.0, &self.naps[0])),
            Who::Leader => Some((&self.board.leader.0, &self.naps[1])),
        }
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Bell")
            .field("who", &self.board.who.0.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
