//! The wait-for graph against an oracle that tries every schedule.
//!
//! Random programs of threads and locks are run step by step, by one real thread: some locks are held by one, some shared
//! by many; some hand over, some let anybody be quicker; some may be released by anybody. Whenever somebody is about to
//! sleep, the graph must tell of a deadlock if and only if the oracle finds a thread that no schedule lets go on. Who is
//! told gives up; so no deadlock is ever left standing, and each one that shows up is new.

use raddle_sync::graph::{Cycle, Graph, Registration};
use raddle_sync::{Owner, WaitQueue, Waitable, Waiter, Woken};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

const THREADS: usize = 5;
const LOCKS: usize = 4;

/// Numbers that are the same in every run (xorshift, after Marsaglia).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    Alone,
    Shared,
}

/// Who holds a lock, by the threads' numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Holds {
    alone: Option<usize>,
    shared: [bool; THREADS],
}

impl Holds {
    fn is_free(&self) -> bool {
        self.alone.is_none() && self.shared == [false; THREADS]
    }

    fn admits(&self, mode: Mode) -> bool {
        match mode {
            Mode::Alone => self.is_free(),
            Mode::Shared => self.alone.is_none(),
        }
    }

    fn enter(&mut self, thread: usize, mode: Mode) {
        match mode {
            Mode::Alone => self.alone = Some(thread),
            Mode::Shared => self.shared[thread] = true,
        }
    }

    fn has(&self, thread: usize) -> bool {
        self.alone == Some(thread) || self.shared[thread]
    }

    fn remove(&mut self, thread: usize) {
        self.alone = self.alone.filter(|holder| *holder != thread);
        self.shared[thread] = false;
    }

    /// Whom one that wants it waits for: all of them.
    fn in_the_way(&self, mode: Mode) -> impl Iterator<Item = usize> {
        let shared = self.shared;
        let readers = (0..THREADS).filter(move |&thread| mode == Mode::Alone && shared[thread]);
        self.alone.into_iter().chain(readers)
    }
}

fn owner(thread: usize) -> Owner {
    Owner::task(8 * (u64::try_from(thread).expect("a small number") + 1))
}

fn thread(owner: Owner) -> usize {
    (0..THREADS).find(|&thread| self::owner(thread) == owner).expect("one of ours")
}

#[derive(Default)]
struct Inside {
    holds: Holds,
    alone: WaitQueue,
    shared: WaitQueue,
}

/// A lock for one, or many who share it.
struct Lock {
    /// Whether it is handed over, or freed for the quickest.
    fair: bool,
    /// Whether none but its holders can release it.
    exact: bool,
    inside: Mutex<Inside>,
}

impl Lock {
    fn holds(&self) -> Holds {
        self.inside.lock().expect("no panic").holds
    }

    fn release(&self, thread: usize, want: &Want) {
        let woken: Vec<Woken> = {
            let mut inside = self.inside.lock().expect("no panic");
            let inside = &mut *inside;
            inside.holds.remove(thread);
            let mut woken = Vec::new();
            if self.fair && inside.holds.is_free() {
                if let Some(first) = inside.alone.first() {
                    inside.holds.enter(self::thread(first.owner()), Mode::Alone);
                    woken.extend(inside.alone.grant());
                } else {
                    for waiter in inside.shared.iter() {
                        inside.holds.enter(self::thread(waiter.owner()), Mode::Shared);
                    }
                    woken.extend(std::iter::from_fn(|| inside.shared.grant()));
                }
            } else if !self.fair && inside.holds.is_free() {
                woken.extend(inside.alone.wake());
                woken.extend(std::iter::from_fn(|| inside.shared.wake()));
            }
            woken
        };
        Woken::ring_all(woken, want);
    }
}

/// What a thread waits for: a lock in one of its modes.
#[derive(Clone)]
struct Want {
    lock: Arc<Lock>,
    number: usize,
    mode: Mode,
}

impl Waitable for Want {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let mut inside = self.lock.inside.lock().expect("no panic");
        let inside = &mut *inside;
        let queue = if self.mode == Mode::Alone { &mut inside.alone } else { &mut inside.shared };
        if waiter.is_granted() || inside.holds.admits(self.mode) {
            inside.holds.enter(thread(waiter.owner()), self.mode);
            queue.leave(waiter);
            waiter.reset();
            return true;
        }
        queue.join(waiter);
        false
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let mut inside = self.lock.inside.lock().expect("no panic");
        let granted = waiter.is_granted();
        let woken = waiter.is_woken();
        let queue = if self.mode == Mode::Alone { &mut inside.alone } else { &mut inside.shared };
        queue.leave(waiter);
        waiter.reset();
        let next = if woken { queue.wake() } else { None };
        drop(inside);
        Woken::ring_all(next, self);
        granted
    }

    fn holders(&self, _waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.lock.holds().in_the_way(self.mode).map(owner).for_each(visit);
    }

    fn is_exact(&self) -> bool {
        self.lock.exact
    }
}

/// All that decides who may ever go on: a position that the oracle moves on from.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Position {
    holds: [Holds; LOCKS],
    /// Which lock each thread waits for, in which mode, and whether it gives up some time.
    waits: [Option<(usize, Mode, bool)>; THREADS],
}

impl Position {
    /// All positions that one step of one thread leads to. Whoever does not wait may release all that he holds.
    fn next(&self) -> Vec<Self> {
        let mut next = Vec::new();
        for thread in 0..THREADS {
            match self.waits[thread] {
                Some((lock, mode, timed)) => {
                    let mut position = self.clone();
                    position.waits[thread] = None;
                    if timed {
                        next.push(position.clone());
                    }
                    if self.holds[lock].admits(mode) {
                        position.holds[lock].enter(thread, mode);
                        next.push(position);
                    }
                }
                None => {
                    for lock in (0..LOCKS).filter(|&lock| self.holds[lock].has(thread)) {
                        let mut position = self.clone();
                        position.holds[lock].remove(thread);
                        next.push(position);
                    }
                }
            }
        }
        next
    }

    /// Whether there is a thread that never goes on, whatever the schedule.
    fn is_deadlock(&self) -> bool {
        let mut free = [false; THREADS];
        let mut seen = HashSet::from([self.clone()]);
        let mut open = vec![self.clone()];
        while let Some(position) = open.pop() {
            for (free, wait) in free.iter_mut().zip(position.waits) {
                *free |= wait.is_none();
            }
            if free == [true; THREADS] {
                return false;
            }
            open.extend(position.next().into_iter().filter(|next| seen.insert(next.clone())));
        }
        true
    }
}

struct Wait {
    want: Want,
    waiter: Arc<Waiter>,
    timed: bool,
    _registration: Registration,
}

#[derive(Default)]
struct Counts {
    told: usize,
    presumed: usize,
    asleep: usize,
    longest: usize,
}

struct Program {
    random: Random,
    graph: Arc<Graph>,
    locks: Vec<Arc<Lock>>,
    waits: [Option<Wait>; THREADS],
    counts: Counts,
}

impl Program {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let locks = (0..LOCKS).map(|_| {
            let (fair, exact) = (random.chance(50), random.chance(70));
            Arc::new(Lock { fair, exact, inside: Mutex::default() })
        });
        let locks = locks.collect();
        Self { random, graph: Arc::default(), locks, waits: Default::default(), counts: Counts::default() }
    }

    /// The position as it is, or with one more who waits.
    fn position(&self, newcomer: Option<(usize, &Want, bool)>) -> Position {
        let mut position =
            Position { holds: std::array::from_fn(|lock| self.locks[lock].holds()), waits: [None; THREADS] };
        for (thread, wait) in self.waits.iter().enumerate() {
            // One to whom it was given is free, even if it has not noticed.
            position.waits[thread] = wait
                .as_ref()
                .filter(|wait| !wait.waiter.is_granted())
                .map(|wait| (wait.want.number, wait.want.mode, wait.timed));
        }
        if let Some((thread, want, timed)) = newcomer {
            position.waits[thread] = Some((want.number, want.mode, timed));
        }
        position
    }

    fn want(&mut self) -> Want {
        let number = self.random.below(LOCKS);
        let mode = if self.random.chance(60) { Mode::Alone } else { Mode::Shared };
        Want { lock: Arc::clone(&self.locks[number]), number, mode }
    }

    fn release(&self, thread: usize, lock: usize) {
        let lock = &self.locks[lock];
        let want = Want { lock: Arc::clone(lock), number: 0, mode: Mode::Alone };
        lock.release(thread, &want);
    }

    fn held_by(&self, thread: usize) -> Vec<usize> {
        (0..LOCKS).filter(|&lock| self.locks[lock].holds().has(thread)).collect()
    }

    fn acquire(&mut self, thread: usize) {
        let want = self.want();
        if want.mode == Mode::Shared && want.lock.holds().shared[thread] {
            return;
        }
        let timed = self.random.chance(20);
        let waiter = Waiter::thread(owner(thread));
        if want.attempt(&waiter) {
            return;
        }
        let deadlock = self.position(Some((thread, &want, timed))).is_deadlock();
        match self.graph.begin(&waiter, Arc::new(want.clone()), timed) {
            Ok(registration) => {
                assert!(!deadlock, "a deadlock is missed");
                self.counts.asleep += 1;
                self.waits[thread] = Some(Wait { want, waiter, timed, _registration: registration });
            }
            Err(cycle) => {
                assert!(deadlock, "a false alarm");
                self.examine(thread, &cycle);
                assert!(!want.abandon(&waiter), "a false alarm: it had been granted");
                for lock in self.held_by(thread) {
                    if self.random.chance(70) {
                        self.release(thread, lock);
                    }
                }
            }
        }
    }

    /// Each member waits for something that the next one holds.
    fn examine(&mut self, newcomer: usize, cycle: &Cycle) {
        assert_eq!(cycle.members[0].owner, owner(newcomer));
        let next = cycle.members.iter().cycle().skip(1);
        for (member, next) in cycle.members.iter().zip(next) {
            let mut holds = false;
            member.waits_for.holders(member.owner, &mut |holder| holds |= holder == next.owner);
            assert!(holds, "the next one holds it");
        }
        let exact = cycle.members.iter().all(|member| member.waits_for.is_exact());
        assert_eq!(cycle.presumed, !exact);
        let distinct: HashSet<_> = cycle.members.iter().map(|member| member.owner).collect();
        assert_eq!(distinct.len(), cycle.members.len());
        self.counts.told += 1;
        self.counts.presumed += usize::from(cycle.presumed);
        self.counts.longest = self.counts.longest.max(cycle.members.len());
    }

    /// One step of one thread.
    fn step(&mut self) {
        let thread = self.random.below(THREADS);
        let Some(wait) = &self.waits[thread] else {
            let held = self.held_by(thread);
            match self.random.below(10) {
                0..6 => self.acquire(thread),
                6 => {
                    // What somebody else holds, if that lock lets him.
                    let (lock, holder) = (self.random.below(LOCKS), self.random.below(THREADS));
                    if !self.locks[lock].exact && self.locks[lock].holds().has(holder) {
                        self.release(holder, lock);
                    }
                }
                _ if held.is_empty() => {}
                _ => {
                    let lock = held[self.random.below(held.len())];
                    self.release(thread, lock);
                }
            }
            return;
        };
        let over = if wait.timed && self.random.chance(20) {
            wait.want.abandon(&wait.waiter);
            true
        } else {
            // Also without a wake-up: that may happen.
            (!wait.waiter.is_queued() || self.random.chance(10)) && wait.want.attempt(&wait.waiter)
        };
        if over {
            self.waits[thread] = None;
        }
        let noted = self.waits.iter().flatten().count();
        assert_eq!(self.graph.snapshot().len(), noted);
    }
}

#[test]
fn the_graph_tells_of_every_deadlock_and_of_nothing_else() {
    let mut counts = Counts::default();
    for seed in 1..=200 {
        let mut program = Program::new(seed);
        for _ in 0..300 {
            program.step();
            assert!(!program.position(None).is_deadlock(), "seed {seed}: a deadlock nobody was told of");
        }
        counts.told += program.counts.told;
        counts.presumed += program.counts.presumed;
        counts.asleep += program.counts.asleep;
        counts.longest = counts.longest.max(program.counts.longest);
    }
    let Counts { told, presumed, asleep, longest } = counts;
    println!("{asleep} waits, {told} deadlocks, {presumed} of them presumed, of up to {longest} threads");
    assert!(told > 1000 && presumed > 100 && presumed < told && asleep > 4_000 && longest > 3);
}
