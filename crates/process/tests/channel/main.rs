//! Channels as their users have them: between processes, under a worker that scribbles, under one that dies.
#![allow(unsafe_code, reason = "a broken worker writes to memory as no safe code can")]

#[cfg(feature = "faults")]
mod faults;
mod other;
mod scribble;
mod two_processes;
