//! A count that goes down to zero once, and those who wait for that.
//!
//! The word holds the count, shifted by the flag `CONTENDED`: somebody waits. Zero is final, so whoever reaches it may take
//! its time to open the queue.

use crate::primitives::{Arc, AtomicU64, Ordering};
use crate::slow::Slow;
use crate::waiter::{WaitQueue, Waitable, Waiter, Woken};
use std::fmt;

const CONTENDED: u64 = 0b01;
const ONE: u64 = 0b10;

/// Opens for ever when its count reaches zero.
///
/// After a fork, a child has its own count, which begins where the parent's was, and nobody waiting.
///
/// ```
/// use raddle_sync::{Latch, waiter};
///
/// let latch = Latch::new(3);
/// assert_eq!(latch.count_down(2), 1);
/// assert_eq!(latch.count_down(2), 0); // it can't go below
/// assert!(waiter::block(&latch, None));
/// ```
pub struct Latch {
    word: AtomicU64,
    queue: Slow<WaitQueue>,
}

impl Latch {
    /// The highest count.
    pub const MAX: u64 = u64::MAX >> 1;

    /// A latch that opens after `count`; open from the beginning with zero.
    ///
    /// # Panics
    ///
    /// When `count` is above [`MAX`](Self::MAX).
    #[must_use]
    pub fn new(count: u64) -> Self {
        assert!(count <= Self::MAX, "a latch counts from at most {}", Self::MAX);
        Self { word: AtomicU64::new(count * ONE), queue: Slow::new() }
    }

    /// Counts down by `count`, at most to zero, and returns what is left. At zero it opens.
    pub fn count_down(&self, count: u64) -> u64 {
        self.lower(|before| Some(before.saturating_sub(count))).unwrap_or(0)
    }

    /// Counts down by `count`, and returns what is left; None, and nothing changes, when less than that was left before.
    pub fn try_count_down(&self, count: u64) -> Option<u64> {
        self.lower(|before| before.checked_sub(count))
    }

    fn lower(&self, left: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let left = left(word / ONE)?;
            let next = if left == 0 { 0 } else { (left * ONE) | (word & CONTENDED) };
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if left == 0 && word & CONTENDED != 0 => {
                    self.open();
                    return Some(0);
                }
                Ok(_) => return Some(left),
                Err(now) => word = now,
            }
        }
    }

    #[cold]
    fn open(&self) {
        let woken = self.queue.lock().grant_all();
        Woken::ring_all(woken, self);
    }

    /// What is left to count down; at zero, what was written before the last count is seen.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u64 {
        self.word.load(Ordering::Acquire) / ONE
    }

    /// How many wait for it.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.queue.peek().map_or(0, |queue| queue.len())
    }
}

impl Waitable for Latch {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let enter = |queue: &mut WaitQueue| {
            let mut word = self.word.load(Ordering::Acquire);
            while word >= ONE {
                match self.word.compare_exchange(word, word | CONTENDED, Ordering::Acquire, Ordering::Acquire)
                {
                    Ok(_) => {
                        queue.join(waiter);
                        return false;
                    }
                    Err(now) => word = now,
                }
            }
            queue.quit(waiter);
            true
        };
        self.queue.attempt(waiter, || self.count() == 0, enter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.queue.lock().quit(waiter)
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Latch").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::owner::Owner;

    #[test]
    fn it_opens_for_all_at_zero() {
        let latch = Latch::new(2);
        let waiters = [1, 2].map(|number| Waiter::thread(Owner::thread(number)));
        assert!(waiters.iter().all(|waiter| !latch.attempt(waiter)));
        assert_eq!((latch.count_down(1), latch.waiters()), (1, 2));
        assert_eq!((latch.try_count_down(2), latch.count()), (None, 1));
        assert_eq!(latch.count_down(1), 0);
        assert!(waiters.iter().all(|waiter| latch.attempt(waiter)));
        assert!(latch.attempt(&waiters[0]), "and stays open");
    }

    #[test]
    fn one_may_give_up() {
        let latch = Latch::new(1);
        let waiter = Waiter::thread(Owner::thread(1));
        assert!(!latch.attempt(&waiter) && !latch.abandon(&waiter));
        assert_eq!(latch.count_down(7), 0);
        assert!(latch.attempt(&waiter));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{check, race, wait};

    #[test]
    fn it_opens_for_those_who_wait_and_shows_what_came_before() {
        check(|| {
            let counted = AtomicU64::new(0);
            race((Latch::new(2), counted), 3, |number, (latch, counted)| {
                if number < 3 {
                    counted.fetch_add(1, Ordering::Relaxed);
                    latch.count_down(1);
                } else {
                    assert!(wait(number, latch, false));
                    assert_eq!(counted.load(Ordering::Relaxed), 2);
                }
            });
        });
    }

    #[test]
    fn one_that_gives_up_leaves_the_others() {
        check(|| {
            race(Latch::new(1), 3, |number, latch| match number {
                1 => assert_eq!(latch.count_down(1), 0),
                2 => drop(wait(number, latch, true)),
                _ => assert!(wait(number, latch, false)),
            });
        });
    }
}
