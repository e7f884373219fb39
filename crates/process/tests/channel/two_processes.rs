//! A worker in a process of its own.

use crate::other::{ECHO, Pool, echo, serve};
use raddle_process::channel::{LARGEST, Message};
use raddle_sync::Moment;

fn message<'a>(task: u64, parts: &'a [&'a [u8]]) -> Message<'a> {
    Message { kind: ECHO, flags: 0, task, parts }
}

#[test]
fn ping_pong() {
    let mut pool = Pool::start(|worker| serve(worker, echo));
    for task in 0..2000 {
        let body = task.to_string().repeat(20);
        let before = Moment::now();
        let claim = pool.parent.hand_out(&message(task, &[body.as_bytes()])).expect("there is room");
        pool.parent.nudge();
        let (header, answer) = pool.receive().expect("it lives");
        assert_eq!((header.task, header.claim, answer), (task, Some(claim), body.as_bytes()));
        let begun = pool.parent.begun_at(claim).expect("it has replied");
        assert!(before <= begun && begun <= Moment::now());
        pool.parent.settle(claim);
    }
    assert!(pool.stop());
}

#[test]
fn flood_of_all_sizes() {
    const TASKS: u64 = 20_000;
    let mut pool = Pool::start(|worker| serve(worker, echo));
    let bytes: Vec<u8> = (0..=255).cycle().take(LARGEST).collect();
    let size = |task: u64| {
        if task.is_multiple_of(16) { LARGEST } else { usize::try_from(task % 300).expect("small") }
    };
    let (mut sent, mut received) = (0, 0);
    while received < TASKS {
        while sent < TASKS {
            let (first, second) = bytes[..size(sent)].split_at(size(sent) / 3);
            if pool.parent.hand_out(&message(sent, &[first, second])).is_err() {
                break;
            }
            sent += 1;
        }
        pool.parent.nudge();
        let (header, body) = pool.receive().expect("it lives");
        assert_eq!((header.task, body), (received, &bytes[..size(received)]));
        let claim = header.claim.expect("it is out");
        pool.parent.settle(claim);
        received += 1;
    }
    assert!(pool.stop());
}

/// The worker sends more than the ring takes, to a parent that is in no hurry.
#[test]
fn a_worker_waits_for_room() {
    const REPLIES: u32 = 2000;
    let mut pool = Pool::start(|worker| {
        serve(worker, |worker, header, body| {
            (0..REPLIES).all(|_| echo(worker, header, body)) // each waits for room
        });
    });
    let claim = pool.parent.hand_out(&message(1, &[&[1; 1000]])).expect("there is room");
    pool.parent.nudge();
    for _ in 0..REPLIES {
        assert_eq!(pool.receive().expect("it lives").1, [1; 1000]);
    }
    pool.parent.settle(claim);
    assert!(pool.stop());
}

#[test]
fn what_is_taken_back_never_begins() {
    const TASKS: u64 = 5000;
    let mut pool = Pool::start(|worker| serve(worker, echo));
    let (mut next, mut out, mut taken, mut replied) = (0, std::collections::VecDeque::new(), 0, 0);
    while next < TASKS || !out.is_empty() {
        while next < TASKS {
            let Ok(claim) = pool.parent.hand_out(&message(next, &[])) else { break };
            out.push_back((next, claim));
            next += 1;
        }
        pool.parent.nudge();
        // The youngest is the least likely to have begun.
        if next % 3 == 0
            && let Some(&(_, claim)) = out.back()
            && pool.parent.take_back(claim)
        {
            out.pop_back();
            taken += 1;
            continue;
        }
        let Some((task, claim)) = out.pop_front() else {
            // All were taken back; the claims return when the worker has passed them.
            std::thread::yield_now();
            continue;
        };
        let header = pool.receive().expect("it lives").0;
        assert_eq!((header.task, header.claim), (task, Some(claim)), "what is taken back never replies");
        pool.parent.settle(claim);
        replied += 1;
    }
    assert_eq!(replied + taken, TASKS);
    assert!(pool.stop());
}
