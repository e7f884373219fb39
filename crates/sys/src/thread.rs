//! Which thread this is.

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
