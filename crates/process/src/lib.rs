//! Worker processes: what connects a pool to them, and what watches over them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arena`] | large data: blocks that one process writes and others view |
//! | [`channel`] | messages between the pool and one worker, through shared memory |
//! | [`launch`] | how worker processes come to be |
//! | [`Corrupt`] | what a reader says who finds nonsense there |

pub mod arena;
pub mod channel;
mod corrupt;
#[cfg(not(feature = "faults"))]
mod fault;
#[cfg(feature = "faults")]
pub mod fault;
pub mod launch;

pub use corrupt::Corrupt;
