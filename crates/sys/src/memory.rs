//! Memory that processes share: anonymous files (`memfd`), and mappings of them.
//!
//! A [`Memory`] has no name in any file system, so nothing is left of it once its last descriptor and mapping are gone,
//! however the processes ended. It is sealed against resizing: a process that could shorten it would kill the others at their
//! next access.
//!
//! ```
//! use raddle_sys::memory::{Access, Memory};
//!
//! let memory = Memory::new("example", 4096)?;
//! let (writer, reader) = (memory.map(Access::Shared)?, memory.map(Access::Private)?);
//! // SAFETY: both are mapped, this thread is alone with them, and each pointer is used up before the next is made.
//! unsafe {
//!     writer.as_ptr().write(1);
//!     assert_eq!(reader.as_ptr().read(), 1);
//!     reader.as_ptr().write(2); // its own copy
//!     assert_eq!(writer.as_ptr().read(), 1);
//! }
//! # Ok::<_, std::io::Error>(())
//! ```

mod copies;
mod mapping;
#[cfg(test)]
mod tests;

pub use mapping::{Advice, Mapping};

use crate::check;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a large mapping is aligned to, in bytes: the pages that a processor maps with one entry of its second level.
pub const HUGE_PAGE: usize = 2 << 20;

/// The seals without which a memory that came from elsewhere is refused.
const SIZE_SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// The size of the system's ordinary pages, in bytes: a power of two.
///
/// ```
/// assert!(raddle_sys::memory::page_size().is_power_of_two());
/// ```
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: takes a number; it returns a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("every system has a page size")
}

/// How a mapping reaches its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes go to the memory itself.
    Shared,
    /// Copy on write: a page shows the memory's bytes until this mapping writes to it, and is its own from then on.
    Private,
    /// Reads only; a write is a segmentation fault.
    ReadOnly,
}

/// An anonymous file of fixed size that other processes can map.
///
/// The descriptor is closed on exec. Pages cost memory once they have been written to.
#[derive(Debug)]
pub struct Memory {
    fd: OwnedFd,
    len: usize,
}

impl Memory {
    /// A memory of `len` bytes, all zero. `name` is for people who read `/proc/PID/fd`.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors left, or `len` is beyond what a file can have. Bytes that no machine has are not an error
    /// until they are written. `InvalidInput` for a name with a NUL, or a length of zero.
    pub fn new(name: &str, len: usize) -> io::Result<Self> {
        let name = CString::new(name)?;
        let size = libc::off_t::try_from(len).map_err(|_| Error::from(ErrorKind::FileTooLarge))?;
        if len == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        let create = |flags| {
            let flags = flags | libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            // SAFETY: `name` is a C string that outlives the call.
            check(unsafe { libc::memfd_create(name.as_ptr(), flags) })
        };
        // Systems can be set to refuse memory that could be made executable; older ones don't know the flag.
        let fd = create(libc::MFD_NOEXEC_SEAL).or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => create(0),
            _ => Err(error),
        })?;
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is open; the rest are numbers.
        check(unsafe { libc::ftruncate(fd.as_raw_fd(), size) })?;
        let memory = Self { fd, len };
        memory.seal(SIZE_SEALS)?;
        Ok(memory)
    }

    /// The memory behind a descriptor that came from elsewhere.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is not a memory, or one that can still be resized.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is open; the command takes nothing more.
        let seals = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) })?;
        if seals & SIZE_SEALS != SIZE_SEALS {
            return Err(Error::new(ErrorKind::InvalidInput, "this memory can be resized"));
        }
        // SAFETY: a stat is plain numbers, for which all zeros is a value.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and `stat` is writable.
        check(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut stat) })?;
        match usize::try_from(stat.st_size) {
            Ok(len) if len > 0 => Ok(Self { fd, len }),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// From now on, no mapping can be made that writes to the memory; those that exist still can. Nor can anybody
    /// [`punch`](Memory::punch) any more: where pages are given back, hand out a [`reader`](Memory::reader) instead.
    ///
    /// # Errors
    ///
    /// The system's: the seal is unknown (before Linux 5.1), or this descriptor is only for reading.
    pub fn seal_writing(&self) -> io::Result<()> {
        self.seal(libc::F_SEAL_FUTURE_WRITE)
    }

    fn seal(&self, seals: libc::c_int) -> io::Result<()> {
        // SAFETY: the descriptor is open; the rest are numbers.
        check(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
    }

    /// A further descriptor of the same memory, for a process that must not write to it: mappings made from it are
    /// [`Private`](Access::Private) or [`ReadOnly`](Access::ReadOnly), and it can neither seal nor punch.
    ///
    /// This keeps accidents away, not malice: whoever has it may open it anew through `/proc`, for writing.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotFound` where there is no `/proc`.
    pub fn reader(&self) -> io::Result<OwnedFd> {
        // A duplicate would keep the right to write; only opening the file again gives that up.
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        OpenOptions::new().read(true).open(path).map(OwnedFd::from)
    }

    /// The descriptor, to be sent to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Its size in bytes, never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is no empty memory")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Maps the whole memory; from [`HUGE_PAGE`] bytes on at an address that is a multiple of it, so that huge pages of the memory
    /// can be mapped as such. A private mapping reserves no memory for the copies that it may come to need.
    ///
    /// # Errors
    ///
    /// The system's: no address space, `PermissionDenied` for a shared mapping of what is sealed or only for reading.
    pub fn map(&self, access: Access) -> io::Result<Mapping> {
        self.map_part(0, self.len, access)
    }

    /// Maps `len` bytes from `offset` on, which is a multiple of the page size; otherwise as [`map`](Memory::map).
    ///
    /// # Errors
    ///
    /// Those of [`map`](Memory::map), and `InvalidInput` for a range beyond the end, an empty one, or one that does not begin at
    /// a page.
    pub fn map_part(&self, offset: usize, len: usize, access: Access) -> io::Result<Mapping> {
        check_range(offset, len, self.len)?;
        let (protection, flags) = match access {
            Access::Shared => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
            Access::Private => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_NORESERVE),
            Access::ReadOnly => (libc::PROT_READ, libc::MAP_SHARED),
        };
        Mapping::new(self.fd(), file_offset(offset), len, protection, flags)
    }

    /// Gives the pages of this range back to the system: they read as zeros then, in every mapping that has no copy of its own.
    /// Only whole pages are; what else is in the range is zeroed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a range beyond the end, or an empty one; `PermissionDenied` after
    /// [`seal_writing`](Memory::seal_writing).
    pub fn punch(&self, offset: usize, len: usize) -> io::Result<()> {
        check_range(offset, len, self.len)?;
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (offset, len) = (file_offset(offset), file_offset(len));
        // SAFETY: the descriptor is open; the rest are numbers.
        check(unsafe { libc::fallocate(self.fd.as_raw_fd(), mode, offset, len) }).map(drop)
    }
}

impl From<Memory> for OwnedFd {
    /// The descriptor.
    fn from(memory: Memory) -> Self {
        memory.fd
    }
}

fn check_range(offset: usize, len: usize, end: usize) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(last) if len > 0 && last <= end => Ok(()),
        _ => Err(Error::new(ErrorKind::InvalidInput, "the range is not within the memory")),
    }
}

/// An offset or a length within a memory, as the system takes it.
fn file_offset(offset: usize) -> libc::off_t {
    libc::off_t::try_from(offset).expect("the size of a memory is one, and this is not beyond it")
}
