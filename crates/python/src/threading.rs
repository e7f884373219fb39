//! What `raddle.threading` is made of: the primitives of `raddle-sync` as Python classes.
//!
//! A primitive is tried at once, in one native call, and only a wait that has to sleep comes to [`wait`]: there it is noted in
//! the graph of who waits for whom, and signals are seen to. What a coroutine acquires belongs to its task ([`tasks`]).
//!
//! | module | what it is |
//! |---|---|
//! | [`wait`] | a thread waits |
//! | [`watch`] | what it does besides: notes the wait in the graph, looks around |
//! | [`async_wait`] | a coroutine waits |
//! | [`line`] | how it is woken through its event loop |
//! | [`wanted`] | what a wait shows to the graph, and to those who report on it |
//! | [`deadlock`] | what is told of a deadlock, and who waits for what |
//! | [`tasks`] | tasks as owners, and which threads keep them from going on |
//! | [`timeout`] | the timeouts of the stdlib's methods |
//! | [`place`] | where a lock was acquired |
//! | [`made`] | what `__init__` makes |
//! | [`short_cuts`] | the short ways of primitives that nobody else wants |
//! | [`naming`] | how objects name themselves |
//! | [`lock`], [`rlock`] | `Lock`, `RLock` |
//! | [`semaphore`], [`event`], [`barrier`] | `Semaphore` and `BoundedSemaphore`, `Event`, `Barrier` |
//! | [`latch`], [`atomic_int`] | `Latch`, `AtomicInt` |
//! | [`rwlock`], [`rwlock_side`] | `RWLock`, and what its `read()` and `write()` return |
//! | [`condition`], [`condition_lock`] | `Condition`, and the lock that it stands beside |
//! | [`thread_end`] | what `Thread.join` waits for |

pub(crate) mod async_wait;
pub(crate) mod atomic_int;
pub(crate) mod barrier;
pub(crate) mod condition;
mod condition_lock;
pub(crate) mod deadlock;
pub(crate) mod event;
pub(crate) mod latch;
mod line;
pub(crate) mod lock;
mod made;
mod naming;
pub(crate) mod place;
pub(crate) mod rlock;
pub(crate) mod rwlock;
pub(crate) mod rwlock_side;
pub(crate) mod semaphore;
pub(crate) mod short_cuts;
pub(crate) mod tasks;
pub(crate) mod thread_end;
pub(crate) mod timeout;
pub(crate) mod wait;
pub(crate) mod wanted;
pub(crate) mod watch;

use pyo3::prelude::*;
use raddle_sync::Owner;
use raddle_sync::graph::Graph;

/// Makes at import what would otherwise be made at its first use, where a fork could catch it half made.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    // The list of threads, with this one, and the graph of who waits for whom.
    let _ = (Owner::current_thread(), Graph::of_process());
    tasks::prepare();
    async_wait::prepare(py);
    line::prepare(py);
    short_cuts::prepare(py)
}
