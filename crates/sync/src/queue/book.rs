//! Who has taken how many items and not reported them: those whom a join waits for.

use crate::owner::Owner;

/// More takers than these are not told apart.
const MOST: usize = 64;

/// Nobody works on so many items at a time: who has not reported that many does not report at all.
const TOO_MUCH: usize = 1 << 10;

/// Anybody may report an item as finished. As long as everybody reports what he took himself, the book is right; it is
/// closed for good by the first one who reports for another, or doesn't report ([`TOO_MUCH`]), or when it would outgrow [`MOST`].
/// Closed, it costs nothing: most users report nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// Each with a count above zero.
    takers: Vec<(Owner, usize)>,
    /// Where the one stands who took something last, who is often the next one too. He may have left.
    last: usize,
    closed: bool,
}

impl Book {
    pub(super) const fn closed() -> Self {
        Self { takers: Vec::new(), last: 0, closed: true }
    }

    #[inline]
    pub(super) fn take(&mut self, who: Owner, count: usize) {
        if self.closed || count == 0 {
            return;
        }
        let place = self.place(who).unwrap_or_else(|| {
            self.takers.push((who, 0));
            self.takers.len() - 1
        });
        let taken = &mut self.takers[place].1;
        *taken = taken.saturating_add(count);
        self.last = place;
        if *taken >= TOO_MUCH || self.takers.len() > MOST {
            *self = Self::closed();
        }
    }

    #[inline]
    fn place(&self, who: Owner) -> Option<usize> {
        match self.takers.get(self.last) {
            Some((taker, _)) if *taker == who => Some(self.last),
            _ => self.takers.iter().position(|(taker, _)| *taker == who),
        }
    }

    #[inline]
    pub(super) fn report(&mut self, who: Owner, count: usize) {
        if self.closed || count == 0 {
            return;
        }
        match self.place(who) {
            Some(place) if self.takers[place].1 > count => self.takers[place].1 -= count,
            Some(place) if self.takers[place].1 == count => drop(self.takers.swap_remove(place)),
            _ => *self = Self::closed(),
        }
    }

    /// Those who have taken items and not reported them; nobody when that is not known.
    pub(super) fn takers(&self) -> Vec<Owner> {
        self.takers.iter().map(|(taker, _)| *taker).collect()
    }
}
