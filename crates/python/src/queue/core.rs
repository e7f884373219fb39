//! What the three kinds of native queues have in common and what not: trying, and what to wait for.

use super::heap::Heap;
use super::names::Kind;
use pyo3::prelude::*;
use raddle_sync::queue::{NoItem, Order, Queue, Rejected, Retired, ShutDown, TooMany, Until};
use raddle_sync::{Owner, Waitable, Waiter, Woken};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

pub(crate) type Item = Py<PyAny>;

/// The items of a queue, each kind with its order.
pub(crate) enum Core {
    Line(Arc<Queue<Item>>),
    Heap(Heap),
}

/// What a retired queue leaves behind.
pub(crate) struct Left {
    pub(crate) items: Vec<Item>,
    pub(crate) unfinished: usize,
    pub(crate) shut_down: bool,
}

/// What can be waited for on a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Items,
    Room,
    AllDone,
}

impl Core {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Fifo => Self::Line(Arc::new(Queue::new(None, Order::Fifo))),
            Kind::Lifo => Self::Line(Arc::new(Queue::new(None, Order::Lifo))),
            Kind::Heap => Self::Heap(Heap::new(None)),
        }
    }

    /// For items that stand in Python from the beginning.
    pub(crate) fn retired() -> Self {
        let line = Queue::new(None, Order::Fifo);
        drop(line.retire());
        Self::Line(Arc::new(line))
    }

    #[inline]
    pub(crate) fn put(&self, queue: &Bound<'_, PyAny>, item: Item) -> PyResult<Result<(), Rejected<Item>>> {
        match self {
            Self::Line(line) => Ok(line.try_put(item)),
            Self::Heap(heap) => heap.put(queue, item),
        }
    }

    #[inline]
    pub(crate) fn get(&self, queue: &Bound<'_, PyAny>) -> PyResult<Result<Item, NoItem>> {
        match self {
            Self::Line(line) => Ok(line.try_get(Owner::current_thread())),
            Self::Heap(heap) => heap.get(queue),
        }
    }

    /// Puts an item into a line, if there is room and nobody is to be woken.
    #[inline]
    pub(crate) fn quick_put(&self, item: Item) -> Result<(), Item> {
        match self {
            Self::Line(line) => line.put_alone(item),
            Self::Heap(_) => Err(item),
        }
    }

    /// Takes an item from a line, if there is one and nobody is to be woken.
    #[inline]
    pub(crate) fn quick_get(&self) -> Option<Item> {
        match self {
            Self::Line(line) => line.get_alone(Owner::current_thread()),
            Self::Heap(_) => None,
        }
    }

    pub(crate) fn put_many(
        &self,
        queue: &Bound<'_, PyAny>,
        items: &mut VecDeque<Item>,
    ) -> PyResult<Result<usize, ShutDown>> {
        match self {
            Self::Line(line) => Ok(line.put_many(items)),
            Self::Heap(heap) => heap.put_many(queue, items),
        }
    }

    pub(crate) fn get_many(
        &self,
        queue: &Bound<'_, PyAny>,
        most: usize,
    ) -> PyResult<Result<Vec<Item>, NoItem>> {
        match self {
            Self::Line(line) => Ok(line.get_many(most, Owner::current_thread())),
            Self::Heap(heap) => heap.get_many(queue, most),
        }
    }

    pub(crate) fn task_done(&self) -> Result<(), TooMany> {
        let me = Owner::current_thread();
        match self {
            Self::Line(line) => line.task_done(1, me),
            Self::Heap(heap) => heap.tokens.task_done(1, me),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Line(line) => line.len(),
            Self::Heap(heap) => heap.tokens.len(),
        }
    }

    pub(crate) fn unfinished(&self) -> usize {
        match self {
            Self::Line(line) => line.unfinished(),
            Self::Heap(heap) => heap.tokens.unfinished(),
        }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        match self {
            Self::Line(line) => line.is_shut_down(),
            Self::Heap(heap) => heap.tokens.is_shut_down(),
        }
    }

    pub(crate) fn set_bound(&self, bound: Option<NonZeroUsize>) {
        match self {
            Self::Line(line) => line.set_bound(bound),
            Self::Heap(heap) => heap.tokens.set_bound(bound),
        }
    }

    /// The items that are to be dropped.
    pub(crate) fn shutdown(&self, queue: &Bound<'_, PyAny>, immediate: bool) -> PyResult<Vec<Item>> {
        match self {
            Self::Line(line) => Ok(line.shutdown(immediate).into_iter().collect()),
            Self::Heap(heap) => heap.shutdown(queue, immediate),
        }
    }

    /// Ends its service, once `first` has been called and did not return false. Nothing has happened after an error.
    pub(crate) fn retire(
        &self,
        queue: &Bound<'_, PyAny>,
        first: impl FnOnce() -> bool,
    ) -> PyResult<Option<Left>> {
        Ok(match self {
            Self::Line(line) => first().then(|| {
                let Retired { items, unfinished, shut_down } = line.retire();
                Left { items: items.into_iter().collect(), unfinished, shut_down }
            }),
            Self::Heap(heap) => heap.retire(queue, first)?,
        })
    }

    /// The items to drop, for the garbage collector.
    pub(crate) fn clear(&self) -> Vec<Item> {
        match self {
            Self::Line(line) => line.clear().into_iter().collect(),
            Self::Heap(heap) => heap.clear(),
        }
    }

    /// Shows the items to the garbage collector, unless somebody is using them.
    pub(crate) fn inspect<E>(&self, mut visit: impl FnMut(&Item) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Line(line) => {
                let mut visited = Ok(());
                line.try_inspect(|items| {
                    for item in items {
                        if visited.is_ok() {
                            visited = visit(item);
                        }
                    }
                });
                visited
            }
            Self::Heap(heap) => heap.inspect(visit),
        }
    }

    pub(crate) fn until(&self, what: For) -> Awaited {
        match self {
            Self::Line(line) => Awaited::Line(until(what, Arc::clone(line))),
            Self::Heap(heap) => Awaited::Heap(until(what, Arc::clone(&heap.tokens))),
        }
    }
}

pub(crate) fn until<Q>(what: For, queue: Q) -> Until<Q> {
    match what {
        For::Items => Until::items(queue),
        For::Room => Until::room(queue),
        For::AllDone => Until::all_done(queue),
    }
}

/// What a wait on a queue is for, whatever kind of queue.
pub(crate) enum Awaited {
    Line(Until<Arc<Queue<Item>>>),
    Heap(Until<Arc<Queue<()>>>),
}

impl Awaited {
    #[inline]
    fn inner(&self) -> &dyn Waitable {
        match self {
            Self::Line(until) => until,
            Self::Heap(until) => until,
        }
    }
}

impl Waitable for Awaited {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.inner().attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.inner().abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.inner().pass_on(waiter)
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.inner().holders(waiter, visit);
    }

    fn is_exact(&self) -> bool {
        self.inner().is_exact()
    }
}
