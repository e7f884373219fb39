//! Models of the protocols: every order of events, up to three interruptions, that the memory model allows. A wake-up that
//! is lost leaves a model with nobody who can go on, which loom reports.

use super::bell::Board;
use super::layout::Layout;
use super::place::Place;
use super::*;
use loom::cell::UnsafeCell;
use loom::thread::spawn;
use raddle_sync::primitives::Arc;

/// Explores every order in which the threads are interrupted up to three times against their will.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A worker of the pool that has this bell.
fn channel(board: &Place<Board>) -> (ParentSide, WorkerSide) {
    let layout = Place::<Layout>::default();
    (ParentSide::on(layout.clone()), WorkerSide::on(layout, Bell::on(board.clone())))
}

/// A body as large as any.
fn send(task: u64) -> [u8; LARGEST] {
    std::array::from_fn(|index| task.to_le_bytes()[0] + u8::try_from(index).expect("small"))
}

fn message<'a>(task: u64, parts: &'a [&'a [u8]]) -> Message<'a> {
    Message { kind: 1, flags: 2, task, parts }
}

/// Waits as `me` for the next message of any of the workers, as the pool does. Returns its task and its body.
fn receive(bell: &Bell, me: Who, workers: &mut [&mut ParentSide]) -> Header {
    let mut body = Vec::new();
    loop {
        let seen = bell.seen(me);
        for worker in &mut *workers {
            if let Some(header) = worker.receive(&mut body).expect("it is sound") {
                assert_eq!(body, send(header.task)[..header.len as usize]);
                return header;
            }
        }
        bell.sleep(me, seen, None);
    }
}

fn reply(worker: &mut WorkerSide, task: u64, len: usize) {
    while worker.reply(&message(task, &[&send(task)[..len]])).is_err() {
        worker.sleep_for_room(None);
    }
}

/// Waits for the next message as a worker does.
fn next(worker: &mut WorkerSide) -> Header {
    let mut body = Vec::new();
    loop {
        if let Some(header) = worker.next(&mut body) {
            assert_eq!(body, send(header.task)[..header.len as usize]);
            return header;
        }
        worker.sleep(None);
    }
}

#[test]
fn messages_arrive_whole_and_in_order_through_a_ring_that_is_too_small() {
    check(|| {
        let board = Place::default();
        let (mut parent, mut worker) = channel(&board);
        let sender = spawn(move || {
            for (task, len) in [(1, 16), (2, 3), (3, 9)] {
                reply(&mut worker, task, len);
            }
        });
        let bell = Bell::on(board);
        bell.set_who(Who::Collector);
        for task in 1..=3 {
            assert_eq!(receive(&bell, Who::Collector, &mut [&mut parent]).task, task);
        }
        sender.join().expect("it ends");
    });
}

#[test]
fn a_worker_that_falls_asleep_is_nudged() {
    check(|| {
        let (mut parent, mut worker) = channel(&Place::default());
        let receiver = spawn(move || [next(&mut worker), next(&mut worker)].map(|header| header.task));
        for task in [1, 2] {
            parent.hand_out(&message(task, &[&send(task)[..8]])).expect("there is room");
            parent.nudge();
        }
        assert_eq!(receiver.join().expect("it ends"), [1, 2]);
    });
}

#[test]
fn a_task_is_begun_or_taken_back() {
    check(|| {
        let (mut parent, mut worker) = channel(&Place::default());
        let claims =
            [1, 2].map(|task| parent.hand_out(&message(task, &[&send(task)[..8]])).expect("there is room"));
        let receiver = spawn(move || {
            let mut begun = vec![next(&mut worker).task];
            // The last one ends it.
            while begun.last() != Some(&3) {
                begun.push(next(&mut worker).task);
            }
            begun
        });
        let taken = parent.take_back(claims[0]);
        assert_eq!(parent.begun_at(claims[0]).is_some(), !taken);
        let claim = loop {
            match parent.hand_out(&message(3, &[&[]])) {
                Ok(claim) => break claim,
                // The ring is full; what is taken back takes room in it too.
                Err(NoRoom) => loom::thread::yield_now(),
            }
        };
        parent.nudge();
        let begun = receiver.join().expect("it ends");
        assert_eq!(begun, if taken { vec![2, 3] } else { vec![1, 2, 3] });
        assert!(parent.begun_at(claim).is_some());
        assert_eq!(parent.free_claims(), WINDOW - if taken { 2 } else { 3 });
    });
}

#[test]
fn the_claim_of_a_skipped_task_can_be_used_again() {
    check(|| {
        let (mut parent, mut worker) = channel(&Place::default());
        let claim = parent.hand_out(&message(1, &[])).expect("there is room");
        assert!(parent.take_back(claim));
        let receiver = spawn(move || next(&mut worker));
        // Free once it was passed, and never before.
        let skipped = parent.free_claims() == WINDOW;
        let other = parent.hand_out(&message(2, &[])).expect("there is room");
        assert!(other != claim || skipped || parent.free_claims() == WINDOW - 1);
        parent.nudge();
        let header = receiver.join().expect("it ends");
        assert_eq!((header.task, header.claim), (2, Some(other)));
    });
}

#[test]
fn two_workers_ring_one_bell() {
    check(|| {
        let board = Place::default();
        let ((mut first, mut worker), (mut second, mut other)) = (channel(&board), channel(&board));
        let threads = [spawn(move || reply(&mut worker, 1, 0)), spawn(move || reply(&mut other, 2, 0))];
        let bell = Bell::on(board);
        bell.set_who(Who::Leader);
        let tasks = [(); 2].map(|()| receive(&bell, Who::Leader, &mut [&mut first, &mut second]).task);
        assert_eq!(tasks[0] + tasks[1], 3);
        for thread in threads {
            thread.join().expect("it ends");
        }
    });
}

#[test]
fn a_reply_to_the_leader_who_leaves_reaches_the_collector() {
    check(|| {
        let board = Place::default();
        let (mut parent, mut worker) = channel(&board);
        let bell = Arc::new(Bell::on(board));
        bell.set_who(Who::Leader);
        let sender = spawn(move || reply(&mut worker, 1, 0));
        let collector = spawn({
            let bell = Arc::clone(&bell);
            move || receive(&bell, Who::Collector, &mut [&mut parent]).task
        });
        bell.set_who(Who::Collector);
        bell.wake(Who::Collector);
        assert_eq!(collector.join().expect("it ends"), 1);
        sender.join().expect("it ends");
    });
}

#[test]
fn a_parent_that_is_awake_finds_what_did_not_ring() {
    check(|| {
        let board = Place::default();
        let (mut parent, mut worker) = channel(&board);
        let bell = Bell::on(board);
        let sender = spawn(move || {
            reply(&mut worker, 1, 0);
            reply(&mut worker, 2, 0);
        });
        for task in [1, 2] {
            // Awake, as if at work; then to sleep.
            bell.set_who(Who::Nobody);
            bell.set_who(Who::Collector);
            assert_eq!(receive(&bell, Who::Collector, &mut [&mut parent]).task, task);
        }
        sender.join().expect("it ends");
    });
}

#[test]
fn a_block_is_written_again_only_after_its_last_reader() {
    check(|| {
        let board = Place::default();
        let (mut parent, worker) = channel(&board);
        let block = Arc::new(UnsafeCell::new(0));
        let lease = parent.lend().expect("there are leases");
        let reader = spawn({
            let block = Arc::clone(&block);
            move || {
                let loan = worker.borrow(lease).expect("it is lent");
                // SAFETY: lent, so nobody writes; the model fails if somebody does.
                block.with(|value| assert_eq!(unsafe { *value }, 0));
                drop(loan);
            }
        });
        let bell = Bell::on(board);
        bell.set_who(Who::Collector);
        parent.want_leases(true);
        loop {
            let seen = bell.seen(Who::Collector);
            parent.returned(&mut |_| {});
            if parent.lent() == 0 {
                break;
            }
            bell.sleep(Who::Collector, seen, None);
        }
        // SAFETY: it is back, so nobody reads; the model fails if somebody does.
        block.with_mut(|value| unsafe { *value = 1 });
        reader.join().expect("it ends");
    });
}

#[test]
fn a_worker_without_room_for_results_wakes_when_a_block_comes_back() {
    check(|| {
        let (parent, mut worker) = channel(&Place::default());
        let loan = parent.borrow(worker.lend().expect("there are leases")).expect("it is lent");
        let thread = spawn(move || drop(loan));
        while worker.lent() > 0 {
            worker.sleep_for_leases(None);
            worker.returned(&mut |_| {});
        }
        thread.join().expect("it ends");
    });
}
