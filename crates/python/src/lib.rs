//! The extension module `raddle._raddle`.
//!
//! The only crate that knows Python. A job is opaque to the crates below; here it gets a callable, a context and a
//! future.
//!
//! | module | what it is |
//! |---|---|
//! | [`ffi`] | the unsafe corner: calls that the binding library lacks |
//! | [`interpreter`] | sleeping without the interpreter, timers, classes that Python hands in |
//! | [`ending`] | the end of the interpreter |
//! | [`future`] | the one `Future` |
//! | [`outcome`] | the wait for what a future brings |
//! | [`views`] | what the stdlib's own code works with on a future |
//! | [`observer`] | who is told when a future ends, and how |
//! | [`executor`] | `ThreadPool`, the native half of `ThreadPoolExecutor` |
//! | [`runtime`] | the pool's runtime: threads made in Python |
//! | [`options`] | a task's options in native form |
//! | [`job`] | what a worker runs: plain calls, tasks with options, turns of a map |
//! | [`managed`] | tasks of threads with options: timeout, retries, dependencies |
//! | [`attempts`] | whether a task that has failed is tried again |
//! | [`shelf`] | tasks that wait for others, or for their next attempt |
//! | [`counters`] | how many tasks ended in which way |
//! | [`sent`] | outcomes from elsewhere, as bytes until somebody asks |
//! | [`context`] | the context variables that travel into a task |
//! | [`worker`] | one worker's own: name, clock, deadline |
//! | [`mapping`] | the iterator behind `map` |
//! | [`turns`] | a map without futures: workers take turns at its items |
//! | [`item_tasks`] | a map whose items are tasks with a future each |
//! | [`collect`] | `wait` and `as_completed` |
//! | [`process`] | worker processes: the parent's pool, the loop of a worker |
//! | [`multiprocessing`] | what processes wait for together |
//! | [`queue`] | queues |
//! | [`threading`] | locks and what else threads and coroutines wait for |

mod attempts;
mod collect;
mod context;
mod counters;
mod ending;
mod executor;
mod ffi;
mod frames;
mod future;
mod graveyard;
mod interpreter;
mod item_tasks;
mod job;
mod managed;
mod mapping;
mod multiprocessing;
mod observer;
mod options;
mod outcome;
mod process;
mod queue;
mod runtime;
mod sent;
mod shelf;
mod threading;
mod turns;
mod views;
mod worker;

use pyo3::prelude::*;

/// The native half of Raddle. Private: import from `raddle` instead.
#[pymodule(name = "_raddle", gil_used = false)]
mod extension {
    #[pymodule_export]
    use super::collect::{AsCompleted, wait};
    #[pymodule_export]
    use super::ending::finish_pools;
    #[pymodule_export]
    use super::executor::ThreadPool;
    #[pymodule_export]
    use super::frames::current_frames;
    #[pymodule_export]
    use super::future::Future;
    #[pymodule_export]
    use super::interpreter::{bind, tell_unraisable};
    #[pymodule_export]
    use super::mapping::{MapIterator, map_tasks};
    #[pymodule_export]
    use super::multiprocessing::calls::{RemoteCallee, RemoteCaller, receive_offer};
    #[pymodule_export]
    use super::multiprocessing::event::SharedEvent;
    #[pymodule_export]
    use super::multiprocessing::lock::{SharedLock, SharedRLock};
    #[pymodule_export]
    use super::multiprocessing::names::bind_multiprocessing;
    #[pymodule_export]
    use super::multiprocessing::pipe::{receive_object, send_object};
    #[pymodule_export]
    use super::multiprocessing::queue::SharedQueue;
    #[pymodule_export]
    use super::multiprocessing::semaphore::SharedSemaphore;
    #[pymodule_export]
    use super::multiprocessing::waiters::{SharedSeat, SharedWaiters};
    #[pymodule_export]
    use super::options::TaskOptions;
    #[pymodule_export]
    use super::process::deaths::bind_processes;
    #[pymodule_export]
    use super::process::end::PoolEnd;
    #[pymodule_export]
    use super::process::pool::ProcessPool;
    #[pymodule_export]
    use super::process::serve::{serve, tell_parent};
    #[pymodule_export]
    use super::process::share::{Shared, dump_with_shared, find_shared, open_shared};
    #[pymodule_export]
    use super::process::spec::LaunchSpec;
    #[pymodule_export]
    use super::process::zygote::{die_with_parent, disregard_terminal, limit_behind};
    #[pymodule_export]
    use super::queue::base::Queue;
    #[pymodule_export]
    use super::queue::iterate::QueueIterator;
    #[pymodule_export]
    use super::queue::lists::{heap_pop, heap_push};
    #[pymodule_export]
    use super::queue::names::bind_queues;
    #[pymodule_export]
    use super::queue::simple::SimpleQueue;
    #[pymodule_export]
    use super::runtime::Seat;
    #[pymodule_export]
    use super::threading::async_wait::AsyncWait;
    #[pymodule_export]
    use super::threading::atomic_int::AtomicInt;
    #[pymodule_export]
    use super::threading::barrier::Barrier;
    #[pymodule_export]
    use super::threading::condition::Condition;
    #[pymodule_export]
    use super::threading::deadlock::{raise_suspicions, sleepers, timer_is_idle, waits};
    #[pymodule_export]
    use super::threading::event::Event;
    #[pymodule_export]
    use super::threading::latch::Latch;
    #[pymodule_export]
    use super::threading::lock::Lock;
    #[pymodule_export]
    use super::threading::place::track_acquisitions;
    #[pymodule_export]
    use super::threading::rlock::RLock;
    #[pymodule_export]
    use super::threading::rwlock::RWLock;
    #[pymodule_export]
    use super::threading::rwlock_side::RWLockSide;
    #[pymodule_export]
    use super::threading::semaphore::{BoundedSemaphore, Semaphore};
    #[pymodule_export]
    use super::threading::thread_end::ThreadEnd;

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        raddle_sys::fork::watch();
        // Whatever is made once is made now: a fork that caught it half made would leave a child that waits for ever. (For the
        // same reason nothing here uses `intern!`, which lets go of the interpreter at its first use.)
        super::interpreter::prepare();
        super::ending::prepare();
        super::process::share::prepare();
        super::future::prepare();
        super::collect::prepare(module.py());
        super::shelf::prepare(module.py());
        super::item_tasks::prepare(module.py());
        super::threading::prepare(module.py())?;
        super::queue::short_cuts::prepare(module.py())?;
        super::multiprocessing::prepare(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
