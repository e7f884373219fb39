//! A map whose items are tasks of their own, with a future each: where items have options, or a subclass's `submit`.

use crate::ffi;
use crate::interpreter::as_future;
use crate::observer::End;
use crate::turns::ItemOutcome;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use raddle_sync::Mutex;
use raddle_task::map::Map;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the futures and the consumer of one map share.
pub(crate) struct ItemTasks {
    pub(crate) map: Map<Py<PyAny>, ItemOutcome>,
    pub(crate) function: Py<PyAny>,
    /// The futures that are not done, by the index of their item.
    pending: Mutex<HashMap<u64, Py<PyAny>>>,
    /// They are such that a worker process which waits for them gives its place away.
    lends_place: AtomicBool,
}

impl ItemTasks {
    pub(crate) fn new(map: Map<Py<PyAny>, ItemOutcome>, function: Py<PyAny>) -> Self {
        Self { map, function, pending: Mutex::default(), lends_place: AtomicBool::new(false) }
    }

    pub(crate) fn lends_place(&self) -> bool {
        self.lends_place.load(Ordering::Relaxed)
    }

    /// Submits one item, a tuple of arguments: `submit(function, args, kwargs)`. One thread at a time may be at it.
    ///
    /// An error means that nothing was submitted.
    pub(crate) fn feed(
        self: &Arc<Self>,
        submit: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let py = args.py();
        let future = ffi::invoke(submit, (&self.function, args, PyDict::new(py)))?;
        self.map.feed(py.None());
        let Some((index, _)) = self.map.claim(None) else {
            // The iteration was ended meanwhile: nobody will ever ask for the result.
            cancel(&future);
            return Ok(());
        };
        let lends_place = as_future(&future).is_some_and(|future| future.get().lends_place());
        self.lends_place.fetch_or(lends_place, Ordering::Relaxed);
        self.pending.lock().insert(index, future.clone().unbind());
        let arrival = ItemArrival { tasks: Arc::clone(self), index };
        if let Err(error) = future.call_method1("add_done_callback", (arrival,)) {
            self.arrive(index, Some(Err(error.into_value(py))));
        }
        Ok(())
    }

    fn arrive(&self, index: u64, outcome: ItemOutcome) {
        // Told once, or cancelled: then nobody waits for it any more.
        let Some(future) = self.pending.lock().remove(&index) else { return };
        self.map.publish(Some((index, outcome)));
        drop(future);
    }

    /// Cancels the tasks that have not begun.
    pub(crate) fn cancel(&self, py: Python<'_>) {
        let pending = std::mem::take(&mut *self.pending.lock());
        for future in pending.into_values() {
            cancel(future.bind(py));
        }
    }
}

fn cancel(future: &Bound<'_, PyAny>) {
    if let Err(error) = future.call_method0("cancel") {
        error.write_unraisable(future.py(), Some(future));
    }
}

/// The callback of one item's future.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct ItemArrival {
    tasks: Arc<ItemTasks>,
    index: u64,
}

#[pymethods]
impl ItemArrival {
    fn __call__(&self, future: &Bound<'_, PyAny>) {
        let outcome = outcome_of(future).unwrap_or_else(|error| Some(Err(error.into_value(future.py()))));
        self.tasks.arrive(self.index, outcome);
    }
}

fn outcome_of(future: &Bound<'_, PyAny>) -> PyResult<ItemOutcome> {
    Ok(match End::of(future)? {
        End::Cancelled => None,
        End::Raised(exception) => Some(Err(exception)),
        End::Returned => Some(Ok(future.call_method0("result")?.unbind())),
    })
}

pub(crate) fn prepare(py: Python<'_>) {
    drop(py.get_type::<ItemArrival>());
}
