//! The three things that one can wait for on a queue.

use super::Queue;
use crate::owner::Owner;
use crate::primitives::Arc;
use crate::waiter::{Waitable, Waiter, Woken};
use std::ops::Deref;

/// What a wait on a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// An item to get, or the shutdown.
    Items,
    /// Room to put, or the shutdown.
    Room,
    /// The end of all work.
    AllDone,
}

/// Something to wait for on a queue, behind a reference or an `Arc` (`Q`).
///
/// For an item or for room, a success is a permission to look again, not more: another one may be quicker. A wait goes
///
/// ```
/// use raddle_sync::queue::{NoItem, Order, Queue, Until};
/// use raddle_sync::{Owner, Waitable, Waiter};
/// use std::sync::Arc;
///
/// let queue = Arc::new(Queue::new(None, Order::Fifo));
/// let getter = std::thread::spawn({
///     let queue = Arc::clone(&queue);
///     move || {
///         let waiter = Waiter::thread(Owner::current_thread());
///         let items = Until::items(queue.clone());
///         loop {
///             match queue.try_get(waiter.owner()) {
///                 Err(NoItem::Empty) => {}
///                 outcome => return outcome,
///             }
///             while !items.attempt(&waiter) {
///                 waiter.sleep(None); // until a deadline, a signal: then items.abandon(&waiter)
///             }
///         }
///     }
/// });
/// queue.try_put(1).expect("it is open");
/// assert_eq!(getter.join().expect("no panic"), Ok(1));
/// ```
///
/// with the same waiter all the time, so that one that was woken for nothing keeps its place. Whoever gives up, even
/// between a success here and the look at the queue, must [`abandon`](Waitable::abandon) the wait, so that the wake-up goes
/// to the next. After a success of the whole, a waiter that is to serve another wait is [`reset`](Waiter::reset).
#[derive(Clone, Debug)]
pub struct Until<Q> {
    pub(super) queue: Q,
    pub(super) side: Side,
}

impl<Q> Until<Q> {
    /// For an item to get, or the shutdown.
    pub const fn items(queue: Q) -> Self {
        Self { queue, side: Side::Items }
    }

    /// For room to put, or the shutdown.
    pub const fn room(queue: Q) -> Self {
        Self { queue, side: Side::Room }
    }

    /// For the moment at which all work that was put is reported as finished. It counts even if more is put right after.
    pub const fn all_done(queue: Q) -> Self {
        Self { queue, side: Side::AllDone }
    }
}

impl<T: Send + 'static, Q: Deref<Target = Queue<T>> + Send + Sync> Until<Q> {
    /// Ends a wait. Says whether it had succeeded, and who is to be woken in its place.
    fn quit(&self, waiter: &Arc<Waiter>) -> (bool, Vec<Woken>) {
        let queue: &Queue<T> = &self.queue;
        let mut state = queue.state.lock();
        let pass_on = waiter.is_woken() && queue.ready(&state, self.side);
        let granted = state.waiters(self.side).quit(waiter);
        (granted, if pass_on { state.wake(self.side, 1) } else { Vec::new() })
    }
}

impl<T: Send + 'static, Q: Deref<Target = Queue<T>> + Send + Sync> Waitable for Until<Q> {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let queue: &Queue<T> = &self.queue;
        let mut state = queue.state.lock();
        if waiter.take_grant() {
            return true;
        }
        let ready = queue.ready(&state, self.side);
        if ready {
            state.waiters(self.side).leave(waiter);
        } else {
            state.waiters(self.side).join(waiter);
        }
        ready
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let (granted, woken) = self.quit(waiter);
        self.queue.ring(woken, self.side);
        granted
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.quit(waiter).1
    }

    /// For the end of all work, those who have taken items and not reported them.
    fn holders(&self, _waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        if self.side == Side::AllDone {
            let takers = self.queue.state.lock().taken.takers();
            takers.into_iter().for_each(visit);
        }
    }
}
