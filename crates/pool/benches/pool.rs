//! The pool for Rust closures against what one writes by hand: threads of the standard library behind one channel.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raddle_pool::ThreadPool;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// The peer: workers take turns at a channel's receiver, and each task answers through a channel of its own.
struct ChannelPool {
    jobs: Sender<Job>,
}

impl ChannelPool {
    /// The threads end when the pool, and so the channel's sender, is dropped.
    fn new(workers: usize) -> Self {
        let (jobs, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..workers {
            let receiver = Arc::clone(&receiver);
            std::thread::spawn(move || {
                loop {
                    let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    job();
                }
            });
        }
        Self { jobs }
    }

    fn submit(&self, work: impl FnOnce() -> u64 + Send + 'static) -> Receiver<u64> {
        let (answer, receiver) = channel();
        let job: Job = Box::new(move || {
            // The benchmark has ended when nobody listens.
            let _ = answer.send(work());
        });
        self.jobs.send(job).expect("the workers live as long as the pool");
        receiver
    }
}

const TASKS: u64 = 1_000;

fn raddle_flood(pool: &ThreadPool, tasks: u64) -> u64 {
    let handles: Vec<_> = (0..tasks).map(|task| pool.submit(move || black_box(task))).collect();
    handles.into_iter().map(|handle| handle.join().expect("no panic")).sum()
}

fn channel_flood(pool: &ChannelPool, tasks: u64) -> u64 {
    let answers: Vec<_> = (0..tasks).map(|task| pool.submit(move || black_box(task))).collect();
    answers.into_iter().map(|answer| answer.recv().expect("every task answers")).sum()
}

/// All submitted before the first is joined.
fn flood(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit all, then join");
    group.throughput(Throughput::Elements(TASKS));
    for workers in [1, 2, 10, 100] {
        let pool = ThreadPool::new(workers);
        group.bench_function(BenchmarkId::new("raddle", workers), |bencher| {
            bencher.iter(|| raddle_flood(&pool, TASKS));
        });
        let pool = ChannelPool::new(workers);
        group.bench_function(BenchmarkId::new("std channel", workers), |bencher| {
            bencher.iter(|| channel_flood(&pool, TASKS));
        });
    }
    group.finish();
}

/// Each joined before the next is submitted: two wake-ups a task.
fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one at a time");
    let pool = ThreadPool::new(2);
    group.bench_function("raddle", |bencher| bencher.iter(|| raddle_flood(&pool, 1)));
    let pool = ChannelPool::new(2);
    group.bench_function("std channel", |bencher| bencher.iter(|| channel_flood(&pool, 1)));
    group.finish();
}

/// A task that waits for another one of the same pool, which gives its slot away meanwhile.
fn nested(criterion: &mut Criterion) {
    let pool = ThreadPool::new(1);
    let inner = pool.clone();
    criterion.bench_function("nested in one worker", |bencher| {
        bencher.iter(|| {
            let inner = inner.clone();
            pool.submit(move || inner.submit(|| black_box(1)).join().expect("no panic")).join()
        });
    });
}

criterion_group!(benches, flood, round_trip, nested);
criterion_main!(benches);
