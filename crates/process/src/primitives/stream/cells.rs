//! The header of a stream.

use crate::primitives::lock::LockCells;
use crate::primitives::slab::Cells;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many readers can have it noted what they take.
pub(super) const DESKS: usize = 4096;

/// What stands at the beginning of the memory. Those who put and those who get write to lines of their own.
#[repr(C)]
#[derive(Debug)]
pub(super) struct StreamCells {
    pub(super) put: LockCells,
    pub(super) tail: AtomicU64,
    putting: [AtomicU64; 4],
    pub(super) get: LockCells,
    pub(super) head: AtomicU64,
    getting: [AtomicU64; 4],
    /// Whether somebody may sleep until a message comes; until one goes; until all is done.
    pub(super) takers_asleep: AtomicU32,
    pub(super) givers_asleep: AtomicU32,
    pub(super) joiners_asleep: AtomicU32,
    /// The most messages at a time; zero for no limit.
    pub(super) limit: AtomicU32,
    /// How much is done of what messages have asked for.
    pub(super) done: AtomicU32,
    /// Whether somebody looks at the alarm.
    pub(super) watched: AtomicU32,
    sleeping: [AtomicU32; 10],
    /// The first free segment, which names the next one; zero for none.
    pub(super) free: AtomicU32,
    pub(super) free_count: AtomicU32,
    /// Segments from this one on have never been used.
    pub(super) fresh: AtomicU32,
    freeing: [AtomicU32; 13],
    /// For each desk, which message its reader has taken, counted from one; zero for none.
    pub(super) desks: [AtomicU32; DESKS],
}

#[expect(unsafe_code, reason = "a marker")]
// SAFETY: a structure of atomics.
unsafe impl Cells for StreamCells {}

/// A place in a stream, and how many messages came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) count: u32,
    pub(super) segment: u32,
    /// In words of eight bytes from the segment's beginning; one beyond the last word at its end.
    pub(super) word: u32,
}

/// Bits of [`Position::word`].
const WORD_BITS: u32 = 14;

impl Position {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
    pub(super) fn load(from: &AtomicU64) -> Self {
        let bits = from.load(Ordering::SeqCst);
        let place = bits as u32;
        Self { count: (bits >> 32) as u32, segment: place >> WORD_BITS, word: place & ((1 << WORD_BITS) - 1) }
    }

    #[inline]
    pub(super) fn store(self, to: &AtomicU64) {
        let place = self.segment << WORD_BITS | self.word;
        to.store(u64::from(self.count) << 32 | u64::from(place), Ordering::SeqCst);
    }
}

/// The half of a position's word that counts, for the system to look at.
#[expect(unsafe_code, reason = "half of a word")]
pub(super) fn count_of(position: &AtomicU64) -> &AtomicU32 {
    let high = usize::from(cfg!(target_endian = "little"));
    // SAFETY: two aligned halves that live as long as the word. Nobody here reads the half by itself.
    unsafe { AtomicU32::from_ptr(position.as_ptr().cast::<u32>().add(high)) }
}
