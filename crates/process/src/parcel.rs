//! What one message carries out of band: a body, and buffers, together in one block of the arena.
//!
//! ```text
//!  block:  count │ offset, length of the body │ offset, length of each buffer … │ body │ buffer │ …
//! ```
//!
//! Numbers are eight bytes, little end first; offsets count from the block's start and are multiples of [`ALIGNMENT`]. An
//! empty body stands for one that the message itself carries.

use crate::arena::{ALIGNMENT, View};
use crate::corrupt::Corrupt;
use std::ops::Range;

/// The most parts of one parcel: a pickle with more buffers keeps the rest in band.
pub const MOST_PARTS: usize = 1 << 16;

const fn align(offset: usize) -> usize {
    offset.next_multiple_of(ALIGNMENT)
}

/// Where the parts of these lengths come to stand, and how long the block has to be. `None` when no block is that long.
#[must_use]
pub fn layout(lens: impl ExactSizeIterator<Item = usize>) -> Option<(Vec<u8>, usize)> {
    let count = lens.len();
    let mut table = Vec::with_capacity(8 + 16 * count);
    table.extend_from_slice(&u64::try_from(count).ok()?.to_le_bytes());
    let mut end = 8 + 16 * count;
    for len in lens {
        let start = align(end);
        end = start.checked_add(len)?;
        table.extend_from_slice(&u64::try_from(start).ok()?.to_le_bytes());
        table.extend_from_slice(&u64::try_from(len).ok()?.to_le_bytes());
    }
    Some((table, end))
}

/// Where the parts stand in a block, whoever wrote it.
///
/// # Errors
///
/// When the block does not hold what it says.
pub fn parts(view: &View) -> Result<Vec<Range<usize>>, Corrupt> {
    let count = count(&view.copy(0, 8)?)?;
    let table = view.copy(8, 16 * count as u64)?;
    read(&table, view.len())
}

/// How many parts there are, as the first eight bytes say.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, Corrupt> {
    let count = number(bytes)?;
    if count > MOST_PARTS { Err(Corrupt("a parcel has too many parts")) } else { Ok(count) }
}

fn number(bytes: &[u8]) -> Result<usize, Corrupt> {
    let number = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    usize::try_from(number).map_err(|_| Corrupt("a parcel has no such place"))
}

/// Where the parts stand in a block of this length, as the table says.
pub(crate) fn read(table: &[u8], block_len: usize) -> Result<Vec<Range<usize>>, Corrupt> {
    let part = |entry: &[u8]| {
        let (start, len) = entry.split_at(8);
        let (start, len) = (number(start)?, number(len)?);
        let end = start.checked_add(len).filter(|end| *end <= block_len);
        end.map(|end| start..end).ok_or(Corrupt("a part of a parcel lies outside"))
    };
    table.chunks_exact(16).map(part).collect()
}

/// A copy of the body, which is the first part; nothing when there is none.
///
/// # Errors
///
/// As [`parts`].
pub fn body(view: &View, parts: &[Range<usize>]) -> Result<Vec<u8>, Corrupt> {
    let Range { start, end } = parts.first().cloned().unwrap_or_default();
    view.copy(start as u64, (end - start) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_apart_and_aligned() {
        let (table, len) = layout([0, 5, 64, 1].into_iter()).expect("it is short");
        assert_eq!(number(&table[..8]), Ok(4));
        let parts = read(&table[8..], len).expect("as it was laid out");
        assert_eq!(parts.iter().map(Range::len).collect::<Vec<_>>(), [0, 5, 64, 1]);
        assert!(parts.iter().all(|part| part.start % ALIGNMENT == 0));
        assert!(parts.is_sorted_by(|one, other| one.end <= other.start));
    }

    #[test]
    fn nonsense_is_refused() {
        for entry in [[u64::MAX, 1], [8, 17], [1, u64::MAX]] {
            assert!(read(&entry.map(u64::to_le_bytes).concat(), 24).is_err(), "{entry:?}");
        }
    }
}
