//! Calls from one process to another: a request, then its answer, then the next request.
//!
//! The two have a socket between them, and a memory with a slot for each direction. A message that fits into its slot is put
//! there, so that between two processes that are both awake no system call is made; the receiver [lingers](linger) for it. One that does
//! not fit is only announced there, and its bytes go over the socket.
//!
//! # Sleeping
//!
//! A receiver that has lingered in vain sleeps in a read of the socket, and the sender wakes it with one byte. So the end of either
//! process ends the other's sleep, without anybody watching over it, and nobody wakes up for nothing.
//!
//! ```text
//!   sender                                 receiver
//!   1  slot := message, posted += 1        a  asleep := yes
//!   2  fence                               b  fence
//!   3  asleep?  no: done                   c  posted?  then f
//!   4  asleep := no; was it yes?           d  read one byte
//!   5  write one byte                      f  asleep := no; was it yes?  else read the byte
//! ```
//!
//! Of the fences 2 and b one comes first: either c sees the message, or 3 sees that the receiver sleeps. Whoever takes the *yes*
//! away, at 4 or at f, settles whether there is a byte in the socket; so none is left there for what comes next to stumble over.
//! A sender that is slow at 3 may find the sleep that follows: the receiver was awake, has dealt with the message, and now sleeps until
//! the next. It wakes for nothing then, and goes to sleep again.
//! A sender that is killed between 1 and 5 leaves a message and the end of the socket: a receiver looks for the one after
//! it has read the other.
//!
//! All accesses to the memory are atomic, and what is read of it is copied once and then judged by the copy.
#![allow(unsafe_code, reason = "shared memory seen as atomics; each block carries its argument")]

use crate::Corrupt;
use raddle_sync::linger;
use raddle_sys::descriptor;
use raddle_sys::memory::{Access, Mapping, Memory};
use raddle_sys::socket;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

const WORD: usize = size_of::<u64>();
/// Bytes of a slot, of which a message with less than 48 needs one line of the processor's cache.
const SLOT: usize = 1 << 15;
/// The largest message that fits, in bytes.
pub const LARGEST: usize = SLOT - 2 * WORD;

/// The header: a byte for the kind, a bit for messages that go over the socket, the length.
const KIND: u32 = 56;
const ELSEWHERE: u64 = 1 << 55;
const LEN: u64 = ELSEWHERE - 1;

#[repr(C, align(64))]
struct Slot {
    /// How many messages have been put here.
    posted: AtomicU32,
    /// Whether the receiver sleeps, and wants to be woken.
    asleep: AtomicU32,
    header: AtomicU64,
    words: [AtomicU64; LARGEST / WORD],
}

#[repr(C)]
struct Slots {
    requests: Slot,
    answers: Slot,
}

const _: () = assert!(size_of::<Slots>() == 2 * SLOT);

/// What a message is, apart from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What its sender said.
    pub kind: u8,
    /// Its bytes.
    pub len: usize,
    /// They are not in the slot, but follow in the socket.
    pub is_elsewhere: bool,
}

/// Which of the two one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends requests.
    Caller,
    /// Sends answers.
    Callee,
}

/// One side's end.
#[derive(Debug)]
pub struct End {
    mapping: Mapping,
    socket: OwnedFd,
    side: Side,
    sent: u32,
    received: u32,
    /// It has said that it sleeps, and has not taken that back.
    is_asleep: bool,
}

/// A new memory for two ends.
///
/// # Errors
///
/// The system's: no descriptors or no memory left.
pub fn memory() -> io::Result<Memory> {
    Memory::new("raddle-calls", size_of::<Slots>())
}

impl End {
    /// One end over a memory and a socket, a stream, whose other end is the other side's. Nothing may be in the socket that has not
    /// been read.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the memory is too small; else the system's.
    pub fn new(memory: &Memory, socket: OwnedFd, side: Side) -> io::Result<Self> {
        if memory.len() < size_of::<Slots>() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mapping = memory.map(Access::Shared)?;
        Ok(Self { mapping, socket, side, sent: 0, received: 0, is_asleep: false })
    }

    fn slots(&self) -> &Slots {
        // SAFETY: the mapping is long enough (`new`), begins at a page and lives as long as `self`; any bits are a structure of
        // atomics, which others may change at any time.
        unsafe { &*self.mapping.as_ptr().cast() }
    }

    fn outgoing(&self) -> &Slot {
        match self.side {
            Side::Caller => &self.slots().requests,
            Side::Callee => &self.slots().answers,
        }
    }

    fn incoming(&self) -> &Slot {
        match self.side {
            Side::Caller => &self.slots().answers,
            Side::Callee => &self.slots().requests,
        }
    }

    /// The socket, for the bytes of messages that do not fit.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// How many answers are due to requests that were sent here; a caller's.
    #[must_use]
    pub fn owed(&self) -> u32 {
        self.sent.wrapping_sub(self.received)
    }

    /// Sends a message, or, if it is longer than [`LARGEST`], announces it: its bytes are then to be written to the
    /// [socket](Self::socket). To be called when the one before has been received, which in this conversation an answer to it tells.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the other side is gone, and was asleep before.
    pub fn post(&mut self, kind: u8, body: &[u8]) -> io::Result<bool> {
        let fits = body.len() <= LARGEST;
        let slot = self.outgoing();
        if fits {
            let (words, rest) = body.as_chunks::<WORD>();
            for (place, word) in slot.words.iter().zip(words) {
                place.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
            }
            if !rest.is_empty() {
                let mut last = [0; WORD];
                last[..rest.len()].copy_from_slice(rest);
                slot.words[words.len()].store(u64::from_ne_bytes(last), Ordering::Relaxed);
            }
        }
        let place = if fits { 0 } else { ELSEWHERE };
        let len = body.len() as u64 & LEN;
        slot.header.store(u64::from(kind) << KIND | place | len, Ordering::Relaxed);
        slot.posted.store(self.sent.wrapping_add(1), Ordering::Release);
        fence(Ordering::SeqCst);
        let is_wanted =
            slot.asleep.load(Ordering::Relaxed) != 0 && slot.asleep.swap(0, Ordering::SeqCst) != 0;
        self.sent = self.sent.wrapping_add(1);
        if is_wanted {
            socket::send(self.socket(), b"!", &[])?;
        }
        Ok(fits)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof`, or what else the system says, when the other side is gone; `Interrupted` when a signal arrives first, after which
    /// the wait may be gone on with; `InvalidData` when what is there makes no sense.
    pub fn wait(&mut self) -> io::Result<Arrival> {
        let is_there = |end: &Self| end.incoming().posted.load(Ordering::Acquire) != end.received;
        if !self.is_asleep && linger(|| is_there(self)) {
            return self.arrived();
        }
        loop {
            // After a signal it still is.
            if !self.is_asleep {
                self.incoming().asleep.store(1, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                self.is_asleep = true;
            }
            if !is_there(self) || self.incoming().asleep.swap(0, Ordering::SeqCst) == 0 {
                let read = descriptor::read(self.socket(), &mut [0]);
                if matches!(&read, Err(error) if error.kind() == ErrorKind::Interrupted) {
                    return Err(ErrorKind::Interrupted.into());
                }
                // Whatever it was, the sender may have left a message before it went.
                match read {
                    _ if is_there(self) => {}
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Err(error) => return Err(error),
                    Ok(_) => {
                        self.is_asleep = false;
                        continue;
                    }
                }
            }
            self.is_asleep = false;
            return self.arrived();
        }
    }

    /// What the message is that has just been seen.
    fn arrived(&mut self) -> io::Result<Arrival> {
        let slot = self.incoming();
        let header = slot.header.load(Ordering::Relaxed);
        self.received = self.received.wrapping_add(1);
        let slot = self.incoming();
        if slot.posted.load(Ordering::Relaxed) != self.received {
            return Err(nonsense("a message has come where none was due"));
        }
        let len = usize::try_from(header & LEN).map_err(|_| nonsense("a message is too long"))?;
        let is_elsewhere = header & ELSEWHERE != 0;
        if len > LARGEST && !is_elsewhere {
            return Err(nonsense("a message is longer than its slot"));
        }
        Ok(Arrival { kind: (header >> KIND) as u8, len, is_elsewhere })
    }

    /// Copies the bytes of a message that is in the slot.
    ///
    /// # Panics
    ///
    /// When they are elsewhere.
    pub fn copy(&self, arrival: Arrival, body: &mut Vec<u8>) {
        assert!(arrival.len <= LARGEST && !arrival.is_elsewhere, "in the slot");
        body.clear();
        body.reserve(arrival.len.next_multiple_of(WORD));
        let (space, _) = body.spare_capacity_mut().as_chunks_mut::<WORD>();
        let space = &mut space[..arrival.len.div_ceil(WORD)];
        for (bytes, word) in space.iter_mut().zip(&self.incoming().words) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes().map(MaybeUninit::new);
        }
        // SAFETY: `space` covers the first `len` bytes of the vector's own capacity, and all of it was just written: a slot has at
        // least as many words.
        unsafe { body.set_len(arrival.len) };
    }
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, Corrupt(what))
}

#[cfg(test)]
mod tests;
