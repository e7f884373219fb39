//! What a pool is asked to run, and what comes of it.

use crate::arena::View;
use crate::share::Share;
use crate::store::Stored;
use raddle_sync::{Moment, Mutex};
use raddle_sys::fork;
use raddle_sys::pidfd::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A function that workers are told once and then know by its number. They forget it when the last reference is gone.
#[derive(Debug)]
pub struct Definition {
    /// Its number, unlike any other's of the pool.
    pub number: u64,
    /// Its pickle, unless it stands in the parcel.
    pub pickle: Vec<u8>,
    /// What a message does not hold.
    pub parcel: Option<Arc<Stored>>,
    /// What must live as long as workers may load it.
    _kept: Vec<Arc<Share>>,
    definitions: Definitions,
}

impl Drop for Definition {
    fn drop(&mut self) {
        if self.definitions.inner.epoch == fork::epoch() {
            self.definitions.inner.gone.lock().push(self.number);
        }
    }
}

#[derive(Debug)]
struct Numbers {
    next: AtomicU64,
    /// Definitions that workers may forget.
    gone: Mutex<Vec<u64>>,
    epoch: u32,
}

/// Gives functions their numbers.
#[derive(Clone, Debug)]
pub struct Definitions {
    inner: Arc<Numbers>,
}

impl Definitions {
    pub(super) fn new() -> Self {
        let inner = Numbers { next: AtomicU64::new(1), gone: Mutex::default(), epoch: fork::epoch() };
        Self { inner: Arc::new(inner) }
    }

    /// Numbers a function with this pickle, which refers to the shares in `kept`.
    #[must_use]
    pub fn define(
        &self,
        pickle: Vec<u8>,
        parcel: Option<Arc<Stored>>,
        kept: Vec<Arc<Share>>,
    ) -> Arc<Definition> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Definition { number, pickle, parcel, _kept: kept, definitions: self.clone() })
    }

    /// Those that are gone since the last call.
    pub(super) fn take_gone(&self) -> Vec<u64> {
        std::mem::take(&mut self.inner.gone.lock())
    }
}

/// One task, as the client submits it.
#[derive(Debug)]
pub struct Order<T> {
    /// From [`Pool::next_number`](super::Pool::next_number). A task that is tried again keeps it.
    pub number: u64,
    /// The client's own.
    pub task: T,
    /// [`CALL`](crate::message::CALL) or [`BATCH`](crate::message::BATCH).
    pub kind: u16,
    /// The function to be called. None: the first argument is it.
    pub function: Option<Arc<Definition>>,
    /// The arguments, unless they stand in the parcel.
    pub body: Vec<u8>,
    /// What the message does not hold.
    pub parcel: Option<Arc<Stored>>,
    /// What must live until a worker has answered.
    pub kept: Vec<Arc<Share>>,
    /// How long it may run before its worker is killed.
    pub timeout: Option<Duration>,
    /// Higher ones start first.
    pub priority: i32,
}

/// The outcome of a task, as the worker sent it.
#[derive(Debug)]
pub struct Reply {
    /// Whether it raised.
    pub failed: bool,
    /// Of the message.
    pub flags: u16,
    /// When it began.
    pub begun: Moment,
    /// When it ended.
    pub ended: Moment,
    /// The message; the pickle starts at `start`.
    pub body: Vec<u8>,
    /// See `body`.
    pub start: usize,
    /// What the message does not hold.
    pub parcel: Option<View>,
    /// The parcel is to be copied before anybody can keep it.
    pub(super) crowded: bool,
    /// Which worker ran it.
    pub worker: Arc<str>,
}

/// Why a worker was killed by its own pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// Its task ran longer than it may.
    Timeout,
    /// Somebody wanted its task ended.
    Terminated,
    /// It used more memory than it may, in bytes.
    Memory(u64),
    /// The pool itself is ended.
    Shutdown,
}

/// How a worker died.
#[derive(Clone, Debug)]
pub struct Death {
    /// Which worker.
    pub worker: Arc<str>,
    /// Its process.
    pub pid: u32,
    /// How the process ended, as far as that is known.
    pub exit: Option<Exit>,
    /// Whether the system killed it for want of memory; None where that can't be told.
    pub out_of_memory: Option<bool>,
    /// Whether the pool itself killed it.
    pub sentence: Option<Sentence>,
    /// What it did to the channel, if that is why it was killed.
    pub corrupt: Option<&'static str>,
    /// When its task began.
    pub begun: Option<Moment>,
}
