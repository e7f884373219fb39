//! Models of coroutines that wait beside threads. One that is cancelled, at whatever moment, leaves nothing behind and takes
//! nothing along: whoever waits after it gets what it was woken for or given.

use super::{Inside, check, owner, race, wait};
use crate::primitives::Arc;
use crate::{Lock, Notifier, Owner, Parker, ReadSide, RwLock, Semaphore, Waitable, Waiter, Woken, WriteSide};

/// When a task is cancelled.
#[derive(Clone, Copy, Debug)]
enum Cancelled {
    Never,
    /// Where it would have to wait.
    AtOnce,
    /// After it was woken, before it goes on.
    OnceWoken,
}

const MOMENTS: [Cancelled; 3] = [Cancelled::Never, Cancelled::AtOnce, Cancelled::OnceWoken];

const fn task(number: u64) -> Owner {
    Owner::task(number << 3)
}

/// A task, and the loop that lets it go on when its bell has rung.
struct Coroutine {
    waiter: Arc<Waiter>,
    bell: Arc<Parker>,
}

impl Coroutine {
    fn new(number: u64) -> Self {
        let bell = Arc::new(Parker::default());
        let ring = {
            let bell = Arc::clone(&bell);
            move || {
                bell.unpark();
                true
            }
        };
        Self { waiter: Waiter::task(task(number), Box::new(ring)), bell }
    }

    /// Waits for `primitive`; false when it was cancelled.
    fn wait(&self, primitive: &impl Waitable, cancelled: Cancelled) -> bool {
        while !primitive.attempt(&self.waiter) {
            match cancelled {
                Cancelled::AtOnce => return self.end(primitive),
                Cancelled::OnceWoken => {
                    self.bell.park(None);
                    return self.end(primitive);
                }
                Cancelled::Never => drop(self.bell.park(None)),
            }
        }
        true
    }

    fn end(&self, primitive: &impl Waitable) -> bool {
        Woken::ring_all(primitive.pass_on(&self.waiter), primitive);
        false
    }
}

/// Runs a model for fair and unfair primitives, and each moment of a cancellation.
fn each(model: impl Fn(bool, Cancelled) + Send + Sync + Copy + 'static) {
    for fair in [false, true] {
        for cancelled in MOMENTS {
            check(move || model(fair, cancelled));
        }
    }
}

#[test]
fn a_lock_goes_to_the_next() {
    each(|fair, cancelled| {
        let shared = (Lock::new(fair), Inside::new());
        assert!(shared.0.try_acquire(owner(3)));
        race(shared, 3, move |number, (lock, inside)| {
            let had = match number {
                1 => Coroutine::new(number).wait(lock, cancelled),
                2 => wait(number, lock, false),
                _ => true,
            };
            if had {
                inside.visit(1);
                lock.release().expect("held");
            } else {
                assert_eq!(number, 1);
            }
        });
    });
}

#[test]
fn a_permit_goes_to_the_next() {
    each(|fair, cancelled| {
        race(Semaphore::new(0, None, fair), 3, move |number, semaphore| {
            let had = match number {
                1 => Coroutine::new(number).wait(semaphore, cancelled),
                2 => wait(number, semaphore, false),
                _ => true,
            };
            if had {
                semaphore.release(1).expect("unbounded");
            }
        });
    });
}

#[test]
fn a_notification_goes_to_the_next() {
    for cancelled in [Cancelled::AtOnce, Cancelled::OnceWoken] {
        check(move || {
            let changed = Notifier::new();
            let (first, second) = (Coroutine::new(1), Waiter::thread(owner(2)));
            changed.join(&first.waiter);
            changed.join(&second);
            race((changed, first, second), 3, move |number, (changed, first, second)| match number {
                1 => {
                    // It may have been notified before it was cancelled at once: then it goes on.
                    if first.wait(changed, cancelled) {
                        changed.notify(1);
                    }
                }
                2 => {
                    while !changed.attempt(second) {
                        second.sleep(None);
                    }
                }
                _ => assert_eq!(changed.notify(1), 1),
            });
        });
    }
}

#[test]
fn a_writers_turn_goes_to_the_next() {
    each(|fair, cancelled| {
        let shared = (RwLock::new(fair), Inside::new());
        assert!(shared.0.try_write(owner(3)));
        race(shared, 3, move |number, (lock, inside)| {
            let had = match number {
                1 => Coroutine::new(number).wait(&WriteSide(lock), cancelled),
                2 => wait(number, &WriteSide(lock), false),
                _ => true,
            };
            if had {
                inside.visit(1);
                lock.release_write().expect("held");
            }
        });
    });
}

#[test]
fn a_reader_holds_nobody_back() {
    each(|fair, cancelled| {
        let shared = (RwLock::new(fair), Inside::new());
        assert!(shared.0.try_write(owner(3)));
        race(shared, 3, move |number, (lock, inside)| match number {
            1 => {
                if Coroutine::new(number).wait(&ReadSide(lock), cancelled) {
                    inside.nobody();
                    lock.release_read(task(number)).expect("held");
                }
            }
            2 => {
                assert!(wait(number, &WriteSide(lock), false));
                inside.visit(1);
                lock.release_write().expect("held");
            }
            _ => {
                inside.visit(1);
                lock.release_write().expect("held");
            }
        });
    });
}
