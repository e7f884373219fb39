//! Those who have been woken and do not know it yet.

use super::Queue;
use super::until::{Side, Until};
use crate::waiter::Woken;

/// Those whom a change of the queue lets go on, in their order. They sleep until this is [rung](Due::ring), which may run foreign
/// code: so whoever has more to change, or holds a lock, does that first.
///
/// ```
/// use raddle_sync::queue::{Order, Queue};
///
/// let queue = Queue::new(None, Order::Fifo);
/// let due = queue.put_quietly(1).expect("it is open");
/// due.ring(&queue);
/// ```
#[must_use = "they sleep until `ring` is called"]
#[derive(Debug, Default)]
pub struct Due(Vec<(Side, Woken)>);

impl Due {
    #[inline]
    pub(super) fn of_one(woken: Option<Woken>, side: Side) -> Self {
        match woken {
            None => Self(Vec::new()),
            Some(one) => Self(vec![(side, one)]),
        }
    }

    pub(super) fn of(woken: impl IntoIterator<Item = Woken>, side: Side) -> Self {
        Self(woken.into_iter().map(|one| (side, one)).collect())
    }

    /// Adds those of a later change.
    #[inline]
    pub fn append(&mut self, later: Self) {
        if !later.0.is_empty() {
            self.0.extend(later.0);
        }
    }

    /// Wakes them. `queue` is the one that was changed: when one of them is gone, it passes on what he was woken for.
    #[inline]
    pub fn ring<T: Send + 'static>(self, queue: &Queue<T>) {
        if !self.0.is_empty() {
            self.ring_each(queue);
        }
    }

    #[cold]
    fn ring_each<T: Send + 'static>(self, queue: &Queue<T>) {
        for (side, woken) in self.0 {
            woken.ring(&Until { queue, side });
        }
    }
}
