//! The walk from a newcomer along those who must act first, in search of the newcomer.

use super::{Cycle, Member, Wait, Waits};
use crate::owner::Owner;
use crate::primitives::Arc;
use std::collections::HashSet;

/// A step of the walk: who was reached, and from which earlier step.
struct Step {
    at: Owner,
    from: usize,
}

impl Waits {
    /// A shortest circle through `newcomer`, if there is one.
    pub(super) fn cycle_through(&self, newcomer: Owner) -> Option<Cycle> {
        // Each further turn is one without a member of the last circle, who has been granted what it waited for.
        loop {
            let circle = self.walk(newcomer)?;
            // A look after the walk: one who was granted something during it may have been seen as its holder already.
            if circle.iter().all(|&owner| self.stuck(owner).is_some()) {
                return Some(self.told(&circle));
            }
        }
    }

    /// The wait of one who can't go on unless others act.
    fn stuck(&self, owner: Owner) -> Option<&Wait> {
        self.latest.get(&owner).filter(|wait| !wait.timed && wait.waiter.is_waiting())
    }

    /// Breadth first, from the newcomer back to it.
    fn walk(&self, newcomer: Owner) -> Option<Vec<Owner>> {
        let mut steps = vec![Step { at: newcomer, from: 0 }];
        let mut seen = HashSet::new();
        let mut index = 0;
        while let Some(Step { at, .. }) = steps.get(index) {
            let at = *at;
            let mut closed = false;
            if let Some(wait) = self.stuck(at) {
                wait.waits_for.holders(at, &mut |holder| {
                    closed |= holder == newcomer;
                    // Those who don't wait, which is nearly everybody, end the walk here at no more than this look.
                    if self.stuck(holder).is_some() && seen.insert(holder) {
                        steps.push(Step { at: holder, from: index });
                    }
                });
            }
            if closed {
                return Some(trail(&steps, index));
            }
            index += 1;
        }
        None
    }

    fn told(&self, circle: &[Owner]) -> Cycle {
        let waits = || circle.iter().filter_map(|owner| self.latest.get(owner).map(|wait| (*owner, wait)));
        let members = waits().map(|(owner, wait)| Member { owner, waits_for: Arc::clone(&wait.waits_for) });
        Cycle { members: members.collect(), presumed: !waits().all(|(_, wait)| wait.waits_for.is_exact()) }
    }
}

/// From the first step to the one at `last`.
fn trail(steps: &[Step], last: usize) -> Vec<Owner> {
    let back = std::iter::successors(Some(last), |&index| (index > 0).then(|| steps[index].from));
    let mut trail: Vec<_> = back.map(|index| steps[index].at).collect();
    trail.reverse();
    trail
}
