//! A forked child must know that it is one: threads, and whoever held a lock, stayed behind in the parent.
//!
//! [`epoch`] counts the forks between this process and the one that loaded the library. What was made under another
//! epoch belongs to an ancestor.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(1);
static WATCH: Once = Once::new();

extern "C" fn in_child() {
    // The only thing that is done here: everything else in a freshly forked child of a threaded program is a risk.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_the_next_epoch() {
        watch();
        let before = epoch();
        // SAFETY: the child calls only async-signal-safe functions before it ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child at once, without running anything of the test harness.
            unsafe { libc::_exit(i32::from(epoch() != before + 1)) };
        }
        let mut status = 0;
        // SAFETY: `child` is our own child and `status` is writable.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        assert_eq!(epoch(), before);
    }
}
