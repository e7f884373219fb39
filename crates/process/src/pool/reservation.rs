//! The promise of a task for later.

use super::{Client, Pool};
use std::fmt;
use std::sync::Arc;

/// Keeps a pool from ending: see [`Pool::reserve`].
pub struct Reservation<C: Client> {
    pool: Arc<Pool<C>>,
}

impl<C: Client> Reservation<C> {
    pub(super) const fn new(pool: Arc<Pool<C>>) -> Self {
        Self { pool }
    }
}

impl<C: Client> Drop for Reservation<C> {
    fn drop(&mut self) {
        if self.pool.is_ours() {
            self.pool.end_reservation();
        }
    }
}

impl<C: Client> fmt::Debug for Reservation<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reservation(..)")
    }
}
