//! Tasks on loops: rung instead of woken, cancelled at any moment, and sometimes gone without a word.

use crate::{Inside, OPERATIONS, PERMITS, Random, run_all};
use raddle_sync::{Lock, Owner, Parker, ReadSide, RwLock, Semaphore, Waitable, Waiter, WriteSide, waiter};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const LOOPS: u64 = 2;
const TASKS: usize = 20;

struct World {
    locks: [(Lock, Inside); 2],
    semaphores: [(Semaphore, Inside); 2],
    shared: [(Arc<RwLock>, Inside, Inside); 2],
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Lock(usize),
    Permit(usize),
    Read(usize),
    Write(usize),
}

impl World {
    fn new() -> Self {
        Self {
            locks: [false, true].map(|fair| (Lock::new(fair), Inside::default())),
            semaphores: [false, true]
                .map(|fair| (Semaphore::new(PERMITS, Some(PERMITS), fair), Inside::default())),
            shared: [false, true]
                .map(|fair| (Arc::new(RwLock::new(fair)), Inside::default(), Inside::default())),
        }
    }

    fn with<R>(&self, wish: Wish, then: impl FnOnce(&dyn Waitable) -> R) -> R {
        match wish {
            Wish::Lock(which) => then(&self.locks[which].0),
            Wish::Permit(which) => then(&self.semaphores[which].0),
            Wish::Read(which) => then(&ReadSide(&*self.shared[which].0)),
            Wish::Write(which) => then(&WriteSide(&*self.shared[which].0)),
        }
    }

    /// It has what it wished for, and gives it back.
    fn enjoy(&self, wish: Wish, owner: Owner) {
        match wish {
            Wish::Lock(which) => {
                let (lock, inside) = &self.locks[which];
                inside.visit(1, || assert_eq!(lock.owner(), Some(owner)));
                lock.release().expect("held");
            }
            Wish::Permit(which) => {
                let (semaphore, inside) = &self.semaphores[which];
                inside.visit(PERMITS, || ());
                semaphore.release(1).expect("it was taken");
            }
            Wish::Read(which) => {
                let (lock, writers, readers) = &self.shared[which];
                readers.visit(u64::MAX, || writers.nobody());
                lock.release_read(owner).expect("held");
            }
            Wish::Write(which) => {
                let (lock, writers, readers) = &self.shared[which];
                writers.visit(1, || readers.nobody());
                lock.release_write().expect("held");
            }
        }
    }
}

/// Where wake-ups arrive, by the numbers of the tasks.
#[derive(Default)]
struct Inbox {
    rung: Mutex<Vec<u64>>,
    /// Those that take no wake-ups any more.
    gone: Mutex<Vec<u64>>,
    bell: Parker,
}

impl Inbox {
    fn ring(&self, task: u64) -> bool {
        if self.gone.lock().expect("nobody panics with it").contains(&task) {
            return false;
        }
        self.rung.lock().expect("nobody panics with it").push(task);
        self.bell.unpark();
        true
    }
}

struct Task {
    wish: Wish,
    waiter: Arc<Waiter>,
}

struct Loop<'a> {
    world: &'a World,
    inbox: Arc<Inbox>,
    random: Random,
    number: u64,
    next: u64,
    /// Those that wait.
    waiting: HashMap<u64, Task>,
    /// Those that are gone, while a wake-up may still be in the inbox.
    gone: HashMap<u64, Task>,
}

impl Loop<'_> {
    fn wish(&mut self) -> Wish {
        let which = usize::try_from(self.random.below(2)).expect("0 or 1");
        match self.random.below(6) {
            0 | 1 => Wish::Lock(which),
            2 => Wish::Permit(which),
            3 | 4 => Wish::Read(which),
            _ => Wish::Write(which),
        }
    }

    fn start(&mut self) {
        self.next += 1;
        let number = self.next;
        let inbox = Arc::clone(&self.inbox);
        let owner = Owner::task((self.number << 40) + (number << 4));
        let waiter = Waiter::task(owner, Box::new(move || inbox.ring(number)));
        let wish = self.wish();
        self.try_again(number, Task { wish, waiter });
    }

    fn try_again(&mut self, number: u64, task: Task) {
        if self.world.with(task.wish, |primitive| primitive.attempt(&task.waiter)) {
            self.world.enjoy(task.wish, task.waiter.owner());
        } else {
            self.waiting.insert(number, task);
        }
    }

    fn cancel(&self, task: &Task) {
        if self.world.with(task.wish, |primitive| primitive.abandon(&task.waiter)) {
            self.world.enjoy(task.wish, task.waiter.owner());
        }
    }

    fn any_waiting(&self) -> Option<u64> {
        self.waiting.keys().min().copied()
    }

    fn listen(&mut self) {
        let rung = std::mem::take(&mut *self.inbox.rung.lock().expect("nobody panics with it"));
        for number in rung {
            if let Some(task) = self.waiting.remove(&number) {
                self.try_again(number, task);
            } else if let Some(task) = self.gone.remove(&number) {
                self.cancel(&task);
            }
        }
    }

    fn run(&mut self, operations: usize) {
        for _ in 0..operations {
            self.listen();
            match self.random.below(64) {
                0 => {
                    if let Some(task) = self.any_waiting().and_then(|number| self.waiting.remove(&number)) {
                        self.cancel(&task);
                    }
                }
                1 => self.lose(),
                _ if self.waiting.len() < TASKS => self.start(),
                _ => {
                    self.inbox.bell.park(None);
                }
            }
        }
        while !self.waiting.is_empty() {
            self.inbox.bell.park(None);
            self.listen();
        }
        // A wake-up may have been on its way to one when it was lost.
        for task in self.gone.values() {
            self.cancel(task);
        }
    }

    /// One that waits is gone: whoever rings for it finds nobody.
    fn lose(&mut self) {
        let Some(number) = self.any_waiting() else { return };
        let mut gone = self.inbox.gone.lock().expect("nobody panics with it");
        gone.push(number);
        if gone.len() > TASKS {
            // Long ago: nobody rings for it any more, or a wake-up for it is in the inbox.
            let oldest = gone.remove(0);
            drop(gone);
            if let Some(task) = self.gone.remove(&oldest) {
                self.cancel(&task);
            }
        } else {
            drop(gone);
        }
        let task = self.waiting.remove(&number).expect("it was found there");
        self.gone.insert(number, task);
    }
}

#[test]
fn tasks_that_are_cancelled_and_lost_leave_everything_to_the_others() {
    let world = Arc::new(World::new());
    let per_loop = OPERATIONS / 10;
    let mut threads: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for number in 1..=LOOPS {
        let world = Arc::clone(&world);
        threads.push(Box::new(move || {
            let mut random = Random(0x2545_F491_4F6C_DD1D ^ number);
            random.next();
            let (waiting, gone) = (HashMap::new(), HashMap::new());
            let inbox = Arc::new(Inbox::default());
            Loop { world: &world, inbox, random, number, next: 0, waiting, gone }.run(per_loop);
        }));
    }
    for number in 1..=2 {
        let world = Arc::clone(&world);
        threads.push(Box::new(move || {
            let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ number);
            for _ in 0..per_loop {
                let which = usize::try_from(random.below(2)).expect("0 or 1");
                let wish = match random.below(4) {
                    0 => Wish::Lock(which),
                    1 => Wish::Permit(which),
                    2 => Wish::Read(which),
                    _ => Wish::Write(which),
                };
                let deadline = random.deadline();
                if world.with(wish, |primitive| waiter::block(primitive, deadline)) {
                    random.dawdle();
                    world.enjoy(wish, Owner::current_thread());
                }
            }
        }));
    }
    run_all(threads, || String::from("tasks"));
}
