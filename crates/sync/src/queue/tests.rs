//! What users of a queue can rely on, step by step and with threads.

use super::*;
use crate::primitives::Arc;
use crate::waiter::Waitable;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

const ME: Owner = Owner::thread(99);

fn waiter(number: u64) -> Arc<Waiter> {
    Waiter::thread(Owner::thread(number))
}

fn bounded(bound: usize) -> Queue<u32> {
    Queue::new(NonZeroUsize::new(bound), Order::Fifo)
}

#[test]
fn items_come_out_in_order() {
    let (fifo, lifo) = (Queue::new(None, Order::Fifo), Queue::new(None, Order::Lifo));
    for queue in [&fifo, &lifo] {
        for item in 0..1000 {
            queue.try_put(item).expect("it has no bound");
        }
    }
    assert_eq!((fifo.try_get(ME), lifo.try_get(ME)), (Ok(0), Ok(999)));
    assert_eq!(fifo.get_many(2, ME), Ok(vec![1, 2]));
    assert_eq!(lifo.get_many(2, ME), Ok(vec![998, 997]));
    assert_eq!(fifo.get_many(0, ME), Ok(vec![]));
    assert_eq!(fifo.get_many(usize::MAX, ME).map(|items| items.len()), Ok(997));
    assert_eq!((fifo.try_get(ME), fifo.get_many(1, ME)), (Err(NoItem::Empty), Err(NoItem::Empty)));
}

#[test]
fn a_bound_rejects_what_is_too_much() {
    let queue = bounded(2);
    let mut items = VecDeque::from([1, 2, 3]);
    assert_eq!(queue.put_many(&mut items), Ok(2));
    assert_eq!(items, [3]);
    assert_eq!(queue.put_many(&mut items), Ok(0));
    assert_eq!(queue.try_put(9), Err(Rejected::Full(9)));
    assert_eq!(queue.try_get(ME), Ok(1));
    assert_eq!(queue.try_put(9), Ok(()));
    assert_eq!((queue.len(), queue.unfinished()), (2, 3));
}

#[test]
fn work_is_done_when_all_of_it_was_reported() {
    let queue = bounded(5);
    let joiner = waiter(1);
    let all_done = Until::all_done(&queue);
    assert!(all_done.attempt(&joiner), "nothing was ever put");
    queue.put_many(&mut VecDeque::from([1, 2, 3])).expect("open");
    assert!(!all_done.attempt(&joiner));
    assert_eq!(queue.task_done(4, ME), Err(TooMany));
    queue.task_done(2, ME).expect("three were put");
    assert!(joiner.is_queued());
    queue.task_done(1, ME).expect("one is left");
    queue.try_put(4).expect("there is room");
    assert!(all_done.attempt(&joiner), "what is put later does not count");
    assert!(!all_done.attempt(&joiner), "but for the next one to wait it does");
    assert!(!all_done.abandon(&joiner));
    assert!(!all_done.attempt(&joiner));
    queue.task_done(1, ME).expect("one is left");
    assert!(all_done.abandon(&joiner), "the end came before the one who waits for it left");
}

fn takers(queue: &Queue<u32>) -> Vec<Owner> {
    let mut takers = Vec::new();
    Until::all_done(queue).holders(ME, &mut |taker| takers.push(taker));
    takers
}

#[test]
fn a_join_waits_for_those_who_have_taken_items() {
    let queue = bounded(0);
    let [one, other] = [1, 2].map(Owner::thread);
    queue.put_many(&mut (0..10).collect()).expect("open");
    assert_eq!(takers(&queue), []);
    queue.try_get(one).expect("an item");
    queue.get_many(2, other).expect("items");
    assert_eq!(takers(&queue), [one, other]);
    queue.task_done(1, one).expect("it was put");
    queue.task_done(1, other).expect("it was put");
    assert_eq!(takers(&queue), [other]);
    queue.task_done(1, one).expect("it was put");
    assert_eq!(takers(&queue), [], "one reports for another: nobody knows any more");
    queue.try_get(one).expect("an item");
    assert_eq!(takers(&queue), []);
}

#[test]
fn the_book_of_takers_does_not_grow_without_bound() {
    let queue = bounded(0);
    queue.put_many(&mut (0..200).collect()).expect("open");
    for number in 1..=64 {
        queue.try_get(Owner::thread(number)).expect("an item");
    }
    assert_eq!(takers(&queue).len(), 64);
    queue.try_get(Owner::thread(65)).expect("an item");
    assert_eq!(takers(&queue), []);
}

#[test]
fn one_who_never_reports_is_not_written_down_for_ever() {
    let queue = bounded(0);
    let [one, other] = [1, 2].map(Owner::thread);
    queue.put_many(&mut (0..3000).collect()).expect("open");
    queue.get_many(1000, one).expect("items");
    queue.try_get(other).expect("an item");
    assert_eq!(takers(&queue), [one, other]);
    queue.get_many(24, one).expect("items");
    assert_eq!(takers(&queue), []);
    queue.try_get(other).expect("an item");
    assert_eq!(takers(&queue), []);
}

#[test]
fn alone_one_wakes_nobody() {
    let queue = bounded(1);
    let (getter, putter) = (waiter(1), waiter(2));
    let (items, room) = (Until::items(&queue), Until::room(&queue));
    assert!(!items.attempt(&getter));
    assert_eq!(queue.put_alone(1), Err(1), "somebody waits for it");
    assert!(getter.is_queued() && queue.is_empty());
    queue.try_put(1).expect("room");
    assert!(getter.is_woken());
    assert_eq!(queue.put_alone(2), Err(2), "it is full");
    assert!(!room.attempt(&putter));
    assert_eq!(queue.get_alone(ME), None, "somebody waits for its room");
    assert!(putter.is_queued());
    assert_eq!(queue.try_get(ME), Ok(1));
    assert_eq!((queue.put_alone(3), queue.get_alone(ME), queue.get_alone(ME)), (Ok(()), Some(3), None));
    assert_eq!((queue.unfinished(), takers(&queue)), (2, vec![ME]));
    queue.shutdown(false);
    assert_eq!(queue.put_alone(4), Err(4));
}

#[test]
fn a_quiet_change_is_made_before_anybody_is_told() {
    let queue = Arc::new(bounded(2));
    let seen: Arc<StdMutex<Vec<usize>>> = Arc::default();
    let ring = {
        let (queue, seen) = (Arc::clone(&queue), Arc::clone(&seen));
        move || {
            seen.lock().expect("no panic").push(queue.len());
            true
        }
    };
    let getter = Waiter::task(Owner::task(8), Box::new(ring));
    let items = Until::items(Arc::clone(&queue));
    assert!(!items.attempt(&getter));
    let mut due = queue.put_quietly(1).expect("room");
    due.append(queue.put_quietly(2).expect("room"));
    assert!(getter.is_woken() && seen.lock().expect("no panic").is_empty());
    due.ring(&queue);
    assert_eq!(*seen.lock().expect("no panic"), [2]);

    let (item, due) = queue.get_quietly(ME).expect("an item");
    due.ring(&queue);
    assert!(items.attempt(&getter), "one is left");
    queue.try_get(ME).expect("an item");
    assert!(!items.attempt(&getter));
    let (rest, due) = queue.shutdown_quietly(true);
    assert_eq!((item, rest.len(), seen.lock().expect("no panic").len()), (1, 0, 1));
    due.ring(&queue);
    assert_eq!(seen.lock().expect("no panic").len(), 2);
}

#[test]
fn what_is_put_back_is_as_unfinished_as_before() {
    let queue = bounded(1);
    queue.try_put(1).expect("room");
    let (item, due) = queue.get_quietly(ME).expect("an item");
    due.ring(&queue);
    queue.try_put(2).expect("room");
    queue.shutdown(false);
    queue.put_back_quietly(item, ME).ring(&queue);
    assert_eq!((queue.len(), queue.unfinished(), takers(&queue)), (2, 2, vec![]));
    assert_eq!((queue.try_get(ME), queue.try_get(ME)), (Ok(2), Ok(1)));
    queue.task_done(2, ME).expect("two were put");
}

#[test]
fn what_is_put_back_wakes_one_who_waits_for_it() {
    let queue = bounded(0);
    queue.try_put(1).expect("room");
    let (item, due) = queue.get_quietly(ME).expect("an item");
    due.ring(&queue);
    let getter = waiter(1);
    assert!(!Until::items(&queue).attempt(&getter));
    queue.put_back_quietly(item, ME).ring(&queue);
    assert!(getter.is_woken());
}

#[test]
fn a_bound_can_be_changed() {
    let queue = bounded(1);
    let (first, second) = (waiter(1), waiter(2));
    queue.try_put(1).expect("room");
    let room = Until::room(&queue);
    assert!(!room.attempt(&first) && !room.attempt(&second));
    queue.set_bound(NonZeroUsize::new(2));
    assert!(first.is_woken() && second.is_queued());
    assert!(room.attempt(&first));
    queue.try_put(2).expect("room");
    queue.set_bound(NonZeroUsize::new(1));
    queue.try_get(ME).expect("an item");
    assert_eq!((queue.try_put(3), queue.has_room()), (Err(Rejected::Full(3)), Ok(false)));
    queue.set_bound(None);
    assert_eq!((queue.try_put(3), queue.has_room()), (Ok(()), Ok(true)));
    queue.shutdown(false);
    assert_eq!(queue.has_room(), Err(ShutDown));
}

#[test]
fn after_a_shutdown_the_rest_comes_out() {
    let queue = bounded(2);
    queue.put_many(&mut VecDeque::from([1, 2])).expect("open");
    let (putter, getter) = (waiter(1), waiter(2));
    assert!(!Until::room(&queue).attempt(&putter));
    assert!(queue.shutdown(false).is_empty());
    assert!(putter.is_woken() && Until::room(&queue).attempt(&putter));
    assert!(queue.is_shut_down());
    assert_eq!(queue.try_put(3), Err(Rejected::ShutDown(3)));
    let mut items = VecDeque::from([3]);
    assert_eq!(queue.put_many(&mut items), Err(ShutDown));
    assert_eq!(items, [3]);
    assert_eq!(queue.get_many(1, ME), Ok(vec![1]));
    assert_eq!(queue.try_get(ME), Ok(2));
    assert_eq!((queue.try_get(ME), queue.get_many(1, ME)), (Err(NoItem::ShutDown), Err(NoItem::ShutDown)));
    assert!(Until::items(&queue).attempt(&getter), "there is nothing to wait for");
    assert_eq!(queue.unfinished(), 2);
}

#[test]
fn an_immediate_shutdown_hands_the_items_back_as_finished() {
    let queue = bounded(3);
    queue.put_many(&mut VecDeque::from([1, 2, 3])).expect("open");
    let joiner = waiter(1);
    assert_eq!(queue.try_get(ME), Ok(1));
    assert!(!Until::all_done(&queue).attempt(&joiner));
    assert!(queue.shutdown(true).into_iter().eq([2, 3]));
    assert!(joiner.is_queued(), "the item taken out is not finished");
    queue.task_done(1, ME).expect("it was put");
    assert!(joiner.is_granted());
    assert_eq!(queue.try_get(ME), Err(NoItem::ShutDown));
}

#[test]
fn an_immediate_shutdown_after_early_reports_does_not_count_below_zero() {
    let queue = bounded(3);
    queue.put_many(&mut VecDeque::from([1, 2])).expect("open");
    queue.task_done(2, ME).expect("two were put");
    assert_eq!(queue.shutdown(true).len(), 2);
    assert_eq!(queue.unfinished(), 0);
}

#[test]
fn a_shutdown_wakes_everybody_but_those_who_wait_for_the_end_of_work() {
    let queue = bounded(1);
    let waiters: Vec<_> = (1..6).map(waiter).collect();
    for getter in &waiters[..2] {
        assert!(!Until::items(&queue).attempt(getter));
    }
    queue.state.lock().put(1);
    for putter in &waiters[2..4] {
        assert!(!Until::room(&queue).attempt(putter));
    }
    assert!(!Until::all_done(&queue).attempt(&waiters[4]));
    queue.shutdown(false);
    assert!(waiters[..4].iter().all(|waiter| waiter.is_woken()));
    assert!(waiters[4].is_queued());
}

#[test]
fn a_retired_queue_lets_everybody_go_and_hands_everything_over() {
    let (queue, empty) = (bounded(1), bounded(1));
    let (putter, joiner, getter) = (waiter(1), waiter(2), waiter(3));
    queue.try_put(1).expect("room");
    assert!(!Until::room(&queue).attempt(&putter) && !Until::all_done(&queue).attempt(&joiner));
    assert!(!Until::items(&empty).attempt(&getter));
    let retired = queue.retire();
    assert!(retired.items.into_iter().eq([1]));
    assert_eq!((retired.unfinished, retired.shut_down), (1, false));
    assert!(!empty.retire().shut_down && empty.retire().shut_down);
    assert!(putter.is_woken() && joiner.is_granted() && getter.is_woken());
    assert_eq!(queue.try_put(2), Err(Rejected::ShutDown(2)));
    assert_eq!((queue.try_get(ME), queue.task_done(1, ME)), (Err(NoItem::ShutDown), Err(TooMany)));
}

#[test]
fn many_items_wake_as_many_getters() {
    let queue = bounded(10);
    let getters: Vec<_> = (1..=4).map(waiter).collect();
    for getter in &getters {
        assert!(!Until::items(&queue).attempt(getter));
    }
    queue.put_many(&mut VecDeque::from([1, 2, 3])).expect("open");
    let woken: Vec<_> = getters.iter().map(|getter| getter.is_woken()).collect();
    assert_eq!(woken, [true, true, true, false]);
}

#[test]
fn one_woken_for_nothing_is_the_next_again() {
    let queue = bounded(10);
    let (first, second) = (waiter(1), waiter(2));
    let items = Until::items(&queue);
    assert!(!items.attempt(&first) && !items.attempt(&second));
    queue.try_put(1).expect("open");
    assert!(items.attempt(&first), "there is an item to look at");
    assert_eq!(queue.try_get(ME), Ok(1), "by somebody who was quicker");
    assert!(!items.attempt(&first));
    queue.try_put(2).expect("open");
    assert!(first.is_woken() && second.is_queued());
}

#[test]
fn who_leaves_passes_the_wake_up_on() {
    let queue = bounded(1);
    let (first, second) = (waiter(1), waiter(2));
    for until in [Until::items(&queue), Until::room(&queue)] {
        assert!(!until.attempt(&first) && !until.attempt(&second));
        if queue.is_empty() {
            queue.try_put(1).expect("room");
        } else {
            queue.try_get(ME).map(drop).expect("an item");
        }
        assert!(first.is_woken() && second.is_queued());
        assert!(until.attempt(&first), "even between the permission and the look");
        assert!(!until.abandon(&first));
        assert!(second.is_woken());
        second.reset();
    }
}

#[test]
fn who_leaves_unwoken_passes_nothing_on() {
    let queue = bounded(1);
    let (first, second) = (waiter(1), waiter(2));
    let items = Until::items(&queue);
    assert!(!items.attempt(&first) && !items.attempt(&second));
    assert!(!items.abandon(&first));
    assert!(second.is_queued());
    queue.try_put(1).expect("room");
    assert!(second.is_woken() && !first.is_woken());
}

#[test]
fn an_attempt_without_a_wake_up_keeps_the_place() {
    let queue = bounded(1);
    let (first, second) = (waiter(1), waiter(2));
    let items = Until::items(&queue);
    assert!(!items.attempt(&first) && !items.attempt(&second) && !items.attempt(&first));
    queue.try_put(1).expect("room");
    assert!(first.is_woken() && second.is_queued());
}

#[test]
fn a_wake_up_for_a_task_that_is_gone_goes_to_the_next() {
    let queue = bounded(1);
    let gone = Waiter::task(Owner::task(8), Box::new(|| false));
    let rung = Arc::new(AtomicBool::new(false));
    let there = Waiter::task(Owner::task(16), {
        let rung = Arc::clone(&rung);
        Box::new(move || {
            rung.store(true, Ordering::Relaxed);
            true
        })
    });
    let items = Until::items(&queue);
    assert!(!items.attempt(&gone) && !items.attempt(&there));
    queue.try_put(1).expect("room");
    assert!(rung.load(Ordering::Relaxed) && there.is_woken());
}

#[test]
fn inspection_shows_the_items_and_never_waits() {
    let queue = bounded(3);
    queue.put_many(&mut VecDeque::from([1, 2])).expect("open");
    let mut seen = Vec::new();
    assert!(queue.try_inspect(|items| seen.extend(items.copied())));
    assert_eq!(seen, [1, 2]);
    let guard = queue.state.lock();
    assert!(!queue.try_inspect(|_| unreachable!("the queue is in use")));
    drop(guard);
    assert_eq!(queue.clear().len(), 2);
    assert_eq!((queue.len(), queue.unfinished()), (0, 2));
}

#[test]
fn clearing_makes_room() {
    let queue = bounded(1);
    queue.try_put(1).expect("room");
    let putter = waiter(1);
    assert!(!Until::room(&queue).attempt(&putter));
    assert_eq!(queue.clear().len(), 1);
    assert!(putter.is_woken());
}

#[test]
fn a_deadline_ends_a_wait() {
    let queue = bounded(1);
    let now = Some(Moment::now());
    assert_eq!(queue.get(now), Err(NoItem::Empty));
    assert_eq!(queue.put(1, now), Ok(()));
    assert_eq!(queue.put(2, now), Err(Rejected::Full(2)));
    assert!(!queue.join(now));
}

/// An item that looks, when it is dropped, whether its queue can be used.
struct Nosy(std::sync::Weak<Queue<Nosy>>);

impl Drop for Nosy {
    fn drop(&mut self) {
        crate::assert_unlocked();
        if let Some(queue) = self.0.upgrade() {
            assert!(queue.try_inspect(|_| ()), "an item is dropped under the lock");
        }
    }
}

#[test]
fn no_item_is_dropped_under_the_lock() {
    let queue = Arc::new(Queue::new(NonZeroUsize::new(2), Order::Fifo));
    let item = || Nosy(Arc::downgrade(&queue));
    for _ in 0..3 {
        drop(queue.try_put(item()));
    }
    drop(queue.try_get(ME));
    drop(queue.get_many(5, ME));
    drop(queue.try_put(item()));
    drop(queue.clear());
    drop(queue.try_put(item()));
    drop(queue.shutdown(true));
    drop(queue.try_put(item()));
    assert_eq!(queue.put_many(&mut VecDeque::from([item()])), Err(ShutDown));
}

#[test]
fn nothing_is_lost_or_doubled_between_threads() {
    const ITEMS: u32 = 2_000;
    for (bound, many) in [(None, false), (NonZeroUsize::new(3), false), (NonZeroUsize::new(3), true)] {
        let queue = Queue::new(bound, Order::Fifo);
        let seen = StdMutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Ok(item) = queue.get(None) {
                        let mut mine = vec![item];
                        if many && let Ok(more) = queue.get_many(5, ME) {
                            mine.extend(more);
                        }
                        queue.task_done(mine.len(), ME).expect("they were put");
                        seen.lock().expect("no panic").extend(mine);
                    }
                });
            }
            std::thread::scope(|producers| {
                for producer in 0..2 {
                    let queue = &queue;
                    producers.spawn(move || {
                        for item in 0..ITEMS {
                            queue.put(producer * ITEMS + item, None).expect("open");
                        }
                    });
                }
            });
            assert!(queue.join(None));
            queue.shutdown(false);
        });
        let mut seen = seen.into_inner().expect("no panic");
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..2 * ITEMS));
    }
}

#[test]
fn a_deadlock_through_a_join_is_a_suspicion_and_ends_with_the_join() {
    use crate::graph::Graph;
    let graph: Arc<Graph> = Arc::default();
    let (queue, lock) = (Arc::new(bounded(0)), Arc::new(crate::Lock::default()));
    let (joiner, taker) = (waiter(1), waiter(2));
    queue.put_many(&mut VecDeque::from([1, 2])).expect("open");
    queue.get_many(2, taker.owner()).expect("items");
    assert!(lock.try_acquire(joiner.owner()));

    let all_done = Arc::new(Until::all_done(Arc::clone(&queue)));
    assert!(!all_done.attempt(&joiner));
    let joins = graph.begin(&joiner, all_done, false).expect("the taker does not wait");
    assert!(!lock.attempt(&taker));
    let cycle = graph.begin(&taker, lock.clone(), false).expect_err("it holds the joiner up");
    assert_eq!((cycle.members.len(), cycle.presumed), (2, true), "anybody could report");
    lock.abandon(&taker);

    queue.task_done(2, taker.owner()).expect("two were put");
    queue.try_put(3).expect("room");
    queue.try_get(taker.owner()).expect("an item");
    assert!(!lock.attempt(&taker));
    drop(graph.begin(&taker, lock, false).expect("the joiner goes on, whatever was put since"));
    drop(joins);
}
