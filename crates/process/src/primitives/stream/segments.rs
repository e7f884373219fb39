//! The segments of a stream, and a cursor that reads and writes along their chain.
//!
//! Free segments are a stack without a lock: whoever has read one pushes it, and only the holder of the lock for putting pops, so that
//! what he saw on top can't have been away and come back. Beyond a few, those that are freed give their pages back, all but the
//! first, in which the chain goes on.
#![allow(unsafe_code, reason = "copies to and from shared memory; each block carries its argument")]

use super::cells::{Position, StreamCells};
use crate::Corrupt;
use raddle_sys::memory::{Access, Mapping, Memory, page_size};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a segment. The first word names the next segment.
const SEGMENT: usize = 1 << 16;
const WORD: usize = size_of::<u64>();
const FIRST_WORD: u32 = 1;
const END_WORD: u32 = 1 << 13;
const _: () = assert!(END_WORD as usize * WORD == SEGMENT);

/// The sizes to try, in segments, as limits on address space and files may forbid large ones. Only what is used costs memory.
const SIZES: [usize; 4] = [1 << 18, 1 << 14, 1 << 10, 1 << 8];

/// So many free segments keep their pages.
const WARM: u32 = 16;

/// The memory has no room left.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoom;

/// The memory of a stream.
#[derive(Debug)]
pub(super) struct Segments {
    memory: Memory,
    mapping: Mapping,
}

impl Segments {
    pub(super) fn new() -> io::Result<Self> {
        let mut tried = Err(io::ErrorKind::OutOfMemory.into());
        for size in SIZES {
            tried = Memory::new("raddle-queue", size * SEGMENT).and_then(Self::of);
            if tried.is_ok() {
                break;
            }
        }
        let segments = tried?;
        let cells = segments.cells();
        let start = Position { count: 0, segment: 1, word: FIRST_WORD };
        start.store(&cells.head);
        start.store(&cells.tail);
        cells.fresh.store(2, Ordering::Relaxed);
        Ok(segments)
    }

    pub(super) fn attach(fd: OwnedFd) -> io::Result<Self> {
        let memory = Memory::from_fd(fd)?;
        if memory.len() < 2 * SEGMENT || !memory.len().is_multiple_of(SEGMENT) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Self::of(memory)
    }

    fn of(memory: Memory) -> io::Result<Self> {
        let mapping = memory.map(Access::Shared)?;
        Ok(Self { memory, mapping })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.memory.fd()
    }

    #[inline]
    pub(super) fn cells(&self) -> &StreamCells {
        // SAFETY: the mapping is longer than that and begins at a page, and any bits are a structure of atomics.
        unsafe { &*self.mapping.as_ptr().cast() }
    }

    fn count(&self) -> usize {
        self.mapping.len() / SEGMENT
    }

    /// Where a segment begins; the caller has checked that there is such a one.
    #[inline]
    fn start(&self, segment: u32) -> *mut u8 {
        let offset = segment as usize * SEGMENT;
        assert!(segment > 0 && offset < self.mapping.len(), "a segment of this memory");
        // SAFETY: within the mapping.
        unsafe { self.mapping.as_ptr().add(offset) }
    }

    /// The first word of a segment, which names the next one.
    #[inline]
    fn next(&self, segment: u32) -> &AtomicU32 {
        // SAFETY: aligned, mapped as long as `self` lives, and used as an atomic only.
        unsafe { AtomicU32::from_ptr(self.start(segment).cast()) }
    }

    /// Takes a free segment. To be called with the lock for putting held.
    fn take(&self) -> Result<u32, NoRoom> {
        let cells = self.cells();
        loop {
            let top = cells.free.load(Ordering::Acquire);
            if top == 0 || top as usize >= self.count() {
                break;
            }
            let next = self.next(top).load(Ordering::Relaxed);
            if cells.free.compare_exchange(top, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                cells.free_count.fetch_sub(1, Ordering::Relaxed);
                return Ok(top);
            }
        }
        let fresh = cells.fresh.load(Ordering::Relaxed);
        if fresh as usize >= self.count() {
            return Err(NoRoom);
        }
        cells.fresh.store(fresh + 1, Ordering::Relaxed);
        Ok(fresh)
    }

    /// Gives a segment back that nobody reads or writes any more.
    fn give_back(&self, segment: u32, warm: u32) {
        let cells = self.cells();
        let page = page_size();
        if cells.free_count.fetch_add(1, Ordering::Relaxed) >= warm && page < SEGMENT {
            // If it fails, the pages stay.
            let _ = self.memory.punch(segment as usize * SEGMENT + page, SEGMENT - page);
        }
        let mut top = cells.free.load(Ordering::Relaxed);
        loop {
            self.next(segment).store(top, Ordering::Relaxed);
            match cells.free.compare_exchange_weak(top, segment, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Makes every segment free that no message stands in. To be called with both locks held.
    pub(super) fn count_free(&self) {
        let cells = self.cells();
        let fresh = (cells.fresh.load(Ordering::Relaxed) as usize).min(self.count());
        let mut used = vec![false; fresh];
        let (mut at, tail) = (Position::load(&cells.head).segment, Position::load(&cells.tail).segment);
        for _ in 0..fresh {
            match used.get_mut(at as usize) {
                Some(used) => *used = true,
                // Nonsense: better to lose the rest of the memory than to write over messages.
                None => return,
            }
            if at == tail {
                break;
            }
            at = self.next(at).load(Ordering::Relaxed);
        }
        cells.free.store(0, Ordering::Relaxed);
        cells.free_count.store(0, Ordering::Relaxed);
        for (segment, used) in (0..).zip(used).skip(1) {
            if !used {
                self.give_back(segment, WARM);
            }
        }
    }
}

/// A place in the chain that moves along it.
pub(super) struct Cursor<'a> {
    segments: &'a Segments,
    segment: u32,
    /// In bytes from the segment's beginning.
    offset: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn at(segments: &'a Segments, position: Position) -> Self {
        Self { segments, segment: position.segment, offset: position.word as usize * WORD }
    }

    /// Where it is, which is between two messages.
    #[inline]
    pub(super) fn position(&self, count: u32) -> Position {
        let word = u32::try_from(self.offset / WORD).unwrap_or(END_WORD);
        Position { count, segment: self.segment, word }
    }

    /// Writes a message. If there is no room, all is as before.
    #[inline]
    pub(super) fn write(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), NoRoom> {
        let (first, offset) = (self.segment, self.offset);
        let written = self.write_on(kind, parts);
        if written.is_err() {
            let last = std::mem::replace(&mut self.segment, first);
            self.offset = offset;
            // What it has taken since follows the first one.
            let mut taken = first;
            while taken != last {
                let next = self.segments.next(taken).load(Ordering::Relaxed);
                if taken != first {
                    self.segments.give_back(taken, 0);
                }
                taken = next;
            }
            if last != first {
                self.segments.give_back(last, 0);
            }
        }
        written
    }

    fn write_on(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), NoRoom> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.segment as usize >= self.segments.count() || self.segment == 0 || self.offset > SEGMENT {
            return Err(NoRoom);
        }
        self.append(&((len as u64) << 8 | u64::from(kind)).to_ne_bytes())?;
        for part in parts {
            self.append(part)?;
        }
        self.offset = self.offset.next_multiple_of(WORD);
        Ok(())
    }

    #[inline]
    fn append(&mut self, mut bytes: &[u8]) -> Result<(), NoRoom> {
        while !bytes.is_empty() {
            if self.offset >= SEGMENT {
                let next = self.segments.take()?;
                self.segments.next(self.segment).store(next, Ordering::Relaxed);
                (self.segment, self.offset) = (next, WORD);
            }
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT - self.offset));
            // SAFETY: within a segment of the mapping. Nobody else reads or writes there: it comes after the tail, and this
            // process has the lock for putting.
            unsafe {
                let to = self.segments.start(self.segment).add(self.offset);
                std::ptr::copy_nonoverlapping(now.as_ptr(), to, now.len());
            }
            self.offset += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Reads a message into `body` and returns its kind.
    #[inline]
    pub(super) fn read(&mut self, body: &mut Vec<u8>) -> Result<u8, Corrupt> {
        self.go_on()?;
        // SAFETY: a word of a segment: places between messages are multiples of its size, and so are the ends of segments. Any bytes
        // are bytes.
        let header =
            unsafe { self.segments.start(self.segment).add(self.offset).cast::<[u8; WORD]>().read() };
        let header = u64::from_ne_bytes(header);
        self.offset += WORD;
        let len = usize::try_from(header >> 8).map_err(|_| Corrupt("a message is too long"))?;
        if len > self.segments.mapping.len() {
            return Err(Corrupt("a message is longer than the memory"));
        }
        body.clear();
        self.take(len, body)?;
        self.offset = self.offset.next_multiple_of(WORD);
        Ok(header.to_le_bytes()[0])
    }

    /// Goes to the next segment if this one is at its end.
    #[inline]
    fn go_on(&mut self) -> Result<(), Corrupt> {
        let is_segment = |segment: u32| segment != 0 && (segment as usize) < self.segments.count();
        if is_segment(self.segment) && self.offset == SEGMENT {
            self.segment = self.segments.next(self.segment).load(Ordering::Relaxed);
            self.offset = WORD;
        }
        if is_segment(self.segment) && self.offset < SEGMENT {
            Ok(())
        } else {
            Err(Corrupt("a message stands outside of the memory"))
        }
    }

    #[inline]
    fn take(&mut self, mut len: usize, into: &mut Vec<u8>) -> Result<(), Corrupt> {
        into.reserve(len);
        while len > 0 {
            self.go_on()?;
            let now = len.min(SEGMENT - self.offset);
            // SAFETY: within a segment of the mapping. Nobody healthy writes there before the head has passed it, for which one
            // needs the lock that this process has; and any bytes are bytes.
            let bytes = unsafe {
                let from = self.segments.start(self.segment).add(self.offset);
                std::slice::from_raw_parts(from, now)
            };
            into.extend_from_slice(bytes);
            self.offset += now;
            len -= now;
        }
        Ok(())
    }

    /// Gives back the segments from `first` up to where the cursor is, which have been read.
    #[inline]
    pub(super) fn recycle(&self, first: Position) {
        let mut segment = first.segment;
        while segment != self.segment {
            // Its first word is about to name another one.
            let next = self.segments.next(segment).load(Ordering::Relaxed);
            self.segments.give_back(segment, WARM);
            segment = next;
        }
    }
}
