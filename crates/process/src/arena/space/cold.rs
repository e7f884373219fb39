//! Spans without pages. Neighbours join at once: there is nothing to tell them apart.

use super::Span;
use std::collections::BTreeMap;

/// Cold spans: lengths by where they start. No two touch.
#[derive(Debug, Default)]
pub(super) struct Cold(BTreeMap<usize, usize>);

impl Cold {
    pub(super) fn insert(&mut self, span: Span) {
        let (mut start, mut end) = (span.start, span.end());
        if let Some((&before, &len)) = self.0.range(..start).next_back()
            && before + len == start
        {
            start = before;
        }
        if let Some(len) = self.0.remove(&end) {
            end += len;
        }
        self.0.insert(start, end - start);
    }

    /// The lowest place for `need` bytes.
    pub(super) fn take_first(&mut self, need: usize, unit: usize) -> Option<Span> {
        let place = self.iter().find_map(|span| span.place(need, unit))?;
        self.cut(place);
        Some(place)
    }

    /// The highest place for `need` bytes.
    pub(super) fn take_last(&mut self, need: usize, unit: usize) -> Option<Span> {
        let place = self.iter().rev().find_map(|span| {
            let start = span.end().checked_sub(need)? / unit * unit;
            (start >= span.start).then_some(Span { start, len: need })
        })?;
        self.cut(place);
        Some(place)
    }

    /// Takes out what is cold of this span.
    pub(super) fn cut(&mut self, span: Span) {
        while let Some((&start, &len)) =
            self.0.range(..span.end()).next_back().filter(|(start, len)| *start + *len > span.start)
        {
            self.0.remove(&start);
            self.0.extend(Span { start, len }.without(span).map(|rest| (rest.start, rest.len)));
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Span> {
        self.0.iter().map(|(&start, &len)| Span { start, len })
    }
}
