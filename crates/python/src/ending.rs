//! The end of the interpreter: every pool is known, and ended before the threads' time is over.

use crate::interpreter::sleep;
use crate::job;
use crate::process::client::{PythonClient, cancel_all};
use crate::runtime::PythonRuntime;
use pyo3::prelude::*;
use raddle_pool::Pool;
use raddle_sync::{ForkCell, Mutex, Wake};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// Closed once the interpreter ends: no thread of Raddle's own attaches afterwards, and no executor takes new tasks.
static GATE_CLOSED: AtomicBool = AtomicBool::new(false);

pub(crate) fn gate_is_closed() -> bool {
    GATE_CLOSED.load(Ordering::Acquire)
}

type Registry = Mutex<Vec<Weak<Pool<PythonRuntime>>>>;

static POOLS: LazyLock<ForkCell<Registry>> = LazyLock::new(|| ForkCell::new(Mutex::new(Vec::new())));

pub(crate) fn prepare() {
    crate::graveyard::prepare();
    LazyLock::force(&POOLS);
    LazyLock::force(&PROCESS_POOLS);
    raddle_process::supervisor::prepare();
}

fn pools() -> &'static Registry {
    POOLS.get(|| Mutex::new(Vec::new()))
}

/// Remembers a pool until the interpreter ends.
pub(crate) fn register(pool: &Arc<Pool<PythonRuntime>>) {
    let mut pools = pools().lock();
    if pools.len() == pools.capacity() {
        pools.retain(|pool| pool.strong_count() > 0);
    }
    pools.push(Arc::downgrade(pool));
}

type Processes = Mutex<Vec<Weak<raddle_process::Pool<PythonClient>>>>;

static PROCESS_POOLS: LazyLock<ForkCell<Processes>> = LazyLock::new(|| ForkCell::new(Mutex::new(Vec::new())));

fn process_pools() -> &'static Processes {
    PROCESS_POOLS.get(|| Mutex::new(Vec::new()))
}

/// Remembers a pool of processes until the interpreter ends.
pub(crate) fn register_processes(pool: &Arc<raddle_process::Pool<PythonClient>>) {
    let mut pools = process_pools().lock();
    if pools.len() == pools.capacity() {
        pools.retain(|pool| pool.strong_count() > 0);
    }
    pools.push(Arc::downgrade(pool));
}

/// Ends every pool of the process: waits for their tasks, or cancels what has not begun and waits for nothing.
///
/// Arguments: `cancel`, whether the program is being interrupted.
/// Raises what a signal handler raises while it waits; then everything is cancelled.
#[pyfunction]
pub(crate) fn finish_pools(py: Python<'_>, cancel: bool) -> PyResult<()> {
    GATE_CLOSED.store(true, Ordering::Release);
    let live: Vec<_> = pools().lock().iter().filter_map(Weak::upgrade).collect();
    let processes: Vec<_> = process_pools().lock().iter().filter_map(Weak::upgrade).collect();
    if !cancel {
        processes.iter().for_each(raddle_process::Pool::drain);
        let waited = processes.iter().try_for_each(|pool| {
            sleep(py, None, |until| match pool.wait_ended(until) {
                Wake::Woken => pool.client().errands.wait_quiet(until),
                other => other,
            })
            .map(|_| pool.client().sweep(py))
        });
        if waited.is_err() {
            kill_each(py, &processes);
            cancel_each(py, &live);
            return waited;
        }
        live.iter().for_each(Pool::drain);
        let waited =
            live.iter().try_for_each(|pool| sleep(py, None, |until| pool.wait_ended(until)).map(drop));
        if waited.is_ok() {
            return Ok(());
        }
        cancel_each(py, &live);
        return waited;
    }
    kill_each(py, &processes);
    cancel_each(py, &live);
    Ok(())
}

fn kill_each(py: Python<'_>, pools: &[Arc<raddle_process::Pool<PythonClient>>]) {
    for pool in pools {
        cancel_all(py, pool);
        pool.kill_workers(false);
    }
}

fn cancel_each(py: Python<'_>, pools: &[Arc<Pool<PythonRuntime>>]) {
    for pool in pools {
        job::cancel_all(py, pool);
    }
}
