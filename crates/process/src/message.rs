//! The words that parent and worker speak, and how the bodies of their messages are laid out.
//!
//! | direction | kind | body |
//! |---|---|---|
//! | to the worker | [`DEFINE`] | number of the function, its pickle |
//! | | [`FORGET`] | number of the function |
//! | | [`CALL`] | number of the function, the context and the arguments, each a pickle |
//! | | [`BATCH`], [`SPREAD_BATCH`] | the same; for the arguments a list, of the one argument of each call, or of its tuple of them |
//! | | [`NEWS`] | whatever the two ends of the client agree upon |
//! | | [`LEAVE`] | |
//! | to the parent | [`READY`] | |
//! | | [`BROKEN`] | the error of the initializer, a pickle |
//! | | [`LEAVING`] | |
//! | | [`BLOCKED`], [`RESUMED`] | |
//! | | [`RESULT`], [`ERROR`] | when the call began and ended, then a pickle |
//! | | from [`NOTE`] on | whatever the two ends of the client agree upon |
//!
//! Numbers are eight bytes, little end first. What does not fit into a message, and buffers that a pickle has out of band, go
//! into a block of the arena (see [`parcel`](crate::parcel)); the flag [`PARCEL`] says that the block's place stands first.

use crate::arena::Block;
use crate::corrupt::Corrupt;

/// Defines a function in the worker.
pub const DEFINE: u16 = 1;
/// The worker may forget a function.
pub const FORGET: u16 = 2;
/// One call.
pub const CALL: u16 = 3;
/// Several calls of one function.
pub const BATCH: u16 = 4;
/// Several calls of one function, with several arguments each.
pub const SPREAD_BATCH: u16 = 6;
/// The worker ends when it has done what it was handed.
pub const LEAVE: u16 = 5;
/// Something that holds for all tasks that come after it.
pub const NEWS: u16 = 7;

/// The worker is ready for calls.
pub const READY: u16 = 1;
/// The worker's initializer failed.
pub const BROKEN: u16 = 2;
/// A call has returned.
pub const RESULT: u16 = 3;
/// A call has raised.
pub const ERROR: u16 = 4;
/// The worker begins no further call, and ends.
pub const LEAVING: u16 = 5;
/// The worker's task waits for another one of the pool.
pub const BLOCKED: u16 = 6;
/// It does so no longer.
pub const RESUMED: u16 = 7;
/// The first of the kinds that are the client's own business.
pub const NOTE: u16 = 64;

/// The body begins with the place of a block of the arena.
pub const PARCEL: u16 = 1;

/// The body of a batch's reply is a pair: the results, and for those that have none the places and the exceptions.
pub const MIXED: u16 = 2;

/// A call was never made: what it needs could not be made again from what was sent of it. The error says why.
pub const UNMADE: u16 = 8;

/// There is little left to lend: the receiver copies the block, which it might keep for long, and gives it back at once.
pub const COPY: u16 = 4;

/// A block of the sender's arena, lent to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub block: Block,
    /// Under which number it is lent.
    pub lease: u16,
}

/// The fixed fields in front of a body, put together without an allocation.
#[derive(Debug)]
pub struct Fields {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { bytes: [0; Self::MOST], len: 0 }
    }
}

impl Fields {
    /// Bytes that the fields of one message take at most.
    pub const MOST: usize = 64;

    /// Appends a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.bytes[self.len..self.len + 8].copy_from_slice(&number.to_le_bytes());
        self.len += 8;
        self
    }

    /// Appends the place of a block.
    #[must_use]
    pub fn place(self, place: Place) -> Self {
        self.number(place.block.offset).number(place.block.len).number(place.lease.into())
    }

    /// What has been put together.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads the fixed fields of a body, one after the other.
#[derive(Debug)]
pub struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From the body's beginning.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// The next number.
    ///
    /// # Errors
    ///
    /// When the body is too short.
    pub fn number(&mut self) -> Result<u64, Corrupt> {
        let (number, _) =
            self.body[self.at..].split_first_chunk().ok_or(Corrupt("a message is too short"))?;
        self.at += 8;
        Ok(u64::from_le_bytes(*number))
    }

    /// The next place.
    ///
    /// # Errors
    ///
    /// When the body is too short, or the lease no number that a lease can have.
    pub fn place(&mut self) -> Result<Place, Corrupt> {
        let block = Block { offset: self.number()?, len: self.number()? };
        let lease = self.number()?.try_into().map_err(|_| Corrupt("a lease has no such number"))?;
        Ok(Place { block, lease })
    }

    /// How far it has read, in bytes.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.body[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let place = Place { block: Block { offset: 4096, len: 7 }, lease: 3 };
        let fields = Fields::default().number(u64::MAX).place(place);
        let mut reader = Reader::new(fields.as_bytes());
        assert_eq!((reader.number(), reader.place()), (Ok(u64::MAX), Ok(place)));
        assert_eq!(reader.rest(), []);
        assert!(reader.number().is_err());
    }
}
