//! A worker that writes anything anywhere: the parent neither panics nor hangs, and reads nothing that is not there.

use crate::other::ECHO;
use proptest::collection::vec;
use proptest::prelude::*;
use raddle_process::channel::{Bell, LARGEST, LEASES, Loan, Message, ParentSide, WINDOW, Who, WorkerSide};
use raddle_sync::Moment;
use raddle_sys::memory::{Access, Mapping, Memory};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The pages before the rings, by and large.
const WORDS: usize = 3 * 4096;

/// Everything that a worker can write to.
struct Paper(Mapping);

impl Paper {
    fn of(fd: BorrowedFd<'_>) -> Self {
        let fd = fd.try_clone_to_owned().expect("there are descriptors");
        Self(Memory::from_fd(fd).and_then(|memory| memory.map(Access::Shared)).expect("it is memory"))
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is aligned to a page and has so many words; others access it atomically as well.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() / 8) }
    }

    fn halves(&self) -> &[AtomicU32] {
        // SAFETY: as above. Accesses of both sizes to the same bytes are what hardware makes of them, which is enough for a
        // memory whose contents don't matter.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() / 4) }
    }

    fn write(&self, offset: usize, value: u64, narrow: bool) {
        if narrow {
            let half = u32::try_from(value & u64::from(u32::MAX)).expect("masked");
            self.halves()[offset / 4 % self.halves().len()].store(half, Ordering::Relaxed);
        } else {
            self.words()[offset / 8 % self.words().len()].store(value, Ordering::Relaxed);
        }
    }
}

/// What the parent does, and what its worker does to it.
#[derive(Clone, Copy, Debug)]
enum Step {
    HandOut(usize),
    Tell(usize),
    TakeBack(u8),
    Settle(u8),
    Receive,
    Lend,
    Returned,
    Borrow(u16),
    GiveBack,
    /// The worker behaves.
    Reply(usize),
    /// The worker doesn't.
    Write {
        offset: usize,
        value: u64,
        narrow: bool,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let claim = || 0..u8::try_from(WINDOW).expect("small");
    let size = || prop_oneof![4 => 0..100_usize, 1 => 0..=LARGEST];
    // Positions and counts that are nearly right do more harm than random ones.
    let value = || prop_oneof![any::<u64>(), 0..50_u64, 16_300..16_500_u64, 0..9_u64, Just(u64::MAX)];
    let offset = prop_oneof![3 => (0..WORDS / 128).prop_map(|line| line * 128), 1 => 0..WORDS + 300, 1 => any::<usize>()];
    prop_oneof![
        3 => size().prop_map(Step::HandOut),
        1 => size().prop_map(Step::Tell),
        1 => claim().prop_map(Step::TakeBack),
        2 => claim().prop_map(Step::Settle),
        5 => Just(Step::Receive),
        2 => Just(Step::Lend),
        1 => Just(Step::Returned),
        1 => (0..u16::try_from(LEASES).expect("small") + 5).prop_map(Step::Borrow),
        1 => Just(Step::GiveBack),
        4 => size().prop_map(Step::Reply),
        2 => (offset, value(), any::<bool>()).prop_map(|(offset, value, narrow)| Step::Write { offset, value, narrow }),
    ]
}

/// A parent with its own idea of what must hold.
struct Model {
    parent: ParentSide,
    bytes: Vec<u8>,
    body: Vec<u8>,
    task: u64,
    /// The task of each claim that is out.
    out: [Option<u64>; WINDOW],
    lent: Vec<u16>,
    loans: Vec<Loan>,
}

impl Model {
    fn new() -> Self {
        Self {
            parent: ParentSide::new().expect("there is memory"),
            bytes: vec![1; LARGEST],
            body: Vec::new(),
            task: 0,
            out: [None; WINDOW],
            lent: Vec::new(),
            loans: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        let Self { parent, bytes, body, task, out, lent, loans } = self;
        match step {
            Step::HandOut(size) => {
                *task += 1;
                let message = Message { kind: ECHO, flags: 0, task: *task, parts: &[&bytes[..size]] };
                if let Ok(claim) = parent.hand_out(&message) {
                    assert_eq!(out[usize::from(claim)].replace(*task), None, "it was free");
                }
                parent.nudge();
            }
            Step::Tell(size) => {
                let _ = parent.tell(&Message { kind: ECHO, flags: 0, task: 0, parts: &[&bytes[..size]] });
            }
            Step::TakeBack(claim) => {
                if parent.take_back(claim) {
                    assert!(out[usize::from(claim)].take().is_some(), "it was out");
                }
            }
            Step::Settle(claim) => {
                parent.settle(claim);
                out[usize::from(claim)] = None;
            }
            Step::Receive => {
                let has_mail = parent.has_mail();
                let received = parent.receive(body);
                if let Ok(Some(header)) = received {
                    assert!(has_mail && body.len() == header.len as usize && body.len() <= LARGEST);
                    assert!(body.capacity() <= 3 * LARGEST);
                    let expected = out.iter().position(|task| *task == Some(header.task));
                    assert_eq!(header.claim.map(usize::from), expected);
                }
                if received.is_err() {
                    assert!(!parent.has_mail() && parent.receive(body) == received, "for ever");
                    let message = Message { kind: ECHO, flags: 0, task: 0, parts: &[] };
                    assert!(parent.hand_out(&message).is_err() && parent.tell(&message).is_err());
                }
            }
            Step::Lend => {
                if let Some(lease) = parent.lend() {
                    assert!(!lent.contains(&lease) && usize::from(lease) < LEASES);
                    lent.push(lease);
                }
            }
            Step::Returned => {
                parent.returned(&mut |lease| {
                    let index = lent.iter().position(|lent| *lent == lease).expect("it was lent");
                    lent.remove(index);
                });
                assert_eq!(parent.lent(), lent.len());
            }
            Step::Borrow(lease) => match parent.borrow(lease) {
                Ok(loan) => {
                    assert!(usize::from(lease) < LEASES && loans.iter().all(|loan| loan.lease() != lease));
                    loans.push(loan);
                }
                Err(_) => {
                    assert!(usize::from(lease) >= LEASES || loans.iter().any(|loan| loan.lease() == lease));
                }
            },
            Step::GiveBack => drop(loans.pop()),
            Step::Reply(_) | Step::Write { .. } => unreachable!("the worker's"),
        }
        let now = Moment::now();
        for (claim, task) in (0..).zip(&*out) {
            let begun = parent.begun_at(claim);
            assert!(task.is_some() || begun.is_none());
            assert!(begun.is_none_or(|begun| begun <= now + Duration::from_secs(1)));
        }
        let free = parent.free_claims();
        assert!(free <= out.iter().filter(|task| task.is_none()).count());
    }
}

fn worker_of(parent: &ParentSide, bell: &Bell) -> WorkerSide {
    let [memory, bell] =
        [parent.fd(), bell.fd()].map(|fd| fd.try_clone_to_owned().expect("there are descriptors"));
    WorkerSide::attach(memory, Bell::attach(bell).expect("it is one")).expect("it is one")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_worker_writes_the_parent_keeps_its_account(steps in vec(steps(), 1..200)) {
        let (mut model, bell) = (Model::new(), Bell::new().expect("there is memory"));
        let paper = Paper::of(model.parent.fd());
        let mut worker = worker_of(&model.parent, &bell);
        let bytes = vec![2; LARGEST];
        for step in steps {
            match step {
                Step::Write { offset, value, narrow } => paper.write(offset, value, narrow),
                Step::Reply(size) => {
                    // Of a task that is out, if there is one. It may find that it has scribbled over its own.
                    let task = model.out.iter().flatten().next().copied().unwrap_or(9);
                    let message = Message { kind: ECHO, flags: 0, task, parts: &[&bytes[..size]] };
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.reply(&message)));
                }
                step => model.step(step),
            }
        }
    }

    #[test]
    fn random_bytes_throughout_are_read_to_an_end(seed in any::<u64>(), tail in 0..40_000_u32) {
        let mut model = Model::new();
        for step in [Step::HandOut(10), Step::HandOut(LARGEST), Step::Lend, Step::Lend] {
            model.step(step);
        }
        let paper = Paper::of(model.parent.fd());
        let mut random = Random(seed | 1);
        for (index, word) in paper.words().iter().enumerate() {
            // Short lengths in most headers, so that there is something to be read.
            let mask = if index % 2 == 0 { 0xFFFF_FFFF_FF00_00FF } else { u64::MAX };
            word.store(random.next() & mask, Ordering::Relaxed);
        }
        paper.halves()[(4096 + 128) / 4].store(tail, Ordering::Relaxed);
        let messages = (0..).take_while(|_| matches!(model.parent.receive(&mut model.body), Ok(Some(_)))).take(40_000).count();
        prop_assert!(messages <= 16 * 1024 / 2);
        for step in [Step::Receive, Step::HandOut(1), Step::Returned, Step::TakeBack(0), Step::Borrow(1), Step::GiveBack] {
            model.step(step);
        }
    }
}

struct Random(u64);

impl Random {
    /// Marsaglia's xorshift.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn size(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a size")
    }
}

/// At the same time, not by turns.
#[test]
fn a_worker_scribbles_while_the_parent_reads() {
    for seed in 1..40 {
        let mut model = Model::new();
        let paper = Paper::of(model.parent.fd());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random(seed);
                while !over.load(Ordering::Relaxed) {
                    let offset =
                        if random.below(4) == 0 { random.size(1 << 20) } else { random.size(WORDS + 4096) };
                    let value = if random.below(2) == 0 { random.next() } else { random.below(2000) };
                    paper.write(offset, value, random.below(2) == 0);
                }
            });
            let mut random = Random(seed + 1000);
            for _ in 0..5000 {
                let claim = u8::try_from(random.below(WINDOW as u64)).expect("small");
                let step = match random.below(9) {
                    0 => Step::HandOut(random.size(300)),
                    1 => Step::Tell(random.size(LARGEST)),
                    2 => Step::TakeBack(claim),
                    3 => Step::Settle(claim),
                    4 => Step::Lend,
                    5 => Step::Returned,
                    6 => Step::Borrow(u16::from(claim)),
                    7 => Step::GiveBack,
                    _ => Step::Receive,
                };
                model.step_under_fire(step);
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}

impl Model {
    /// As [`step`](Self::step), where what was true of shared memory need not be true a moment later.
    fn step_under_fire(&mut self, step: Step) {
        match step {
            Step::Receive => {
                if let Ok(Some(header)) = self.parent.receive(&mut self.body) {
                    assert!(self.body.len() == header.len as usize && self.body.len() <= LARGEST);
                }
            }
            step => self.step(step),
        }
    }
}

#[test]
fn a_bell_that_was_scribbled_on_only_delays() {
    let bell = Bell::new().expect("there is memory");
    let paper = Paper::of(bell.fd());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(7);
            while !over.load(Ordering::Relaxed) {
                let value = if random.below(2) == 0 { random.next() } else { random.below(4) };
                paper.write(random.size(3 * 128), value, true);
            }
        });
        for turn in 0..300 {
            let me = if turn % 2 == 0 { Who::Leader } else { Who::Collector };
            bell.set_who(me);
            let seen = bell.seen(me);
            if turn % 3 == 0 {
                bell.ring();
                bell.wake(me);
            }
            bell.sleep(me, seen, Some(Moment::now() + Duration::from_millis(1)));
        }
        over.store(true, Ordering::Relaxed);
    });
    // Once it is left alone, all is as before.
    bell.set_who(Who::Leader);
    let seen = bell.seen(Who::Leader);
    bell.ring();
    assert_ne!(bell.seen(Who::Leader), seen);
}

#[test]
fn a_worker_that_broke_its_own_channel_is_told() {
    let (mut parent, bell) =
        (ParentSide::new().expect("there is memory"), Bell::new().expect("there is memory"));
    let mut worker = worker_of(&parent, &bell);
    parent.hand_out(&Message { kind: ECHO, flags: 0, task: 1, parts: &[] }).expect("there is room");
    Paper::of(parent.fd()).words().iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.next(&mut Vec::new())))
        .expect_err("it can't read that");
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("corrupt")));
}
