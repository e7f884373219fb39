//! A coroutine waits for a primitive.
//!
//! What happens in the loop is one coroutine of Python's (`raddle._internal.async_waits`): attempt, await an arrival, attempt
//! again. Whoever wakes the waiter rings through the loop ([`Line`]), from any thread: no helper thread, no polling.
//!
//! ```text
//!   the primitive's queue ── waiter ── line: loop.call_soon_threadsafe(call) ──▶ in the loop: the arrival is done
//! ```
//!
//! **Who keeps whom.** The primitive's queue and the graph keep neither the wait nor its task or loop; the loop keeps the
//! wait, and by its arrival the task. So a task that nobody else knows waits on for as long as its loop exists, and goes with it:
//! what it was woken for or granted goes to the next, as when the loop is closed.
//!
//! A task's wait may be cancelled at any time: it is noted in the graph as one that ends by itself, for those who want to see all
//! waits, and never closes a circle. What a task has been granted counts as its own from the moment of the grant on.

use super::line::{Line, aside};
use super::tasks;
use super::wanted::TaskWaits;
use crate::ffi;
use crate::interpreter::names;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::graph::{Graph, Registration};
use raddle_sync::{Mutex, Waitable, Waiter, Woken};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be done when the task has what it waited for.
pub(crate) type WhenHad = Box<dyn Fn(&Bound<'_, PyAny>, &Bound<'_, PyAny>) + Send + Sync>;

/// The asyncio task that the calling thread runs.
pub(crate) fn task(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    tasks::current_task(py)?.ok_or_else(|| PyRuntimeError::new_err("awaited outside of an asyncio task"))
}

/// One wait of a task. When nobody is left who could go on with it, it ends.
#[pyclass(frozen, weakref, module = "raddle._raddle")]
pub(crate) struct AsyncWait {
    waiter: Arc<Waiter>,
    what: Arc<dyn Waitable>,
    /// To which it belongs.
    object: Py<PyAny>,
    task: Py<PyAny>,
    line: Arc<Line>,
    /// Done by the next call.
    arrival: Mutex<Option<Py<PyAny>>>,
    /// None for what belongs to nobody, such as a permit.
    when_had: Option<WhenHad>,
    /// It stands in the queue, or was woken from there.
    begun: Mutex<Option<Registration>>,
    expired: AtomicBool,
}

impl AsyncWait {
    /// A wait of `task`, which the calling thread runs, for `what`, which belongs to `object`. It does not stand in the queue
    /// yet.
    pub(crate) fn new<'py>(
        object: &Bound<'py, PyAny>,
        what: Arc<dyn Waitable>,
        task: &Bound<'py, PyAny>,
        when_had: Option<WhenHad>,
    ) -> PyResult<Bound<'py, Self>> {
        let line = Line::to(&task.call_method0(&names(task.py()).get_loop)?)?;
        let waiter = Waiter::task(tasks::owner_of(task), {
            let line = Arc::clone(&line);
            Box::new(move || line.ring())
        });
        let wait = Self {
            waiter,
            what,
            object: object.clone().unbind(),
            task: task.clone().unbind(),
            line: Arc::clone(&line),
            arrival: Mutex::new(None),
            when_had,
            begun: Mutex::new(None),
            expired: AtomicBool::new(false),
        };
        let wait = Bound::new(object.py(), wait)?;
        line.connect(&wait)?;
        Ok(wait)
    }

    /// A wait of the task that the calling thread runs, for what belongs to nobody once it is had.
    pub(crate) fn of_current_task<'py>(
        object: &Bound<'py, PyAny>,
        what: Arc<dyn Waitable>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::new(object, what, &task(object.py())?, None)
    }

    /// Notes the wait. What is granted from now on is the task's, whether it knows already or not.
    pub(crate) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        if self.begun.lock().is_some() {
            return Ok(());
        }
        let (task, object) = (self.task.bind(py), self.object.bind(py));
        let noted = Graph::of_process().insist(&self.waiter, TaskWaits::new(object, task)?, true);
        *self.begun.lock() = Some(noted);
        if self.when_had.is_some() {
            tasks::engage(task);
        }
        Ok(())
    }

    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// The wait is over.
    fn end(&self, py: Python<'_>, had: bool) {
        let (begun, arrival) = (self.begun.lock().take(), self.arrival.lock().take());
        if let Some(when_had) = &self.when_had {
            if had {
                when_had(self.object.bind(py), self.task.bind(py));
            }
            if begun.is_some() {
                tasks::disengage(self.waiter.owner());
            }
        }
        drop((begun, arrival));
    }

    /// Nobody can be told any more that it has been woken: whoever did that passes it on.
    pub(super) fn is_lost(&self, py: Python<'_>) {
        self.end(py, false);
    }

    /// It is called in its loop.
    pub(super) fn arrive(&self, py: Python<'_>) -> PyResult<()> {
        let arrival = self.arrival.lock().take();
        if let Some(arrival) = arrival {
            let arrival = arrival.bind(py);
            if !arrival.call_method0(&names(py).done)?.is_truthy()? {
                arrival.call_method1(&names(py).set_result, (py.None(),))?;
            }
        }
        Ok(())
    }

    /// Whether its loop has been closed, as far as that can be told.
    pub(super) fn is_abandoned(&self, py: Python<'_>) -> bool {
        self.line.is_cut(py)
    }
}

#[pymethods]
impl AsyncWait {
    /// Takes what is waited for, or stands in the queue afterwards.
    fn attempt(&self, py: Python<'_>) -> PyResult<bool> {
        self.begin(py)?;
        let had = self.what.attempt(&self.waiter);
        if had {
            self.end(py, true);
        }
        Ok(had)
    }

    /// `arrival` is done when it is woken, or when the time has passed.
    fn arm(&self, arrival: Py<PyAny>) {
        let before = self.arrival.lock().replace(arrival);
        drop(before);
    }

    /// Ends the wait without success, unless it was granted already: then returns true.
    fn abandon(&self, py: Python<'_>) -> bool {
        let had = self.what.abandon(&self.waiter);
        self.end(py, had);
        had
    }

    /// Ends the wait. What it was granted or woken for goes to the next.
    pub(crate) fn pass_on(&self, py: Python<'_>) {
        Woken::ring_all(self.what.pass_on(&self.waiter), &*self.what);
        self.end(py, false);
    }

    /// The time has passed.
    fn expire(&self, py: Python<'_>) -> PyResult<()> {
        self.expired.store(true, Ordering::Relaxed);
        self.arrive(py)
    }

    /// Whether the time has passed.
    #[getter]
    fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.task)?;
        match self.arrival.try_lock() {
            Some(arrival) => visit.call(&*arrival),
            None => Ok(()),
        }
    }
}

impl Drop for AsyncWait {
    fn drop(&mut self) {
        if self.begun.lock().is_some() {
            aside(|py| self.pass_on(py));
        }
    }
}

/// What is awaited without a wait, because it is there already.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct Ready {
    value: Option<bool>,
}

impl Ready {
    /// Awaited, it gives None.
    pub(crate) fn nothing(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(Bound::new(py, Self { value: None })?.into_any())
    }

    /// Awaited, it gives True.
    pub(crate) fn yes(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(Bound::new(py, Self { value: Some(true) })?.into_any())
    }
}

#[pymethods]
impl Ready {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> PyResult<Option<()>> {
        self.value.map_or(Ok(None), |value| Err(PyStopIteration::new_err(value)))
    }
}

/// Awaits a wait that has to be waited out, without a deadline; None when there is nothing to wait for.
pub(crate) fn entered<'py>(
    py: Python<'py>,
    wait: Option<Bound<'py, AsyncWait>>,
) -> PyResult<Bound<'py, PyAny>> {
    match wait {
        None => Ready::nothing(py),
        Some(wait) => ffi::invoke(names(py).enter_async.bind(py), (wait,)),
    }
}

/// A coroutine that takes a permit or a lock; true when it did within `timeout` seconds.
pub(crate) fn acquired<'py>(object: &Bound<'py, PyAny>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
    super::timeout::Patience::of_wait(timeout)?;
    ffi::invoke(names(object.py()).wait_async.bind(object.py()), (object, timeout))
}

pub(super) fn prepare(py: Python<'_>) {
    drop(py.get_type::<Ready>());
}
