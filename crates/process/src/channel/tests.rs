use super::*;
use crate::Corrupt;
use raddle_sync::{Moment, Wake};
use std::time::Duration;

/// A pool's end, its worker's end, and the pool's bell.
fn pair() -> (ParentSide, WorkerSide, Bell) {
    let bell = Bell::new().expect("there is memory");
    let parent = ParentSide::new().expect("there is memory");
    let worker = attach(&parent, &bell);
    (parent, worker, bell)
}

fn attach(parent: &ParentSide, bell: &Bell) -> WorkerSide {
    let bell = bell.fd().try_clone_to_owned().expect("there are descriptors");
    let memory = parent.fd().try_clone_to_owned().expect("there are descriptors");
    WorkerSide::attach(memory, Bell::attach(bell).expect("it is one")).expect("it is one")
}

fn message<'a>(task: u64, parts: &'a [&'a [u8]]) -> Message<'a> {
    Message { kind: 3, flags: 0xABCD, task, parts }
}

#[test]
fn a_message_arrives_as_it_was_sent() {
    let (mut parent, mut worker, _) = pair();
    let (bytes, mut body): (Vec<u8>, _) = ((0..=255).cycle().take(LARGEST).collect(), Vec::new());
    // Lengths that do not divide the ring, so that they run over its end at every offset.
    for turn in 0..2000_usize {
        let len = if turn % 7 == 0 { LARGEST - turn } else { turn % 200 };
        let (first, rest) = bytes[..len].split_at(len / 3);
        let (second, third) = rest.split_at(rest.len() / 5);
        let parts: [&[u8]; 4] = [first, second, &[], third];
        let header = Header {
            kind: 3,
            flags: 0xABCD,
            task: turn as u64,
            len: u32::try_from(len).expect("small"),
            claim: None,
        };

        parent.tell(&message(turn as u64, &parts)).expect("the ring is empty");
        assert_eq!(worker.next(&mut body), Some(header));
        assert_eq!(body, bytes[..len]);

        worker.reply(&message(turn as u64, &parts)).expect("the ring is empty");
        assert_eq!(parent.receive(&mut body), Ok(Some(header)));
        assert_eq!(body, bytes[..len]);
    }
    assert!(!worker.has_mail() && !parent.has_mail());
    assert_eq!((worker.next(&mut body), parent.receive(&mut body)), (None, Ok(None)));
}

#[test]
fn a_full_ring_takes_more_once_something_was_read() {
    let (mut parent, mut worker, _) = pair();
    let (bytes, mut body) = (vec![1; LARGEST], Vec::new());
    for task in 0..3 {
        worker.reply(&message(task, &[&bytes])).expect("there is room");
    }
    assert_eq!(worker.reply(&message(3, &[&bytes])), Err(NoRoom), "the headers take the room of a fourth");
    assert_eq!(worker.sleep_for_room(Some(Moment::now())), Wake::TimedOut);

    let mut small = 3;
    while worker.reply(&message(small, &[])).is_ok() {
        small += 1;
    }
    for task in 0..small {
        assert_eq!(parent.receive(&mut body).map(|header| header.map(|header| header.task)), Ok(Some(task)));
    }
    assert_eq!(worker.sleep_for_room(None), Wake::Woken);
    worker.reply(&message(0, &[&bytes])).expect("there is room");
}

#[test]
fn a_window_of_tasks_is_handed_out() {
    let (mut parent, mut worker, _) = pair();
    let mut body = Vec::new();
    let claims: Vec<_> = (0..WINDOW as u64)
        .map(|task| parent.hand_out(&message(task, &[])).expect("there are claims"))
        .collect();
    assert_eq!((parent.hand_out(&message(99, &[])), parent.free_claims()), (Err(NoRoom), 0));
    parent.tell(&message(99, &[])).expect("this needs no claim");

    assert!(claims.iter().all(|&claim| parent.begun_at(claim).is_none()));
    let before = Moment::now();
    assert_eq!(worker.next(&mut body).and_then(|header| header.claim), Some(claims[0]));
    let begun = parent.begun_at(claims[0]).expect("it has begun");
    assert!(before <= begun && begun <= Moment::now());
    assert_eq!(parent.begun_at(claims[1]), None);

    worker.reply(&message(0, &[])).expect("there is room");
    assert_eq!(
        parent.receive(&mut body).map(|header| header.and_then(|header| header.claim)),
        Ok(Some(claims[0]))
    );
    parent.settle(claims[0]);
    assert_eq!((parent.begun_at(claims[0]), parent.free_claims()), (None, 1));
    assert_eq!(parent.hand_out(&message(100, &[])), Ok(claims[0]));
}

#[test]
fn what_is_taken_back_is_skipped_and_its_claim_returns() {
    let (mut parent, mut worker, _) = pair();
    let mut body = Vec::new();
    let claims: Vec<_> = (0..WINDOW as u64)
        .map(|task| parent.hand_out(&message(task, &[])).expect("there are claims"))
        .collect();
    assert!(parent.take_back(claims[0]) && parent.take_back(claims[2]));
    assert!(!parent.take_back(claims[0]), "it is back");
    assert_eq!(parent.free_claims(), 0, "the worker has not passed them yet");
    assert_eq!(parent.hand_out(&message(99, &[])), Err(NoRoom));

    assert_eq!(worker.next(&mut body).map(|header| header.task), Some(1));
    assert!(!parent.take_back(claims[1]), "it has begun");
    assert_eq!(parent.free_claims(), 1);
    assert_eq!(worker.next(&mut body).map(|header| header.task), Some(3));
    assert_eq!(parent.free_claims(), 2);
    assert_eq!(parent.hand_out(&message(99, &[])), Ok(claims[0]));
    assert_eq!(parent.begun_at(claims[0]), None);
}

#[test]
fn a_reply_to_what_is_not_out_has_no_claim() {
    let (mut parent, mut worker, _) = pair();
    let mut body = Vec::new();
    let claims = [1, 2].map(|task| parent.hand_out(&message(task, &[])).expect("there are claims"));
    parent.settle(claims[0]);
    assert!(parent.take_back(claims[1]));
    for task in [1, 2, 3] {
        worker.reply(&message(task, &[])).expect("there is room");
        let header = parent.receive(&mut body).expect("it is sound").expect("it was sent");
        assert_eq!((header.task, header.claim), (task, None));
    }
}

#[test]
fn every_lease_can_be_lent_and_comes_back() {
    let (mut parent, mut worker, _) = pair();
    let leases: Vec<_> = std::iter::from_fn(|| parent.lend()).collect();
    assert_eq!(leases, (0..1024).collect::<Vec<_>>());

    let mut loans: Vec<_> = leases.iter().map(|&lease| worker.borrow(lease).expect("it is lent")).collect();
    assert_eq!(worker.borrow(7).err(), Some(Corrupt("a lease that is lent already")));
    assert_eq!(worker.borrow(1024).err(), Some(Corrupt("a lease that there is not")));
    parent.returned(&mut |lease| panic!("{lease} is not back"));

    std::thread::spawn(move || loans.drain(..).filter(|loan| loan.lease() % 2 == 0).for_each(drop))
        .join()
        .expect("it does not panic");
    let mut back = Vec::new();
    parent.returned(&mut |lease| back.push(lease));
    assert_eq!(back, leases, "and the others with the vector");
    assert_eq!((parent.lent(), parent.lend()), (0, Some(0)));

    let lease = worker.lend().expect("there are leases");
    let loan = parent.borrow(lease).expect("it is lent");
    assert_eq!(worker.sleep_for_leases(Some(Moment::now())), Wake::TimedOut);
    drop((parent, loan));
    assert_eq!(worker.sleep_for_leases(None), Wake::Woken);
    worker.returned(&mut |back| assert_eq!(back, lease));
    assert_eq!(worker.lent(), 0);
}

#[test]
fn a_lease_that_went_nowhere_is_reclaimed() {
    let (mut parent, worker, _) = pair();
    assert_eq!([(); 3].map(|()| parent.lend()), [Some(0), Some(1), Some(2)]);
    for lease in [1, 1, 7, u16::MAX] {
        parent.reclaim(lease);
    }
    assert_eq!((parent.lent(), parent.lend(), parent.lend()), (3 - 1, Some(1), Some(3)));
    drop(worker.borrow(1));
    parent.returned(&mut |lease| assert_eq!(lease, 1));
    assert_eq!(parent.lent(), 3);
}

#[test]
fn a_forked_child_gives_nothing_back() {
    let (parent, mut worker, _) = pair();
    let loan = parent.borrow(worker.lend().expect("there are leases")).expect("it is lent");
    let mut loan = Some(loan);
    assert!(raddle_sys::fork::check_in_child(60, || {
        drop(loan.take());
        true
    }));
    worker.returned(&mut |lease| panic!("{lease} is still looked at"));
    drop(loan);
    worker.returned(&mut |_| {});
    assert_eq!(worker.lent(), 0);
}

#[test]
fn a_lease_that_comes_back_rings_when_it_is_wanted() {
    let (mut parent, worker, bell) = pair();
    let mut loans =
        [(); 3].map(|()| Some(worker.borrow(parent.lend().expect("there are leases")).expect("lent")));
    bell.set_who(Who::Collector);
    let mut seen = bell.seen(Who::Collector);
    for (loan, wanted) in loans.iter_mut().zip([false, true, false]) {
        parent.want_leases(wanted);
        drop(loan.take());
        assert_eq!(bell.seen(Who::Collector) != seen, wanted);
        seen = bell.seen(Who::Collector);
    }
}

#[test]
fn the_bell_rings_whose_turn_it_is() {
    let (_parent, mut worker, bell) = pair();
    let seen = |bell: &Bell| [Who::Collector, Who::Leader].map(|who| bell.seen(who));
    for (who, rung) in [(Who::Nobody, [0, 0]), (Who::Collector, [1, 0]), (Who::Leader, [1, 1])] {
        bell.set_who(who);
        worker.reply(&message(1, &[])).expect("there is room");
        assert_eq!(seen(&bell), rung);
    }
    assert_eq!(bell.sleep(Who::Leader, 0, None), Wake::Woken, "it has been rung");
    assert_eq!(bell.sleep(Who::Leader, 1, Some(Moment::now())), Wake::TimedOut);
    bell.wake(Who::Leader);
    assert_eq!(bell.sleep(Who::Leader, 1, None), Wake::Woken);
    assert_eq!(bell.sleep(Who::Nobody, 0, None), Wake::Woken);
}

#[test]
fn a_sleeping_collector_is_woken_by_workers_and_by_its_own_threads() {
    let (mut parent, mut worker, bell) = pair();
    std::thread::scope(|scope| {
        let (bell, parent) = (&bell, &mut parent);
        let collector = scope.spawn(move || {
            let (mut body, mut got) = (Vec::new(), 0);
            bell.set_who(Who::Collector);
            loop {
                let seen = bell.seen(Who::Collector);
                while let Some(header) = parent.receive(&mut body).expect("it is sound") {
                    got += 1;
                    if header.task == 0 {
                        return got;
                    }
                }
                bell.sleep(Who::Collector, seen, None);
            }
        });
        for task in (0..500).rev() {
            worker.reply(&message(task, &[])).expect("there is room");
            if task % 50 == 0 {
                bell.wake(Who::Collector);
                std::thread::yield_now();
            }
        }
        assert_eq!(collector.join().expect("it does not panic"), 500);
    });
}

#[test]
fn a_sleeping_worker_is_nudged() {
    let (mut parent, mut worker, _) = pair();
    assert_eq!(worker.sleep(Some(Moment::now())), Wake::TimedOut);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let mut body = Vec::new();
            let mut tasks = 0;
            while tasks < 1000 {
                while worker.next(&mut body).is_some() {
                    tasks += 1;
                }
                worker.sleep(None);
            }
        });
        for task in 0..1000 {
            parent.tell(&message(task, &[])).expect("there is room");
            parent.nudge();
        }
        // The last sleep, if there is one: of a worker that is through.
        while !worker.is_finished() {
            parent.nudge();
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_deadline_ends_each_sleep() {
    let (_parent, worker, bell) = pair();
    let soon = || Some(Moment::now() + Duration::from_millis(1));
    assert_eq!(worker.sleep(soon()), Wake::TimedOut);
    assert_eq!(worker.sleep_for_leases(soon()), Wake::TimedOut);
    assert_eq!(bell.sleep(Who::Collector, 0, soon()), Wake::TimedOut);
}

#[test]
fn other_memory_is_refused() {
    let (parent, _worker, bell) = pair();
    let of = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().expect("there are descriptors");
    let bell_again = || Bell::attach(of(bell.fd())).expect("it is one");
    assert!(WorkerSide::attach(of(bell.fd()), bell_again()).is_err(), "too small");
    let blank = raddle_sys::memory::Memory::new("blank", 1 << 20).expect("there is memory");
    assert!(WorkerSide::attach(of(blank.fd()), bell_again()).is_err(), "no stamp");
    assert!(WorkerSide::attach(of(parent.fd()), bell_again()).is_ok());
}

#[test]
#[should_panic(expected = "goes through the arena")]
fn a_body_that_never_fits_is_the_callers_mistake() {
    let (mut parent, ..) = pair();
    let _ = parent.tell(&message(1, &[&vec![0; LARGEST], &[0]]));
}
