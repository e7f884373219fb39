//! What a lock costs: alone, and with 95 % reads from several threads beside `parking_lot`'s.
//!
//! The mixed workload is timed from the moment at which all threads begin until the last has done its share. They are bound
//! to the processors in turn: left alone, Linux may run two young threads on one processor for many milliseconds, and then
//! the figure says nothing about contention. The guarded value is an atomic on both sides, so that neither gains by what
//! the compiler does with it. Ours by default is compared with `parking_lot` by default, and ours that is fair with
//! `parking_lot` where every guard is released by `unlock_fair`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use raddle_sync::{Event, Lock, Moment, Owner, RLock, RwLock, Semaphore};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn uncontended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("uncontended");
    let me = Owner::current_thread();
    let lock = Lock::default();
    group.bench_function("Lock", |bencher| {
        bencher.iter(|| {
            assert!(black_box(&lock).try_acquire(Owner::current_thread()));
            black_box(&lock).release()
        });
    });
    let peer = parking_lot::Mutex::new(());
    group.bench_function("parking_lot::Mutex", |bencher| bencher.iter(|| drop(black_box(&peer).lock())));
    let rlock = RLock::default();
    group.bench_function("RLock", |bencher| {
        bencher.iter(|| {
            assert!(black_box(&rlock).try_acquire(me));
            black_box(&rlock).release(me)
        });
    });
    let peer = parking_lot::ReentrantMutex::new(());
    group.bench_function("parking_lot::ReentrantMutex", |bencher| {
        bencher.iter(|| drop(black_box(&peer).lock()));
    });
    let semaphore = Semaphore::new(1, None, false);
    group.bench_function("Semaphore", |bencher| {
        bencher.iter(|| {
            assert!(black_box(&semaphore).try_acquire(1));
            black_box(&semaphore).release(1)
        });
    });
    let event = Event::default();
    group.bench_function("Event set and clear", |bencher| {
        bencher.iter(|| {
            black_box(&event).set();
            black_box(&event).clear();
        });
    });
    let many = RwLock::default();
    group.bench_function("RwLock read", |bencher| {
        bencher.iter(|| {
            assert!(black_box(&many).try_read(me));
            black_box(&many).release_read(me)
        });
    });
    group.bench_function("RwLock write", |bencher| {
        bencher.iter(|| {
            assert!(black_box(&many).try_write(me));
            black_box(&many).release_write()
        });
    });
    let peer = parking_lot::RwLock::new(());
    group
        .bench_function("parking_lot::RwLock read", |bencher| bencher.iter(|| drop(black_box(&peer).read())));
    group.bench_function("parking_lot::RwLock write", |bencher| {
        bencher.iter(|| drop(black_box(&peer).write()));
    });
    group.finish();
}

const THREADS: [u64; 3] = [2, 4, 8];

/// A lock around an atomic, to be read or written once.
trait Guarded: Sync {
    fn read(&self, owner: Owner) -> u64;
    fn write(&self, owner: Owner);
}

struct Ours {
    lock: RwLock,
    value: AtomicU64,
}

impl Guarded for Ours {
    fn read(&self, owner: Owner) -> u64 {
        self.lock.read(owner, None);
        let value = self.value.load(Ordering::Relaxed);
        self.lock.release_read(owner).expect("held");
        value
    }

    fn write(&self, owner: Owner) {
        self.lock.write(owner, None);
        let value = self.value.load(Ordering::Relaxed);
        self.value.store(value + 1, Ordering::Relaxed);
        self.lock.release_write().expect("held");
    }
}

#[derive(Default)]
struct ParkingLot<const FAIR: bool>(parking_lot::RwLock<AtomicU64>);

impl<const FAIR: bool> Guarded for ParkingLot<FAIR> {
    fn read(&self, _owner: Owner) -> u64 {
        let guard = self.0.read();
        let value = guard.load(Ordering::Relaxed);
        if FAIR {
            RwLockReadGuard::unlock_fair(guard);
        }
        value
    }

    fn write(&self, _owner: Owner) {
        let guard = self.0.write();
        let value = guard.load(Ordering::Relaxed);
        guard.store(value + 1, Ordering::Relaxed);
        if FAIR {
            RwLockWriteGuard::unlock_fair(guard);
        }
    }
}

/// Binds the calling thread to one of the processors.
fn bind(number: u64) {
    let processors = core_affinity::get_core_ids().expect("Linux tells");
    let index = usize::try_from(number).expect("a few") % processors.len();
    assert!(core_affinity::set_for_current(processors[index]));
}

/// How long `threads` take for `rounds` operations each, of which one in twenty writes.
fn mixed(lock: &dyn Guarded, threads: u64, rounds: u64) -> Duration {
    let start = Barrier::new(usize::try_from(threads).expect("a few") + 1);
    std::thread::scope(|scope| {
        for seed in 1..=threads {
            let start = &start;
            scope.spawn(move || {
                bind(seed);
                let owner = Owner::current_thread();
                let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                start.wait();
                for _ in 0..rounds {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    if random % 20 == 0 {
                        lock.write(owner);
                    } else {
                        black_box(lock.read(owner));
                    }
                }
                start.wait();
            });
        }
        start.wait();
        let begin = Moment::now();
        start.wait();
        Moment::now().since(begin)
    })
}

fn ours(fair: bool) -> Ours {
    Ours { lock: RwLock::new(fair), value: AtomicU64::new(0) }
}

fn readers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("95 % reads");
    for threads in THREADS {
        group.throughput(Throughput::Elements(threads));
        let mut case = |name: &str, lock: &dyn Fn(u64) -> Duration| {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| bencher.iter_custom(lock));
        };
        let lock = ours(false);
        case("raddle", &|rounds| mixed(&lock, threads, rounds));
        let peer = ParkingLot::<false>::default();
        case("parking_lot", &|rounds| mixed(&peer, threads, rounds));
        let lock = ours(true);
        case("raddle, fair", &|rounds| mixed(&lock, threads, rounds));
        let peer = ParkingLot::<true>::default();
        case("parking_lot, unlock_fair", &|rounds| mixed(&peer, threads, rounds));
    }
    group.finish();
}

/// Every lock in turn, again and again, so that whatever else the machine does meets all of them: the median time in
/// nanoseconds in which every thread does one operation.
fn medians<const N: usize>(locks: [&dyn Guarded; N], threads: u64) -> [f64; N] {
    const TURNS: usize = 21;
    const ROUNDS: u32 = 300_000;
    let mut times = [[0.0; TURNS]; N];
    for turn in 0..TURNS {
        for (lock, times) in locks.iter().zip(&mut times) {
            times[turn] = mixed(*lock, threads, ROUNDS.into()).as_secs_f64() * 1e9 / f64::from(ROUNDS);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TURNS / 2]
    })
}

fn ratios(_criterion: &mut Criterion) {
    println!("95 % reads: nanoseconds in which every thread does one operation; raddle, parking_lot, ratio");
    println!("| threads | default | fair, unlock_fair |");
    println!("|---|---|---|");
    for threads in THREADS {
        let (default, default_peer) = (ours(false), ParkingLot::<false>::default());
        let (fair, fair_peer) = (ours(true), ParkingLot::<true>::default());
        let [a, b, c, d] = medians([&default, &default_peer, &fair, &fair_peer], threads);
        println!("| {threads} | {a:.0} {b:.0} {:.2} | {c:.0} {d:.0} {:.2} |", b / a, d / c);
    }
}

criterion_group!(benches, uncontended, readers, ratios);
criterion_main!(benches);
