//! Who has which bytes of an arena: the allocator, without the memory.
//!
//! Every byte is live (in a block), warm (free, and its pages are there) or cold (free, and without pages: it has never been
//! written, or its pages were given back).
//!
//! - A block takes the warm span that fits best, the most recently freed of several alike. What was freed side by
//!   side is joined only when a request needs it (*deferred coalescing*), so that blocks of a size that comes again are
//!   found as they were.
//! - A span that is many times as large as the block is not split for it while anything cold is left: the next large block
//!   would find it broken, and have to make its pages anew.
//! - Cold space is taken from below by small blocks and from above by large ones, which stand in whole huge pages. So the two
//!   don't break each other's.
//! - Warm memory beyond a bound is given back, the longest unused first, and in whole huge pages where possible.
//!
//! It stands on two structures: [`Warm`](warm::Warm), spans with their ages, and [`Cold`](cold::Cold), spans that join at once.

mod cold;
#[cfg(all(test, not(loom)))]
mod tests;
mod warm;

use cold::Cold;
use raddle_sys::memory::HUGE_PAGE;
use std::collections::HashMap;
use warm::Warm;

/// A warm span this many times as large as what is asked for is left alone, while there is anything else.
const REASONABLE: usize = 8;
/// Small blocks get a whole huge page, one for several of them, from this size on, or once so many bytes are in use: then what may
/// be wasted is little for what it saves.
const NOT_SO_SMALL: usize = HUGE_PAGE / 8;
const BUSY: usize = 8 * HUGE_PAGE;

/// A range of the memory, in bytes; never empty where it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Span {
    pub(super) fn end(self) -> usize {
        self.start + self.len
    }

    fn between(start: usize, end: usize) -> Option<Self> {
        (start < end).then(|| Self { start, len: end - start })
    }

    /// Where `len` bytes, aligned to `unit`, come first in here.
    fn place(self, len: usize, unit: usize) -> Option<Self> {
        let start = self.start.next_multiple_of(unit);
        (start + len <= self.end()).then_some(Self { start, len })
    }

    /// The first place for `len` bytes, aligned to `unit`, in spans that touch. They are in ascending order.
    fn first_joined(spans: impl IntoIterator<Item = Self>, len: usize, unit: usize) -> Option<Self> {
        let mut run = Self { start: 0, len: 0 };
        spans.into_iter().find_map(|span| {
            if run.end() == span.start {
                run.len += span.len;
            } else {
                run = span;
            }
            run.place(len, unit)
        })
    }

    /// What is left of it before and after a part of it.
    fn without(self, part: Self) -> impl Iterator<Item = Self> {
        [Self::between(self.start, part.start), Self::between(part.end(), self.end())].into_iter().flatten()
    }

    /// The whole huge pages in it.
    fn huge_pages(self) -> Option<Self> {
        Self::between(self.start.next_multiple_of(HUGE_PAGE), self.end() / HUGE_PAGE * HUGE_PAGE)
    }
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) span: Span,
    /// The huge pages that are worth gathering before the block is written, from its start on. They may reach beyond the block,
    /// where the next ones will stand.
    pub(super) gather: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is writing it.
    Still,
    /// Somebody is writing it.
    Written,
    /// It was freed while somebody was writing it.
    Doomed,
}

#[derive(Debug)]
struct Live {
    place: Place,
    state: State,
}

/// The state of an arena.
#[derive(Debug)]
pub(super) struct Space {
    len: usize,
    page: usize,
    live: HashMap<usize, Live>,
    warm: Warm,
    cold: Cold,
    used: usize,
}

impl Space {
    /// All of `len` bytes is cold. `len` is a multiple of [`HUGE_PAGE`].
    pub(super) fn new(len: usize, page: usize) -> Self {
        let mut cold = Cold::default();
        cold.insert(Span { start: 0, len });
        Self { len, page, live: HashMap::new(), warm: Warm::default(), cold, used: 0 }
    }

    /// The bytes that live blocks take, the rests of their last pages included.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Finds a place for `len` bytes. None: there is no room in one piece.
    pub(super) fn allocate(&mut self, len: usize) -> Option<Place> {
        let unit = if len >= HUGE_PAGE { HUGE_PAGE } else { self.page };
        let need = len.max(1).checked_next_multiple_of(unit).filter(|need| *need <= self.len)?;
        // Small blocks that were freed side by side add up to more than one of them needs.
        let reasonable = need.max(HUGE_PAGE).saturating_mul(REASONABLE);
        let warm = |span| Place { span, gather: None };
        let place = (self.warm.take(need, unit, reasonable).map(warm))
            .or_else(|| if unit == HUGE_PAGE { self.fresh_large(need, len) } else { self.fresh_small(need) })
            .or_else(|| self.warm.take(need, unit, usize::MAX).map(warm))
            .or_else(|| self.mixed(need, unit).map(warm))?;
        self.used += need;
        self.live.insert(place.span.start, Live { place, state: State::Still });
        Some(place)
    }

    fn fresh_large(&mut self, need: usize, len: usize) -> Option<Place> {
        let span = self.cold.take_last(need, HUGE_PAGE)?;
        // The last page is gathered when most of it will be used.
        let gathered = (len + HUGE_PAGE / 2) / HUGE_PAGE * HUGE_PAGE;
        Some(Place { span, gather: Span::between(span.start, span.start + gathered) })
    }

    fn fresh_small(&mut self, need: usize) -> Option<Place> {
        if (need >= NOT_SO_SMALL || self.used >= BUSY)
            && let Some(page) = self.cold.take_first(HUGE_PAGE, HUGE_PAGE)
        {
            let span = Span { start: page.start, len: need };
            page.without(span).for_each(|rest| self.warm.insert(rest));
            return Some(Place { span, gather: Some(page) });
        }
        self.cold.take_first(need, self.page).map(|span| Place { span, gather: None })
    }

    /// A place that is part warm and part cold: when there is no other.
    fn mixed(&mut self, need: usize, unit: usize) -> Option<Span> {
        let mut free: Vec<Span> = self.warm.iter().chain(self.cold.iter()).collect();
        free.sort_unstable_by_key(|span| span.start);
        let place = Span::first_joined(free, need, unit)?;
        self.warm.cut(place);
        self.cold.cut(place);
        Some(place)
    }

    /// Takes back the block that starts there, or makes that happen when whoever is writing it has done. Returns whether there is
    /// such a block.
    pub(super) fn free(&mut self, start: usize) -> bool {
        match self.live.get_mut(&start) {
            None | Some(Live { state: State::Doomed, .. }) => return false,
            Some(live) if live.state == State::Written => live.state = State::Doomed,
            Some(_) => self.release(start),
        }
        true
    }

    /// Somebody is going to write the block that starts there. None when there is no such block, or somebody is at it.
    pub(super) fn begin(&mut self, start: usize) -> Option<Place> {
        let live = self.live.get_mut(&start).filter(|live| live.state == State::Still)?;
        live.state = State::Written;
        Some(Place { gather: live.place.gather.take(), ..live.place })
    }

    /// Who began has done.
    pub(super) fn end(&mut self, start: usize) {
        let live = self.live.get_mut(&start).expect("a block that is being written is not released");
        match live.state {
            State::Doomed => self.release(start),
            _ => live.state = State::Still,
        }
    }

    fn release(&mut self, start: usize) {
        let live = self.live.remove(&start).expect("the caller has seen it");
        self.used -= live.place.span.len;
        self.warm.insert(live.place.span);
    }

    /// Takes out warm spans until at most `keep` bytes are warm: the longest unused first. They are nobody's until they are
    /// [cooled](Space::cool), after their pages were given back.
    pub(super) fn surplus(&mut self, keep: usize) -> Vec<Span> {
        // Joined, as each is going to cost a system call.
        let mut taken = Cold::default();
        while self.warm.bytes() > keep
            && let Some(oldest) = self.warm.take_oldest()
        {
            taken.insert(oldest);
        }
        taken.iter().collect()
    }

    /// The bytes that are free and whose pages are there.
    pub(super) fn warm(&self) -> usize {
        self.warm.bytes()
    }

    /// This span's pages were given back.
    pub(super) fn cool(&mut self, span: Span) {
        self.cold.insert(span);
    }
}
