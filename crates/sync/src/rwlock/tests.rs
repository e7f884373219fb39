//! What single threads can see, step by step.

use super::*;

fn waiters() -> [Arc<Waiter>; 4] {
    [1, 2, 3, 4].map(|number| Waiter::thread(Owner::thread(number)))
}

#[test]
fn a_waiting_writer_holds_back_new_readers_until_it_leaves() {
    for fair in [false, true] {
        let [reader, writer, late, _] = waiters();
        let lock = RwLock::new(fair);
        let (read, write) = (ReadSide(&lock), WriteSide(&lock));
        assert!(read.attempt(&reader) && !write.attempt(&writer));
        assert!(!lock.try_read(late.owner()) && !read.attempt(&late));
        assert!(!write.abandon(&writer));
        assert!(!late.is_queued() && read.attempt(&late));
        assert_eq!(lock.readers(), 2);
    }
}

#[test]
fn the_last_reader_hands_over_to_the_writer() {
    let [first, second, writer, _] = waiters();
    let lock = RwLock::new(false);
    assert!(lock.try_read(first.owner()) && lock.try_read(second.owner()));
    assert!(!WriteSide(&lock).attempt(&writer));
    lock.release_read(first.owner()).expect("held");
    assert!(writer.is_queued());
    lock.release_read(second.owner()).expect("held");
    assert!(writer.is_granted());
    assert_eq!(lock.writer(), Some(writer.owner()));
    assert!(WriteSide(&lock).abandon(&writer), "it has it, although it gave up");
    lock.release_write().expect("held");
    assert!(!lock.is_locked());
}

#[test]
fn by_default_writers_go_first() {
    let [holder, reader, writer, _] = waiters();
    let lock = RwLock::new(false);
    assert!(lock.try_write(holder.owner()));
    assert!(!ReadSide(&lock).attempt(&reader) && !WriteSide(&lock).attempt(&writer));
    lock.release_write().expect("held");
    assert!(writer.is_granted() && reader.is_queued());
    lock.release_write().expect("held");
    assert!(reader.is_woken() && ReadSide(&lock).attempt(&reader));
}

#[test]
fn a_fair_lock_lets_them_in_by_turns() {
    let [holder, writer, reader, late] = waiters();
    let lock = RwLock::new(true);
    assert!(lock.try_write(holder.owner()));
    assert!(!WriteSide(&lock).attempt(&writer) && !ReadSide(&lock).attempt(&reader));
    lock.release_write().expect("held");
    assert!(reader.is_granted() && writer.is_queued());
    assert!(!ReadSide(&lock).attempt(&late), "the next phase is the writer's");
    lock.release_read(reader.owner()).expect("held");
    assert!(writer.is_granted());
    lock.release_write().expect("held");
    assert!(ReadSide(&lock).attempt(&late));
}

#[test]
fn a_writer_that_becomes_a_reader_lets_other_readers_in() {
    for fair in [false, true] {
        let [holder, reader, writer, late] = waiters();
        let lock = RwLock::new(fair);
        assert!(lock.try_write(holder.owner()) && !ReadSide(&lock).attempt(&reader));
        lock.downgrade().expect("held");
        assert!(ReadSide(&lock).attempt(&reader));
        assert!(!WriteSide(&lock).attempt(&writer) && !lock.try_read(late.owner()));
        lock.release_read(holder.owner()).expect("held");
        lock.release_read(reader.owner()).expect("held");
        assert!(writer.is_granted());
    }
}

#[test]
fn a_reader_waits_for_those_writers_who_come_before_it() {
    for fair in [false, true] {
        let [holder, first, second, reader] = waiters();
        let lock = RwLock::new(fair);
        let seen = || {
            let mut seen = Vec::new();
            ReadSide(&lock).holders(reader.owner(), &mut |owner| seen.push(owner));
            seen
        };
        assert!(lock.try_read(holder.owner()));
        assert!(!WriteSide(&lock).attempt(&first) && !WriteSide(&lock).attempt(&second));
        assert!(!ReadSide(&lock).attempt(&reader));
        let (first, second) = (first.owner(), second.owner());
        assert_eq!(seen(), if fair { vec![first] } else { vec![first, second] });
        lock.release_read(holder.owner()).expect("held");
        assert_eq!(seen(), if fair { vec![first] } else { vec![first, second] });
    }
}

#[test]
fn what_nobody_holds_can_not_be_released() {
    let lock = RwLock::default();
    let me = Owner::thread(1);
    assert!(lock.release_read(me).is_err() && lock.release_write().is_err() && lock.downgrade().is_err());
    assert!(lock.try_write(me));
    assert!(lock.release_read(me).is_err());
    lock.release_write().expect("held");
    assert!(lock.try_read(me));
    assert!(lock.release_write().is_err());
    assert!(lock.release_read(Owner::thread(2)).is_ok(), "anybody may");
}

#[test]
fn a_writer_that_only_tries_leaves_the_gates_open() {
    let lock = RwLock::default();
    let me = Owner::thread(1);
    assert!(lock.try_read(me) && !lock.try_write(me) && lock.try_read(me));
}

#[test]
fn a_writer_that_retreats_wakes_those_who_met_it() {
    for fair in [false, true] {
        let [reader, late, writer, _] = waiters();
        let lock = RwLock::new(fair);
        assert!(lock.try_read(reader.owner()));
        assert!(lock.gates.claim() && !ReadSide(&lock).attempt(&late) && !lock.drain(false));
        assert!(!late.is_queued() && ReadSide(&lock).attempt(&late));
        assert!(lock.gates.claim() && !WriteSide(&lock).attempt(&writer) && !lock.drain(false));
        lock.release_read(reader.owner()).expect("held");
        lock.release_read(late.owner()).expect("held");
        assert!(writer.is_granted());
    }
}

#[test]
fn tasks_that_are_gone_pass_it_on() {
    for fair in [false, true] {
        let [holder, reader, writer, _] = waiters();
        let gone = |number: u64| Waiter::task(Owner::task(number << 3), Box::new(|| false));
        let lock = RwLock::new(fair);
        assert!(lock.try_write(holder.owner()));
        for number in 1..1000 {
            assert!(!WriteSide(&lock).attempt(&gone(number)) && !ReadSide(&lock).attempt(&gone(number)));
        }
        assert!(!WriteSide(&lock).attempt(&writer) && !ReadSide(&lock).attempt(&reader));
        lock.release_write().expect("held");
        if fair {
            assert!(ReadSide(&lock).attempt(&reader));
            lock.release_read(reader.owner()).expect("held");
            assert!(WriteSide(&lock).attempt(&writer));
        } else {
            assert!(WriteSide(&lock).attempt(&writer));
            lock.release_write().expect("held");
            assert!(ReadSide(&lock).attempt(&reader));
        }
    }
}
