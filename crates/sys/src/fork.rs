//! A forked child must know that it is one: threads, and whoever held a lock, stayed behind in the parent.
//!
//! [`epoch`] counts the forks between this process and the one that loaded the library. What was made under another
//! epoch belongs to an ancestor.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(1);
/// Zero before the first fork: no thread is called that.
static SURVIVOR: AtomicU64 = AtomicU64::new(0);
static WATCH: Once = Once::new();

extern "C" fn in_child() {
    // The only things that are done here: everything else in a freshly forked child of a threaded program is a risk.
    // SAFETY: takes nothing and can't fail; it reads the thread's own register.
    SURVIVOR.store(unsafe { libc::pthread_self() }, Ordering::Relaxed);
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Starts counting forks. Called once by whoever loads the library; further calls do nothing.
///
/// # Panics
///
/// When the system has no memory for the handler.
pub fn watch() {
    WATCH.call_once(|| {
        // SAFETY: the handler only touches one atomic, so it is async-signal-safe; it is a static function, so it
        // outlives every fork.
        let status = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        assert_eq!(status, 0, "pthread_atfork fails only for want of memory");
    });
}

/// The current epoch: at least 1, one more in each generation of forked children.
///
/// ```
/// raddle_sys::fork::watch();
/// assert_eq!(raddle_sys::fork::epoch(), raddle_sys::fork::epoch());
/// ```
#[inline]
#[must_use]
pub fn epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// In a forked child, the thread that forked, by its [`ident`](crate::thread::ident): the only one of the parent's that the child
/// has. None in a process that was not forked.
#[must_use]
pub fn survivor() -> Option<u64> {
    Some(SURVIVOR.load(Ordering::Relaxed)).filter(|ident| *ident != 0)
}

/// Runs `check` in a forked child, and returns whether it returned true there: for tests of what a child finds.
///
/// The child has this thread alone; what other threads hold stays held there. It ends without running any destructor, and
/// after `seconds` in any case, so a check that hangs is one that fails. A panic counts as false.
///
/// # Panics
///
/// When the system can't make another process.
///
/// ```
/// assert!(raddle_sys::fork::check_in_child(60, || 1 + 1 == 2));
/// assert!(!raddle_sys::fork::check_in_child(60, || panic!("in the child")));
/// ```
pub fn check_in_child(seconds: u32, check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child goes on with a copy of everything, and with this thread alone. What it may run into are locks of
    // threads that are gone: then it waits until the alarm ends it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: takes a number; the signal ends the process, as nothing in it handles it.
        unsafe { libc::alarm(seconds) };
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    loop {
        // SAFETY: `child` is our own child and `status` is writable.
        if unsafe { libc::waitpid(child, &raw mut status, 0) } == child {
            return libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
        }
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "our own child is there to wait for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_the_next_epoch() {
        watch();
        let before = epoch();
        assert!(check_in_child(60, || epoch() == before + 1));
        assert_eq!(epoch(), before);
    }

    #[test]
    fn a_child_that_hangs_fails() {
        assert!(!check_in_child(1, || {
            loop {
                std::thread::park();
            }
        }));
    }
}
