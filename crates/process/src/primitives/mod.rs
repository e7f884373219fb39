//! What processes wait for together: locks, semaphores, events, the queue of a condition, queues of messages.
//!
//! Each lives in memory that several processes have mapped, at any address, and is nothing but atomics there. A process that
//! is killed at any instruction leaves nothing behind that the others would wait for:
//!
//! - Who holds a lock is in the same word that says that it is held ([`identity`]), so a dead holder can be told from a slow one.
//! - What several words say together is published by one store, the last one.
//! - Nobody who waits sleeps for long without looking: a wake-up that was meant for a process that is gone is made up for.
//!
//! | module | what it holds |
//! |---|---|
//! | [`slab`] | where small primitives stand: many to a memory |
//! | [`identity`] | a process by number and start, and whether it is gone |
//! | `nap` | how a wait sleeps |
//! | [`lock`] | mutual exclusion; the recursive lock is the same one |
//! | [`semaphore`], [`event`] | permits; a flag |
//! | [`waiters`] | the queue of a condition |
//! | [`stream`] | messages from many to many |

pub mod event;
pub mod identity;
pub mod lock;
mod nap;
pub mod semaphore;
pub mod slab;
pub mod stream;
pub mod waiters;

pub use event::Event;
pub use lock::{Lock, NotHeld, Wait};
pub use semaphore::{OverRelease, Semaphore};
pub use slab::{Place, Slab};
pub use stream::{Got, NothingToDo, Put, Stream};
pub use waiters::Waiters;
