//! The lives of a pool's workers: started when there is work, ended when there are too many of them, replaced when they die.
//!
//! The supervisor's thread keeps the deadlines of all pools, so it only leaves word of a death ([`Event`]); the thread that leads this
//! pool, which may run the user's callbacks, does what follows from it.
//!
//! **One death, one task.** What a worker had begun when it died is lost; it has begun the next task only after it has replied to the
//! last, and its last words are read before its tasks are looked at. Before a worker is killed because of a task, what it has not begun is taken
//! back, so that it can't begin anything else. What was not begun goes to another worker. A function is unpickled after its first
//! call has begun, so whatever kills a worker while it works is a task.

use super::order::{Death, Sentence};
use super::shared::{Aftermath, Shared, Waiting};
use super::worker::{Handed, Phase, Worker};
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
use std::time::Duration;

/// What the supervisor's thread leaves to the one that leads the pool.
pub(super) enum Event<T> {
    Ended {
        ticket: u64,
        exit: Option<Exit>,
        out_of_memory: Option<bool>,
    },
    Refused {
        ticket: u64,
        error: io::Error,
    },
    Warning(String),
    /// Tasks are back in the queue, and these are not.
    Returned(Vec<T>),
}

/// So many workers in a row that die before they have done anything break the pool.
const STILLBORN: usize = 3;
/// The same where somebody else has killed them, who may stop doing so.
const SHOT: usize = 100;

/// How long no further worker is started when one could not be, and others do the work.
const SPARED: Duration = Duration::from_millis(500);

/// The signals by which a worker is told to end, and made to.
const SIGTERM: i32 = 15;
pub(super) const SIGKILL: i32 = 9;

impl<C: Client> Pool<C> {
    /// Does what a look at the shared state has asked for, without the lock.
    pub(super) fn follow(self: &Arc<Self>, aftermath: Aftermath<C>) {
        let Aftermath { finished, dropped, notes, broken, starts, corrupt, timed, space } = aftermath;
        for (worker, number, timeout) in timed {
            self.watch_deadline(worker, number, Moment::now() + timeout);
        }
        let done = !finished.is_empty() || !dropped.is_empty();
        // What a task has said comes before its end.
        for (worker, kind, body) in notes {
            self.client.note(&worker, kind, body);
        }
        for (order, reply) in finished {
            self.client.finished(order.task, reply);
        }
        for task in dropped {
            self.client.dropped(task);
        }
        if broken {
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
                self.refuse(None, &error);
                break;
            }
        }
        self.watch_memory();
        if done {
            self.end_if_over();
        }
    }

    /// Leaves word to the leader.
    pub(super) fn post(&self, event: Event<C::Task>) {
        self.events.lock().push(event);
        self.has_events.store(true, Ordering::Release);
        self.bell.wake(Who::Leader);
        self.bell.wake(Who::Collector);
    }

    /// Does what the supervisor has left to do; returns whether there was anything.
    pub(super) fn handle_events(self: &Arc<Self>) -> bool {
        if !self.has_events.swap(false, Ordering::Acquire) {
            return false;
        }
        let events = std::mem::take(&mut *self.events.lock());
        for event in events {
            match event {
                Event::Ended { ticket, exit, out_of_memory } => self.bury(ticket, exit, out_of_memory),
                Event::Refused { ticket, error } => self.refuse(Some(ticket), &error),
                Event::Warning(what) => self.client.complain(&what),
                Event::Returned(dropped) => {
                    let mut aftermath = Aftermath { dropped, ..Aftermath::default() };
                    self.shared.lock().dispatch(&self.client, &mut aftermath);
                    self.follow(aftermath);
                }
            }
        }
        true
    }

    /// The pool can't run anything any more: neither what waits nor what comes. The client knows why.
    fn abandon_all(self: &Arc<Self>) {
        let mut shared = self.shared.lock();
        shared.broken = true;
        let mut waiting: Vec<_> = std::mem::take(&mut shared.returned);
        waiting.extend(std::iter::from_fn(|| shared.ready.pop()));
        for (_, worker) in &mut shared.workers {
            waiting.extend(worker.take_back_all().map(Waiting::from));
            worker.phase = Phase::Leaving;
        }
        let workers: Vec<_> = shared.workers.iter().map(|(id, _)| *id).collect();
        drop(shared);
        for Waiting { order, .. } in waiting {
            self.client.abandoned(order.task);
        }
        for worker in workers {
            self.execute(worker);
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
        let start =
            Start { ward, ticket: id, launch: self.settings.launch.clone(), fds, extra, order, attempts: 0 };
        supervisor::start(start).inspect_err(|_| {
            let mut shared = self.shared.lock();
            shared.workers.retain(|(other, _)| *other != id);
        })
    }

    /// A worker could not be started. Those that there are do the work; without any, nobody does.
    fn refuse(self: &Arc<Self>, ticket: Option<u64>, error: &io::Error) {
        let mut shared = self.shared.lock();
        shared.workers.retain(|(other, _)| Some(*other) != ticket);
        let why = format!("a worker process could not be started: {error}");
        let alone = shared.workers.is_empty();
        if alone {
            self.client.hopeless(None, &why);
            shared.broken = true;
        } else {
            shared.spared_until = Some(Moment::now() + SPARED);
        }
        drop(shared);
        if alone {
            self.abandon_all();
        } else {
            self.client.complain(&format!("{why}; the executor goes on with the workers that it has"));
        }
        self.end_if_over();
    }

    /// Sends a signal to a worker and to what its task has started.
    pub(super) fn kill(&self, worker: u64, signal: i32) {
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(worker) else { return };
        let Some(pidfd) = worker.pidfd.clone() else { return };
        let pid = worker.pid;
        drop(shared);
        // It leads a group of its own, which has its number for as long as it is there.
        if !pidfd.is_over() {
            let _ = raddle_sys::process::kill_group(pid, signal);
            let _ = pidfd.kill(signal);
        }
    }

    /// Sentences the worker that runs this task, after taking back whatever else it might begin. The signal is the caller's to send. None
    /// when the task does not run; the tasks that nobody wants back, and whether any is back in the queue, are told in any case.
    fn condemn(
        &self,
        shared: &mut Shared<C>,
        number: u64,
        sentence: Sentence,
    ) -> (Option<u64>, Vec<C::Task>, bool) {
        let running = shared.workers.iter_mut().find(|(_, worker)| worker.begun_at(number).is_some());
        let Some((id, worker)) = running else { return (None, Vec::new(), false) };
        let back: Vec<_> = worker.take_back_all().collect();
        // Where a later one has begun, the reply to this one is on its way.
        let condemned = worker.last_handed() == Some(number);
        if condemned {
            worker.sentence.get_or_insert(sentence);
            worker.phase = Phase::Leaving;
        }
        let id = *id;
        let any = !back.is_empty();
        (condemned.then_some(id), self.put_back(shared, back), any)
    }

    /// Puts tasks back into the queue that a worker was handed; returns those that nobody wants any more.
    pub(super) fn put_back(&self, shared: &mut Shared<C>, handed: Vec<Handed<C::Task>>) -> Vec<C::Task> {
        let mut dropped = Vec::new();
        for handed in handed {
            if self.client.put_back(&handed.order.task) {
                shared.returned.push(handed.into());
            } else {
                dropped.push(handed.order.task);
            }
        }
        dropped
    }

    /// Ends a task that a worker runs by ending the worker: first politely, after the grace for good. A task that has not
    /// begun is left alone. Returns whether it runs.
    pub fn terminate(self: &Arc<Self>, number: u64, sentence: Sentence) -> bool {
        let mut shared = self.shared.lock();
        let (condemned, dropped, returned) = self.condemn(&mut shared, number, sentence);
        drop(shared);
        if returned {
            self.post(Event::Returned(dropped));
        }
        condemned.map(|worker| self.execute(worker)).is_some()
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
        drop(shared);
        self.terminate(number, Sentence::Timeout);
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

    /// A worker has ended.
    fn bury(self: &Arc<Self>, id: u64, exit: Option<Exit>, out_of_memory: Option<bool>) {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        let Some(index) = shared.workers.iter().position(|(other, _)| *other == id) else { return };
        // What it said before it died counts.
        while shared.collect_one(&self.client, index, &mut aftermath) {}
        let (_, mut worker) = shared.workers.remove(index);
        let mut lost = Vec::new();
        let mut abandoned = Vec::new();
        let mut back = Vec::new();
        for (handed, begun) in worker.strip().into_iter().rev() {
            if begun.is_some() && (worker.sentence.is_some() || !shared.broken) {
                lost.push((handed.order.task, begun));
            } else if shared.broken {
                abandoned.push(handed.order.task);
            } else {
                back.push(handed);
            }
        }
        aftermath.dropped.extend(self.put_back(&mut shared, back));
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
        let mut hopeless = false;
        if worker.phase != Phase::Leaving {
            self.died.fetch_add(1, Ordering::Relaxed);
            let shot =
                worker.sentence.is_none() && matches!(exit, None | Some(Exit::Signal(SIGKILL | SIGTERM)));
            shared.note_death(worker.done == 0 && lost.is_empty(), if shot { SHOT } else { STILLBORN });
            hopeless = shared.is_hopeless() && !shared.broken;
        }
        if hopeless {
            self.client.hopeless(Some(death(None)), "");
            shared.broken = true;
        }
        shared.dispatch(&self.client, &mut aftermath);
        drop(shared);
        if let Some(what) = worker.corrupt {
            self.client.complain(&format!("{} was killed: its channel is corrupt ({what})", worker.name));
        }
        // The last words come before the news of the end.
        self.follow(aftermath);
        for (task, begun) in lost {
            self.client.lost(task, death(begun));
        }
        for task in abandoned {
            self.client.abandoned(task);
        }
        if hopeless {
            self.abandon_all();
        }
        self.end_if_over();
        self.wake_leader();
    }
}

impl<C: Client> Ward for Pool<C> {
    fn launched(self: Arc<Self>, ticket: u64, pid: u32, pidfd: Arc<Pidfd>) {
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
        self.post(Event::Refused { ticket, error });
    }

    fn ended(self: Arc<Self>, ticket: u64, exit: Option<Exit>, out_of_memory: Option<bool>) {
        self.post(Event::Ended { ticket, exit, out_of_memory });
    }

    fn warn(self: Arc<Self>, what: String) {
        self.post(Event::Warning(what));
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
