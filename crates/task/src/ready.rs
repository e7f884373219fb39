//! The queue of tasks that may start: higher priorities first, first come first served within each.
//!
//! Segments instead of one ring: a ring that has grown to millions of tasks doubles by copying all of them while the
//! pool's lock is held, and keeps its memory for ever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

const SEGMENT: usize = 256;

/// First in, first out, in segments of 256.
#[derive(Debug)]
struct Fifo<J> {
    segments: VecDeque<VecDeque<J>>,
    spare: Option<VecDeque<J>>,
}

impl<J> Default for Fifo<J> {
    fn default() -> Self {
        Self { segments: VecDeque::new(), spare: None }
    }
}

impl<J> Fifo<J> {
    fn push(&mut self, job: J) {
        if let Some(last) = self.segments.back_mut()
            && last.len() < SEGMENT
        {
            last.push_back(job);
            return;
        }
        let mut segment = self.spare.take().unwrap_or_else(|| VecDeque::with_capacity(SEGMENT));
        segment.push_back(job);
        self.segments.push_back(segment);
    }

    fn pop(&mut self) -> Option<J> {
        let first = self.segments.front_mut()?;
        let job = first.pop_front();
        if first.is_empty() && self.segments.len() > 1 {
            self.spare = self.segments.pop_front();
        }
        job
    }

    fn pop_last(&mut self) -> Option<J> {
        let last = self.segments.back_mut()?;
        let job = last.pop_back();
        if last.is_empty() && self.segments.len() > 1 {
            self.spare = self.segments.pop_back();
        }
        job
    }

    fn is_empty(&self) -> bool {
        self.segments.front().is_none_or(VecDeque::is_empty)
    }
}

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
    plain: Fifo<J>,
    /// Every priority but 0, which nearly all jobs have.
    ranked: BTreeMap<Reverse<i32>, Fifo<J>>,
    len: usize,
}

impl<J> Default for ReadyQueue<J> {
    fn default() -> Self {
        Self { plain: Fifo::default(), ranked: BTreeMap::new(), len: 0 }
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
    fn order_holds_across_segments() {
        let mut ready = ReadyQueue::default();
        for round in 0..3 {
            for job in 0..10 * SEGMENT {
                ready.push(job, 0);
            }
            assert_eq!(ready.len(), 10 * SEGMENT, "round {round}");
            for job in 0..10 * SEGMENT {
                assert_eq!(ready.pop(), Some(job));
            }
            assert_eq!(ready.pop(), None);
        }
    }

    #[test]
    fn memory_of_a_flood_is_returned() {
        let mut ready = ReadyQueue::default();
        for job in 0..100 * SEGMENT {
            ready.push(job, 0);
        }
        while ready.pop().is_some() {}
        assert_eq!(ready.plain.segments.len(), 1);
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
