//! A 32-bit word that threads can sleep on: the one building block of every wait in Raddle.
//!
//! Under loom, which knows no futexes, a mutex and a condition variable stand in for the kernel's queue.

use crate::primitives::{AtomicU32, Ordering};
use raddle_sys::clock::Moment;
use raddle_sys::futex::Wake;

/// An atomic word with a queue of sleepers.
///
/// ```
/// use raddle_sync::{Moment, WaitWord, Wake};
///
/// let word = WaitWord::new(0);
/// assert_eq!(word.wait(0, Some(Moment::now())), Wake::TimedOut);
/// word.store(1);
/// word.wake_all();
/// assert_eq!(word.wait(0, None), Wake::Woken); // it is 1 already
/// ```
#[derive(Debug)]
pub struct WaitWord {
    word: AtomicU32,
    #[cfg(loom)]
    queue: (loom::sync::Mutex<()>, loom::sync::Condvar),
}

impl WaitWord {
    /// A word with nobody asleep on it.
    #[must_use]
    pub fn new(value: u32) -> Self {
        Self {
            word: AtomicU32::new(value),
            #[cfg(loom)]
            queue: (loom::sync::Mutex::new(()), loom::sync::Condvar::new()),
        }
    }

    /// The value; sees what was written before it was stored.
    #[inline]
    pub fn load(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    /// Sets the value and publishes what was written before. Wakes nobody.
    #[inline]
    pub fn store(&self, value: u32) {
        self.word.store(value, Ordering::Release);
    }

    /// Sets the value and returns the one it replaces.
    #[inline]
    pub fn swap(&self, value: u32) -> u32 {
        self.word.swap(value, Ordering::AcqRel)
    }

    /// Replaces `expected` by `value`.
    ///
    /// # Errors
    ///
    /// The value found instead of `expected`, which stays.
    #[inline]
    pub fn replace(&self, expected: u32, value: u32) -> Result<(), u32> {
        self.word.compare_exchange(expected, value, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    /// Adds, wrapping around, and returns the value before.
    #[inline]
    pub fn fetch_add(&self, value: u32) -> u32 {
        self.word.fetch_add(value, Ordering::AcqRel)
    }

    /// Sleeps while the word is `expected`, until a wake-up, `deadline` or a signal. May return early for no reason.
    #[cfg(not(loom))]
    pub fn wait(&self, expected: u32, deadline: Option<Moment>) -> Wake {
        raddle_sys::futex::wait(&self.word, expected, deadline)
    }

    /// Wakes one sleeper.
    #[cfg(not(loom))]
    pub fn wake_one(&self) {
        raddle_sys::futex::wake(&self.word, 1);
    }

    /// Wakes every sleeper.
    #[cfg(not(loom))]
    pub fn wake_all(&self) {
        raddle_sys::futex::wake(&self.word, u32::MAX);
    }
}

#[cfg(loom)]
#[expect(missing_docs, reason = "documented on the real ones above")]
impl WaitWord {
    pub fn wait(&self, expected: u32, deadline: Option<Moment>) -> Wake {
        if deadline.is_some() {
            return Wake::TimedOut;
        }
        let guard = self.queue.0.lock().expect("loom does not poison");
        if self.load() == expected {
            drop(self.queue.1.wait(guard).expect("loom does not poison"));
        }
        Wake::Woken
    }

    pub fn wake_one(&self) {
        let _guard = self.queue.0.lock().expect("loom does not poison");
        self.queue.1.notify_one();
    }

    pub fn wake_all(&self) {
        let _guard = self.queue.0.lock().expect("loom does not poison");
        self.queue.1.notify_all();
    }
}
