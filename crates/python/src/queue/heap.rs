//! A heap whose items are compared by Python: the inside of a `PriorityQueue`.
//!
//! A comparison may run foreign code: it may take long, raise, wait, or use this queue. So none of Raddle's own locks is held
//! while one runs. Instead, whoever changes the heap has his *turn*, a lock like those that users have: others wait for it
//! without the interpreter, signals are seen to, and one who comes back from within his own turn gets an error.
//!
//! Within a turn, all comparisons come first ([`paths`]): they decide where an item belongs, and only then is it counted and put
//! there, at once. So one that raises leaves everything as it was.
//!
//! What is counted are tokens, in a queue of `raddle-sync` that has one for each item: waiting, bounds, shutdown and unfinished
//! work are its affair.

use super::compare::Entry;
use super::core::Left;
use super::paths;
use crate::ffi;
use crate::threading::wait;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use raddle_sync::queue::{NoItem, Order, Queue, Rejected, Retired, ShutDown};
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
        wait::block(queue, Arc::clone(&self.turn), None).map(drop)
    }

    pub(crate) fn put(
        &self,
        queue: &Bound<'_, PyAny>,
        item: Py<PyAny>,
    ) -> PyResult<Result<(), Rejected<Py<PyAny>>>> {
        let turn = self.turn(queue)?;
        turn.put(queue.py(), item)
    }

    /// Puts the first ones, as many as there is room for; the one whose comparison fails and those behind it stay.
    pub(crate) fn put_many(
        &self,
        queue: &Bound<'_, PyAny>,
        items: &mut VecDeque<Py<PyAny>>,
    ) -> PyResult<Result<usize, ShutDown>> {
        let (py, turn) = (queue.py(), self.turn(queue)?);
        let mut count = 0;
        while let Some(item) = items.pop_front() {
            let spare = item.clone_ref(py);
            match turn.put(py, item) {
                Ok(Ok(())) => count += 1,
                Ok(Err(rejected)) => {
                    let shut_down = matches!(rejected, Rejected::ShutDown(_));
                    items.push_front(rejected.into_inner());
                    return Ok(if shut_down && count == 0 { Err(ShutDown) } else { Ok(count) });
                }
                Err(error) => {
                    items.push_front(spare);
                    return Err(error);
                }
            }
        }
        Ok(Ok(count))
    }

    pub(crate) fn get(&self, queue: &Bound<'_, PyAny>) -> PyResult<Result<Py<PyAny>, NoItem>> {
        let turn = self.turn(queue)?;
        turn.get(queue.py())
    }

    /// Takes at most `most` items. An error that comes after the first one is left to the next call.
    pub(crate) fn get_many(
        &self,
        queue: &Bound<'_, PyAny>,
        most: usize,
    ) -> PyResult<Result<Vec<Py<PyAny>>, NoItem>> {
        let (py, turn) = (queue.py(), self.turn(queue)?);
        let mut items = Vec::new();
        while items.len() < most {
            match turn.get(py) {
                Ok(Ok(item)) => items.push(item),
                Ok(Err(none)) if items.is_empty() => return Ok(Err(none)),
                Err(error) if items.is_empty() => return Err(error),
                _ => break,
            }
        }
        Ok(Ok(items))
    }

    /// The items to drop.
    pub(crate) fn shutdown(&self, queue: &Bound<'_, PyAny>, immediate: bool) -> PyResult<Vec<Py<PyAny>>> {
        let _turn = self.turn(queue)?;
        self.tokens.shutdown(immediate);
        Ok(if immediate { self.take_all() } else { Vec::new() })
    }

    /// As [`Core::retire`](super::core::Core::retire).
    pub(crate) fn retire(
        &self,
        queue: &Bound<'_, PyAny>,
        first: impl FnOnce() -> bool,
    ) -> PyResult<Option<Left>> {
        let _turn = self.turn(queue)?;
        if !first() {
            return Ok(None);
        }
        let Retired { unfinished, shut_down, .. } = self.tokens.retire();
        Ok(Some(Left { items: self.take_all(), unfinished, shut_down }))
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
    fn put(&self, py: Python<'_>, item: Py<PyAny>) -> PyResult<Result<(), Rejected<Py<PyAny>>>> {
        let heap = self.heap;
        let entry = Entry::new(item.into_bound(py));
        let place = match self.quick_place(py, &entry) {
            Ok(place) => place,
            Err(Unknown) => match heap.tokens.has_room() {
                Ok(true) => {
                    let less = |place| ffi::less(entry.item.bind(py), heap.item(py, place).bind(py));
                    paths::climb(heap.tokens.len(), less)?
                }
                Ok(false) => return Ok(Err(Rejected::Full(entry.item))),
                Err(ShutDown) => return Ok(Err(Rejected::ShutDown(entry.item))),
            },
        };
        match heap.tokens.try_put(()) {
            Ok(()) => {
                let mut items = heap.items.lock();
                let last = items.len();
                items.push(entry);
                paths::rise(place, last, |one, other| items.swap(one, other));
                Ok(Ok(()))
            }
            Err(Rejected::Full(())) => Ok(Err(Rejected::Full(entry.item))),
            Err(Rejected::ShutDown(())) => Ok(Err(Rejected::ShutDown(entry.item))),
        }
    }

    fn quick_place(&self, py: Python<'_>, entry: &Entry) -> Result<usize, Unknown> {
        let items = self.heap.items.lock();
        paths::climb(items.len(), |place| entry.less(py, &items[place]).ok_or(Unknown))
    }

    fn get(&self, py: Python<'_>) -> PyResult<Result<Py<PyAny>, NoItem>> {
        let heap = self.heap;
        let place = if let Ok(place) = self.quick_sink(py) {
            place
        } else {
            let less = |one, other| ffi::less(heap.item(py, one).bind(py), heap.item(py, other).bind(py));
            paths::sink(heap.tokens.len(), less)?
        };
        if let Err(none) = heap.tokens.try_get(self.me) {
            return Ok(Err(none));
        }
        let mut items = heap.items.lock();
        let mut hand = items.pop().expect("there is an item for each token");
        if !items.is_empty() {
            paths::lift(place, |at| swap(&mut items[at], &mut hand));
        }
        Ok(Ok(hand.item))
    }

    fn quick_sink(&self, py: Python<'_>) -> Result<usize, Unknown> {
        let items = self.heap.items.lock();
        if items.len() < 2 {
            return Ok(0);
        }
        paths::sink(items.len(), |one, other| items[one].less(py, &items[other]).ok_or(Unknown))
    }
}
