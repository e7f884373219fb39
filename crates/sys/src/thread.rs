//! Which thread this is, and which ones take signals.

use crate::fork;
use std::cell::Cell;

/// Whether the calling thread is the process's main thread. In a forked child that is the thread that forked.
///
/// ```
/// assert!(!std::thread::spawn(raddle_sys::thread::is_main).join().expect("it does not panic"));
/// ```
#[must_use]
pub fn is_main() -> bool {
    // The answer, and the fork epoch from which it is: asking the system costs two calls.
    thread_local!(static ANSWER: Cell<Option<(u32, bool)>> = const { Cell::new(None) });
    let epoch = fork::epoch();
    match ANSWER.get() {
        Some((since, answer)) if since == epoch => answer,
        _ => {
            // Without it the epoch would be the same in a child, and so would the answer.
            fork::watch();
            // SAFETY: both calls take nothing and can't fail.
            let answer = unsafe { libc::gettid() == libc::getpid() };
            ANSWER.set(Some((epoch, answer)));
            answer
        }
    }
}

/// Calls `spawn`, which starts threads that take no signals.
///
/// A signal to the process goes to any thread that does not block it, and interrupts the system call of that one alone. Python
/// handles signals in the main thread: one that a thread of ours has taken would not wake it from whatever it waits in.
///
/// ```
/// let thread = raddle_sys::thread::without_signals(|| std::thread::spawn(|| 1));
/// assert_eq!(thread.join().expect("it does not panic"), 1);
/// ```
pub fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    /// Puts the mask back, also when `spawn` panics.
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set is the one that the system has handed out.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: all zeros is a valid set, which the first call fills; the second one reads it and writes `before`.
    let before = unsafe {
        let (mut all, mut before) = std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    };
    let _restore = Restore(before);
    spawn()
}

/// What the system calls the calling thread, `pthread_self()`: the identity that Python uses. Given to another thread once
/// this one has ended.
///
/// ```
/// assert_eq!(raddle_sys::thread::ident(), raddle_sys::thread::ident());
/// ```
#[must_use]
pub fn ident() -> u64 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::pthread_self() }
}
