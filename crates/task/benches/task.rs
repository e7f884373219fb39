//! What a task costs before anything runs: its completion, its place in the queue, its item in a map.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raddle_task::completion::Completion;
use raddle_task::map::{Map, Order, Take};
use raddle_task::ready::ReadyQueue;
use std::hint::black_box;

/// From a new completion to its outcome in the hands of a reader who did not have to wait.
fn completion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("completion");
    group.bench_function("life", |bencher| {
        bencher.iter(|| {
            let task = Completion::<u64, ()>::default();
            assert!(task.start());
            let observers = task.complete(black_box(1));
            (observers, task.with_outcome(|outcome| *outcome))
        });
    });
    group.bench_function("life with an observer", |bencher| {
        bencher.iter(|| {
            let task = Completion::<u64, u64>::default();
            let registered = task.observe(black_box(7), false);
            assert!(task.start());
            (registered, task.complete(1))
        });
    });
    group.finish();
}

/// A flood: all are pushed before the first is popped. Flat over the numbers when memory is handled well.
fn ready(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ready queue");
    for count in [10_u64, 1_000, 100_000] {
        group.throughput(Throughput::Elements(count));
        for (name, ranks) in [("one priority", 1), ("ten priorities", 10)] {
            group.bench_with_input(BenchmarkId::new(name, count), &count, |bencher, &count| {
                bencher.iter(|| {
                    let mut queue = ReadyQueue::default();
                    for job in 0..count {
                        let rank = i32::try_from(job % ranks).expect("ranks are few");
                        queue.push(job, rank);
                    }
                    std::iter::from_fn(|| queue.pop()).map(black_box).count()
                });
            });
        }
    }
    group.finish();
}

/// One item of a map: fed, claimed, published with the next claim, taken.
fn map(criterion: &mut Criterion) {
    const ITEMS: u64 = 1_000;
    let mut group = criterion.benchmark_group("map");
    group.throughput(Throughput::Elements(ITEMS));
    for (name, order) in [("input order", Order::Input), ("completion order", Order::Completion)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let map = Map::new(order);
                map.feed_all(0..ITEMS);
                let mut finished = None;
                while let Some((index, item)) = map.claim(finished.take()) {
                    finished = Some((index, item));
                }
                let mut taken = 0_u64;
                while let Take::Ready(outcome) = map.take() {
                    taken += black_box(outcome);
                }
                taken
            });
        });
    }
    group.finish();
}

criterion_group!(benches, completion, ready, map);
criterion_main!(benches);
