//! A map without futures: workers take turns at its items.

use crate::context::Context;
use crate::executor::ThreadPool;
use crate::ffi::{self, CallResult};
use crate::job::Job;
use crate::runtime::PythonRuntime;
use crate::worker::Worker;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use raddle_pool::Pool;
use raddle_task::map::Map;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a worker stays with a map while other tasks wait.
const TURN: Duration = Duration::from_millis(2);

/// None: withdrawn or cancelled before it began.
pub(crate) type ItemOutcome = Option<CallResult>;

/// What the workers and the consumer of one map share.
pub(crate) struct Turns {
    pub(crate) map: Map<Py<PyAny>, ItemOutcome>,
    pub(crate) function: Py<PyAny>,
    pub(crate) context: Context,
    /// The items are tuples of arguments, not single arguments.
    pub(crate) spread: bool,
    /// Items in a turn; None: as many as fit in its time.
    pub(crate) turn: Option<usize>,
    pub(crate) priority: i32,
}

impl Turns {
    fn call(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> CallResult {
        let function = self.function.bind(py);
        let called = self.context.run_copy(py, || match item.cast::<PyTuple>() {
            Ok(args) if self.spread => ffi::call(function, args, None),
            _ => ffi::call_one(function, item),
        });
        called.unwrap_or_else(|error| Err(error.into_value(py)))
    }

    /// Adds an item, and sends a worker if the map can use one more.
    pub(crate) fn feed(
        self: &Arc<Self>,
        py: Python<'_>,
        executor: &ThreadPool,
        item: Py<PyAny>,
    ) -> PyResult<()> {
        self.map.feed(item);
        if self.map.join(executor.target()) { executor.enqueue_turn(py, self) } else { Ok(()) }
    }

    /// A worker's turn: items until there are none, or until others want the worker.
    pub(crate) fn run(self: Arc<Self>, py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, worker: &Worker) {
        let runtime = pool.runtime();
        let mut start = worker.begin(py);
        let mut items = 0;
        let mut finished = None;
        loop {
            if runtime.cancelling.load(Ordering::Acquire) {
                self.withdraw();
            }
            let Some((index, item)) = self.map.claim(finished.take()) else {
                if self.map.leave() {
                    break;
                }
                continue;
            };
            let outcome = self.call(py, item.bind(py));
            drop(item);
            if !pool.is_ours() {
                // The item forked and has come back in the child, where the rest of the map is none of its business.
                return;
            }
            runtime.counters.count(1, outcome.is_err());
            finished = Some((index, Some(outcome)));
            items += 1;
            let now = worker.end();
            worker.breathe(py, now);
            let over = self.turn.map_or(now.since(start) >= TURN, |turn| items >= turn);
            if over {
                if pool.has_ready() {
                    self.map.publish(finished.take());
                    pool.resubmit(Job::Turn(Arc::clone(&self)), self.priority);
                    return;
                }
                (start, items) = (now, 0);
            }
        }
    }

    /// Items that have not begun never will; whoever waits for their results gets `CancelledError`.
    fn withdraw(&self) {
        drop(self.map.withdraw(|| None));
    }

    /// A turn that was queued is cancelled, and the items that have not begun with it.
    pub(crate) fn cancel(&self) {
        drop(self.map.resign_and_withdraw(|| None));
    }

    /// A turn that was queued fails, and so do the items that have not begun.
    pub(crate) fn fail(&self, py: Python<'_>, reason: &Py<PyBaseException>) {
        drop(self.map.resign_and_withdraw(|| Some(Err(reason.clone_ref(py)))));
    }
}
