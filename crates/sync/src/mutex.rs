//! A mutex without poisoning, that knows in debug builds whether this thread holds one.
//!
//! Raddle's critical sections are short, call nothing foreign and can't panic half way, so poisoning would only add a
//! branch. The rule that no lock is held while the interpreter is entered or left is asserted by [`assert_unlocked`].

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

#[cfg(loom)]
use loom::sync as base;
#[cfg(not(loom))]
use std::sync as base;

/// Mutual exclusion for short critical sections.
///
/// ```
/// let counter = raddle_sync::Mutex::new(0);
/// *counter.lock() += 1;
/// assert_eq!(*counter.lock(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Mutex<T> {
    inner: base::Mutex<T>,
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Guard<'a, T> {
    inner: base::MutexGuard<'a, T>,
    _held: held::Token,
}

impl<T> Mutex<T> {
    /// An unlocked mutex around `value`.
    pub fn new(value: T) -> Self {
        Self { inner: base::Mutex::new(value) }
    }

    /// Waits for the lock. Not reentrant.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { inner, _held: held::Token::new() }
    }

    /// The lock if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        match self.inner.try_lock() {
            Ok(inner) => Some(Guard { inner, _held: held::Token::new() }),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(Guard { inner: poisoned.into_inner(), _held: held::Token::new() })
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// In debug builds, panics when this thread holds one of Raddle's locks. Called wherever foreign code may run.
///
/// # Panics
///
/// In debug builds, when a [`Guard`] is alive on this thread.
#[inline]
pub fn assert_unlocked() {
    held::check();
}

#[cfg(all(debug_assertions, not(loom)))]
mod held {
    use std::cell::Cell;

    thread_local!(static HELD: Cell<u32> = const { Cell::new(0) });

    #[derive(Debug)]
    pub(super) struct Token;

    impl Token {
        pub(super) fn new() -> Self {
            HELD.set(HELD.get() + 1);
            Self
        }
    }

    impl Drop for Token {
        fn drop(&mut self) {
            HELD.set(HELD.get() - 1);
        }
    }

    pub(super) fn check() {
        assert_eq!(HELD.get(), 0, "a Raddle lock is held while foreign code may run");
    }
}

#[cfg(not(all(debug_assertions, not(loom))))]
mod held {
    #[derive(Debug)]
    pub(super) struct Token;

    impl Token {
        pub(super) const fn new() -> Self {
            Self
        }
    }

    pub(super) const fn check() {}
}

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_noticed() {
        let lock = Mutex::new(());
        assert_unlocked();
        let guard = lock.lock();
        assert!(std::panic::catch_unwind(assert_unlocked).is_err());
        drop(guard);
        assert_unlocked();
    }

    #[test]
    fn a_panic_inside_does_not_poison() {
        let lock = Mutex::new(1);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = lock.lock();
            panic!("while holding it");
        }));
        assert!(outcome.is_err());
        assert_eq!(*lock.lock(), 1);
        assert!(lock.try_lock().is_some());
    }
}
