//! Which pages of a private mapping are its own copies: `PAGEMAP_SCAN`, since Linux 6.7.
//!
//! Forgetting pages that were only read makes the next reader fault them in again, and interrupts every processor on which this
//! process runs; asking first costs a microsecond for a small range and 30 µs for 100 MB in huge pages.

use crate::fork;
use std::fs::File;
use std::io::{self, Error};
use std::ops::Range;
use std::os::fd::{IntoRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many ranges one scan finds at most.
const MOST: usize = 64;

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`.
const SCAN: u64 = 3 << 30 | (size_of::<Arguments>() as u64) << 16 | (b'f' as u64) << 8 | 16;
const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;

/// The kernel's `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct Arguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    most_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// The kernel's `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// What a scan found, in ascending order.
pub(super) struct Copies {
    regions: [Region; MOST],
    found: usize,
}

impl Copies {
    /// Looks for the pages from `start` up to `end` that are this process's own, as they were at some time during the call. What was
    /// written before the call is found.
    ///
    /// # Errors
    ///
    /// When the system can't tell.
    pub(super) fn find(start: *const u8, end: *const u8) -> io::Result<Self> {
        let mut copies = Self { regions: [Region::default(); MOST], found: 0 };
        let mut arguments = Arguments {
            size: size_of::<Arguments>() as u64,
            start: start.addr() as u64,
            end: end.addr() as u64,
            regions: copies.regions.as_mut_ptr().expose_provenance() as u64,
            regions_len: MOST as u64,
            // A page that the mapping shares with its memory belongs to a file; a copy belongs to none, swapped out or not.
            inverted: IS_FILE,
            all_of: IS_FILE,
            any_of: IS_PRESENT | IS_SWAPPED,
            ..Arguments::default()
        };
        // SAFETY: the kernel reads `arguments`, writes `walk_end`, and at most `regions_len` regions to `regions`. Should the
        // descriptor have become another file's, the request is unknown to it.
        let found = unsafe { libc::ioctl(pagemap()?, SCAN as _, &raw mut arguments) };
        copies.found = usize::try_from(found).map_err(|_| Error::last_os_error())?;
        Ok(copies)
    }

    /// The ranges of addresses that were found.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let address = |address: u64| usize::try_from(address).expect("an address of this process");
        self.regions[..self.found].iter().map(move |region| address(region.start)..address(region.end))
    }

    /// Whether there may be more behind the last one.
    pub(super) fn is_cut(&self) -> bool {
        self.found == MOST
    }
}

/// This process's `/proc/self/pagemap`. The descriptor tells of the process that opened it, for ever: a child opens its own, and
/// leaves its parent's alone, as that number may be another file's by now.
fn pagemap() -> io::Result<RawFd> {
    /// The epoch and the descriptor. No epoch is zero.
    static PAGEMAP: AtomicU64 = AtomicU64::new(0);
    let epoch = u64::from(fork::epoch());
    let known = PAGEMAP.load(Ordering::Relaxed);
    if known >> 32 == epoch {
        return Ok(descriptor(known));
    }
    let fd = File::open("/proc/self/pagemap")?.into_raw_fd();
    let mine = epoch << 32 | u64::from(fd.cast_unsigned());
    match PAGEMAP.compare_exchange(known, mine, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(fd),
        Err(first) => {
            // SAFETY: we have just opened it, and nobody else has seen the number.
            unsafe { libc::close(fd) };
            Ok(descriptor(first))
        }
    }
}

/// The lower half.
fn descriptor(known: u64) -> RawFd {
    u32::try_from(known & u64::from(u32::MAX)).expect("cut to 32 bits").cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Access, Memory, page_size};

    #[test]
    fn a_scan_finds_what_was_written_and_nothing_else() {
        let page = page_size();
        let memory = Memory::new("test", 10 * page).expect("a descriptor is free");
        let private = memory.map(Access::Private).expect("mapped");
        let start = private.as_ptr();
        for index in 0..10 {
            // SAFETY: within the mapping, which is writable and which nobody else uses.
            unsafe {
                start.add(index * page).read_volatile();
                if [2, 3, 7].contains(&index) {
                    start.add(index * page).write_volatile(1);
                }
            }
        }
        // Else the kernel is older than 6.7, and everything is discarded without asking.
        if let Ok(copies) = Copies::find(start, start.wrapping_add(private.len())) {
            let found: Vec<_> = copies.ranges().map(|range| (range.start - start.addr()) / page).collect();
            assert_eq!((found, copies.is_cut()), (vec![2, 7], false));
        }
    }
}
