//! The counters under a pool's lock, and the one invariant that they are kept to.
//!
//! > While a job is ready and a slot is free, a worker is on its way.
//!
//! Every change to the counters ends with a look at [`Shared::step`]; what it asks for is accounted for at once and carried
//! out after the lock is free.

use raddle_sync::Parker;
use raddle_sync::primitives::{Arc, AtomicBool, AtomicU32, Ordering};
use raddle_task::ready::ReadyQueue;

pub(crate) const BLOCKED: u32 = 1;
pub(crate) const ABANDONED: u32 = 2;

/// A worker's standing in its pool. Made by whoever makes the worker.
///
/// A worker occupies a slot while neither flag is up. Both can be: a job that is given up while it blocks, or that blocks
/// after it was given up.
#[derive(Debug, Default)]
pub struct Post {
    pub(crate) parker: Parker,
    /// Changed under the pool's lock only.
    flags: AtomicU32,
    /// The worker counts as coming until it reaches the queue; likewise.
    pub(crate) expected: AtomicBool,
}

impl Post {
    /// Puts a flag up; true when the worker occupied a slot until now.
    pub(crate) fn raise(&self, flag: u32) -> bool {
        self.flags.fetch_or(flag, Ordering::Relaxed) == 0
    }

    /// Takes it down; true when the worker occupies a slot from now on.
    pub(crate) fn lower(&self, flag: u32) -> bool {
        self.flags.fetch_and(!flag, Ordering::Relaxed) == flag
    }
}

/// How a pool is doing, in numbers of workers and jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Threads alive.
    pub workers: usize,
    /// Of these: running a job, or on the way to one.
    pub busy: usize,
    /// Of these: parked.
    pub idle: usize,
    /// Of these: inside a job that waits, its slot given away.
    pub blocked: usize,
    /// Of these: inside a job that was given up at its deadline.
    pub abandoned: usize,
    /// Jobs ready to start.
    pub queued: usize,
    /// Jobs promised for later.
    pub reserved: usize,
}

#[derive(Debug)]
pub(crate) struct Shared<J> {
    pub(crate) ready: ReadyQueue<J>,
    pub(crate) idle: Vec<Arc<Post>>,
    pub(crate) target: usize,
    pub(crate) total: usize,
    pub(crate) occupied: usize,
    pub(crate) blocked: usize,
    pub(crate) abandoned: usize,
    /// The most workers that were blocked or abandoned at once since the last resize: as many stay in reserve.
    pub(crate) reserve: usize,
    /// Workers that were started or woken for a job and have not reached the queue yet.
    pub(crate) coming: usize,
    pub(crate) reserved: usize,
    pub(crate) draining: bool,
    pub(crate) space_wanted: bool,
}

/// What the invariant asks for.
#[derive(PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Wake,
    Spawn,
}

/// A step that has been accounted for.
pub(crate) enum Remedy {
    Nothing,
    Wake(Arc<Post>),
    Spawn,
}

/// What follows from a change: decided under the lock, carried out after it.
pub(crate) struct Aftermath {
    pub(crate) remedy: Remedy,
    /// Parked workers that are to look again because the pool may end.
    pub(crate) sleepers: Vec<Arc<Post>>,
    pub(crate) ended: bool,
}

impl<J> Shared<J> {
    /// The next step towards the invariant.
    #[inline]
    pub(crate) fn step(&self) -> Step {
        if self.ready.len() <= self.coming || self.occupied >= self.target {
            return Step::Nothing;
        }
        let unserved = self.ready.len() - self.coming;
        if unserved > self.idle.len() && self.occupied + self.idle.len() < self.target {
            Step::Spawn
        } else if self.coming > 0 {
            Step::Nothing
        } else {
            Step::Wake
        }
    }

    /// The same, accounted for: to be carried out once the lock is free.
    pub(crate) fn remedy(&mut self) -> Remedy {
        let remedy = match self.step() {
            Step::Nothing => return Remedy::Nothing,
            Step::Spawn => {
                self.total += 1;
                Remedy::Spawn
            }
            Step::Wake => {
                let post = self.idle.pop().expect("a slot is free, so a worker is idle or may be started");
                post.expected.store(true, Ordering::Relaxed);
                Remedy::Wake(post)
            }
        };
        self.occupied += 1;
        self.coming += 1;
        remedy
    }

    pub(crate) fn may_end(&self) -> bool {
        self.draining && self.ready.is_empty() && self.reserved == 0
    }

    pub(crate) fn take_idle(&mut self) -> Vec<Arc<Post>> {
        self.occupied += self.idle.len();
        std::mem::take(&mut self.idle)
    }

    pub(crate) fn aftermath(&mut self) -> Aftermath {
        let may_end = self.may_end();
        let sleepers = if may_end { self.take_idle() } else { Vec::new() };
        Aftermath { remedy: self.remedy(), sleepers, ended: may_end && self.total == self.abandoned }
    }
}
