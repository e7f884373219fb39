//! What stands behind a pool's lock: the ready queue, the workers, and who gets what.
//!
//! **Windows.** A worker is handed more than the task that it runs, so that it need not wait for the parent between two
//! tasks: one more where tasks take milliseconds, up to [`WINDOW`] where they take microseconds. What it has not begun can be
//! taken back, so a slow task holds nobody up: whoever runs out of work gets what lies in front of others.

use super::Client;
use super::order::{Death, Order, Reply};
use super::worker::{Mail, Phase, Worker};
use crate::channel::WINDOW;
use raddle_sync::Moment;
use raddle_task::ready::ReadyQueue;
use std::sync::Arc;
use std::time::Duration;

/// How long the tasks in a worker's window take at most, more or less.
const WINDOW_SPAN: Duration = Duration::from_millis(1);

#[expect(clippy::struct_excessive_bools, reason = "each by itself")]
pub(super) struct Shared<C: Client> {
    pub(super) ready: ReadyQueue<Order<C::Task>>,
    /// Taken back, or never begun by a worker that died: they come before others of their priority. The next one is the last.
    pub(super) returned: Vec<Order<C::Task>>,
    /// Priorities are in use.
    pub(super) ranked: bool,
    pub(super) workers: Vec<(u64, Worker<C::Task>)>,
    pub(super) target: usize,
    pub(super) max_pending: usize,
    max_tasks: u64,
    /// Promises of tasks, and tasks whose end the client is being told.
    pub(super) reserved: usize,
    pub(super) draining: bool,
    /// No worker is started any more.
    pub(super) broken: bool,
    /// Of one task, in nanoseconds: a moving mean.
    mean: u64,
    /// Workers that died before they had done anything, in a row, and how many such deaths are too many.
    stillborn: (usize, usize),
    /// Until then no worker is started, as one could not be.
    pub(super) spared_until: Option<Moment>,
    /// How often that has happened in a row, with no other worker there.
    pub(super) refusals: u32,
    pub(super) space_wanted: bool,
    /// What has been announced last.
    pub(super) news: Option<Arc<Vec<u8>>>,
}

/// What is to be done once the lock is free.
pub(super) struct Aftermath<C: Client> {
    pub(super) finished: Vec<(Order<C::Task>, Reply)>,
    pub(super) lost: Vec<(Order<C::Task>, Arc<Death>)>,
    pub(super) dropped: Vec<C::Task>,
    pub(super) notes: Vec<(Arc<str>, u16, Vec<u8>)>,
    /// An initializer has failed.
    pub(super) broken: bool,
    /// Workers to be started.
    pub(super) starts: usize,
    /// Workers whose channel is corrupt: to be killed.
    pub(super) corrupt: Vec<u64>,
    /// Workers whose tasks are to be looked at, and when.
    pub(super) alarms: Vec<(u64, Moment)>,
    pub(super) space: bool,
    /// A worker that has nothing to do had no room for a message: nobody will say when it has.
    pub(super) cramped: bool,
}

impl<C: Client> Default for Aftermath<C> {
    fn default() -> Self {
        Self {
            finished: Vec::new(),
            lost: Vec::new(),
            dropped: Vec::new(),
            notes: Vec::new(),
            broken: false,
            starts: 0,
            corrupt: Vec::new(),
            alarms: Vec::new(),
            space: false,
            cramped: false,
        }
    }
}

impl<C: Client> Shared<C> {
    pub(super) fn new(target: usize, max_pending: Option<usize>, max_tasks: Option<u64>) -> Self {
        Self {
            ready: ReadyQueue::default(),
            returned: Vec::new(),
            ranked: false,
            workers: Vec::new(),
            target,
            max_pending: max_pending.unwrap_or(usize::MAX),
            max_tasks: max_tasks.unwrap_or(u64::MAX),
            reserved: 0,
            draining: false,
            broken: false,
            mean: 0,
            stillborn: (0, usize::MAX),
            spared_until: None,
            refusals: 0,
            space_wanted: false,
            news: None,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.ready.len() + self.returned.len()
    }

    pub(super) fn in_hand(&self) -> usize {
        self.workers.iter().map(|(_, worker)| worker.in_hand()).sum()
    }

    pub(super) fn worker(&mut self, id: u64) -> Option<&mut Worker<C::Task>> {
        self.workers.iter_mut().find(|(other, _)| *other == id).map(|(_, worker)| worker)
    }

    /// Whether nothing is left to be done, nor will be.
    pub(super) fn is_over(&self) -> bool {
        self.draining && self.reserved == 0 && self.queued() == 0 && self.in_hand() == 0
    }

    /// How many tasks a worker may have in its hands.
    fn depth(&self) -> usize {
        if self.max_pending != usize::MAX {
            // Who bounds the queue counts on what waits in it.
            return 1;
        }
        match u64::try_from(WINDOW_SPAN.as_nanos()).expect("a short span").checked_div(self.mean) {
            None => 2,
            Some(fit) => usize::try_from(fit + 1).unwrap_or(WINDOW).clamp(2, WINDOW),
        }
    }

    fn note_duration(&mut self, begun: Moment, ended: Moment) {
        let nanos = u64::try_from(ended.since(begun).as_nanos()).unwrap_or(u64::MAX).max(1);
        // The first one counts whole; an eighth of each later one.
        self.mean = if self.mean == 0 { nanos } else { self.mean - self.mean / 8 + nanos / 8 };
    }

    /// Reads what the workers have said, in turn, and hands out what that makes room for.
    pub(super) fn collect(&mut self, client: &C, aftermath: &mut Aftermath<C>) -> bool {
        let mut any = false;
        for index in 0..self.workers.len() {
            while self.workers[index].1.side.has_mail() {
                any = true;
                if !self.collect_one(client, index, aftermath) {
                    break;
                }
            }
        }
        if any {
            self.retire_spent();
            self.dispatch(client, aftermath);
        }
        any
    }

    /// Reads one message of a worker; false when there is none that could be read.
    pub(super) fn collect_one(&mut self, client: &C, index: usize, aftermath: &mut Aftermath<C>) -> bool {
        let (id, worker) = &mut self.workers[index];
        match worker.receive() {
            Ok(None) => return false,
            Ok(Some(Mail::Ready)) => {
                if worker.phase == Phase::Starting {
                    worker.phase = Phase::Up;
                }
                self.refusals = 0;
            }
            Ok(Some(Mail::Broken(error))) => {
                // Whoever finds the pool broken must find the reason too.
                client.broken(error);
                worker.phase = Phase::Leaving;
                // It does so by itself, and may have something to log or to remove before.
                worker.told_to_leave = true;
                self.broken = true;
                aftermath.broken = true;
            }
            Ok(Some(Mail::Blocked(false))) => worker.blocked = false,
            Ok(Some(mail @ (Mail::Leaving | Mail::Blocked(true)))) => {
                if matches!(mail, Mail::Leaving) {
                    worker.phase = Phase::Leaving;
                    worker.told_to_leave = true;
                } else {
                    worker.blocked = true;
                }
                for order in worker.take_back_all().collect::<Vec<_>>() {
                    self.put_back(order, client, aftermath);
                }
            }
            Ok(Some(Mail::Finished(order, reply))) => {
                self.stillborn = (0, usize::MAX);
                self.note_duration(reply.begun, reply.ended);
                self.reserved += 1;
                aftermath.finished.push((order, reply));
            }
            Ok(Some(Mail::Late)) => {}
            Ok(Some(Mail::Note(kind, body))) => aftermath.notes.push((worker.name.clone(), kind, body)),
            Err(corrupt) => {
                if worker.corrupt.is_none() {
                    worker.corrupt = Some(corrupt.0);
                    worker.phase = Phase::Leaving;
                    aftermath.corrupt.push(*id);
                }
                return false;
            }
        }
        true
    }

    /// A worker has died unexpectedly; `idle`: before it had done anything, which may happen so often in a row.
    pub(super) fn note_death(&mut self, idle: bool, limit: usize) {
        self.stillborn =
            if idle { (self.stillborn.0 + 1, self.stillborn.1.min(limit)) } else { (0, usize::MAX) };
    }

    /// Whether another worker would die as the last ones did.
    pub(super) fn is_hopeless(&self) -> bool {
        self.stillborn.0 >= self.stillborn.1
            && !self.workers.iter().any(|(_, worker)| worker.phase == Phase::Up)
    }

    /// Whether a worker has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.workers.iter().any(|(_, worker)| worker.is_busy())
    }

    /// Queues a task, and hands out what can be.
    pub(super) fn queue(&mut self, order: Order<C::Task>, client: &C, aftermath: &mut Aftermath<C>) {
        let priority = order.priority;
        self.ranked |= priority != 0;
        if self.ranked {
            self.make_way(priority, client, aftermath);
        }
        self.ready.push(order, priority);
        self.dispatch(client, aftermath);
    }

    /// Hands out what is ready to the workers that have the least to do.
    pub(super) fn dispatch(&mut self, client: &C, aftermath: &mut Aftermath<C>) {
        let depth = self.depth();
        let mut nudged = 0u64;
        // Workers that have no room for a message.
        let mut full = Vec::new();
        while self.queued() > 0 {
            let Some(index) = self.least_busy(depth, &full) else { break };
            if self.ranked && self.stand_back(index, client, aftermath) {
                break;
            }
            let Some(order) = self.next_ready() else { break };
            aftermath.space |= std::mem::take(&mut self.space_wanted);
            if !client.begin(&order.task) {
                aftermath.dropped.push(order.task);
            } else if self.hand_to(index, order, client, aftermath) {
                nudged |= 1 << index.min(63);
            } else {
                full.push(index);
            }
        }
        for (index, (_, worker)) in self.workers.iter().enumerate() {
            if nudged & (1 << index.min(63)) != 0 {
                worker.side.nudge();
            }
        }
        if self.queued() == 0 {
            self.level(client, aftermath);
        }
        aftermath.starts += self.wanted_starts();
    }

    /// Hands a task to a worker; false when there was no room for it, and it is back in the queue.
    fn hand_to(
        &mut self,
        index: usize,
        order: Order<C::Task>,
        client: &C,
        aftermath: &mut Aftermath<C>,
    ) -> bool {
        let (id, worker) = &mut self.workers[index];
        let timeout = order.timeout;
        match worker.hand_out(order) {
            Ok(()) => {
                aftermath.alarms.extend(
                    timeout.and_then(|timeout| worker.set_alarm(Moment::now() + timeout)).map(|at| (*id, at)),
                );
                true
            }
            Err(order) => {
                // There is room when it has read on, and it replies then, if it has something to reply to. It may sleep: nobody is woken to
                // forget functions, and those alone can fill its ring.
                worker.side.nudge();
                aftermath.cramped |= worker.in_hand() == 0;
                self.put_back(order, client, aftermath);
                false
            }
        }
    }

    /// A task that was not begun goes back to where it was in the queue.
    pub(super) fn put_back(&mut self, order: Order<C::Task>, client: &C, aftermath: &mut Aftermath<C>) {
        if !client.put_back(&order.task) {
            return aftermath.dropped.push(order.task);
        }
        let rank = |order: &Order<C::Task>| (order.priority, std::cmp::Reverse(order.number));
        let place = self.returned.partition_point(|other| rank(other) < rank(&order));
        self.returned.insert(place, order);
    }

    fn next_ready(&mut self) -> Option<Order<C::Task>> {
        let Some(returned) = self.returned.last() else { return self.ready.pop() };
        match self.ready.priorities() {
            Some((_, highest)) if highest > returned.priority => self.ready.pop(),
            _ => self.returned.pop(),
        }
    }

    /// Whether as many workers are at work as there are to be. Others may be there that have taken the place of one that was blocked.
    fn is_full(&self) -> bool {
        let at_work = |(_, worker): &&(u64, Worker<C::Task>)| worker.in_hand() > 0 && !worker.blocked;
        self.workers.iter().filter(at_work).count() >= self.target
    }

    fn least_busy(&self, depth: usize, roomless: &[usize]) -> Option<usize> {
        let full = self.workers.len() > self.target && self.is_full();
        let free = |worker: &Worker<C::Task>| {
            worker.phase == Phase::Up
                && !worker.blocked
                && worker.taken() < self.max_tasks
                && !(full && worker.in_hand() == 0)
        };
        let up = self
            .workers
            .iter()
            .enumerate()
            .filter(|(index, (_, worker))| free(worker) && !roomless.contains(index));
        let least = up.min_by_key(|(_, (_, worker))| worker.in_hand())?;
        (least.1.1.in_hand() < depth).then_some(least.0)
    }

    /// Gives a worker that has nothing to do what lies unbegun in front of another one.
    fn level(&mut self, client: &C, aftermath: &mut Aftermath<C>) {
        loop {
            let Some(idle) = self.least_busy(1, &[]) else { return };
            let laden = (0..self.workers.len()).max_by_key(|index| self.workers[*index].1.in_hand());
            let Some(laden) = laden.filter(|laden| self.workers[*laden].1.in_hand() >= 2) else { return };
            let Some(order) = self.workers[laden].1.take_back_last() else { return };
            if !self.hand_to(idle, order, client, aftermath) {
                return;
            }
            self.workers[idle].1.side.nudge();
        }
    }

    /// Workers that have taken as many tasks as they may end.
    fn retire_spent(&mut self) {
        for (_, worker) in &mut self.workers {
            let spent = worker.taken() >= self.max_tasks && worker.phase == Phase::Up;
            if spent || (worker.phase == Phase::Leaving && !worker.told_to_leave) {
                worker.retire();
            }
        }
    }

    /// Workers that are too many end, idle ones first.
    pub(super) fn retire_surplus(&mut self) {
        let staying = |worker: &Worker<C::Task>| worker.phase != Phase::Leaving;
        let alive = self.workers.iter().filter(|(_, worker)| staying(worker)).count();
        let mut order: Vec<_> =
            (0..self.workers.len()).filter(|index| staying(&self.workers[*index].1)).collect();
        order.sort_by_key(|index| self.workers[*index].1.in_hand());
        for index in order.into_iter().take(alive.saturating_sub(self.target)) {
            self.workers[index].1.retire();
        }
    }

    /// How many workers to start now; counted by the caller as it starts them.
    pub(super) fn wanted_starts(&self) -> usize {
        if self.broken || (self.draining && self.queued() == 0) {
            return 0;
        }
        if self.spared_until.is_some_and(|until| Moment::now() < until) {
            return 0;
        }
        let counts = |worker: &Worker<C::Task>| worker.phase != Phase::Leaving && !worker.blocked;
        let alive = self.workers.iter().filter(|(_, worker)| counts(worker)).count();
        let blocked = self.workers.iter().filter(|(_, worker)| worker.blocked).count();
        let work = (self.queued() + self.in_hand()).saturating_sub(blocked);
        work.min(self.target).saturating_sub(alive)
    }
}
