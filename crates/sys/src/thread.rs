//! Which thread this is.

/// Whether the calling thread is the process's main thread. In a forked child that is the thread that forked.
///
/// ```
/// assert!(!std::thread::spawn(raddle_sys::thread::is_main).join().expect("it does not panic"));
/// ```
#[must_use]
pub fn is_main() -> bool {
    // SAFETY: both calls take nothing and can't fail.
    unsafe { libc::gettid() == libc::getpid() }
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
