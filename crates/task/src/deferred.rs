//! Tasks that may not start yet: they wait for a dependency, or for the time of their next attempt.
//!
//! Whoever will release a task (a timer, the last dependency) holds only a [`Ticket`]. So a task that is cancelled
//! meanwhile, alone or with all others at shutdown, is taken out at once; its ticket is worth nothing afterwards.

use raddle_sync::Mutex;
use slab::Slab;

/// The claim on one deferred job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    key: usize,
    stamp: u64,
}

#[derive(Debug)]
struct Shelf<J> {
    jobs: Slab<(u64, J)>,
    stamps: u64,
}

/// A shelf of jobs. Safe across threads.
///
/// ```
/// let shelf = raddle_task::deferred::Deferred::default();
/// let ticket = shelf.put("job");
/// assert_eq!(shelf.take(ticket), Some("job"));
/// assert_eq!(shelf.take(ticket), None);
/// ```
#[derive(Debug)]
pub struct Deferred<J> {
    content: Mutex<Shelf<J>>,
}

impl<J> Default for Deferred<J> {
    fn default() -> Self {
        Self { content: Mutex::new(Shelf { jobs: Slab::new(), stamps: 0 }) }
    }
}

impl<J> Deferred<J> {
    /// Puts a job on the shelf.
    pub fn put(&self, job: J) -> Ticket {
        let mut all = self.content.lock();
        all.stamps += 1;
        let stamp = all.stamps;
        Ticket { key: all.jobs.insert((stamp, job)), stamp }
    }

    /// Takes the job back, unless somebody has taken it before.
    pub fn take(&self, ticket: Ticket) -> Option<J> {
        let mut all = self.content.lock();
        match all.jobs.get(ticket.key) {
            Some((stamp, _)) if *stamp == ticket.stamp => Some(all.jobs.remove(ticket.key).1),
            _ => None,
        }
    }

    /// Takes all of them.
    pub fn drain(&self) -> Vec<J> {
        let mut all = self.content.lock();
        all.jobs.drain().map(|(_, job)| job).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.lock().jobs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_ticket_does_not_take_a_newer_job() {
        let shelf = Deferred::default();
        let old = shelf.put(1);
        assert_eq!(shelf.drain(), [1]);
        let new = shelf.put(2);
        assert_eq!(shelf.take(old), None);
        assert_eq!(shelf.take(new), Some(2));
        assert!(shelf.is_empty());
    }
}
