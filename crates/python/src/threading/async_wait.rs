//! A coroutine waits for a primitive.
//!
//! What happens in the loop is one coroutine of Python's (`raddle._internal.async_waits`): attempt, await an arrival, attempt
//! again. Whoever wakes the waiter rings its bell through the loop, from any thread: no helper thread, no polling. When the loop
//! has been closed, what it was woken for goes to the next.
//!
//! ```text
//!   the primitive's queue ── waiter ── ring: loop.call_soon_threadsafe(bell) ──▶ in the loop: the arrival is done
//! ```
//!
//! A task's wait may be cancelled at any time: it is noted in the graph as one that ends by itself, for those who want to see all
//! waits, and never closes a circle. What a task has been granted counts as its own from the moment of the grant on.

use super::tasks;
use super::wanted::TaskWaits;
use crate::ffi;
use crate::interpreter::names;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::graph::{Graph, Registration};
use raddle_sync::{Mutex, Owner, Waitable, Waiter, Woken};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be done when the task has what it waited for.
pub(crate) type WhenHad = Box<dyn Fn(&Bound<'_, PyAny>, Owner) + Send + Sync>;

/// The asyncio task that the calling thread runs.
pub(crate) fn task(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    tasks::current_task(py)?.ok_or_else(|| PyRuntimeError::new_err("awaited outside of an asyncio task"))
}

/// One wait of a task.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct AsyncWait {
    waiter: Arc<Waiter>,
    what: Arc<dyn Waitable>,
    /// To which it belongs.
    object: Py<PyAny>,
    task: Py<PyAny>,
    bell: Py<Bell>,
    /// None for what belongs to nobody, such as a permit.
    when_had: Option<WhenHad>,
    /// It stands in the queue, or was woken from there.
    begun: Mutex<Option<Registration>>,
    expired: AtomicBool,
}

/// Rung in the loop, by whoever wakes the waiter.
#[pyclass(frozen, module = "raddle._raddle")]
#[derive(Default)]
struct Bell {
    arrival: Mutex<Option<Py<PyAny>>>,
}

impl Bell {
    fn take(&self) -> Option<Py<PyAny>> {
        self.arrival.lock().take()
    }
}

#[pymethods]
impl Bell {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(arrival) = self.take() {
            let arrival = arrival.bind(py);
            if !arrival.call_method0("done")?.is_truthy()? {
                arrival.call_method1("set_result", (py.None(),))?;
            }
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.arrival.try_lock() {
            Some(arrival) => visit.call(&*arrival),
            None => Ok(()),
        }
    }
}

/// Rings the bell through its loop. False when the loop has been closed.
fn ring(bell: &Py<Bell>, running_loop: &Py<PyAny>) -> bool {
    Python::attach(|py| {
        let mut interrupted = false;
        let rung = loop {
            match ffi::invoke(names(py).ring.bind(py), (running_loop.bind(py), bell.bind(py))) {
                Ok(rung) => break rung.is_truthy().unwrap_or(false),
                // Perhaps before the bell was rung. It may ring twice, but not never.
                Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => interrupted = true,
                Err(error) => {
                    error.write_unraisable(py, Some(running_loop.bind(py)));
                    break false;
                }
            }
        };
        if interrupted {
            ffi::trip_signal(ffi::SIGINT);
        }
        rung
    })
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
        let py = object.py();
        let bell = Py::new(py, Bell::default())?;
        let running_loop = task.call_method0("get_loop")?.unbind();
        let waiter = Waiter::task(tasks::owner_of(task), {
            let bell = bell.clone_ref(py);
            Box::new(move || ring(&bell, &running_loop))
        });
        Bound::new(
            py,
            Self {
                waiter,
                what,
                object: object.clone().unbind(),
                task: task.clone().unbind(),
                bell,
                when_had,
                begun: Mutex::new(None),
                expired: AtomicBool::new(false),
            },
        )
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
            tasks::holds(task);
        }
        Ok(())
    }

    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// The wait is over.
    fn end(&self, py: Python<'_>, had: bool) {
        let begun = self.begun.lock().take();
        drop(self.bell.get().take());
        if let Some(when_had) = &self.when_had {
            if had {
                when_had(self.object.bind(py), self.waiter.owner());
            } else if begun.is_some() {
                tasks::holds_no_longer(Some(self.waiter.owner()));
            }
        }
        drop(begun);
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
        let before = self.bell.get().arrival.lock().replace(arrival);
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
        self.bell.get().__call__(py)
    }

    /// Whether the time has passed.
    #[getter]
    fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.task)?;
        visit.call(&self.bell)
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
