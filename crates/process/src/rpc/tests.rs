use super::*;
use raddle_sys::fork::check_in_child;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const TURNS: u32 = 20_000;

/// Two ends in one process.
fn ends() -> (End, End) {
    let (here, there) = UnixStream::pair().expect("descriptors are left");
    let memory = memory().expect("memory is left");
    let end = |socket: UnixStream, side| End::new(&memory, socket.into(), side).expect("mapped");
    (end(here, Side::Caller), end(there, Side::Callee))
}

fn received(end: &mut End) -> (u8, Vec<u8>) {
    let arrival = end.wait().expect("the other side is there");
    let mut body = Vec::new();
    end.copy(arrival, &mut body);
    (arrival.kind, body)
}

/// Answers each request by itself until the caller is gone.
fn echo(end: &mut End, mut before: impl FnMut()) -> io::ErrorKind {
    loop {
        match end.wait() {
            Ok(arrival) => {
                let mut body = Vec::new();
                end.copy(arrival, &mut body);
                before();
                if let Err(error) = end.post(arrival.kind, &body) {
                    return error.kind();
                }
            }
            Err(error) => return error.kind(),
        }
    }
}

#[test]
fn bytes_of_all_lengths_that_fit_arrive() {
    let (mut client, mut server) = ends();
    for (kind, len) in (0..).zip([0, 1, 7, 8, 9, 48, 4095, LARGEST - 1, LARGEST]) {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        assert!(client.post(kind, &body).expect("nobody sleeps"));
        assert_eq!(received(&mut server), (kind, body));
    }
}

#[test]
fn what_does_not_fit_is_announced() {
    let (mut client, mut server) = ends();
    assert!(!client.post(7, &vec![1; LARGEST + 1]).expect("nobody sleeps"));
    let arrival = server.wait().expect("it is there");
    assert_eq!(arrival, Arrival { kind: 7, len: LARGEST + 1, is_elsewhere: true });
    assert_eq!(descriptor::write(client.socket(), [b"by", b"tes"]).expect("there is room"), 5);
    assert_eq!(descriptor::read(server.socket(), &mut [0; 8]).expect("they are there"), 5);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "sleeping at any time is what is tried")]
fn sides_that_sleep_at_any_time_lose_no_call() {
    let (mut client, mut server) = ends();
    let answering = std::thread::spawn(move || {
        let mut turn = 0;
        echo(&mut server, || {
            turn += 1;
            if turn % 7 == 0 {
                std::thread::sleep(Duration::from_micros(turn % 200));
            }
        })
    });
    for turn in 0..TURNS {
        if turn % 11 == 0 {
            std::thread::sleep(Duration::from_micros(u64::from(turn % 150)));
        }
        client.post(1, &turn.to_ne_bytes()).expect("the server is there");
        assert_eq!(received(&mut client), (1, turn.to_ne_bytes().to_vec()));
    }
    // No byte that woke somebody is left over.
    assert!(!descriptor::is_readable(client.socket()));
    drop(client);
    assert_eq!(answering.join().expect("it has ended"), ErrorKind::UnexpectedEof);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an end without a word")]
fn a_callee_that_is_killed_ends_the_wait() {
    let (mut client, mut server) = ends();
    client.post(3, b"asked").expect("nobody sleeps");
    let waiting = std::thread::spawn(move || client.wait().map_err(|error| error.kind()));
    // Of the callee's socket, this child and `callee` have the only copies.
    assert!(!check_in_child(60, || {
        server.wait().expect("it was asked");
        std::process::abort()
    }));
    drop(server);
    assert_eq!(waiting.join().expect("it has ended"), Err(ErrorKind::UnexpectedEof));
}

#[test]
fn a_message_is_delivered_though_its_sender_was_killed_before_it_woke_anybody() {
    let (mut client, server) = ends();
    client.post(3, b"asked").expect("nobody sleeps");
    let waiting = std::thread::spawn(move || {
        let arrival = client.wait().expect("it was posted");
        (arrival.kind, client)
    });
    while server.slots().answers.asleep.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let slot = &server.slots().answers;
    slot.header.store(u64::from(9_u8) << KIND, Ordering::Relaxed);
    slot.posted.store(1, Ordering::Release);
    drop(server);
    let (kind, mut client) = waiting.join().expect("it has ended");
    assert_eq!(kind, 9);
    assert!(client.wait().is_err());
}

#[test]
fn nonsense_is_told_from_messages() {
    let (client, mut server) = ends();
    let slot = &client.slots().requests;
    slot.header.store(LEN, Ordering::Relaxed);
    slot.posted.store(1, Ordering::Release);
    assert_eq!(server.wait().expect_err("too long").kind(), ErrorKind::InvalidData);
    slot.posted.store(9, Ordering::Release);
    assert_eq!(server.wait().expect_err("none is due").kind(), ErrorKind::InvalidData);
    let small = Memory::new("small", 64).expect("memory is left");
    let (socket, _) = UnixStream::pair().expect("descriptors are left");
    assert!(End::new(&small, socket.into(), Side::Callee).is_err());
}
