//! Sleeping on a word of memory until somebody changes it: Linux's `futex(2)`, private to the process.
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
    let timeout = deadline.map(Moment::to_timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `word` is a live, aligned 32-bit word and `timeout` is null or points to a live timespec, both for the
    // whole call. FUTEX_WAIT_BITSET takes its timeout as an absolute monotonic time.
    let status = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
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
    // SAFETY: FUTEX_WAKE does not read or write the word.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count.min(i32::MAX.cast_unsigned()),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
