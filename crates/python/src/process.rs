//! Worker processes.

pub(crate) mod zygote;
