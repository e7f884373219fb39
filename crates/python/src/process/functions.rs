//! Which functions the workers of a pool have been told.
//!
//! A function is pickled when it is submitted for the first time, and unpickled once by each worker; after that it goes by its
//! number. So what a function captures is read at its first submission. Functions are known by identity: the table keeps them
//! alive, as many as it has room for, the latest used last to go.

use pyo3::prelude::*;
use raddle_process::pool::{Definition, Definitions};
use raddle_process::store::Stored;
use raddle_sync::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// More functions than a program has in use at once, and few enough to be kept alive.
const MOST: usize = 256;

struct Known {
    function: Py<PyAny>,
    definition: Arc<Definition>,
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

    /// The definition of a function that has been added.
    pub(crate) fn find(&self, function: &Bound<'_, PyAny>) -> Option<Arc<Definition>> {
        let mut table = self.table.lock();
        table.clock += 1;
        let clock = table.clock;
        let known = table.known.get_mut(&(function.as_ptr() as usize))?;
        known.used = clock;
        Some(Arc::clone(&known.definition))
    }

    /// Numbers a function with this pickle.
    pub(crate) fn add(
        &self,
        function: &Bound<'_, PyAny>,
        pickle: Vec<u8>,
        parcel: Option<Arc<Stored>>,
    ) -> Arc<Definition> {
        let definition = self.definitions.define(pickle, parcel);
        let mut table = self.table.lock();
        let used = table.clock;
        let known = Known { function: function.clone().unbind(), definition: Arc::clone(&definition), used };
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
            Some(table) => table.known.values().try_for_each(|known| visit.call(&known.function)),
            None => Ok(()),
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        let known = std::mem::take(&mut self.table.lock().known);
        drop(known);
    }
}
