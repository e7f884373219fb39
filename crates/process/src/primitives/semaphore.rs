//! A semaphore between processes. It has no holder: a process that is killed takes its permits along.
//!
//! A flag says that somebody sleeps. Whoever releases takes it down and wakes one; who wakes puts it up again before he looks, and
//! passes a wake-up on if permits are left, so that no permit lies there while somebody sleeps.

use super::nap::{Nap, Naps};
use super::slab::{Cells, Place};
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::futex;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// The most permits that a semaphore can have.
pub const MOST: u32 = i32::MAX.cast_unsigned();

/// What stands in shared memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct SemaphoreCells {
    value: AtomicU32,
    asleep: AtomicU32,
    limit: AtomicU32,
}

#[expect(unsafe_code, reason = "a marker")]
// SAFETY: a structure of atomics.
unsafe impl Cells for SemaphoreCells {}

/// A semaphore between processes.
#[derive(Debug)]
pub struct Semaphore(Place<SemaphoreCells>);

/// It has all of its permits already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease;

impl Semaphore {
    /// A semaphore with `value` permits that never has more than `limit`.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors or no address space left.
    pub fn new(value: u32, limit: u32) -> io::Result<Self> {
        let semaphore = Self(Place::new()?);
        semaphore.reset(value, limit);
        Ok(semaphore)
    }

    /// Makes it one with `value` permits that never has more than `limit`. Who waits for one of the old permits goes on waiting.
    pub fn reset(&self, value: u32, limit: u32) {
        let cells = self.0.cells();
        cells.value.store(value.min(MOST), Ordering::Relaxed);
        cells.limit.store(limit.min(MOST), Ordering::Relaxed);
    }

    /// The semaphore that another process has named.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is none; else the system's.
    pub fn attach(fd: OwnedFd, offset: usize) -> io::Result<Self> {
        Place::attach(fd, offset).map(Self)
    }

    /// By what another process finds it.
    #[must_use]
    pub fn name(&self) -> (BorrowedFd<'_>, usize) {
        self.0.name()
    }

    /// The permits that are left.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.0.cells().value.load(Ordering::Relaxed)
    }

    /// The most that it ever has.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.0.cells().limit.load(Ordering::Relaxed)
    }

    /// Takes a permit if one is left.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        let value = &self.0.cells().value;
        let mut left = value.load(Ordering::Relaxed);
        while left > 0 {
            match value.compare_exchange_weak(left, left - 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => left = now,
            }
        }
        false
    }

    /// Takes a permit, or sleeps until it can.
    #[must_use]
    pub fn acquire(&self, deadline: Option<Moment>) -> Wake {
        let cells = self.0.cells();
        if linger(|| cells.value.load(Ordering::Relaxed) > 0) && self.try_acquire() {
            return Wake::Woken;
        }
        let mut naps = Naps::until(deadline);
        loop {
            cells.asleep.store(1, Ordering::SeqCst);
            if self.try_acquire() {
                if cells.value.load(Ordering::SeqCst) > 0 {
                    futex::wake_shared(&cells.value, 1);
                }
                return Wake::Woken;
            }
            if let Nap::Ends(wake) = naps.sleep(&cells.value, 0) {
                // What it may have been woken for is the next one's.
                if cells.value.load(Ordering::SeqCst) > 0 {
                    futex::wake_shared(&cells.value, 1);
                }
                return wake;
            }
        }
    }

    /// Gives a permit back.
    ///
    /// # Errors
    ///
    /// [`OverRelease`] when that would be one too many.
    #[inline]
    pub fn release(&self) -> Result<(), OverRelease> {
        let cells = self.0.cells();
        let limit = cells.limit.load(Ordering::Relaxed);
        let mut value = cells.value.load(Ordering::Relaxed);
        loop {
            if value >= limit {
                return Err(OverRelease);
            }
            match cells.value.compare_exchange_weak(value, value + 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => value = now,
            }
        }
        if cells.asleep.load(Ordering::SeqCst) != 0 {
            cells.asleep.store(0, Ordering::SeqCst);
            futex::wake_shared(&cells.value, 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raddle_sys::fork::check_in_child;

    #[test]
    fn permits_are_counted_across_processes() {
        let semaphore = Semaphore::new(1, 2).expect("memory is left");
        assert!(check_in_child(60, || semaphore.try_acquire() && !semaphore.try_acquire()));
        assert_eq!(semaphore.value(), 0);
        assert_eq!(semaphore.release(), Ok(()));
        assert_eq!(semaphore.release(), Ok(()));
        assert_eq!(semaphore.release(), Err(OverRelease));
        assert_eq!(semaphore.acquire(Some(Moment::now())), Wake::Woken);
    }

    #[test]
    fn every_permit_finds_a_sleeper() {
        let semaphore = Semaphore::new(0, MOST).expect("memory is left");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5_000).for_each(|_| assert_eq!(semaphore.acquire(None), Wake::Woken)));
            }
            assert!(check_in_child(60, || (0..20_000).all(|_| semaphore.release().is_ok())));
        });
        assert_eq!(semaphore.value(), 0);
    }
}
