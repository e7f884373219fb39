//! The slow part of a primitive: who waits for it, behind a mutex, made when somebody first has to wait.
//!
//! A forked child begins with an empty one: the threads that waited, and the one that may have held the mutex at the
//! moment of the fork, stayed behind in the parent. What a primitive keeps in its words (who holds it, how many permits
//! are left) outlives the fork; its flags then say that somebody waits although nobody does, and the slow paths must
//! believe the queue and not the flags.

use crate::mutex::{Guard, Mutex};
use crate::owner::Owner;
use crate::waiter::Waiter;

#[cfg(not(loom))]
use crate::fork_cell::ForkCell;

pub(crate) struct Slow<T> {
    #[cfg(not(loom))]
    cell: ForkCell<Mutex<T>>,
    #[cfg(loom)]
    cell: Mutex<T>,
}

#[cfg(not(loom))]
impl<T: Default + 'static> Slow<T> {
    pub(crate) const fn new() -> Self {
        Self { cell: ForkCell::empty() }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.cell.get(|| Mutex::new(T::default())).lock()
    }

    /// None while nobody has ever had to wait in this process: then it is as a fresh one.
    pub(crate) fn peek(&self) -> Option<Guard<'_, T>> {
        self.cell.peek().map(Mutex::lock)
    }
}

#[cfg(loom)]
impl<T: Default + 'static> Slow<T> {
    pub(crate) fn new() -> Self {
        Self { cell: Mutex::new(T::default()) }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.cell.lock()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the real one, which may not be there yet")]
    pub(crate) fn peek(&self) -> Option<Guard<'_, T>> {
        Some(self.cell.lock())
    }
}

impl<T: Default + 'static> Slow<T> {
    /// [`Waitable::attempt`](crate::Waitable::attempt) of a primitive that takes one at once (`at_once`) or, behind the
    /// mutex, takes one or joins the queue (`enter`). A grant can come at any time until one has the mutex.
    pub(crate) fn attempt(
        &self,
        waiter: &Waiter,
        at_once: impl FnOnce() -> bool,
        enter: impl FnOnce(&mut T) -> bool,
    ) -> bool {
        if waiter.take_grant() || (waiter.is_idle() && at_once()) {
            return true;
        }
        let mut waiting = self.lock();
        waiter.take_grant() || enter(&mut waiting)
    }

    /// [`Waitable::holders`](crate::Waitable::holders) of a primitive that shows its holder before the grant is done.
    pub(crate) fn visit(&self, holder: Option<Owner>, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        if let Some(holder) = holder {
            if holder == waiter {
                // If it is just being granted, that is done once the mutex is free.
                drop(self.lock());
            }
            visit(holder);
        }
    }
}
