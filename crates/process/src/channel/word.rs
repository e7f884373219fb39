//! A 32-bit word that processes can sleep on, each at its own address of it.

use raddle_sync::{Moment, Wake};

#[cfg(loom)]
use raddle_sync::WaitWord as Base;
#[cfg(not(loom))]
use raddle_sync::primitives::{AtomicU32 as Base, Ordering};

/// An atomic word in shared memory, with a queue of sleepers in the kernel. Under loom a
/// [`WaitWord`](raddle_sync::WaitWord) stands in for it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct SharedWord(Base);

#[cfg(not(loom))]
impl SharedWord {
    #[inline]
    pub(super) fn load(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn store(&self, value: u32) {
        self.0.store(value, Ordering::Release);
    }

    /// Adds one, wrapping around, and returns the sum.
    #[inline]
    pub(super) fn advance(&self) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Sleeps while the word is `expected`, until a wake-up, `deadline` or a signal. May return early for no reason.
    pub(super) fn wait(&self, expected: u32, deadline: Option<Moment>) -> Wake {
        raddle_sys::futex::wait_shared(&self.0, expected, deadline)
    }

    /// Wakes every sleeper.
    pub(super) fn wake(&self) {
        raddle_sys::futex::wake_shared(&self.0, u32::MAX);
    }
}

#[cfg(loom)]
impl Default for SharedWord {
    fn default() -> Self {
        Self(Base::new(0))
    }
}

#[cfg(loom)]
impl SharedWord {
    pub(super) fn load(&self) -> u32 {
        self.0.load()
    }

    pub(super) fn store(&self, value: u32) {
        self.0.store(value);
    }

    pub(super) fn advance(&self) -> u32 {
        self.0.fetch_add(1).wrapping_add(1)
    }

    pub(super) fn wait(&self, expected: u32, deadline: Option<Moment>) -> Wake {
        self.0.wait(expected, deadline)
    }

    pub(super) fn wake(&self) {
        self.0.wake_all();
    }
}
