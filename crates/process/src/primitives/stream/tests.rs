use super::*;
use raddle_sys::fork::check_in_child;
use std::time::Duration;

fn number(body: &[u8]) -> u32 {
    u32::from_ne_bytes(body[..4].try_into().expect("long enough"))
}

fn byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}

#[test]
fn messages_of_all_lengths_come_in_order() {
    let stream = Stream::new(0).expect("memory is left");
    let lengths = [0, 1, 7, 8, 9, 65_512, 65_519, 65_520, 65_521, 65_528, 65_536, 200_000, 3_000_000, 5];
    for round in 0..40 {
        for (kind, len) in (0..).zip(lengths) {
            let body: Vec<u8> = (0..len).map(|at| byte(at + round)).collect();
            assert_eq!(stream.put(kind, &[&body], None), Put::Done);
        }
        assert!(check_in_child(60, || !stream.is_empty()));
        let mut body = Vec::new();
        for (kind, len) in (0..).zip(lengths) {
            assert_eq!(stream.try_get(&mut body), Some(Got::Message(kind)));
            assert!(
                body.len() == len && body.iter().enumerate().all(|(at, found)| *found == byte(at + round))
            );
        }
        assert_eq!(stream.try_get(&mut body), None);
    }
}

#[test]
fn memory_comes_back() {
    let stream = Stream::new(0).expect("memory is left");
    let mut body = Vec::new();
    for _ in 0..1000 {
        assert_eq!(stream.put(0, &[&vec![0; 100_000]], None), Put::Done);
        assert_eq!(stream.get(&mut body, None), Got::Message(0));
    }
    assert!(stream.cells().fresh.load(Ordering::Relaxed) < 8);
}

#[test]
fn a_limit_makes_writers_wait() {
    let stream = Stream::new(2).expect("memory is left");
    assert_eq!(stream.put(1, &[], None), Put::Done);
    assert_eq!(stream.put(2, &[], None), Put::Done);
    assert!(stream.is_full());
    assert_eq!(stream.try_put(3, &[]), None);
    let soon = Moment::now() + Duration::from_millis(5);
    assert_eq!(stream.put(3, &[], Some(soon)), Put::Ended(Wake::TimedOut));
    std::thread::scope(|scope| {
        let put = scope.spawn(|| stream.put(3, &[], None));
        assert!(check_in_child(60, || stream.get(&mut Vec::new(), None) == Got::Message(1)));
        assert_eq!(put.join().expect("it ends"), Put::Done);
    });
    let soon = Moment::now() + Duration::from_millis(5);
    let mut body = Vec::new();
    assert_eq!(stream.get(&mut body, None), Got::Message(2));
    assert_eq!(stream.get(&mut body, None), Got::Message(3));
    assert_eq!(stream.get(&mut body, Some(soon)), Got::Ended(Wake::TimedOut));
}

#[test]
fn many_to_many_lose_nothing_and_keep_each_ones_order() {
    const EACH: u32 = 20_000;
    let (stream, answers) =
        (Stream::new(50).expect("memory is left"), Stream::new(0).expect("memory is left"));
    std::thread::scope(|scope| {
        for writer in 0..3_u8 {
            let stream = &stream;
            let write = move || {
                (0..EACH).all(|at| stream.put(writer, &[&at.to_ne_bytes(), &[0; 100]], None) == Put::Done)
            };
            scope.spawn(move || assert!(check_in_child(60, write)));
        }
        for _ in 0..3 {
            let (stream, answers) = (&stream, &answers);
            let read = move || {
                let mut body = Vec::new();
                let mut last = [None; 3];
                (0..EACH).all(|_| {
                    let Got::Message(writer) = stream.get(&mut body, None) else { return false };
                    let at = number(&body);
                    let before = last[writer as usize].replace(at);
                    before.is_none_or(|before| before < at)
                        && answers.put(writer, &[&at.to_ne_bytes()], None) == Put::Done
                })
            };
            scope.spawn(move || assert!(check_in_child(60, read)));
        }
    });
    let mut seen = [const { Vec::new() }; 3];
    let mut body = Vec::new();
    while let Some(Got::Message(writer)) = answers.try_get(&mut body) {
        seen[writer as usize].push(number(&body));
    }
    for numbers in &mut seen {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..EACH));
    }
}

#[test]
fn what_a_dead_holder_held_is_taken_over() {
    let stream = Stream::new(0).expect("memory is left");
    assert_eq!(stream.put(1, &[&vec![1; 100_000]], None), Put::Done);
    for lock in [&stream.cells().put, &stream.cells().get] {
        assert!(check_in_child(60, || {
            let taken = lock.try_acquire();
            // Half of a message, which nobody will ever see.
            let mut cursor = Cursor::at(&stream.segments, Position::load(&stream.cells().tail));
            taken && cursor.write(9, &[&vec![9; 500_000]]).is_ok()
        }));
        assert_eq!(stream.put(2, &[&vec![2; 100_000]], None), Put::Done);
        let mut body = Vec::new();
        assert!(matches!(stream.get(&mut body, None), Got::Message(kind) if body == vec![kind; 100_000]));
    }
    let used = stream.cells().fresh.load(Ordering::Relaxed);
    for _ in 0..50 {
        assert_eq!(stream.put(3, &[&vec![3; 100_000]], None), Put::Done);
        assert!(matches!(stream.get(&mut Vec::new(), None), Got::Message(_)));
    }
    assert_eq!(stream.cells().fresh.load(Ordering::Relaxed), used);
}

#[test]
fn nonsense_is_noticed() {
    let stream = Stream::new(0).expect("memory is left");
    assert_eq!(stream.put(1, &[&vec![255; 65_504], &[255; 20]], None), Put::Done);
    for (segment, word) in [(0, 1), (1, 9000), (1, 8191), (1, 2)] {
        Position { count: 0, segment, word }.store(&stream.cells().head);
        assert!(matches!(stream.get(&mut Vec::new(), None), Got::Corrupt(_)), "{segment} {word}");
    }
}

#[test]
fn a_full_memory_says_so_and_stays_usable() {
    let mut segments = Segments::new().expect("memory is left");
    segments =
        Segments::attach(segments.fd().try_clone_to_owned().expect("a descriptor is left")).expect("its own");
    let stream = Stream::of(segments, Alarm::new().expect("a descriptor is left"));
    stream.cells().fresh.store((1 << 18) - 3, Ordering::Relaxed);
    assert_eq!(stream.put(1, &[&vec![1; 1_000_000]], None), Put::NoRoom);
    assert_eq!(stream.put(2, &[&vec![2; 100_000]], None), Put::Done);
    assert_eq!(stream.get(&mut Vec::new(), None), Got::Message(2));
}

#[test]
fn what_is_to_be_done_is_counted() {
    let stream = Stream::new(0).expect("memory is left");
    assert_eq!(stream.done(), Err(NothingToDo));
    assert_eq!(stream.put(1, &[], None), Put::Done);
    assert!(!stream.all_done());
    std::thread::scope(|scope| {
        let joined = scope.spawn(|| stream.join(None));
        assert!(check_in_child(60, || stream.done() == Ok(())));
        assert_eq!(joined.join().expect("it ends"), Wake::Woken);
    });
}

#[test]
fn the_alarm_rings_while_there_are_messages() {
    let stream = Stream::new(0).expect("memory is left");
    let poller = raddle_sys::poll::Poller::new().expect("a descriptor is left");
    poller.add(stream.fds().1, 1).expect("it can be polled");
    let rings = || {
        let mut tokens = Vec::new();
        poller.wait(&mut tokens, Some(Moment::now())).expect("the poller lives");
        !tokens.is_empty()
    };
    assert_eq!(stream.put(1, &[], None), Put::Done);
    assert!(!rings());
    stream.watch();
    assert!(rings());
    assert!(check_in_child(60, || stream.put(2, &[], None) == Put::Done));
    let mut body = Vec::new();
    assert_eq!(stream.try_get(&mut body), Some(Got::Message(1)));
    assert!(rings());
    assert_eq!(stream.try_get(&mut body), Some(Got::Message(2)));
    assert!(!rings());
    assert!(check_in_child(60, || stream.put(3, &[], None) == Put::Done));
    assert!(rings());
}

#[test]
fn what_a_reader_took_along_is_known() {
    let stream = Stream::new(0).expect("memory is left");
    for kind in 0..3 {
        assert_eq!(stream.put(kind, &[], None), Put::Done);
    }
    let mut body = Vec::new();
    assert_eq!(stream.try_get(&mut body), Some(Got::Message(0)));
    assert!(check_in_child(60, || stream.sit(7) && stream.try_get(&mut body) == Some(Got::Message(1))));
    assert_eq!((stream.taken_at(7), stream.taken_at(7), stream.taken_at(8)), (Some(1), None, None));
    assert!(check_in_child(60, || {
        let sat = stream.sit(7) && stream.try_get(&mut body) == Some(Got::Message(2));
        stream.clear_desk();
        sat
    }));
    assert_eq!((stream.taken_at(7), stream.taken_at(usize::MAX)), (None, None));
    // One that was killed before it could take the message.
    stream.cells().desks[7].store(4, Ordering::Relaxed);
    assert_eq!(stream.taken_at(7), None);
}
