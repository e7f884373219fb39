//! The worker threads of one process.
//!
//! A [`Pool`] decides when a worker is started, woken, parked and ended, and which job it gets: the one place where
//! worker lifecycles are decided. What a job is, how a thread is made and what has to happen around a sleep is its
//! [`Runtime`]'s business: the Python bindings bring one that leaves the interpreter while it sleeps, and [`ThreadPool`]
//! is the one for Rust programs.
//!
//! | module | what it is |
//! |---|---|
//! | [`pool`] | workers, slots, the ready queue, shutdown |
//! | `shared` | the counters under the pool's lock, and the one invariant |
//! | `reservation` | the promise of a job for later |
//! | [`slot`] | a worker that blocks gives its slot to another one meanwhile |
//! | [`threads`] | the pool for Rust closures |

pub mod pool;
mod reservation;
mod shared;
#[cfg(not(loom))]
pub mod slot;
#[cfg(not(loom))]
pub mod threads;

pub use pool::{Pool, Runtime, Submit};
pub use reservation::Reservation;
pub use shared::{Post, Stats};
#[cfg(not(loom))]
pub use slot::{is_worker_of, release};
#[cfg(not(loom))]
pub use threads::{JoinHandle, ThreadPool};
