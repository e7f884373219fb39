//! The operating system, and nothing else.
//!
//! Every system call that Raddle makes by hand stands in this crate, so that a port to another system starts and ends
//! here. Nothing in it knows of tasks, pools or Python.
//!
//! | module | what it wraps |
//! |---|---|
//! | [`clock`] | the one monotonic clock, in nanoseconds |
//! | [`fork`] | a counter that tells a forked child from its parent |
//! | [`thread`] | which thread this is |
//! | [`futex`] | sleeping on a word of memory until somebody changes it |
#![allow(unsafe_code, reason = "system calls; each block carries its argument")]

pub mod clock;
pub mod fork;
pub mod futex;
pub mod thread;
