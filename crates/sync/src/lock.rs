//! Mutual exclusion between threads and tasks, which anybody may end: the `Lock` of Python's `threading`.
//!
//! The word is zero while the lock is free, otherwise its holder's number. `CONTENDED` beside it says that whoever
//! releases must look into the queue; the flag changes under the queue's mutex only, so a word that carries it stays as it is
//! for as long as one holds that mutex.
//!
//! An unfair lock becomes free and wakes the first in the queue, which tries again; a newcomer may be quicker. While that one
//! is on its way nobody else is woken and the flag stays clear, so the newcomers lock and unlock without a system call.
//! What must hold at all times: when somebody stands in the queue, the flag is set or somebody is on its way.
//!
//! The newcomer could be quicker for ever: under Python's interpreter lock, one who lets go of that while it holds this lock
//! and takes this one again at once is always back before the other has got the interpreter. So who has been overtaken
//! for longer than half a millisecond is given the lock.
//!
//! A fair lock with a queue is never free: it is given to the first in the queue.

use crate::owner::Owner;
use crate::primitives::{Arc, AtomicU64, Ordering};
use crate::slow::Slow;
use crate::waiter::{WaitQueue, Waitable, Waiter, Woken};
use raddle_sys::clock::Moment;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Set in the word beside its holder: somebody waits.
const CONTENDED: u64 = 0b01;
const FREE: u64 = 0;

/// What is released is not held by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

impl fmt::Display for NotHeld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("release of a lock that nobody holds")
    }
}

impl Error for NotHeld {}

/// A lock with one holder, which anybody may release.
///
/// Without waiters, acquiring and releasing it is one atomic operation each. After a fork, a child finds it held by whoever
/// held it in the parent, and nobody waiting.
///
/// ```
/// use raddle_sync::{Lock, Owner};
///
/// let lock = Lock::new(false);
/// let me = Owner::current_thread();
/// assert!(lock.try_acquire(me));
/// assert!(!lock.try_acquire(me));
/// assert_eq!(lock.owner(), Some(me));
/// assert!(lock.release().is_ok());
/// assert!(lock.release().is_err());
/// ```
pub struct Lock {
    word: AtomicU64,
    fair: bool,
    waiting: Slow<Waiting>,
}

/// For how long those who are woken may find newcomers quicker. In a model, once is enough.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_micros(500) };

#[derive(Default)]
struct Waiting {
    queue: WaitQueue,
    /// Somebody has been woken, and has neither tried again nor left.
    on_its_way: bool,
    /// When one who was woken first found somebody else quicker, with none since who was quick enough.
    overtaken: Option<Moment>,
}

impl Waiting {
    /// Wakes the first, unless somebody is on its way already.
    fn rouse(&mut self) -> Option<Woken> {
        if self.on_its_way {
            return None;
        }
        let woken = self.queue.wake();
        self.on_its_way = woken.is_some();
        woken
    }

    fn starves(&self) -> bool {
        self.overtaken.is_some_and(|since| since + PATIENCE <= Moment::now())
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Lock {
    /// A free lock. A fair one is given to those who wait in the order in which they came, at the price of a switch of
    /// threads each time.
    #[must_use]
    pub fn new(fair: bool) -> Self {
        Self { word: AtomicU64::new(FREE), fair, waiting: Slow::new() }
    }

    /// Takes the lock for `owner` if it is free. Never blocks.
    #[inline]
    pub fn try_acquire(&self, owner: Owner) -> bool {
        self.word.compare_exchange(FREE, owner.get(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Frees the lock, or hands it to who is next. Never blocks; anybody may do it.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when it is free.
    #[inline]
    pub fn release(&self) -> Result<(), NotHeld> {
        if self.release_alone() { Ok(()) } else { self.release_contended(None) }
    }

    /// Frees the lock if somebody holds it and nobody is to be woken: never rings, so it runs nothing foreign.
    #[inline]
    pub fn release_alone(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word != FREE
            && word & CONTENDED == 0
            && self.word.compare_exchange(word, FREE, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Frees the lock if `holder` has it: for a thread that a forked child doesn't have.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when it is free, or somebody else's.
    pub fn release_for(&self, holder: Owner) -> Result<(), NotHeld> {
        self.release_contended(Some(holder))
    }

    #[cold]
    fn release_contended(&self, holder: Option<Owner>) -> Result<(), NotHeld> {
        if let Some(woken) = self.free(holder)? {
            woken.ring(self);
        }
        Ok(())
    }

    fn free(&self, holder: Option<Owner>) -> Result<Option<Woken>, NotHeld> {
        let mut waiting = self.waiting.lock();
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == FREE || holder.is_some_and(|holder| Owner::in_word(word) != Some(holder)) {
                return Err(NotHeld);
            }
            if word & CONTENDED != 0 {
                return Ok(if self.fair || waiting.starves() {
                    self.hand_over(&mut waiting)
                } else {
                    self.word.store(FREE, Ordering::Release);
                    waiting.rouse()
                });
            }
            if self.word.compare_exchange(word, FREE, Ordering::Release, Ordering::Relaxed).is_ok() {
                return Ok(None);
            }
        }
    }

    fn hand_over(&self, waiting: &mut Waiting) -> Option<Woken> {
        waiting.overtaken = None;
        let next = waiting.queue.first().map(|waiter| waiter.owner().get());
        let flag = if waiting.queue.len() > 1 { CONTENDED } else { 0 };
        self.word.store(next.map_or(FREE, |owner| owner | flag), Ordering::Release);
        waiting.queue.grant()
    }

    /// Whether somebody holds it.
    #[inline]
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.word.load(Ordering::Relaxed) != FREE
    }

    /// Who holds it.
    #[inline]
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        Owner::in_word(self.word.load(Ordering::Relaxed))
    }

    /// Whether it is given away in the order of arrival.
    #[must_use]
    pub const fn is_fair(&self) -> bool {
        self.fair
    }

    /// How many wait for it.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiting.peek().map_or(0, |waiting| waiting.queue.len())
    }

    /// Makes it free, whoever holds it: for a forked child that was left with locks of threads it doesn't have.
    pub fn reinit(&self) {
        // Held or not, it is free afterwards.
        let _ = self.release();
    }

    /// Takes the lock, or joins the queue.
    fn enter(&self, waiting: &mut Waiting, waiter: &Arc<Waiter>) -> bool {
        let woken = waiter.is_woken();
        if woken {
            waiting.on_its_way = false;
        }
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == FREE {
                let others = waiting.queue.iter().any(|other| !Arc::ptr_eq(other, waiter));
                let taken = waiter.owner().get() | if others { CONTENDED } else { 0 };
                if self.word.compare_exchange(word, taken, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    waiting.queue.quit(waiter);
                    if woken {
                        waiting.overtaken = None;
                    }
                    return true;
                }
            } else if self.flag(word) {
                waiting.queue.join(waiter);
                if woken {
                    waiting.overtaken.get_or_insert_with(Moment::now);
                }
                return false;
            }
        }
    }

    /// Sets the flag beside the holder; false when the word has changed meanwhile.
    fn flag(&self, word: u64) -> bool {
        word & CONTENDED != 0
            || self
                .word
                .compare_exchange(word, word | CONTENDED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Ends a wait: whether the lock had been given to it, and who is woken in its place.
    fn leave(&self, waiter: &Arc<Waiter>) -> (bool, Option<Woken>) {
        let mut waiting = self.waiting.lock();
        if waiter.is_woken() {
            waiting.on_its_way = false;
        }
        if waiting.queue.quit(waiter) {
            return (true, None);
        }
        if waiting.on_its_way || waiting.queue.is_empty() {
            return (false, None);
        }
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == FREE {
                return (false, waiting.rouse());
            }
            if self.flag(word) {
                return (false, None);
            }
        }
    }
}

impl Waitable for Lock {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let at_once = || self.try_acquire(waiter.owner());
        self.waiting.attempt(waiter, at_once, |waiting| self.enter(waiting, waiter))
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let (granted, woken) = self.leave(waiter);
        Woken::ring_all(woken, self);
        granted
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        let (granted, woken) = self.leave(waiter);
        let woken = if granted { self.free(None).ok().flatten() } else { woken };
        woken.into_iter().collect()
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.waiting.visit(self.owner(), waiter, visit);
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lock")
            .field("owner", &self.owner())
            .field("fair", &self.fair)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn waiters() -> [Arc<Waiter>; 3] {
        [1, 2, 3].map(|number| Waiter::thread(Owner::thread(number)))
    }

    #[test]
    fn alone_a_release_wakes_nobody() {
        let [first, second, _] = waiters();
        let lock = Lock::new(false);
        assert!(!lock.release_alone(), "nobody holds it");
        assert!(lock.try_acquire(first.owner()) && lock.release_alone() && !lock.is_locked());
        assert!(lock.attempt(&first) && !lock.attempt(&second));
        assert!(!lock.release_alone() && lock.owner() == Some(first.owner()));
    }

    #[test]
    fn a_lock_is_freed_for_its_holder_only() {
        let [first, second, _] = waiters();
        let lock = Lock::new(false);
        assert_eq!(lock.release_for(first.owner()), Err(NotHeld));
        assert!(lock.attempt(&first));
        assert_eq!(lock.release_for(second.owner()), Err(NotHeld));
        assert!(!lock.attempt(&second));
        assert_eq!(lock.release_for(first.owner()), Ok(()));
        assert!(second.is_woken() && lock.attempt(&second));
    }

    #[test]
    fn a_newcomer_may_be_quicker_than_one_who_was_woken() {
        let [first, second, newcomer] = waiters();
        let lock = Lock::new(false);
        assert!(lock.attempt(&first) && !lock.attempt(&second));
        lock.release().expect("held");
        assert!(second.is_woken() && lock.try_acquire(newcomer.owner()));
        assert!(!lock.attempt(&second) && second.is_queued());
        lock.release().expect("held");
        assert!(lock.attempt(&second));
        assert_eq!((lock.owner(), lock.waiters()), (Some(second.owner()), 0));
    }

    #[test]
    fn who_was_overtaken_for_long_is_given_the_lock() {
        let [first, second, newcomer] = waiters();
        let lock = Lock::new(false);
        assert!(lock.attempt(&first) && !lock.attempt(&second));
        lock.release().expect("held");
        assert!(lock.try_acquire(newcomer.owner()) && !lock.attempt(&second));
        assert_eq!(second.sleep(Some(Moment::now() + PATIENCE)), raddle_sys::futex::Wake::TimedOut);
        lock.release().expect("held");
        assert!(second.is_granted() && !lock.try_acquire(newcomer.owner()));
        assert!(lock.attempt(&second), "and has it");
        lock.release().expect("held");
        assert!(lock.try_acquire(newcomer.owner()), "then all are equal again");
    }

    #[test]
    fn only_one_is_woken_at_a_time() {
        let [first, second, third] = waiters();
        let lock = Lock::new(false);
        assert!(lock.attempt(&first) && !lock.attempt(&second) && !lock.attempt(&third));
        lock.release().expect("held");
        assert!(lock.try_acquire(first.owner()));
        lock.release().expect("held");
        assert!(second.is_woken() && third.is_queued());
        assert!(!lock.abandon(&second));
        assert!(third.is_woken(), "the wake-up was passed on");
    }

    #[test]
    fn one_who_leaves_while_a_newcomer_holds_it_has_the_next_one_woken() {
        let [first, second, third] = waiters();
        let lock = Lock::new(false);
        assert!(lock.attempt(&first) && !lock.attempt(&second) && !lock.attempt(&third));
        lock.release().expect("held");
        assert!(second.is_woken() && lock.try_acquire(first.owner()));
        assert!(!lock.abandon(&second) && third.is_queued());
        lock.release().expect("held");
        assert!(third.is_woken());
    }

    #[test]
    fn a_fair_lock_is_handed_over_in_order() {
        let [first, second, third] = waiters();
        let lock = Lock::new(true);
        assert!(lock.attempt(&first) && !lock.attempt(&second) && !lock.attempt(&third));
        lock.release().expect("held");
        assert!(second.is_granted() && !lock.try_acquire(first.owner()));
        assert!(lock.abandon(&second), "it was granted before it gave up");
        lock.release().expect("held");
        assert!(lock.attempt(&third));
        lock.release().expect("held");
        assert!(!lock.is_locked());
    }

    #[test]
    fn tasks_that_are_gone_pass_it_on_however_many_they_are() {
        const GONE: u64 = 100_000;
        for fair in [false, true] {
            let lock = Lock::new(fair);
            let [first, last, _] = waiters();
            assert!(lock.attempt(&first));
            let calls = Arc::new(AtomicUsize::new(0));
            for number in 1..=GONE {
                let calls = Arc::clone(&calls);
                let ring = move || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    false
                };
                assert!(!lock.attempt(&Waiter::task(Owner::task(number << 3), Box::new(ring))));
            }
            assert!(!lock.attempt(&last));
            lock.release().expect("held");
            assert_eq!(calls.load(Ordering::Relaxed) as u64, GONE);
            assert!(lock.attempt(&last));
        }
    }

    #[test]
    fn it_can_be_made_free_whoever_holds_it() {
        let [first, second, _] = waiters();
        let lock = Lock::new(false);
        lock.reinit();
        assert!(lock.attempt(&first) && !lock.attempt(&second));
        lock.reinit();
        assert!(lock.attempt(&second));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{Inside, check, owner, race, wait};

    struct Shared {
        lock: Lock,
        inside: Inside,
    }

    fn shared(fair: bool) -> Shared {
        Shared { lock: Lock::new(fair), inside: Inside::new() }
    }

    /// All get in, one at a time; those who may give up may not.
    fn all_get_in(fair: bool, gives_up: fn(u64) -> bool) {
        check(move || {
            race(shared(fair), 3, move |number, Shared { lock, inside }| {
                if wait(number, lock, gives_up(number)) {
                    assert_eq!(lock.owner(), Some(owner(number)));
                    inside.visit(1);
                    lock.release().expect("held");
                } else {
                    assert!(gives_up(number));
                }
            });
        });
    }

    #[test]
    fn one_at_a_time_gets_in_and_all_do() {
        all_get_in(false, |_| false);
    }

    #[test]
    fn one_at_a_time_gets_in_and_all_do_by_turns() {
        all_get_in(true, |_| false);
    }

    #[test]
    fn one_that_gives_up_takes_no_wake_up_along() {
        all_get_in(false, |number| number == 1);
    }

    #[test]
    fn one_that_gives_up_does_not_keep_what_it_was_given() {
        all_get_in(true, |number| number == 1);
    }

    /// Whoever tries without waiting may be quicker than one who was woken.
    #[test]
    fn a_newcomer_that_is_quicker_wakes_who_it_overtook() {
        check(|| {
            race(shared(false), 3, |number, Shared { lock, inside }| {
                let got =
                    if number == 1 { lock.try_acquire(owner(number)) } else { wait(number, lock, false) };
                if got {
                    inside.visit(1);
                    lock.release().expect("held");
                }
            });
        });
    }

    /// A task whose loop has ended is in the queue before a thread.
    #[test]
    fn a_task_that_is_gone_passes_it_on() {
        for fair in [false, true] {
            check(move || {
                let lock = Lock::new(fair);
                assert!(lock.try_acquire(owner(3)));
                assert!(!lock.attempt(&Waiter::task(Owner::task(8), Box::new(|| false))));
                race(lock, 2, |number, lock| match number {
                    1 => assert!(wait(number, lock, false)),
                    _ => lock.release().expect("held"),
                });
            });
        }
    }
}
