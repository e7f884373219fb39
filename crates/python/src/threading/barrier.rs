//! `Barrier`.

use super::made::Made;
use super::naming::name_and_place;
use super::timeout::Patience;
use super::wait;
use crate::ffi;
use crate::interpreter::names;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::barrier::Place;
use raddle_sync::{Arrival, Barrier as Core, Mutex, Waitable, Waiter, Woken};
use std::sync::Arc;

/// A meeting point for `parties` threads: nobody goes on before all have come, again and again.
///
/// The last one to come calls `action` before it lets the others go. `timeout` is that of `wait` when it is given none.
#[pyclass(frozen, subclass, dict, weakref, module = "raddle.threading")]
pub(crate) struct Barrier {
    made: Made<Parts>,
}

struct Parts {
    core: Arc<Core>,
    /// Until the garbage collector takes it away.
    action: Mutex<Option<Py<PyAny>>>,
    timeout: Option<f64>,
}

/// One who has come. A signal handler's error takes it away as if it had not come; a deadline breaks the barrier.
struct Guest(Arc<Place>);

impl Waitable for Guest {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.0.attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.0.abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.0.withdraw(waiter);
        Vec::new()
    }
}

impl Barrier {
    fn broken_error(py: Python<'_>) -> PyErr {
        PyErr::from_type(names(py).broken_barrier.bind(py).clone(), ())
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { made: Made::default() }
    }

    #[pyo3(signature = (parties, action = None, timeout = None))]
    fn __init__(&self, parties: i64, action: Option<Py<PyAny>>, timeout: Option<f64>) -> PyResult<()> {
        if parties < 1 {
            return Err(PyValueError::new_err("parties must be >= 1"));
        }
        let parties = u32::try_from(parties)
            .map_err(|_| PyValueError::new_err(format!("parties must be <= {}", u32::MAX)))?;
        self.made.make(Parts { core: Arc::new(Core::new(parties)), action: Mutex::new(action), timeout });
        Ok(())
    }

    /// Waits until all parties have come. Returns this one's number among them, from 0 to one less than the parties.
    ///
    /// It waits at most `timeout` seconds (None: those of the barrier) for the others to come; once they have, it waits for the
    /// action to end.
    /// Raises `BrokenBarrierError` when the barrier is broken, or is broken or reset meanwhile; a wait that times out breaks it.
    #[pyo3(signature = (timeout = None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<u32> {
        let py = slf.py();
        let Parts { core, action, timeout: otherwise } = slf.get().made.get()?;
        let patience = Patience::of_wait(timeout.or(*otherwise))?;
        let outcome = match core.arrive() {
            Err(broken) => Err(broken),
            Ok(Arrival::Last(turn)) => {
                let action = action.lock().as_ref().map(|action| action.clone_ref(py));
                if let Some(action) = action {
                    ffi::invoke(action.bind(py), ())?;
                }
                Ok(turn.pass())
            }
            Ok(Arrival::Waits(place)) => {
                let place = Arc::new(place);
                wait::block(slf.as_any(), Guest(Arc::clone(&place)), patience.deadline())?;
                if place.outcome().is_none() {
                    // All have come in time, and the last one acts.
                    wait::block(slf.as_any(), Guest(Arc::clone(&place)), None)?;
                }
                place.outcome().expect("the last one has decided it, if not this one's deadline")
            }
        };
        outcome.map_err(|_| Self::broken_error(py))
    }

    /// Makes it as new. Those who wait get `BrokenBarrierError`.
    fn reset(&self) -> PyResult<()> {
        self.made.get()?.core.reset();
        Ok(())
    }

    /// Breaks it: those who wait get `BrokenBarrierError`, and so do those who come before a `reset`.
    fn abort(&self) -> PyResult<()> {
        self.made.get()?.core.abort();
        Ok(())
    }

    /// How many are needed.
    #[getter]
    fn parties(&self) -> PyResult<u32> {
        Ok(self.made.get()?.core.parties())
    }

    /// How many have come and wait for others.
    #[getter]
    fn n_waiting(&self) -> PyResult<u32> {
        Ok(self.made.get()?.core.waiting())
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.made.get()?.core.is_broken())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().made.get()?.core;
        let state = if core.is_broken() {
            String::from("broken")
        } else {
            format!("waiters={}/{}", core.waiting(), core.parties())
        };
        Ok(format!("<{}: {state}>", name_and_place(slf)?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.made.iter().try_for_each(|parts| visit.call(&*parts.action.lock()))
    }

    fn __clear__(&self) {
        for parts in self.made.iter() {
            // Dropped after the lock is free: whatever runs then may be the user's code.
            let action = parts.action.lock().take();
            drop(action);
        }
    }
}
