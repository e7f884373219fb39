//! The queue of tasks that may start: higher priorities first, first come first served within each.

use raddle_sync::segments::Segments;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Jobs in the order in which they are to start. Not synchronised: it stands behind its pool's lock.
///
/// ```
/// let mut ready = raddle_task::ready::ReadyQueue::default();
/// ready.push("plain", 0);
/// ready.push("urgent", 5);
/// ready.push("whenever", -5);
/// assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), ["urgent", "plain", "whenever"]);
/// ```
#[derive(Debug)]
pub struct ReadyQueue<J> {
    plain: Segments<J>,
    /// Every priority but 0, which nearly all jobs have.
    ranked: BTreeMap<Reverse<i32>, Segments<J>>,
    len: usize,
}

impl<J> Default for ReadyQueue<J> {
    fn default() -> Self {
        Self { plain: Segments::default(), ranked: BTreeMap::new(), len: 0 }
    }
}

impl<J> ReadyQueue<J> {
    /// How many jobs wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a job behind all of the same or a higher priority.
    pub fn push(&mut self, job: J, priority: i32) {
        self.len += 1;
        if priority == 0 {
            self.plain.push(job);
        } else {
            self.ranked.entry(Reverse(priority)).or_default().push(job);
        }
    }

    /// Takes back the job of this priority that was pushed last.
    pub fn pop_last(&mut self, priority: i32) -> Option<J> {
        let job = if priority == 0 {
            self.plain.pop_last()
        } else {
            let key = Reverse(priority);
            let ranked = self.ranked.get_mut(&key)?;
            let job = ranked.pop_last();
            if ranked.is_empty() {
                self.ranked.remove(&key);
            }
            job
        };
        self.len -= usize::from(job.is_some());
        job
    }

    /// The lowest and the highest priority among the jobs that wait. None when none waits.
    #[must_use]
    pub fn priorities(&self) -> Option<(i32, i32)> {
        let plain = (!self.plain.is_empty()).then_some(0);
        let lowest = self.ranked.last_key_value().map(|(key, _)| key.0);
        let highest = self.ranked.first_key_value().map(|(key, _)| key.0);
        Some((lowest.into_iter().chain(plain).min()?, highest.into_iter().chain(plain).max()?))
    }

    /// Takes the next job.
    pub fn pop(&mut self) -> Option<J> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        if let Some(mut first) = self.ranked.first_entry()
            && (first.key().0 > 0 || self.plain.is_empty())
        {
            let job = first.get_mut().pop();
            if first.get().is_empty() {
                first.remove();
            }
            return job;
        }
        self.plain.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_job_of_a_priority_can_be_taken_back() {
        let mut ready = ReadyQueue::default();
        for (job, priority) in [(0, 0), (1, 5), (2, 0), (3, 5)] {
            ready.push(job, priority);
        }
        assert_eq!(ready.pop_last(5), Some(3));
        assert_eq!(ready.pop_last(0), Some(2));
        assert_eq!(ready.pop_last(9), None);
        assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn the_range_of_priorities_is_known() {
        let mut ready = ReadyQueue::default();
        assert_eq!(ready.priorities(), None);
        for (priority, range) in [(0, (0, 0)), (3, (0, 3)), (-2, (-2, 3))] {
            ready.push((), priority);
            assert_eq!(ready.priorities(), Some(range));
        }
        for range in [Some((-2, 0)), Some((-2, -2)), None] {
            ready.pop();
            assert_eq!(ready.priorities(), range);
        }
    }

    #[test]
    fn priorities_are_stable() {
        let mut ready = ReadyQueue::default();
        for (job, priority) in [(0, 1), (1, 0), (2, 1), (3, -1), (4, 0), (5, 2)] {
            ready.push(job, priority);
        }
        let order: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(order, [5, 0, 2, 1, 4, 3]);
        assert!(ready.ranked.is_empty());
    }
}
