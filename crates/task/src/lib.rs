//! What every executor shares, and none of it knows where a task runs.
//!
//! | module | what it is |
//! |---|---|
//! | [`completion`] | the state machine under every future: pending, running, cancelled, finished |
//! | [`ready`] | the queue of tasks that may start: priorities, first come first served |
//! | [`deferred`] | tasks that may not start yet: after a dependency, before a retry |
//! | [`dependencies`] | the gate that opens when every dependency has arrived |
//! | [`retry`] | how often, and how long to wait in between |
//! | [`timer`] | one thread that does things at their time |
//! | [`map`] | many items through one function: claims, slots, the consumer's side |
//!
//! The layers (dependencies, retries, progress) stand over submission and completion: a pool knows none of them.

pub mod completion;
#[cfg(not(loom))]
pub mod deferred;
pub mod dependencies;
pub mod map;
pub mod ready;
#[cfg(not(loom))]
pub mod retry;
#[cfg(not(loom))]
pub mod timer;
