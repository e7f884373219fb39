//! A ring of messages from one process to another.
//!
//! The ring is a row of 64-bit words. A message is two words of header and then its body, rounded up to whole words; it may
//! run over the end of the row and on at its start. Two positions, counted in words since the beginning and wrapping around
//! at 2³², say what is in it: the writer owns the *tail*, the reader the *head*, and what lies between is written and not
//! yet read.
//!
//! - A message is there once the tail behind it is stored, and not before: a writer that is killed half way leaves nothing.
//! - A side never reads its own position back from shared memory: it keeps it to itself, and only publishes it.
//! - It keeps the other side's too, as far as it has seen it, and looks again only when that is not enough.
//!
//! All accesses are atomic, so the other side may scribble over everything at any time: what a reader copies is then
//! nonsense, but as much as it made sure of before. Positions and headers are copied once and then judged by the copy.

use super::{Header, LARGEST, Message, WINDOW};
use crate::Corrupt;
use crate::fault;
use raddle_sync::primitives::{AtomicU32, AtomicU64, Ordering};
use std::mem::MaybeUninit;

/// 128 KiB, or in a model as little as makes sense.
pub(super) const CAPACITY: u32 = if cfg!(loom) { 8 } else { 16 * 1024 };
const SLOTS: usize = CAPACITY as usize;
const HEADER: u32 = 2;
/// In bytes.
const WORD: usize = size_of::<u64>();

/// The largest message fits into half of a ring, so it has room in any ring that is half empty.
const _: () = assert!(HEADER as usize + LARGEST.div_ceil(WORD) <= SLOTS / 2);
/// Positions wrap around at 2³².
const _: () = assert!(CAPACITY.is_power_of_two());

/// The row of words.
#[repr(transparent)]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Words([AtomicU64; SLOTS]);

impl Words {
    #[inline]
    fn at(&self, position: u32) -> &AtomicU64 {
        &self.0[position as usize % SLOTS]
    }
}

/// One ring in shared memory.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a> {
    pub(super) words: &'a Words,
    pub(super) tail: &'a AtomicU32,
    pub(super) head: &'a AtomicU32,
}

/// How many words a message takes.
const fn size(len: u32) -> u32 {
    HEADER + len.div_ceil(u64::BITS / u8::BITS)
}

const NO_CLAIM: u8 = u8::MAX;

/// The first word, from its lowest byte on: 24 bits of length, 8 of claim, 16 of kind, 16 of flags.
fn pack(header: &Header) -> u64 {
    u64::from(header.len)
        | u64::from(header.claim.unwrap_or(NO_CLAIM)) << 24
        | u64::from(header.kind) << 32
        | u64::from(header.flags) << 48
}

/// The header that [`pack`] made; only one that it can have made.
fn unpack(word: u64, task: u64) -> Result<Header, Corrupt> {
    let [low, middle, high, claim, kind @ .., _, _] = word.to_le_bytes();
    let [.., flags_low, flags_high] = word.to_le_bytes();
    let len = u32::from_le_bytes([low, middle, high, 0]);
    if len as usize > LARGEST {
        return Err(Corrupt("a message is larger than any"));
    }
    let claim = (claim != NO_CLAIM).then_some(claim);
    if claim.is_some_and(|claim| usize::from(claim) >= WINDOW) {
        return Err(Corrupt("a message has a claim that there is not"));
    }
    let (kind, flags) = (u16::from_le_bytes(kind), u16::from_le_bytes([flags_low, flags_high]));
    Ok(Header { kind, flags, task, len, claim })
}

/// The writing end.
#[derive(Debug, Default)]
pub(super) struct Writer {
    tail: u32,
    /// As far as it was looked at: the reader may be further.
    head: u32,
}

impl Writer {
    /// Whether a body of `len` bytes fits now.
    ///
    /// # Errors
    ///
    /// When the reader is where it can't be.
    ///
    /// # Panics
    ///
    /// When it never fits.
    #[inline]
    pub(super) fn fits(&mut self, ring: Ring<'_>, len: usize) -> Result<bool, Corrupt> {
        assert!(len <= LARGEST, "a body of {len} bytes goes through the arena");
        let need = size(u32::try_from(len).expect("no larger than LARGEST"));
        if self.free() < need {
            let head = ring.head.load(Ordering::Acquire);
            if head.wrapping_sub(self.head) > self.tail.wrapping_sub(self.head) {
                return Err(Corrupt("the reader of a ring is not between where it was and the writer"));
            }
            self.head = head;
        }
        Ok(self.free() >= need)
    }

    #[inline]
    fn free(&self) -> u32 {
        CAPACITY - self.tail.wrapping_sub(self.head)
    }

    /// Whether half of the ring is free, and with it room for any message; looks at the reader and believes it.
    pub(super) fn is_roomy(&self, ring: Ring<'_>) -> bool {
        self.tail.wrapping_sub(ring.head.load(Ordering::Acquire)) <= CAPACITY / 2
    }

    /// Appends and publishes a message that [fits](Self::fits).
    #[inline]
    pub(super) fn write(&mut self, ring: Ring<'_>, message: &Message<'_>, claim: Option<u8>) {
        let len = u32::try_from(message.len()).expect("it fits");
        assert!(size(len) <= self.free(), "it fits");
        let Message { kind, flags, task, parts } = *message;
        ring.words.at(self.tail).store(pack(&Header { kind, flags, task, len, claim }), Ordering::Relaxed);
        ring.words.at(self.tail.wrapping_add(1)).store(task, Ordering::Relaxed);
        fault::point("write:header");
        let mut pen =
            Pen { words: ring.words, position: self.tail.wrapping_add(HEADER), pending: 0, bits: 0 };
        for part in parts {
            pen.put(part);
        }
        pen.finish();
        fault::point("write:body");
        self.tail = self.tail.wrapping_add(size(len));
        ring.tail.store(self.tail, Ordering::Release);
        fault::point("write:published");
    }
}

/// Puts bytes together to words.
struct Pen<'a> {
    words: &'a Words,
    position: u32,
    /// The bytes that do not fill a word yet, the first of them lowest, and how many bits they are: fewer than 64.
    pending: u64,
    bits: u32,
}

impl Pen<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<WORD>();
        if self.bits == 0 {
            for word in words {
                self.store(u64::from_le_bytes(*word));
            }
        } else {
            for word in words {
                let word = u64::from_le_bytes(*word);
                self.store(self.pending | word << self.bits);
                self.pending = word >> (u64::BITS - self.bits);
            }
        }
        for &byte in rest {
            self.pending |= u64::from(byte) << self.bits;
            self.bits += u8::BITS;
            if self.bits == u64::BITS {
                self.store(self.pending);
                (self.pending, self.bits) = (0, 0);
            }
        }
    }

    #[inline]
    fn finish(mut self) {
        if self.bits > 0 {
            self.store(self.pending);
        }
    }

    #[inline]
    fn store(&mut self, word: u64) {
        self.words.at(self.position).store(word, Ordering::Relaxed);
        self.position = self.position.wrapping_add(1);
    }
}

/// The reading end.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: u32,
    /// As far as it was looked at: the writer may be further.
    tail: u32,
}

impl Reader {
    /// Whether there is something to read, even if it is nonsense.
    #[inline]
    pub(super) fn has_mail(&self, ring: Ring<'_>) -> bool {
        ring.tail.load(Ordering::Acquire) != self.head
    }

    /// The next message's header, if there is a message; leaves it where it is.
    ///
    /// # Errors
    ///
    /// When the writer is where it can't be, or no writer makes such a header. The next call finds the same.
    #[inline]
    pub(super) fn peek(&mut self, ring: Ring<'_>) -> Result<Option<Header>, Corrupt> {
        if self.pending() == 0 {
            let tail = ring.tail.load(Ordering::Acquire);
            if tail.wrapping_sub(self.head) > CAPACITY {
                return Err(Corrupt("the writer of a ring is further ahead than a ring is long"));
            }
            self.tail = tail;
            if self.pending() == 0 {
                return Ok(None);
            }
        }
        if self.pending() < HEADER {
            return Err(Corrupt("a message is shorter than its header"));
        }
        let word = ring.words.at(self.head).load(Ordering::Relaxed);
        let task = ring.words.at(self.head.wrapping_add(1)).load(Ordering::Relaxed);
        let header = unpack(word, task)?;
        if size(header.len) > self.pending() {
            return Err(Corrupt("a message is longer than what was written"));
        }
        Ok(Some(header))
    }

    /// Copies the body of the message that [`peek`](Self::peek) found.
    #[inline]
    pub(super) fn copy(&self, ring: Ring<'_>, header: &Header, body: &mut Vec<u8>) {
        let len = header.len as usize;
        body.clear();
        body.reserve(len.next_multiple_of(WORD));
        let (space, _) = body.spare_capacity_mut().as_chunks_mut::<WORD>();
        let space = &mut space[..len.div_ceil(WORD)];
        let mut position = self.head.wrapping_add(HEADER);
        for bytes in space {
            let word = ring.words.at(position).load(Ordering::Relaxed);
            *bytes = word.to_le_bytes().map(MaybeUninit::new);
            position = position.wrapping_add(1);
        }
        // SAFETY: `space` covers the first `len` bytes of the vector's own capacity, and all of it was just written.
        unsafe { body.set_len(len) };
    }

    /// Leaves the message that [`peek`](Self::peek) found behind, and its room to the writer.
    #[inline]
    pub(super) fn advance(&mut self, ring: Ring<'_>, header: &Header) {
        self.head = self.head.wrapping_add(size(header.len));
        ring.head.store(self.head, Ordering::Release);
    }

    /// How many words of those that were looked at are unread.
    #[inline]
    fn pending(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Whether half of the ring is free, as far as was looked: true whenever it is.
    #[inline]
    pub(super) fn is_roomy(&self) -> bool {
        self.pending() <= CAPACITY / 2
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::layout::Layout;
    use super::super::place::Place;
    use super::*;
    use raddle_sys::memory::Memory;

    fn layout() -> Place<Layout> {
        Memory::new("test", size_of::<Layout>())
            .and_then(|memory| Place::new(&memory))
            .expect("there is memory")
    }

    fn sound(len: u32) -> u64 {
        pack(&Header { kind: 1, flags: 2, task: 3, len, claim: None })
    }

    #[test]
    fn a_reader_names_what_no_writer_writes() {
        let largest = u32::try_from(LARGEST).expect("small");
        for (start, tail, word, complaint) in [
            (0, CAPACITY + 1, sound(0), "the writer of a ring is further ahead than a ring is long"),
            (100, 99, sound(0), "the writer of a ring is further ahead than a ring is long"),
            (u32::MAX, CAPACITY, sound(0), "the writer of a ring is further ahead than a ring is long"),
            (0, 1, sound(0), "a message is shorter than its header"),
            (0, CAPACITY, sound(largest + 1), "a message is larger than any"),
            (0, CAPACITY, sound((1 << 24) - 1), "a message is larger than any"),
            (0, 3, sound(9), "a message is longer than what was written"),
            (0, 9, sound(0) & !(0xFF << 24) | 16 << 24, "a message has a claim that there is not"),
        ] {
            let layout = layout();
            let ring = layout.to_parent();
            ring.tail.store(tail, Ordering::Relaxed);
            ring.words.at(start).store(word, Ordering::Relaxed);
            let mut reader = Reader { head: start, tail: start };
            assert_eq!(reader.peek(ring), Err(Corrupt(complaint)), "{start} {tail} {word:x}");
        }
    }

    #[test]
    fn a_writer_notices_a_reader_that_is_nowhere() {
        // So full that it looks.
        let full = CAPACITY - 1;
        for (seen, tail, head) in
            [(5, full + 5, 4), (5, full + 5, full + 6), (u32::MAX, full - 1, full), (0, full, u32::MAX)]
        {
            let layout = layout();
            let ring = layout.to_worker();
            ring.head.store(head, Ordering::Relaxed);
            let mut writer = Writer { tail, head: seen };
            let complaint = Corrupt("the reader of a ring is not between where it was and the writer");
            assert_eq!(writer.fits(ring, 0), Err(complaint), "{seen} {tail} {head}");
        }
    }

    #[test]
    fn positions_wrap_around() {
        let layout = layout();
        let ring = layout.to_worker();
        let start = u32::MAX - 100;
        let (mut writer, mut reader) =
            (Writer { tail: start, head: start }, Reader { head: start, tail: start });
        ring.head.store(start, Ordering::Relaxed);
        let mut body = Vec::new();
        for task in 0..1000 {
            let bytes = vec![9; task % 70];
            assert_eq!(writer.fits(ring, bytes.len()), Ok(true));
            let message = Message { kind: 1, flags: 2, task: task as u64, parts: &[&bytes] };
            writer.write(ring, &message, Some(3));
            let header = reader.peek(ring).expect("it is sound").expect("it was written");
            reader.copy(ring, &header, &mut body);
            reader.advance(ring, &header);
            assert_eq!((header.task, header.claim, &body), (task as u64, Some(3), &bytes));
        }
        assert!(writer.tail < start, "it did");
    }
}
