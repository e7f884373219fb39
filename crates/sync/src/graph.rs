//! Who waits for whom: a deadlock is found at the moment when it closes, by the one who closes it.
//!
//! A wait comes here only when it is about to sleep: after its waiter has queued, [`Graph::begin`] notes it and walks from
//! the newcomer to those who must act first ([`Waitable::holders`]), on to those whom these wait for, and so on. If the
//! walk comes back to the newcomer, nobody in that circle will ever act. Waits with a deadline are noted, but end a walk.
//!
//! **Why no alarm is false.** One lock guards the graph, and whoever has an entry has to take it to get out. So during a
//! walk, everybody who has an entry is inside a wait: perhaps woken, perhaps even successful already, but not yet back in
//! his program, where he could let go of what he holds. That is so as long as [`Registration`]s are dropped before foreign
//! code runs within a wait, such as signal handlers.
//!
//! - So while a walk goes on, a wait for one of them can vanish (somebody else released what he held), but none can appear,
//!   except for one who just got what he waited for, and from him the walk leads nowhere. All edges of a circle that a walk
//!   finds therefore stood together when it began.
//! - One who was *granted* what he waits for is in no circle, even if he seems to wait for himself or those who were in his
//!   way are still there to see. One who was only *woken* is: he tries again, and somebody quicker holds what he wants.
//!   Were he left out, he would fall asleep in a circle that nobody looks at any more.
//! - Nobody but the members can break a circle of exact edges ([`Waitable::is_exact`]). Where anybody may release what a
//!   member waits for, the circle is a suspicion: [`Cycle::presumed`].
//!
//! **Why none is missed, and one only is told.** What a member holds was its own before it came here, so the last member
//! to come finds the entries of all the others, and their holds. Those before it found the circle open. One who is told is
//! not noted, so that the circle is open again for whoever comes next.
//!
//! Circles that don't go through the newcomer have been told to somebody else. An edge that moves to another holder can't
//! close one: a new holder is not waiting, and comes here before it does.

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
mod walk;

use crate::fork_mutex::{ForkMutex, Inherit};
use crate::owner::Owner;
use crate::primitives::Arc;
use crate::waiter::{Waitable, Waiter};
use raddle_sys::fork;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

/// The waits of a process.
///
/// There is one for all primitives, [`Graph::of_process`]; a forked child starts with none noted.
#[derive(Debug, Default)]
pub struct Graph {
    waits: ForkMutex<Waits>,
}

#[derive(Default)]
struct Waits {
    /// The last one that each owner has begun.
    latest: HashMap<Owner, Wait>,
    /// How many have been noted so far: the number of the next one.
    noted: u64,
}

impl Inherit for Waits {
    fn inherit(&mut self, _parent: &mut Self) {}
}

struct Wait {
    waiter: Arc<Waiter>,
    waits_for: Arc<dyn Waitable>,
    timed: bool,
    number: u64,
    /// What the same owner waited for already: below a signal handler, or in another coroutine of the same task. That one may
    /// end first.
    outer: Option<Box<Wait>>,
}

/// A wait that is noted, as long as this lives.
///
/// Dropped before its owner runs anything outside the wait, be it a signal handler; for then it is not stuck.
#[must_use = "the wait is noted as long as this lives"]
pub struct Registration {
    graph: Arc<Graph>,
    owner: Owner,
    epoch: u32,
    number: u64,
}

/// One who can't go on.
#[derive(Clone)]
pub struct Member {
    /// Who waits.
    pub owner: Owner,
    /// What for: the next member must act first, and the first one after the last.
    pub waits_for: Arc<dyn Waitable>,
}

/// A circle of waits, in which everybody waits for the next one to act.
#[derive(Debug)]
pub struct Cycle {
    /// All who are in it, the one who closed it first. It may be the only one.
    pub members: Vec<Member>,
    /// Whether somebody outside could break it, by releasing what he does not hold.
    pub presumed: bool,
}

/// A wait as it is told to a dump.
#[derive(Clone)]
pub struct Standing {
    /// Who waits.
    pub owner: Owner,
    /// What for.
    pub waits_for: Arc<dyn Waitable>,
    /// Whether it ends by itself.
    pub timed: bool,
    /// Whether nobody has woken the one who waits.
    pub asleep: bool,
}

impl Wait {
    /// Takes the wait with this number out of those that its owner began before this one.
    fn remove_outer(&mut self, number: u64) -> Option<Self> {
        let mut later = self;
        while later.outer.as_ref()?.number != number {
            later = later.outer.as_deref_mut()?;
        }
        let mut removed = later.outer.take()?;
        later.outer = removed.outer.take();
        Some(*removed)
    }

    fn new(waiter: &Arc<Waiter>, waits_for: Arc<dyn Waitable>, timed: bool) -> Self {
        Self { waiter: Arc::clone(waiter), waits_for, timed, number: 0, outer: None }
    }

    fn is_asleep(&self) -> bool {
        self.waiter.is_queued() && !self.waits_for.is_over()
    }
}

impl Graph {
    /// The one that the waits of this process are noted in.
    #[cfg(not(loom))]
    #[must_use]
    pub fn of_process() -> &'static Arc<Self> {
        static GRAPH: std::sync::OnceLock<Arc<Graph>> = std::sync::OnceLock::new();
        GRAPH.get_or_init(Arc::default)
    }

    /// Notes that `waiter`, which has queued for `waits_for` and is about to sleep, waits. `timed`: the wait ends by itself.
    ///
    /// The registration stays for the whole wait, across wake-ups for nothing. It is dropped when the wait is over, and
    /// while its owner runs anything else; the wait begins anew then.
    ///
    /// # Errors
    ///
    /// The deadlock that this wait closes. It is not noted then: the caller gives up and abandons the wait, or goes on by
    /// [`insist`](Graph::insist).
    ///
    /// ```
    /// use raddle_sync::graph::Graph;
    /// use raddle_sync::{Lock, Owner, Waitable, Waiter};
    /// use std::sync::Arc;
    ///
    /// let (lock, me) = (Arc::new(Lock::default()), Owner::current_thread());
    /// assert!(lock.try_acquire(me));
    /// let waiter = Waiter::thread(me);
    /// assert!(!lock.attempt(&waiter));
    /// let cycle = Graph::of_process().begin(&waiter, lock.clone(), false).expect_err("I wait for myself");
    /// assert_eq!(cycle.members[0].owner, me);
    /// assert!(cycle.presumed); // any thread could release a plain lock
    /// lock.abandon(&waiter);
    /// ```
    pub fn begin(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        waits_for: Arc<dyn Waitable>,
        timed: bool,
    ) -> Result<Registration, Cycle> {
        self.note(Wait::new(waiter, waits_for, timed), !timed)
    }

    /// Notes a wait as [`begin`](Graph::begin) does, without a look at what it closes.
    pub fn insist(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        waits_for: Arc<dyn Waitable>,
        timed: bool,
    ) -> Registration {
        self.note(Wait::new(waiter, waits_for, timed), false).expect("nobody looked for a cycle")
    }

    fn note(self: &Arc<Self>, wait: Wait, check: bool) -> Result<Registration, Cycle> {
        let owner = wait.waiter.owner();
        let mut waits = self.waits.lock();
        let number = waits.add(owner, wait);
        if check && let Some(cycle) = waits.cycle_through(owner) {
            let refused = waits.remove(owner, number);
            drop(waits);
            // It may have been the last to hold the primitive, whose end is nothing to happen under the lock.
            drop(refused);
            return Err(cycle);
        }
        Ok(Registration { graph: Arc::clone(self), owner, epoch: fork::epoch(), number })
    }

    /// All waits that are noted, in no order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Standing> {
        let waits = self.waits.lock();
        let standing = waits.latest.iter().map(|(owner, wait)| Standing {
            owner: *owner,
            waits_for: Arc::clone(&wait.waits_for),
            timed: wait.timed,
            asleep: wait.is_asleep(),
        });
        standing.collect()
    }

    /// How many threads other than `but` sleep, without a deadline, and nobody has woken them. If these are all the threads there
    /// are, none of them will ever wake, unless `but`, a signal or something outside of the process sees to it.
    #[must_use]
    pub fn sleepers(&self, but: Owner) -> usize {
        let waits = self.waits.lock();
        let asleep = |(owner, wait): &(&Owner, &Wait)| {
            **owner != but && !owner.is_task() && !wait.timed && wait.is_asleep()
        };
        waits.latest.iter().filter(asleep).count()
    }
}

impl Waits {
    /// Notes a wait, the latest of its owner; returns its number.
    fn add(&mut self, owner: Owner, wait: Wait) -> u64 {
        let number = self.noted;
        self.noted += 1;
        let wait = Wait { number, ..wait };
        match self.latest.entry(owner) {
            Entry::Vacant(place) => _ = place.insert(wait),
            Entry::Occupied(mut place) => {
                let outer = place.insert(wait);
                place.get_mut().outer = Some(Box::new(outer));
            }
        }
        number
    }

    /// Takes a wait out, be it the latest of its owner or an earlier one.
    fn remove(&mut self, owner: Owner, number: u64) -> Option<Wait> {
        let Entry::Occupied(mut place) = self.latest.entry(owner) else { return None };
        let latest = place.get_mut();
        if latest.number != number {
            return latest.remove_outer(number);
        }
        Some(match latest.outer.take() {
            Some(outer) => place.insert(*outer),
            None => place.remove(),
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A child's graph knows nothing of a wait that began in the parent.
        if self.epoch == fork::epoch() {
            let over = self.graph.waits.lock().remove(self.owner, self.number);
            drop(over);
        }
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.latest.keys()).finish()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registration").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Member").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, timed, asleep, .. } = self;
        formatter
            .debug_struct("Standing")
            .field("owner", owner)
            .field("timed", timed)
            .field("asleep", asleep)
            .finish_non_exhaustive()
    }
}
