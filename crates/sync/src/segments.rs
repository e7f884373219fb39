//! A sequence that grows and shrinks at both ends, in segments of 256.
//!
//! Segments instead of one ring: a ring that has grown to millions of items doubles by copying all of them while its
//! owner's lock is held, and keeps its memory for ever.

use std::collections::VecDeque;
use std::iter::FusedIterator;

const SEGMENT: usize = 256;

/// First in, first out, or last in, first out. Not synchronised: it stands behind its owner's lock.
///
/// ```
/// use raddle_sync::segments::Segments;
///
/// let mut items: Segments<u32> = (1..=3).collect();
/// assert_eq!((items.pop(), items.pop_last(), items.len()), (Some(1), Some(3), 1));
/// ```
#[derive(Debug)]
pub struct Segments<T> {
    /// Segments, none of them empty but an only one.
    parts: VecDeque<VecDeque<T>>,
    /// The segment emptied last, for one that stands at a boundary not to allocate at each step.
    spare: Option<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Self { parts: VecDeque::new(), spare: None, len: 0 }
    }
}

impl<T> Segments<T> {
    /// How many items there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item at the end.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.len += 1;
        match self.parts.back_mut() {
            Some(last) if last.len() < SEGMENT => last.push_back(item),
            _ => self.push_in_next(item),
        }
    }

    #[cold]
    fn push_in_next(&mut self, item: T) {
        let mut segment = self.spare.take().unwrap_or_else(|| {
            // The first one grows with its need: most sequences stay short.
            VecDeque::with_capacity(if self.parts.is_empty() { 0 } else { SEGMENT })
        });
        segment.push_back(item);
        self.parts.push_back(segment);
    }

    /// Takes the first item.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let first = self.parts.front_mut()?;
        let item = first.pop_front()?;
        if first.is_empty() && self.parts.len() > 1 {
            self.spare = self.parts.pop_front();
        }
        self.len -= 1;
        Some(item)
    }

    /// Takes the last item.
    #[inline]
    pub fn pop_last(&mut self) -> Option<T> {
        let last = self.parts.back_mut()?;
        let item = last.pop_back()?;
        if last.is_empty() && self.parts.len() > 1 {
            self.spare = self.parts.pop_back();
        }
        self.len -= 1;
        Some(item)
    }

    /// The items from the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flatten()
    }
}

impl<T> Extend<T> for Segments<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push(item);
        }
    }
}

impl<T> FromIterator<T> for Segments<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut segments = Self::default();
        Extend::extend(&mut segments, items);
        segments
    }
}

/// Takes the items, the first one first.
#[derive(Debug)]
pub struct IntoIter<T>(Segments<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len, Some(self.0.len))
    }
}

impl<T> ExactSizeIterator for IntoIter<T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> IntoIterator for Segments<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_segments_from_both_ends() {
        let mut items = Segments::default();
        for round in 0..3 {
            items.extend(0..10 * SEGMENT);
            assert_eq!(items.len(), 10 * SEGMENT, "round {round}");
            assert!(items.iter().copied().eq(0..10 * SEGMENT));
            for item in 0..5 * SEGMENT {
                assert_eq!(items.pop(), Some(item));
                assert_eq!(items.pop_last(), Some(10 * SEGMENT - 1 - item));
            }
            assert_eq!((items.pop(), items.pop_last(), items.len()), (None, None, 0));
        }
    }

    #[test]
    fn memory_of_a_flood_is_returned() {
        let mut items: Segments<usize> = (0..100 * SEGMENT).collect();
        while items.pop().is_some() {}
        assert_eq!(items.parts.len(), 1);
    }

    #[test]
    fn a_short_sequence_takes_little_memory() {
        let items: Segments<usize> = [1].into_iter().collect();
        assert!(items.parts[0].capacity() < SEGMENT);
    }
}
