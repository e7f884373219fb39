//! Models of deadlocks that close, and of some that don't, run by loom over every interleaving up to a bound.
//!
//! A deadlock that nobody is told is one to loom, too.

use super::*;
use crate::lock::Lock;
use loom::thread::{JoinHandle, spawn};

fn held(fair: bool, holder: u64) -> Arc<Lock> {
    let lock = Lock::new(fair);
    assert!(lock.try_acquire(Owner::thread(holder)));
    Arc::new(lock)
}

fn release(lock: &Lock) {
    lock.release().expect("held");
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Waits for a lock and returns true, or gives up as one who is told of a deadlock.
fn acquire(graph: &Arc<Graph>, number: u64, lock: &Arc<Lock>) -> bool {
    let waiter = Waiter::thread(Owner::thread(number));
    let mut registration = None;
    while !lock.attempt(&waiter) {
        if registration.is_none() {
            match graph.begin(&waiter, Arc::clone(lock) as Arc<dyn Waitable>, false) {
                Ok(noted) => registration = Some(noted),
                Err(_cycle) => {
                    assert!(!lock.abandon(&waiter), "a false alarm: it had been handed over");
                    return false;
                }
            }
        }
        waiter.sleep(None);
    }
    true
}

/// One who holds `held` and wants `wanted`. Returns whether it was told of a deadlock.
fn spawn_greedy(graph: &Arc<Graph>, number: u64, held: &Arc<Lock>, wanted: &Arc<Lock>) -> JoinHandle<bool> {
    let (graph, held, wanted) = (Arc::clone(graph), Arc::clone(held), Arc::clone(wanted));
    spawn(move || {
        let acquired = acquire(&graph, number, &wanted);
        if acquired {
            release(&wanted);
        }
        release(&held);
        !acquired
    })
}

#[test]
fn of_two_who_close_a_circle_at_once_one_is_told() {
    for fair in [false, true] {
        check(6, move || {
            let graph = Arc::new(Graph::default());
            let (one, two) = (held(fair, 1), held(fair, 2));
            let first = spawn_greedy(&graph, 1, &one, &two);
            let second = spawn_greedy(&graph, 2, &two, &one);
            let told = [first, second].map(|thread| thread.join().expect("no panic"));
            assert_eq!(told.iter().filter(|told| **told).count(), 1);
            assert!(graph.snapshot().is_empty());
        });
    }
}

#[test]
fn of_three_who_close_a_circle_at_once_one_is_told() {
    check(3, || {
        let graph = Arc::new(Graph::default());
        let [one, two, three] = [1, 2, 3].map(|number| held(false, number));
        let threads = [
            spawn_greedy(&graph, 1, &one, &two),
            spawn_greedy(&graph, 2, &two, &three),
            spawn_greedy(&graph, 3, &three, &one),
        ];
        let told = threads.map(|thread| thread.join().expect("no panic"));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
    });
}

#[test]
fn a_lock_that_was_let_go_before_the_next_was_wanted_is_no_circle() {
    for fair in [false, true] {
        check(4, move || {
            let graph = Arc::new(Graph::default());
            let (one, two) = (held(fair, 1), held(fair, 2));
            let second = spawn_greedy(&graph, 2, &two, &one);
            release(&one);
            assert!(acquire(&graph, 1, &two), "a false alarm");
            release(&two);
            assert!(!second.join().expect("no panic"), "a false alarm");
        });
    }
}

#[test]
fn one_who_is_handed_a_lock_does_not_wait_for_himself() {
    check(6, || {
        let graph = Arc::new(Graph::default());
        let one = held(true, 1);
        let second = spawn({
            let (graph, one) = (Arc::clone(&graph), Arc::clone(&one));
            move || {
                assert!(acquire(&graph, 2, &one), "a false alarm");
                release(&one);
            }
        });
        release(&one);
        second.join().expect("no panic");
    });
}

#[test]
fn one_who_was_woken_for_nothing_is_not_forgotten() {
    check(4, || {
        let graph = Arc::new(Graph::default());
        let (one, three) = (held(false, 1), held(false, 3));
        let first = spawn_greedy(&graph, 1, &one, &three);
        let quicker = spawn({
            let (graph, one, three) = (Arc::clone(&graph), Arc::clone(&one), Arc::clone(&three));
            move || {
                let mut told = false;
                if three.try_acquire(Owner::thread(2)) {
                    told = !acquire(&graph, 2, &one);
                    if !told {
                        release(&one);
                    }
                    release(&three);
                }
                told
            }
        });
        release(&three);
        let told = [first, quicker].map(|thread| thread.join().expect("no panic"));
        assert!(told != [true, true], "one of them is enough");
    });
}
