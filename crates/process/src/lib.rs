//! Worker processes: what connects a pool to them, and what watches over them.

mod corrupt;

pub use corrupt::Corrupt;
