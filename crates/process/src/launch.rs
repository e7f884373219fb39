//! How worker processes come to be: forked by a zygote, or each started as an interpreter of its own.
//!
//! The zygote is a process that is started once, with nothing of the user's process in it: one thread, the modules that were asked
//! for, and a socket to here. On request it forks a worker, hands the worker's descriptors on, and tells how each one ends. Policy (when to
//! ask, what to do when one dies) is the pool's.
//!
//! ```text
//!  supervisor thread                     zygote                          worker
//!    Zygote::start ── exec, PREPARE ──▶   sys.path, preload
//!    receive ◀──────────── READY ──────
//!    fork ─────────── FORK, 5 fds ─────▶  fork ─────────────────────────▶  own group, environment, serve
//!    receive ◀──── FORKED, pidfd ──────   │ poll: socket and pidfds             │
//!    receive ◀──────────── ENDED ──────   waitpid ◀─────────────────────────────┘
//!    stop ────────── end of socket ────▶  kills what is left, exits
//! ```
//!
//! # The wire
//!
//! A `SOCK_SEQPACKET` pair; the zygote finds its end as standard input, which is the one descriptor that can be handed to a new
//! program without anything being done between fork and exec. Each packet is a header of 24 bytes, little-endian, and a body:
//!
//! | bytes | to the zygote | from the zygote |
//! |---|---|---|
//! | 0–3 | kind: `PREPARE` 1, `FORK` 2, `KILL` 3 | `READY` 17, `FORKED` 18, `REFUSED` 19, `ENDED` 20, `FAILED` 21 |
//! | 4–7 | 1 when the body stands in a memory file, the last descriptor | threads (`READY`), wait status (`ENDED`) |
//! | 8–15 | ticket (`FORK`) | ticket (`FORKED`, `REFUSED`) |
//! | 16–19 | pid: of the pool's process (`PREPARE`), of a worker (`KILL`) | pid (`FORKED`, `ENDED`) |
//! | 20–23 | how many descriptors come with it | likewise |
//! | 24– | the preparation, the order | text (`REFUSED`, `FAILED`), a module (`READY`) |
//!
//! What the preparation and the order say is Python's affair (`raddle._internal.processes`). A body that is not small stands in a
//! memory file: a packet can't be longer than the socket's buffer, and environments can.
//!
//! # Who dies with whom
//!
//! The zygote asks the system to kill it when the *thread* that started it ends, so it is started from a thread that stays. A worker asks
//! for the same with regard to the zygote; in addition, the last of its descriptors, the *life line*, is the reading end of a pipe whose
//! writing end only the pool's process has: when that is gone, the system kills the worker's whole process group. Nothing is ever
//! written to it. Neither way needs anybody to be awake or in good order.

mod message;
mod start;
mod zygote;

pub use start::spawn_worker;
pub use zygote::{Report, Zygote};

use std::ffi::OsString;

/// How to start an interpreter.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// What to execute: the path of the interpreter.
    pub program: OsString,
    /// The interpreter's options and the script that it runs.
    pub arguments: Vec<OsString>,
    /// The whole environment; None for that of this process, which must then not be changing.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// For the script.
    pub preparation: Vec<u8>,
}

#[cfg(all(test, not(loom)))]
mod tests;
