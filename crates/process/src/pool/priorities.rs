//! Priorities among tasks that workers have been handed.
//!
//! What lies in front of a worker stands ahead of the queue. So that a task of a high priority starts before those of a lower one
//! all the same, whichever worker is free first:
//!
//! - When a task is queued, what is less urgent and has not been begun is taken back.
//! - While a task has not been begun, no less urgent one is handed out. A worker that has nothing to do takes it over.
//!
//! So the tasks that have been handed out and not been begun are all of one priority, and none in the queue has a higher one.
//! Where priorities are not in use, nothing of this costs anything.

use super::Client;
use super::order::Order;
use super::shared::{Aftermath, Shared};
use std::cmp::Reverse;

impl<C: Client> Shared<C> {
    /// Takes back what is less urgent than a task that comes, and has not been begun.
    pub(super) fn make_way(&mut self, priority: i32, client: &C, aftermath: &mut Aftermath<C>) {
        for index in 0..self.workers.len() {
            loop {
                let worker = &mut self.workers[index].1;
                let lesser = worker.last().is_some_and(|(order, _)| order.priority < priority);
                let Some(order) = lesser.then(|| worker.take_back_last()).flatten() else { break };
                self.put_back(order, client, aftermath);
            }
        }
    }

    /// Whether nothing of the queue may be handed to a worker, as something more urgent has not been begun. If the worker has
    /// nothing to do, that is back in the queue, for this worker to get it.
    pub(super) fn stand_back(&mut self, index: usize, client: &C, aftermath: &mut Aftermath<C>) -> bool {
        let next = self.next_priority();
        let all = self.workers.iter().enumerate();
        let unbegun = all.flat_map(|(index, (_, worker))| worker.unbegun().map(move |order| (index, order)));
        let urgent = unbegun.filter(|(_, order)| Some(order.priority) > next);
        let rank = |(_, order): &(usize, &Order<C::Task>)| (order.priority, Reverse(order.number));
        let Some((holder, number)) = urgent.max_by_key(rank).map(|(holder, order)| (holder, order.number))
        else {
            return false;
        };
        if self.workers[index].1.in_hand() > 0 {
            return true;
        }
        // It may have been begun in between.
        if let Some(order) = self.workers[holder].1.take_back_task(number) {
            self.put_back(order, client, aftermath);
        }
        false
    }

    /// The highest priority in the queue.
    fn next_priority(&self) -> Option<i32> {
        let returned = self.returned.last().map(|order| order.priority);
        returned.max(self.ready.priorities().map(|(_, highest)| highest))
    }
}
