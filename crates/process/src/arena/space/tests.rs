//! What the allocator promises, whatever is asked of it.

use super::*;
use proptest::prelude::*;

const PAGE: usize = 4096;
const LEN: usize = 32 * HUGE_PAGE;

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    /// The block at this share of the list.
    Free(prop::sample::Index),
    /// As `Free`, while somebody writes it.
    FreeEarly(prop::sample::Index),
    Cool(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![
        4 => 0..10 * PAGE,
        4 => 0..2 * HUGE_PAGE,
        2 => HUGE_PAGE..8 * HUGE_PAGE,
        1 => 0..2 * LEN,
        1 => Just(usize::MAX),
        2 => prop::sample::select(vec![PAGE, PAGE + 1, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, LEN]),
    ];
    let step = prop_oneof![
        5 => len.prop_map(Step::Allocate),
        4 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => any::<prop::sample::Index>().prop_map(Step::FreeEarly),
        1 => (0..LEN).prop_map(Step::Cool),
    ];
    prop::collection::vec(step, 0..120)
}

fn cool_down_to(space: &mut Space, keep: usize) {
    for span in space.surplus(keep) {
        space.cool(span);
    }
    assert!(space.warm() <= keep);
}

/// Every byte is in one span: of a block, warm, or cold; and all sums are right.
fn check(space: &Space, blocks: &[(Span, usize)]) {
    let live: Vec<Span> = blocks.iter().map(|(span, _)| *span).collect();
    assert_eq!(space.used(), live.iter().map(|span| span.len).sum());
    assert_eq!(space.warm(), space.warm.iter().map(|span| span.len).sum());
    let mut all: Vec<Span> = space.warm.iter().chain(space.cold.iter()).chain(live).collect();
    all.sort_unstable_by_key(|span| span.start);
    let mut end = 0;
    for span in all {
        assert!(span.len > 0);
        assert_eq!(span.start, end, "spans neither overlap nor leave anything out");
        end = span.end();
    }
    assert_eq!(end, LEN);
    for (span, len) in blocks {
        // No page, and no huge page of a large block, has a second owner.
        let unit = if *len >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
        assert!(span.len >= *len && span.start.is_multiple_of(unit) && span.len.is_multiple_of(unit));
    }
}

proptest! {
    #[test]
    fn every_byte_has_one_owner(steps in steps()) {
        let mut space = Space::new(LEN, PAGE);
        let mut blocks: Vec<(Span, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Allocate(len) => {
                    let Some(place) = space.allocate(len) else { continue };
                    if let Some(gather) = place.gather {
                        assert_eq!(gather.start, place.span.start);
                        assert!(gather.start.is_multiple_of(HUGE_PAGE) && gather.len.is_multiple_of(HUGE_PAGE));
                        let others = blocks.iter().filter(|(span, _)| span.start < gather.end() && span.end() > gather.start);
                        assert_eq!(others.count(), 0, "what is gathered is nobody's yet");
                    }
                    blocks.push((place.span, len));
                }
                Step::Free(index) if !blocks.is_empty() => {
                    let (span, _) = blocks.swap_remove(index.index(blocks.len()));
                    assert!(space.free(span.start));
                    assert!(!space.free(span.start), "it is gone");
                }
                Step::FreeEarly(index) if !blocks.is_empty() => {
                    let (span, _) = blocks[index.index(blocks.len())];
                    assert_eq!(space.begin(span.start).map(|place| place.span), Some(span));
                    assert_eq!(space.begin(span.start), None, "one at a time");
                    assert!(space.free(span.start));
                    assert!(!space.free(span.start), "once");
                    check(&space, &blocks);
                    space.end(span.start);
                    blocks.retain(|block| block.0 != span);
                }
                Step::Cool(keep) => cool_down_to(&mut space, keep),
                _ => {}
            }
            check(&space, &blocks);
        }
        for (span, _) in blocks.drain(..) {
            assert!(space.free(span.start));
        }
        // Warm and cold together hold the largest of all blocks.
        let place = space.allocate(LEN).expect("everything is free");
        assert_eq!(place.span, Span { start: 0, len: LEN });
        assert!(space.free(0));
        cool_down_to(&mut space, 0);
        assert_eq!(space.cold.iter().collect::<Vec<_>>(), [Span { start: 0, len: LEN }]);
    }

    /// Nothing is refused while a span of free bytes would do.
    #[test]
    fn what_fits_is_found(steps in steps(), len in 0..LEN) {
        let mut space = Space::new(LEN, PAGE);
        let mut blocks = Vec::new();
        for step in steps {
            match step {
                Step::Allocate(len) => blocks.extend(space.allocate(len).map(|place| place.span)),
                Step::Free(index) | Step::FreeEarly(index) if !blocks.is_empty() => {
                    assert!(space.free(blocks.swap_remove(index.index(blocks.len())).start));
                }
                Step::Cool(keep) => cool_down_to(&mut space, keep),
                _ => {}
            }
        }
        blocks.sort_unstable_by_key(|span| span.start);
        blocks.push(Span { start: LEN, len: 0 });
        let unit = if len >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
        let need = len.max(1).next_multiple_of(unit);
        let mut end = 0;
        let mut fits = false;
        for block in blocks {
            fits |= Span { start: end, len: block.start - end }.place(need, unit).is_some();
            end = block.end();
        }
        assert_eq!(space.allocate(len).is_some(), fits);
    }
}

fn span(space: &mut Space, len: usize) -> Span {
    space.allocate(len).expect("there is room").span
}

#[test]
fn the_block_that_was_freed_last_is_used_first() {
    let mut space = Space::new(LEN, PAGE);
    let blocks: Vec<Span> = (0..10).map(|_| span(&mut space, 40_000)).collect();
    for index in [3, 7, 5] {
        assert!(space.free(blocks[index].start));
    }
    let again: Vec<Span> = (0..3).map(|_| span(&mut space, 40_000)).collect();
    assert_eq!(again, [blocks[5], blocks[7], blocks[3]]);
}

#[test]
fn the_block_that_fits_best_is_used() {
    let mut space = Space::new(LEN, PAGE);
    let blocks = [9, 5, 6, 7].map(|pages| {
        let block = span(&mut space, pages * PAGE);
        let _between = span(&mut space, PAGE);
        block
    });
    for block in blocks {
        assert!(space.free(block.start));
    }
    assert_eq!(span(&mut space, 6 * PAGE - 1), blocks[2]);
}

#[test]
fn small_blocks_that_were_freed_side_by_side_make_a_larger_one() {
    let mut space = Space::new(LEN, PAGE);
    let blocks: Vec<Span> = (0..10).map(|_| span(&mut space, 10 * PAGE)).collect();
    for block in &blocks {
        assert!(space.free(block.start));
    }
    assert_eq!(span(&mut space, 95 * PAGE).start, blocks[0].start);
    assert_eq!(space.warm(), 5 * PAGE);
}

#[test]
fn a_large_block_is_not_broken_for_a_small_one() {
    let mut space = Space::new(LEN, PAGE);
    let large = span(&mut space, 20 * HUGE_PAGE);
    assert!(space.free(large.start));
    let small = span(&mut space, 10 * PAGE);
    assert!(small.end() <= large.start);
    assert_eq!(span(&mut space, 20 * HUGE_PAGE), large);
}

#[test]
fn a_large_block_is_broken_when_there_is_nothing_else() {
    let mut space = Space::new(LEN, PAGE);
    let all = span(&mut space, LEN);
    assert!(space.free(all.start));
    assert_eq!(span(&mut space, PAGE), Span { start: 0, len: PAGE });
}

#[test]
fn the_longest_unused_is_given_back_first() {
    let mut space = Space::new(LEN, PAGE);
    let blocks: Vec<Span> = (0..4).map(|_| span(&mut space, HUGE_PAGE)).collect();
    for index in [2, 0, 3, 1] {
        assert!(space.free(blocks[index].start));
    }
    assert_eq!(space.surplus(3 * HUGE_PAGE), [blocks[2]]);
    assert_eq!(space.surplus(3 * HUGE_PAGE), []);
    assert_eq!(space.surplus(2 * HUGE_PAGE + 1), [blocks[0]]);
}

#[test]
fn whole_huge_pages_are_given_back() {
    let mut space = Space::new(LEN, PAGE);
    let blocks: Vec<Span> = (0..1024).map(|_| span(&mut space, PAGE)).collect();
    let live = 700;
    for (index, block) in blocks.iter().enumerate() {
        if index != live {
            assert!(space.free(block.start));
        }
    }
    // The first page goes with the rest of its huge page.
    assert_eq!(space.surplus(space.warm() - 1), [Span { start: 0, len: HUGE_PAGE }]);
}

#[test]
fn large_blocks_are_gathered_and_small_ones_once_there_are_many() {
    let mut space = Space::new(LEN, PAGE);
    let gathered =
        |space: &mut Space, len| space.allocate(len).expect("there is room").gather.map(|span| span.len);
    assert_eq!(gathered(&mut space, PAGE), None);
    assert_eq!(gathered(&mut space, 2 * HUGE_PAGE), Some(2 * HUGE_PAGE));
    assert_eq!(gathered(&mut space, 2 * HUGE_PAGE + PAGE), Some(2 * HUGE_PAGE));
    assert_eq!(gathered(&mut space, 4 * HUGE_PAGE - PAGE), Some(4 * HUGE_PAGE));
    assert_eq!(gathered(&mut space, PAGE), Some(HUGE_PAGE));
    assert_eq!(gathered(&mut space, PAGE), None, "it stands in the same huge page");
    assert_eq!(space.warm(), HUGE_PAGE - 2 * PAGE);
}
