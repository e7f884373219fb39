//! A lock that its holder may take again: the `RLock` of Python's `threading`.
//!
//! A [`Lock`] beside a count of the holds beyond the first, which only the holder touches. So the first acquisition and the
//! last release cost what they cost with a plain lock, and those between cost no atomic operation that others would notice.

use crate::lock::Lock;
use crate::owner::Owner;
use crate::primitives::{Arc, AtomicU32, Ordering};
use crate::waiter::{Waitable, Waiter, Woken};
use std::error::Error;
use std::fmt;

/// What is released is not held by the one who releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOwner;

impl fmt::Display for NotOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("release of a lock by one who does not hold it")
    }
}

impl Error for NotOwner {}

/// A lock that one owner may hold several times, and only that owner may release.
///
/// After a fork, a child finds it held by whoever held it in the parent, and nobody waiting.
///
/// ```
/// use raddle_sync::{Owner, RLock};
///
/// let lock = RLock::new(false);
/// let me = Owner::current_thread();
/// assert!(lock.try_acquire(me) && lock.try_acquire(me));
/// assert_eq!(lock.count(me), 2);
/// lock.release(me).expect("held twice");
/// lock.release(me).expect("held once");
/// assert!(lock.release(me).is_err());
/// ```
#[derive(Default)]
pub struct RLock {
    lock: Lock,
    /// How often it is held beyond the first time; 0 whenever it is free.
    again: AtomicU32,
}

impl RLock {
    /// A free lock; `fair` as for [`Lock::new`].
    #[must_use]
    pub fn new(fair: bool) -> Self {
        Self { lock: Lock::new(fair), again: AtomicU32::new(0) }
    }

    /// Takes the lock for `owner`, once more if it holds it already. Never blocks.
    ///
    /// # Panics
    ///
    /// When it is held 2³² times.
    #[inline]
    pub fn try_acquire(&self, owner: Owner) -> bool {
        self.lock.try_acquire(owner) || self.acquire_again(owner)
    }

    /// As [`try_acquire`](Self::try_acquire), but false instead of a panic.
    #[inline]
    pub fn acquire_alone(&self, owner: Owner) -> bool {
        self.lock.try_acquire(owner) || self.lock.owner() == Some(owner) && self.count_again().is_some()
    }

    fn acquire_again(&self, owner: Owner) -> bool {
        let mine = self.lock.owner() == Some(owner);
        if mine {
            self.count_again().expect("nobody counts that far");
        }
        mine
    }

    fn count_again(&self) -> Option<()> {
        let again = self.again.load(Ordering::Relaxed).checked_add(1)?;
        self.again.store(again, Ordering::Relaxed);
        Some(())
    }

    /// Gives up one of the owner's holds; with the last one the lock is free, or handed over.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] when somebody else holds it, or nobody.
    #[inline]
    pub fn release(&self, owner: Owner) -> Result<(), NotOwner> {
        if self.lock.owner() != Some(owner) {
            return Err(NotOwner);
        }
        match self.again.load(Ordering::Relaxed) {
            0 => self.lock.release().map_err(|_| NotOwner),
            again => {
                self.again.store(again - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Gives up one of the owner's holds if it has one and nobody is to be woken: never rings, so it runs nothing foreign.
    #[inline]
    pub fn release_alone(&self, owner: Owner) -> bool {
        if self.lock.owner() != Some(owner) {
            return false;
        }
        match self.again.load(Ordering::Relaxed) {
            0 => self.lock.release_alone(),
            again => {
                self.again.store(again - 1, Ordering::Relaxed);
                true
            }
        }
    }

    /// Gives up all of the owner's holds, and tells how many there were; None when there were none. The first half of what a
    /// condition does; [`restore`](Self::restore) is the second.
    pub fn release_all(&self, owner: Owner) -> Option<u32> {
        let count = self.count(owner);
        if count == 0 {
            return None;
        }
        self.again.store(0, Ordering::Relaxed);
        self.lock.release().ok().map(|()| count)
    }

    /// Makes the owner, who has just taken the lock, hold it `count` times.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] when it does not hold it.
    pub fn restore(&self, owner: Owner, count: u32) -> Result<(), NotOwner> {
        if self.lock.owner() != Some(owner) {
            return Err(NotOwner);
        }
        self.again.store(count.saturating_sub(1), Ordering::Relaxed);
        Ok(())
    }

    /// How often `owner` holds it.
    #[must_use]
    pub fn count(&self, owner: Owner) -> u32 {
        if self.lock.owner() == Some(owner) { self.again.load(Ordering::Relaxed) + 1 } else { 0 }
    }

    /// Who holds it and how often, as seen from outside: both may have changed already.
    #[must_use]
    pub fn holder(&self) -> Option<(Owner, u32)> {
        let again = self.again.load(Ordering::Relaxed);
        self.lock.owner().map(|owner| (owner, again + 1))
    }

    /// Whether somebody holds it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// Who holds it.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.lock.owner()
    }

    /// Whether it is given away in the order of arrival.
    #[must_use]
    pub const fn is_fair(&self) -> bool {
        self.lock.is_fair()
    }

    /// How many wait for it.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.lock.waiters()
    }

    /// Makes it free, whoever holds it and how often: for a forked child that was left with locks of threads it doesn't have.
    pub fn reinit(&self) {
        self.again.store(0, Ordering::Relaxed);
        self.lock.reinit();
    }
}

impl Waitable for RLock {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let owner = waiter.owner();
        if waiter.is_idle() && self.acquire_again(owner) || self.lock.attempt(waiter) {
            return true;
        }
        // It waits for itself: either the lock has been granted to it this very moment, or it took the lock elsewhere while
        // it waited here, in a signal handler. Once it has left the queue it is clear which.
        self.lock.owner() == Some(owner) && (self.lock.abandon(waiter) || self.acquire_again(owner))
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.lock.abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.lock.pass_on(waiter)
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.lock.holders(waiter, visit);
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RLock").field("holder", &self.holder()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::waiter;

    const ME: Owner = Owner::thread(1);
    const OTHER: Owner = Owner::thread(2);

    #[test]
    fn only_its_holder_releases_it() {
        let lock = RLock::default();
        assert!(lock.try_acquire(ME) && !lock.try_acquire(OTHER));
        assert_eq!(lock.release(OTHER), Err(NotOwner));
        assert_eq!((lock.count(ME), lock.count(OTHER), lock.holder()), (1, 0, Some((ME, 1))));
    }

    #[test]
    fn alone_one_gives_up_a_hold_and_wakes_nobody() {
        let lock = RLock::default();
        let waiter = crate::waiter::Waiter::thread(OTHER);
        assert!(!lock.release_alone(ME));
        assert!((0..2).all(|_| lock.acquire_alone(ME)) && !lock.acquire_alone(OTHER));
        assert!(!lock.attempt(&waiter));
        assert!(!lock.release_alone(OTHER) && lock.release_alone(ME));
        assert!(!lock.release_alone(ME), "the last one wakes somebody");
        assert_eq!((lock.count(ME), waiter.is_queued()), (1, true));
        lock.restore(ME, u32::MAX).expect("held");
        assert!(lock.acquire_alone(ME) && !lock.acquire_alone(ME), "it can't count any further");
    }

    #[test]
    fn all_holds_are_given_up_and_taken_again() {
        let lock = RLock::default();
        assert_eq!(lock.release_all(ME), None);
        assert!((0..3).all(|_| lock.try_acquire(ME)));
        assert_eq!(lock.release_all(ME), Some(3));
        assert!(lock.try_acquire(OTHER));
        assert_eq!(lock.restore(ME, 3), Err(NotOwner));
        lock.release(OTHER).expect("held");
        assert!(waiter::block_as(ME, &lock, None));
        lock.restore(ME, 3).expect("held");
        assert_eq!(lock.count(ME), 3);
    }

    #[test]
    fn what_is_handed_over_is_held_once() {
        let lock = RLock::new(true);
        let waiter = Waiter::thread(OTHER);
        assert!(lock.try_acquire(ME) && !lock.attempt(&waiter));
        lock.release(ME).expect("held");
        assert!(lock.attempt(&waiter));
        assert_eq!(lock.count(OTHER), 1);
        assert!(lock.attempt(&waiter));
        assert_eq!(lock.count(OTHER), 2);
    }

    #[test]
    fn one_who_takes_it_in_a_signal_handler_does_not_wait_for_itself() {
        for fair in [false, true] {
            let lock = RLock::new(fair);
            let (waiter, other) = (Waiter::thread(ME), Waiter::thread(OTHER));
            assert!(lock.attempt(&other) && !lock.attempt(&waiter));
            lock.lock.reinit();
            if fair {
                assert!(lock.attempt(&waiter));
            } else {
                assert!(lock.try_acquire(ME) && lock.attempt(&waiter));
            }
            assert_eq!((lock.count(ME), lock.waiters()), (if fair { 1 } else { 2 }, 0));
        }
    }

    #[test]
    fn it_can_be_made_free_whoever_holds_it() {
        let lock = RLock::default();
        assert!(lock.try_acquire(ME) && lock.try_acquire(ME));
        lock.reinit();
        assert!(lock.try_acquire(OTHER));
        assert_eq!(lock.count(OTHER), 1);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{Inside, check, owner, race, wait};

    #[test]
    fn what_is_held_twice_is_free_after_two_releases() {
        for fair in [false, true] {
            check(move || {
                race((RLock::new(fair), Inside::new()), 2, |number, (lock, inside)| {
                    assert!(wait(number, lock, false) && wait(number, lock, false));
                    assert_eq!(lock.count(owner(number)), 2);
                    inside.visit(1);
                    lock.release(owner(number)).expect("held twice");
                    inside.visit(1);
                    lock.release(owner(number)).expect("held once");
                });
            });
        }
    }

    /// The same thread tries again while it stands in the queue, as after a signal.
    #[test]
    fn what_is_granted_meanwhile_counts_once() {
        check(|| {
            let lock = RLock::new(true);
            assert!(lock.try_acquire(owner(2)));
            race(lock, 2, |number, lock| {
                if number == 2 {
                    lock.release(owner(2)).expect("held");
                    return;
                }
                let waiter = Waiter::thread(owner(1));
                if !lock.attempt(&waiter) && !lock.attempt(&waiter) {
                    waiter.sleep(None);
                    assert!(lock.attempt(&waiter));
                }
                assert_eq!(lock.count(owner(1)), 1);
            });
        });
    }
}
