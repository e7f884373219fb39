//! What a forked child finds in a queue and in the wait-for graph.

use raddle_sync::graph::Graph;
use raddle_sync::queue::{NoItem, Order, Queue, Until};
use raddle_sync::{Owner, Waitable, Waiter};
use raddle_sys::fork::check_in_child;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// After so many seconds a child hangs.
const LIMIT: u32 = 20;

/// Runs `check` in a child that is gone afterwards.
fn in_child(check: impl FnOnce()) {
    assert!(check_in_child(LIMIT, || {
        check();
        true
    }));
}

fn me() -> Owner {
    Owner::current_thread()
}

fn queue(items: u32) -> Queue<u32> {
    let queue = Queue::new(NonZeroUsize::new(3), Order::Fifo);
    for item in 1..=items {
        queue.try_put(item).expect("there is room");
    }
    queue
}

#[test]
fn a_child_has_the_items_and_nobody_waits() {
    let queue = queue(3);
    let putter = Waiter::thread(Owner::current_thread());
    let room = Until::room(&queue);
    assert!(!room.attempt(&putter));
    in_child(|| {
        assert_eq!((queue.len(), queue.unfinished()), (3, 3));
        assert_eq!(queue.try_get(me()), Ok(1));
        assert!(!putter.is_woken(), "that one waits in the parent");
        // A child of the child that has looked, and one of the child that has not.
        in_child(|| assert_eq!(queue.try_get(me()), Ok(2)));
        in_child(|| in_child(|| assert_eq!(queue.get_many(5, me()), Ok(vec![2, 3]))));
        queue.shutdown(false);
        in_child(|| assert!(queue.is_shut_down()));
    });
    assert_eq!(queue.len(), 3);
    assert!(!queue.is_shut_down());
    queue.try_get(me()).expect("three of them");
    assert!(putter.is_woken());
}

#[test]
fn a_wait_goes_on_in_the_child_of_a_signal_handler() {
    let queue = queue(0);
    let getter = Waiter::thread(Owner::current_thread());
    let items = Until::items(&queue);
    assert!(!items.attempt(&getter));
    in_child(|| {
        getter.sleep(None);
        assert!(!items.attempt(&getter), "there is none here either");
        queue.try_put(1).expect("there is room");
        assert!(getter.is_woken() && items.attempt(&getter));
        assert!(!items.abandon(&getter));
    });
    in_child(|| assert!(!items.abandon(&getter)));
    assert!(!items.abandon(&getter));
}

#[test]
fn a_child_of_a_fork_in_the_midst_of_it_starts_empty() {
    let queue = queue(3);
    // Under the lock, as another thread might be.
    let inspected = queue.try_inspect(|_| {
        in_child(|| {
            assert_eq!((queue.try_get(me()), queue.unfinished()), (Err(NoItem::Empty), 0));
            queue.try_put(4).expect("there is room");
            assert_eq!(queue.try_get(me()), Ok(4));
        });
    });
    assert!(inspected);
    assert_eq!(queue.len(), 3);
}

#[test]
fn a_child_has_no_waits() {
    let graph = Arc::new(Graph::default());
    let (queue, waiter) = (Arc::new(queue(0)), Waiter::thread(Owner::current_thread()));
    let items = Until::items(queue);
    assert!(!items.attempt(&waiter));
    let parents = graph.begin(&waiter, Arc::new(items.clone()), false).expect("nobody holds a queue");
    let mut parents = Some(parents);
    in_child(|| {
        assert!(graph.snapshot().is_empty());
        let childs = graph.begin(&waiter, Arc::new(items.clone()), false).expect("nobody holds a queue");
        drop(parents.take());
        assert_eq!(graph.snapshot().len(), 1, "the parent's registration ends nothing here");
        drop(childs);
        assert!(graph.snapshot().is_empty());
    });
    assert_eq!(graph.snapshot().len(), 1);
    drop(parents);
    assert!(graph.snapshot().is_empty());
}
