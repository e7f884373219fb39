//! What a forked child finds: who held something still holds it, nobody waits, and nothing hangs.

use raddle_sync::{
    Arrival, Barrier, Event, Latch, Lock, Moment, Notifier, Owner, RLock, ReadSide, RwLock, Semaphore,
    Waitable, Waiter, Wake, WriteSide, waiter,
};
use raddle_sys::fork::check_in_child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// After so many seconds a child hangs.
const LIMIT: u32 = 30;

/// Whether it can be had within a moment.
fn soon(primitive: &impl Waitable) -> bool {
    waiter::block(primitive, Some(Moment::now() + Duration::from_millis(10)))
}

/// Two threads that wait for `primitive` until it lets them go.
fn sleepers<W: Waitable + 'static>(
    primitive: &Arc<W>,
    asleep: impl Fn() -> bool,
) -> Vec<std::thread::JoinHandle<()>> {
    let spawn = || {
        let primitive = Arc::clone(primitive);
        std::thread::spawn(move || assert!(waiter::block(&*primitive, None)))
    };
    let threads = vec![spawn(), spawn()];
    while !asleep() {
        std::thread::yield_now();
    }
    threads
}

fn join(threads: Vec<std::thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("it got what it waited for");
    }
}

#[test]
fn a_lock_with_waiters_is_held_by_who_held_it_and_nobody_waits() {
    let me = Owner::current_thread();
    for fair in [false, true] {
        let lock = Arc::new(Lock::new(fair));
        assert!(lock.try_acquire(me));
        let mut waiting = Vec::new();
        for count in 1..=2 {
            let other = Arc::clone(&lock);
            waiting.push(std::thread::spawn(move || {
                assert!(waiter::block(&*other, None));
                other.release().expect("held");
            }));
            while lock.waiters() < count {
                std::thread::yield_now();
            }
        }
        assert!(check_in_child(LIMIT, || {
            assert_eq!((lock.owner(), lock.waiters()), (Some(Owner::current_thread()), 0));
            assert!(!soon(&*lock));
            lock.release().expect("held");
            assert!(waiter::block(&*lock, None));
            lock.release().is_ok() && !lock.is_locked()
        }));
        lock.release().expect("the child had its own");
        join(waiting);
    }
}

#[test]
fn what_a_thread_of_the_parent_held_stays_held_until_it_is_made_new() {
    let lock = Arc::new(Lock::default());
    let nested = Arc::new(RLock::default());
    std::thread::spawn({
        let (lock, nested) = (Arc::clone(&lock), Arc::clone(&nested));
        move || {
            let me = Owner::current_thread();
            assert!(lock.try_acquire(me) && nested.try_acquire(me) && nested.try_acquire(me));
        }
    })
    .join()
    .expect("it does not panic");
    assert!(check_in_child(LIMIT, || {
        let me = Owner::current_thread();
        assert!(!soon(&*lock) && !soon(&*nested));
        lock.reinit();
        nested.reinit();
        lock.try_acquire(me) && nested.try_acquire(me) && nested.count(me) == 1
    }));
}

#[test]
fn a_thread_that_forks_while_it_waits_tries_again_in_the_child() {
    let lock = Lock::new(true);
    let other = Owner::task(0x1000);
    let me = Waiter::thread(Owner::current_thread());
    assert!(lock.try_acquire(other) && !lock.attempt(&me));
    assert!(check_in_child(LIMIT, || {
        assert!(!me.is_queued());
        assert_eq!(me.sleep(None), Wake::Woken);
        assert!(!lock.attempt(&me) && me.is_queued());
        lock.release().expect("held");
        lock.attempt(&me)
    }));
    assert!(me.is_queued() && !lock.abandon(&me));
}

#[test]
fn a_semaphore_has_the_permits_that_were_free() {
    for fair in [false, true] {
        let semaphore = Arc::new(Semaphore::new(0, None, fair));
        let waiting = sleepers(&semaphore, || semaphore.waiters() == 2);
        assert!(check_in_child(LIMIT, || {
            assert!(!soon(&*semaphore));
            semaphore.release(1).expect("unbounded");
            assert_eq!((semaphore.value(), semaphore.waiters()), (1, 0));
            waiter::block(&*semaphore, None)
        }));
        semaphore.release(2).expect("unbounded");
        join(waiting);
    }
}

#[test]
fn what_others_wait_for_can_come_in_the_child() {
    let (event, latch) = (Arc::new(Event::default()), Arc::new(Latch::new(1)));
    let changed = Arc::new(Notifier::default());
    let mut waiting = sleepers(&event, || event.waiters() == 2);
    waiting.extend(sleepers(&latch, || latch.waiters() == 2));
    waiting.extend(sleepers(&changed, || changed.waiters() == 2));
    assert!(check_in_child(LIMIT, || {
        assert!(!soon(&*event) && !soon(&*latch));
        event.set();
        assert_eq!((latch.count_down(1), changed.notify_all()), (0, 0));
        event.clear();
        !soon(&*event) && waiter::block(&*latch, None)
    }));
    event.set();
    latch.count_down(1);
    changed.notify_all();
    join(waiting);
}

#[test]
fn a_barrier_begins_anew() {
    let barrier = Arc::new(Barrier::new(2));
    let Ok(Arrival::Waits(place)) = barrier.arrive() else { panic!("one is missing") };
    assert!(check_in_child(LIMIT, || {
        assert_eq!(barrier.waiting(), 0);
        let Ok(Arrival::Waits(place)) = barrier.arrive() else { panic!("one is missing") };
        soon(&place);
        barrier.is_broken()
    }));
    assert!(!barrier.is_broken());
    drop(place);
}

#[test]
fn gates_that_were_closed_for_a_writer_of_the_parent_open() {
    let me = Owner::current_thread();
    for fair in [false, true] {
        let lock = Arc::new(RwLock::new(fair));
        assert!(lock.try_read(me));
        let writer = std::thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                assert!(waiter::block(&WriteSide(Arc::clone(&lock)), None));
                lock.release_write().expect("held");
            }
        });
        while lock.waiting_writers() == 0 {
            std::thread::yield_now();
        }
        assert!(check_in_child(LIMIT, || {
            assert_eq!((lock.readers(), lock.waiting_writers()), (1, 0));
            assert!(soon(&ReadSide(&*lock)) && lock.try_read(me));
            (0..3).for_each(|_| lock.release_read(me).expect("held"));
            assert!(lock.try_write(me) && !soon(&ReadSide(&*lock)));
            lock.downgrade().is_ok() && lock.release_read(me).is_ok() && !lock.is_locked()
        }));
        assert!(check_in_child(LIMIT, || lock.release_read(me).is_ok() && lock.try_write(me)));
        lock.release_read(me).expect("held");
        writer.join().expect("it wrote");
    }
}

/// Everything, used by threads without a pause.
#[derive(Default)]
struct Everything {
    lock: Lock,
    nested: RLock,
    event: Event,
    changed: Notifier,
}

/// Another thread is in the middle of something at nearly every fork: with a mutex held, a waiter half in a queue.
#[test]
fn nothing_hangs_that_was_in_use_at_the_fork() {
    let all = Arc::new((
        Everything::default(),
        Lock::new(true),
        [false, true].map(|fair| Semaphore::new(1, None, fair)),
        [false, true].map(RwLock::new),
    ));
    let done = Arc::new(AtomicBool::new(false));
    let busy = |_| {
        let (all, done) = (Arc::clone(&all), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                use_everything(&all, Some(Moment::now() + Duration::from_micros(50)));
            }
        })
    };
    let threads: Vec<_> = (0..3).map(busy).collect();
    for _ in 0..100 {
        assert!(check_in_child(LIMIT, || {
            use_everything(&all, Some(Moment::now() + Duration::from_millis(10)));
            true
        }));
    }
    done.store(true, Ordering::Relaxed);
    join(threads);
}

type All = (Everything, Lock, [Semaphore; 2], [RwLock; 2]);

/// Takes and gives back one of each, unless it can't be had by then.
fn use_everything((all, fair, semaphores, rwlocks): &All, deadline: Option<Moment>) {
    let me = Owner::current_thread();
    for lock in [&all.lock, fair] {
        if waiter::block(lock, deadline) {
            lock.release().expect("held");
        }
    }
    if waiter::block(&all.nested, deadline) {
        all.nested.release(me).expect("held");
    }
    for semaphore in semaphores {
        if waiter::block(semaphore, deadline) {
            semaphore.release(1).expect("unbounded");
        }
    }
    for lock in rwlocks {
        if waiter::block(&ReadSide(lock), deadline) {
            lock.release_read(me).expect("held");
        }
        if waiter::block(&WriteSide(lock), deadline) {
            lock.release_write().expect("held");
        }
    }
    all.event.set();
    all.event.clear();
    waiter::block(&all.event, deadline);
    all.changed.notify(1);
    waiter::block(&all.changed, deadline);
}
