//! A number of permits that are taken and given back.
//!
//! The word holds the permits, shifted by the flag `CONTENDED`: somebody waits. While it is clear, taking and giving back
//! are one atomic operation each; while it is set, whoever gives back looks into the queue. The flag changes under the
//! queue's mutex only.
//!
//! An unfair semaphore wakes as many as there are permits, less those that are on their way already; a newcomer may be
//! quicker. What must hold at all times: while somebody stands in the queue, no more permits are free than waiters are on
//! their way. A fair one gives its permits to those in the queue; so none are free while somebody stands there.

use crate::primitives::{Arc, AtomicU64, Ordering};
use crate::slow::Slow;
use crate::waiter::{WaitQueue, Waitable, Waiter, Woken};
use std::error::Error;
use std::fmt;

const CONTENDED: u64 = 0b01;
const ONE: u64 = 0b10;

/// More was given back than the semaphore holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease {
    /// How many permits it holds at most.
    pub bound: u64,
}

impl fmt::Display for OverRelease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the semaphore would hold more than its {} permits", self.bound)
    }
}

impl Error for OverRelease {}

/// A counter that blocks those who would bring it below zero.
///
/// To wait for it is to wait for one permit. After a fork, a child has the permits that the parent had free, and nobody
/// waiting.
///
/// ```
/// use raddle_sync::Semaphore;
///
/// let semaphore = Semaphore::new(2, Some(2), false);
/// assert!(semaphore.try_acquire(2));
/// assert!(!semaphore.try_acquire(1));
/// semaphore.release(2).expect("they were taken");
/// assert!(semaphore.release(1).is_err());
/// ```
pub struct Semaphore {
    word: AtomicU64,
    bound: u64,
    fair: bool,
    waiting: Slow<Waiting>,
}

#[derive(Default)]
struct Waiting {
    queue: WaitQueue,
    /// How many have been woken, and have neither tried again nor left.
    on_their_way: u64,
}

impl Waiting {
    fn arrived(&mut self, waiter: &Waiter) {
        if waiter.is_woken() {
            self.on_their_way = self.on_their_way.saturating_sub(1);
        }
    }
}

impl Semaphore {
    /// How many permits any semaphore can hold.
    pub const MAX: u64 = u64::MAX >> 1;

    /// A semaphore with `value` permits, which never holds more than `bound`. A fair one gives them to those who wait in the
    /// order in which they came.
    ///
    /// # Panics
    ///
    /// When `value` is above `bound` or [`MAX`](Self::MAX).
    #[must_use]
    pub fn new(value: u64, bound: Option<u64>, fair: bool) -> Self {
        let bound = bound.unwrap_or(Self::MAX).min(Self::MAX);
        assert!(value <= bound, "a semaphore begins with at most {bound} permits");
        Self { word: AtomicU64::new(value * ONE), bound, fair, waiting: Slow::new() }
    }

    /// Takes `count` permits if so many are free. Never blocks.
    #[inline]
    pub fn try_acquire(&self, count: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word / ONE >= count {
            let left = word - count * ONE;
            match self.word.compare_exchange_weak(word, left, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives `count` permits back, to those who wait first of all. Anybody may do it; never blocks.
    ///
    /// # Errors
    ///
    /// [`OverRelease`] when it would hold more than its bound; then it stays as it was.
    #[inline]
    pub fn release(&self, count: u64) -> Result<(), OverRelease> {
        if !self.release_alone(count) {
            Woken::ring_all(self.give_back(count)?, self);
        }
        Ok(())
    }

    /// Gives `count` permits back if it holds so many more and nobody is to be woken: never rings, so it runs nothing foreign.
    #[inline]
    pub fn release_alone(&self, count: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & CONTENDED == 0 {
            let Ok(more) = self.sum(word, count) else { return false };
            match self.word.compare_exchange_weak(word, more, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// The word with so many more permits.
    fn sum(&self, word: u64, count: u64) -> Result<u64, OverRelease> {
        match (word / ONE).checked_add(count) {
            Some(sum) if sum <= self.bound => Ok((sum * ONE) | (word & CONTENDED)),
            _ => Err(OverRelease { bound: self.bound }),
        }
    }

    #[cold]
    fn give_back(&self, count: u64) -> Result<Vec<Woken>, OverRelease> {
        let mut waiting = self.waiting.lock();
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let more = self.sum(word, count)?;
            let (granted, more) = if self.fair { Self::shares(&waiting, more) } else { (0, more) };
            if self.word.compare_exchange(word, more, Ordering::Release, Ordering::Relaxed).is_ok() {
                let granted = (0..granted).map_while(|_| waiting.queue.grant()).collect();
                return Ok(if self.fair { granted } else { self.rouse(&mut waiting) });
            }
        }
    }

    /// How many of a fair semaphore's permits go to those who wait, and its word afterwards.
    fn shares(waiting: &Waiting, word: u64) -> (u64, u64) {
        let waiters = waiting.queue.len() as u64;
        let granted = waiters.min(word / ONE);
        let flag = if granted < waiters { CONTENDED } else { 0 };
        (granted, ((word / ONE - granted) * ONE) | flag)
    }

    /// Wakes as many as can have something.
    fn rouse(&self, waiting: &mut Waiting) -> Vec<Woken> {
        let mut woken = Vec::new();
        while waiting.on_their_way < self.value() {
            let Some(one) = waiting.queue.wake() else { break };
            waiting.on_their_way += 1;
            woken.push(one);
        }
        self.settle(waiting);
        woken
    }

    /// Takes the flag away when nobody waits any more.
    fn settle(&self, waiting: &Waiting) {
        if waiting.queue.is_empty() {
            self.word.fetch_and(!CONTENDED, Ordering::Relaxed);
        }
    }

    /// How many permits are free.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u64 {
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// How many permits it holds at most.
    #[must_use]
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// Whether permits are given away in the order of arrival.
    #[must_use]
    pub const fn is_fair(&self) -> bool {
        self.fair
    }

    /// How many wait for a permit.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiting.peek().map_or(0, |waiting| waiting.queue.len())
    }

    /// Takes a permit, or joins the queue.
    fn enter(&self, waiting: &mut Waiting, waiter: &Arc<Waiter>) -> bool {
        waiting.arrived(waiter);
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let next = if word >= ONE { word - ONE } else { word | CONTENDED };
            if self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            if word >= ONE {
                waiting.queue.quit(waiter);
                self.settle(waiting);
                return true;
            }
            waiting.queue.join(waiter);
            return false;
        }
    }

    /// Ends a wait: whether a permit had been given to it, and who is woken in its place.
    fn leave(&self, waiter: &Arc<Waiter>) -> (bool, Vec<Woken>) {
        let mut waiting = self.waiting.lock();
        waiting.arrived(waiter);
        if waiting.queue.quit(waiter) {
            return (true, Vec::new());
        }
        // A fair one has no free permits as long as anybody waits.
        (false, if self.fair { Vec::new() } else { self.rouse(&mut waiting) })
    }
}

impl Waitable for Semaphore {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.waiting.attempt(waiter, || self.try_acquire(1), |waiting| self.enter(waiting, waiter))
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let (granted, woken) = self.leave(waiter);
        Woken::ring_all(woken, self);
        granted
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        let (granted, woken) = self.leave(waiter);
        if granted { self.give_back(1).unwrap_or_default() } else { woken }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        formatter
            .debug_struct("Semaphore")
            .field("value", &value)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::owner::Owner;

    fn waiters() -> [Arc<Waiter>; 3] {
        [1, 2, 3].map(|number| Waiter::thread(Owner::thread(number)))
    }

    #[test]
    fn as_many_are_woken_as_there_are_permits() {
        let all = waiters();
        let semaphore = Semaphore::new(0, None, false);
        assert!(all.iter().all(|waiter| !semaphore.attempt(waiter)));
        semaphore.release(2).expect("unbounded");
        assert_eq!(all.each_ref().map(|waiter| waiter.is_woken()), [true, true, false]);
        assert!(semaphore.try_acquire(1), "a newcomer may be quicker");
        assert!(semaphore.attempt(&all[1]) && !semaphore.attempt(&all[0]));
        semaphore.release(2).expect("unbounded");
        assert!(all[0].is_woken() && all[2].is_woken());
    }

    #[test]
    fn alone_a_release_wakes_nobody() {
        let [first, ..] = waiters();
        let semaphore = Semaphore::new(0, Some(1), false);
        assert!(!semaphore.attempt(&first));
        assert!(!semaphore.release_alone(1) && first.is_queued());
        semaphore.release(1).expect("below its bound");
        assert!(semaphore.attempt(&first));
        assert!(semaphore.release_alone(1) && !semaphore.release_alone(1), "it holds one at most");
    }

    #[test]
    fn one_who_leaves_passes_the_wake_up_on() {
        let all = waiters();
        let semaphore = Semaphore::new(0, None, false);
        assert!(all.iter().all(|waiter| !semaphore.attempt(waiter)));
        semaphore.release(1).expect("unbounded");
        assert!(!semaphore.abandon(&all[0]) && all[1].is_woken());
        assert!(semaphore.attempt(&all[1]) && !semaphore.abandon(&all[2]));
        assert_eq!((semaphore.value(), semaphore.waiters()), (0, 0));
    }

    #[test]
    fn a_fair_one_gives_in_order_what_nobody_can_take_away() {
        let all = waiters();
        let semaphore = Semaphore::new(1, None, true);
        assert!(semaphore.attempt(&all[0]) && !semaphore.attempt(&all[1]) && !semaphore.attempt(&all[2]));
        semaphore.release(1).expect("unbounded");
        assert!(all[1].is_granted() && !semaphore.try_acquire(1));
        assert!(semaphore.abandon(&all[1]));
        semaphore.release(5).expect("unbounded");
        assert!(semaphore.attempt(&all[2]));
        assert_eq!(semaphore.value(), 4);
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let semaphore = Semaphore::new(1, Some(2), false);
        assert_eq!(semaphore.release(2), Err(OverRelease { bound: 2 }));
        assert_eq!(semaphore.release(u64::MAX), Err(OverRelease { bound: 2 }));
        semaphore.release(1).expect("within its bound");
        assert_eq!(semaphore.value(), 2);
    }

    #[test]
    fn the_permit_of_a_task_that_is_gone_goes_to_the_next() {
        for fair in [false, true] {
            let [_, _, last] = waiters();
            let semaphore = Semaphore::new(0, None, fair);
            assert!(!semaphore.attempt(&Waiter::task(Owner::task(8), Box::new(|| false))));
            assert!(!semaphore.attempt(&last));
            semaphore.release(1).expect("unbounded");
            assert!(semaphore.attempt(&last));
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{Inside, check, race, wait};

    fn all_get_in(fair: bool, permits: u64, gives_up: fn(u64) -> bool) {
        check(move || {
            let shared = (Semaphore::new(permits, Some(permits), fair), Inside::new());
            race(shared, 3, move |number, (semaphore, inside)| {
                if wait(number, semaphore, gives_up(number)) {
                    inside.visit(usize::try_from(permits).expect("a few"));
                    semaphore.release(1).expect("it was taken");
                } else {
                    assert!(gives_up(number));
                }
            });
        });
    }

    #[test]
    fn no_more_get_in_than_there_are_permits_and_all_do() {
        all_get_in(false, 1, |_| false);
        all_get_in(false, 2, |_| false);
    }

    #[test]
    fn no_more_get_in_than_there_are_permits_and_all_do_by_turns() {
        all_get_in(true, 1, |_| false);
        all_get_in(true, 2, |_| false);
    }

    #[test]
    fn one_that_gives_up_takes_nothing_along() {
        all_get_in(false, 1, |number| number == 1);
        all_get_in(true, 1, |number| number == 1);
    }

    #[test]
    fn two_permits_at_once_wake_two() {
        for fair in [false, true] {
            check(move || {
                race(Semaphore::new(0, None, fair), 3, |number, semaphore| {
                    if number == 1 {
                        semaphore.release(2).expect("unbounded");
                    } else {
                        assert!(wait(number, semaphore, false));
                    }
                });
            });
        }
    }
}
