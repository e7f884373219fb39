//! Worker processes: what connects a pool to them, and what watches over them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`pool`] | what is handed to whom, how results are collected, what follows from a death |
//! | [`supervisor`] | the thread that starts workers and hears of their deaths |
//! | [`arena`] | large data: blocks that one process writes and others view |
//! | [`channel`] | messages between the pool and one worker, through shared memory |
//! | [`message`] | the words that the two speak |
//! | [`parcel`] | what a message carries out of band |
//! | [`share`] | an object that is put into shared memory once |
//! | [`store`] | the parent's arena of arguments |
//! | [`launch`] | how worker processes come to be |
//! | [`rpc`] | calls from one process to another, through shared memory |
//! | [`primitives`] | what processes wait for together: locks, semaphores, queues of messages |
//! | [`Corrupt`] | what a reader says who finds nonsense there |

pub mod arena;
pub mod channel;
mod corrupt;
#[cfg(not(feature = "faults"))]
mod fault;
#[cfg(feature = "faults")]
pub mod fault;
#[cfg(not(loom))]
pub mod launch;
#[cfg(not(loom))]
pub mod message;
#[cfg(not(loom))]
pub mod parcel;
#[cfg(not(loom))]
pub mod pool;
#[cfg(not(loom))]
pub mod primitives;
#[cfg(not(loom))]
pub mod rpc;
#[cfg(not(loom))]
pub mod share;
#[cfg(not(loom))]
pub mod store;
#[cfg(not(loom))]
pub mod supervisor;

pub use corrupt::Corrupt;
#[cfg(not(loom))]
pub use pool::{Client, Pool};
