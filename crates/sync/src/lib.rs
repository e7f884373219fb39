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
//! | [`fork_cell`] | a value that a forked child replaces by a fresh one |

#[cfg(not(loom))]
pub mod fork_cell;
mod mutex;
pub mod parker;
pub mod primitives;
pub mod wait_word;

#[cfg(not(loom))]
pub use fork_cell::ForkCell;
pub use mutex::{Guard, Mutex, assert_unlocked};
pub use parker::Parker;
pub use raddle_sys::clock::Moment;
pub use raddle_sys::futex::Wake;
pub use wait_word::WaitWord;
