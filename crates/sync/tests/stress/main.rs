//! Random operations over every primitive, by threads and by tasks on a loop, with timeouts and departures: all must end.
//!
//! A wake-up that is lost leaves a thread asleep for ever; then the test fails after [`LIMIT`] and says where everybody was.
//! The seed is fixed, the order of the threads is not. More than ten million operations in a
//! release build, fewer in a debug build.

mod tasks;

use raddle_sync::{
    Arrival, Barrier, Event, Latch, Lock, Moment, Notifier, Owner, RLock, ReadSide, RwLock, Semaphore,
    Waitable, Waiter, Wake, WriteSide, waiter,
};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const THREADS: usize = 6;
const OPERATIONS: usize = if cfg!(debug_assertions) { 300_000 } else { 10_000_000 };
/// Between two meetings of all threads.
const ROUND: usize = 5_000;
const LIMIT: Duration = Duration::from_mins(5);

/// Xorshift: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// Mostly goes on at once; sometimes lets others run while it is inside something.
    fn dawdle(&mut self) {
        if self.one_in(32) {
            std::thread::yield_now();
        }
    }

    /// Mostly none; sometimes one that has passed, or that passes in the middle of things.
    fn deadline(&mut self) -> Option<Moment> {
        match self.below(32) {
            0 => Some(Moment::now()),
            1 => Some(Moment::now() + Duration::from_micros(self.below(100))),
            _ => None,
        }
    }
}

/// How many are inside something: never more than may be.
#[derive(Default)]
struct Inside(AtomicU64);

impl Inside {
    fn visit(&self, most: u64, inside: impl FnOnce()) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < most, "too many at once");
        inside();
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn nobody(&self) {
        assert_eq!(self.0.load(Ordering::Relaxed), 0, "somebody is inside");
    }
}

/// A condition: a lock, its queue, and a number of items.
#[derive(Default)]
struct Store {
    lock: Lock,
    changed: Notifier,
    items: AtomicU64,
}

impl Store {
    fn give(&self) {
        assert!(waiter::block(&self.lock, None));
        self.items.fetch_add(1, Ordering::Relaxed);
        self.changed.notify(1);
        self.lock.release().expect("held");
    }

    fn take(&self, random: &mut Random) {
        assert!(waiter::block(&self.lock, None));
        while self.items.load(Ordering::Relaxed) == 0 {
            let waiter = Waiter::thread(Owner::current_thread());
            self.changed.join(&waiter);
            self.lock.release().expect("held");
            let deadline = random.deadline();
            while !self.changed.attempt(&waiter) {
                // Who gives up looks again, so a notification that it got at that moment is not lost on it.
                if waiter.sleep(deadline) == Wake::TimedOut {
                    self.changed.abandon(&waiter);
                    break;
                }
            }
            assert!(waiter::block(&self.lock, None));
        }
        self.items.fetch_sub(1, Ordering::Relaxed);
        random.dawdle();
        self.lock.release().expect("held");
    }
}

struct World {
    locks: [(Lock, Inside); 2],
    nested: [(RLock, Inside); 2],
    semaphores: [(Semaphore, Inside); 2],
    shared: [(RwLock, Inside, Inside); 2],
    store: Store,
    barrier: Arc<Barrier>,
    event: Event,
    latch: Mutex<Arc<Latch>>,
    /// Where each thread is, for the report of one that does not end.
    doing: [AtomicUsize; THREADS],
}

const PERMITS: u64 = 2;

impl World {
    fn new() -> Self {
        let latch = Mutex::new(Arc::new(Latch::new(THREADS as u64)));
        Self {
            locks: [false, true].map(|fair| (Lock::new(fair), Inside::default())),
            nested: [false, true].map(|fair| (RLock::new(fair), Inside::default())),
            semaphores: [false, true]
                .map(|fair| (Semaphore::new(PERMITS, Some(PERMITS), fair), Inside::default())),
            shared: [false, true].map(|fair| (RwLock::new(fair), Inside::default(), Inside::default())),
            store: Store::default(),
            barrier: Arc::new(Barrier::new(u32::try_from(THREADS).expect("a few"))),
            event: Event::new(),
            latch,
            doing: [const { AtomicUsize::new(0) }; THREADS],
        }
    }

    fn operation(&self, random: &mut Random, number: usize) {
        let which = usize::try_from(random.below(2)).expect("0 or 1");
        let kind = usize::try_from(random.below(10)).expect("a digit");
        self.doing[number].store(10 * which + kind, Ordering::Relaxed);
        match kind {
            0 | 1 => self.lock(random, which),
            2 => self.nest(random, which),
            3 | 4 => self.permit(random, which),
            5..=7 => self.read(random, which),
            8 => self.write(random, which),
            _ => {
                self.store.give();
                self.store.take(random);
            }
        }
    }

    fn lock(&self, random: &mut Random, which: usize) {
        let (lock, inside) = &self.locks[which];
        let me = Owner::current_thread();
        if lock.try_acquire(me) || waiter::block(lock, random.deadline()) {
            inside.visit(1, || {
                assert_eq!(lock.owner(), Some(me));
                random.dawdle();
            });
            lock.release().expect("held");
        }
    }

    fn nest(&self, random: &mut Random, which: usize) {
        let (lock, inside) = &self.nested[which];
        let me = Owner::current_thread();
        if waiter::block(lock, random.deadline()) {
            assert!(waiter::block(lock, None));
            inside.visit(1, || {
                assert_eq!(lock.count(me), 2);
                random.dawdle();
            });
            if random.one_in(4) {
                assert_eq!(lock.release_all(me), Some(2));
                assert!(waiter::block(lock, None));
                lock.restore(me, 2).expect("held");
            }
            lock.release(me).expect("held twice");
            inside.visit(1, || assert_eq!(lock.count(me), 1));
            lock.release(me).expect("held once");
        }
    }

    fn permit(&self, random: &mut Random, which: usize) {
        let (semaphore, inside) = &self.semaphores[which];
        if waiter::block(semaphore, random.deadline()) {
            inside.visit(PERMITS, || random.dawdle());
            semaphore.release(1).expect("it was taken");
        }
    }

    fn read(&self, random: &mut Random, which: usize) {
        let (lock, writers, readers) = &self.shared[which];
        let me = Owner::current_thread();
        let inside = match random.below(3) {
            0 => lock.try_read(me),
            1 => lock.read(me, random.deadline()),
            _ => waiter::block(&ReadSide(lock), random.deadline()),
        };
        if inside {
            readers.visit(u64::MAX, || {
                random.dawdle();
                writers.nobody();
            });
            lock.release_read(me).expect("held");
        }
    }

    fn write(&self, random: &mut Random, which: usize) {
        let (lock, writers, readers) = &self.shared[which];
        let me = Owner::current_thread();
        let inside = match random.below(3) {
            0 => lock.try_write(me),
            1 => lock.write(me, random.deadline()),
            _ => waiter::block(&WriteSide(lock), random.deadline()),
        };
        if inside {
            writers.visit(1, || {
                random.dawdle();
                readers.nobody();
            });
            if random.one_in(2) {
                lock.release_write().expect("held");
            } else {
                lock.downgrade().expect("held");
                readers.visit(u64::MAX, || writers.nobody());
                lock.release_read(me).expect("held");
            }
        }
    }

    /// All meet; nobody gives up here.
    fn meet(&self, last: impl FnOnce()) {
        match self.barrier.arrive().expect("nobody breaks it") {
            Arrival::Last(turn) => {
                last();
                turn.pass();
            }
            Arrival::Waits(place) => {
                assert!(waiter::block(&place, None));
                place.outcome().expect("it is over").expect("nobody gives up");
            }
        }
    }

    /// All meet at a barrier, count a latch down, and wait for an event that one of them sets.
    fn round(&self, number: usize) {
        self.doing[number].store(100, Ordering::Relaxed);
        self.meet(|| self.event.clear());
        self.doing[number].store(101, Ordering::Relaxed);
        let latch = Arc::clone(&self.latch.lock().expect("nobody panics with it"));
        latch.count_down(1);
        assert!(waiter::block(&*latch, None));
        self.doing[number].store(102, Ordering::Relaxed);
        if number == 0 {
            self.event.set();
        }
        assert!(waiter::block(&self.event, None));
        self.doing[number].store(103, Ordering::Relaxed);
        self.meet(|| {
            let next = Arc::new(Latch::new(THREADS as u64));
            *self.latch.lock().expect("nobody panics with it") = next;
        });
    }
}

/// Runs `threads` and fails when they don't end in time.
fn run_all(threads: Vec<Box<dyn FnOnce() + Send>>, report: impl FnOnce() -> String) {
    let ended = Arc::new(Latch::new(threads.len() as u64));
    let failed = Arc::new(AtomicBool::new(false));
    let spawn = |run: Box<dyn FnOnce() + Send>| {
        let (ended, failed) = (Arc::clone(&ended), Arc::clone(&failed));
        std::thread::spawn(move || {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                failed.store(true, Ordering::Relaxed);
                // The others may wait for it for ever.
                ended.count_down(u64::MAX);
            }
            ended.count_down(1);
        })
    };
    let spawned: Vec<_> = threads.into_iter().map(spawn).collect();
    let in_time = waiter::block(&*ended, Some(Moment::now() + LIMIT));
    assert!(in_time, "{} go on: {}", ended.count(), report());
    assert!(!failed.load(Ordering::Relaxed), "see above");
    for thread in spawned {
        thread.join().expect("its panics were caught");
    }
}

#[test]
fn threads_that_do_everything_end() {
    let world = Arc::new(World::new());
    let run = |number: usize| -> Box<dyn FnOnce() + Send> {
        let world = Arc::clone(&world);
        Box::new(move || {
            let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1));
            for operation in 0..OPERATIONS / THREADS {
                if operation % ROUND == 0 {
                    world.round(number);
                }
                world.operation(&mut random, number);
            }
        })
    };
    run_all((0..THREADS).map(run).collect(), || format!("{:?}", world.doing));
}
