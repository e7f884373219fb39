//! An object that is put into shared memory once, for any number of tasks.
//!
//! ```text
//!  alive │ identity │ … 64 bytes │ a parcel: the pickle, its buffers
//! ```
//!
//! Other processes open the memory through `/proc`, for reading, while the process that made it holds it open; whoever sends a
//! reference keeps the [`Share`] until the receiver has answered. The identity says that the descriptor is still the same memory.
//! When the share ends its owner clears `alive`: whoever keeps what he made of it lets go when he next looks.
#![allow(unsafe_code, reason = "memory that processes share; each block carries its argument")]

use crate::corrupt::Corrupt;
use crate::parcel;
use raddle_sys::fork;
use raddle_sys::memory::{Access, Mapping, Memory};
use raddle_sys::process;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where the parcel starts.
const HEAD: usize = 64;

/// Where the identity stands.
const IDENTITY: usize = 8;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Tells one share from all others of this machine, for as long as it runs: a process, when it started, a number.
pub type Identity = [u64; 3];

/// An object in shared memory, as the process has it that put it there. Dropped, it ends.
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    mapping: Arc<SharedBytes>,
    identity: Identity,
    epoch: u32,
}

/// The bytes of a share, mapped into this process: read only, but for the owner's first word.
#[derive(Debug)]
pub struct SharedBytes {
    mapping: Mapping,
}

impl Share {
    /// Puts the parts, of which the first is the pickle, into new memory.
    ///
    /// # Errors
    ///
    /// When the system refuses the memory or a file descriptor.
    pub fn new(parts: &[&[u8]]) -> io::Result<Self> {
        let too_long = || io::Error::from(io::ErrorKind::FileTooLarge);
        let (table, len) = parcel::layout(parts.iter().map(|part| part.len())).ok_or_else(too_long)?;
        let memory = Memory::new("raddle-share", HEAD.checked_add(len).ok_or_else(too_long)?)?;
        let writer = memory.map(Access::Shared)?;
        let pid = process::id();
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let identity = [pid.into(), process::start_time(pid).unwrap_or_default(), number];
        let mut at = HEAD;
        let put = |offset: usize, bytes: &[u8]| {
            assert!(offset + bytes.len() <= writer.len(), "as it was laid out");
            // SAFETY: within the mapping, which nobody else has yet.
            unsafe { writer.as_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        };
        for (index, number) in identity.iter().enumerate() {
            put(IDENTITY + 8 * index, &number.to_le_bytes());
        }
        put(at, &table);
        at += table.len();
        for part in parts {
            at = HEAD + (at - HEAD).next_multiple_of(crate::arena::ALIGNMENT);
            put(at, part);
            at += part.len();
        }
        let mapping = Arc::new(SharedBytes { mapping: writer });
        mapping.alive().store(1, Ordering::Release);
        Ok(Self { memory, mapping, identity, epoch: fork::epoch() })
    }

    /// Where another process finds it: the process, the file descriptor, the identity.
    #[must_use]
    pub fn address(&self) -> (u32, i32, Identity) {
        (process::id(), self.memory.fd().as_raw_fd(), self.identity)
    }

    /// Its bytes in this process.
    #[must_use]
    pub const fn bytes(&self) -> &Arc<SharedBytes> {
        &self.mapping
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len() - HEAD
    }

    /// Whether it has none, which no share is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A forked child has inherited the handle, not the share.
        if self.epoch == fork::epoch() {
            self.mapping.alive().store(0, Ordering::Release);
        }
    }
}

impl SharedBytes {
    /// The share with this identity, in memory that another process has made.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is no share, or another one.
    pub fn open(memory: OwnedFd, identity: Identity) -> io::Result<Arc<Self>> {
        let memory = Memory::from_fd(memory)?;
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        if memory.len() < HEAD {
            return Err(gone());
        }
        let mapping = memory.map(Access::ReadOnly)?;
        let bytes = Arc::new(Self { mapping });
        let found = bytes.copy(IDENTITY..IDENTITY + 24).map_err(|_| gone())?;
        let same = found.chunks_exact(8).zip(identity).all(|(bytes, number)| bytes == number.to_le_bytes());
        if same { Ok(bytes) } else { Err(gone()) }
    }

    fn alive(&self) -> &AtomicU32 {
        // SAFETY: the first word of a mapping that is longer, aligned to a page; every process uses it atomically, and those that
        // have mapped it for reading only load it.
        unsafe { AtomicU32::from_ptr(self.mapping.as_ptr().cast()) }
    }

    /// Whether the share has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive().load(Ordering::Acquire) == 1
    }

    /// Where the pickle and the buffers stand.
    ///
    /// # Errors
    ///
    /// When they stand nowhere.
    pub fn parts(&self) -> Result<Vec<Range<usize>>, Corrupt> {
        let len = self.mapping.len() - HEAD;
        let count = parcel::count(&self.copy(HEAD..HEAD + 8)?)?;
        let table = self.copy(HEAD + 8..HEAD + 8 + 16 * count)?;
        let parts = parcel::read(&table, len)?;
        Ok(parts.into_iter().map(|part| HEAD + part.start..HEAD + part.end).collect())
    }

    /// Where a part begins, readable as long as this lives.
    #[must_use]
    pub fn part(&self, part: &Range<usize>) -> *const u8 {
        assert!(part.start <= part.end && part.end <= self.mapping.len(), "a part lies within its share");
        self.mapping.as_ptr().wrapping_add(part.start)
    }

    /// A copy of a part.
    ///
    /// # Errors
    ///
    /// When it lies outside.
    pub fn copy(&self, part: Range<usize>) -> Result<Vec<u8>, Corrupt> {
        if part.start > part.end || part.end > self.mapping.len() {
            return Err(Corrupt("a part of a share lies outside"));
        }
        let mut copy = vec![0; part.len()];
        // SAFETY: within the mapping; what somebody changes meanwhile are bytes still.
        unsafe { copy.as_mut_ptr().copy_from_nonoverlapping(self.part(&part), part.len()) };
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(share: &Share) -> io::Result<Arc<SharedBytes>> {
        SharedBytes::open(share.memory.reader()?, share.identity)
    }

    #[test]
    fn what_was_put_in_is_found_until_the_share_ends() {
        let share = Share::new(&[b"pickle", b"", &[7; 5000]]).expect("the system has memory");
        let opened = open(&share).expect("it is there");
        let parts = opened.parts().expect("as it was laid out");
        let contents: Vec<_> =
            parts.into_iter().map(|part| opened.copy(part).expect("it is inside")).collect();
        assert_eq!(contents, [&b"pickle"[..], b"", &[7; 5000]]);
        assert!(opened.is_alive());
        drop(share);
        assert!(!opened.is_alive());
    }

    #[test]
    fn another_share_is_not_taken_for_it() {
        let [one, other] = [0; 2].map(|_| Share::new(&[b""]).expect("the system has memory"));
        let mistaken = SharedBytes::open(one.memory.reader().expect("a descriptor"), other.identity);
        assert_eq!(mistaken.map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_forked_child_does_not_end_it() {
        fork::watch();
        let share = Share::new(&[b""]).expect("the system has memory");
        let opened = open(&share).expect("it is there");
        let mut inherited = Some(share);
        assert!(fork::check_in_child(60, || {
            drop(inherited.take());
            true
        }));
        assert!(opened.is_alive());
    }
}
