//! Where readers come in: a few counters on cache lines of their own, so that readers on different processors don't take
//! one another's line away.
//!
//! A writer closes every gate and waits until nobody is behind one. Closing and counting are atomic operations on the same
//! word that readers come and go by, so no reader slips through, and each learns from its own gate whether somebody sleeps
//! until it leaves. The first gate is closed first and opened last, and carries two flags more:
//!
//! | flag | meaning | set | cleared |
//! |---|---|---|---|
//! | [`CLOSED`] | nobody comes in: a writer is inside or waits | with or without the mutex | likewise |
//! | [`AWAITED`] | the last reader to leave must look into the queues | with the mutex | by who opens |
//! | [`HELD`] | a writer is inside, or about to be or to give up | on an open gate without the mutex, on a closed one with it | likewise |
//! | [`QUEUED`] | the writer that leaves must look into the queues | with the mutex | with the mutex |
//!
//! So as long as one has the mutex, a first gate that is closed and not held stays so, and one that is held and queued too.

use crate::owner::Owner;
use crate::primitives::{AtomicU64, Ordering};

const CLOSED: u64 = 0b0001;
const AWAITED: u64 = 0b0010;
const HELD: u64 = 0b0100;
const QUEUED: u64 = 0b1000;
const READER: u64 = 0b1_0000;
const OPEN: u64 = 0;

pub(super) const NOBODY: u64 = 0;

/// Two lines: processors fetch them in pairs.
#[repr(align(128))]
struct Gate {
    word: AtomicU64,
    /// Of the first gate only: who writes. Here, for a writer takes this line anyway, while the lock's own stays with all.
    writer: AtomicU64,
}

impl Gate {
    fn new() -> Self {
        Self { word: AtomicU64::new(OPEN), writer: AtomicU64::new(NOBODY) }
    }

    /// Nobody is behind it; then what those did who were is seen.
    fn is_empty(&self) -> bool {
        self.word.load(Ordering::Acquire) < READER
    }
}

pub(super) struct Gates {
    /// A power of two.
    gates: Box<[Gate]>,
}

/// How a reader left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Nobody waits for it.
    Free,
    /// It was the last one behind its gate, and somebody sleeps until all are gone.
    Awaited,
    /// There was no reader inside.
    Nobody,
}

#[cfg(not(loom))]
fn how_many() -> usize {
    use std::sync::OnceLock;
    const MOST: usize = 8;
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        processors.next_power_of_two().min(MOST)
    })
}

#[cfg(loom)]
fn how_many() -> usize {
    2
}

impl Gates {
    pub(super) fn new() -> Self {
        Self { gates: (0..how_many()).map(|_| Gate::new()).collect() }
    }

    fn first(&self) -> &AtomicU64 {
        &self.gates[0].word
    }

    /// The number of who writes, or [`NOBODY`]: for those who ask, the gates alone decide.
    pub(super) fn writer(&self) -> &AtomicU64 {
        &self.gates[0].writer
    }

    fn others(&self) -> &[Gate] {
        &self.gates[1..]
    }

    /// Where `owner` comes in: threads, which are numbered in turn, each at the next gate.
    #[inline]
    fn index(&self, owner: Owner) -> usize {
        let number = (owner.get() >> 3) as usize;
        number & (self.gates.len() - 1)
    }

    /// Comes in, unless it is closed.
    #[inline]
    pub(super) fn enter(&self, owner: Owner) -> bool {
        let gate = &self.gates[self.index(owner)].word;
        let mut word = gate.load(Ordering::Relaxed);
        while word & CLOSED == 0 {
            match gate.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Lets one in although the gates may be closed. With the mutex, when no writer will be inside at its end.
    pub(super) fn admit(&self, owner: Owner) {
        self.gates[self.index(owner)].word.fetch_add(READER, Ordering::Acquire);
    }

    /// Leaves. Anybody may do it for a reader, and goes by another gate when nobody is behind its own.
    #[inline]
    pub(super) fn leave(&self, owner: Owner) -> Exit {
        let index = self.index(owner);
        match Self::leave_by(&self.gates[index]) {
            Exit::Nobody => self.leave_elsewhere(),
            exit => exit,
        }
    }

    #[cold]
    fn leave_elsewhere(&self) -> Exit {
        let exits = self.gates.iter().map(Self::leave_by);
        exits.into_iter().find(|exit| *exit != Exit::Nobody).unwrap_or(Exit::Nobody)
    }

    #[inline]
    fn leave_by(gate: &Gate) -> Exit {
        let mut word = gate.word.load(Ordering::Relaxed);
        while word >= READER {
            let left = word - READER;
            match gate.word.compare_exchange_weak(word, left, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if left & AWAITED != 0 && left < READER => return Exit::Awaited,
                Ok(_) => return Exit::Free,
                Err(now) => word = now,
            }
        }
        Exit::Nobody
    }

    /// Whether a writer is inside, or tries.
    pub(super) fn is_held(&self) -> bool {
        self.first().load(Ordering::Acquire) & HELD != 0
    }

    /// Whether it is closed for a writer that waits, or, in a forked child, for one that waited in the parent.
    pub(super) fn is_reserved(&self) -> bool {
        self.first().load(Ordering::Relaxed) & (HELD | CLOSED) == CLOSED
    }

    /// Whether it is worth it to [`claim`](Self::claim).
    #[inline]
    pub(super) fn are_open(&self) -> bool {
        self.gates.iter().all(|gate| gate.word.load(Ordering::Relaxed) == OPEN)
    }

    /// Closes all for a writer, unless another one is inside or waits. Then it is inside as soon as
    /// [`are_empty`](Self::are_empty), or may [`retreat`](Self::retreat).
    #[inline]
    pub(super) fn claim(&self) -> bool {
        let mut word = self.first().load(Ordering::Relaxed);
        while word & (CLOSED | QUEUED) == 0 {
            let claimed = word | CLOSED | HELD;
            match self.first().compare_exchange_weak(word, claimed, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    for gate in self.others() {
                        gate.word.fetch_or(CLOSED, Ordering::Acquire);
                    }
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether all readers have left.
    #[inline]
    pub(super) fn are_empty(&self) -> bool {
        self.gates.iter().all(Gate::is_empty)
    }

    /// Lets the writer out, when nobody waits. False when somebody does: then the writer must leave with the mutex.
    #[inline]
    pub(super) fn open_for_all(&self) -> bool {
        if self.first().load(Ordering::Relaxed) & QUEUED != 0 {
            return false;
        }
        for gate in self.others() {
            // Nobody is behind it, and nobody else touches it while the first one is held.
            gate.word.store(OPEN, Ordering::Release);
        }
        let held = CLOSED | HELD;
        self.first().compare_exchange(held, OPEN, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// [`open_for_all`](Self::open_for_all) for a writer that has not got in: readers are still inside.
    pub(super) fn retreat(&self) -> bool {
        self.open_others();
        let mut word = self.first().load(Ordering::Relaxed);
        while word & QUEUED == 0 {
            let open = word & !(CLOSED | HELD);
            match self.first().compare_exchange_weak(word, open, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    fn open_others(&self) {
        for gate in self.others() {
            if gate.word.load(Ordering::Relaxed) & CLOSED != 0 {
                gate.word.fetch_and(!(CLOSED | AWAITED), Ordering::Release);
            }
        }
    }

    /// Opens all, when nobody waits. With the mutex, while it is reserved.
    pub(super) fn open(&self) {
        self.open_others();
        self.first().fetch_and(!(CLOSED | AWAITED | QUEUED), Ordering::Release);
    }

    /// Keeps writers out who come without the mutex. False when one is inside: it will leave with the mutex.
    /// With the mutex; who has reserved the gates closes or opens them all before it gives the mutex back.
    pub(super) fn reserve(&self) -> bool {
        self.first().fetch_or(CLOSED | QUEUED, Ordering::AcqRel) & HELD == 0
    }

    /// Closes all for a writer that waits. True when nobody is inside, and nobody comes in from now on. With the mutex.
    pub(super) fn close(&self) -> bool {
        if !self.reserve() {
            return false;
        }
        let mut inside = 0;
        for gate in &self.gates {
            let word = gate.word.load(Ordering::Acquire);
            let flags = CLOSED | AWAITED;
            let word = if word & flags == flags { word } else { gate.word.fetch_or(flags, Ordering::AcqRel) };
            inside += word / READER;
        }
        inside == 0
    }

    /// Lets a writer in after [`close`](Self::close) returned true; `queued` tells whether others wait. With the mutex.
    pub(super) fn hold(&self, queued: bool) {
        self.first().store(CLOSED | HELD | if queued { QUEUED } else { 0 }, Ordering::Relaxed);
    }

    /// Lets the writer out and leaves the gates as they are. False when there is none. With the mutex.
    pub(super) fn let_go(&self) -> bool {
        self.first().fetch_and(!HELD, Ordering::Release) & HELD != 0
    }

    /// How many readers are inside.
    pub(super) fn readers(&self) -> u64 {
        self.gates.iter().map(|gate| gate.word.load(Ordering::Relaxed) / READER).sum()
    }
}
