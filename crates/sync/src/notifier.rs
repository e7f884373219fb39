//! The queue of a condition: those who wait to be told that something has changed.
//!
//! A condition is this queue beside a lock. One who waits joins while it still holds the lock, releases it, sleeps, and takes
//! the lock again: a notification after the release can't miss it. Notifications are granted, each to one waiter.

use crate::primitives::Arc;
use crate::slow::Slow;
use crate::waiter::{WaitQueue, Waitable, Waiter, Woken};
use std::fmt;

/// Hands notifications to those who wait, in the order in which they came.
///
/// A waiter that gives up although it has been notified gets to know ([`Waitable::abandon`] returns true): it takes that for
/// a success, or calls [`notify`](Self::notify) for another one. After a fork, a child finds nobody waiting.
///
/// ```
/// use raddle_sync::{Moment, Notifier, Owner, Waitable, Waiter};
///
/// let changed = Notifier::default();
/// assert_eq!(changed.notify(1), 0); // nobody waits, and it is not kept
/// let waiter = Waiter::thread(Owner::current_thread());
/// changed.join(&waiter);
/// // Here the lock is released; whoever holds it next:
/// assert_eq!(changed.notify(1), 1);
/// waiter.sleep(Some(Moment::now()));
/// assert!(changed.attempt(&waiter));
/// ```
pub struct Notifier {
    queue: Slow<WaitQueue>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Notifier {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self { queue: Slow::new() }
    }

    /// Begins to wait. Called before the condition's lock is released; the first [`attempt`](Waitable::attempt) would do the
    /// same.
    pub fn join(&self, waiter: &Arc<Waiter>) {
        self.queue.lock().join(waiter);
    }

    /// Notifies the first `count` of those who wait; returns how many these were.
    pub fn notify(&self, count: usize) -> usize {
        let woken = self.grant(count);
        let notified = woken.len();
        Woken::ring_all(woken, self);
        notified
    }

    /// Notifies everybody who waits; returns how many these were.
    pub fn notify_all(&self) -> usize {
        self.notify(usize::MAX)
    }

    fn grant(&self, count: usize) -> Vec<Woken> {
        let Some(mut queue) = self.queue.peek() else { return Vec::new() };
        (0..count).map_while(|_| queue.grant()).collect()
    }

    /// How many wait.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.queue.peek().map_or(0, |queue| queue.len())
    }
}

impl Waitable for Notifier {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let enter = |queue: &mut WaitQueue| {
            queue.join(waiter);
            false
        };
        self.queue.attempt(waiter, || false, enter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.queue.lock().quit(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        if self.abandon(waiter) { self.grant(1) } else { Vec::new() }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notifier").field("waiters", &self.waiters()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::owner::Owner;

    fn waiting(number: u64, changed: &Notifier) -> Arc<Waiter> {
        let waiter = Waiter::thread(Owner::thread(number));
        changed.join(&waiter);
        waiter
    }

    #[test]
    fn the_first_are_notified() {
        let changed = Notifier::new();
        let all = [1, 2, 3].map(|number| waiting(number, &changed));
        assert_eq!(changed.notify(2), 2);
        assert_eq!(all.each_ref().map(|waiter| changed.attempt(waiter)), [true, true, false]);
        assert_eq!((changed.notify_all(), changed.waiters()), (1, 0));
        assert!(changed.attempt(&all[2]));
    }

    #[test]
    fn one_who_gives_up_learns_that_it_was_notified() {
        let changed = Notifier::new();
        let [first, second] = [1, 2].map(|number| waiting(number, &changed));
        assert!(!changed.abandon(&first));
        assert_eq!(changed.notify(1), 1);
        assert!(changed.abandon(&second));
    }

    #[test]
    fn the_notification_of_a_task_that_is_gone_goes_to_the_next() {
        let changed = Notifier::new();
        changed.join(&Waiter::task(Owner::task(8), Box::new(|| false)));
        let second = waiting(2, &changed);
        assert_eq!(changed.notify(1), 1);
        assert!(changed.attempt(&second));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::lock::Lock;
    use crate::models::{check, owner, race, wait};
    use crate::primitives::{AtomicUsize, Ordering};

    /// A condition: a lock, the queue, and what is waited for.
    struct Condition {
        lock: Lock,
        changed: Notifier,
        ready: AtomicUsize,
    }

    impl Condition {
        fn new() -> Self {
            Self { lock: Lock::new(false), changed: Notifier::new(), ready: AtomicUsize::new(0) }
        }

        /// Takes one of what is ready; false when it gives up first.
        fn take(&self, number: u64, gives_up: bool) -> bool {
            assert!(wait(number, &self.lock, false));
            while self.ready.load(Ordering::Relaxed) == 0 {
                let waiter = Waiter::thread(owner(number));
                self.changed.join(&waiter);
                self.lock.release().expect("held");
                if gives_up {
                    let notified = self.changed.abandon(&waiter);
                    assert!(wait(number, &self.lock, false));
                    if notified {
                        self.changed.notify(1);
                    }
                    self.lock.release().expect("held");
                    return false;
                }
                while !self.changed.attempt(&waiter) {
                    waiter.sleep(None);
                }
                assert!(wait(number, &self.lock, false));
            }
            self.ready.fetch_sub(1, Ordering::Relaxed);
            self.lock.release().expect("held");
            true
        }

        fn give(&self, number: u64, count: usize) {
            assert!(wait(number, &self.lock, false));
            self.ready.fetch_add(count, Ordering::Relaxed);
            self.changed.notify(count);
            self.lock.release().expect("held");
        }
    }

    #[test]
    fn a_notification_after_the_release_is_not_missed() {
        check(|| {
            race(Condition::new(), 2, |number, condition| match number {
                1 => condition.give(number, 1),
                _ => assert!(condition.take(number, false)),
            });
        });
    }

    #[test]
    fn one_that_gives_up_hands_its_notification_on() {
        check(|| {
            let changed = Notifier::new();
            let waiters = [1, 2].map(|number| Waiter::thread(owner(number)));
            for waiter in &waiters {
                changed.join(waiter);
            }
            race((changed, waiters), 3, |number, (changed, [first, second])| match number {
                1 if changed.abandon(first) => assert_eq!(changed.notify(1), 1),
                1 => {}
                2 => {
                    while !changed.attempt(second) {
                        second.sleep(None);
                    }
                }
                _ => assert_eq!(changed.notify(1), 1),
            });
        });
    }

    #[test]
    fn two_notifications_serve_two() {
        check(|| {
            race(Condition::new(), 3, |number, condition| match number {
                1 => condition.give(number, 2),
                _ => assert!(condition.take(number, false)),
            });
        });
    }
}
