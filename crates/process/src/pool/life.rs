//! The lives of a pool's workers: started when there is work, ended when there is too much of them, replaced when they die.

use super::order::{Death, Sentence};
use super::shared::{Aftermath, Waiting};
use super::worker::{Phase, Worker};
use super::{Client, Pool};
use crate::arena::Gallery;
use crate::channel::{ParentSide, Who};
use crate::message;
use crate::supervisor::{self, Start, Ward};
use raddle_sync::{Moment, Wake};
use raddle_sys::memory::Memory;
use raddle_sys::pidfd::{Exit, Pidfd};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So many workers in a row that die before they are ready break the pool.
const STILLBORN: usize = 3;

/// The signals by which a worker is told to end, and made to.
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

impl<C: Client> Pool<C> {
    /// Does what a look at the shared state has asked for, without the lock.
    pub(super) fn follow(self: &Arc<Self>, aftermath: Aftermath<C>) {
        let Aftermath { finished, dropped, notes, broken, starts, corrupt, timed, space } = aftermath;
        for (worker, number, timeout) in timed {
            self.watch_deadline(worker, number, Moment::now() + timeout);
        }
        let done = !finished.is_empty() || !dropped.is_empty();
        for (order, reply) in finished {
            self.client.finished(order.task, reply);
        }
        for task in dropped {
            self.client.dropped(task);
        }
        for (worker, kind, body) in notes {
            self.client.note(&worker, kind, body);
        }
        if let Some(error) = broken {
            self.client.broken(error);
            self.abandon_all();
        }
        if space {
            self.space.fetch_add(1);
            self.space.wake_all();
        }
        for worker in corrupt {
            self.kill(worker, SIGKILL);
        }
        for _ in 0..starts {
            if let Err(error) = self.start_worker() {
                self.refused(&error);
                break;
            }
        }
        if done {
            self.end_if_over();
        }
    }

    /// The pool can't run anything any more: neither what waits nor what comes.
    fn abandon_all(self: &Arc<Self>) {
        let mut shared = self.shared.lock();
        shared.broken = true;
        let mut waiting: Vec<_> = std::mem::take(&mut shared.returned);
        waiting.extend(std::iter::from_fn(|| shared.ready.pop()));
        let idle: Vec<_> = shared.workers.iter().map(|(id, _)| *id).collect();
        drop(shared);
        for Waiting { order, .. } in waiting {
            self.client.abandoned(order.task);
        }
        for worker in idle {
            self.kill(worker, SIGTERM);
        }
        self.space.fetch_add(1);
        self.space.wake_all();
        self.wake_leader();
    }

    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        self.ensure_collector()?;
        let side = ParentSide::new()?;
        let results = Memory::new("raddle-results", self.settings.results_limit)?;
        let gallery = Gallery::attach(results.fd().try_clone_to_owned()?)?;
        let fds = vec![
            side.fd().try_clone_to_owned()?,
            self.bell.fd().try_clone_to_owned()?,
            self.store.share()?,
            results.fd().try_clone_to_owned()?,
        ];
        let count = self.names.fetch_add(1, Ordering::Relaxed);
        let name: Arc<str> = format!("{}_{count}", self.settings.name).into();
        let (order, extra) = self.client.order(&name, count + 1)?;
        let id = supervisor::next_ticket();
        let mut shared = self.shared.lock();
        if shared.wanted_starts() == 0 {
            return Ok(());
        }
        shared.workers.push((id, Worker::new(Arc::clone(&name), side, gallery)));
        drop(shared);
        let ward: Arc<dyn Ward> = Arc::<Self>::clone(self);
        let start = Start { ward, ticket: id, launch: self.settings.launch.clone(), fds, extra, order };
        supervisor::start(start).inspect_err(|_| {
            let mut shared = self.shared.lock();
            shared.workers.retain(|(other, _)| *other != id);
        })
    }

    /// A worker could not be started. Those that there are do the work; without any, nobody does.
    fn refused(self: &Arc<Self>, error: &io::Error) {
        self.client.complain(&format!("a worker process could not be started: {error}"));
        let alone = self.shared.lock().workers.is_empty();
        if alone {
            self.abandon_all();
        }
        self.end_if_over();
    }

    fn kill(&self, worker: u64, signal: i32) {
        if let Some(worker) = self.shared.lock().worker(worker)
            && let Some(pidfd) = &worker.pidfd
        {
            // The worker leads a group of its own, with the processes that its task has started.
            let _ = raddle_sys::process::kill_group(worker.pid, signal);
            let _ = pidfd.kill(signal);
        }
    }

    /// Ends a task that a worker runs by ending the worker: first politely, after the grace for good. A task that has not
    /// begun is left alone. Returns whether it runs.
    pub fn terminate(self: &Arc<Self>, number: u64, sentence: Sentence) -> bool {
        let mut shared = self.shared.lock();
        let running = shared.workers.iter_mut().find(|(_, worker)| worker.begun_at(number).is_some());
        let Some((id, worker)) = running else { return false };
        let id = *id;
        if worker.sentence.is_none() {
            worker.sentence = Some(sentence);
            worker.phase = Phase::Leaving;
        }
        drop(shared);
        self.execute(id);
        true
    }

    /// Kills a worker that has been sentenced.
    fn execute(self: &Arc<Self>, worker: u64) {
        let grace = self.settings.kill_grace;
        self.kill(worker, if grace.is_zero() { SIGKILL } else { SIGTERM });
        if !grace.is_zero() {
            let weak = Arc::downgrade(self);
            supervisor::at(Moment::now() + grace, move || {
                if let Some(pool) = weak.upgrade() {
                    pool.kill(worker, SIGKILL);
                }
            });
        }
    }

    /// Looks at `moment` whether the task has run for too long.
    fn watch_deadline(self: &Arc<Self>, worker: u64, number: u64, moment: Moment) {
        let weak = Arc::downgrade(self);
        supervisor::at(moment, move || {
            if let Some(pool) = weak.upgrade().filter(|pool| pool.is_ours()) {
                pool.check_deadline(worker, number);
            }
        });
    }

    fn check_deadline(self: &Arc<Self>, id: u64, number: u64) {
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(id) else { return };
        let begun = worker.begun_at(number);
        let timeout = worker.handed().find(|(_, handed)| handed.number == number);
        let Some(timeout) = timeout.and_then(|(_, handed)| handed.order.timeout) else { return };
        let now = Moment::now();
        let due = begun.map_or(now + timeout, |begun| begun + timeout);
        if due > now {
            drop(shared);
            return self.watch_deadline(id, number, due);
        }
        worker.sentence.get_or_insert(Sentence::Timeout);
        worker.phase = Phase::Leaving;
        drop(shared);
        self.execute(id);
    }

    /// Takes no further tasks. The workers end when everything is done.
    pub fn drain(self: &Arc<Self>) {
        self.shared.lock().draining = true;
        self.end_if_over();
    }

    /// Whether the pool takes no further tasks.
    pub fn is_draining(&self) -> bool {
        self.shared.lock().draining
    }

    /// Takes out the tasks that no worker has begun.
    pub fn clear(self: &Arc<Self>) -> Vec<C::Task> {
        let mut shared = self.shared.lock();
        let mut tasks: Vec<_> =
            std::mem::take(&mut shared.returned).into_iter().map(|waiting| waiting.order.task).collect();
        tasks.extend(std::iter::from_fn(|| shared.ready.pop()).map(|waiting| waiting.order.task));
        let mut handed = Vec::new();
        for (_, worker) in &mut shared.workers {
            handed.extend(std::iter::from_fn(|| worker.take_back_last()).map(|handed| handed.order.task));
        }
        drop(shared);
        tasks.extend(handed.into_iter().filter(|task| self.client.put_back(task)));
        self.end_if_over();
        tasks
    }

    /// Kills every worker; the tasks that they run are lost.
    pub fn kill_workers(self: &Arc<Self>, politely: bool) {
        let mut shared = self.shared.lock();
        shared.draining = true;
        for (_, worker) in &mut shared.workers {
            worker.sentence.get_or_insert(Sentence::Shutdown);
            worker.phase = Phase::Leaving;
        }
        let ids: Vec<_> = shared.workers.iter().map(|(id, _)| *id).collect();
        drop(shared);
        for id in ids {
            if politely {
                self.execute(id);
            } else {
                self.kill(id, SIGKILL);
            }
        }
        self.end_if_over();
    }

    /// Sleeps until every worker has ended, after [`Pool::drain`].
    pub fn wait_ended(&self, deadline: Option<Moment>) -> Wake {
        while self.ended.load() == 0 {
            match self.ended.wait(0, deadline) {
                Wake::Woken => {}
                other => return other,
            }
        }
        Wake::Woken
    }

    /// Tells the workers to leave when nothing is left to be done.
    pub(super) fn end_if_over(self: &Arc<Self>) {
        let mut shared = self.shared.lock();
        let over = shared.is_over() || (shared.broken && shared.draining);
        if !over {
            return;
        }
        for (_, worker) in &mut shared.workers {
            worker.retire();
        }
        let ended = shared.workers.is_empty();
        drop(shared);
        if ended {
            self.ended.store(1);
            self.ended.wake_all();
            self.bell.wake(Who::Collector);
        }
    }

    fn buried(self: &Arc<Self>, id: u64, exit: Option<Exit>, out_of_memory: Option<bool>) {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        let Some(index) = shared.workers.iter().position(|(other, _)| *other == id) else { return };
        // What it said before it died counts.
        while shared.collect_one(index, &mut aftermath) {}
        let (_, mut worker) = shared.workers.remove(index);
        let expected = worker.phase == Phase::Leaving;
        if !expected {
            self.died.fetch_add(1, Ordering::Relaxed);
        }
        if worker.phase == Phase::Starting {
            shared.stillborn += 1;
        }
        let mut lost = Vec::new();
        for (handed, begun) in worker.strip().into_iter().rev() {
            if begun.is_some() {
                lost.push((handed.order.task, begun));
            } else if self.client.put_back(&handed.order.task) {
                shared.returned.push(Waiting { number: handed.number, order: handed.order });
            } else {
                aftermath.dropped.push(handed.order.task);
            }
        }
        let hopeless = shared.stillborn >= STILLBORN
            && !shared.workers.iter().any(|(_, worker)| worker.phase == Phase::Up);
        if !hopeless {
            shared.dispatch(&self.client, &mut aftermath);
        }
        drop(shared);
        let death = |begun| {
            Arc::new(Death {
                worker: Arc::clone(&worker.name),
                pid: worker.pid,
                exit,
                out_of_memory,
                sentence: worker.sentence,
                corrupt: worker.corrupt,
                begun,
            })
        };
        if let Some(what) = worker.corrupt {
            self.client.complain(&format!("{} was killed: its channel is corrupt ({what})", worker.name));
        }
        for (task, begun) in lost {
            self.client.lost(task, death(begun));
        }
        if hopeless {
            self.client.hopeless(death(None));
            self.abandon_all();
        }
        self.follow(aftermath);
        self.end_if_over();
        self.wake_leader();
    }
}

impl<C: Client> Ward for Pool<C> {
    fn launched(self: Arc<Self>, ticket: u64, pid: u32, pidfd: Pidfd) {
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(ticket) else { return };
        worker.pid = pid;
        worker.pidfd = Some(pidfd);
        let doomed = worker.sentence.is_some() || shared.broken;
        drop(shared);
        if doomed {
            self.kill(ticket, SIGKILL);
        }
    }

    fn refused(self: Arc<Self>, ticket: u64, error: io::Error) {
        self.shared.lock().workers.retain(|(other, _)| *other != ticket);
        Self::refused(&self, &error);
    }

    fn ended(self: Arc<Self>, ticket: u64, exit: Option<Exit>, out_of_memory: Option<bool>) {
        self.buried(ticket, exit, out_of_memory);
    }
}

impl<T> Worker<T> {
    /// Takes no further tasks, and ends when it has done what it has.
    pub(super) fn retire(&mut self) {
        self.phase = Phase::Leaving;
        if !self.told_to_leave && self.tell(message::LEAVE, &[]).is_ok() {
            self.told_to_leave = true;
            self.side.nudge();
        }
    }
}
