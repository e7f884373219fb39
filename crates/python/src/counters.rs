//! How many tasks of an executor ended in which way.

use std::sync::atomic::{AtomicU64, Ordering};

/// Relaxed: for people to read.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) retried: AtomicU64,
}

impl Counters {
    /// `tasks` have ended, with failures or without.
    pub(crate) fn count(&self, tasks: u64, failed: bool) {
        let counter = if failed { &self.failed } else { &self.completed };
        counter.fetch_add(tasks, Ordering::Relaxed);
    }

    /// The figures by the names that `stats()` has for them.
    pub(crate) fn figures(&self) -> [(&'static str, u64); 5] {
        [
            ("completed", &self.completed),
            ("failed", &self.failed),
            ("cancelled", &self.cancelled),
            ("timed_out", &self.timed_out),
            ("retried", &self.retried),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}
