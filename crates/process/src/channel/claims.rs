//! Claims: who has a task that was handed out.
//!
//! A task that is handed out takes one of [`WINDOW`] claims, a word in shared memory that says how far it has come:
//!
//! ```text
//!          hand_out            begin, at this time          settle
//!   free ─────────────▶ HANDED ────────────────────▶ BEGUN ─────────▶ free
//!    ▲                    │ take_back
//!    │       seen         ▼           skip
//!    └──── SKIPPED ◀── WITHDRAWN ◀──────────── the worker comes to the message, and leaves it alone
//! ```
//!
//! Out of HANDED lead two ways, one for each side, both by compare-and-swap: a task is either begun or taken back, never
//! both, and never neither. BEGUN holds the time at which the task was begun, in the same word: who sees the one sees the
//! other. A claim that was taken back stays taken until the worker has passed the message, which would otherwise be begun
//! under its next use.
//!
//! The parent keeps to itself which claims it has given away, for which tasks. From the words it learns only what a worker
//! may tell: has it begun, and when; has it skipped.

use super::WINDOW;
use super::layout::Line;
use raddle_sync::Moment;
use raddle_sync::primitives::{AtomicU64, Ordering};

// What a free claim says does not matter: the parent knows by itself which are free.
const HANDED: u64 = 1;
const WITHDRAWN: u64 = 2;
/// The worker has passed a task that was taken back.
const SKIPPED: u64 = 3;
/// The worker has begun; the bits above are the time in nanoseconds, enough for 73 years after the boot.
const BEGUN: u64 = 4;
const STATE_BITS: u32 = 3;
const STATE: u64 = (1 << STATE_BITS) - 1;

/// A claim in shared memory.
#[derive(Debug)]
#[repr(transparent)]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Word(AtomicU64);

/// All claims of a channel.
pub(super) type Words = [Line<Word>; WINDOW];

/// What a worker finds where it wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The task is the worker's.
    Begun,
    /// It was taken back, and the parent now knows that the worker has passed it.
    Skipped,
    /// The task was never handed out under this claim.
    Nonsense,
}

impl Word {
    /// Begins the task at `now`, if it was not taken back.
    #[inline]
    pub(super) fn begin(&self, now: Moment) -> Beginning {
        let begun = now.as_nanos() << STATE_BITS | BEGUN;
        match self.0.compare_exchange(HANDED, begun, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Beginning::Begun,
            Err(WITHDRAWN) => {
                self.0.store(SKIPPED, Ordering::Release);
                Beginning::Skipped
            }
            Err(_) => Beginning::Nonsense,
        }
    }
}

/// The parent's own account of the claims that it has given away.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Bit set: handed out and neither settled nor taken back.
    out: u16,
    /// Bit set: taken back, and when last looked not yet passed by the worker.
    withdrawn: u16,
    /// The task of each claim that is out.
    tasks: [u64; WINDOW],
}

const _: () = assert!(WINDOW == u16::BITS as usize, "a bit for each");

impl Claims {
    /// A claim that can be handed out. Stays free until [`hand_out`](Self::hand_out).
    #[inline]
    pub(super) fn free(&mut self, words: &Words) -> Option<u8> {
        if self.out | self.withdrawn == u16::MAX {
            self.withdrawn = self.not_passed(words);
        }
        let taken = self.out | self.withdrawn;
        (taken != u16::MAX).then(|| u8::try_from(taken.trailing_ones()).expect("below 16"))
    }

    /// The claims that were taken back and are not passed yet.
    fn not_passed(&self, words: &Words) -> u16 {
        bits(self.withdrawn)
            .filter(|&claim| words[usize::from(claim)].0.0.load(Ordering::Acquire) != SKIPPED)
            .fold(0, |rest, claim| rest | 1 << claim)
    }

    /// How many claims are free.
    pub(super) fn count_free(&self, words: &Words) -> usize {
        (self.out | self.not_passed(words)).count_zeros() as usize
    }

    /// Takes a free claim for `task`; to be published with the message.
    #[inline]
    pub(super) fn hand_out(&mut self, words: &Words, claim: u8, task: u64) {
        self.out |= 1 << claim;
        self.tasks[usize::from(claim)] = task;
        words[usize::from(claim)].0.0.store(HANDED, Ordering::Relaxed);
    }

    /// Whether the task of this claim had not been begun, and now never will be.
    pub(super) fn take_back(&mut self, words: &Words, claim: u8) -> bool {
        let word = &words[usize::from(claim)].0.0;
        let withdrawn = self.is_out(claim)
            && word.compare_exchange(HANDED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if withdrawn {
            self.out &= !(1 << claim);
            self.withdrawn |= 1 << claim;
        }
        withdrawn
    }

    /// When the task of this claim was begun, if it was; not in the future, whatever the word says.
    pub(super) fn begun_at(&self, words: &Words, claim: u8) -> Option<Moment> {
        let word = words[usize::from(claim)].0.0.load(Ordering::Acquire);
        (self.is_out(claim) && word & STATE == BEGUN)
            .then(|| Moment::from_nanos(word >> STATE_BITS).min(Moment::now()))
    }

    /// Frees a claim. Its word can keep what it says: only that of a claim that is out is looked at.
    #[inline]
    pub(super) fn settle(&mut self, claim: u8) {
        self.out &= !(1 << claim);
    }

    /// The claim under which `task` is out.
    #[inline]
    pub(super) fn of(&self, task: u64) -> Option<u8> {
        bits(self.out).find(|&claim| self.tasks[usize::from(claim)] == task)
    }

    #[inline]
    fn is_out(&self, claim: u8) -> bool {
        self.out & 1 << claim != 0
    }
}

/// The numbers of the bits that are set.
#[inline]
fn bits(mut set: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lowest = u8::try_from(set.trailing_zeros()).expect("at most 16");
        set &= set.wrapping_sub(1);
        (u32::from(lowest) < u16::BITS).then_some(lowest)
    })
}
