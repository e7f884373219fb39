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
