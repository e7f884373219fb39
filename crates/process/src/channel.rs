//! Messages between the pool and one worker process, through shared memory.
//!
//! ```text
//!            parent                     memory (one memfd)                        worker
//!  hand_out, tell ── Writer ──▶ ring to the worker ──────── Reader ──▶ next
//!  take_back, begun_at ───────▶ claims ◀────────────────────────────── next
//!  receive ◀────────── Reader ── ring to the parent ◀────── Writer ─── reply
//!  lend, returned, borrow ────▶ leases ◀────────────────────────────── borrow, lend, returned
//!  Bell::sleep ◀────────────────── bell (one page per pool) ◀───────── reply rings
//! ```
//!
//! The module is three protocols, each explained where it stands: rings of messages (`ring`), claims that say who has a task
//! (`claims`), and leases that say who looks at a block of an arena (`leases`). And two ways to wait: the parent on the [`Bell`]
//! of all its workers, a worker on a word of its own channel (`end`). None takes a lock, as whoever holds one may be killed.
//!
//! # Two sides that are not alike
//!
//! A worker runs the user's code, which may crash it, stop it, or scribble over all that it can write to. So the parent keeps
//! what it knows to itself, and takes from the memory only what only the worker can tell: once, by an atomic copy, which it then
//! judges. A worker that is killed at any instruction leaves a channel that can be read to its end: each task has been replied to, or was
//! begun and is lost, or was not begun and can go to another worker.
//!
//! # Example
//!
//! ```
//! use raddle_process::channel::{Bell, Message, ParentSide, WorkerSide};
//!
//! let bell = Bell::new()?;
//! let mut parent = ParentSide::new()?;
//! // In the other process, which inherits the descriptors:
//! let bell_of_worker = Bell::attach(bell.fd().try_clone_to_owned()?)?;
//! let mut worker = WorkerSide::attach(parent.fd().try_clone_to_owned()?, bell_of_worker)?;
//!
//! let claim = parent.hand_out(&Message { kind: 1, flags: 0, task: 7, parts: &[b"two", b"parts"] })?;
//! parent.nudge();
//!
//! let mut body = Vec::new();
//! let task = worker.next(&mut body).expect("it was sent");
//! assert_eq!((task.task, &body[..]), (7, &b"twoparts"[..]));
//! assert!(parent.begun_at(claim).is_some() && !parent.take_back(claim));
//! worker.reply(&Message { kind: 2, flags: 0, task: task.task, parts: &[b"done"] })?;
//!
//! let reply = parent.receive(&mut body)?.expect("it was sent");
//! assert_eq!((reply.claim, &body[..]), (Some(claim), &b"done"[..]));
//! parent.settle(claim);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![allow(unsafe_code, reason = "the memory is shared with another process; each block carries its argument")]

mod bell;
mod claims;
mod end;
mod layout;
mod leases;
#[cfg(all(test, loom))]
mod models;
mod parent;
mod place;
mod ring;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;
mod worker;

pub use bell::{Bell, Who};
pub use end::Loan;
pub use parent::ParentSide;
use std::fmt;
pub use worker::{Voice, WorkerSide};

/// Claims per worker: how many tasks it can have been handed and not settled.
pub const WINDOW: usize = 16;

/// Leases each way: how many blocks one side can look at.
pub const LEASES: usize = 1024;

/// The most bytes that a message's body can have. What is larger goes through an arena.
pub const LARGEST: usize = ring::CAPACITY as usize * size_of::<u64>() / 4;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What sort of message it is: the caller's to define.
    pub kind: u16,
    /// The caller's.
    pub flags: u16,
    /// The task that it is about.
    pub task: u64,
    /// The body, in parts that arrive as one.
    pub parts: &'a [&'a [u8]],
}

impl Message<'_> {
    /// How long the body is, in bytes.
    #[inline]
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// What was received, but for the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What sort of message it is: the caller's to define.
    pub kind: u16,
    /// The caller's.
    pub flags: u16,
    /// The task that it is about.
    pub task: u64,
    /// How long the body is, in bytes.
    pub len: u32,
    /// The claim under which the task is handed out, if it is.
    pub claim: Option<u8>,
}

/// A message does not go out now: the ring is full, or all claims are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the channel has no room for another message")
    }
}

impl std::error::Error for NoRoom {}
