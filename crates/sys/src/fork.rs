//! A forked child must know that it is one: threads, and whoever held a lock, stayed behind in the parent.
//!
//! [`epoch`] counts the forks between this process and the one that loaded the library. What was made under another
//! epoch belongs to an ancestor.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(1);
/// Zero before the first fork: no thread is called that.
static SURVIVOR: AtomicU64 = AtomicU64::new(0);
static WATCH: Once = Once::new();

/// Descriptors that are closed in a child.
static WITHHELD: [AtomicI32; 64] = [const { AtomicI32::new(NONE) }; 64];
const NONE: i32 = -1;
/// Somebody has this place, and nothing is in it yet.
const TAKEN: i32 = -2;

extern "C" fn in_child() {
    // The only things that are done here: everything else in a freshly forked child of a threaded program is a risk.
    // SAFETY: takes nothing and can't fail; it reads the thread's own register.
    SURVIVOR.store(unsafe { libc::pthread_self() }, Ordering::Relaxed);
    EPOCH.fetch_add(1, Ordering::Relaxed);
    for place in &WITHHELD {
        let fd = place.swap(NONE, Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: async-signal-safe. The descriptor is that of a `Withheld`, which does not touch it in a child any more.
            unsafe { libc::close(fd) };
        }
    }
}

/// A descriptor that forked children don't have: they close it before anything else runs there. For one whose other end is to notice
/// when this process, and nobody else, is gone.
///
/// In the child the value is there still, with a descriptor that is not: it must not be used, and dropping it does nothing.
/// A child that is forked in the instant between the making of the descriptor and this has it, as does one where too many are withheld
/// (64).
///
/// ```
/// use raddle_sys::fork::Withheld;
/// use std::io::{Read, pipe};
///
/// let (mut reader, writer) = pipe()?;
/// let writer = Withheld::new(writer);
/// drop(writer);
/// // Whatever children there are, this was the last one.
/// assert_eq!(reader.read(&mut [0])?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Withheld<T: AsFd> {
    owned: ManuallyDrop<T>,
    place: Option<&'static AtomicI32>,
    epoch: u32,
}

impl<T: AsFd> Withheld<T> {
    /// Withholds a descriptor from the children that this process forks from now on.
    pub fn new(owned: T) -> Self {
        watch();
        let free = |place: &&AtomicI32| {
            place.compare_exchange(NONE, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let place = WITHHELD.iter().find(free);
        if let Some(place) = place {
            place.store(owned.as_fd().as_raw_fd(), Ordering::Relaxed);
        }
        Self { owned: ManuallyDrop::new(owned), place, epoch: epoch() }
    }
}

impl<T: AsFd> std::ops::Deref for Withheld<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.owned
    }
}

impl<T: AsFd> Drop for Withheld<T> {
    fn drop(&mut self) {
        if self.epoch != epoch() {
            return;
        }
        // Before it is closed, or a child would close what has its number then.
        if let Some(place) = self.place {
            place.store(NONE, Ordering::Relaxed);
        }
        // SAFETY: dropped here alone, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.owned) };
    }
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
    fn a_child_does_not_have_what_is_withheld() {
        let (reader, writer) = std::io::pipe().expect("there are descriptors");
        let fd = writer.as_raw_fd();
        let is_open = move || std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
        assert!(check_in_child(60, is_open));
        let writer = Withheld::new(writer);
        assert!(is_open());
        assert!(check_in_child(60, move || {
            let gone = !is_open();
            // What has the number now is not the one that is dropped. Other tests may have left smaller ones free.
            let others: Vec<_> =
                std::iter::repeat_with(|| reader.try_clone().expect("one has just become free"))
                    .take(1000)
                    .collect();
            drop(writer);
            gone && others.iter().any(|other| other.as_raw_fd() == fd) && is_open()
        }));
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
