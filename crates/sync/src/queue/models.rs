//! Models of putting, getting, leaving and shutdown, run by loom over every interleaving up to a bound.
//!
//! Somebody who sleeps beside an item, or through a shutdown, is a deadlock to loom.

use super::*;
use crate::primitives::Arc;
use crate::waiter::Waitable;
use loom::thread::spawn;

const ME: Owner = Owner::thread(99);

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn queue(bound: usize) -> Arc<Queue<u32>> {
    Arc::new(Queue::new(NonZeroUsize::new(bound), Order::Fifo))
}

fn getter(queue: &Arc<Queue<u32>>) -> loom::thread::JoinHandle<u32> {
    let queue = Arc::clone(queue);
    spawn(move || queue.get(None).expect("nobody shuts it down"))
}

/// One whose deadline passes, before or after he was woken, or even when he was about to look.
fn leaver(queue: &Arc<Queue<u32>>, until: fn(Arc<Queue<u32>>) -> Until<Arc<Queue<u32>>>) {
    let until = until(Arc::clone(queue));
    let waiter = Waiter::thread(Owner::thread(1));
    until.attempt(&waiter);
    assert!(!until.abandon(&waiter));
}

#[test]
fn every_getter_has_an_item_of_its_own() {
    check(4, || {
        let queue = queue(0);
        let getters = [getter(&queue), getter(&queue)];
        queue.try_put(1).expect("open");
        queue.try_put(2).expect("open");
        let [one, other] = getters.map(|getter| getter.join().expect("no panic"));
        assert_eq!((one + other, queue.len()), (3, 0));
    });
}

#[test]
fn a_batch_wakes_enough_getters() {
    check(4, || {
        let queue = queue(0);
        let getters = [getter(&queue), getter(&queue)];
        assert_eq!(queue.put_many(&mut VecDeque::from([1, 2])), Ok(2));
        let [one, other] = getters.map(|getter| getter.join().expect("no panic"));
        assert_eq!(one + other, 3);
    });
}

#[test]
fn a_full_queue_lets_its_putters_in_one_by_one() {
    check(3, || {
        let queue = queue(1);
        let putters = [1, 2].map(|item| {
            let queue = Arc::clone(&queue);
            spawn(move || queue.put(item, None).expect("nobody shuts it down"))
        });
        assert_eq!(queue.get(None).expect("open") + queue.get(None).expect("open"), 3);
        for putter in putters {
            putter.join().expect("no panic");
        }
        assert_eq!(queue.unfinished(), 2);
    });
}

#[test]
fn items_keep_their_order_through_a_full_queue() {
    check(3, || {
        let queue = queue(1);
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || {
                for item in 1..=3 {
                    queue.put(item, None).expect("nobody shuts it down");
                }
            }
        });
        for item in 1..=3 {
            assert_eq!(queue.get(None), Ok(item));
        }
        putter.join().expect("no panic");
    });
}

#[test]
fn a_getter_that_leaves_passes_its_wake_up_on() {
    check(4, || {
        let queue = queue(0);
        let stays = getter(&queue);
        let leaves = spawn({
            let queue = Arc::clone(&queue);
            move || leaver(&queue, Until::items)
        });
        queue.try_put(1).expect("open");
        assert_eq!(stays.join().expect("no panic"), 1);
        leaves.join().expect("no panic");
    });
}

#[test]
fn a_putter_that_leaves_passes_its_wake_up_on() {
    check(4, || {
        let queue = queue(1);
        queue.try_put(1).expect("room");
        let stays = spawn({
            let queue = Arc::clone(&queue);
            move || queue.put(2, None).expect("nobody shuts it down")
        });
        let leaves = spawn({
            let queue = Arc::clone(&queue);
            move || leaver(&queue, Until::room)
        });
        assert_eq!(queue.try_get(ME), Ok(1));
        stays.join().expect("no panic");
        leaves.join().expect("no panic");
        assert_eq!(queue.try_get(ME), Ok(2));
    });
}

#[test]
fn one_who_was_woken_for_nothing_gets_the_next_item() {
    check(4, || {
        let queue = queue(0);
        let sleeper = getter(&queue);
        let quicker = spawn({
            let queue = Arc::clone(&queue);
            move || {
                if queue.try_get(ME).is_ok() {
                    queue.try_put(2).expect("open");
                }
            }
        });
        queue.try_put(1).expect("open");
        assert!(sleeper.join().expect("no panic") > 0);
        quicker.join().expect("no panic");
    });
}

#[test]
fn a_shutdown_wakes_getters_and_putters() {
    check(4, || {
        let (empty, full) = (queue(1), queue(1));
        full.try_put(1).expect("room");
        let getter = spawn({
            let empty = Arc::clone(&empty);
            move || assert_eq!(empty.get(None), Err(NoItem::ShutDown))
        });
        let putter = spawn({
            let full = Arc::clone(&full);
            move || assert_eq!(full.put(2, None), Err(Rejected::ShutDown(2)))
        });
        empty.shutdown(false);
        full.shutdown(false);
        getter.join().expect("no panic");
        putter.join().expect("no panic");
        assert_eq!(full.try_get(ME), Ok(1));
    });
}

#[test]
fn an_item_put_before_the_shutdown_is_got_or_handed_back() {
    check(4, || {
        let queue = queue(0);
        let getters = [0, 1].map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || usize::from(queue.get(None).is_ok()))
        });
        queue.try_put(1).expect("open");
        let back = queue.shutdown(true).len();
        let got: usize = getters.map(|getter| getter.join().expect("no panic")).iter().sum();
        assert_eq!((got + back, queue.unfinished()), (1, got));
    });
}

#[test]
fn the_last_report_wakes_those_who_wait_for_the_end_of_work() {
    check(4, || {
        let queue = queue(0);
        queue.put_many(&mut VecDeque::from([1, 2])).expect("open");
        let joiner = spawn({
            let queue = Arc::clone(&queue);
            move || assert!(queue.join(None))
        });
        let worker = spawn({
            let queue = Arc::clone(&queue);
            move || queue.task_done(1, ME).expect("two were put")
        });
        queue.task_done(1, ME).expect("two were put");
        joiner.join().expect("no panic");
        worker.join().expect("no panic");
    });
}
