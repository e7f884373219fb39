//! A lock between processes that knows its holder, and notices when that is gone.
//!
//! One word says all: zero, or who holds it ([`identity`]), with a flag once somebody sleeps for it. It is taken and freed by one
//! atomic operation. A sleeper that was woken takes it with the flag, as it can't know whether others sleep too: that costs one
//! wake-up too many at the end of each contention, and saves a count that a killed sleeper would leave wrong.
//!
//! Which thread of the holder it is stands beside it, so that a thread can tell whether it is its own: the recursive lock is
//! this one with a depth. The thread is noted after the lock is taken and forgotten before it is freed, so whoever reads it
//! while the word names his own process reads either his own thread's or something else, never his own by mistake.

use super::identity::{self, FLAG};
use super::nap::{Nap, Naps};
use super::slab::{Cells, Place};
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::futex;
use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What stands in shared memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LockCells {
    word: AtomicU64,
    /// Of the holder's threads, which one.
    thread: AtomicU64,
    /// How many times a recursive lock's holder has taken it once more.
    depth: AtomicU32,
}

#[expect(unsafe_code, reason = "a marker")]
// SAFETY: a structure of atomics.
unsafe impl Cells for LockCells {}

/// A lock between processes.
#[derive(Debug)]
pub struct Lock(Place<LockCells>);

/// Nobody holds the lock, or not the one who has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

/// How a wait for a lock has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The lock is the caller's.
    Taken,
    /// The process that holds it is gone; this was its number.
    OwnerDied(u32),
    /// The deadline passed.
    TimedOut,
    /// A signal arrived.
    Interrupted,
}

impl Wait {
    /// Why the sleep has ended, for those who sleep again unless it has brought something.
    #[must_use]
    pub fn wake(self) -> Wake {
        match self {
            Self::Taken | Self::OwnerDied(_) => Wake::Woken,
            Self::TimedOut => Wake::TimedOut,
            Self::Interrupted => Wake::Interrupted,
        }
    }
}

/// What tells the calling thread from the others of this process.
#[inline]
fn this_thread() -> u64 {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr() as u64)
}

impl LockCells {
    /// Takes it if it is free.
    #[inline]
    pub(super) fn try_acquire(&self) -> bool {
        let free = self.word.compare_exchange(0, identity::mine(), Ordering::Acquire, Ordering::Relaxed);
        if free.is_ok() {
            self.thread.store(this_thread(), Ordering::Relaxed);
        }
        free.is_ok()
    }

    /// Takes it, or sleeps until it can. `watch`: whether to look if the holder is gone.
    pub(super) fn acquire(&self, deadline: Option<Moment>, watch: bool) -> Wait {
        if linger(|| self.word.load(Ordering::Relaxed) & !FLAG == 0) && self.try_acquire() {
            return Wait::Taken;
        }
        let mine = identity::mine();
        let mut naps = Naps::until(deadline);
        let mut flag = 0;
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let wanted = if word & !FLAG == 0 { mine | flag } else { word | FLAG };
            if word != wanted
                && self
                    .word
                    .compare_exchange_weak(word, wanted, Ordering::Acquire, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            if word & !FLAG == 0 {
                self.thread.store(this_thread(), Ordering::Relaxed);
                return Wait::Taken;
            }
            flag = FLAG;
            match naps.sleep(self.futex(), low(wanted)) {
                Nap::Long | Nap::Ends(Wake::TimedOut) if watch && self.is_orphaned(word) => {
                    return Wait::OwnerDied(identity::number(word));
                }
                Nap::Over | Nap::Long => {}
                Nap::Ends(Wake::Interrupted) => return Wait::Interrupted,
                Nap::Ends(_) => return Wait::TimedOut,
            }
        }
    }

    /// Whether the holder that `word` named holds it still, and is gone.
    fn is_orphaned(&self, word: u64) -> bool {
        identity::is_gone(word & !FLAG) && self.word.load(Ordering::Relaxed) & !FLAG == word & !FLAG
    }

    /// Makes the lock of a holder that is gone the caller's. False if it is not held by such a one, or another was faster.
    pub(super) fn take_over(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let orphaned = word & !FLAG != 0 && identity::is_gone(word & !FLAG);
        let taken = orphaned
            && self
                .word
                .compare_exchange(word, identity::mine() | FLAG, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if taken {
            self.depth.store(0, Ordering::Relaxed);
            self.thread.store(this_thread(), Ordering::Relaxed);
        }
        taken
    }

    /// Frees it, whoever holds it.
    #[inline]
    pub(super) fn release(&self) -> Result<(), NotHeld> {
        self.thread.store(0, Ordering::Relaxed);
        let word = self.word.swap(0, Ordering::Release);
        if word & FLAG != 0 {
            futex::wake_shared(self.futex(), 1);
        }
        if word & !FLAG == 0 { Err(NotHeld) } else { Ok(()) }
    }

    /// The half of the word that tells holders apart, for the system to look at.
    #[expect(unsafe_code, reason = "half of a word")]
    fn futex(&self) -> &AtomicU32 {
        let low = usize::from(cfg!(target_endian = "big"));
        // SAFETY: the word is two aligned halves that live as long as it does. Nobody here reads the half by itself: its
        // address is the system's to look at.
        unsafe { AtomicU32::from_ptr(self.word.as_ptr().cast::<u32>().add(low)) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "that half is meant")]
fn low(word: u64) -> u32 {
    word as u32
}

impl Lock {
    /// A lock that is free.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors or no address space left.
    pub fn new() -> io::Result<Self> {
        Place::new().map(Self)
    }

    /// The lock that another process has named.
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

    /// Takes it if it is free.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.0.cells().try_acquire()
    }

    /// Takes it, or sleeps until it can. `watch`: whether the wait ends when the holder's process is gone.
    #[must_use]
    pub fn acquire(&self, deadline: Option<Moment>, watch: bool) -> Wait {
        self.0.cells().acquire(deadline, watch)
    }

    /// Frees it, whoever holds it.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when nobody does.
    #[inline]
    pub fn release(&self) -> Result<(), NotHeld> {
        let cells = self.0.cells();
        if cells.word.load(Ordering::Relaxed) == 0 {
            return Err(NotHeld);
        }
        cells.depth.store(0, Ordering::Relaxed);
        cells.release()
    }

    /// Frees it if that wakes nobody.
    #[inline]
    #[must_use]
    pub fn release_alone(&self) -> bool {
        let cells = self.0.cells();
        let mine = identity::mine();
        if cells.word.load(Ordering::Relaxed) != mine {
            return false;
        }
        cells.thread.store(0, Ordering::Relaxed);
        let freed = cells.word.compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed).is_ok();
        if !freed {
            cells.thread.store(this_thread(), Ordering::Relaxed);
        }
        freed
    }

    /// Whether the calling thread holds it.
    #[inline]
    #[must_use]
    pub fn is_mine(&self) -> bool {
        let cells = self.0.cells();
        cells.word.load(Ordering::Relaxed) & !FLAG == identity::mine()
            && cells.thread.load(Ordering::Relaxed) == this_thread()
    }

    /// Whether anybody does.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holder().is_some()
    }

    /// The number of the process that holds it.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        let word = self.0.cells().word.load(Ordering::Relaxed) & !FLAG;
        (word != 0).then(|| identity::number(word))
    }

    /// How many times a thread of this process has taken it and not yet freed it.
    #[must_use]
    pub fn count(&self) -> u32 {
        let cells = self.0.cells();
        if cells.word.load(Ordering::Relaxed) & !FLAG == identity::mine() {
            cells.depth.load(Ordering::Relaxed).saturating_add(1)
        } else {
            0
        }
    }

    /// Takes it once more, for the thread that holds it; false if the caller is another.
    #[inline]
    #[must_use]
    pub fn enter_again(&self) -> bool {
        let mine = self.is_mine();
        if mine {
            let depth = &self.0.cells().depth;
            depth.store(depth.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        mine
    }

    /// Undoes the last [`enter_again`](Lock::enter_again); false if there is none left.
    #[inline]
    #[must_use]
    pub fn leave_again(&self) -> bool {
        let depth = &self.0.cells().depth;
        let left = depth.load(Ordering::Relaxed);
        if left > 0 {
            depth.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// Whether the process that holds it is gone. Costs some microseconds.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        let cells = self.0.cells();
        let word = cells.word.load(Ordering::Relaxed);
        word & !FLAG != 0 && cells.is_orphaned(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raddle_sys::fork::check_in_child;
    use std::time::Duration;

    #[test]
    fn one_holds_it_at_a_time_across_processes() {
        let lock = Lock::new().expect("memory is left");
        assert!(lock.try_acquire());
        assert!(lock.is_mine());
        assert!(check_in_child(60, || !lock.try_acquire() && !lock.is_mine() && lock.is_held()));
        assert!(check_in_child(60, || lock.release() == Ok(()) && lock.release() == Err(NotHeld)));
        assert!(lock.try_acquire());
        let soon = Moment::now() + Duration::from_millis(5);
        assert_eq!(lock.acquire(Some(soon), false), Wait::TimedOut);
    }

    #[test]
    fn a_holder_that_is_gone_is_noticed() {
        let lock = Lock::new().expect("memory is left");
        assert!(check_in_child(60, || lock.try_acquire()));
        assert!(matches!(lock.acquire(None, true), Wait::OwnerDied(id) if id != 0));
        assert!(lock.0.cells().take_over());
        assert!(lock.is_mine() && lock.count() == 1);
    }

    #[test]
    fn it_excludes_threads_and_processes() {
        struct Shared(Place<LockCells>);
        let lock = Lock::new().expect("memory is left");
        let counter = Shared(Place::new().expect("memory is left"));
        let count = &counter.0.cells().depth;
        let work = || {
            for _ in 0..20_000 {
                assert_eq!(lock.acquire(None, true), Wait::Taken);
                count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                assert_eq!(lock.release(), Ok(()));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            assert!(check_in_child(60, || {
                work();
                true
            }));
            work();
        });
        assert_eq!(count.load(Ordering::Relaxed), 60_000);
    }
}
