//! The promise of a task for later.

use super::{Client, Order, Pool};
use std::fmt;
use std::sync::Arc;

/// Keeps a pool from ending: see [`Pool::reserve`]. Dropped, it is a promise withdrawn.
pub struct Reservation<C: Client> {
    pool: Arc<Pool<C>>,
    kept: Option<Order<C::Task>>,
}

impl<C: Client> Reservation<C> {
    pub(super) const fn new(pool: Arc<Pool<C>>) -> Self {
        Self { pool, kept: None }
    }

    /// Keeps the promise, also while the pool is draining or full. In a pool that is broken, the client is told so.
    pub fn submit(mut self, order: Order<C::Task>) {
        self.kept = Some(order);
    }
}

impl<C: Client> Drop for Reservation<C> {
    fn drop(&mut self) {
        if self.pool.is_ours() {
            self.pool.end_reservation(self.kept.take());
        }
    }
}

impl<C: Client> fmt::Debug for Reservation<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reservation(..)")
    }
}
