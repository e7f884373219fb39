//! Who has taken how many items and not reported them: those whom a join waits for.

use crate::owner::Owner;

/// More takers than these are not told apart.
const MOST: usize = 64;

/// Anybody may report an item as finished. As long as everybody reports what he took himself, the book is right; it is
/// closed for good by the first one who reports for another, or when it would outgrow [`MOST`].
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// Each with a count above zero.
    takers: Vec<(Owner, usize)>,
    closed: bool,
}

impl Book {
    pub(super) const fn closed() -> Self {
        Self { takers: Vec::new(), closed: true }
    }

    #[inline]
    pub(super) fn take(&mut self, who: Owner, count: usize) {
        match self.takers.iter_mut().find(|(taker, _)| *taker == who) {
            Some((_, taken)) => *taken += count,
            None => self.enter(who, count),
        }
    }

    fn enter(&mut self, who: Owner, count: usize) {
        if self.closed || count == 0 {
            return;
        }
        if self.takers.len() < MOST {
            self.takers.push((who, count));
        } else {
            *self = Self::closed();
        }
    }

    #[inline]
    pub(super) fn report(&mut self, who: Owner, count: usize) {
        if self.closed || count == 0 {
            return;
        }
        match self.takers.iter().position(|(taker, _)| *taker == who) {
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
