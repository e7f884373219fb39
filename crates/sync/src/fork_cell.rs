//! A value that a forked child replaces by a fresh one.
//!
//! In a child, whatever an ancestor's threads were doing to the old value will never be finished: its locks may be held
//! for ever. So the child never touches it again: the first look in a new epoch publishes a fresh value, and the old one
//! is leaked on purpose (dropping it could wait for those locks, and it costs the child a few hundred bytes once).
#![allow(unsafe_code, reason = "a hand-made atomic pointer; each block carries its argument")]

use raddle_sys::fork;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Entry<T> {
    epoch: u32,
    value: T,
}

/// Holds one `T` per process: see the module's description.
///
/// Look-ups are wait-free. Safe across threads and forks; the first value made starts the counting of forks.
///
/// ```
/// use raddle_sync::ForkCell;
///
/// let cell = ForkCell::new(String::from("parent"));
/// assert_eq!(cell.get(|| String::from("child")), "parent");
/// ```
pub struct ForkCell<T> {
    current: AtomicPtr<Entry<T>>,
}

// SAFETY: the cell owns its entries and hands out shared references only, as a Box<T> behind a lock-free pointer would.
unsafe impl<T: Send + Sync> Send for ForkCell<T> {}
// SAFETY: as above; `get` may run on several threads at once, so T must be Sync.
unsafe impl<T: Send + Sync> Sync for ForkCell<T> {}

impl<T> ForkCell<T> {
    /// A cell that holds `value` for the current process.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { current: AtomicPtr::new(Self::entry(value)) }
    }

    /// A cell whose first value is made when it is first asked for, in the parent as in a child. Costs no memory until then.
    ///
    /// ```
    /// let cell = raddle_sync::ForkCell::empty();
    /// assert_eq!(cell.peek(), None);
    /// assert_eq!(cell.get(|| 1), &1);
    /// ```
    #[must_use]
    pub const fn empty() -> Self {
        Self { current: AtomicPtr::new(ptr::null_mut()) }
    }

    fn entry(value: T) -> *mut Entry<T> {
        fork::watch();
        Box::into_raw(Box::new(Entry { epoch: fork::epoch(), value }))
    }

    /// This process's value, made by `fresh` when there is none, or the one at hand is an ancestor's.
    #[inline]
    pub fn get(&self, fresh: impl FnOnce() -> T) -> &T
    where
        T: 'static,
    {
        self.get_or_inherit(|_| fresh())
    }

    /// This process's value, made by `fresh` when there is none yet, from the ancestor's if there is one.
    ///
    /// Any lock in the ancestor's value may be held for ever. Several threads may each make a fresh value at the same
    /// time, and all but one of these are dropped: `fresh` must leave the ancestor's as it is.
    #[inline]
    pub fn get_or_inherit(&self, fresh: impl FnOnce(Option<&'static T>) -> T) -> &T
    where
        T: 'static,
    {
        let found = self.current.load(Ordering::Acquire);
        // SAFETY: `found` is null, or this process's entry, which lives as long as `self` (and as such the reference is not
        // used beyond), or an ancestor's, which is never freed: `replace` leaks it, and so does `drop`.
        match unsafe { found.as_ref::<'static>() } {
            Some(entry) if entry.epoch == fork::epoch() => &entry.value,
            ancestor => self.replace(found, fresh(ancestor.map(|entry| &entry.value))),
        }
    }

    /// This process's value, if it has one already.
    pub fn peek(&self) -> Option<&T> {
        // SAFETY: null, or an entry that lives as long as `self`: see `get_or_inherit`.
        let entry = unsafe { self.current.load(Ordering::Acquire).as_ref() }?;
        (entry.epoch == fork::epoch()).then_some(&entry.value)
    }

    #[cold]
    fn replace(&self, stale: *mut Entry<T>, fresh: T) -> &T {
        let mine = Self::entry(fresh);
        let winner = match self.current.compare_exchange(stale, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => mine,
            Err(other) => {
                // SAFETY: `mine` was made above and never published.
                drop(unsafe { Box::from_raw(mine) });
                other
            }
        };
        // SAFETY: published entries live as long as `self`.
        unsafe { &(*winner).value }
    }
}

impl<T> Drop for ForkCell<T> {
    fn drop(&mut self) {
        let entry = *self.current.get_mut();
        // SAFETY: `&mut self` means that nobody looks at it; an ancestor's value is leaked, see the module.
        unsafe {
            if !entry.is_null() && (*entry).epoch == fork::epoch() {
                drop(Box::from_raw(entry));
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for ForkCell<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ForkCell").field(&self.peek()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_stays_while_nobody_forks() {
        let cell = ForkCell::new(1);
        assert_eq!(*cell.get(|| 2), 1);
        assert_eq!(cell.peek(), Some(&1));
    }
}
