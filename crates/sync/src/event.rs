//! A flag that threads and tasks wait for, until somebody sets it.
//!
//! The word is `SET`, or `CONTENDED` when somebody waits, or neither. Looking at it is one load, setting it without
//! waiters one atomic operation. With waiters it is set under the queue's mutex, so that it opens for those who came before
//! and for nobody who came after a `clear` that followed. Whoever waits when it is set goes on, even when it is cleared at
//! once: that is granted.

use crate::primitives::{Arc, AtomicU32, Ordering};
use crate::slow::Slow;
use crate::waiter::{WaitQueue, Waitable, Waiter, Woken};
use std::fmt;

const SET: u32 = 0b01;
/// Changes under the queue's mutex only, and is never beside [`SET`].
const CONTENDED: u32 = 0b10;

/// A flag to wait for.
///
/// After a fork, a child finds it as the parent had it, and nobody waiting.
///
/// ```
/// use raddle_sync::{Event, waiter};
/// use std::sync::Arc;
///
/// let event = Arc::new(Event::default());
/// let other = std::thread::spawn({
///     let event = Arc::clone(&event);
///     move || waiter::block(&*event, None)
/// });
/// event.set();
/// assert!(event.is_set() && other.join().expect("it does not panic"));
/// ```
pub struct Event {
    word: AtomicU32,
    queue: Slow<WaitQueue>,
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// An event that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0), queue: Slow::new() }
    }

    /// Whether it is set; then what was written before is seen.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it and lets everybody go on who waits.
    #[inline]
    pub fn set(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & CONTENDED == 0 {
            // Set already or not: who sees it set must see what was written before this call.
            match self.word.compare_exchange_weak(word, SET, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.open();
    }

    #[cold]
    fn open(&self) {
        let woken = {
            let mut queue = self.queue.lock();
            // Release through the exchange too: it may have been set and cleared by others since.
            self.word.swap(SET, Ordering::Release);
            queue.grant_all()
        };
        Woken::ring_all(woken, self);
    }

    /// Takes the flag back. Those who waited when it was set go on all the same.
    #[inline]
    pub fn clear(&self) {
        self.word.fetch_and(!SET, Ordering::Relaxed);
    }

    /// How many wait for it.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.queue.peek().map_or(0, |queue| queue.len())
    }
}

impl Waitable for Event {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let enter = |queue: &mut WaitQueue| {
            loop {
                let word = self.word.load(Ordering::Acquire);
                if word & SET != 0 {
                    queue.quit(waiter);
                    return true;
                }
                if self.word.compare_exchange(word, CONTENDED, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    queue.join(waiter);
                    return false;
                }
            }
        };
        self.queue.attempt(waiter, || self.is_set(), enter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let mut queue = self.queue.lock();
        let granted = queue.quit(waiter);
        if queue.is_empty() {
            self.word.fetch_and(!CONTENDED, Ordering::Relaxed);
        }
        granted
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Event").field("set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::owner::Owner;

    #[test]
    fn who_waits_goes_on_although_it_is_cleared_at_once() {
        let event = Event::new();
        let waiter = Waiter::thread(Owner::thread(1));
        assert!(!event.attempt(&waiter));
        event.set();
        event.clear();
        assert!(!event.is_set() && event.attempt(&waiter));
        assert!(!event.attempt(&waiter), "the next wait is another one");
        assert!(!event.abandon(&waiter));
    }

    #[test]
    fn one_who_gives_up_too_late_has_not_given_up() {
        let event = Event::new();
        let waiter = Waiter::thread(Owner::thread(1));
        assert!(!event.attempt(&waiter));
        assert_eq!(event.waiters(), 1);
        event.set();
        assert!(event.abandon(&waiter));
        assert_eq!(event.waiters(), 0);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{check, race, wait};
    use crate::primitives::AtomicBool;

    #[test]
    fn all_who_wait_go_on_and_see_what_came_before() {
        check(|| {
            race((Event::new(), AtomicBool::new(false)), 3, |number, (event, before)| {
                if number == 1 {
                    before.store(true, Ordering::Relaxed);
                    event.set();
                } else if wait(number, event, number == 2) {
                    assert!(before.load(Ordering::Relaxed));
                } else {
                    assert_eq!(number, 2);
                }
            });
        });
    }

    /// Whoever stands in the queue when it is set goes on, even when it is cleared at once.
    #[test]
    fn a_clear_takes_nothing_from_those_who_waited() {
        check(|| {
            let event = Event::new();
            let waiter = Waiter::thread(crate::models::owner(1));
            assert!(!event.attempt(&waiter));
            race((event, waiter), 3, |number, (event, waiter)| match number {
                1 => event.clear(),
                2 => event.set(),
                _ => {
                    while !event.attempt(waiter) {
                        waiter.sleep(None);
                    }
                }
            });
        });
    }

    #[test]
    fn two_who_set_it_open_it_for_a_second_wait() {
        check(|| {
            race(Event::new(), 3, |number, event| {
                if number < 3 {
                    event.set();
                } else {
                    assert!(wait(number, event, false) && wait(number, event, false));
                }
            });
        });
    }
}
