//! What the crates above build on: the standard library's, or loom's while a model runs.
//!
//! `Arc` is the standard library's in both: a loom `Arc` can't be a method's receiver, and no model is about counting.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub use std::sync::Arc;
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

pub use crate::mutex::{Guard, Mutex};
