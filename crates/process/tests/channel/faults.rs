//! A worker that is killed at every instant of its protocol: each task is done once, or lost with it, or still to be done.

use crate::other::{ECHO, Pool, fork, serve};
use raddle_process::channel::{Bell, Header, Message, ParentSide, Who, WorkerSide};
use raddle_process::fault;
use raddle_sync::{Moment, WaitWord, Wake};
use raddle_sys::memory::{Access, Mapping, Memory};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The last message about a task; those before it only say something.
const DONE: u16 = 2;
/// What bodies consist of, but for a lease: not what new memory holds.
const PAPER: u8 = 0xE7;
/// More than any of the workers lives to see.
const TASKS: u64 = 2000;

/// What the worker says about itself, in memory of its own: how often it began each task, and how often its reply returned.
struct Journal(Mapping);

/// Where in the journal it says this of a task.
fn index(task: u64, replied: bool) -> usize {
    usize::try_from(task).expect("there are not so many") * 2 + usize::from(replied)
}

impl Journal {
    fn new() -> Arc<Self> {
        let memory = Memory::new("journal", 4 * index(TASKS, false)).expect("there is memory");
        Arc::new(Self(memory.map(Access::Shared).expect("there is room")))
    }

    fn count(&self, task: u64, replied: bool) -> &AtomicU32 {
        assert!(task < TASKS);
        // SAFETY: within the mapping, aligned, and only ever accessed atomically.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr().add(4 * index(task, replied)).cast()) }
    }

    fn begun(&self, task: u64) -> &AtomicU32 {
        self.count(task, false)
    }

    fn replied(&self, task: u64) -> &AtomicU32 {
        self.count(task, true)
    }
}

fn message<'a>(kind: u16, task: u64, parts: &'a [&'a [u8]]) -> Message<'a> {
    Message { kind, flags: 0, task, parts }
}

/// Borrows the block of the arguments, lends one for the result, replies in two messages, and sleeps a little now and then.
fn work(worker: &mut WorkerSide, header: &Header, body: &[u8], journal: &Journal) -> bool {
    journal.begun(header.task).fetch_add(1, Ordering::SeqCst);
    let lease = u16::from_le_bytes([body[0], body[1]]);
    let arguments = worker.borrow(lease).expect("it is lent");
    worker.returned(&mut |_| {});
    // It sleeps in any case, if only for a moment.
    worker.sleep_for_leases(Some(Moment::now()));
    if header.task.is_multiple_of(5) {
        // Long enough for the parent to be asleep at the reply.
        WaitWord::new(0).wait(0, Some(Moment::now() + Duration::from_micros(300)));
    }
    let result = worker.lend().expect("there are leases");
    worker.reply(&message(ECHO, header.task, &[body])).expect("there is room");
    worker.reply(&message(DONE, header.task, &[&result.to_le_bytes(), &[PAPER]])).expect("there is room");
    journal.replied(header.task).fetch_add(1, Ordering::SeqCst);
    drop(arguments);
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Out(u8),
    Done,
    TakenBack,
    Lost,
    NotBegun,
}

/// The parent's account of a worker's life.
struct Account {
    pool: Pool,
    fates: HashMap<u64, Fate>,
    /// The leases of the tasks' arguments.
    leases: HashMap<u64, u16>,
    next: u64,
}

impl Account {
    /// Hands out as much as goes.
    fn hand_out(&mut self) {
        while self.next < TASKS {
            let lease = self.pool.parent.lend().expect("there are more than claims");
            let bytes = lease.to_le_bytes();
            let padding = vec![PAPER; usize::from(lease) % 40 + 1];
            let Ok(claim) = self.pool.parent.hand_out(&message(ECHO, self.next, &[&bytes, &padding])) else {
                self.pool.parent.reclaim(lease);
                return;
            };
            self.leases.insert(self.next, lease);
            self.fates.insert(self.next, Fate::Out(claim));
            self.next += 1;
        }
    }

    fn take_back(&mut self, task: u64) {
        if let Some(fate @ Fate::Out(_)) = self.fates.get_mut(&task)
            && let Fate::Out(claim) = *fate
            && self.pool.parent.take_back(claim)
        {
            *fate = Fate::TakenBack;
            self.pool.parent.reclaim(self.leases[&task]);
        }
    }

    /// Takes one message; false when there will be no more.
    fn receive(&mut self) -> bool {
        self.pool.parent.returned(&mut |_| {});
        let Some((header, body)) = self.pool.receive() else { return false };
        let fate = self.fates.get_mut(&header.task).expect("it was handed out");
        assert_eq!(Some(*fate), header.claim.map(Fate::Out), "of what is out, and not done yet");
        assert!(body.len() > 2 && body[2..].iter().all(|byte| *byte == PAPER), "it is whole");
        if header.kind == DONE {
            let lease = u16::from_le_bytes([body[0], body[1]]);
            self.pool.parent.settle(header.claim.expect("it is out"));
            *fate = Fate::Done;
            drop(self.pool.parent.borrow(lease).expect("it is lent"));
        }
        true
    }

    /// After its end: what became of the tasks that were out.
    fn close(&mut self) {
        for fate in self.fates.values_mut() {
            if let Fate::Out(claim) = *fate {
                let begun = self.pool.parent.begun_at(claim).is_some();
                *fate = if begun { Fate::Lost } else { Fate::NotBegun };
            }
        }
    }
}

/// The life of a worker that is killed when it passes this point for this many times.
fn life(point: &'static str, passage: u64) {
    let journal = Journal::new();
    let mut parent = ParentSide::new().expect("there is memory");
    // Taken back before it lives, so that it is sure to come across them.
    let (mut fates, mut leases) = (HashMap::new(), HashMap::new());
    for task in 0..6 {
        let lease = parent.lend().expect("there are leases");
        let parts: [&[u8]; 2] = [&lease.to_le_bytes(), &[PAPER]];
        let claim = parent.hand_out(&message(ECHO, task, &parts)).expect("there is room");
        let back = [1, 3, 4].contains(&task) && parent.take_back(claim);
        fates.insert(task, if back { Fate::TakenBack } else { Fate::Out(claim) });
        leases.insert(task, lease);
    }
    let own_journal = Arc::clone(&journal);
    let pool = Pool::of(parent, move |worker| {
        fault::arm(point, passage);
        serve(worker, |worker, header, body| work(worker, header, body, &own_journal));
    });
    pool.parent.want_leases(true);

    let mut account = Account { pool, fates, leases, next: 6 };
    loop {
        account.hand_out();
        account.pool.parent.nudge();
        if account.next.is_multiple_of(4) {
            account.take_back(account.next - 1);
        }
        if account.fates.values().all(|fate| !matches!(fate, Fate::Out(_))) {
            assert!(account.next < TASKS, "{point} was never passed {passage} times");
            // All were taken back; their claims return when the worker has passed them.
            std::thread::yield_now();
            if account.pool.process.is_over() {
                break;
            }
        } else if !account.receive() {
            break;
        }
    }
    account.close();
    for (task, fate) in &account.fates {
        let [begun, replied] =
            [journal.begun(*task), journal.replied(*task)].map(|count| count.load(Ordering::SeqCst));
        let agrees = match fate {
            Fate::Out(_) => false,
            Fate::Done => begun == 1,
            Fate::Lost => begun <= 1 && replied == 0,
            Fate::TakenBack | Fate::NotBegun => begun == 0,
        };
        assert!(agrees, "{point}:{passage}: {task} is {fate:?}, begun {begun} and replied {replied}");
    }
    let lost = account.fates.values().filter(|fate| **fate == Fate::Lost).count();
    assert!(lost <= 1, "{point}:{passage}: a worker has one task at a time");
    assert!(!account.pool.process.join(), "it was killed");
}

#[test]
fn a_worker_can_be_killed_at_every_point() {
    for point in fault::POINTS {
        for passage in [1, 2, 3, 17] {
            life(point, passage);
        }
    }
}

/// It dies after it has counted its ring, and before it has woken anybody. Nobody says that it died.
#[test]
fn the_next_ring_makes_up_for_one_that_was_cut_short() {
    let bell = Arc::new(Bell::new().expect("there is memory"));
    let mut workers = [(); 2].map(|()| ParentSide::new().expect("there is memory"));
    let reply = |worker: &mut WorkerSide| worker.reply(&message(DONE, 1, &[])).expect("there is room");
    let dies = fork(&workers[0], &bell, move |mut worker| {
        fault::arm("bell:counted", 1);
        // Until the collector is asleep.
        worker.sleep(Some(Moment::now() + Duration::from_millis(20)));
        reply(&mut worker);
    });
    bell.set_who(Who::Collector);
    let seen = bell.seen(Who::Collector);
    std::thread::scope(|scope| {
        let (lives, bell) = (&workers[1], &bell);
        scope.spawn(move || {
            assert!(!dies.join(), "it was killed");
            assert!(fork(lives, bell, move |mut worker| reply(&mut worker)).join());
        });
        while !workers.iter().all(ParentSide::has_mail) {
            let wake = bell.sleep(Who::Collector, seen, Some(Moment::now() + Duration::from_mins(1)));
            assert_eq!(wake, Wake::Woken);
        }
    });
    for worker in &mut workers {
        assert_eq!(
            worker.receive(&mut Vec::new()).map(|header| header.map(|header| header.kind)),
            Ok(Some(DONE))
        );
    }
}
