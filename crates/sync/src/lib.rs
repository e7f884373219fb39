//! Blocking primitives on futexes, and the seam at which loom takes their place.
//!
//! Everything above imports its atomics and locks from [`primitives`]; compiled with `--cfg loom` these are loom's, and
//! the models in the crates above run against them. The waiting primitives report signals ([`Wake::Interrupted`]), so
//! that a caller which serves an interpreter can let it handle them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`primitives`] | `Arc`, atomics and [`Mutex`], the standard library's or loom's |
//! | [`wait_word`] | a 32-bit word that threads can sleep on |
//! | [`parker`] | one thread's wake-up token |
//! | [`linger()`] | a moment awake before a sleep |
//! | [`fork_cell`] | a value that a forked child replaces by a fresh one |
//! | [`fork_mutex`] | a mutex that a forked child finds free |
//! | [`owner`], [`waiter`] | who holds or waits, threads and coroutines alike, and how a wait goes |
//! | [`lock`], [`rlock`], [`rwlock`] | mutual exclusion: with one holder, with one that may come back, with many readers |
//! | [`semaphore`] | permits that are taken and given back |
//! | [`event`], [`latch`] | something that happens: a flag that is set, a count that reaches zero |
//! | [`notifier`] | the queue of a condition |
//! | [`barrier`] | a meeting point |
//! | [`queue`] | items from those who put to those who get |
//! | [`graph`] | who waits for whom: deadlocks, found when they close |
//! | [`segments`] | a sequence that grows without copying |

pub mod barrier;
pub mod event;
#[cfg(not(loom))]
pub mod fork_cell;
pub mod fork_mutex;
pub mod graph;
pub mod latch;
mod linger;
pub mod lock;
#[cfg(all(test, loom))]
mod models;
mod mutex;
pub mod notifier;
pub mod owner;
pub mod parker;
pub mod primitives;
pub mod queue;
pub mod rlock;
pub mod rwlock;
pub mod segments;
pub mod semaphore;
mod slow;
pub mod wait_word;
pub mod waiter;

pub use barrier::{Arrival, Barrier, Broken};
pub use event::Event;
#[cfg(not(loom))]
pub use fork_cell::ForkCell;
pub use latch::Latch;
pub use linger::linger;
pub use lock::{Lock, NotHeld};
pub use mutex::{Guard, Mutex, assert_unlocked};
pub use notifier::Notifier;
pub use owner::Owner;
pub use parker::Parker;
pub use raddle_sys::clock::Moment;
pub use raddle_sys::futex::Wake;
pub use rlock::{NotOwner, RLock};
pub use rwlock::{ReadSide, RwLock, WriteSide};
pub use semaphore::{OverRelease, Semaphore};
pub use wait_word::WaitWord;
pub use waiter::{Ring, WaitQueue, Waitable, Waiter, Woken};
