//! Workers, slots, the ready queue and shutdown.
//!
//! A pool has a *target*, the number of jobs that may run at once. A worker that runs a job, or is on its way to one,
//! occupies a *slot*; a parked worker does not, nor does one that blocks inside a job ([`Pool::release_slot`]) or whose
//! job has been given up ([`Pool::abandon`]). The invariant that everything below keeps (`shared.rs`):
//!
//! > While a job is ready and a slot is free, a worker is on its way.
//!
//! ```text
//!   submit ─▶ ready ─▶ worker: next ─▶ run ─▶ next ─▶ … ─▶ parked (most recent first)
//!                        │                      ▲            │
//!                        └ blocks: frees slot ──┘ retakes it └ woken by submit, by a freed slot, by another worker
//! ```
//!
//! **Waking.** A worker is woken only while none is coming; when it arrives and finds more than it can do, it wakes the next
//! one. A flood of tiny jobs therefore does not wake a thousand workers that would only wait for each other (or for the
//! interpreter), and sleeping jobs still spread over all workers within microseconds each. The scheme is Go's "spinning"
//! throttle without the spinning. Starting is not throttled: as in Python's own pool, each job for which nobody is idle or
//! coming starts a worker, up to the target.
//!
//! **Shutdown.** Workers end when the pool is draining, nothing is ready and nobody holds a [`Reservation`] (a promise
//! to submit later: a retry, a dependency). The last one rings `ended`.
//!
//! **Locking.** One mutex, held for a few instructions and never while the runtime is called.

use crate::reservation::Reservation;
use crate::shared::{ABANDONED, Aftermath, BLOCKED, Post, Remedy, Shared, Stats, Step};
use raddle_sync::primitives::{Arc, Guard, Mutex, Ordering};
use raddle_sync::{Moment, WaitWord, Wake};
use raddle_task::ready::ReadyQueue;
use std::fmt;
use std::io;
use std::ops::ControlFlow;

/// What a pool needs to know of the world it works in.
pub trait Runtime: Send + Sync + Sized + 'static {
    /// What is queued and run. It is never dropped by the pool itself, only handed to `run` or back to the caller.
    type Job: Send + 'static;
    /// What each worker keeps for itself.
    type Local: Send + Sync + 'static;

    /// Starts a thread that calls [`Pool::work`].
    ///
    /// # Errors
    ///
    /// When the system refuses; the pool then does without.
    fn spawn(&self, pool: &Arc<Pool<Self>>) -> io::Result<()>;

    /// A worker could not be started where nobody can be told. `stranded` are the jobs that no worker is left for; the
    /// others wait for those that there are.
    fn unheard(&self, error: io::Error, stranded: Vec<Self::Job>);

    /// Runs one job on the calling worker. Must not unwind.
    fn run(&self, pool: &Arc<Pool<Self>>, job: Self::Job, local: &Arc<Self::Local>);

    /// Runs `wait`, which sleeps, with whatever must be let go meanwhile.
    fn detached<R: Send>(&self, local: &Arc<Self::Local>, wait: impl FnOnce() -> R + Send) -> R;
}

/// Why a job was not taken; it comes back in either case.
pub enum Submit<J> {
    /// The queue is at its bound. Sleep with [`Pool::wait_for_space`], handing the number back.
    Full(J, u32),
    /// The pool is shut down.
    Closed(J),
    /// No worker is alive and none can be started.
    NoWorker(J, io::Error),
}

impl<J> fmt::Debug for Submit<J> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_, seen) => formatter.debug_tuple("Full").field(seen).finish(),
            Self::Closed(_) => formatter.write_str("Closed"),
            Self::NoWorker(_, error) => formatter.debug_tuple("NoWorker").field(error).finish(),
        }
    }
}

/// A pool of worker threads; see the module's description. Shared by `Arc`; safe across threads, not across fork.
pub struct Pool<R: Runtime> {
    runtime: R,
    max_pending: usize,
    epoch: u32,
    shared: Mutex<Shared<R::Job>>,
    /// Rises when the queue has room again.
    space: WaitWord,
    /// 1 once the pool is draining and every worker has ended.
    ended: WaitWord,
}

impl<R: Runtime> fmt::Debug for Pool<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl<R: Runtime> Pool<R> {
    /// A pool that runs up to `target` jobs at once and lets `max_pending` wait (`None`: any number). Starts no thread.
    #[must_use]
    pub fn new(runtime: R, target: usize, max_pending: Option<usize>) -> Arc<Self> {
        let shared = Shared {
            ready: ReadyQueue::default(),
            idle: Vec::new(),
            target,
            total: 0,
            occupied: 0,
            blocked: 0,
            abandoned: 0,
            reserve: 0,
            coming: 0,
            reserved: 0,
            draining: false,
            space_wanted: false,
        };
        Arc::new(Self {
            runtime,
            max_pending: max_pending.unwrap_or(usize::MAX),
            epoch: raddle_sys::fork::epoch(),
            shared: Mutex::new(shared),
            space: WaitWord::new(0),
            ended: WaitWord::new(0),
        })
    }

    /// What the pool was made with.
    #[inline]
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// Whether this process made the pool, and not an ancestor that was forked.
    #[inline]
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.epoch == raddle_sys::fork::epoch()
    }

    /// Queues a job; higher priorities start first.
    ///
    /// # Errors
    ///
    /// See [`Submit`]; the job comes back.
    pub fn submit(self: &Arc<Self>, job: R::Job, priority: i32) -> Result<(), Submit<R::Job>> {
        self.admit(job, priority, self.max_pending)
    }

    /// The same past the queue's bound, for jobs that bound themselves.
    ///
    /// # Errors
    ///
    /// As for [`Pool::submit`], but never [`Submit::Full`].
    pub fn submit_unbounded(self: &Arc<Self>, job: R::Job, priority: i32) -> Result<(), Submit<R::Job>> {
        self.admit(job, priority, usize::MAX)
    }

    fn admit(self: &Arc<Self>, job: R::Job, priority: i32, bound: usize) -> Result<(), Submit<R::Job>> {
        let mut shared = self.shared.lock();
        if shared.draining {
            return Err(Submit::Closed(job));
        }
        if shared.ready.len() >= bound {
            shared.space_wanted = true;
            return Err(Submit::Full(job, self.space.load()));
        }
        shared.ready.push(job, priority);
        if shared.total > 0 {
            self.follow_up(shared);
            return Ok(());
        }
        // Nobody is there yet: the first worker must come, or the job would lie there for ever.
        shared.total += 1;
        shared.occupied += 1;
        shared.coming += 1;
        drop(shared);
        let Err(error) = self.spawn() else { return Ok(()) };
        let mut shared = self.shared.lock();
        // Somebody else may have had more luck. If not, every rival takes one job back: their own, or each other's.
        let alone = shared.total == 0;
        match if alone { shared.ready.pop_last(priority) } else { None } {
            Some(job) => {
                // Others may have relied on the worker that did not come.
                drop(shared);
                self.strand(io::Error::from(error.kind()));
                Err(Submit::NoWorker(job, error))
            }
            None => Ok(()),
        }
    }

    /// Queues a job for a pool that may be draining and may be full: the continuation of one that it has accepted.
    pub fn resubmit(self: &Arc<Self>, job: R::Job, priority: i32) {
        let mut shared = self.shared.lock();
        shared.ready.push(job, priority);
        self.follow_up(shared);
    }

    /// Sleeps until the queue may have room, after [`Submit::Full`] returned `seen`.
    pub fn wait_for_space(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        self.space.wait(seen, deadline)
    }

    /// Promises a job for later: the pool does not end before the promise is kept or dropped. `None` while draining.
    pub fn reserve(self: &Arc<Self>) -> Option<Reservation<R>> {
        let mut shared = self.shared.lock();
        if shared.draining {
            return None;
        }
        shared.reserved += 1;
        Some(Reservation::new(Arc::clone(self)))
    }

    /// The same for a job that the pool has accepted before, which may be draining.
    pub fn reserve_again(self: &Arc<Self>) -> Reservation<R> {
        self.shared.lock().reserved += 1;
        Reservation::new(Arc::clone(self))
    }

    /// Ends a critical section and does what follows from it.
    #[inline]
    fn follow_up(self: &Arc<Self>, shared: Guard<'_, Shared<R::Job>>) {
        // Nearly always so in a flood of jobs.
        let settled = !shared.draining && shared.step() == Step::Nothing;
        if !settled {
            self.carry_out(shared);
        }
    }

    fn carry_out(self: &Arc<Self>, mut shared: Guard<'_, Shared<R::Job>>) {
        let Aftermath { remedy, sleepers, ended } = shared.aftermath();
        drop(shared);
        for sleeper in sleepers {
            sleeper.parker.unpark();
        }
        if ended {
            self.ring_ended();
        }
        match remedy {
            Remedy::Nothing => {}
            Remedy::Wake(post) => post.parker.unpark(),
            Remedy::Spawn => {
                if let Err(error) = self.spawn() {
                    self.strand(error);
                }
            }
        }
    }

    /// A start has failed: nobody may be left for the jobs that wait.
    fn strand(self: &Arc<Self>, error: io::Error) {
        let mut shared = self.shared.lock();
        let alone = shared.total == 0;
        let stranded = if alone { std::iter::from_fn(|| shared.ready.pop()).collect() } else { Vec::new() };
        drop(shared);
        // Whoever sleeps for room has it now, and no worker comes who would say so.
        self.ring_space();
        self.runtime.unheard(error, stranded);
    }

    /// Starts a worker that has been accounted for.
    fn spawn(self: &Arc<Self>) -> io::Result<()> {
        self.runtime.spawn(self).inspect_err(|_| {
            let mut shared = self.shared.lock();
            shared.occupied -= 1;
            shared.total -= 1;
            shared.coming -= 1;
            // No remedy here: it would be to start a worker.
            let ended = shared.may_end() && shared.total == shared.abandoned;
            drop(shared);
            if ended {
                self.ring_ended();
            }
        })
    }

    /// A worker's life: runs jobs until the pool ends. Called by the thread that [`Runtime::spawn`] started.
    pub fn work(self: &Arc<Self>, post: &Arc<Post>, local: &Arc<R::Local>) {
        #[cfg(not(loom))]
        let _current = crate::slot::enter(Arc::clone(self), Arc::clone(post));
        post.expected.store(true, Ordering::Relaxed);
        while let ControlFlow::Continue(job) = self.next(local, post) {
            if let Some(job) = job {
                self.runtime.run(self, job, local);
                if !self.is_ours() {
                    return;
                }
            }
        }
    }

    /// The next job, nothing (after a sleep: look again), or the worker's end.
    fn next(self: &Arc<Self>, local: &Arc<R::Local>, post: &Arc<Post>) -> ControlFlow<(), Option<R::Job>> {
        let mut shared = self.shared.lock();
        shared.coming -= usize::from(post.expected.swap(false, Ordering::Relaxed));
        if shared.occupied <= shared.target
            && let Some(job) = shared.ready.pop()
        {
            let space_wanted = std::mem::take(&mut shared.space_wanted);
            self.follow_up(shared);
            if space_wanted {
                self.ring_space();
            }
            return ControlFlow::Continue(Some(job));
        }
        shared.occupied -= 1;
        if shared.may_end() || shared.total > shared.target.saturating_add(shared.reserve) {
            shared.total -= 1;
            self.follow_up(shared);
            return ControlFlow::Break(());
        }
        shared.idle.push(Arc::clone(post));
        drop(shared);
        self.runtime.detached(local, || while post.parker.park(None) != Wake::Woken {});
        if self.is_ours() { ControlFlow::Continue(None) } else { ControlFlow::Break(()) }
    }

    fn ring_ended(&self) {
        self.ended.store(1);
        self.ended.wake_all();
    }

    fn ring_space(&self) {
        self.space.fetch_add(1);
        self.space.wake_all();
    }

    /// The worker at `post` is about to block inside its job: its slot is free for another worker until
    /// [`Pool::retake_slot`].
    pub fn release_slot(self: &Arc<Self>, post: &Post) {
        let mut shared = self.shared.lock();
        shared.occupied -= usize::from(post.raise(BLOCKED));
        shared.blocked += 1;
        shared.reserve = shared.reserve.max(shared.blocked + shared.abandoned);
        self.follow_up(shared);
    }

    /// The worker goes on with its job. It does not wait for a slot: for a while one more than the target may
    /// run, until the next of them ends its job.
    pub fn retake_slot(&self, post: &Post) {
        let mut shared = self.shared.lock();
        shared.occupied += usize::from(post.lower(BLOCKED));
        shared.blocked -= 1;
    }

    /// Some worker's job has been given up: a slot is free, and the pool may end without that worker.
    pub fn abandon(self: &Arc<Self>, post: &Post) {
        let mut shared = self.shared.lock();
        shared.occupied -= usize::from(post.raise(ABANDONED));
        shared.abandoned += 1;
        shared.reserve = shared.reserve.max(shared.blocked + shared.abandoned);
        self.follow_up(shared);
    }

    /// The worker of an abandoned job has come back and is ready for others.
    pub fn readmit(&self, post: &Post) {
        let mut shared = self.shared.lock();
        shared.occupied += usize::from(post.lower(ABANDONED));
        shared.abandoned -= 1;
    }

    /// Whether a job waits for a worker.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.shared.lock().ready.is_empty()
    }

    /// Changes how many jobs may run at once. Surplus workers end after their job.
    pub fn resize(self: &Arc<Self>, target: usize) {
        let mut shared = self.shared.lock();
        shared.target = target;
        shared.reserve = shared.blocked + shared.abandoned;
        // Idle workers look again, and those that are too many end; busy ones do so after their job.
        let sleepers = shared.take_idle();
        drop(shared);
        for sleeper in sleepers {
            sleeper.parker.unpark();
        }
        loop {
            let mut shared = self.shared.lock();
            let remedy = shared.remedy();
            drop(shared);
            match remedy {
                Remedy::Spawn if self.spawn().is_ok() => {}
                // Those that are woken wake others in turn.
                Remedy::Wake(post) => return post.parker.unpark(),
                _ => return,
            }
        }
    }

    /// How many jobs may run at once.
    #[must_use]
    pub fn target(&self) -> usize {
        self.shared.lock().target
    }

    /// Accepts no further jobs; the workers end when all that were accepted are done. Returns at once.
    pub fn drain(self: &Arc<Self>) {
        let mut shared = self.shared.lock();
        shared.draining = true;
        self.follow_up(shared);
        self.ring_space();
    }

    /// Whether [`Pool::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.lock().draining
    }

    /// Takes every job that has not started out of the queue, for the caller to cancel.
    pub fn withdraw(self: &Arc<Self>) -> Vec<R::Job> {
        let mut shared = self.shared.lock();
        let jobs = std::iter::from_fn(|| shared.ready.pop()).collect();
        self.follow_up(shared);
        self.ring_space();
        jobs
    }

    /// Sleeps until every worker has ended after [`Pool::drain`], or until `deadline` or a signal.
    pub fn wait_ended(&self, deadline: Option<Moment>) -> Wake {
        while self.ended.load() == 0 {
            match self.ended.wait(0, deadline) {
                Wake::Woken => {}
                other => return other,
            }
        }
        Wake::Woken
    }

    /// Numbers of workers and jobs at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = self.shared.lock();
        Stats {
            workers: shared.total,
            busy: shared.occupied,
            idle: shared.idle.len(),
            blocked: shared.blocked,
            abandoned: shared.abandoned,
            queued: shared.ready.len(),
            reserved: shared.reserved,
        }
    }

    pub(crate) fn end_reservation(self: &Arc<Self>, kept: Option<(R::Job, i32)>) {
        let mut shared = self.shared.lock();
        shared.reserved -= 1;
        if let Some((job, priority)) = kept {
            shared.ready.push(job, priority);
        }
        self.follow_up(shared);
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests;
