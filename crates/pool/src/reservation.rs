//! The promise of a job for later.

use crate::pool::{Pool, Runtime};
use raddle_sync::primitives::Arc;
use std::fmt;

/// The promise of a job for later: see [`Pool::reserve`]. Dropped, it is a promise withdrawn.
pub struct Reservation<R: Runtime> {
    pool: Arc<Pool<R>>,
    kept: Option<(R::Job, i32)>,
}

impl<R: Runtime> Reservation<R> {
    pub(crate) fn new(pool: Arc<Pool<R>>) -> Self {
        Self { pool, kept: None }
    }

    /// Keeps the promise, also while the pool is draining or full.
    pub fn submit(mut self, job: R::Job, priority: i32) {
        self.kept = Some((job, priority));
    }
}

impl<R: Runtime> Drop for Reservation<R> {
    fn drop(&mut self) {
        self.pool.end_reservation(self.kept.take());
    }
}

impl<R: Runtime> fmt::Debug for Reservation<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reservation(..)")
    }
}
