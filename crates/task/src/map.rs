//! Many items through one function: what the producers, the workers and the consumer of a `map` share.
//!
//! There are no chunks that could be sized wrongly. A worker claims one item at a time and publishes its result with the
//! next claim, under one short lock; what is sized is its *turn*, by the measured time: after a few milliseconds it goes
//! to the back of the pool's queue, so that other tasks get their turn too. A slow item therefore holds up nobody but
//! itself, and tiny items cost no dispatch.
//!
//! ```text
//!  consumer ── feed ──▶ pending ── claim ──▶ worker ── publish ──▶ slots ── take ──▶ consumer
//! ```

use raddle_sync::primitives::Mutex;
use raddle_sync::{Moment, WaitWord, Wake};
use std::collections::VecDeque;

/// In which order the consumer gets the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the items came.
    Input,
    /// As the results come.
    Completion,
}

/// What the consumer finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Take<O> {
    /// The next result.
    Ready(O),
    /// It is still being worked on: sleep with [`Map::sleep`], handing this value back.
    Wait(u32),
    /// Every item fed so far has been taken.
    Empty,
}

/// How far a map has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items fed so far.
    pub fed: u64,
    /// Items with a result.
    pub done: u64,
}

#[derive(Debug)]
struct Inner<I, O> {
    pending: VecDeque<I>,
    /// Index of the next item to be claimed.
    next: u64,
    /// Results from index `first` on, when the order is the input's; else those that have come, in any order.
    slots: VecDeque<Option<O>>,
    first: u64,
    progress: Progress,
    runners: usize,
    consumer_waits: bool,
    closed: bool,
}

impl<I, O> Inner<I, O> {
    /// Stores the outcome of item `index` and returns its distance from the consumer, in results.
    fn settle(&mut self, order: Order, index: u64, outcome: O) -> usize {
        self.progress.done += 1;
        if order == Order::Completion {
            self.slots.push_back(Some(outcome));
            return 0;
        }
        let position = usize::try_from(index - self.first).expect("slots fit in memory");
        if self.slots.len() <= position {
            self.slots.resize_with(position + 1, || None);
        }
        self.slots[position] = Some(outcome);
        position
    }
}

/// The shared state of one map from items `I` to outcomes `O`. Safe across threads.
///
/// ```
/// use raddle_task::map::{Map, Order, Take};
///
/// let map = Map::new(Order::Input);
/// map.feed(2);
/// let (index, item) = map.claim(None).expect("one item is pending");
/// assert!(map.claim(Some((index, item * item))).is_none());
/// assert_eq!(map.take(), Take::Ready(4));
/// assert_eq!(map.take(), Take::Empty);
/// ```
#[derive(Debug)]
pub struct Map<I, O> {
    order: Order,
    inner: Mutex<Inner<I, O>>,
    arrivals: WaitWord,
}

impl<I, O> Map<I, O> {
    /// A map without items.
    #[must_use]
    pub fn new(order: Order) -> Self {
        let inner = Inner {
            pending: VecDeque::new(),
            next: 0,
            slots: VecDeque::new(),
            first: 0,
            progress: Progress::default(),
            runners: 0,
            consumer_waits: false,
            closed: false,
        };
        Self { order, inner: Mutex::new(inner), arrivals: WaitWord::new(0) }
    }

    /// Adds one item.
    pub fn feed(&self, item: I) {
        self.feed_all(std::iter::once(item));
    }

    /// Adds items; the iterator must be short work, it runs under the lock.
    pub fn feed_all(&self, items: impl Iterator<Item = I>) {
        let mut inner = self.inner.lock();
        let before = inner.pending.len();
        inner.pending.extend(items);
        inner.progress.fed += (inner.pending.len() - before) as u64;
    }

    /// Asks for a place to work on the items: true when fewer than `limit` workers do and an item waits. Whoever gets
    /// true calls [`Map::leave`] in the end, [`Map::resign`] or [`Map::resign_and_withdraw`]: what is fed relies on those
    /// who have a place, and on nobody else once they are as many as the limit.
    pub fn join(&self, limit: usize) -> bool {
        let mut inner = self.inner.lock();
        let wanted = !inner.closed && inner.runners < limit.min(inner.runners + inner.pending.len());
        inner.runners += usize::from(wanted);
        wanted
    }

    /// Gives the place back. False when an item has been fed meanwhile and the caller is to go on.
    pub fn leave(&self) -> bool {
        let mut inner = self.inner.lock();
        // What is fed to a closed map is never begun.
        let leaves = inner.closed || inner.pending.is_empty();
        inner.runners -= usize::from(leaves);
        leaves
    }

    /// Gives the place back although items may wait: no worker could be sent.
    pub fn resign(&self) {
        self.inner.lock().runners -= 1;
    }

    /// Publishes the result of the item claimed before, if any, and claims the next one.
    pub fn claim(&self, finished: Option<(u64, O)>) -> Option<(u64, I)> {
        self.advance(finished, true)
    }

    /// Claims up to `most` items that follow each other: the index of the first one, and the items. None while none is
    /// pending.
    pub fn claim_many(&self, most: usize) -> Option<(u64, Vec<I>)> {
        let mut inner = self.inner.lock();
        let count = most.min(inner.pending.len());
        if inner.closed || count == 0 {
            return None;
        }
        let first = inner.next;
        inner.next += count as u64;
        Some((first, inner.pending.drain(..count).collect()))
    }

    /// Gives back what [`Map::claim_many`] returned: they are the next items to be claimed again.
    ///
    /// # Errors
    ///
    /// The items, when later ones have been claimed or withdrawn, or the map has been closed.
    pub fn unclaim(&self, first: u64, items: Vec<I>) -> Result<(), Vec<I>> {
        let mut inner = self.inner.lock();
        if inner.closed || inner.next != first + items.len() as u64 {
            return Err(items);
        }
        inner.next = first;
        for item in items.into_iter().rev() {
            inner.pending.push_front(item);
        }
        Ok(())
    }

    /// Publishes the results of items that follow each other. The iterator must be short work, it runs under the lock.
    pub fn publish_many(&self, first: u64, outcomes: impl Iterator<Item = O>) {
        let mut inner = self.inner.lock();
        if inner.closed {
            // What nobody will take is dropped without the lock.
            drop(inner);
            drop(outcomes.collect::<Vec<_>>());
            return;
        }
        let mut wakes = false;
        for (index, outcome) in (first..).zip(outcomes) {
            wakes |= inner.settle(self.order, index, outcome) == 0;
        }
        let wakes = wakes && std::mem::take(&mut inner.consumer_waits);
        drop(inner);
        if wakes {
            self.ring();
        }
    }

    /// How many items nobody has claimed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.inner.lock().pending.len()
    }

    /// Whether the iteration is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Whether somebody has rung since [`Take::Wait`] told `seen`.
    #[must_use]
    pub fn has_news(&self, seen: u32) -> bool {
        self.arrivals.load() != seen
    }

    /// Publishes the result of the item claimed before, if any.
    pub fn publish(&self, finished: Option<(u64, O)>) {
        self.advance(finished, false);
    }

    fn advance(&self, finished: Option<(u64, O)>, claims: bool) -> Option<(u64, I)> {
        let mut inner = self.inner.lock();
        let mut wakes = false;
        if inner.closed {
            // What nobody will take is dropped without the lock.
            drop(inner);
            drop(finished);
            return None;
        }
        if let Some((index, outcome)) = finished {
            let position = inner.settle(self.order, index, outcome);
            wakes = inner.consumer_waits && position == 0;
            inner.consumer_waits &= !wakes;
        }
        let claimed = if claims { inner.pending.pop_front() } else { None }.map(|item| (inner.next, item));
        inner.next += u64::from(claimed.is_some());
        drop(inner);
        if wakes {
            self.ring();
        }
        claimed
    }

    /// The consumer's next result.
    pub fn take(&self) -> Take<O> {
        let mut inner = self.inner.lock();
        if let Some(Some(_)) = inner.slots.front() {
            inner.first += 1;
            let outcome = inner.slots.pop_front().flatten().expect("the front has just been seen");
            return Take::Ready(outcome);
        }
        if inner.first == inner.progress.fed || inner.closed {
            return Take::Empty;
        }
        inner.consumer_waits = true;
        Take::Wait(self.arrivals.load())
    }

    /// Gives back what [`Map::take`] returned: it is the next result again.
    ///
    /// # Errors
    ///
    /// The outcome, when the map has been closed.
    pub fn put_back(&self, outcome: O) -> Result<(), O> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(outcome);
        }
        inner.first -= 1;
        inner.slots.push_front(Some(outcome));
        let wakes = std::mem::take(&mut inner.consumer_waits);
        drop(inner);
        if wakes {
            // Another consumer may be waiting for the item after this one.
            self.ring();
        }
        Ok(())
    }

    /// How many items have been fed whose results nobody has taken.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        let inner = self.inner.lock();
        inner.progress.fed - inner.first
    }

    /// The consumer sleeps until a result may have come since [`Take::Wait`], `deadline`, or a signal.
    pub fn sleep(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        self.arrivals.wait(seen, deadline)
    }

    /// No further item is begun. Returns what was pending, and the results nobody took, for the caller to drop.
    pub fn close(&self) -> (VecDeque<I>, VecDeque<Option<O>>) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let left = (std::mem::take(&mut inner.pending), std::mem::take(&mut inner.slots));
        drop(inner);
        self.ring();
        left
    }

    /// Withdraws the items that have not begun, each of which gets `outcome` as its result: a shutdown that cancels.
    /// Returns the items, for the caller to drop.
    pub fn withdraw(&self, outcome: impl FnMut() -> O) -> VecDeque<I> {
        self.withdraw_for(0, outcome)
    }

    /// The same for a worker that was to come and never will, whose place is given back. At once: what is fed meanwhile is
    /// withdrawn too, or finds the place free.
    pub fn resign_and_withdraw(&self, outcome: impl FnMut() -> O) -> VecDeque<I> {
        self.withdraw_for(1, outcome)
    }

    fn withdraw_for(&self, runners: usize, mut outcome: impl FnMut() -> O) -> VecDeque<I> {
        let mut inner = self.inner.lock();
        inner.runners -= runners;
        let items = std::mem::take(&mut inner.pending);
        for _ in &items {
            let index = inner.next;
            inner.next += 1;
            inner.settle(self.order, index, outcome());
        }
        inner.consumer_waits = false;
        drop(inner);
        self.ring();
        items
    }

    /// Looks at the items and results inside if nobody holds the lock, for a garbage collector's traversal.
    pub fn try_inspect(&self, look: impl FnOnce(&mut dyn Iterator<Item = &O>)) {
        if let Some(inner) = self.inner.try_lock() {
            look(&mut inner.slots.iter().flatten());
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.inner.lock().progress
    }

    /// Has the consumer look again.
    pub fn ring(&self) {
        self.arrivals.fetch_add(1);
        self.arrivals.wake_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn input_order_waits_for_the_first_item() {
        let map = Map::new(Order::Input);
        map.feed_all([10, 20].into_iter());
        let first = map.claim(None).expect("two are pending");
        let second = map.claim(None).expect("one is pending");
        assert!(map.claim(Some(second)).is_none());
        assert!(matches!(map.take(), Take::Wait(_)));
        assert!(map.claim(Some(first)).is_none());
        assert_eq!((map.take(), map.take(), map.take()), (Take::Ready(10), Take::Ready(20), Take::Empty));
        assert_eq!(map.progress(), Progress { fed: 2, done: 2 });
    }

    #[test]
    fn completion_order_takes_what_comes() {
        let map = Map::new(Order::Completion);
        map.feed_all([10, 20].into_iter());
        let _slow = map.claim(None).expect("two are pending");
        let quick = map.claim(None).expect("one is pending");
        assert!(map.claim(Some(quick)).is_none());
        assert_eq!(map.take(), Take::Ready(20));
        assert!(matches!(map.take(), Take::Wait(_)));
    }

    #[test]
    fn items_that_were_given_back_are_claimed_first() {
        let map: Map<_, i32> = Map::new(Order::Input);
        map.feed_all(0..4);
        assert_eq!(map.claim_many(3), Some((0, vec![0, 1, 2])));
        assert_eq!(map.unclaim(0, vec![0, 1, 2]), Ok(()));
        assert_eq!((map.pending(), map.claim_many(1)), (4, Some((0, vec![0]))));
        assert_eq!(map.claim_many(2), Some((1, vec![1, 2])));
        assert_eq!(map.unclaim(0, vec![0]), Err(vec![0]), "later ones have been claimed");
        assert_eq!(map.withdraw(|| -1), [3]);
        assert_eq!(map.unclaim(1, vec![1, 2]), Err(vec![1, 2]), "later ones have been withdrawn");
        map.close();
        assert_eq!(map.unclaim(4, vec![4]), Err(vec![4]), "nothing is begun any more");
    }

    #[test]
    fn a_place_that_no_worker_takes_is_free_again() {
        let map: Map<_, ()> = Map::new(Order::Input);
        map.feed(10);
        assert!(map.join(1) && !map.join(1));
        map.resign();
        assert!(map.join(1));
    }

    #[test]
    fn the_place_of_a_worker_that_never_comes_is_free_again() {
        let map = Map::new(Order::Input);
        map.feed(10);
        assert!(map.join(1));
        assert_eq!(map.resign_and_withdraw(|| -1), [10]);
        map.feed(20);
        assert!(map.join(1), "or nobody would ever work on it");
        assert_eq!(map.take(), Take::Ready(-1));
    }

    #[test]
    fn withdrawn_items_have_an_outcome_and_closed_maps_end() {
        let map = Map::new(Order::Input);
        map.feed_all(0..3);
        let first = map.claim(None).expect("three are pending");
        assert_eq!(map.withdraw(|| -1), [1, 2]);
        assert!(map.claim(Some(first)).is_none());
        assert_eq!((map.take(), map.take()), (Take::Ready(0), Take::Ready(-1)));
        map.close();
        assert_eq!(map.take(), Take::Empty);
    }

    #[test]
    fn a_result_that_was_put_back_comes_first() {
        let map = Map::new(Order::Input);
        map.feed_all([10, 20, 30].into_iter());
        let mut finished = None;
        while let Some(claimed) = map.claim(finished.take()) {
            finished = Some(claimed);
        }
        assert_eq!((map.take(), map.ahead()), (Take::Ready(10), 2));
        assert_eq!(map.put_back(10), Ok(()));
        assert_eq!((map.take(), map.take(), map.ahead()), (Take::Ready(10), Take::Ready(20), 1));
        map.close();
        assert_eq!(map.put_back(20), Err(20));
    }

    #[test]
    fn no_more_workers_join_than_there_are_items() {
        let map: Map<_, ()> = Map::new(Order::Input);
        map.feed_all(0..2);
        assert!(map.join(1));
        assert!(!map.join(1));
        assert!(map.join(8));
        assert!(!map.leave());
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use raddle_sync::primitives::Arc;

    #[test]
    fn the_consumer_gets_every_result() {
        for order in [Order::Input, Order::Completion] {
            loom::model(move || {
                let map = Arc::new(Map::new(order));
                map.feed_all([1, 2].into_iter());
                let worker = Arc::clone(&map);
                let worker = loom::thread::spawn(move || {
                    let mut finished = None;
                    while let Some((index, item)) = worker.claim(finished.take()) {
                        finished = Some((index, item));
                    }
                });
                let mut sum = 0;
                loop {
                    match map.take() {
                        Take::Ready(item) => sum += item,
                        Take::Wait(seen) => {
                            map.sleep(seen, None);
                        }
                        Take::Empty => break,
                    }
                }
                assert_eq!(sum, 3);
                worker.join().expect("the worker ends");
            });
        }
    }

    /// The pool is shut down while the consumer feeds: each item is withdrawn, or its worker refused.
    #[test]
    fn nobody_waits_for_a_worker_that_was_cancelled() {
        loom::model(|| {
            let map = Arc::new(Map::new(Order::Input));
            map.feed(1);
            assert!(map.join(1));
            let item = map.claim(None);
            // The worker's turn was over before it left: it is in the pool's queue again.
            map.publish(item);
            assert_eq!(map.take(), Take::Ready(1));
            let pool = Arc::clone(&map);
            let pool = loom::thread::spawn(move || drop(pool.resign_and_withdraw(|| -1)));
            map.feed(2);
            if map.join(1) {
                // The pool is closed by now.
                map.resign();
            } else {
                let found = loop {
                    match map.take() {
                        Take::Wait(seen) => {
                            map.sleep(seen, None);
                        }
                        found => break found,
                    }
                };
                assert_eq!(found, Take::Ready(-1));
            }
            pool.join().expect("it ends");
        });
    }
}
