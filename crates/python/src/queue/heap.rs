//! A heap whose items are compared by Python: the inside of a `PriorityQueue`.
//!
//! A comparison may run foreign code: it may take long, raise, wait, or use this queue. So none of Raddle's own locks is held
//! while one runs. Instead, whoever changes the heap has his *turn*, a lock like those that users have: others wait for it
//! without the interpreter, signals are seen to, and one who comes back from within his own turn gets an error.
//!
//! Within a turn, all comparisons come first ([`paths`]): they decide where an item belongs, and only then is it counted and put
//! there, at once. So one that raises leaves everything as it was, and a child that was forked while another thread compared
//! has a whole heap, and nobody's turn.
//!
//! Who waits is woken once the turn is over: that runs foreign code too (a loop's `call_soon_threadsafe`).
//!
//! What is counted are tokens, in a queue of `raddle-sync` that has one for each item: waiting, bounds, shutdown and unfinished
//! work are its affair.

use super::compare::Entry;
use super::core::{Item, Left};
use super::paths;
use crate::ffi;
use crate::threading::wait;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use raddle_sync::queue::{Due, NoItem, Order, Queue, Rejected, Retired, ShutDown};
use raddle_sync::{Lock, Mutex, Owner};
use std::collections::VecDeque;
use std::mem::swap;
use std::num::NonZeroUsize;
use std::sync::Arc;

pub(crate) struct Heap {
    /// Changed by the one whose turn it is, and never locked for longer than a look or a change.
    items: Mutex<Vec<Entry>>,
    turn: Arc<Lock>,
    pub(crate) tokens: Arc<Queue<()>>,
}

/// Somebody has the heap to himself until this is dropped.
struct Turn<'a> {
    heap: &'a Heap,
    me: Owner,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let released = self.heap.turn.release();
        debug_assert!(released.is_ok(), "nobody else ends a turn");
    }
}

/// Only Python can tell.
struct Unknown;

impl Heap {
    pub(crate) fn new(bound: Option<NonZeroUsize>) -> Self {
        Self {
            items: Mutex::default(),
            turn: Arc::new(Lock::new(false)),
            tokens: Arc::new(Queue::new(bound, Order::Fifo)),
        }
    }

    /// Waits for its turn; `queue` is what the user called.
    fn turn(&self, queue: &Bound<'_, PyAny>) -> PyResult<Turn<'_>> {
        let me = Owner::current_thread();
        if !self.turn.try_acquire(me) {
            self.wait_for_turn(queue, me)?;
        }
        Ok(Turn { heap: self, me })
    }

    #[cold]
    fn wait_for_turn(&self, queue: &Bound<'_, PyAny>, me: Owner) -> PyResult<()> {
        if self.turn.owner() == Some(me) {
            return Err(PyRuntimeError::new_err(
                "a PriorityQueue can't be used by code that runs within a comparison of its items",
            ));
        }
        self.free_from_the_dead();
        wait::block(queue, Arc::clone(&self.turn), None).map(drop)
    }

    /// In a forked child, ends the turn of a thread that stayed behind in the parent.
    fn free_from_the_dead(&self) {
        if let Some(holder) = self.turn.owner()
            && holder.thread_ident().is_none()
        {
            // If it isn't his any more, all the better.
            let _ = self.turn.release_for(holder);
        }
    }

    pub(crate) fn put(&self, queue: &Bound<'_, PyAny>, item: Item) -> PyResult<Result<(), Rejected<Item>>> {
        // Dropped, if it comes to that, when the turn is over.
        let entry = Entry::new(item.into_bound(queue.py()));
        let turn = self.turn(queue)?;
        let done = match turn.place(queue.py(), &entry)? {
            Ok(place) => turn.put(place, entry),
            Err(rejected) => Err(rejected.map(|()| entry)),
        };
        drop(turn);
        Ok(match done {
            Ok(due) => {
                due.ring(&self.tokens);
                Ok(())
            }
            Err(rejected) => Err(rejected.map(|entry| entry.item)),
        })
    }

    /// Puts the first ones, as many as there is room for; the one whose comparison fails and those behind it stay.
    pub(crate) fn put_many(
        &self,
        queue: &Bound<'_, PyAny>,
        items: &mut VecDeque<Item>,
    ) -> PyResult<Result<usize, ShutDown>> {
        let turn = self.turn(queue)?;
        let (mut count, mut due) = (0, Due::default());
        let end = loop {
            let Some(item) = items.pop_front() else { break Ok(None) };
            let entry = Entry::new(item.into_bound(queue.py()));
            let rejected = match turn.place(queue.py(), &entry) {
                Ok(Ok(place)) => match turn.put(place, entry) {
                    Ok(woken) => {
                        due.append(woken);
                        count += 1;
                        continue;
                    }
                    Err(rejected) => rejected,
                },
                Ok(Err(rejected)) => rejected.map(|()| entry),
                Err(error) => {
                    items.push_front(entry.item);
                    break Err(error);
                }
            };
            let shut_down = matches!(rejected, Rejected::ShutDown(_));
            items.push_front(rejected.into_inner().item);
            break Ok(shut_down.then_some(ShutDown));
        };
        drop(turn);
        due.ring(&self.tokens);
        Ok(match end? {
            Some(shut_down) if count == 0 => Err(shut_down),
            _ => Ok(count),
        })
    }

    pub(crate) fn get(&self, queue: &Bound<'_, PyAny>) -> PyResult<Result<Item, NoItem>> {
        let turn = self.turn(queue)?;
        let place = turn.sink(queue.py())?;
        let taken = turn.take(place);
        drop(turn);
        Ok(taken.map(|(entry, due)| {
            due.ring(&self.tokens);
            entry.item
        }))
    }

    /// Takes at most `most` items.
    ///
    /// When a comparison after the first item raises an `Exception`, those that were taken are handed over: the next call makes
    /// that comparison again, and raises what comes of it. What is no `Exception` comes once and from elsewhere, such as Ctrl-C:
    /// the items are put back as they were, and it is raised.
    pub(crate) fn get_many(
        &self,
        queue: &Bound<'_, PyAny>,
        most: usize,
    ) -> PyResult<Result<Vec<Item>, NoItem>> {
        let py = queue.py();
        // Outlives the turn: to drop it can run foreign code.
        let mut end = Ok(None);
        let turn = self.turn(queue)?;
        let (mut taken, mut due) = (Vec::new(), Due::default());
        while taken.len() < most {
            let place = match turn.sink(py) {
                Ok(place) => place,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            };
            match turn.take(place) {
                Ok((entry, woken)) => {
                    due.append(woken);
                    taken.push((place, entry));
                }
                Err(none) => {
                    end = Ok(Some(none));
                    break;
                }
            }
        }
        if let Err(error) = &end
            && !error.is_instance_of::<PyException>(py)
        {
            while let Some((place, entry)) = taken.pop() {
                due.append(turn.put_back(place, entry));
            }
        }
        drop(turn);
        due.ring(&self.tokens);
        if taken.is_empty()
            && let Some(none) = end?
        {
            return Ok(Err(none));
        }
        Ok(Ok(taken.into_iter().map(|(_, entry)| entry.item).collect()))
    }

    /// The items to drop.
    pub(crate) fn shutdown(&self, queue: &Bound<'_, PyAny>, immediate: bool) -> PyResult<Vec<Item>> {
        let turn = self.turn(queue)?;
        let (_, due) = self.tokens.shutdown_quietly(immediate);
        let items = if immediate { self.take_all() } else { Vec::new() };
        drop(turn);
        due.ring(&self.tokens);
        Ok(items)
    }

    /// As [`Core::retire`](super::core::Core::retire).
    pub(crate) fn retire(
        &self,
        queue: &Bound<'_, PyAny>,
        first: impl FnOnce() -> bool,
    ) -> PyResult<Option<Left>> {
        let turn = self.turn(queue)?;
        if !first() {
            return Ok(None);
        }
        let (Retired { unfinished, shut_down, .. }, due) = self.tokens.retire_quietly();
        let items = self.take_all();
        drop(turn);
        due.ring(&self.tokens);
        Ok(Some(Left { items, unfinished, shut_down }))
    }

    /// The items to drop, for the garbage collector: nobody can have a turn any more.
    pub(crate) fn clear(&self) -> Vec<Py<PyAny>> {
        self.tokens.clear();
        self.take_all()
    }

    /// As they stand, which is a heap.
    fn take_all(&self) -> Vec<Py<PyAny>> {
        let entries = std::mem::take(&mut *self.items.lock());
        entries.into_iter().map(|entry| entry.item).collect()
    }

    /// Shows the items to the garbage collector, unless somebody is using them.
    pub(crate) fn inspect<E>(&self, mut visit: impl FnMut(&Py<PyAny>) -> Result<(), E>) -> Result<(), E> {
        self.items.try_lock().map_or(Ok(()), |items| items.iter().try_for_each(|entry| visit(&entry.item)))
    }

    fn item(&self, py: Python<'_>, place: usize) -> Py<PyAny> {
        self.items.lock()[place].item.clone_ref(py)
    }
}

impl Turn<'_> {
    /// Where an item belongs.
    #[inline]
    fn place(&self, py: Python<'_>, entry: &Entry) -> PyResult<Result<usize, Rejected<()>>> {
        let heap = self.heap;
        if let Ok(place) = self.quick_place(py, entry) {
            return Ok(Ok(place));
        }
        match heap.tokens.has_room() {
            Ok(true) => {
                let less = |place| ffi::less(entry.item.bind(py), heap.item(py, place).bind(py));
                paths::climb(heap.tokens.len(), less).map(Ok)
            }
            Ok(false) => Ok(Err(Rejected::Full(()))),
            Err(ShutDown) => Ok(Err(Rejected::ShutDown(()))),
        }
    }

    fn quick_place(&self, py: Python<'_>, entry: &Entry) -> Result<usize, Unknown> {
        let items = self.heap.items.lock();
        paths::climb(items.len(), |place| entry.less(py, &items[place]).ok_or(Unknown))
    }

    /// Puts an item where it belongs. The caller rings when the turn is over.
    #[inline]
    fn put(&self, place: usize, entry: Entry) -> Result<Due, Rejected<Entry>> {
        match self.heap.tokens.put_quietly(()) {
            Ok(due) => {
                let mut items = self.heap.items.lock();
                let last = items.len();
                items.push(entry);
                paths::rise(place, last, |one, other| items.swap(one, other));
                Ok(due)
            }
            Err(rejected) => Err(rejected.map(|()| entry)),
        }
    }

    /// Where the last item belongs once the first one is taken out.
    #[inline]
    fn sink(&self, py: Python<'_>) -> PyResult<usize> {
        if let Ok(place) = self.quick_sink(py) {
            return Ok(place);
        }
        let heap = self.heap;
        let less = |one, other| ffi::less(heap.item(py, one).bind(py), heap.item(py, other).bind(py));
        paths::sink(heap.tokens.len(), less)
    }

    fn quick_sink(&self, py: Python<'_>) -> Result<usize, Unknown> {
        let items = self.heap.items.lock();
        if items.len() < 2 {
            return Ok(0);
        }
        paths::sink(items.len(), |one, other| items[one].less(py, &items[other]).ok_or(Unknown))
    }

    /// Takes the first item out, given the place at which the last one belongs. The caller rings when the turn is over.
    #[inline]
    fn take(&self, place: usize) -> Result<(Entry, Due), NoItem> {
        let ((), due) = self.heap.tokens.get_quietly(self.me)?;
        let mut items = self.heap.items.lock();
        let mut hand = items.pop().expect("there is an item for each token");
        if !items.is_empty() {
            paths::lift(place, |at| swap(&mut items[at], &mut hand));
        }
        Ok((hand, due))
    }

    /// Undoes what [`take`](Self::take) did last, without a comparison.
    fn put_back(&self, place: usize, first: Entry) -> Due {
        let due = self.heap.tokens.put_back_quietly((), self.me);
        let mut items = self.heap.items.lock();
        let mut hand = first;
        if !items.is_empty() {
            paths::lower(place, |at| swap(&mut items[at], &mut hand));
        }
        items.push(hand);
        due
    }
}
