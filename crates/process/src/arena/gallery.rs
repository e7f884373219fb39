//! The reader's side: blocks as private, writable memory.

use super::{ALIGNMENT, Block};
use crate::Corrupt;
use raddle_sync::primitives::{Arc, Mutex};
use raddle_sys::fork;
use raddle_sys::memory::{Access, Mapping, Memory, page_size};
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};

/// The blocks that another process writes, as this process sees them.
///
/// The whole memory is mapped once, privately, and views are parts of that: a view costs no system call. Where a view can't be such
/// a part it gets a mapping of its own: when another view shows the same pages already, whose changes it must not see
/// (a task that is tried again while something still holds the first try's arguments), in a child made by fork, and where the system
/// refuses to map the whole.
#[derive(Debug)]
pub struct Gallery {
    memory: Memory,
    whole: Option<Mapping>,
    /// The pages of `whole` that views show: where each begins and ends.
    shown: Mutex<BTreeMap<usize, usize>>,
    epoch: u32,
}

impl Gallery {
    /// The reader's side of the memory that an [`Arena`](super::Arena) has made, or will write to.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no memory of fixed size.
    pub fn attach(memory: OwnedFd) -> io::Result<Arc<Self>> {
        let memory = Memory::from_fd(memory)?;
        // Refused where the system reserves memory for all that might be written, or a process's address space is limited.
        let whole = memory.map(Access::Private).ok();
        fork::watch();
        Ok(Arc::new(Self { memory, whole, shown: Mutex::default(), epoch: fork::epoch() }))
    }

    /// How many bytes the memory has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows a block. `keep` is dropped when the view is, after the last trace of it: the block's loan, usually.
    ///
    /// In a child made by fork, views show what their pages hold in the parent: it may write other blocks there, once its own views
    /// are gone. What the child has written itself stays.
    ///
    /// # Errors
    ///
    /// When the block is none that an arena would make, or the system can't map it.
    pub fn view(self: &Arc<Self>, block: Block, keep: Box<dyn Send + Sync>) -> Result<View, Corrupt> {
        let (pages, len) = self.judge(block)?;
        let own = match &self.whole {
            Some(_) if self.claim(&pages) => None,
            _ => {
                let own = self.memory.map_part(pages.start, pages.len(), Access::Private);
                Some(Box::new(Own::Mapped(own.map_err(|_| Corrupt("a block can't be mapped"))?)))
            }
        };
        Ok(View { gallery: Arc::clone(self), own, start: pages.start, len, keep: Some(keep) })
    }

    /// The block's pages and its length, if it can be a block: the numbers are another process's.
    fn judge(&self, block: Block) -> Result<(Range<usize>, usize), Corrupt> {
        let page = page_size();
        let number = |number| usize::try_from(number).map_err(|_| Corrupt("a block beyond all memory"));
        let (start, len) = (number(block.offset)?, number(block.len)?);
        if !start.is_multiple_of(page) {
            return Err(Corrupt("a block that does not begin at a page"));
        }
        let end = len.max(1).checked_next_multiple_of(page).and_then(|pages| start.checked_add(pages));
        match end {
            Some(end) if end <= self.memory.len() => Ok((start..end, len)),
            _ => Err(Corrupt("a block that does not end within its arena")),
        }
    }

    /// Notes that a view shows these pages of the whole mapping, unless one does already.
    fn claim(&self, pages: &Range<usize>) -> bool {
        if self.is_inherited() {
            return false;
        }
        let mut shown = self.shown.lock();
        let is_free = shown.range(..pages.end).next_back().is_none_or(|(_, end)| *end <= pages.start);
        if is_free {
            shown.insert(pages.start, pages.end);
        }
        is_free
    }

    /// Whether this process is a child of the one that attached it. Then the lock may be held for ever.
    fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }
}

/// One block, copied where it is written to: this process may do with it as it likes, and nobody else notices.
///
/// A writer that keeps to the rules changes nothing while the view lives. One that does not can change the bytes at any time, so no
/// slice is made of them: read them through a pointer, or [copy](View::copy) them.
#[must_use = "dropping it gives the block back"]
pub struct View {
    gallery: Arc<Gallery>,
    /// Where it is, when it is no part of the gallery's mapping.
    own: Option<Box<Own>>,
    /// Where it begins in the memory.
    start: usize,
    len: usize,
    /// Some until it is dropped.
    keep: Option<Box<dyn Send + Sync>>,
}

impl View {
    /// Where it begins: aligned to a page, readable and writable for [`len`](View::len) bytes while the view lives.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        match (self.own.as_deref(), &self.gallery.whole) {
            (Some(Own::Mapped(own)), _) => own.as_ptr(),
            (Some(Own::Copied(own)), _) => own.start.as_ptr().cast(),
            (None, Some(whole)) => whole.as_ptr().wrapping_add(self.start),
            (None, None) => unreachable!("without the whole, every view has its own mapping"),
        }
    }

    /// The same bytes in memory of this process's own, so that the block goes back at once: for one who may keep them when there is
    /// little left to lend. Where there is no such memory, the view stays as it is.
    pub fn copied(self) -> Self {
        let Some(copied) = Copied::with_room(self.len) else { return self };
        // SAFETY: the view's pages are mapped and can't be taken away, as the memory is sealed; the copy has room for as many bytes, and is
        // nobody else's yet. Bytes that somebody changes meanwhile are bytes still.
        unsafe { copied.start.as_ptr().cast::<u8>().copy_from_nonoverlapping(self.as_ptr(), self.len) };
        let gallery = Arc::clone(&self.gallery);
        let own = Some(Box::new(Own::Copied(copied)));
        Self { gallery, own, start: 0, len: self.len, keep: None }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it. Valid as [`as_ptr`](View::as_ptr) is.
    ///
    /// # Errors
    ///
    /// When it is not within the block: the numbers are another process's.
    pub fn part(&self, offset: u64, len: u64) -> Result<*mut [u8], Corrupt> {
        let outside = Corrupt("a part that is not within its block");
        let number = |number| usize::try_from(number).map_err(|_| outside);
        let (offset, len) = (number(offset)?, number(len)?);
        match offset.checked_add(len) {
            Some(end) if end <= self.len => {
                Ok(ptr::slice_from_raw_parts_mut(self.as_ptr().wrapping_add(offset), len))
            }
            _ => Err(outside),
        }
    }

    /// A copy of a part of it.
    ///
    /// # Errors
    ///
    /// When it is not within the block.
    pub fn copy(&self, offset: u64, len: u64) -> Result<Vec<u8>, Corrupt> {
        let part = self.part(offset, len)?;
        let mut copy = Vec::<u8>::new();
        copy.try_reserve_exact(part.len())
            .map_err(|_| Corrupt("a part that is larger than what memory is left"))?;
        // SAFETY: the part is within the block (`part`), whose pages are mapped and can't be taken away, as the memory is sealed; the
        // copy has room for it. Bytes that somebody changes meanwhile are bytes still.
        unsafe {
            copy.as_mut_ptr().copy_from_nonoverlapping(part.cast::<u8>(), part.len());
            copy.set_len(part.len());
        }
        Ok(copy)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let keep = self.keep.take();
        if self.gallery.is_inherited() {
            // The block is the parent's, which looks at it still.
            std::mem::forget(keep);
            return;
        }
        if self.own.take().is_none()
            && let Some(whole) = &self.gallery.whole
        {
            // To the end of the last page. The next block that stands here must not show what this view's owner wrote.
            if whole.discard_copies(self.start, self.len.max(1)).is_err() {
                // Locked in memory, for example. Then nothing else may ever stand here.
                std::mem::forget(keep);
                return;
            }
            self.gallery.shown.lock().remove(&self.start);
        }
        drop(keep);
    }
}

/// Memory that is one view's alone.
enum Own {
    Mapped(Mapping),
    /// The view has left its block.
    Copied(Copied),
}

/// Aligned as the parts of a block are.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; ALIGNMENT],
}

/// Memory with room for so many lines; what they hold is its owner's affair.
struct Copied {
    start: NonNull<Line>,
    room: usize,
}

// SAFETY: it owns its memory, as a `Vec` does, and gives out nothing but a pointer.
unsafe impl Send for Copied {}
// SAFETY: as above.
unsafe impl Sync for Copied {}

impl Copied {
    fn with_room(len: usize) -> Option<Self> {
        let mut lines = Vec::<Line>::new();
        lines.try_reserve_exact(len.div_ceil(ALIGNMENT).max(1)).ok()?;
        let mut lines = ManuallyDrop::new(lines);
        Some(Self { start: NonNull::new(lines.as_mut_ptr())?, room: lines.capacity() })
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // SAFETY: these are the parts of the `Vec` that it was made of, which was forgotten; no line of it needs to be dropped.
        drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), 0, self.room) });
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (offset, len) = (&self.start, &self.len);
        formatter.debug_struct("View").field("offset", offset).field("len", len).finish_non_exhaustive()
    }
}
