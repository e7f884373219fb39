//! What a task costs on its way through the channel: its four steps without anybody else, a round trip to another process and
//! back, and a flood of tasks. The processes are bound to a processor each: where the scheduler puts them on one, as it does
//! on a busy machine, a round trip is two changes of process, which is not what this measures.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raddle_process::channel::{Bell, LARGEST, Message, ParentSide, WorkerSide};
use std::hint::black_box;

#[path = "../tests/channel/other.rs"]
mod other;

use other::{ECHO, Pool, echo, serve};

const SIZES: [usize; 4] = [0, 64, 1024, LARGEST];
const FLOOD: u64 = 10_000;

fn message<'a>(task: u64, parts: &'a [&'a [u8]]) -> Message<'a> {
    Message { kind: ECHO, flags: 0, task, parts }
}

/// Binds the calling thread to one of the processors.
fn bind(index: usize) {
    let processors = core_affinity::get_core_ids().expect("Linux tells");
    assert!(core_affinity::set_for_current(processors[index % processors.len()]));
}

/// A worker that sends back what it gets, on another processor than the caller.
fn start() -> Pool {
    let pool = Pool::start(|worker| {
        bind(1);
        serve(worker, echo);
    });
    bind(0);
    pool
}

/// Both ends in one thread: what the steps themselves take.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand_out, next, reply, receive in one thread");
    let bell = Bell::new().expect("there is memory");
    let mut parent = ParentSide::new().expect("there is memory");
    let memory = parent.fd().try_clone_to_owned().expect("there are descriptors");
    let mut worker = WorkerSide::attach(memory, bell).expect("it is one");
    let (mut body, mut reply) = (Vec::new(), Vec::new());
    for size in SIZES {
        let bytes = vec![7; size];
        let mut task = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                task += 1;
                let claim = parent.hand_out(&message(task, &[black_box(&bytes)])).expect("there is room");
                parent.nudge();
                let header = worker.next(&mut body).expect("it was sent");
                worker.reply(&message(header.task, &[&body])).expect("there is room");
                let header = parent.receive(&mut reply).expect("it is sound");
                parent.settle(claim);
                header
            });
        });
    }
    group.finish();
}

/// One task after the other.
fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round trip between two processes");
    for size in SIZES {
        let mut pool = start();
        let bytes = vec![7; size];
        let mut task = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                task += 1;
                let claim = pool.parent.hand_out(&message(task, &[&bytes])).expect("there is room");
                pool.parent.nudge();
                pool.receive().expect("it lives");
                pool.parent.settle(claim);
            });
        });
        assert!(pool.stop());
    }
    group.finish();
}

/// As many as there are claims under way at any time.
fn flood(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flood between two processes");
    group.throughput(Throughput::Elements(FLOOD));
    for size in SIZES {
        let mut pool = start();
        let bytes = vec![7; size];
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let (mut sent, mut received) = (0, 0);
                while received < FLOOD {
                    let before = sent;
                    while sent < FLOOD && pool.parent.hand_out(&message(sent, &[&bytes])).is_ok() {
                        sent += 1;
                    }
                    if sent > before {
                        pool.parent.nudge();
                    }
                    let claim = pool.receive().expect("it lives").0.claim.expect("it is out");
                    pool.parent.settle(claim);
                    received += 1;
                }
            });
        });
        assert!(pool.stop());
    }
    group.finish();
}

criterion_group!(benches, steps, round_trip, flood);
criterion_main!(benches);
