//! The operating system, and nothing else.
//!
//! Every system call that Raddle makes by hand stands in this crate, so that a port to another system starts and ends
//! here. Nothing in it knows of tasks, pools or Python.
//!
//! | module | what it wraps |
//! |---|---|
//! | [`clock`] | the one monotonic clock, in nanoseconds |
//! | [`descriptor`] | reading and writing pipes and sockets |
//! | [`fork`] | a counter that tells a forked child from its parent |
//! | [`thread`] | which thread this is |
//! | [`futex`] | sleeping on a word of memory until somebody changes it, within a process and between processes |
//! | [`memory`] | anonymous memory that processes share, and mappings of it |
//! | [`socket`] | messages and descriptors between processes |
//! | [`poll`] | waiting for many descriptors at once |
//! | [`pidfd`] | a process by descriptor: kill it, wait for its end |
//! | [`process`] | this process and others: parents, groups, how much memory one has |
//! | [`shortage`] | errors that say that there is no more of something, and of what |
#![allow(unsafe_code, reason = "system calls; each block carries its argument")]

pub mod clock;
pub mod descriptor;
pub mod fork;
pub mod futex;
pub mod memory;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod shortage;
pub mod socket;
pub mod thread;

/// What a system call returned, or the error that it left behind when that was negative.
fn check<T: Default + PartialOrd>(status: T) -> std::io::Result<T> {
    if status < T::default() { Err(std::io::Error::last_os_error()) } else { Ok(status) }
}
