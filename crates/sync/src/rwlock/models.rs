//! Models of readers and writers, with two gates: odd numbers come in by one, even ones by the other.

use super::*;
use crate::models::{Inside, check, owner, race, wait};
use crate::primitives::AtomicU64;

struct Shared {
    lock: RwLock,
    writers: Inside,
    readers: AtomicU64,
}

fn shared(fair: bool) -> Shared {
    Shared { lock: RwLock::new(fair), writers: Inside::new(), readers: AtomicU64::new(0) }
}

impl Shared {
    fn read(&self, number: u64, gives_up: bool) {
        if wait(number, &ReadSide(&self.lock), gives_up) {
            self.readers.fetch_add(1, Ordering::Relaxed);
            // Nobody writes meanwhile: a visitor could be seen here.
            self.writers.nobody();
            self.readers.fetch_sub(1, Ordering::Relaxed);
            self.lock.release_read(owner(number)).expect("held");
        } else {
            assert!(gives_up);
        }
    }

    fn write(&self, number: u64, gives_up: bool) {
        if wait(number, &WriteSide(&self.lock), gives_up) {
            self.written();
            self.lock.release_write().expect("held");
        } else {
            assert!(gives_up);
        }
    }

    fn written(&self) {
        self.writers.visit(1);
        assert_eq!(self.readers.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn two_writers_and_a_reader() {
    for fair in [false, true] {
        check(move || {
            race(shared(fair), 3, |number, shared| match number {
                1 => shared.read(number, false),
                _ => shared.write(number, false),
            });
        });
    }
}

#[test]
fn two_readers_by_different_gates_and_a_writer() {
    for fair in [false, true] {
        check(move || {
            race(shared(fair), 3, |number, shared| match number {
                3 => shared.write(number, false),
                _ => shared.read(number, false),
            });
        });
    }
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_in() {
    for fair in [false, true] {
        check(move || {
            race(shared(fair), 3, |number, shared| match number {
                1 => shared.write(number, true),
                _ => shared.read(number, false),
            });
        });
    }
}

#[test]
fn a_reader_that_gives_up_holds_nobody_up() {
    for fair in [false, true] {
        check(move || {
            race(shared(fair), 3, |number, shared| match number {
                1 => shared.read(number, true),
                _ => shared.write(number, false),
            });
        });
    }
}

#[test]
fn one_that_tries_leaves_the_gates_as_they_were() {
    for fair in [false, true] {
        check(move || {
            race(shared(fair), 3, |number, shared| match number {
                1 => {
                    if shared.lock.try_write(owner(number)) {
                        shared.written();
                        shared.lock.release_write().expect("held");
                    }
                }
                2 => shared.read(number, false),
                _ => shared.write(number, false),
            });
        });
    }
}

#[test]
fn a_writer_becomes_a_reader_without_another_one_in_between() {
    for fair in [false, true] {
        check(move || {
            let written = AtomicU64::new(0);
            race((shared(fair), written), 3, |number, (shared, written)| {
                if number == 1 {
                    return shared.read(number, false);
                }
                assert!(wait(number, &WriteSide(&shared.lock), false));
                shared.written();
                written.store(number, Ordering::Relaxed);
                if number == 2 {
                    return shared.lock.release_write().expect("held");
                }
                shared.lock.downgrade().expect("held");
                assert_eq!(written.load(Ordering::Relaxed), number);
                shared.lock.release_read(owner(number)).expect("held");
            });
        });
    }
}
