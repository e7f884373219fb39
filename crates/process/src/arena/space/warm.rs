//! Spans with pages, by place, by size and by age.

use super::Span;
use raddle_sys::memory::HUGE_PAGE;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// When a span became warm; each has its own, but for what was cut from one.
type Age = u64;

/// Warm spans. Neighbours stay apart until a request needs more than any of them has.
#[derive(Debug, Default)]
pub(super) struct Warm {
    /// By where they start.
    spans: BTreeMap<usize, (usize, Age)>,
    /// The same, by length, and the youngest first among those of one length.
    by_len: BTreeSet<(usize, Reverse<Age>, usize)>,
    /// The same, the oldest first.
    by_age: BTreeSet<(Age, usize)>,
    bytes: usize,
    now: Age,
}

impl Warm {
    /// How much is warm.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, span: Span) {
        self.now += 1;
        self.insert_aged(span, self.now);
    }

    fn insert_aged(&mut self, span: Span, age: Age) {
        self.spans.insert(span.start, (span.len, age));
        self.by_len.insert((span.len, Reverse(age), span.start));
        self.by_age.insert((age, span.start));
        self.bytes += span.len;
    }

    fn remove(&mut self, start: usize) -> (Span, Age) {
        let (len, age) = self.spans.remove(&start).expect("the caller has found it here");
        self.by_len.remove(&(len, Reverse(age), start));
        self.by_age.remove(&(age, start));
        self.bytes -= len;
        (Span { start, len }, age)
    }

    /// Takes `need` bytes, aligned to `unit`: from the smallest span that has them, or else from neighbours that have them together.
    /// Spans of more than `most` bytes are left alone.
    pub(super) fn take(&mut self, need: usize, unit: usize, most: usize) -> Option<Span> {
        let fitting = self.by_len.range((need, Reverse(Age::MAX), 0)..);
        let mut spans =
            fitting.map(|&(len, _, start)| Span { start, len }).take_while(|span| span.len <= most);
        let place = spans
            .find_map(|span| span.place(need, unit))
            .or_else(|| Span::first_joined(self.iter().filter(|span| span.len <= most), need, unit))?;
        self.cut(place);
        Some(place)
    }

    /// Takes out what is warm of this span.
    pub(super) fn cut(&mut self, span: Span) {
        while let Some((&start, _)) =
            self.spans.range(..span.end()).next_back().filter(|(start, (len, _))| *start + len > span.start)
        {
            let (from, age) = self.remove(start);
            from.without(span).for_each(|rest| self.insert_aged(rest, age));
        }
    }

    /// Takes out the span that has been warm for longest, with what it needs of its neighbours to be whole huge pages, if they
    /// have it; or else the whole huge pages in it; or else the span.
    pub(super) fn take_oldest(&mut self) -> Option<Span> {
        let &(_, start) = self.by_age.first()?;
        let oldest = Span { start, len: self.spans[&start].0 };
        let outer_start = oldest.start / HUGE_PAGE * HUGE_PAGE;
        let outer = Span { start: outer_start, len: oldest.end().next_multiple_of(HUGE_PAGE) - outer_start };
        let taken = if self.covers(outer) { outer } else { oldest.huge_pages().unwrap_or(oldest) };
        self.cut(taken);
        Some(taken)
    }

    /// Whether all of this span is warm.
    fn covers(&self, span: Span) -> bool {
        let before = self.spans.range(..=span.start).next_back();
        let from = before.map_or(span.start, |(&start, _)| start);
        let mut reached = span.start;
        for (&start, &(len, _)) in self.spans.range(from..span.end()) {
            if start > reached {
                return false;
            }
            reached = reached.max(start + len);
        }
        reached >= span.end()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> {
        self.spans.iter().map(|(&start, &(len, _))| Span { start, len })
    }
}
