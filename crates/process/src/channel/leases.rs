//! Leases: blocks of an arena that the other side is looking at.
//!
//! Who sends a block lends it under a number, the *lease*, and tells the number along with the message. Who receives it
//! *borrows* it, and gives it back when nothing looks at the block any more, from whatever thread that happens on: the bit of
//! that number is set in a bitmap in shared memory, which the lender collects. What the borrower read happens before the
//! lender writes there again.
//!
//! The lender believes only in leases that it has lent, so a broken borrower gives back what is its own to lose. A broken
//! lender may lend a block twice; the borrower refuses.

use super::LEASES;
use crate::Corrupt;
use raddle_sync::primitives::{AtomicU64, Ordering};

const WORDS: usize = LEASES / u64::BITS as usize;

/// A bit for each lease, written by both sides.
#[derive(Debug)]
#[repr(transparent)]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Marks([AtomicU64; WORDS]);

/// The word and the bit of a lease that exists.
#[inline]
fn place(lease: u16) -> (usize, u64) {
    (usize::from(lease / 64), 1 << (lease % 64))
}

impl Marks {
    #[inline]
    pub(super) fn give_back(&self, lease: u16) {
        let (word, bit) = place(lease);
        self.0[word].fetch_or(bit, Ordering::Release);
    }

    /// Whether any bit is set.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|word| word.load(Ordering::Acquire) != 0)
    }
}

/// The lender's own account.
#[derive(Debug, Default)]
pub(super) struct Lender {
    lent: [u64; WORDS],
    count: usize,
}

impl Lender {
    /// A lease that is now lent; None when all are.
    pub(super) fn lend(&mut self) -> Option<u16> {
        let (index, word) = self.lent.iter_mut().enumerate().find(|(_, word)| **word != u64::MAX)?;
        let bit = word.trailing_ones();
        *word |= 1 << bit;
        self.count += 1;
        Some(u16::try_from(index * 64).expect("below LEASES") + u16::try_from(bit).expect("below 64"))
    }

    /// Takes a lease back that the borrower has never heard of, or never will look at.
    pub(super) fn reclaim(&mut self, lease: u16) {
        let (word, bit) = place(lease);
        if self.lent.get(word).is_some_and(|lent| lent & bit != 0) {
            self.lent[word] &= !bit;
            self.count -= 1;
        }
    }

    /// Takes the leases that came back.
    pub(super) fn returned(&mut self, marks: &Marks, each: &mut dyn FnMut(u16)) {
        for (index, (lent, marks)) in self.lent.iter_mut().zip(&marks.0).enumerate() {
            if *lent == 0 || marks.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut back = marks.swap(0, Ordering::Acquire) & *lent;
            *lent &= !back;
            self.count -= back.count_ones() as usize;
            while back != 0 {
                let bit = back.trailing_zeros();
                back &= back - 1;
                each(
                    u16::try_from(index * 64).expect("below LEASES") + u16::try_from(bit).expect("below 64"),
                );
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// The borrower's own account: shared by all of its loans.
#[derive(Debug, Default)]
pub(super) struct Borrower([AtomicU64; WORDS]);

impl Borrower {
    /// Notes that a lease is here.
    ///
    /// # Errors
    ///
    /// When there is no such lease, or it is here already.
    pub(super) fn borrow(&self, lease: u16) -> Result<(), Corrupt> {
        if usize::from(lease) >= LEASES {
            return Err(Corrupt("a lease that there is not"));
        }
        let (word, bit) = place(lease);
        if self.0[word].fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return Err(Corrupt("a lease that is lent already"));
        }
        Ok(())
    }

    /// Before the lender hears of it, who may lend it again at once.
    pub(super) fn forget(&self, lease: u16) {
        let (word, bit) = place(lease);
        self.0[word].fetch_and(!bit, Ordering::AcqRel);
    }
}
