//! A meeting point: nobody goes on before all parties have come.
//!
//! Each round is a `Generation` of its own, with an event that opens when the round is over and an outcome that is decided
//! once, before. Whoever arrives belongs to one generation for good; so a round that has been decided needs not be drained
//! before the next one can begin, and a reset is a new generation after a broken one.
//!
//! The last to arrive gets a [`Turn`]: it may run something of its own, without any lock, before it lets the others go.

use crate::event::Event;
use crate::primitives::{Arc, AtomicBool, AtomicU32, Ordering};
use crate::slow::Slow;
use crate::waiter::{Waitable, Waiter};
use std::error::Error;
use std::fmt;

/// The round failed: somebody gave up, or the barrier was aborted or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the barrier is broken")
    }
}

impl Error for Broken {}

/// Lets a fixed number of parties go on together, again and again.
///
/// Who waits gives up by [`Waitable::abandon`] on its [`Place`], which breaks the barrier for everybody until it is
/// [`reset`](Self::reset). Once the last one has come, it can't: the others are in for the end of its turn. After a fork, a child finds nobody waiting, and the barrier broken or not as it was.
///
/// ```
/// use raddle_sync::{Arrival, Barrier};
/// use std::sync::Arc;
///
/// let barrier = Arc::new(Barrier::new(2));
/// let Ok(Arrival::Waits(first)) = barrier.arrive() else { panic!("one is missing") };
/// let Ok(Arrival::Last(turn)) = barrier.arrive() else { panic!("all are there") };
/// // Here the last one may do something before the others go on.
/// assert_eq!(turn.pass(), 1);
/// assert_eq!(first.outcome(), Some(Ok(0)));
/// ```
pub struct Barrier {
    parties: u32,
    broken: AtomicBool,
    current: Slow<Current>,
}

#[derive(Default)]
struct Current {
    generation: Arc<Generation>,
    arrived: u32,
}

impl Current {
    /// Begins the next round and returns the one before.
    fn next(&mut self) -> Arc<Generation> {
        self.arrived = 0;
        std::mem::take(&mut self.generation)
    }
}

const OPEN: u32 = 0;
/// All have come, and the last one has its turn.
const COMPLETE: u32 = 1;
const PASSED: u32 = 2;
const BROKEN: u32 = 3;

struct Generation {
    /// [`OPEN`]; [`COMPLETE`] perhaps; then once [`PASSED`] or [`BROKEN`].
    outcome: AtomicU32,
    over: Event,
}

impl Default for Generation {
    fn default() -> Self {
        Self { outcome: AtomicU32::new(OPEN), over: Event::new() }
    }
}

impl Generation {
    /// False when it is not in this state any more.
    fn go_on(&self, from: u32, to: u32) -> bool {
        self.outcome.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn outcome(&self, index: u32) -> Option<Result<u32, Broken>> {
        match self.outcome.load(Ordering::Acquire) {
            OPEN | COMPLETE => None,
            PASSED => Some(Ok(index)),
            _ => Some(Err(Broken)),
        }
    }
}

/// How one arrived at a barrier.
#[must_use = "the others wait"]
#[derive(Debug)]
pub enum Arrival {
    /// Others are missing.
    Waits(Place),
    /// All are there, and this one lets them go.
    Last(Turn),
}

impl Barrier {
    /// A barrier for so many parties.
    ///
    /// # Panics
    ///
    /// When there are none.
    #[must_use]
    pub fn new(parties: u32) -> Self {
        assert!(parties > 0, "a barrier has at least one party");
        Self { parties, broken: AtomicBool::new(false), current: Slow::new() }
    }

    /// Arrives. The indices of a round go from zero, for the first, to one less than the parties.
    ///
    /// # Errors
    ///
    /// [`Broken`] when the barrier is.
    pub fn arrive(self: &Arc<Self>) -> Result<Arrival, Broken> {
        let mut current = self.current.lock();
        if self.is_broken() {
            return Err(Broken);
        }
        let index = current.arrived;
        current.arrived += 1;
        let barrier = Arc::clone(self);
        Ok(if current.arrived == self.parties {
            let generation = current.next();
            let complete = generation.go_on(OPEN, COMPLETE);
            debug_assert!(complete, "a round that is over is not the current one");
            Arrival::Last(Turn { barrier, generation, index })
        } else {
            Arrival::Waits(Place { barrier, generation: Arc::clone(&current.generation), index })
        })
    }

    /// Breaks the barrier: those who wait, and those who arrive before a [`reset`](Self::reset), get [`Broken`].
    pub fn abort(&self) {
        self.restart(true);
    }

    /// Makes it as new. Those who wait get [`Broken`].
    pub fn reset(&self) {
        self.restart(false);
    }

    /// Ends the round for those who wait, as a broken one; whether it stays broken is another matter.
    fn restart(&self, broken: bool) {
        let old = {
            let mut current = self.current.lock();
            self.broken.store(broken, Ordering::Release);
            let old = current.next();
            old.go_on(OPEN, BROKEN);
            old
        };
        old.over.set();
    }

    /// Ends a round, and the barrier with it; false when the round is not in this state any more.
    fn fail(&self, generation: &Generation, state: u32) -> bool {
        let current = {
            let mut current = self.current.lock();
            if !generation.go_on(state, BROKEN) {
                return false;
            }
            self.broken.store(true, Ordering::Release);
            // The same round, or the next one while the last to arrive had its turn.
            let current = current.next();
            current.go_on(OPEN, BROKEN);
            current
        };
        generation.over.set();
        current.over.set();
        true
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// How many are needed for a round.
    #[must_use]
    pub const fn parties(&self) -> u32 {
        self.parties
    }

    /// How many have come and wait for others.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.current.peek().map_or(0, |current| current.arrived)
    }
}

/// One who waits for the others. To wait is to wait for the round's end; [`outcome`](Self::outcome) then tells how it ended.
///
/// To abandon the wait breaks the barrier, but not when all have come: then the outcome is still open after it, and to be waited
/// for.
#[must_use = "the others count on it"]
pub struct Place {
    barrier: Arc<Barrier>,
    generation: Arc<Generation>,
    index: u32,
}

impl Place {
    /// How the round ended, with this one's index if it went well; None while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<u32, Broken>> {
        self.generation.outcome(self.index)
    }

    /// Leaves without breaking the barrier: as if it had not come. True when the round was over already.
    pub fn withdraw(&self, waiter: &Arc<Waiter>) -> bool {
        if self.generation.over.abandon(waiter) {
            return true;
        }
        let mut current = self.barrier.current.lock();
        if Arc::ptr_eq(&current.generation, &self.generation) {
            current.arrived -= 1;
        }
        self.outcome().is_some()
    }
}

impl Waitable for Place {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.generation.over.attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        if self.generation.over.abandon(waiter) {
            return true;
        }
        !self.barrier.fail(&self.generation, OPEN) && self.outcome().is_some()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Place").field("index", &self.index).finish_non_exhaustive()
    }
}

/// All have come, and the others wait for this one. Dropped without [`pass`](Self::pass), it breaks the barrier.
#[must_use = "the others wait"]
pub struct Turn {
    barrier: Arc<Barrier>,
    generation: Arc<Generation>,
    index: u32,
}

impl Turn {
    /// Lets everybody go on, and returns this one's index.
    #[expect(clippy::must_use_candidate, reason = "the index is an aside")]
    pub fn pass(self) -> u32 {
        let passed = self.generation.go_on(COMPLETE, PASSED);
        debug_assert!(passed, "nobody else decides it by now");
        self.generation.over.set();
        self.index
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.generation.outcome(self.index).is_none() {
            self.barrier.fail(&self.generation, COMPLETE);
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Turn").field("index", &self.index).finish_non_exhaustive()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parties, waiting, broken) = (self.parties, self.waiting(), self.is_broken());
        formatter
            .debug_struct("Barrier")
            .field("parties", &parties)
            .field("waiting", &waiting)
            .field("broken", &broken)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::owner::Owner;

    fn place(barrier: &Arc<Barrier>) -> Place {
        match barrier.arrive() {
            Ok(Arrival::Waits(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    fn turn(barrier: &Arc<Barrier>) -> Turn {
        match barrier.arrive() {
            Ok(Arrival::Last(turn)) => turn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_round_may_begin_while_the_last_one_is_left() {
        let barrier = Arc::new(Barrier::new(2));
        let waiter = Waiter::thread(Owner::thread(1));
        let first = place(&barrier);
        assert!(!first.attempt(&waiter));
        assert_eq!(turn(&barrier).pass(), 1);
        let second = place(&barrier);
        assert_eq!((barrier.waiting(), second.outcome()), (1, None));
        assert!(first.attempt(&waiter));
        assert_eq!(first.outcome(), Some(Ok(0)));
    }

    #[test]
    fn one_who_gives_up_breaks_it_for_all() {
        let barrier = Arc::new(Barrier::new(3));
        let waiters = [1, 2].map(|number| Waiter::thread(Owner::thread(number)));
        let places = [place(&barrier), place(&barrier)];
        assert!(places.iter().zip(&waiters).all(|(place, waiter)| !place.attempt(waiter)));
        assert!(!places[0].abandon(&waiters[0]));
        assert!(places[1].attempt(&waiters[1]));
        assert_eq!(places[1].outcome(), Some(Err(Broken)));
        assert!(barrier.is_broken() && barrier.arrive().is_err());
        barrier.reset();
        assert_eq!((barrier.is_broken(), barrier.waiting()), (false, 0));
    }

    #[test]
    fn one_who_withdraws_leaves_it_whole() {
        let barrier = Arc::new(Barrier::new(2));
        let waiter = Waiter::thread(Owner::thread(1));
        let first = place(&barrier);
        assert!(!first.attempt(&waiter) && !first.withdraw(&waiter));
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
        let second = place(&barrier);
        assert_eq!(turn(&barrier).pass(), 1);
        assert!(second.withdraw(&waiter), "too late");
    }

    #[test]
    fn a_turn_that_is_dropped_breaks_it() {
        let barrier = Arc::new(Barrier::new(2));
        let first = place(&barrier);
        drop(turn(&barrier));
        assert_eq!(first.outcome(), Some(Err(Broken)));
        assert!(barrier.is_broken());
    }

    #[test]
    fn nobody_gives_up_once_all_have_come() {
        let barrier = Arc::new(Barrier::new(3));
        let waiters = [1, 2, 3].map(|number| Waiter::thread(Owner::thread(number)));
        let (first, second) = (place(&barrier), place(&barrier));
        let turn = turn(&barrier);
        let next = place(&barrier);
        assert!(!first.attempt(&waiters[0]) && !second.attempt(&waiters[1]) && !next.attempt(&waiters[2]));
        assert!(!first.abandon(&waiters[0]) && !barrier.is_broken());
        assert_eq!(first.outcome(), None);
        assert!(!first.attempt(&waiters[0]), "it waits on");
        assert_eq!(turn.pass(), 2);
        assert!(first.attempt(&waiters[0]) && second.attempt(&waiters[1]) && !next.attempt(&waiters[2]));
        assert_eq!((first.outcome(), second.outcome(), next.outcome()), (Some(Ok(0)), Some(Ok(1)), None));
    }

    #[test]
    fn a_turn_that_fails_breaks_it_for_those_who_came_since() {
        let barrier = Arc::new(Barrier::new(2));
        let first = place(&barrier);
        let turn = turn(&barrier);
        let next = place(&barrier);
        drop(turn);
        assert_eq!((first.outcome(), next.outcome()), (Some(Err(Broken)), Some(Err(Broken))));
    }

    #[test]
    fn aborting_and_resetting_let_those_go_who_wait() {
        let barrier = Arc::new(Barrier::new(2));
        let first = place(&barrier);
        barrier.reset();
        assert_eq!((first.outcome(), barrier.is_broken()), (Some(Err(Broken)), false));
        let second = place(&barrier);
        barrier.abort();
        assert_eq!((second.outcome(), barrier.is_broken()), (Some(Err(Broken)), true));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::models::{check, race, wait};
    use crate::primitives::AtomicUsize;

    /// Arrives and waits for the end of the round.
    fn meet(number: u64, barrier: &Arc<Barrier>, gives_up: bool) -> Result<u32, Broken> {
        match barrier.arrive()? {
            Arrival::Last(turn) => Ok(turn.pass()),
            Arrival::Waits(place) => {
                wait(number, &place, gives_up);
                if place.outcome().is_none() {
                    wait(number, &place, false);
                }
                place.outcome().expect("it passed, or this one has broken it")
            }
        }
    }

    #[test]
    fn nobody_goes_on_before_all_have_come() {
        check(|| {
            let come = AtomicUsize::new(0);
            race((Arc::new(Barrier::new(2)), come), 2, |number, (barrier, come)| {
                for round in 1..3 {
                    come.fetch_add(1, Ordering::Relaxed);
                    meet(number, barrier, false).expect("nobody gives up");
                    assert!(come.load(Ordering::Relaxed) >= 2 * round);
                }
            });
        });
    }

    #[test]
    fn all_pass_or_none() {
        check(|| {
            let passed = AtomicUsize::new(0);
            race((Arc::new(Barrier::new(2)), passed), 2, |number, (barrier, passed)| {
                let outcome = meet(number, barrier, number == 1);
                assert_eq!(outcome.is_err(), barrier.is_broken());
                passed.fetch_add(usize::from(outcome.is_ok()), Ordering::Relaxed);
                assert!(outcome.is_ok() || passed.load(Ordering::Relaxed) == 0);
            });
        });
    }

    #[test]
    fn an_abort_lets_everybody_go() {
        check(|| {
            race(Arc::new(Barrier::new(3)), 3, |number, barrier| {
                if number == 3 {
                    barrier.abort();
                } else {
                    assert_eq!(meet(number, barrier, false), Err(Broken));
                }
            });
        });
    }
}
