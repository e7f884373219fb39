//! Large data between processes: blocks of memory that one process writes and others view without copying.
//!
//! ```text
//!   writer's process                       memory (one memfd, sparse)              reader's process
//!   Arena ── shared mapping ───────────▶ [block][block]…      …[  block  ] ◀──── private mapping ── Gallery
//!     Space: which bytes are whose         small ones ▲          ▲ large ones           View: one block, writable,
//!     BlockWriter: fills one block         from below            from above              copied where it is written to
//! ```
//!
//! The [`Arena`] is the writer's: it alone decides what stands where, and what it knows of that is in its own memory, out of
//! the readers' reach. A [`Block`] goes to a reader as two numbers, in a message. The reader's [`Gallery`] has the same memory mapped
//! privately, *copy on write*: a [`View`] may be written to, as its owner may do with what he was sent, and nobody
//! else ever sees it. When the view is dropped, what it wrote is discarded, so that its successor in the same pages shows what
//! the writer has put there; then the loan that was kept for it goes back.
//!
//! # Why it is quick
//!
//! - **Pages are used again.** To touch small pages for the first time takes eight times as long as to copy what they hold. What is
//!   freed stays warm, up to a bound, and is handed out again, the most recently freed first (`space`).
//! - **Large blocks stand in huge pages.** Fresh ones are gathered into them just before they are written (`writer`): that takes a
//!   quarter of the time of the copy. Readers, who map them as such, hardly wait for their pages at all.
//! - **Nothing is discarded that was not written.** A view asks the system first (`Mapping::discard_copies` of `raddle_sys`).
//!
//! `cargo bench -p raddle-process --bench arena` measures each step beside a copy between warm pages. Where this was written, that takes
//! 8 ms for 100 MB; writing a block that is used again takes as long, and reading it as long as reading warm memory.
//!
//! # No page belongs to two blocks
//!
//! Copies are made and discarded by pages. So blocks begin at a page, and what is left of a block's last page is nobody's.
//!
//! # Example
//!
//! ```
//! use raddle_process::arena::{Arena, Gallery};
//!
//! let arena = Arena::new(1 << 30)?;
//! let block = arena.allocate(100).expect("all of it is free");
//! let mut writer = arena.writer(block);
//! writer.put(b"head");
//! writer.align(64);
//! let at = writer.put(b"array");
//! drop(writer);
//!
//! // In another process, which was sent the descriptor, and then the block:
//! let gallery = Gallery::attach(arena.reader()?)?;
//! let view = gallery.view(block, Box::new(()))?;
//! assert_eq!((at, view.copy(at, 5)?), (64, b"array".to_vec()));
//!
//! // Once the view is gone, and the writer was told so:
//! drop(view);
//! arena.free(block);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![allow(unsafe_code, reason = "the memory is shared with other processes; each block carries its argument")]

mod gallery;
mod space;
#[cfg(all(test, not(loom)))]
mod tests;
mod writer;

pub use gallery::{Gallery, View};
pub use writer::{Arena, BlockWriter, length_of};

/// What the parts of a block are aligned to, in bytes: a line of the processor's cache, and what vector instructions like best.
pub const ALIGNMENT: usize = 64;

/// A part of an arena's memory, as it is told to a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where it begins, in bytes from the start of the memory: a multiple of the page size.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
}
