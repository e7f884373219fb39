//! The parent's arena of arguments, shared by everybody who submits.
//!
//! A block belongs to the task whose arguments it holds and to every worker that it is lent to; the last of them gives it
//! back. Who finds the arena full waits until somebody has.

use crate::arena::{ALIGNMENT, Arena, Block};
use crate::parcel;
use raddle_sync::{Moment, WaitWord, Wake};
use raddle_sys::fork;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// An [`Arena`] with a queue of those who wait for room.
#[derive(Debug)]
pub struct Store {
    arena: Arena,
    /// Rises when a block has been given back.
    room: WaitWord,
    limit: usize,
    epoch: u32,
}

/// Why nothing was put into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no room now: [`Store::wait_for_room`], handing the number back.
    Full(u32),
    /// It is longer than the whole arena, of so many bytes.
    TooLong(usize),
}

/// Bytes in the store; given back when the last reference goes.
#[derive(Debug)]
pub struct Stored {
    store: Arc<Store>,
    block: Block,
}

impl Store {
    /// An empty store for `limit` bytes on their way. What workers keep of them may come on top: half as much again.
    ///
    /// # Errors
    ///
    /// When the system refuses the memory.
    pub fn new(limit: usize) -> io::Result<Arc<Self>> {
        let arena = Arena::with_ceiling(limit)?;
        let limit = arena.ceiling();
        Ok(Arc::new(Self { arena, room: WaitWord::new(0), limit, epoch: fork::epoch() }))
    }

    /// Another handle to the memory, for a worker.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.arena.reader()
    }

    /// Copies the parts into one block, laid out as a [`parcel`]. The copy is made without a lock.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn put(self: &Arc<Self>, parts: &[&[u8]]) -> Result<Arc<Stored>, Refused> {
        let laid_out = parcel::layout(parts.iter().map(|part| part.len()));
        let Some((table, len)) = laid_out.filter(|(_, len)| *len <= self.limit) else {
            return Err(Refused::TooLong(self.limit));
        };
        let seen = self.room.load();
        let block = self.arena.allocate_below_ceiling(len).ok_or(Refused::Full(seen))?;
        let stored = Arc::new(Stored { store: Arc::clone(self), block });
        let mut writer = self.arena.writer(block);
        writer.put(&table);
        for part in parts {
            writer.align(ALIGNMENT);
            writer.put(part);
        }
        Ok(stored)
    }

    /// Sleeps until there may be room, after [`Refused::Full`] told `seen`.
    pub fn wait_for_room(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        self.room.wait(seen, deadline)
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.arena.used()
    }
}

impl Stored {
    /// Where it stands.
    #[must_use]
    pub const fn block(&self) -> Block {
        self.block
    }

    /// Whether so much of the arena is in use that nobody should keep a part of it for long.
    pub(crate) fn is_crowded(&self) -> bool {
        Arena::is_crowded(self.store.arena.limit(), self.store.used())
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        // A forked child has inherited the reference, not the block.
        if self.store.epoch == fork::epoch() {
            self.store.arena.free(self.block);
            self.store.room.fetch_add(1);
            self.store.room.wake_all();
        }
    }
}
