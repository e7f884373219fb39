//! One who waits for a primitive, and the protocol between the two.
//!
//! A wait goes the same way for every primitive, for threads and for coroutines:
//!
//! ```text
//!              ┌───────────────── woken: try again ────────────────┐
//!              ▼                                                   │
//!   Waitable::attempt(waiter) ──false──▶ in the queue ── wake-up ──┘
//!        │                                   │
//!       true                         deadline, signal, cancellation
//!        ▼                                   ▼
//!   it has what it wants             Waitable::abandon(waiter)
//! ```
//!
//! A primitive either *wakes* a waiter, which then tries again and may find that somebody else was quicker, or *grants* it
//! what it waits for before it wakes. Whoever leaves in between passes the wake-up or the grant on: that is what keeps one
//! from being lost.
//!
//! In a forked child nobody stands in a queue: the queues stayed behind in the parent. A thread that comes back to its wait
//! in the child, from a signal handler that forked, finds itself woken and tries again.

use crate::owner::Owner;
use crate::primitives::Arc;
use crate::wait_word::WaitWord;
use raddle_sys::clock::Moment;
use raddle_sys::fork;
use raddle_sys::futex::Wake;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// In no queue.
const IDLE: u32 = 0;
/// In a queue, and awake so far: whoever wakes it saves the system call.
const QUEUED: u32 = 1;
/// In a queue, and asleep or about to be.
const ASLEEP: u32 = 2;
/// Taken from the queue to try again.
const WOKEN: u32 = 3;
/// Taken from the queue with what it waits for.
const GRANTED: u32 = 4;

/// What is called to wake a waiter that is no sleeping thread. False when nobody is there any more, such as after a loop's
/// end: then the wake-up goes to the next.
pub type Ring = Box<dyn Fn() -> bool + Send + Sync>;

/// One thread's or coroutine's wait.
///
/// Owned by the one who waits; queues share it while it stands in them. Serves one wait at a time, any number in turn.
pub struct Waiter {
    owner: Owner,
    state: WaitWord,
    /// Under which it joined its queue. Written by its owner only.
    epoch: AtomicU32,
    ring: Option<Ring>,
}

impl Waiter {
    /// For a thread, which then calls [`Waiter::sleep`].
    #[must_use]
    pub fn thread(owner: Owner) -> Arc<Self> {
        Self::new(owner, None)
    }

    /// For a coroutine: `ring` is called, without any lock, by whoever wakes it.
    #[must_use]
    pub fn task(owner: Owner, ring: Ring) -> Arc<Self> {
        Self::new(owner, Some(ring))
    }

    fn new(owner: Owner, ring: Option<Ring>) -> Arc<Self> {
        Arc::new(Self { owner, state: WaitWord::new(IDLE), epoch: AtomicU32::new(fork::epoch()), ring })
    }

    /// Marks it as one who waits, although it stands in no queue: for what wakes those who wait by other means, and tells that
    /// it has by [`Waitable::is_over`]. To be [`reset`](Waiter::reset) at the end of the wait.
    pub fn stand_by(&self) {
        self.epoch.store(fork::epoch(), Ordering::Relaxed);
        self.state.store(QUEUED);
    }

    /// Who waits.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Sleeps until it is woken, `deadline` or a signal. Returns at once when it stands in no queue.
    pub fn sleep(&self, deadline: Option<Moment>) -> Wake {
        crate::linger(|| !self.is_queued());
        while self.is_queued() {
            // When this fails it has been woken, or it is here for the second time.
            let _ = self.state.replace(QUEUED, ASLEEP);
            match self.state.wait(ASLEEP, deadline) {
                Wake::Woken => {}
                // It may have been woken at the same moment.
                _ if !self.is_queued() => return Wake::Woken,
                other => return other,
            }
        }
        Wake::Woken
    }

    /// Whether it stands in a queue and nobody has woken it.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        matches!(self.state.load(), QUEUED | ASLEEP) && self.epoch.load(Ordering::Relaxed) == fork::epoch()
    }

    /// Whether what it waits for has been given to it.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.state.load() == GRANTED
    }

    /// Whether it still has to get what it waits for: it stands in a queue, or was woken and will try again. One look:
    /// between two of them, it could go from the one to the other.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !matches!(self.state.load(), IDLE | GRANTED)
    }

    /// Whether it was woken and has not tried again since.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.state.load() == WOKEN
    }

    /// Whether it waits for nothing, or has not begun to.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.load() == IDLE
    }

    /// What was granted has been taken, or the wait is over. It must not stand in a queue.
    pub fn reset(&self) {
        self.state.store(IDLE);
    }

    /// Takes what was granted, if it was.
    #[must_use]
    pub fn take_grant(&self) -> bool {
        let granted = self.is_granted();
        if granted {
            self.reset();
        }
        granted
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state.load() {
            IDLE => "idle",
            QUEUED => "queued",
            ASLEEP => "asleep",
            WOKEN => "woken",
            _ => "granted",
        };
        formatter
            .debug_struct("Waiter")
            .field("owner", &self.owner)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

/// What can be waited for: see the module's description.
pub trait Waitable: Send + Sync {
    /// Takes what is waited for and returns true, or leaves the waiter in the queue. Called again after each wake-up.
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool;

    /// Ends a wait without success. Returns true when what it waited for had been granted already: it is the caller's then,
    /// as if the last attempt had succeeded. What else it was woken for goes to the next.
    fn abandon(&self, waiter: &Arc<Waiter>) -> bool;

    /// Ends the wait of a task that is gone: its ring found nobody. What it was woken for, or granted, goes to others, which
    /// are returned for the caller to ring.
    ///
    /// As it stands it serves primitives that grant nothing that could be given back.
    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.abandon(waiter);
        Vec::new()
    }

    /// Calls `visit` with those who must act before this wait can end, as far as that is known: all of them must.
    /// Called with the graph's lock held; must not take a lock that is held while a wait begins or ends.
    ///
    /// It tells what is the case at the call. When it visits `waiter` itself, no grant to it may be half done: either it held
    /// this before, or its waiter shows by now that it was granted ([`Waiter::is_granted`]) or is done.
    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        let _ = (waiter, visit);
    }

    /// Whether nobody but the [`holders`](Waitable::holders) can end the wait. Otherwise they are presumed to, and a
    /// deadlock with them is a suspicion.
    fn is_exact(&self) -> bool {
        false
    }

    /// Whether what is waited for has come about, although the waiter may not show it: for what keeps no queue
    /// ([`Waiter::stand_by`]). Called with the graph's lock held.
    fn is_over(&self) -> bool {
        false
    }

    /// What the one who waits wants told about this wait: a value of its own, for whoever reports on the graph.
    fn subject(&self) -> Option<&dyn Any> {
        None
    }
}

impl<W: Waitable + ?Sized> Waitable for Arc<W> {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        (**self).attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        (**self).abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        (**self).pass_on(waiter)
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        (**self).holders(waiter, visit);
    }

    fn is_exact(&self) -> bool {
        (**self).is_exact()
    }

    fn is_over(&self) -> bool {
        (**self).is_over()
    }

    fn subject(&self) -> Option<&dyn Any> {
        (**self).subject()
    }
}

/// Blocks the calling thread until `primitive` lets it go on; for Rust programs, which serve no interpreter.
///
/// Returns false when `deadline` passed. Signals are slept through.
///
/// ```
/// use raddle_sync::{Lock, Moment, waiter};
///
/// let lock = Lock::default();
/// assert!(waiter::block(&lock, None));
/// assert!(!waiter::block(&lock, Some(Moment::now()))); // it is held, by ourselves
/// lock.release().expect("held");
/// ```
pub fn block(primitive: &(impl Waitable + ?Sized), deadline: Option<Moment>) -> bool {
    block_as(Owner::current_thread(), primitive, deadline)
}

/// [`block`] on behalf of `owner`, for those who know it already. The owner must be nobody else's for as long as it waits.
pub fn block_as(owner: Owner, primitive: &(impl Waitable + ?Sized), deadline: Option<Moment>) -> bool {
    block_with(&Waiter::thread(owner), primitive, deadline)
}

/// [`block_as`] with a waiter that may have been woken before, and found somebody quicker.
pub fn block_with(
    waiter: &Arc<Waiter>,
    primitive: &(impl Waitable + ?Sized),
    deadline: Option<Moment>,
) -> bool {
    while !primitive.attempt(waiter) {
        spin(|| !waiter.is_queued());
        while waiter.is_queued() {
            if waiter.sleep(deadline) == Wake::TimedOut {
                return primitive.abandon(waiter);
            }
        }
    }
    true
}

/// Whether `done` comes to be within a moment: about as long as a sleep and a wake-up would cost at least. First for the
/// one who is on another processor, then for the one who needs this one.
///
/// Besides [`linger`](crate::linger), which comes later and never yields: without this the bounded queue of the benchmark takes
/// a fifth longer with four threads on each side of two processors.
#[cfg(not(loom))]
pub(crate) fn spin(mut done: impl FnMut() -> bool) -> bool {
    const PAUSES: u32 = 20;
    const YIELDS: u32 = 10;
    let paused = (0..PAUSES).any(|_| {
        std::hint::spin_loop();
        done()
    });
    paused
        || (0..YIELDS).any(|_| {
            std::thread::yield_now();
            done()
        })
}

/// A model has no time to pass.
#[cfg(loom)]
pub(crate) fn spin(_done: impl FnMut() -> bool) -> bool {
    false
}

/// Those who wait, first come, first served. Stands behind its primitive's lock.
#[derive(Debug, Default)]
pub struct WaitQueue {
    waiters: VecDeque<Arc<Waiter>>,
}

impl WaitQueue {
    /// Puts a waiter at the end, or, when it was woken for nothing, back to the front. One that stands here already keeps
    /// its place; it must not stand in another queue.
    pub fn join(&mut self, waiter: &Arc<Waiter>) {
        if waiter.is_queued() {
            debug_assert!(self.place(waiter).is_some(), "a waiter waits for one thing at a time");
            return;
        }
        let woken = waiter.is_woken();
        waiter.epoch.store(fork::epoch(), Ordering::Relaxed);
        waiter.state.store(QUEUED);
        if woken {
            self.waiters.push_front(Arc::clone(waiter));
        } else {
            self.waiters.push_back(Arc::clone(waiter));
        }
    }

    fn place(&self, waiter: &Arc<Waiter>) -> Option<usize> {
        self.waiters.iter().position(|other| Arc::ptr_eq(other, waiter))
    }

    /// Takes a waiter out; false when it does not stand here (any more).
    pub fn leave(&mut self, waiter: &Arc<Waiter>) -> bool {
        if !waiter.is_queued() {
            return false;
        }
        let place = self.place(waiter);
        if let Some(place) = place {
            self.waiters.remove(place);
            waiter.reset();
        }
        place.is_some()
    }

    /// Ends a wait: takes the waiter out if it still stands here. True when it had been granted what it waited for.
    pub fn quit(&mut self, waiter: &Arc<Waiter>) -> bool {
        let granted = waiter.take_grant();
        if !granted && !self.leave(waiter) {
            waiter.reset();
        }
        granted
    }

    /// Takes the first waiter out, to be woken once the lock is free.
    pub fn wake(&mut self) -> Option<Woken> {
        self.take(WOKEN)
    }

    /// Takes the first waiter out and gives it what it waits for. From then on it acts as its owner, so whatever else shows
    /// that it was given must be written before.
    pub fn grant(&mut self) -> Option<Woken> {
        self.take(GRANTED)
    }

    fn take(&mut self, state: u32) -> Option<Woken> {
        let waiter = self.waiters.pop_front()?;
        let asleep = waiter.state.swap(state) == ASLEEP;
        Some(Woken { waiter, asleep })
    }

    /// Takes everybody out, to be woken in their order.
    pub fn wake_all(&mut self) -> Vec<Woken> {
        std::iter::from_fn(|| self.wake()).collect()
    }

    /// Takes everybody out and gives them what they wait for.
    pub fn grant_all(&mut self) -> Vec<Woken> {
        std::iter::from_fn(|| self.grant()).collect()
    }

    /// Who is next.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<Waiter>> {
        self.waiters.front()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.waiters.iter()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}

/// Somebody to wake, after the primitive's lock has been released.
#[must_use = "it sleeps until `ring` is called"]
#[derive(Debug)]
pub struct Woken {
    waiter: Arc<Waiter>,
    /// False when a thread has not gone to sleep: it will see by itself.
    asleep: bool,
}

impl Woken {
    /// Wakes it. When it is gone, `primitive` passes on what it was woken for.
    pub fn ring(self, primitive: &(impl Waitable + ?Sized)) {
        crate::assert_unlocked();
        // A loop and no recursion: any number of them may be gone.
        let mut others = self.deliver(primitive);
        while let Some(other) = others.pop() {
            others.extend(other.deliver(primitive));
        }
    }

    /// Wakes all of them.
    pub fn ring_all(woken: impl IntoIterator<Item = Self>, primitive: &(impl Waitable + ?Sized)) {
        woken.into_iter().for_each(|one| one.ring(primitive));
    }

    /// Whether this is about `waiter`.
    #[must_use]
    pub fn is(&self, waiter: &Arc<Waiter>) -> bool {
        Arc::ptr_eq(&self.waiter, waiter)
    }

    fn deliver(self, primitive: &(impl Waitable + ?Sized)) -> Vec<Self> {
        match &self.waiter.ring {
            Some(ring) if !ring() => return primitive.pass_on(&self.waiter),
            None if self.asleep => self.waiter.state.wake_one(),
            _ => {}
        }
        Vec::new()
    }
}
