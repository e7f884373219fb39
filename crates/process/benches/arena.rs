//! 100 MB from one process to another, step by step, against one copy between warm pages. Both sides stand in this process; to the
//! system that is the same, as they have mappings of their own.
#![expect(unsafe_code, reason = "what a view shows is read through a pointer")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raddle_process::arena::{Arena, Block, Gallery, View};
use std::hint::black_box;
use std::sync::Arc;

const SIZES: [usize; 4] = [40_000, 1_000_000, 10_000_000, 100_000_000];

fn arena_and_gallery() -> (Arena, Arc<Gallery>) {
    let arena = Arena::new(1 << 34).expect("address space is plentiful");
    let gallery = Gallery::attach(arena.reader().expect("a descriptor is free")).expect("it is an arena's");
    (arena, gallery)
}

fn write(arena: &Arena, bytes: &[u8]) -> Block {
    let block = arena.allocate(bytes.len()).expect("there is room");
    arena.writer(block).put(bytes);
    block
}

fn show(gallery: &Arc<Gallery>, block: Block) -> View {
    gallery.view(block, Box::new(())).expect("the arena made it")
}

/// Reads all of it.
fn sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

/// Reads all that a view shows.
fn read(view: &View) -> u64 {
    // SAFETY: a view's bytes can be read, and nobody writes to them meanwhile.
    sum(unsafe { std::slice::from_raw_parts(view.as_ptr(), view.len()) })
}

/// Writes a byte to every page that a view shows.
fn scribble(view: &View) {
    for offset in (0..view.len()).step_by(4096) {
        // SAFETY: within the view, which nobody else uses.
        unsafe { view.as_ptr().add(offset).write(1) };
    }
}

fn plain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory");
    group.sample_size(20);
    for size in SIZES {
        let source = vec![1_u8; size];
        let mut target = vec![2_u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        let copy = BenchmarkId::new("copy between warm pages", size);
        group.bench_function(copy, |bencher| {
            bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
        });
        let read = BenchmarkId::new("read warm pages", size);
        group.bench_function(read, |bencher| bencher.iter(|| sum(black_box(&target))));
    }
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("arena");
    group.sample_size(20);
    for size in SIZES {
        let (arena, gallery) = arena_and_gallery();
        let source = vec![1_u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("write a fresh block", size), |bencher| {
            bencher.iter_batched(
                || arena.trim(),
                |_| arena.free(write(&arena, &source)),
                BatchSize::PerIteration,
            );
        });
        arena.free(write(&arena, &source));
        group.bench_function(BenchmarkId::new("write a block again", size), |bencher| {
            bencher.iter(|| arena.free(write(&arena, &source)));
        });
        let block = write(&arena, &source);
        group.bench_function(BenchmarkId::new("first read", size), |bencher| {
            // A gallery that has not seen any page.
            let attach =
                || Gallery::attach(arena.reader().expect("a descriptor is free")).expect("it is an arena's");
            bencher.iter_batched_ref(attach, |gallery| read(&show(gallery, block)), BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("view, read, give back", size), |bencher| {
            bencher.iter(|| read(&show(&gallery, block)));
        });
        group.bench_function(BenchmarkId::new("view, give back", size), |bencher| {
            bencher.iter(|| show(&gallery, block));
        });
        group.bench_function(BenchmarkId::new("view, write to every page, give back", size), |bencher| {
            bencher.iter(|| scribble(&show(&gallery, block)));
        });
        group.bench_function(BenchmarkId::new("read after that", size), |bencher| {
            let scribbled = || scribble(&show(&gallery, block));
            bencher.iter_batched(scribbled, |()| read(&show(&gallery, block)), BatchSize::PerIteration);
        });
        arena.free(block);
        group.bench_function(
            BenchmarkId::new("round: write again, view, read, give back", size),
            |bencher| {
                bencher.iter(|| {
                    let block = write(&arena, &source);
                    let sum = read(&show(&gallery, block));
                    arena.free(block);
                    sum
                });
            },
        );
    }
}

criterion_group!(benches, plain, steps);
criterion_main!(benches);
