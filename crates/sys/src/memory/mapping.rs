//! A memory at an address of this process.

use super::copies::Copies;
use super::{HUGE_PAGE, check_range, page_size};
use crate::{check, fork};
use std::io::{self, Error, ErrorKind};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// `MADV_COLLAPSE`, since Linux 6.1; not every C library names it.
const MADV_COLLAPSE: libc::c_int = 25;

/// What [`Mapping::advise`] tells the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Gather the range into huge pages now. Only whole aligned ranges of [`HUGE_PAGE`] are; refused by kernels before 6.1,
    /// and whenever no such page is free.
    Collapse,
    /// Forget the pages. A [`Private`](super::Access::Private) mapping loses what it wrote and shows the memory's bytes again; for
    /// the others it only costs the next access.
    DontNeed,
    /// Children made by fork don't get this part; there, touching it is a segmentation fault.
    DontFork,
    /// Bring the pages near.
    WillNeed,
}

/// A [`Memory`](super::Memory) at an address of this process, until it is dropped.
///
/// Whoever reads or writes through [`as_ptr`](Mapping::as_ptr) answers for it: other processes may write to the memory at any
/// time, and [`advise`](Mapping::advise) can change what a private mapping shows.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// The fork epoch in which it was made.
    epoch: u32,
    /// Whether children made by fork lack some of it.
    hidden: AtomicBool,
}

// SAFETY: it is an address and a length. Access through the pointer is unsafe, and argued where it happens.
unsafe impl Send for Mapping {}
// SAFETY: as above; the methods that take a shared reference only make system calls, which are safe from all threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file from `offset` on, with this protection and these flags; from [`HUGE_PAGE`] bytes on, aligned to that.
    pub(super) fn new(
        file: BorrowedFd<'_>,
        offset: libc::off_t,
        len: usize,
        protection: libc::c_int,
        flags: libc::c_int,
    ) -> io::Result<Self> {
        // Without it no epoch would tell a child that what it inherited is not there.
        fork::watch();
        let room = Room::reserve(len)?;
        let place = room.aligned.as_ptr().cast();
        // SAFETY: MAP_FIXED replaces pages of the reservation, which nobody else knows and which is at least as long.
        let address =
            unsafe { libc::mmap(place, len, protection, flags | libc::MAP_FIXED, file.as_raw_fd(), offset) };
        if address == libc::MAP_FAILED {
            // The reservation stays: a kernel may have taken it away before it failed, so that something else may stand
            // there by now, and addresses are plentiful.
            return Err(Error::last_os_error());
        }
        Ok(Self { start: room.keep(len), len, epoch: fork::epoch(), hidden: AtomicBool::new(false) })
    }

    /// Where it begins. Valid for [`len`](Mapping::len) bytes while the mapping lives; writable unless it is read-only.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its length in bytes, never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is no empty mapping")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells the system what this range is going to be used for. `offset` is a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a range beyond the end, an empty one, or one that does not begin at a page; else the system's refusal,
    /// which leaves everything as it was.
    pub fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        check_range(offset, len, self.len)?;
        let advice = match advice {
            Advice::Collapse => MADV_COLLAPSE,
            Advice::DontNeed => libc::MADV_DONTNEED,
            Advice::WillNeed => libc::MADV_WILLNEED,
            Advice::DontFork => {
                self.hidden.store(true, Ordering::Relaxed);
                libc::MADV_DONTFORK
            }
        };
        // SAFETY: the range is mapped by us. Of these, only DontNeed changes what is read, and only a private mapping's own
        // copies; whoever holds references into those answers for that, as said above.
        check(unsafe { libc::madvise(self.start.add(offset).as_ptr().cast(), len, advice) }).map(drop)
    }
}

impl Mapping {
    /// Has a private mapping forget what it wrote in this range: it shows the memory's bytes again, later ones included. Takes a
    /// microsecond where nothing was written. `offset` is a multiple of the page size; of the last page, all is forgotten.
    ///
    /// Whoever holds references into the range answers for what they show then, as with [`advise`](Mapping::advise).
    ///
    /// # Errors
    ///
    /// As [`advise`](Mapping::advise); pages that are locked in memory are refused. Then nothing is known of the range.
    pub fn discard_copies(&self, offset: usize, len: usize) -> io::Result<()> {
        check_range(offset, len, self.len)?;
        let whole = self.start.as_ptr().addr() + offset;
        let whole = whole..whole + len.next_multiple_of(page_size());
        let address = |address| self.start.as_ptr().with_addr(address).cast_const();
        let Ok(copies) = Copies::find(address(whole.start), address(whole.end)) else {
            // Nobody can tell which; forgetting what was only read costs time and nothing else.
            return self.advise(offset, len, Advice::DontNeed);
        };
        let mut done = whole.start;
        for copied in copies.ranges() {
            // As far as huge pages reach: where all small pages are gone, the next reader maps a huge one again.
            let start = (copied.start / HUGE_PAGE * HUGE_PAGE).max(done);
            let end = copied.end.next_multiple_of(HUGE_PAGE).min(whole.end);
            if start < end {
                self.forget(start..end)?;
                done = end;
            }
        }
        if copies.is_cut() && done < whole.end { self.forget(done..whole.end) } else { Ok(()) }
    }

    /// `addresses` is within the mapping, up to the end of its last page, and begins at a page.
    fn forget(&self, addresses: Range<usize>) -> io::Result<()> {
        let start = self.start.as_ptr().with_addr(addresses.start);
        // SAFETY: the range is mapped by us; for those who hold references into it, see `discard_copies`.
        check(unsafe { libc::madvise(start.cast(), addresses.len(), libc::MADV_DONTNEED) }).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a child that did not get it, something else may stand at the address by now.
        if !*self.hidden.get_mut() || self.epoch == fork::epoch() {
            unmap(self.start.as_ptr(), self.len);
        }
    }
}

/// Reserved address space, in which a mapping finds an aligned place.
struct Room {
    start: NonNull<u8>,
    len: usize,
    aligned: NonNull<u8>,
}

impl Room {
    fn reserve(len: usize) -> io::Result<Self> {
        // The system aligns to pages by itself.
        let spare = if len >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let padded = len.checked_add(spare).ok_or(ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: without an address the system chooses one where nothing is mapped.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), padded, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).expect("nothing is mapped at address zero");
        let to_aligned = if spare == 0 { 0 } else { start.as_ptr().align_offset(HUGE_PAGE) };
        // SAFETY: an alignment needs fewer bytes than it has, and that many are spare.
        let aligned = unsafe { start.add(to_aligned) };
        Ok(Self { start, len: padded, aligned })
    }

    /// Gives back all but the first pages from the aligned address on that hold `len` bytes, which are the caller's now.
    fn keep(self, len: usize) -> NonNull<u8> {
        let end = self.start.as_ptr().wrapping_add(self.len);
        let kept_end = self.aligned.as_ptr().wrapping_add(len);
        let kept_end = kept_end.wrapping_add(kept_end.align_offset(page_size()));
        unmap(self.start.as_ptr(), self.aligned.as_ptr().addr() - self.start.as_ptr().addr());
        unmap(kept_end, end.addr().saturating_sub(kept_end.addr()));
        self.aligned
    }
}

/// Unmaps what the caller, who is in this module, owns and has no further use for.
fn unmap(start: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: the callers own the range, and no reference into it is left.
        unsafe { libc::munmap(start.cast(), len) };
    }
}
