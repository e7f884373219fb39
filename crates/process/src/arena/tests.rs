//! Blocks from one process to another, and back.

use super::*;
use crate::Corrupt;
use proptest::prelude::*;
use raddle_sys::clock::Moment;
use raddle_sys::fork::check_in_child;
use raddle_sys::futex::Wake;
use raddle_sys::memory::{HUGE_PAGE, Memory, page_size};
use raddle_sys::poll::Poller;
use raddle_sys::socket;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;

fn arena_and_gallery(limit: usize) -> (Arena, Arc<Gallery>) {
    let arena = Arena::new(limit).expect("address space is plentiful");
    let gallery = Gallery::attach(arena.reader().expect("a descriptor is free")).expect("it is an arena's");
    (arena, gallery)
}

/// Bytes that tell one round from another, wherever one looks, and one page from the next.
fn pattern(seed: usize, len: usize) -> Vec<u8> {
    let words =
        (0..520_usize).flat_map(|index| (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed).to_ne_bytes());
    let mut bytes = words.collect::<Vec<_>>().repeat(len / (520 * 8) + 1);
    bytes.truncate(len);
    bytes
}

fn write(arena: &Arena, bytes: &[u8]) -> Block {
    let block = arena.allocate(bytes.len()).expect("there is room");
    arena.writer(block).put(bytes);
    block
}

fn show(gallery: &Arc<Gallery>, block: Block) -> View {
    gallery.view(block, Box::new(())).expect("the arena made it")
}

fn bytes(view: &View) -> Vec<u8> {
    view.copy(0, view.len() as u64).expect("all of it")
}

/// Writes to every `step`-th byte of a view.
fn scribble(view: &View, step: usize) {
    // SAFETY: within the view, which no other thread uses.
    unsafe {
        if step == 1 {
            return view.as_ptr().write_bytes(0xEE, view.len());
        }
        for offset in (0..view.len()).step_by(step) {
            view.as_ptr().add(offset).write_volatile(0xEE);
        }
    }
}

/// The bytes of memory that an arena costs.
fn resident(arena: &Arena) -> usize {
    let file = std::fs::File::from(arena.fd().try_clone_to_owned().expect("a descriptor is free"));
    usize::try_from(file.metadata().expect("it is open").blocks()).expect("few") * 512
}

#[test]
fn parts_arrive_where_they_were_put() {
    let (arena, gallery) = arena_and_gallery(MIB);
    let parts = [&b"a head"[..], b"", &[7; 1000], b"tail"];
    let block = arena.allocate(length_of(parts.map(<[u8]>::len)).expect("short")).expect("there is room");
    let mut writer = arena.writer(block);
    let offsets = parts.map(|part| {
        writer.align(ALIGNMENT);
        writer.put(part)
    });
    assert_eq!((offsets, writer.remaining()), ([0, 64, 64, 1088], 0));
    drop(writer);
    let view = show(&gallery, block);
    assert!(view.as_ptr().addr().is_multiple_of(page_size()));
    for (offset, part) in offsets.into_iter().zip(parts) {
        assert_eq!(view.copy(offset, part.len() as u64).expect("within the block"), part);
    }
}

#[test]
fn a_block_of_nothing_is_a_block() {
    let (arena, gallery) = arena_and_gallery(MIB);
    let block = write(&arena, b"");
    assert!(show(&gallery, block).is_empty());
    assert_ne!(block.offset, write(&arena, b"").offset);
}

#[test]
fn what_a_reader_writes_nobody_else_sees() {
    let (arena, gallery) = arena_and_gallery(16 * MIB);
    for len in [100, 50_000, 5 * MIB + 3] {
        let original = pattern(len, len);
        let block = write(&arena, &original);
        let view = show(&gallery, block);
        assert_eq!(bytes(&view), original);
        scribble(&view, 1000);
        assert_ne!(bytes(&view), original);
        // A second look while the first lives, as when a task is tried again: the original.
        let second = show(&gallery, block);
        assert_eq!(bytes(&second), original);
        scribble(&second, 700);
        drop(view);
        assert_ne!(bytes(&second), original);
        drop(second);
        assert_eq!(bytes(&show(&gallery, block)), original);
    }
}

#[test]
fn a_neighbour_keeps_what_it_wrote() {
    let (arena, gallery) = arena_and_gallery(MIB);
    let blocks = [5000, 100, 9000].map(|len| write(&arena, &vec![1; len]));
    let views = blocks.map(|block| show(&gallery, block));
    for view in &views {
        scribble(view, 1);
    }
    let [first, middle, last] = views;
    drop(middle);
    assert!(bytes(&first).iter().chain(&bytes(&last)).all(|byte| *byte == 0xEE));
    assert_eq!(bytes(&show(&gallery, blocks[1])), [1; 100]);
}

#[test]
fn a_block_that_is_used_again_shows_its_new_bytes() {
    let (arena, gallery) = arena_and_gallery(64 * MIB);
    for len in [10, 4096, 4097, 300_000, 2 * MIB, 7 * MIB + 1] {
        let mut last = None;
        for (round, step) in [None, Some(1), None, Some(4096), Some(MIB), None].into_iter().enumerate() {
            let expected = pattern(round, len);
            let block = write(&arena, &expected);
            assert!(last.replace(block).is_none_or(|last| last == block), "the same pages");
            let view = show(&gallery, block);
            assert_eq!(bytes(&view), expected);
            if let Some(step) = step {
                scribble(&view, step);
            }
            drop(view);
            arena.free(block);
        }
    }
}

/// What a reader says once it has done with a block, and what it is told when that was the last.
const DONE: &[u8] = b"done";

fn say(socket: BorrowedFd<'_>, block: Block, seed: usize) {
    let numbers = [block.offset, block.len, seed as u64];
    let message: Vec<u8> = numbers.into_iter().flat_map(u64::to_ne_bytes).collect();
    socket::send(socket, &message, &[]).expect("the other side listens");
}

/// What comes next. None when nothing does for a minute: the other process has died.
fn next_message(socket: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let poller = Poller::new().expect("a descriptor is free");
    poller.add(socket, 0).expect("a socket can be polled");
    let deadline = Moment::now() + Duration::from_mins(1);
    while poller.wait(&mut Vec::new(), Some(deadline)).expect("the poller lives") == Wake::Interrupted {}
    socket::set_nonblocking(socket, true).expect("a socket can");
    let mut message = [0; 24];
    let (len, _) = socket::receive(socket, &mut message).ok()?;
    Some(message[..len].to_vec())
}

/// The block and the seed of its pattern. None: that was all.
fn hear(socket: BorrowedFd<'_>) -> Option<(Block, usize)> {
    let message = next_message(socket).expect("the other side lives");
    let number = |at: usize| u64::from_ne_bytes(message[at..at + 8].try_into().expect("eight bytes"));
    (message != DONE).then(|| {
        (Block { offset: number(0), len: number(8) }, usize::try_from(number(16)).expect("it was one"))
    })
}

/// A process that looks at blocks, writes to them, and gives them back.
fn look_at_blocks(memory: std::os::fd::OwnedFd, socket: BorrowedFd<'_>) -> bool {
    let gallery = Gallery::attach(memory).expect("it is an arena's");
    let mut round = 0;
    while let Some((block, seed)) = hear(socket) {
        let view = show(&gallery, block);
        assert_eq!(bytes(&view), pattern(seed, view.len()));
        if round % 3 > 0 {
            scribble(&view, [0, 1, 10_000][round % 3]);
        }
        round += 1;
        drop(view);
        socket::send(socket, DONE, &[]).expect("the other side listens");
    }
    round > 0
}

#[test]
fn another_process_changes_its_copies_and_sees_what_comes_later() {
    let (arena, gallery) = arena_and_gallery(64 * MIB);
    let reader = arena.reader().expect("a descriptor is free");
    let (here, there) = socket::pair().expect("descriptors are free");
    std::thread::scope(|scope| {
        let child = scope.spawn(move || check_in_child(60, || look_at_blocks(reader, there.as_fd())));
        for (round, len) in (0..10).flat_map(|_| [100, 50_000, 3 * MIB, 9 * MIB]).enumerate() {
            let original = pattern(round, len);
            let block = write(&arena, &original);
            say(here.as_fd(), block, round);
            assert_eq!(next_message(here.as_fd()).as_deref(), Some(DONE));
            assert_eq!(bytes(&show(&gallery, block)), original, "the child changed its own copy");
            arena.free(block);
        }
        socket::send(here.as_fd(), DONE, &[]).expect("the child listens");
        assert!(child.join().expect("it only waited"));
    });
}

#[test]
fn a_worker_writes_in_memory_that_its_parent_made() {
    let memory = Memory::new("test", 8 * MIB).expect("a descriptor is free");
    let gallery = Gallery::attach(memory.reader().expect("there is a /proc")).expect("it is a memory");
    let (here, there) = socket::pair().expect("descriptors are free");
    assert!(check_in_child(60, || {
        let arena =
            Arena::attach(memory.fd().try_clone_to_owned().expect("a descriptor is free")).expect("new");
        say(there.as_fd(), write(&arena, &pattern(5, 3 * MIB)), 5);
        true
    }));
    // The worker is dead; what it wrote is there.
    let (block, seed) = hear(here.as_fd()).expect("it was said");
    assert_eq!(bytes(&show(&gallery, block)), pattern(seed, 3 * MIB));
}

#[test]
fn many_threads_and_no_stale_byte() {
    let (arena, gallery) = arena_and_gallery(96 * MIB);
    arena.keep_warm(8 * MIB);
    std::thread::scope(|scope| {
        for thread in 1..=4_usize {
            let (arena, gallery) = (&arena, &gallery);
            scope.spawn(move || {
                let mut random = thread;
                for round in 0..150 {
                    random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                    let len = (random >> 20) % if round % 10 == 0 { 9 * MIB } else { 100_000 };
                    let expected = pattern(random, len);
                    let block = write(arena, &expected);
                    let view = show(gallery, block);
                    assert!(bytes(&view) == expected, "thread {thread}, round {round}");
                    if random & 4096 > 0 {
                        scribble(&view, 1 + (random >> 50));
                    }
                    drop(view);
                    arena.free(block);
                }
            });
        }
    });
    assert_eq!(arena.used(), 0);
}

#[test]
fn the_loan_goes_back_after_the_last_trace() {
    struct Keep(*const u8, Arc<AtomicBool>);
    // SAFETY: the pointer is into a gallery that outlives this, and is only read.
    unsafe impl Send for Keep {}
    // SAFETY: as above.
    unsafe impl Sync for Keep {}
    impl Drop for Keep {
        fn drop(&mut self) {
            // SAFETY: the gallery's mapping is still there.
            let byte = unsafe { self.0.read_volatile() };
            self.1.store(byte == 1, Ordering::Relaxed);
        }
    }
    let (arena, gallery) = arena_and_gallery(MIB);
    let block = write(&arena, &[1; 100]);
    let address = show(&gallery, block).as_ptr();
    let is_clean = Arc::new(AtomicBool::new(false));
    let view =
        gallery.view(block, Box::new(Keep(address, Arc::clone(&is_clean)))).expect("the arena made it");
    scribble(&view, 1);
    // A child's copy of the view gives nothing back.
    let mut view = Some(view);
    assert!(check_in_child(60, || {
        drop(view.take());
        !is_clean.load(Ordering::Relaxed)
    }));
    assert!(!is_clean.load(Ordering::Relaxed));
    drop(view);
    assert!(is_clean.load(Ordering::Relaxed));
}

#[test]
fn a_forked_child_leaves_the_arena_alone() {
    let (arena, gallery) = arena_and_gallery(4 * MIB);
    let block = write(&arena, b"the parent's");
    assert!(check_in_child(60, || {
        arena.free(block);
        let view = show(&gallery, block);
        scribble(&view, 1);
        arena.allocate(1).is_none() && arena.trim() == 0 && bytes(&show(&gallery, block)) == b"the parent's"
    }));
    assert_ne!(arena.allocate(1).expect("there is room").offset, block.offset);
}

#[test]
fn a_block_freed_while_it_is_written_is_used_again_afterwards() {
    let arena = Arena::new(2 * MIB).expect("address space is plentiful");
    let block = arena.allocate(MIB).expect("there is room");
    let mut writer = arena.writer(block);
    arena.free(block);
    assert_eq!(arena.allocate(2 * MIB), None);
    writer.put(&pattern(1, MIB));
    drop(writer);
    assert!(arena.allocate(2 * MIB).is_some());
}

#[test]
fn what_is_free_stays_warm_up_to_a_bound() {
    let arena = Arena::new(256 * MIB).expect("address space is plentiful");
    arena.keep_warm(10 * MIB);
    let blocks: Vec<Block> = (0..4).map(|round| write(&arena, &pattern(round, 8 * MIB))).collect();
    assert_eq!((arena.used(), arena.warm()), (32 * MIB, 0));
    assert!(resident(&arena) >= 32 * MIB);
    for block in blocks {
        arena.free(block);
    }
    assert_eq!((arena.used(), arena.warm()), (0, 8 * MIB));
    assert!(resident(&arena) < 10 * MIB, "{}", resident(&arena));
    assert_eq!(arena.trim(), 8 * MIB);
    assert_eq!((arena.warm(), resident(&arena)), (0, 0));
    assert_eq!(arena.trim(), 0);
}

#[test]
fn an_arena_costs_what_it_holds() {
    let arena = Arena::new(1 << 36).expect("address space is plentiful");
    write(&arena, &pattern(1, 40_000));
    // One huge page, where the system gives those unasked.
    assert!(resident(&arena) <= HUGE_PAGE);
    assert_eq!(arena.limit(), 1 << 36);
}

#[test]
fn all_of_it_goes_from_thread_to_thread() {
    fn goes<T: Send + Sync>() {}
    goes::<Arena>();
    goes::<BlockWriter<'_>>();
    goes::<Gallery>();
    goes::<View>();
}

#[test]
fn huge_pages_of_many_small_blocks_hold_their_bytes() {
    let (arena, gallery) = arena_and_gallery(128 * MIB);
    let blocks: Vec<Block> = (0..600).map(|seed| write(&arena, &pattern(seed, 100_000))).collect();
    for (seed, block) in blocks.into_iter().enumerate() {
        assert!(bytes(&show(&gallery, block)) == pattern(seed, 100_000), "{seed}");
        arena.free(block);
    }
    assert!(arena.allocate(128 * MIB).is_some());
}

#[test]
fn a_full_arena_says_so() {
    let arena = Arena::new(3 * HUGE_PAGE - 1).expect("address space is plentiful");
    assert_eq!(arena.limit(), 3 * HUGE_PAGE);
    assert_eq!(arena.allocate(usize::MAX), None);
    assert_eq!(arena.allocate(3 * HUGE_PAGE + 1), None);
    let block = arena.allocate(3 * HUGE_PAGE).expect("all of it");
    assert_eq!(arena.allocate(0), None);
    arena.free(block);
    assert!(arena.allocate(0).is_some());
}

#[test]
fn whatever_is_kept_below_half_of_the_ceiling_leaves_room_up_to_the_ceiling() {
    let arena = Arena::with_ceiling(8 * MIB).expect("address space is plentiful");
    assert_eq!((arena.ceiling(), arena.limit()), (8 * MIB, 16 * MIB));
    assert_eq!(arena.allocate_below_ceiling(8 * MIB + 1), None);
    let kept = arena.allocate_below_ceiling(4 * MIB).expect("it is empty");
    assert!(!Arena::is_crowded(arena.limit(), arena.used()));
    let whole = arena.allocate_below_ceiling(8 * MIB).expect("half may be kept");
    assert_eq!(arena.allocate_below_ceiling(1), None, "this has to wait for what is on its way");
    arena.free(whole);
    let half = arena.allocate_below_ceiling(4 * MIB).expect("there is room again");
    assert_eq!(arena.allocate_below_ceiling(1), None);
    arena.free(kept);
    assert!(arena.allocate_below_ceiling(4 * MIB).is_some());
    arena.free(half);
}

#[test]
#[should_panic(expected = "is not allocated")]
fn a_block_is_freed_once() {
    let arena = Arena::new(MIB).expect("address space is plentiful");
    let block = write(&arena, b"x");
    arena.free(block);
    arena.free(block);
}

#[test]
#[should_panic(expected = "too small for its parts")]
fn a_block_holds_no_more_than_it_has() {
    let arena = Arena::new(MIB).expect("address space is plentiful");
    let block = arena.allocate(10).expect("there is room");
    arena.writer(block).put(&[0; 11]);
}

#[test]
fn alignment_beyond_all_reason_is_gathered_over() {
    let (arena, gallery) = arena_and_gallery(128 * MIB);
    let block = arena.allocate(80 * MIB).expect("there is room");
    let mut writer = arena.writer(block);
    writer.put(b"first");
    writer.align(64 * MIB);
    writer.put(&pattern(1, 16 * MIB));
    drop(writer);
    let view = show(&gallery, block);
    assert_eq!(view.copy(0, 5).expect("within"), b"first");
    assert!(view.copy(64 * MIB as u64, 16 * MIB as u64).expect("within") == pattern(1, 16 * MIB));
}

/// From some size on, two threads fill a block.
#[test]
fn parts_of_any_size_arrive_whole() {
    let (arena, gallery) = arena_and_gallery(256 * MIB);
    let sizes = [100, 33 * MIB + 7, 1, 20 * MIB, 17 * MIB - 1];
    let block = arena.allocate(length_of(sizes).expect("few")).expect("there is room");
    let mut writer = arena.writer(block);
    let parts: Vec<_> = (0..).zip(sizes).map(|(seed, len)| pattern(seed, len)).collect();
    let places: Vec<u64> = parts
        .iter()
        .map(|part| {
            writer.align(ALIGNMENT);
            writer.put(part)
        })
        .collect();
    drop(writer);
    let view = show(&gallery, block);
    for (part, place) in parts.iter().zip(places) {
        assert!(view.copy(place, part.len() as u64).expect("within") == *part, "the one at {place}");
    }
}

#[test]
fn an_arena_needs_memory_that_it_can_write_to() {
    let arena = Arena::new(MIB).expect("address space is plentiful");
    assert!(Arena::attach(arena.reader().expect("there is a /proc")).is_err());
    assert!(
        Arena::attach(Memory::new("test", MIB).expect("a descriptor is free").into()).is_err(),
        "too small"
    );
    assert!(Gallery::attach(std::fs::File::open("/dev/null").expect("it is there").into()).is_err());
}

proptest! {
    /// Whatever another process says, a view is within the memory, or refused.
    #[test]
    fn numbers_from_elsewhere_are_judged(
        offset in prop_oneof![any::<u64>(), (0..600_u64).prop_map(|pages| pages * 4096), Just(2 * MIB as u64)],
        len in prop_oneof![any::<u64>(), 0..4 * MIB as u64],
        part in (prop_oneof![any::<u64>(), 0..3 * MIB as u64], prop_oneof![any::<u64>(), 0..3 * MIB as u64]),
    ) {
        let (_arena, gallery) = arena_and_gallery(2 * MIB);
        let is_block = offset.is_multiple_of(page_size() as u64)
            && offset.checked_add(len.max(1)).is_some_and(|end| end <= 2 * MIB as u64);
        match gallery.view(Block { offset, len }, Box::new(())) {
            Ok(view) => {
                prop_assert!(is_block);
                let is_part = part.0.checked_add(part.1).is_some_and(|end| end <= len);
                prop_assert_eq!(view.copy(part.0, part.1).is_ok(), is_part);
                scribble(&view, 4096);
            }
            Err(Corrupt(_)) => prop_assert!(!is_block),
        }
    }
}
