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
use super::sentences::{SIGKILL, SIGTERM};
use super::shared::{Aftermath, Shared};
use super::worker::{Phase, Worker};
use super::{Client, Pool};
use crate::arena::{Arena, Gallery, View};
use crate::channel::{ParentSide, Who};
use crate::message;
use crate::supervisor::{self, Appointment, Start, Ward};
use raddle_sync::{Moment, Wake};
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::shortage::{is_shortage, limit_behind};
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
    /// Tasks may be back in the queue, and these are not: there is something to hand out.
    Returned(Vec<T>),
}

/// So many workers in a row that die before they have done anything break the pool.
const STILLBORN: usize = 3;
/// The same where somebody else has killed them, who may stop doing so.
const SHOT: usize = 100;

/// How long no further worker is started when one could not be, and others do the work.
const SPARED: Duration = Duration::from_millis(500);
/// The same at first where there are no others; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// After so many pauses, three seconds together, the pool breaks.
const MOST_REFUSALS: u32 = 6;

/// How soon to look again whether a worker has read what it was sent.
const CRAMPED: Duration = Duration::from_millis(1);

impl<C: Client> Pool<C> {
    /// Does what a look at the shared state has asked for, without the lock.
    pub(super) fn follow(self: &Arc<Self>, aftermath: Aftermath<C>) {
        let Aftermath { finished, lost, dropped, notes, broken, starts, corrupt, alarms, space, mut cramped } =
            aftermath;
        for (worker, moment) in alarms {
            self.watch_deadlines(worker, moment);
        }
        let told = finished.len() + lost.len();
        let done = told > 0 || !dropped.is_empty();
        // What a task has said comes before its end.
        for (worker, kind, body) in notes {
            self.client.note(&worker, kind, body);
        }
        for (order, mut reply) in finished {
            if reply.crowded {
                reply.parcel = reply.parcel.map(View::copied);
            }
            self.client.finished(self, order, reply);
        }
        for (order, death) in lost {
            self.client.lost(self, order, death);
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
            match self.start_worker() {
                Ok(()) => {}
                // The client has something more urgent to see to.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    cramped = true;
                    break;
                }
                Err(error) => {
                    self.refuse(None, &error);
                    break;
                }
            }
        }
        self.watch_memory();
        if cramped {
            self.dispatch_at(Moment::now() + CRAMPED);
        }
        if told > 0 {
            self.shared.lock().reserved -= told;
        }
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
            waiting.extend(worker.take_back_all());
            worker.phase = Phase::Leaving;
        }
        let staying = shared.workers.iter().filter(|(_, worker)| !worker.told_to_leave);
        let workers: Vec<_> = staying.map(|(id, _)| *id).collect();
        drop(shared);
        for order in waiting {
            self.client.abandoned(order.task);
        }
        self.client.deserted();
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
        let results = Arena::memory_with_ceiling("raddle-results", self.settings.results_limit)?;
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
        let mut worker = Worker::new(Arc::clone(&name), side, gallery);
        worker.news.clone_from(&shared.news);
        shared.workers.push((id, worker));
        drop(shared);
        let ward: Arc<dyn Ward> = Arc::<Self>::clone(self);
        let start =
            Start { ward, ticket: id, launch: self.settings.launch.clone(), fds, extra, order, attempts: 0 };
        supervisor::start(start).inspect_err(|_| {
            let mut shared = self.shared.lock();
            shared.workers.retain(|(other, _)| *other != id);
        })
    }

    /// A worker could not be started. Those that there are do the work. Without any, it is tried again for as long as there is a chance: the
    /// system may lack for a moment what somebody else is about to give back.
    fn refuse(self: &Arc<Self>, ticket: Option<u64>, error: &io::Error) {
        let mut shared = self.shared.lock();
        shared.workers.retain(|(other, _)| Some(*other) != ticket);
        let why = format!("a worker process could not be started: {error}{}", limit_behind(error));
        let able = shared.workers.iter().any(|(_, worker)| worker.phase == Phase::Up);
        // Several may be refused at a time.
        let pause = shared.note_refusal(able);
        let lasts = shared.workers.is_empty() && (!is_shortage(error) || shared.refusals > MOST_REFUSALS);
        drop(shared);
        let again = pause.filter(|_| !lasts).map(|pause| self.dispatch_at(Moment::now() + pause));
        if lasts || again == Some(false) {
            self.shared.lock().broken = true;
            self.client.hopeless(None, &why);
            self.abandon_all();
        } else if able && pause.is_some() {
            self.client.complain(&format!("{why}; the executor goes on with the workers that it has"));
        }
        self.end_if_over();
    }

    /// Looks at that time whether there is something to hand out, or a worker to be started. Returns whether that will happen.
    fn dispatch_at(self: &Arc<Self>, moment: Moment) -> bool {
        let planned = self.later(moment, |pool| {
            if pool.ensure_collector().is_err() {
                // Somebody has to do it.
                pool.dispatch_at(Moment::now() + FIRST_PAUSE);
            }
            pool.post(Event::Returned(Vec::new()));
        });
        planned.map(Appointment::keep).is_some()
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
            let group = raddle_sys::process::kill_group(pid, signal);
            // A signal that can be handled must not come twice; one that can't has to come, whatever group it is in now.
            if group.is_err() || signal == SIGKILL {
                let _ = pidfd.kill(signal);
            }
        }
    }

    /// Takes no further tasks. The workers end when everything is done.
    pub fn drain(self: &Arc<Self>) {
        self.shared.lock().draining = true;
        // Those who wait for room learn that there is none for them.
        self.space.fetch_add(1);
        self.space.wake_all();
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
            std::mem::take(&mut shared.returned).into_iter().map(|order| order.task).collect();
        tasks.extend(std::iter::from_fn(|| shared.ready.pop()).map(|order| order.task));
        let mut handed = Vec::new();
        for (_, worker) in &mut shared.workers {
            handed.extend(worker.take_back_all().map(|order| order.task));
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
        if ended {
            // Under the lock: what is queued from now on is refused.
            self.ended.store(1);
        }
        drop(shared);
        if ended {
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
        let (name, stripped) = (Arc::clone(&worker.name), worker.strip());
        let death = |task: Option<u64>, begun| {
            // A sentence that was passed for one task tells nothing of another one.
            let sentence = worker.sentence.filter(|_| worker.condemned.is_none() || worker.condemned == task);
            let (pid, corrupt) = (worker.pid, worker.corrupt);
            Arc::new(Death { worker: Arc::clone(&name), pid, exit, out_of_memory, sentence, corrupt, begun })
        };
        let mut abandoned = Vec::new();
        for (order, begun) in stripped.into_iter().rev() {
            if begun.is_some() && (worker.sentence.is_some() || !shared.broken) {
                shared.reserved += 1;
                let death = death(Some(order.number), begun);
                aftermath.lost.push((order, death));
            } else if shared.broken {
                abandoned.push(order.task);
            } else {
                shared.put_back(order, &self.client, &mut aftermath);
            }
        }
        let mut hopeless = false;
        if worker.phase != Phase::Leaving {
            self.died.fetch_add(1, Ordering::Relaxed);
            let shot =
                worker.sentence.is_none() && matches!(exit, None | Some(Exit::Signal(SIGKILL | SIGTERM)));
            shared.note_death(
                worker.done == 0 && aftermath.lost.is_empty(),
                if shot { SHOT } else { STILLBORN },
            );
            hopeless = shared.is_hopeless() && !shared.broken;
        }
        if hopeless {
            self.client.hopeless(Some(death(None, None)), "");
            shared.broken = true;
        }
        shared.dispatch(&self.client, &mut aftermath);
        drop(shared);
        if let Some(what) = worker.corrupt {
            self.client.complain(&format!("{} was killed: its channel is corrupt ({what})", worker.name));
        }
        // The last words come before the news of the end.
        self.follow(aftermath);
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
        // It may have spoken, and been found out, before this was known.
        let doomed = worker.sentence.is_some() || worker.corrupt.is_some() || shared.broken;
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

impl<C: Client> Shared<C> {
    /// A worker could not be started. Returns how long none is started now, but for the first only of several that are refused at a time.
    fn note_refusal(&mut self, able: bool) -> Option<Duration> {
        let now = Moment::now();
        if self.spared_until.is_some_and(|until| now < until) {
            return None;
        }
        self.refusals = if able { 0 } else { self.refusals + 1 };
        let pause = if able { SPARED } else { FIRST_PAUSE * 2_u32.pow(self.refusals.min(MOST_REFUSALS) - 1) };
        self.spared_until = Some(now + pause);
        Some(pause)
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
