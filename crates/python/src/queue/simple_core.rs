//! The inside of a `SimpleQueue`: the protocol of `raddle_sync::queue` for items alone, guarded by the interpreter's lock.
//!
//! A wake-up is a permission to try, not an item; while somebody sleeps, somebody is awake for every item. See there for why
//! none is lost.

use super::core::Item;
use crate::ffi::Guarded;
use pyo3::prelude::*;
use raddle_sync::fork_mutex::Inherit;
use raddle_sync::{WaitQueue, Waitable, Waiter, Woken};
use raddle_sys::fork;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many items have room at any time once they had.
const SMALL: usize = 256;

#[derive(Default)]
struct State {
    /// One ring and no segments: a step less on the way to an item, and half of the memory is given back when it is three quarters
    /// empty.
    items: VecDeque<Item>,
    getters: WaitQueue,
    /// The process in which they wait.
    epoch: u32,
}

impl Inherit for State {
    fn inherit(&mut self, parent: &mut Self) {
        self.items = std::mem::take(&mut parent.items);
    }
}

impl State {
    /// Those who wait in this process.
    fn getters(&mut self) -> &mut WaitQueue {
        if self.epoch != fork::epoch() {
            self.epoch = fork::epoch();
            // The parent's: dropping them would run foreign code here.
            std::mem::forget(std::mem::take(&mut self.getters));
        }
        &mut self.getters
    }

    #[inline]
    fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        if self.items.len() < self.items.capacity() / 4 {
            self.shrink();
        }
        item
    }

    #[cold]
    fn shrink(&mut self) {
        if self.items.capacity() > SMALL {
            self.items.shrink_to(self.items.capacity() / 2);
        }
    }

    #[cold]
    fn wake(&mut self) -> Option<Woken> {
        self.getters().wake()
    }
}

pub(crate) struct Core(Guarded<State>);

impl Core {
    pub(crate) fn new() -> Self {
        Self(Guarded::new())
    }

    /// Puts an item. The caller wakes the one that it returns.
    #[inline]
    pub(crate) fn put(&self, py: Python<'_>, item: Item) -> Option<Woken> {
        self.0.with(py, |state| {
            state.items.push_back(item);
            if state.getters.is_empty() { None } else { state.wake() }
        })
    }

    /// Puts an item if nobody waits for one, and nobody is inside.
    #[inline]
    pub(crate) fn put_alone(&self, item: &Bound<'_, PyAny>) -> bool {
        let put = self.0.try_with(item.py(), |state| {
            let alone = state.getters.is_empty();
            if alone {
                state.items.push_back(item.clone().unbind());
            }
            alone
        });
        put == Some(true)
    }

    #[inline]
    pub(crate) fn get(&self, py: Python<'_>) -> Option<Item> {
        self.0.with(py, State::take)
    }

    /// Takes the next item if there is one, and nobody is inside.
    #[inline]
    pub(crate) fn get_alone(&self, py: Python<'_>) -> Option<Item> {
        self.0.try_with(py, State::take).flatten()
    }

    pub(crate) fn len(&self, py: Python<'_>) -> usize {
        self.0.with(py, |state| state.items.len())
    }

    /// The items to drop, for the garbage collector.
    pub(crate) fn clear(&self, py: Python<'_>) -> VecDeque<Item> {
        self.0.with(py, |state| std::mem::take(&mut state.items))
    }

    /// Shows the items to the garbage collector, unless somebody is using them.
    pub(crate) fn inspect<E>(&self, visit: impl FnMut(&Item) -> Result<(), E>) -> Result<(), E> {
        self.0.inspect(|state| state.items.iter().try_for_each(visit)).unwrap_or(Ok(()))
    }
}

impl Waitable for Core {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        Python::attach(|py| {
            self.0.with(py, |state| {
                let ready = !state.items.is_empty();
                if ready {
                    state.getters().leave(waiter);
                } else {
                    state.getters().join(waiter);
                }
                ready
            })
        })
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        Woken::ring_all(self.pass_on(waiter), self);
        false
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        let woken = Python::attach(|py| {
            self.0.with(py, |state| {
                let pass_on = waiter.is_woken() && !state.items.is_empty();
                state.getters().quit(waiter);
                if pass_on { state.getters().wake() } else { None }
            })
        });
        woken.into_iter().collect()
    }
}
