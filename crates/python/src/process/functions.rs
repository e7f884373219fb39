//! Which functions the workers of a pool have been told.
//!
//! A function is pickled when it is submitted for the first time, and unpickled once by each worker; after that it goes by its
//! number. One that went by value does so as long as the variables that it captured are bound to what they were: each submission
//! looks ([`Watched`]), and a function whose variables have changed is numbered anew, so that no two workers have different ones.
//!
//! Functions are known by identity: the table keeps them alive, as many as it has room for, the latest used last to go.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use raddle_process::pool::{Definition, Definitions};
use raddle_process::share::Share;
use raddle_process::store::Stored;
use raddle_sync::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// More functions than a program has in use at once, and few enough to be kept alive.
const MOST: usize = 256;

/// A variable that a function has captured, as `Space.watch` in `raddle._internal.serialization` tells.
struct Variable {
    /// A dictionary or, for what is not in one, an object with an attribute.
    place: Py<PyAny>,
    name: Py<PyString>,
    /// What it was bound to; `place` itself if it was not bound.
    value: Py<PyAny>,
}

impl Variable {
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        let place = self.place.bind(py);
        let now = match place.cast::<PyDict>() {
            Ok(variables) => variables.get_item(&self.name)?,
            // A cell that is empty raises.
            Err(_) => place.getattr(&self.name).ok(),
        };
        Ok(now.map_or_else(|| self.value.is(&self.place), |now| now.is(&self.value)))
    }
}

/// What a function has captured, in order to tell when that has changed.
pub(crate) struct Watched(Vec<Variable>);

impl Watched {
    /// Of the list that the pickler has filled; none when it is empty.
    pub(crate) fn new(list: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Self>>> {
        let variables: Vec<(Py<PyAny>, Py<PyString>, Py<PyAny>)> = list.extract()?;
        let variables: Vec<_> =
            variables.into_iter().map(|(place, name, value)| Variable { place, name, value }).collect();
        Ok((!variables.is_empty()).then(|| Arc::new(Self(variables))))
    }

    /// Whether all of them are bound to what they were. One that can't be looked at is not.
    fn hold(&self, py: Python<'_>) -> bool {
        self.0.iter().all(|variable| variable.holds(py).unwrap_or(false))
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.0.iter().try_for_each(|variable| {
            visit.call(&variable.place)?;
            visit.call(&variable.name)?;
            visit.call(&variable.value)
        })
    }
}

/// A callable as it is sent.
pub(crate) struct Made {
    pub(crate) pickle: Vec<u8>,
    pub(crate) parcel: Option<Arc<Stored>>,
    /// The shares that it refers to.
    pub(crate) kept: Vec<Arc<Share>>,
}

struct Known {
    function: Py<PyAny>,
    definition: Arc<Definition>,
    watched: Option<Arc<Watched>>,
    used: u64,
}

#[derive(Default)]
struct Table {
    known: HashMap<usize, Known>,
    clock: u64,
}

/// The functions that have a number.
pub(crate) struct Functions {
    table: Mutex<Table>,
    definitions: Definitions,
}

impl Functions {
    pub(crate) fn new(definitions: Definitions) -> Self {
        Self { table: Mutex::default(), definitions }
    }

    /// The definition of a function that has been added, unless what it has captured has changed since.
    pub(crate) fn find(&self, function: &Bound<'_, PyAny>) -> Option<Arc<Definition>> {
        let mut table = self.table.lock();
        table.clock += 1;
        let clock = table.clock;
        let known = table.known.get_mut(&(function.as_ptr() as usize))?;
        known.used = clock;
        let (definition, watched) = (Arc::clone(&known.definition), known.watched.clone());
        drop(table);
        watched.is_none_or(|watched| watched.hold(function.py())).then_some(definition)
    }

    /// Numbers a function.
    pub(crate) fn add(
        &self,
        function: &Bound<'_, PyAny>,
        made: Made,
        watched: Option<Arc<Watched>>,
    ) -> Arc<Definition> {
        let definition = self.definitions.define(made.pickle, made.parcel, made.kept);
        let mut table = self.table.lock();
        let used = table.clock;
        let kept = function.clone().unbind();
        let known = Known { function: kept, definition: Arc::clone(&definition), watched, used };
        let mut stale: Vec<_> = table.known.insert(function.as_ptr() as usize, known).into_iter().collect();
        if table.known.len() > MOST {
            let mut moments: Vec<_> = table.known.values().map(|known| known.used).collect();
            let (_, median, _) = moments.select_nth_unstable(MOST / 2);
            let median = *median;
            stale.extend(table.known.extract_if(|_, known| known.used < median).map(|(_, known)| known));
        }
        drop(table);
        // Not dropped under the lock: what goes with a function may run anything.
        drop(stale);
        definition
    }

    /// Shows the collector of garbage what is kept.
    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.table.try_lock() {
            Some(table) => table.known.values().try_for_each(|known| {
                visit.call(&known.function)?;
                // Only its sole owner shows it.
                match &known.watched {
                    Some(watched) if Arc::strong_count(watched) == 1 => watched.traverse(visit),
                    _ => Ok(()),
                }
            }),
            None => Ok(()),
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        let known = std::mem::take(&mut self.table.lock().known);
        drop(known);
    }
}
