//! The writer's side: the memory with its allocator, and how a block is filled.

use super::space::{Place, Space, Span};
use super::{ALIGNMENT, Block};
use raddle_sync::primitives::{AtomicBool, AtomicUsize, Mutex, Ordering};
use raddle_sys::fork;
use raddle_sys::memory::{Access, Advice, HUGE_PAGE, Mapping, Memory, page_size};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;

/// How much free memory stays warm, unless [`Arena::keep_warm`] says otherwise.
const WARM: usize = 256 << 20;
/// How much is gathered into huge pages at a time: what a processor's last cache holds, so that the copy finds there what the system
/// has just zeroed, and enough to make up for the call.
const STEP: usize = 4 * HUGE_PAGE;
/// From so many bytes on that are still to be gathered, two threads fill a block: the system zeroes each page first, which takes longer
/// than the copy, and so much work makes up for starting a thread.
const COMPANY: usize = 2 * STEP;

/// Memory in which this process writes blocks for others to view.
///
/// Every method may be called from several threads at once; none holds a lock while it copies, or while pages are given back.
///
/// In a child made by fork it is the parent's still: there, nothing is allocated, and freeing does nothing.
#[derive(Debug)]
pub struct Arena {
    memory: Memory,
    mapping: Mapping,
    space: Mutex<Space>,
    keep: AtomicUsize,
    epoch: u32,
}

impl Arena {
    /// An arena for at most `limit` bytes of blocks, rounded up to whole huge pages (2 MiB). It costs address space, and memory once
    /// it is written to.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors, no address space, a limit that no file can have.
    pub fn new(limit: usize) -> io::Result<Self> {
        Self::over(Self::memory("raddle-arena", limit)?)
    }

    /// Memory for an arena that another process is to [`attach`](Arena::attach), for at most `limit` bytes, rounded up likewise.
    ///
    /// # Errors
    ///
    /// See [`new`](Arena::new).
    pub(crate) fn memory(name: &str, limit: usize) -> io::Result<Memory> {
        let len = limit.max(1).checked_next_multiple_of(HUGE_PAGE).ok_or(io::ErrorKind::FileTooLarge)?;
        Memory::new(name, len)
    }

    /// An arena in memory that another process has made, which must be new: what is written in it already is lost.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no memory of fixed size, or one of less than a huge page; `PermissionDenied` for a descriptor that
    /// does not let this process write.
    pub fn attach(memory: OwnedFd) -> io::Result<Self> {
        Self::over(Memory::from_fd(memory)?)
    }

    fn over(memory: Memory) -> io::Result<Self> {
        let len = memory.len() / HUGE_PAGE * HUGE_PAGE;
        if len == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this memory is smaller than a huge page",
            ));
        }
        Ok(Self {
            mapping: memory.map(Access::Shared)?,
            memory,
            space: Mutex::new(Space::new(len, page_size())),
            keep: AtomicUsize::new(WARM),
            epoch: fork::epoch(),
        })
    }

    /// An arena whose blocks are to take `ceiling` bytes, rounded up likewise: see [`allocate_below_ceiling`].
    ///
    /// # Errors
    ///
    /// See [`new`](Arena::new).
    ///
    /// [`allocate_below_ceiling`]: Arena::allocate_below_ceiling
    pub(crate) fn with_ceiling(ceiling: usize) -> io::Result<Self> {
        Self::over(Self::memory_with_ceiling("raddle-arena", ceiling)?)
    }

    /// Memory for an arena like that, for another process to attach.
    ///
    /// # Errors
    ///
    /// See [`new`](Arena::new).
    pub(crate) fn memory_with_ceiling(name: &str, ceiling: usize) -> io::Result<Memory> {
        let rounded = ceiling.max(1).checked_next_multiple_of(HUGE_PAGE);
        let twice = rounded.and_then(|len| len.checked_mul(2)).ok_or(io::ErrorKind::FileTooLarge)?;
        Self::memory(name, twice)
    }

    /// The ceiling of an arena that was made with one: half of its memory.
    #[must_use]
    pub fn ceiling(&self) -> usize {
        self.limit() / 2
    }

    /// Whether blocks of so many bytes take so much that nobody should keep another one for long: what is kept must leave room for
    /// whatever comes. Half of the ceiling.
    #[must_use]
    pub const fn is_crowded(memory: usize, used: usize) -> bool {
        used > memory / 4
    }

    /// A block of `len` bytes, if it is not longer than the ceiling and stays below it together with the others; or if what these
    /// take is no more than may be kept for ever. So whoever waits for room below the ceiling gets it when all that is on its way has
    /// arrived, whatever is kept; and as there is twice the memory, it can be had in one piece.
    #[must_use]
    pub fn allocate_below_ceiling(&self, len: usize) -> Option<Block> {
        if self.is_inherited() || len > self.ceiling() {
            return None;
        }
        let mut space = self.space.lock();
        let used = space.used();
        if used + len > self.ceiling() && Self::is_crowded(self.limit(), used) {
            return None;
        }
        space.allocate(len).map(|place| block(place, len))
    }

    /// The memory, with the right to write to it: for [`attach`](Arena::attach) in another process, instead of here.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.memory.fd()
    }

    /// The memory, for readers: the descriptor does not let them write, where there is a `/proc`.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors left.
    pub fn reader(&self) -> io::Result<OwnedFd> {
        // Readers don't want to write; that they can't is a second line of defence.
        self.memory.reader().or_else(|_| self.memory.fd().try_clone_to_owned())
    }

    /// The bytes that blocks can take.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.memory.len() / HUGE_PAGE * HUGE_PAGE
    }

    /// The bytes that the blocks take, the rests of their last pages included; those of a large block are huge ones.
    #[must_use]
    pub fn used(&self) -> usize {
        if self.is_inherited() { 0 } else { self.space.lock().used() }
    }

    /// The bytes of free memory that are kept for the next blocks.
    #[must_use]
    pub fn warm(&self) -> usize {
        if self.is_inherited() { 0 } else { self.space.lock().warm() }
    }

    /// How much of the memory that is freed from now on is kept for the next blocks.
    pub fn keep_warm(&self, bytes: usize) {
        self.keep.store(bytes, Ordering::Relaxed);
    }

    /// A block of `len` bytes, whatever they hold. None: there is no room for it now.
    #[must_use]
    pub fn allocate(&self, len: usize) -> Option<Block> {
        if self.is_inherited() {
            return None;
        }
        self.space.lock().allocate(len).map(|place| block(place, len))
    }

    /// Takes a block back that nobody looks at any more; if it is being written, once that is over. Its pages are kept for the next
    /// ones, as far as [`keep_warm`](Arena::keep_warm) says.
    ///
    /// # Panics
    ///
    /// When there is no such block: it was freed already, and may be somebody else's.
    pub fn free(&self, block: Block) {
        if self.is_inherited() {
            return;
        }
        let freed = self.space.lock().free(as_usize(block.offset));
        assert!(freed, "{block:?} is not allocated");
        self.cool_down_to(self.keep.load(Ordering::Relaxed));
    }

    /// Gives all memory that is free back to the system, as when there has been nothing to do for a while. Returns how many bytes.
    pub fn trim(&self) -> usize {
        if self.is_inherited() { 0 } else { self.cool_down_to(0) }
    }

    fn cool_down_to(&self, keep: usize) -> usize {
        let spans = {
            let mut space = self.space.lock();
            if space.warm() <= keep {
                return 0;
            }
            space.surplus(keep)
        };
        // Nobody else has the spans meanwhile, and giving many pages back takes long.
        for span in &spans {
            // It can't be refused, but by a system that knows no holes in files: then the pages stay.
            let _ = self.memory.punch(span.start, span.len);
        }
        let mut space = self.space.lock();
        for span in &spans {
            space.cool(*span);
        }
        spans.iter().map(|span| span.len).sum()
    }

    /// Fills a block.
    ///
    /// # Panics
    ///
    /// When there is no such block, when somebody is writing it already, or in a child made by fork.
    #[must_use]
    pub fn writer(&self, block: Block) -> BlockWriter<'_> {
        assert!(!self.is_inherited(), "an arena is written by the process that made it");
        let place = self.space.lock().begin(as_usize(block.offset));
        let Place { span, gather } = place.expect("the block is allocated, and nobody is writing it");
        let len = as_usize(block.len);
        assert!(len <= span.len, "{block:?} is not as it was allocated");
        BlockWriter { arena: self, start: span.start, len, at: 0, gather }
    }

    /// Whether this process is a child of the one that made the arena. Then the lock may be held for ever.
    fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }
}

/// Fills one block from its start on, until it is dropped.
#[derive(Debug)]
pub struct BlockWriter<'a> {
    arena: &'a Arena,
    start: usize,
    len: usize,
    at: usize,
    /// What is still to be gathered into huge pages, before it is written.
    gather: Option<Span>,
}

impl BlockWriter<'_> {
    /// Goes on to the next multiple of `alignment`, counted from the start of the block; what is skipped may hold anything.
    ///
    /// # Panics
    ///
    /// When that lies beyond the end.
    pub fn align(&mut self, alignment: usize) {
        let at = self.at.next_multiple_of(alignment);
        assert!(at <= self.len, "the block is too small for its parts");
        self.at = at;
    }

    /// Appends these bytes. Returns where in the block they begin.
    ///
    /// # Panics
    ///
    /// When they don't fit.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        // SAFETY: a slice can be read.
        unsafe { self.put_raw(bytes.as_ptr(), bytes.len()) }
    }

    /// As [`put`](BlockWriter::put), for bytes that other code may write to meanwhile, of which no slice can be made.
    ///
    /// # Safety
    ///
    /// `len` bytes from `bytes` on can be read, and are not in the arena. Should they change meanwhile, what arrives is
    /// some mixture.
    ///
    /// # Panics
    ///
    /// When they don't fit.
    pub unsafe fn put_raw(&mut self, bytes: *const u8, len: usize) -> u64 {
        assert!(len <= self.len - self.at, "the block is too small for its parts");
        let begin = self.at;
        let mut copied = 0;
        while copied < len {
            let gathering = self.gather.filter(|gather| gather.start == self.start + self.at);
            if let Some(gather) = gathering
                && gather.len.min(len - copied) >= COMPANY
            {
                // SAFETY: the caller vouches for the source.
                copied += unsafe { self.put_in_company(bytes.add(copied), len - copied, gather) };
                continue;
            }
            let step = (len - copied).min(self.gathered() - self.at);
            // SAFETY: the caller vouches for the source. The target is within the block (asserted above), which is within the
            // mapping, and nobody else writes there: blocks don't overlap, each has one writer, and readers have private mappings.
            unsafe {
                let target = self.arena.mapping.as_ptr().add(self.start + self.at);
                target.copy_from_nonoverlapping(bytes.add(copied), step);
            }
            copied += step;
            self.at += step;
        }
        as_u64(begin)
    }

    /// Copies up to `len` bytes to where the pages to be gathered begin, which is where the writer stands, with the help of another thread.
    /// Returns how many.
    ///
    /// # Safety
    ///
    /// As for [`put_raw`](BlockWriter::put_raw), whose assertion holds.
    unsafe fn put_in_company(&mut self, bytes: *const u8, len: usize, gather: Span) -> usize {
        let len = len.min(gather.len);
        let steps = len.div_ceil(STEP);
        let (next, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (this, source) = (&*self, Source(bytes));
        let work = || {
            loop {
                let step = next.fetch_add(1, Ordering::Relaxed);
                if step >= steps {
                    return;
                }
                let at = step * STEP;
                let pages = Span { start: gather.start + at, len: STEP.min(gather.len - at) };
                if !refused.load(Ordering::Relaxed) && !this.make_huge(pages) {
                    refused.store(true, Ordering::Relaxed);
                }
                // SAFETY: as in `put_raw`; each step is taken by one of the threads.
                unsafe {
                    let target = this.arena.mapping.as_ptr().add(this.start + this.at + at);
                    target.copy_from_nonoverlapping(source.from(at), STEP.min(len - at));
                }
            }
        };
        thread::scope(|scope| {
            // Where there is no other thread to be had, this one does it alone.
            let _ = thread::Builder::new().name("raddle-copy".into()).spawn_scoped(scope, work);
            work();
        });
        let done = gather.len.min(steps * STEP);
        let rest = Span { start: gather.start + done, len: gather.len - done };
        self.gather = (!refused.load(Ordering::Relaxed) && rest.len > 0).then_some(rest);
        self.at += len;
        len
    }

    /// How many bytes are left to fill.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.len - self.at
    }

    /// Up to where in the block one can write now, which is beyond `at`. Gathers the next pages if they are to be.
    fn gathered(&mut self) -> usize {
        while let Some(gather) = self.gather {
            let reached = gather.start - self.start;
            if self.at < reached {
                return reached;
            }
            let end = gather.end().min(gather.start + STEP);
            let step = Span { start: gather.start, len: end - gather.start };
            let rest = Span { start: end, len: gather.end() - end };
            self.gather = (self.make_huge(step) && rest.len > 0).then_some(rest);
        }
        self.len
    }

    /// Gathers whole huge pages, if the system will. All of them begin in the block.
    fn make_huge(&self, pages: Span) -> bool {
        for start in (pages.start..pages.end()).step_by(HUGE_PAGE) {
            // A huge page of which nothing is there is not gathered; one byte is enough.
            // SAFETY: as in `put_raw`, the byte is in the block, and not filled yet.
            unsafe { self.arena.mapping.as_ptr().add(start).write_volatile(0) };
        }
        self.arena.mapping.advise(pages.start, pages.len, Advice::Collapse).is_ok()
    }
}

/// What is copied by two threads.
#[derive(Clone, Copy)]
struct Source(*const u8);

// SAFETY: it is only read, and for as long as the call lasts to which the caller has lent it.
unsafe impl Send for Source {}
// SAFETY: likewise.
unsafe impl Sync for Source {}

impl Source {
    /// # Safety
    ///
    /// There are more than `at` bytes.
    unsafe fn from(&self, at: usize) -> *const u8 {
        // SAFETY: the caller says so.
        unsafe { self.0.add(at) }
    }
}

impl Drop for BlockWriter<'_> {
    fn drop(&mut self) {
        if !self.arena.is_inherited() {
            self.arena.space.lock().end(self.start);
        }
    }
}

/// How long a block must be to hold parts of these lengths, each [aligned](ALIGNMENT). None: longer than any memory.
///
/// ```
/// assert_eq!(raddle_process::arena::length_of([100, 0, 1]), Some(129));
/// ```
#[must_use]
pub fn length_of(parts: impl IntoIterator<Item = usize>) -> Option<usize> {
    parts.into_iter().try_fold(0_usize, |at, len| at.checked_next_multiple_of(ALIGNMENT)?.checked_add(len))
}

fn block(place: Place, len: usize) -> Block {
    Block { offset: as_u64(place.span.start), len: as_u64(len) }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("no machine has more than 64 bits")
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("this process made the block")
}
