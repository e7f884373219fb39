//! The queue against channels: the standard library's, and crossbeam's. For orientation: neither of these counts unfinished
//! work, is last in first out, or can be waited for by a coroutine.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raddle_sync::Owner;
use raddle_sync::queue::{Order, Queue};
use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Mutex, mpsc};
use std::thread::scope;

const ITEMS: usize = 100_000;
const BATCH: usize = 100;
const BOUND: usize = 64;

/// So many producers and consumers that share `ITEMS` between them.
fn cross(threads: usize, put: impl Fn(usize) + Sync, get: impl Fn() -> usize + Sync) {
    scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..ITEMS / threads).for_each(&put));
            scope.spawn(|| (0..ITEMS / threads).for_each(|_| _ = black_box(get())));
        }
    });
}

fn raddle(threads: usize, bound: Option<usize>) {
    let queue = Queue::new(bound.and_then(NonZeroUsize::new), Order::Fifo);
    cross(threads, |item| queue.put(item, None).expect("open"), || queue.get(None).expect("open"));
}

fn crossbeam(threads: usize, bound: Option<usize>) {
    let (sender, receiver) =
        bound.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded::<usize>);
    cross(threads, |item| sender.send(item).expect("open"), || receiver.recv().expect("open"));
}

/// Its one receiver goes from consumer to consumer behind a lock.
fn standard(threads: usize, bound: Option<usize>) {
    if let Some(bound) = bound {
        let (sender, receiver) = mpsc::sync_channel(bound);
        let receiver = Mutex::new(receiver);
        let get = || receiver.lock().expect("no panic").recv().expect("open");
        cross(threads, |item| sender.send(item).expect("open"), get);
    } else {
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let get = || receiver.lock().expect("no panic").recv().expect("open");
        cross(threads, |item| sender.send(item).expect("open"), get);
    }
}

fn across_threads(criterion: &mut Criterion) {
    for (kind, bound) in [("unbounded", None), ("bounded", Some(BOUND))] {
        let mut group = criterion.benchmark_group(format!("{kind} queue across threads"));
        group.throughput(Throughput::Elements(ITEMS as u64)).sample_size(10);
        for threads in [1, 4] {
            let id = |name| BenchmarkId::new(name, format!("{threads}:{threads}"));
            group.bench_function(id("raddle"), |bencher| bencher.iter(|| raddle(threads, bound)));
            group.bench_function(id("crossbeam-channel"), |bencher| {
                bencher.iter(|| crossbeam(threads, bound));
            });
            group.bench_function(id("std mpsc"), |bencher| bencher.iter(|| standard(threads, bound)));
        }
        group.finish();
    }
}

/// What an item costs when nobody else is there.
fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("put and get, one thread");
    let queue = Queue::new(None, Order::Fifo);
    group.bench_function("raddle", |bencher| {
        bencher.iter(|| {
            queue.try_put(black_box(1)).expect("open");
            queue.try_get(Owner::current_thread()).expect("it was put")
        });
    });
    let (sender, receiver) = crossbeam_channel::unbounded();
    group.bench_function("crossbeam-channel", |bencher| {
        bencher.iter(|| {
            sender.send(black_box(1)).expect("open");
            receiver.recv().expect("it was put")
        });
    });
    let (sender, receiver) = mpsc::channel();
    group.bench_function("std mpsc", |bencher| {
        bencher.iter(|| {
            sender.send(black_box(1)).expect("open");
            receiver.recv().expect("it was put")
        });
    });
    // By turns for so many takers: whether they report decides what the queue knows of them.
    let takers: Vec<_> = (1..=32).map(|number| Owner::task(number * 8)).collect();
    for reports in [false, true] {
        let queue = Queue::new(None, Order::Fifo);
        let mut next = takers.iter().cycle();
        let name = if reports { "32 takers who report" } else { "32 takers who do not report" };
        group.bench_function(format!("raddle, {name}"), |bencher| {
            bencher.iter(|| {
                let taker = *next.next().expect("a circle");
                queue.try_put(black_box(1)).expect("open");
                let item = queue.try_get(taker);
                if reports {
                    queue.task_done(1, taker).expect("it was put");
                }
                item
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("a batch of 100, one thread");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("raddle", |bencher| {
        bencher.iter(|| {
            let mut items: VecDeque<_> = (0..BATCH).collect();
            queue.put_many(&mut items).expect("open");
            queue.get_many(BATCH, Owner::current_thread()).expect("they were put")
        });
    });
    group.finish();
}

criterion_group!(benches, alone, across_threads);
criterion_main!(benches);
