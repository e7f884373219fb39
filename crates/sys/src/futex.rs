//! Sleeping on a word of memory until somebody changes it: Linux's `futex(2)`.
//!
//! [`wait`] and [`wake`] find each other by address, within one process. [`wait_shared`] and [`wake_shared`] find each other by
//! the page of memory, wherever each process has mapped it; they cost a little more. The two kinds never meet.
//!
//! Unlike the standard library's parking, a wait here returns when a signal arrives, so that a caller which serves an
//! interpreter can let it handle the signal.

use crate::clock::Moment;
use std::sync::atomic::AtomicU32;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Woken, or the word had already changed, or for no reason at all: look at the word.
    Woken,
    /// The deadline passed.
    TimedOut,
    /// A signal was handled by this thread.
    Interrupted,
}

/// Sleeps while `word` holds `expected`, until [`wake`], `deadline` or a signal.
///
/// ```
/// use raddle_sys::{clock::Moment, futex};
/// use std::sync::atomic::AtomicU32;
///
/// let word = AtomicU32::new(7);
/// assert_eq!(futex::wait(&word, 8, None), futex::Wake::Woken); // it holds 7 already
/// assert_eq!(futex::wait(&word, 7, Some(Moment::now())), futex::Wake::TimedOut);
/// ```
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Moment>) -> Wake {
    wait_for(word, expected, deadline, libc::FUTEX_PRIVATE_FLAG)
}

/// As [`wait`], on a word in memory that other processes have mapped too, until [`wake_shared`] in any of them.
///
/// The mapping must be a shared one: in a private one, a word that this process has written to is nobody else's.
///
/// ```
/// use raddle_sys::{clock::Moment, futex, memory::{Access, Memory}};
/// use std::sync::atomic::AtomicU32;
///
/// let mapping = Memory::new("example", 4)?.map(Access::Shared)?;
/// // SAFETY: four bytes at the start of a page, which live as long as `mapping`, and which are only used as this word.
/// let word = unsafe { AtomicU32::from_ptr(mapping.as_ptr().cast()) };
/// assert_eq!(futex::wait_shared(word, 1, None), futex::Wake::Woken); // it holds 0
/// assert_eq!(futex::wait_shared(word, 0, Some(Moment::now())), futex::Wake::TimedOut);
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn wait_shared(word: &AtomicU32, expected: u32, deadline: Option<Moment>) -> Wake {
    wait_for(word, expected, deadline, 0)
}

fn wait_for(word: &AtomicU32, expected: u32, deadline: Option<Moment>, scope: libc::c_int) -> Wake {
    let timeout = deadline.map(Moment::to_timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `word` is a live, aligned 32-bit word and `timeout` is null or points to a live timespec, both for the
    // whole call. FUTEX_WAIT_BITSET takes its timeout as an absolute monotonic time.
    let status = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | scope,
            expected,
            timeout,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if status == 0 {
        return Wake::Woken;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => Wake::TimedOut,
        Some(libc::EINTR) => Wake::Interrupted,
        _ => Wake::Woken,
    }
}

/// Wakes up to `count` threads that sleep on `word`.
///
/// The word may be gone by the time of the call (the kernel takes the address as a key only): at worst a stranger that
/// sleeps on a new word at the same address wakes for no reason.
pub fn wake(word: &AtomicU32, count: u32) {
    wake_in(word, count, libc::FUTEX_PRIVATE_FLAG);
}

/// Wakes up to `count` threads, of any process, that sleep on `word` in [`wait_shared`].
///
/// The word must be mapped at the time of the call; where it is not, nobody is woken.
pub fn wake_shared(word: &AtomicU32, count: u32) {
    wake_in(word, count, 0);
}

fn wake_in(word: &AtomicU32, count: u32, scope: libc::c_int) {
    // SAFETY: FUTEX_WAKE does not read or write the word.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | scope,
            count.min(i32::MAX.cast_unsigned()),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::check_in_child;
    use crate::memory::{Access, Memory};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_change_wakes_the_sleeper() {
        let word = Arc::new(AtomicU32::new(0));
        let sleeper = std::thread::spawn({
            let word = Arc::clone(&word);
            move || {
                while word.load(Ordering::Acquire) == 0 {
                    wait(&word, 0, None);
                }
            }
        });
        word.store(1, Ordering::Release);
        wake(&word, u32::MAX);
        sleeper.join().expect("the sleeper woke");
    }

    #[test]
    fn a_change_wakes_a_sleeper_in_another_process() {
        let memory = Memory::new("test", 8).expect("a descriptor is free");
        let mapping = memory.map(Access::Shared).expect("mapped");
        // SAFETY: two aligned words in a page that stays mapped, used as nothing else.
        let [call, answer] = [0, 4].map(|at| unsafe { AtomicU32::from_ptr(mapping.as_ptr().add(at).cast()) });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 1..100 {
                    call.store(turn, Ordering::Release);
                    wake_shared(call, 1);
                    while answer.load(Ordering::Acquire) < turn {
                        wait_shared(answer, turn - 1, None);
                    }
                }
            });
            assert!(check_in_child(60, || {
                for turn in 1..100 {
                    while call.load(Ordering::Acquire) < turn {
                        wait_shared(call, turn - 1, None);
                    }
                    answer.store(turn, Ordering::Release);
                    wake_shared(answer, 1);
                }
                true
            }));
        });
    }
}
