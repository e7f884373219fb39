//! Items from those who put to those who get, in order, with or without a bound.
//!
//! Everything stands behind one short lock: the items, three queues of waiters (for an item, for room, for the end of all
//! work) and the count of unfinished work. Nobody is woken, and no item dropped, while it is held.
//!
//! A wake-up is a permission to try, not an item: whoever comes by meanwhile may be quicker ("barging"), which is what
//! keeps a busy producer and a busy consumer from waiting for each other at every item. No wake-up is lost for that. Call
//! I the items, Q the getters asleep, and W those woken that have not tried yet. Then
//!
//! > Q > 0 implies W ≥ I: while somebody sleeps, there is somebody awake for every item.
//!
//! - A getter falls asleep only when I = 0; one that was woken for nothing goes to the front again.
//! - A put adds one to I, and one to W if Q > 0; a put of n items does so n times under one lock.
//! - A getter that was woken takes one from W, and at least one from I. One that was not woken takes from I only.
//! - One that was woken and leaves without an item (deadline, signal, cancellation) takes one from W, and wakes the next
//!   if I > 0.
//!
//! The same holds for putters and room. Nothing sleeps after a shutdown.
//!
//! Those who wait for the end of all work are granted it: what is put right after does not hold them up. A book of who has
//! taken what and not reported it (`book`) shows the graph whom they wait for.

mod book;
mod due;
mod errors;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
mod until;

pub use due::Due;
pub use errors::{NoItem, Rejected, ShutDown, TooMany};
pub use until::Until;

use crate::fork_mutex::{ForkMutex, Inherit};
use crate::owner::Owner;
use crate::segments::Segments;
use crate::waiter::{self, WaitQueue, Waiter, Woken};
use book::Book;
use raddle_sys::clock::Moment;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use until::Side;

/// Which item comes out next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that was put first.
    #[default]
    Fifo,
    /// The one that was put last.
    Lifo,
}

/// A queue for any number of producers and consumers: see the module's description.
///
/// None of its methods blocks but [`put`](Queue::put), [`get`](Queue::get) and [`join`](Queue::join). Whoever serves an
/// interpreter or an event loop waits by [`Until`] and tries again.
///
/// Whoever takes items out says who he is: as long as everybody reports what he took himself, a wait for the end of all work
/// shows whom it waits for ([`Waitable::holders`](crate::Waitable::holders)).
///
/// In a forked child the items, the count of unfinished work and the shutdown are the parent's, and nobody waits. If
/// another thread was using the queue at the moment of the fork, the child's is empty and open instead: the parent's may
/// be half changed.
///
/// ```
/// use raddle_sync::queue::{NoItem, Order, Queue};
///
/// let queue = Queue::new(None, Order::Fifo);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         queue.put("first", None).expect("it is open");
///         queue.put("second", None).expect("it is open");
///         queue.shutdown(false);
///     });
///     assert_eq!(queue.get(None), Ok("first"));
///     assert_eq!(queue.get(None), Ok("second"));
///     assert_eq!(queue.get(None), Err(NoItem::ShutDown));
/// });
/// ```
pub struct Queue<T: 'static> {
    state: ForkMutex<State<T>>,
    /// Zero for none. Changed under the lock only.
    bound: AtomicUsize,
    order: Order,
}

/// What a queue held when it was [retired](Queue::retire).
#[derive(Debug)]
pub struct Retired<T> {
    /// The items, the one that was put first first.
    pub items: Segments<T>,
    /// How many items were put and not reported as finished.
    pub unfinished: usize,
    /// Whether it had been shut down.
    pub shut_down: bool,
}

struct State<T> {
    items: Segments<T>,
    unfinished: usize,
    taken: Book,
    shut_down: bool,
    getters: WaitQueue,
    putters: WaitQueue,
    joiners: WaitQueue,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            items: Segments::default(),
            unfinished: 0,
            taken: Book::default(),
            shut_down: false,
            getters: WaitQueue::default(),
            putters: WaitQueue::default(),
            joiners: WaitQueue::default(),
        }
    }
}

impl<T> Inherit for State<T> {
    fn inherit(&mut self, parent: &mut Self) {
        self.items = std::mem::take(&mut parent.items);
        self.unfinished = parent.unfinished;
        self.taken = parent.taken.clone();
        self.shut_down = parent.shut_down;
    }
}

impl<T> State<T> {
    fn put(&mut self, item: T) {
        self.items.push(item);
        self.unfinished += 1;
    }

    fn take(&mut self, order: Order) -> Option<T> {
        match order {
            Order::Fifo => self.items.pop(),
            Order::Lifo => self.items.pop_last(),
        }
    }

    fn none(&self) -> NoItem {
        if self.shut_down { NoItem::ShutDown } else { NoItem::Empty }
    }

    fn waiters(&mut self, side: Side) -> &mut WaitQueue {
        match side {
            Side::Items => &mut self.getters,
            Side::Room => &mut self.putters,
            Side::AllDone => &mut self.joiners,
        }
    }

    fn wake(&mut self, side: Side, most: usize) -> Vec<Woken> {
        let waiters = self.waiters(side);
        (0..most).map_while(|_| waiters.wake()).collect()
    }

    /// Those who wait for the end of all work, if it has come.
    fn release_joiners(&mut self) -> Vec<Woken> {
        if self.unfinished == 0 { self.joiners.grant_all() } else { Vec::new() }
    }
}

impl<T: Send> Queue<T> {
    /// An empty queue that holds at most `bound` items, or any number.
    #[must_use]
    pub fn new(bound: Option<NonZeroUsize>, order: Order) -> Self {
        Self {
            state: ForkMutex::default(),
            bound: AtomicUsize::new(bound.map_or(0, NonZeroUsize::get)),
            order,
        }
    }

    /// The most items that it holds.
    #[must_use]
    pub fn bound(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.bound.load(Ordering::Relaxed))
    }

    /// Sets another bound. Items above it stay; whoever finds room now goes on.
    pub fn set_bound(&self, bound: Option<NonZeroUsize>) {
        let woken = {
            let mut state = self.state.lock();
            self.bound.store(bound.map_or(0, NonZeroUsize::get), Ordering::Relaxed);
            let room = self.room(&state);
            state.wake(Side::Room, room)
        };
        self.ring(woken, Side::Room);
    }

    /// Whether an item could be put: neither is it full, nor shut down.
    ///
    /// # Errors
    ///
    /// [`ShutDown`].
    pub fn has_room(&self) -> Result<bool, ShutDown> {
        let state = self.state.lock();
        if state.shut_down { Err(ShutDown) } else { Ok(self.room(&state) > 0) }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items were put and not yet reported by [`task_done`](Queue::task_done).
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.state.lock().unfinished
    }

    /// Whether [`shutdown`](Queue::shutdown) has been called.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.state.lock().shut_down
    }

    fn room(&self, state: &State<T>) -> usize {
        self.bound().map_or(usize::MAX, |bound| bound.get().saturating_sub(state.items.len()))
    }

    fn ready(&self, state: &State<T>, side: Side) -> bool {
        match side {
            Side::Items => state.shut_down || !state.items.is_empty(),
            Side::Room => state.shut_down || self.room(state) > 0,
            Side::AllDone => state.unfinished == 0,
        }
    }

    /// Wakes them, now that the lock is free.
    fn ring(&self, woken: impl IntoIterator<Item = Woken>, side: Side) {
        Woken::ring_all(woken, &Until { queue: self, side });
    }

    /// Puts an item, if there is room.
    ///
    /// # Errors
    ///
    /// The item back, when the queue is full or shut down.
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), Rejected<T>> {
        let woken = self.put_and_wake(item)?;
        self.ring(woken, Side::Items);
        Ok(())
    }

    /// As [`try_put`](Queue::try_put), but it leaves it to the caller to ring: for one who has something to finish before
    /// foreign code may run.
    ///
    /// # Errors
    ///
    /// As of [`try_put`](Queue::try_put).
    #[inline]
    pub fn put_quietly(&self, item: T) -> Result<Due, Rejected<T>> {
        Ok(Due::of_one(self.put_and_wake(item)?, Side::Items))
    }

    #[inline]
    fn put_and_wake(&self, item: T) -> Result<Option<Woken>, Rejected<T>> {
        let mut state = self.state.lock();
        if state.shut_down {
            return Err(Rejected::ShutDown(item));
        }
        if self.room(&state) == 0 {
            return Err(Rejected::Full(item));
        }
        state.put(item);
        Ok(state.getters.wake())
    }

    /// Puts an item if there is room and nobody is to be woken for it: never rings, so it runs nothing foreign.
    ///
    /// # Errors
    ///
    /// The item back.
    #[inline]
    pub fn put_alone(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.shut_down || !state.getters.is_empty() || self.room(&state) == 0 {
            return Err(item);
        }
        state.put(item);
        Ok(())
    }

    /// Puts as many items as there is room for, the first ones first, and leaves the rest in `items`. Returns how many.
    ///
    /// # Errors
    ///
    /// [`ShutDown`], with all of them left.
    ///
    /// ```
    /// use raddle_sync::Owner;
    /// use raddle_sync::queue::{Order, Queue};
    /// use std::{collections::VecDeque, num::NonZeroUsize};
    ///
    /// let queue = Queue::new(NonZeroUsize::new(2), Order::Fifo);
    /// let mut items = VecDeque::from([1, 2, 3]);
    /// assert_eq!(queue.put_many(&mut items), Ok(2));
    /// assert_eq!(items, [3]);
    /// assert_eq!(queue.get_many(10, Owner::current_thread()), Ok(vec![1, 2]));
    /// ```
    pub fn put_many(&self, items: &mut VecDeque<T>) -> Result<usize, ShutDown> {
        let (fit, woken) = {
            let mut state = self.state.lock();
            if state.shut_down {
                return Err(ShutDown);
            }
            let fit = items.len().min(self.room(&state));
            for item in items.drain(..fit) {
                state.put(item);
            }
            (fit, state.wake(Side::Items, fit))
        };
        self.ring(woken, Side::Items);
        Ok(fit)
    }

    /// Takes the next item, if there is one, on behalf of `taker`.
    ///
    /// # Errors
    ///
    /// When there is none: [`NoItem::ShutDown`] after a shutdown, or else [`NoItem::Empty`].
    #[inline]
    pub fn try_get(&self, taker: Owner) -> Result<T, NoItem> {
        let (item, woken) = self.take_and_wake(taker)?;
        self.ring(woken, Side::Room);
        Ok(item)
    }

    /// As [`try_get`](Queue::try_get), but it leaves it to the caller to ring.
    ///
    /// # Errors
    ///
    /// As of [`try_get`](Queue::try_get).
    #[inline]
    pub fn get_quietly(&self, taker: Owner) -> Result<(T, Due), NoItem> {
        let (item, woken) = self.take_and_wake(taker)?;
        Ok((item, Due::of_one(woken, Side::Room)))
    }

    #[inline]
    fn take_and_wake(&self, taker: Owner) -> Result<(T, Option<Woken>), NoItem> {
        let mut state = self.state.lock();
        let Some(item) = state.take(self.order) else {
            return Err(state.none());
        };
        state.taken.take(taker, 1);
        Ok((item, state.putters.wake()))
    }

    /// Takes the next item if there is one and nobody is to be woken for its room: never rings, so it runs nothing foreign.
    #[inline]
    pub fn get_alone(&self, taker: Owner) -> Option<T> {
        let mut state = self.state.lock();
        if !state.putters.is_empty() {
            return None;
        }
        let item = state.take(self.order)?;
        state.taken.take(taker, 1);
        Some(item)
    }

    /// Puts an item back that `taker` has taken and does not work on: it is unfinished as before, and the one that was put
    /// last. Neither the bound nor a shutdown keeps it out. The caller rings.
    pub fn put_back_quietly(&self, item: T, taker: Owner) -> Due {
        let mut state = self.state.lock();
        state.items.push(item);
        state.taken.report(taker, 1);
        Due::of_one(state.getters.wake(), Side::Items)
    }

    /// Takes the next items, at least one and at most `most` of them, on behalf of `taker`.
    ///
    /// # Errors
    ///
    /// As of [`try_get`](Queue::try_get). With `most` at zero it takes none and never fails.
    pub fn get_many(&self, most: usize, taker: Owner) -> Result<Vec<T>, NoItem> {
        let (items, woken) = {
            let mut state = self.state.lock();
            let count = most.min(state.items.len());
            if count == 0 && most > 0 {
                return Err(state.none());
            }
            let mut items = Vec::with_capacity(count);
            items.extend((0..count).map_while(|_| state.take(self.order)));
            state.taken.take(taker, count);
            (items, state.wake(Side::Room, count))
        };
        self.ring(woken, Side::Room);
        Ok(items)
    }

    /// Reports, as `taker`, that the work on `count` items is finished. When it is on all of them, whoever waits for that goes
    /// on. Anybody may report, but then nobody can tell any more whom a wait for that is waiting for.
    ///
    /// # Errors
    ///
    /// [`TooMany`], with nothing changed, when fewer are unfinished.
    pub fn task_done(&self, count: usize, taker: Owner) -> Result<(), TooMany> {
        let woken = {
            let mut state = self.state.lock();
            state.unfinished = state.unfinished.checked_sub(count).ok_or(TooMany)?;
            state.taken.report(taker, count);
            state.release_joiners()
        };
        self.ring(woken, Side::AllDone);
        Ok(())
    }

    /// Closes the queue for puts; gets go on until it is empty. Wakes everybody who waits for an item or for room.
    ///
    /// With `immediate`, it is emptied at once: the items are handed back, and count as finished. Whoever waits for the end
    /// of all work goes on waiting for what has been taken out and not been reported.
    pub fn shutdown(&self, immediate: bool) -> Segments<T> {
        let (items, due) = self.shutdown_quietly(immediate);
        due.ring(self);
        items
    }

    /// As [`shutdown`](Queue::shutdown), but it leaves it to the caller to ring.
    pub fn shutdown_quietly(&self, immediate: bool) -> (Segments<T>, Due) {
        self.close(|state| {
            state.shut_down = true;
            let items = if immediate { std::mem::take(&mut state.items) } else { Segments::default() };
            state.unfinished = state.unfinished.saturating_sub(items.len());
            items
        })
    }

    /// Ends the queue's service because another one takes its place: takes everything out, and lets everybody who waits for
    /// anything go on. From then on it is shut down and all its work is done, so whoever comes late can tell.
    ///
    /// ```
    /// use raddle_sync::Owner;
    /// use raddle_sync::queue::{NoItem, Order, Queue};
    ///
    /// let queue = Queue::new(None, Order::Fifo);
    /// queue.try_put(1).expect("it is open");
    /// let retired = queue.retire();
    /// assert_eq!((retired.items.len(), retired.unfinished, retired.shut_down), (1, 1, false));
    /// assert_eq!(queue.try_get(Owner::current_thread()), Err(NoItem::ShutDown));
    /// ```
    pub fn retire(&self) -> Retired<T> {
        let (retired, due) = self.retire_quietly();
        due.ring(self);
        retired
    }

    /// As [`retire`](Queue::retire), but it leaves it to the caller to ring.
    pub fn retire_quietly(&self) -> (Retired<T>, Due) {
        self.close(|state| {
            state.taken = Book::closed();
            Retired {
                items: std::mem::take(&mut state.items),
                unfinished: std::mem::take(&mut state.unfinished),
                shut_down: std::mem::replace(&mut state.shut_down, true),
            }
        })
    }

    /// Shuts it down by `change`, and lets everybody go on who has nothing left to wait for.
    fn close<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> (R, Due) {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        let mut due = Due::of(state.wake(Side::Items, usize::MAX), Side::Items);
        due.append(Due::of(state.wake(Side::Room, usize::MAX), Side::Room));
        due.append(Due::of(state.release_joiners(), Side::AllDone));
        (changed, due)
    }

    /// Takes all items out, for a garbage collector. They stay unfinished.
    pub fn clear(&self) -> Segments<T> {
        let (items, woken) = {
            let mut state = self.state.lock();
            let items = std::mem::take(&mut state.items);
            let made = items.len();
            (items, state.wake(Side::Room, made))
        };
        self.ring(woken, Side::Room);
        items
    }

    /// Shows the items to `visit`, for a garbage collector. Returns false, without a call, when another thread is using
    /// the queue: it never waits. `visit` runs under the queue's lock: it must not use the queue, nor drop anything.
    pub fn try_inspect(&self, visit: impl FnOnce(&mut dyn Iterator<Item = &T>)) -> bool {
        let Some(state) = self.state.try_lock() else { return false };
        visit(&mut state.items.iter());
        true
    }

    /// Puts an item, and blocks the calling thread while there is no room, until `deadline`. For Rust programs, which
    /// serve no interpreter: signals are slept through.
    ///
    /// # Errors
    ///
    /// The item back: [`Rejected::Full`] when the deadline passed, or [`Rejected::ShutDown`].
    pub fn put(&self, item: T, deadline: Option<Moment>) -> Result<(), Rejected<T>> {
        let mut item = match self.try_put(item) {
            Err(Rejected::Full(item)) => item,
            outcome => return outcome,
        };
        let waiter = Waiter::thread(Owner::current_thread());
        // With the same one turn after turn: when it was woken for nothing, it keeps its place.
        while waiter::block_with(&waiter, &Until::room(self), deadline) {
            item = match self.try_put(item) {
                Err(Rejected::Full(item)) => item,
                outcome => return outcome,
            };
        }
        Err(Rejected::Full(item))
    }

    /// Takes the next item, and blocks the calling thread while there is none, until `deadline`. For Rust programs, as
    /// [`put`](Queue::put).
    ///
    /// # Errors
    ///
    /// [`NoItem::Empty`] when the deadline passed, or [`NoItem::ShutDown`].
    pub fn get(&self, deadline: Option<Moment>) -> Result<T, NoItem> {
        let me = Owner::current_thread();
        let outcome = self.try_get(me);
        if !matches!(outcome, Err(NoItem::Empty)) {
            return outcome;
        }
        let waiter = Waiter::thread(me);
        while waiter::block_with(&waiter, &Until::items(self), deadline) {
            let outcome = self.try_get(me);
            if !matches!(outcome, Err(NoItem::Empty)) {
                return outcome;
            }
        }
        Err(NoItem::Empty)
    }

    /// Blocks the calling thread until all work was reported as finished, or `deadline`. For Rust programs, as
    /// [`put`](Queue::put). Returns false when the deadline passed.
    pub fn join(&self, deadline: Option<Moment>) -> bool {
        waiter::block(&Until::all_done(self), deadline)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, order, .. } = self;
        let bound = NonZeroUsize::new(bound.load(Ordering::Relaxed));
        formatter.debug_struct("Queue").field("bound", &bound).field("order", order).finish_non_exhaustive()
    }
}
