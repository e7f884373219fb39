//! Ending tasks that run: those that run too long, and those that somebody wants ended. A task ends with its worker's process.
//!
//! **Whom it hits.** A sentence is for one task. Before it is passed, what its worker was handed besides is taken back. If the
//! worker has begun another task even so, the one that was meant is over, and nobody is killed. So a sentenced worker has one
//! task in its hands, and whenever the signal arrives, it hits no other.
//!
//! **Deadlines** are watched by worker, not by task: the supervisor's agenda holds one entry for each worker that has tasks with a
//! timeout, which looks at all of them when the earliest could be due, and then again at the earliest that is left. A task that
//! ends in time never touches the agenda.
//!
//! A task that answers SIGTERM by ending within the grace has not ended in time: what it says then is not its outcome.

use super::life::Event;
use super::order::Sentence;
use super::shared::{Aftermath, Shared};
use super::worker::{Phase, Worker};
use super::{Client, Pool};
use crate::supervisor::{self, Appointment};
use raddle_sync::Moment;
use std::sync::Arc;

/// The signals by which a worker is told to end, and made to.
pub(super) const SIGTERM: i32 = 15;
pub(super) const SIGKILL: i32 = 9;

/// The places of a worker's appointments.
const DEADLINE: usize = 0;
const EXECUTION: usize = 1;

impl<C: Client> Shared<C> {
    fn note_appointment(&mut self, worker: u64, place: usize, appointment: Option<Appointment>) {
        if let Some(worker) = self.worker(worker) {
            worker.appointments[place] = appointment;
        }
    }
}

impl<C: Client> Pool<C> {
    /// Ends a task that a worker runs by ending the worker: first politely, after the grace for good. A task that has not
    /// begun is left alone. Returns whether it runs.
    pub fn terminate(self: &Arc<Self>, number: u64, sentence: Sentence) -> bool {
        let running = |worker: &Worker<C::Task>| worker.begun_at(number).is_some();
        let shared = self.shared.lock();
        let Some((id, _)) = shared.workers.iter().find(|(_, worker)| running(worker)) else { return false };
        let id = *id;
        drop(shared);
        self.sentence(id, number, sentence)
    }

    /// Ends a worker because of the task that it runs, unless that is over. Returns whether it is not.
    fn sentence(self: &Arc<Self>, id: u64, number: u64, sentence: Sentence) -> bool {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(id) else { return false };
        let back: Vec<_> = worker.take_back_all().collect();
        let runs = worker.last().is_some_and(|(order, _)| order.number == number);
        let first = runs && worker.sentence.is_none();
        if first {
            worker.sentence = Some(sentence);
            worker.condemned = Some(number);
            worker.phase = Phase::Leaving;
        }
        for order in back {
            shared.put_back(order, &self.client, &mut aftermath);
        }
        drop(shared);
        if first {
            self.execute(id);
        }
        // Whatever there is to do, another worker does it. Starting that is none of the supervisor's business.
        self.post(Event::Returned(aftermath.dropped));
        runs
    }

    /// Kills a worker that has been sentenced.
    pub(super) fn execute(self: &Arc<Self>, worker: u64) {
        let grace = self.settings.kill_grace;
        self.kill(worker, if grace.is_zero() { SIGKILL } else { SIGTERM });
        if !grace.is_zero() {
            let appointment = self.later(Moment::now() + grace, move |pool| pool.kill(worker, SIGKILL));
            self.shared.lock().note_appointment(worker, EXECUTION, appointment);
        }
    }

    /// Has a worker's tasks looked at at `moment`.
    pub(super) fn watch_deadlines(self: &Arc<Self>, worker: u64, moment: Moment) {
        let appointment = self.later(moment, move |pool| pool.check_deadlines(worker, moment));
        let mut shared = self.shared.lock();
        // It may be there already, and over; and another thread may have been told of an earlier one since.
        if shared.worker(worker).is_some_and(|worker| worker.alarm == Some(moment)) {
            shared.note_appointment(worker, DEADLINE, appointment);
        }
    }

    /// Has something done at its time on the supervisor's thread, if the pool is still there then.
    pub(super) fn later(
        self: &Arc<Self>,
        moment: Moment,
        act: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Option<Appointment> {
        let weak = Arc::downgrade(self);
        let appointment = supervisor::at(moment, move || {
            if let Some(pool) = weak.upgrade().filter(|pool| pool.is_ours()) {
                act(&pool);
            }
        });
        appointment.ok()
    }

    fn check_deadlines(self: &Arc<Self>, id: u64, moment: Moment) {
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(id).filter(|worker| worker.sentence.is_none()) else { return };
        if worker.alarm == Some(moment) {
            worker.alarm = None;
        }
        let now = Moment::now();
        let due = |(claim, timeout)| worker.side.begun_at(claim).unwrap_or(now) + timeout;
        let timed =
            worker.handed().filter_map(|(claim, order)| Some((order.number, (claim, order.timeout?))));
        let (overdue, ahead): (Vec<_>, Vec<_>) =
            timed.map(|(number, timed)| (number, due(timed))).partition(|(_, due)| *due <= now);
        let next = ahead.into_iter().map(|(_, due)| due).min();
        let alarm = next.and_then(|next| worker.set_alarm(next));
        drop(shared);
        // Of several, all but the last are over and have not been collected.
        let killed = overdue.last().is_some_and(|(number, _)| self.sentence(id, *number, Sentence::Timeout));
        if let Some(alarm) = alarm.filter(|_| !killed) {
            self.watch_deadlines(id, alarm);
        }
    }
}

impl<T> Worker<T> {
    /// Notes that its tasks are to be looked at at `moment`. Returns that if nobody would have done so before.
    pub(super) fn set_alarm(&mut self, moment: Moment) -> Option<Moment> {
        let sooner = self.alarm.is_none_or(|alarm| moment < alarm);
        sooner.then(|| *self.alarm.insert(moment))
    }
}
