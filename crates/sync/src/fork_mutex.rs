//! A mutex that a forked child finds free, whoever held it in the parent.
//!
//! In the child, the mutex and what stands behind it are fresh; the parent's are leaked, as by a `ForkCell`. If the
//! parent's was free at the fork, the fresh value may take things over from it. Which of the child's threads does that is
//! decided under the fresh mutex: the first one to lock it.
//!
//! Memory is not copied at one instant: a thread that runs on while the parent forks can have its changes copied in part,
//! and the lock's word from before. So a child takes over only what nobody changes during a fork. The interpreter lock,
//! which the forking thread holds, sees to that for what is changed under it alone.

#[cfg(not(loom))]
use crate::fork_cell::ForkCell;
use crate::primitives::{Guard, Mutex};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A value that makes a fresh start in a forked child.
pub trait Inherit: Default {
    /// Takes over what the child may keep of its parent's value. Not called when the parent's lock was held at the fork:
    /// then the child goes on with the default.
    fn inherit(&mut self, parent: &mut Self);
}

struct Slot<T: 'static> {
    value: T,
    /// The parent's, until the first one to lock this one in the child has looked at it.
    parent: Option<&'static Mutex<Slot<T>>>,
}

impl<T: Inherit> Slot<T> {
    fn new(parent: Option<&'static Mutex<Self>>) -> Mutex<Self> {
        Mutex::new(Self { value: T::default(), parent })
    }

    #[cold]
    fn settle(&mut self) {
        if let Some(mut parent) = self.parent.take().and_then(Mutex::try_lock) {
            // A child that forked in turn before anybody locked it.
            parent.settle();
            self.value.inherit(&mut parent.value);
        }
    }
}

/// Mutual exclusion for short critical sections, across forks: see the module's description.
///
/// ```
/// use raddle_sync::fork_mutex::{ForkMutex, Inherit};
///
/// #[derive(Default)]
/// struct Counter(u32);
///
/// impl Inherit for Counter {
///     fn inherit(&mut self, parent: &mut Self) {
///         self.0 = parent.0;
///     }
/// }
///
/// let counter = ForkMutex::<Counter>::default();
/// counter.lock().0 += 1;
/// assert_eq!(counter.lock().0, 1);
/// ```
pub struct ForkMutex<T: 'static> {
    #[cfg(not(loom))]
    current: ForkCell<Mutex<Slot<T>>>,
    #[cfg(loom)]
    current: Mutex<Slot<T>>,
}

/// Holds the lock until it is dropped.
pub struct ForkGuard<'a, T: 'static>(Guard<'a, Slot<T>>);

impl<T: Inherit + Send> Default for ForkMutex<T> {
    #[cfg(not(loom))]
    fn default() -> Self {
        Self { current: ForkCell::new(Slot::new(None)) }
    }

    #[cfg(loom)]
    fn default() -> Self {
        Self { current: Slot::new(None) }
    }
}

impl<T: Inherit + Send> ForkMutex<T> {
    #[cfg(not(loom))]
    #[inline]
    fn current(&self) -> &Mutex<Slot<T>> {
        self.current.get_or_inherit(Slot::new)
    }

    #[cfg(loom)]
    fn current(&self) -> &Mutex<Slot<T>> {
        &self.current
    }

    /// Waits for the lock. Not reentrant.
    #[inline]
    pub fn lock(&self) -> ForkGuard<'_, T> {
        ForkGuard::settled(self.current().lock())
    }

    /// The lock if nobody has it.
    pub fn try_lock(&self) -> Option<ForkGuard<'_, T>> {
        self.current().try_lock().map(ForkGuard::settled)
    }
}

impl<'a, T: Inherit> ForkGuard<'a, T> {
    #[inline]
    fn settled(mut guard: Guard<'a, Slot<T>>) -> Self {
        if guard.parent.is_some() {
            guard.settle();
        }
        Self(guard)
    }
}

impl<T> Deref for ForkGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for ForkGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

impl<T> fmt::Debug for ForkMutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ForkMutex").finish_non_exhaustive()
    }
}
