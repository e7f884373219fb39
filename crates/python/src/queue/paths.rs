//! How an item goes into a heap and comes out of it, decided by comparisons before anything moves: a comparison that fails
//! leaves the heap as it is.
//!
//! The heap is that of `heapq`: in an array, the item at `i` is not greater than those at `2 * i + 1` and `2 * i + 2`. An item
//! that is taken out leaves a hole at the top, which sinks to the bottom along the lesser items, and the last item climbs
//! from there: fewer comparisons than sinking it from the top, as it mostly belongs near the bottom.

const fn parent(place: usize) -> usize {
    (place - 1) / 2
}

/// Where an item that is put at the end of `len` others belongs. `less(place)`: whether it is less than the one there.
pub(crate) fn climb<E>(len: usize, mut less: impl FnMut(usize) -> Result<bool, E>) -> Result<usize, E> {
    let mut place = len;
    while place > 0 && less(parent(place))? {
        place = parent(place);
    }
    Ok(place)
}

/// Moves the last item up to `place`, and those in its way down.
pub(crate) fn rise(place: usize, last: usize, mut swap: impl FnMut(usize, usize)) {
    let mut hole = last;
    while hole > place {
        swap(hole, parent(hole));
        hole = parent(hole);
    }
}

/// Where the last of `len` items (two or more) belongs once the first one is taken out: those above that place move up by one
/// place each. `less(one, other)` compares the items at two places.
pub(crate) fn sink<E>(len: usize, mut less: impl FnMut(usize, usize) -> Result<bool, E>) -> Result<usize, E> {
    let last = len - 1;
    let (mut place, mut child) = (0, 1);
    while child < last {
        let right = child + 1;
        place = if right < last && !less(child, right)? { right } else { child };
        child = 2 * place + 1;
    }
    while place > 0 && less(last, place)? {
        place = parent(place);
    }
    Ok(place)
}

/// Takes the first item out, given the place at which the last one belongs. `swap` exchanges the item in hand, which is the last
/// one at first, for the one at a place; the first one is in hand then.
pub(crate) fn lift(place: usize, mut swap: impl FnMut(usize)) {
    let mut at = place;
    swap(at);
    while at > 0 {
        at = parent(at);
        swap(at);
    }
}

/// Undoes what [`lift`] did: with the item that was the first one in hand, exchanges it all the way down to `place`, after which
/// the last one is in hand again.
pub(crate) fn lower(place: usize, mut swap: impl FnMut(usize)) {
    // The way down is the way up from `place`, in one-based numbers the bits of its own from the highest one.
    let target = place + 1;
    for shift in (0..=target.ilog2()).rev() {
        swap((target >> shift) - 1);
    }
}
