//! Where small primitives stand: a memory is cut into lines of 64 bytes, so that many primitives need one descriptor.
//!
//! A process hands out the lines of the slabs that it made itself, one after the other, and never a line twice: after a fork,
//! nobody can tell who else still uses one. A slab goes when the last of its primitives in this process has gone, and its
//! memory when that is so in all processes. Pages that no primitive was put in cost nothing.
//!
//! A primitive that came from another process is named by the slab's descriptor and an offset. However many of them arrive, the
//! slab is mapped once, as its inode tells that it is the same.
#![allow(unsafe_code, reason = "shared memory seen as atomics; each block carries its argument")]

use super::identity;
use raddle_sync::{ForkCell, Mutex};
use raddle_sys::memory::{Access, Mapping, Memory};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::{Arc, LazyLock, Weak};

/// What a primitive is aligned to, and the least that it takes: a line of the processor's cache.
pub const LINE: usize = 64;

/// So many lines share a descriptor.
const SLAB_LEN: usize = 1 << 16;

/// What stands in shared memory: a structure of atomics, and of nothing else.
///
/// # Safety
///
/// Every pattern of bits is a value of the type, all of its parts can be changed through shared references, and it needs no more
/// alignment than [`LINE`].
pub unsafe trait Cells: Sync {}

/// A memory that primitives stand in.
#[derive(Debug)]
pub struct Slab {
    memory: Memory,
    mapping: Mapping,
    key: (u64, u64),
}

impl Slab {
    fn new() -> io::Result<Arc<Self>> {
        Self::of(Memory::new("raddle-primitives", SLAB_LEN)?)
    }

    fn of(memory: Memory) -> io::Result<Arc<Self>> {
        let key = key(memory.fd())?;
        let mapping = memory.map(Access::Shared)?;
        Ok(Arc::new(Self { memory, mapping, key }))
    }

    /// Its descriptor, to be sent to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.memory.fd()
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let mut slabs = ours().slabs.lock();
        // Another thread may have mapped it anew by now.
        if slabs.get(&self.key).is_some_and(|slab| slab.strong_count() == 0) {
            slabs.remove(&self.key);
        }
    }
}

/// What tells a memory from all others that exist.
fn key(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let metadata = File::from(fd.try_clone_to_owned()?).metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What this process knows of slabs; a forked child knows of none.
#[derive(Default)]
struct Ours {
    /// The one that new primitives are put in, and where its free lines begin.
    current: Mutex<Option<(Arc<Slab>, usize)>>,
    slabs: Mutex<HashMap<(u64, u64), Weak<Slab>>>,
}

static OURS: LazyLock<ForkCell<Ours>> = LazyLock::new(|| ForkCell::new(Ours::default()));

fn ours() -> &'static Ours {
    OURS.get(Ours::default)
}

/// Makes what a fork must not catch half made.
pub fn prepare() {
    LazyLock::force(&OURS);
    identity::prepare();
}

/// A primitive's place in a slab, and a share in the slab.
#[derive(Debug)]
pub struct Place<T> {
    slab: Arc<Slab>,
    offset: usize,
    cells: NonNull<T>,
    what: PhantomData<T>,
}

// SAFETY: it is a share in a mapping, and a shared reference into it, whose target is Sync and stays where it is.
unsafe impl<T: Cells> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Cells> Sync for Place<T> {}

impl<T: Cells> Place<T> {
    /// A new place, all zero.
    ///
    /// # Errors
    ///
    /// The system's, when a new memory is needed and can't be had.
    pub fn new() -> io::Result<Self> {
        let len = size_of::<T>().next_multiple_of(LINE);
        let mut current = ours().current.lock();
        let (slab, offset) = match &mut *current {
            Some((slab, free)) if *free + len <= SLAB_LEN => {
                let offset = *free;
                *free += len;
                (Arc::clone(slab), offset)
            }
            _ => {
                let slab = Slab::new()?;
                ours().slabs.lock().insert(slab.key, Arc::downgrade(&slab));
                // The old one is dropped outside the lock, as that takes the other one.
                let old = current.replace((Arc::clone(&slab), len));
                drop(current);
                drop(old);
                (slab, 0)
            }
        };
        Ok(Self::at(slab, offset))
    }

    /// The place that another process has named. The descriptor is the slab's from now on, or closed; if it is the slab's already,
    /// as a fresh interpreter finds the same one behind several names, it stays so.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when nothing of the kind can stand there; else the system's.
    pub fn attach(fd: OwnedFd, offset: usize) -> io::Result<Self> {
        let key = key(fd.as_fd())?;
        let known = ours().slabs.lock().get(&key).and_then(Weak::upgrade);
        let slab = if let Some(slab) = known {
            if slab.fd().as_raw_fd() == fd.as_raw_fd() {
                let _ = fd.into_raw_fd();
            }
            slab
        } else {
            let slab = Slab::of(Memory::from_fd(fd)?)?;
            ours().slabs.lock().insert(key, Arc::downgrade(&slab));
            slab
        };
        let end = offset.checked_add(size_of::<T>());
        if !offset.is_multiple_of(LINE) || end.is_none_or(|end| end > slab.mapping.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self::at(slab, offset))
    }

    fn at(slab: Arc<Slab>, offset: usize) -> Self {
        // SAFETY: the callers have seen to it that this is within the mapping.
        let cells = unsafe { NonNull::new_unchecked(slab.mapping.as_ptr().add(offset)) }.cast();
        Self { slab, offset, cells, what: PhantomData }
    }

    /// The descriptor and the offset by which another process finds it.
    #[must_use]
    pub fn name(&self) -> (BorrowedFd<'_>, usize) {
        (self.slab.fd(), self.offset)
    }

    /// What stands there.
    #[inline]
    #[must_use]
    pub fn cells(&self) -> &T {
        // SAFETY: within a mapping that lives as long as `self` does, aligned, as mappings begin at pages; and whatever bits
        // stand there, and whoever changes them meanwhile, it is a T.
        unsafe { self.cells.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[repr(C)]
    struct One {
        number: AtomicU32,
    }

    // SAFETY: a structure of one atomic.
    unsafe impl Cells for One {}

    #[test]
    fn many_places_share_a_memory_and_none_is_the_same() {
        let places: Vec<_> = (0..100).map(|_| Place::<One>::new().expect("memory is left")).collect();
        for (place, number) in places.iter().zip(1..) {
            assert_eq!(place.cells().number.swap(number, Ordering::Relaxed), 0);
        }
        let memories: std::collections::HashSet<_> = places.iter().map(|place| place.slab.key).collect();
        assert!(memories.len() <= 2);
    }

    #[test]
    fn a_name_leads_to_the_same_place() {
        let place = Place::<One>::new().expect("memory is left");
        let (fd, offset) = place.name();
        let fd = fd.try_clone_to_owned().expect("a descriptor is left");
        let again = Place::<One>::attach(fd, offset).expect("it is there");
        place.cells().number.store(7, Ordering::Relaxed);
        assert_eq!(again.cells().number.load(Ordering::Relaxed), 7);
        assert!(Arc::ptr_eq(&place.slab, &again.slab));
    }

    #[test]
    fn what_cannot_be_a_place_is_refused() {
        let place = Place::<One>::new().expect("memory is left");
        for offset in [1, SLAB_LEN, usize::MAX - 63] {
            let fd = place.name().0.try_clone_to_owned().expect("a descriptor is left");
            assert!(Place::<One>::attach(fd, offset).is_err());
        }
    }
}
