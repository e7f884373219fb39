//! The end of the interpreter: every pool is known, and ended before the threads' time is over.

use crate::interpreter::sleep;
use crate::job;
use crate::process::client::{PythonClient, cancel_all};
use crate::runtime::PythonRuntime;
use pyo3::prelude::*;
use raddle_pool::Pool;
use raddle_sync::{ForkCell, Moment, Mutex, WaitWord, Wake};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

/// Closed once the interpreter ends: no executor takes new tasks.
static GATE_CLOSED: AtomicBool = AtomicBool::new(false);

/// Shut once every pool has been ended: no thread that serves pools of processes attaches afterwards.
static ATTACHING: LazyLock<ForkCell<Attaching>> = LazyLock::new(|| ForkCell::new(Attaching::default()));

/// How long the end of the interpreter waits for threads that are inside it: longer than what they have to do there takes, unless
/// it is code of the user's.
const FAREWELL: Duration = Duration::from_millis(100);

/// Those of Raddle's own threads that are inside the interpreter, or about to be.
struct Attaching {
    shut: AtomicBool,
    inside: WaitWord,
}

impl Default for Attaching {
    fn default() -> Self {
        Self { shut: AtomicBool::new(false), inside: WaitWord::new(0) }
    }
}

/// A thread that is inside the interpreter, or looks whether it may.
struct Visit(&'static Attaching);

impl Drop for Visit {
    fn drop(&mut self) {
        // One less.
        if self.0.inside.fetch_add(u32::MAX) == 1 {
            self.0.inside.wake_all();
        }
    }
}

/// Runs something with the interpreter on behalf of a pool of processes; None once that is ending. From then on a thread that asked for
/// the interpreter would be ended, or held for ever.
pub(crate) fn attach<R>(run: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let attaching = ATTACHING.get(Attaching::default);
    attaching.inside.fetch_add(1);
    let _visit = Visit(attaching);
    // Counted before it looks, so that whoever shuts the gate sees this thread, or this thread that the gate is shut.
    fence(Ordering::SeqCst);
    if attaching.shut.load(Ordering::Relaxed) { None } else { Python::try_attach(run) }
}

/// Lets no thread attach any more, and gives those time to leave that are inside.
fn shut_gate(py: Python<'_>) {
    let attaching = ATTACHING.get(Attaching::default);
    attaching.shut.store(true, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    let until = Moment::now() + FAREWELL;
    py.detach(|| {
        loop {
            let seen = attaching.inside.load();
            if seen == 0 || matches!(attaching.inside.wait(seen, Some(until)), Wake::TimedOut) {
                break;
            }
        }
    });
}

pub(crate) fn gate_is_closed() -> bool {
    GATE_CLOSED.load(Ordering::Acquire)
}

type Registry = Mutex<Vec<Weak<Pool<PythonRuntime>>>>;

static POOLS: LazyLock<ForkCell<Registry>> = LazyLock::new(|| ForkCell::new(Mutex::new(Vec::new())));

pub(crate) fn prepare() {
    crate::graveyard::prepare();
    LazyLock::force(&POOLS);
    LazyLock::force(&PROCESS_POOLS);
    LazyLock::force(&ATTACHING);
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
    let finished = finish_each(py, cancel);
    shut_gate(py);
    finished
}

fn finish_each(py: Python<'_>, cancel: bool) -> PyResult<()> {
    let live: Vec<_> = pools().lock().iter().filter_map(Weak::upgrade).collect();
    let processes: Vec<_> = process_pools().lock().iter().filter_map(Weak::upgrade).collect();
    if !cancel {
        processes.iter().for_each(raddle_process::Pool::drain);
        let waited = processes.iter().try_for_each(|pool| {
            sleep(py, None, |until| match pool.wait_ended(until) {
                Wake::Woken => pool.client().wait_quiet(until),
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
    // It takes a moment until all have learnt of their tasks' ends.
    let until = Some(Moment::now() + FAREWELL);
    py.detach(|| {
        for pool in &processes {
            if matches!(pool.wait_ended(until), Wake::Woken) {
                pool.client().wait_quiet(until);
            }
        }
    });
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
