//! A pool of worker processes: what is handed to whom, how results are collected, and what follows from a death.
//!
//! ```text
//!  submit ─▶ ready ─▶ dispatch: a worker's window ─▶ it begins ─▶ it replies ─▶ collect ─▶ Client::finished
//!                ▲            │                        │
//!                └────────────┴ taken back, or the     └ it dies: Client::lost, for this task alone
//!                               worker died before
//! ```
//!
//! **Collecting.** Replies lie in the workers' rings until somebody fetches them: the *leader*. A thread that waits for a
//! result leads while it waits, so that the reply wakes the one who wants it and nobody else ([`Pool::drive`]). When nobody
//! waits, the pool's collector thread leads. Workers ring only when the leader sleeps. A leader runs the client's code in two places:
//! [`Client::note`], since what a task has said comes before its end, and [`Client::order`] when a worker is to be started. For the rest it
//! needs no interpreter.
//!
//! **Supervising.** One thread of the process ([`supervisor`](crate::supervisor)) starts workers, hears of their deaths and
//! keeps the deadlines. It decides nothing: a pool does, in `life.rs` and `sentences.rs`.
//!
//! **Locking.** One mutex, held while messages are copied and never while the client's code runs, but for the two short
//! methods that say so.

mod client;
mod collect;
mod life;
mod memory;
mod order;
mod priorities;
mod reservation;
mod sentences;
mod shared;
#[cfg(all(test, not(loom)))]
mod tests;
mod worker;

pub use client::Client;
pub use order::{Death, Definition, Definitions, Order, Reply, Sentence};
pub use reservation::Reservation;

use crate::channel::Bell;
use crate::store::Store;
use crate::supervisor::Launch;
use life::Event;
use raddle_sync::{Moment, Mutex, WaitWord, Wake};
use raddle_sys::fork;
use shared::{Aftermath, Shared};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use worker::{Phase, Worker};

/// How a pool is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the names of its workers.
    pub name: String,
    /// How many workers.
    pub target: usize,
    /// How many tasks may wait; `None`: any number.
    pub max_pending: Option<usize>,
    /// How workers are started.
    pub launch: Launch,
    /// Bytes of arguments that may be under way.
    pub arguments_limit: usize,
    /// Bytes of results that may be under way, of each worker.
    pub results_limit: usize,
    /// After so many tasks a worker is replaced.
    pub max_tasks: Option<u64>,
    /// After a task that leaves a worker with so many private bytes it is replaced.
    pub max_memory: Option<u64>,
    /// A worker with so many private bytes is killed.
    pub memory_limit: Option<u64>,
    /// How long a worker that is told to end may take before it is killed.
    pub kill_grace: Duration,
}

/// Why a task was not taken; it comes back in either case.
#[derive(Debug)]
pub enum Submit<T> {
    /// As many tasks wait as may: sleep with [`Pool::wait_for_space`], handing the number back.
    Full(Order<T>, u32),
    /// The pool is shut down.
    Closed(Order<T>),
    /// Its workers could not be made ready.
    Broken(Order<T>),
}

/// How a pool is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Workers that have been asked for and have not died.
    pub workers: usize,
    /// Of these: with a task in their hands, and at it.
    pub busy: usize,
    /// Of these: with a task that waits for another one.
    pub blocked: usize,
    /// Tasks that no worker has been handed.
    pub queued: usize,
    /// Tasks in workers' hands.
    pub handed: usize,
    /// Workers that died although nobody meant them to.
    pub died: u64,
    /// Workers that were started.
    pub started: u64,
}

/// A pool of worker processes; see the module's description. Shared by `Arc`; safe across threads, not across fork.
pub struct Pool<C: Client> {
    client: C,
    settings: Settings,
    epoch: u32,
    shared: Mutex<Shared<C>>,
    store: Arc<Store>,
    definitions: Definitions,
    bell: Bell,
    /// Whether somebody leads.
    led: AtomicBool,
    collector_started: AtomicBool,
    names: AtomicU64,
    numbers: AtomicU64,
    died: AtomicU64,
    /// What the supervisor has left to the leader.
    events: Mutex<Vec<Event<C::Task>>>,
    has_events: AtomicBool,
    /// Whether the supervisor looks at the workers' memory.
    watching_memory: AtomicBool,
    /// Rises when the queue has room again.
    space: WaitWord,
    /// 1 once the pool is draining and every worker has ended.
    ended: WaitWord,
}

impl<C: Client> fmt::Debug for Pool<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl<C: Client> Pool<C> {
    /// A pool without workers: they are started when there is work.
    ///
    /// # Errors
    ///
    /// When the system refuses memory or file descriptors.
    pub fn new(client: C, settings: Settings) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            client,
            epoch: fork::epoch(),
            shared: Mutex::new(Shared::new(settings.target, settings.max_pending, settings.max_tasks)),
            store: Store::new(settings.arguments_limit)?,
            definitions: Definitions::new(),
            bell: Bell::new()?,
            settings,
            led: AtomicBool::new(false),
            collector_started: AtomicBool::new(false),
            names: AtomicU64::new(0),
            numbers: AtomicU64::new(1),
            died: AtomicU64::new(0),
            events: Mutex::default(),
            has_events: AtomicBool::new(false),
            watching_memory: AtomicBool::new(false),
            space: WaitWord::new(0),
            ended: WaitWord::new(0),
        }))
    }

    /// What the pool was made with.
    pub const fn client(&self) -> &C {
        &self.client
    }

    /// Where arguments are put that no message holds.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What gives functions their numbers.
    pub const fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Whether this process made the pool, and not an ancestor that was forked.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.epoch == fork::epoch()
    }

    /// A number for a task, unlike that of any other.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a task.
    ///
    /// # Errors
    ///
    /// See [`Submit`]; the order comes back.
    pub fn submit(self: &Arc<Self>, order: Order<C::Task>) -> Result<(), Submit<C::Task>> {
        self.admit(order, false)
    }

    /// The same past the queue's bound and in a pool that is draining: the continuation of a task that it had accepted, or one
    /// that bounds itself.
    ///
    /// # Errors
    ///
    /// [`Submit::Broken`], and [`Submit::Closed`] once every worker has ended.
    pub fn resubmit(self: &Arc<Self>, order: Order<C::Task>) -> Result<(), Submit<C::Task>> {
        self.admit(order, true)
    }

    fn admit(self: &Arc<Self>, order: Order<C::Task>, again: bool) -> Result<(), Submit<C::Task>> {
        let gone = if order.function.is_some() { self.definitions.take_gone() } else { Vec::new() };
        let mut shared = self.shared.lock();
        if !gone.is_empty() {
            shared.workers.iter_mut().for_each(|(_, worker)| worker.forget(&gone));
        }
        if shared.broken {
            return Err(Submit::Broken(order));
        }
        if self.ended.load() == 1 || (shared.draining && !again) {
            return Err(Submit::Closed(order));
        }
        if shared.queued() >= shared.max_pending && !again {
            shared.space_wanted = true;
            return Err(Submit::Full(order, self.space.load()));
        }
        let mut aftermath = Aftermath::default();
        shared.queue(order, &self.client, &mut aftermath);
        drop(shared);
        self.follow(aftermath);
        Ok(())
    }

    /// Tells all workers, before the next task that each is handed. Replaces what has been announced before. Not longer than
    /// [`LARGEST`](crate::channel::LARGEST).
    pub fn announce(&self, news: Vec<u8>) {
        let news = Arc::new(news);
        let mut shared = self.shared.lock();
        for (_, worker) in &mut shared.workers {
            worker.news = Some(Arc::clone(&news));
        }
        shared.news = Some(news);
    }

    /// Promises a task for later: the pool does not end before the promise is dropped. `None` while draining.
    pub fn reserve(self: &Arc<Self>) -> Option<Reservation<C>> {
        let mut shared = self.shared.lock();
        if shared.draining {
            return None;
        }
        shared.reserved += 1;
        Some(Reservation::new(Arc::clone(self)))
    }

    /// The same for a task that the pool has accepted before, which may be draining.
    pub fn reserve_again(self: &Arc<Self>) -> Reservation<C> {
        self.shared.lock().reserved += 1;
        Reservation::new(Arc::clone(self))
    }

    fn end_reservation(self: &Arc<Self>, kept: Option<Order<C::Task>>) {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        shared.reserved -= 1;
        let refused = match kept {
            Some(order) if shared.broken => Some(order.task),
            Some(order) => {
                shared.queue(order, &self.client, &mut aftermath);
                None
            }
            None => None,
        };
        drop(shared);
        if let Some(task) = refused {
            self.client.abandoned(task);
        }
        self.follow(aftermath);
        self.end_if_over();
    }

    /// Sleeps until the queue may have room, after [`Submit::Full`] returned `seen`.
    pub fn wait_for_space(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        self.space.wait(seen, deadline)
    }

    /// Takes back a task that a worker was handed and has not begun, and drops it. Returns whether it did.
    pub fn withdraw(self: &Arc<Self>, number: u64) -> bool {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        let taken = shared.workers.iter_mut().find_map(|(_, worker)| worker.take_back_task(number));
        let Some(order) = taken else { return false };
        aftermath.dropped.push(order.task);
        // Another one may take its place.
        shared.dispatch(&self.client, &mut aftermath);
        drop(shared);
        self.follow(aftermath);
        true
    }

    /// Takes back what workers were handed and have not begun: what nobody wants any more is dropped, the rest handed out again.
    pub fn recall(self: &Arc<Self>) {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        for index in 0..shared.workers.len() {
            while let Some(order) = shared.workers[index].1.take_back_last() {
                shared.put_back(order, &self.client, &mut aftermath);
            }
        }
        shared.dispatch(&self.client, &mut aftermath);
        drop(shared);
        self.follow(aftermath);
    }

    /// When a worker began the task; None while it has not.
    #[must_use]
    pub fn begun_at(&self, number: u64) -> Option<Moment> {
        self.shared.lock().workers.iter().find_map(|(_, worker)| worker.begun_at(number))
    }

    /// Lets go of the argument blocks that workers have given back, so that the next one is put where they were.
    pub fn reclaim(&self) {
        for (_, worker) in &mut self.shared.lock().workers {
            worker.collect_leases();
        }
    }

    /// Changes how many workers there are. Surplus ones end when they have done what they were handed.
    pub fn resize(self: &Arc<Self>, target: usize) {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        shared.target = target;
        shared.retire_surplus();
        shared.dispatch(&self.client, &mut aftermath);
        drop(shared);
        self.follow(aftermath);
    }

    /// How it is doing.
    pub fn stats(&self) -> Stats {
        let shared = self.shared.lock();
        Stats {
            workers: shared.workers.len(),
            busy: shared.workers.iter().filter(|(_, worker)| worker.in_hand() > 0 && !worker.blocked).count(),
            blocked: shared.workers.iter().filter(|(_, worker)| worker.blocked).count(),
            queued: shared.queued(),
            handed: shared.in_hand(),
            died: self.died.load(Ordering::Relaxed),
            started: self.names.load(Ordering::Relaxed),
        }
    }

    /// The processes of the workers that have been started, but for those that another one has replaced or will.
    pub fn pids(&self) -> Vec<u32> {
        let shared = self.shared.lock();
        let counts = |worker: &Worker<C::Task>| {
            worker.pid != 0 && (shared.draining || worker.phase != Phase::Leaving || worker.in_hand() > 0)
        };
        shared.workers.iter().filter(|(_, worker)| counts(worker)).map(|(_, worker)| worker.pid).collect()
    }
}
