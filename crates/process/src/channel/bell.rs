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
//!   4  mine := rings += 1                 d  any mail?  then don't sleep
//!   5  fence                              e  asleep := seen
//!   6  asleep before mine?  no: done      f  fence
//!   7  wake the sleepers on rings         g  sleep unless rings ≠ seen
//!   8  asleep := no if it is still 6's    h  asleep := no
//! ```
//!
//! Of the fences 2 and b one comes first. If it is 2, then d sees the message. If it is b, then 3 sees who sleeps, and 4
//! happens. If c saw the sum of 4, then d sees the message (4 releases, c acquires). If it did not, then of the fences 5 and f
//! one comes first. If it is 5, then g finds the changed word. If it is f, then 6 sees that somebody sleeps who has not seen
//! this ring; he finds the changed word at g, or he got past it before 4 and is woken at 7.
//!
//! Workers are killed, or stopped for minutes, at any instant. One that is gone between 1 and 4 has rung nobody: its end is
//! noticed by other means, and the others ring for themselves. That is why nobody takes the wake-up upon himself before he
//! has done it: 8 comes after 7, and up to then each other worker wakes too. 8 saves them the system call while the sleeper
//! is on its way up. It takes away only a sleep that began before `mine`, and any such sleep, even one that began after 7, is
//! at its end, as rings has changed. (Taking away one that began after `mine` would be fatal: 7 may have come before its g,
//! which then finds nothing changed, and the next ring nobody asleep.)
//!
//! Whoever changes `who` must afterwards look for mail himself, or [wake](Bell::wake) the one whose turn it now is: a worker may
//! have read the old value, and rung the one who has left.
//!
//! A worker may write anything to this memory. Then rings are lost or forged, for all workers: the parent looks in vain, or sleeps
//! until its deadline, so it should have one. What the parent must know about itself, it keeps outside.

use super::layout::Line;
use super::place::{Place, Shareable};
use super::word::SharedWord;
use raddle_sync::primitives::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
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

const AWAKE: u64 = 0;

/// Asleep, having seen so many rings.
fn asleep_since(seen: u32) -> u64 {
    1 << u32::BITS | u64::from(seen)
}

/// Whether this is a sleep that has not seen the ring `mine`. Rings are counted around the clock.
fn has_missed(asleep: u64, mine: u32) -> bool {
    let behind = |seen: u32| mine.wrapping_sub(seen).cast_signed() > 0;
    asleep != AWAKE && u32::try_from(asleep & u64::from(u32::MAX)).is_ok_and(behind)
}

/// Where one of the two sleeps.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
struct Bed {
    /// How often it was rung; slept on.
    rings: SharedWord,
    /// Not [`AWAKE`]: it sleeps, or is about to, and had seen as many rings as the lower half says.
    asleep: AtomicU64,
}

impl Bed {
    /// Wakes whoever sleeps here.
    fn ring(&self) {
        let mine = self.rings.advance();
        fence(Ordering::SeqCst);
        fault::point("bell:counted");
        let asleep = self.asleep.load(Ordering::Relaxed);
        if has_missed(asleep, mine) {
            self.rings.wake();
            fault::point("bell:woken");
            // Where it fails, another has done it, or the sleeper is up.
            let _ = self.asleep.compare_exchange(asleep, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// The pool's doorbell: one page, shared by the pool and all of its workers.
pub struct Bell {
    #[cfg(not(loom))]
    memory: raddle_sys::memory::Memory,
    board: Place<Board>,
    /// The parent's own: whether the collector and the leader sleep.
    asleep: [AtomicBool; 2],
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
            asleep: [false, false].map(AtomicBool::new),
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
        let Some((bed, asleep)) = self.bed(me) else { return Wake::Woken };
        asleep.store(true, Ordering::Relaxed);
        bed.asleep.store(asleep_since(seen), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let wake = bed.rings.wait(seen, deadline);
        // Not a plain store: it comes after whatever took this sleep away, which loom would not see by itself.
        bed.asleep.swap(AWAKE, Ordering::Relaxed);
        asleep.store(false, Ordering::Relaxed);
        wake
    }

    /// The parent's: another of its threads wakes the one that sleeps as `me`, or keeps it from falling asleep.
    pub fn wake(&self, me: Who) {
        let Some((bed, asleep)) = self.bed(me) else { return };
        bed.rings.advance();
        fence(Ordering::SeqCst);
        // By its own account, not by what anybody may have written to the bed.
        if asleep.load(Ordering::Relaxed) {
            bed.rings.wake();
        }
    }

    fn bed(&self, me: Who) -> Option<(&Bed, &AtomicBool)> {
        match me {
            Who::Nobody => None,
            Who::Collector => Some((&self.board.collector.0, &self.asleep[0])),
            Who::Leader => Some((&self.board.leader.0, &self.asleep[1])),
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
