//! A zygote that is this very test program, told by its environment what to play.

use super::message::{ENDED, FAILED, FORK, FORKED, KILL, PREPARE, READY, REFUSED};
use super::*;
use raddle_sync::Moment;
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::poll::Poller;
use raddle_sys::{process, socket};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const ROLE: &str = "RADDLE_TEST_ROLE";

fn played_by_this_program(role: &str, preparation: &[u8]) -> Spec {
    let program = std::env::current_exe().expect("it runs").into_os_string();
    let arguments = ["--exact", "launch::tests::play", "--ignored", "--nocapture", "--quiet"];
    Spec {
        program,
        arguments: arguments.map(OsString::from).to_vec(),
        environment: Some(vec![(ROLE.into(), role.into())]),
        preparation: preparation.to_vec(),
    }
}

/// What the other process does.
#[test]
#[ignore = "started by the other tests"]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let stdin = std::io::stdin();
    let request = || receive(stdin.as_fd());
    let report = |kind: u32, number: u32, ticket: u64, pid: u32, text: &str, fds: &[_]| {
        let mut packet = Vec::new();
        packet.extend([kind.to_le_bytes(), number.to_le_bytes()].concat());
        packet.extend(ticket.to_le_bytes());
        packet.extend([pid, u32::try_from(fds.len()).expect("few")].map(u32::to_le_bytes).concat());
        packet.extend(text.as_bytes());
        socket::send(stdin.as_fd(), &packet, fds).expect("there is room");
    };
    let (kind, _, preparation, _) = request().expect("the preparation");
    assert_eq!(kind, PREPARE);
    match role.as_str() {
        "failing" => report(FAILED, 0, 0, 0, &String::from_utf8_lossy(&preparation), &[]),
        "silent" => drop(request()),
        "stubborn" => loop {
            std::thread::park();
        },
        "unheard" => {
            // As if the descriptor had found no room here.
            let mut packet = FORKED.to_le_bytes().to_vec();
            packet.extend([0; 4]);
            packet.extend(5u64.to_le_bytes());
            packet.extend([77u32, 1].map(u32::to_le_bytes).concat());
            socket::send(stdin.as_fd(), &packet, &[]).expect("there is room");
            let (kind, pid) = request_of_pid(stdin.as_fd());
            assert_eq!((kind, pid), (KILL, 77));
            report(ENDED, 9, 0, 77, "", &[]);
        }
        "nonsense" => report(99, 0, 0, 0, "", &[]),
        "short" => socket::send(stdin.as_fd(), b"x", &[]).expect("there is room"),
        "zygote" => {
            report(READY, 1, 0, 0, "", &[]);
            let own = Pidfd::open(process::id()).expect("it runs");
            while let Some((kind, ticket, body, fds)) = request() {
                match kind {
                    FORK if body.is_empty() => report(REFUSED, 0, ticket, 0, "no", &[]),
                    FORK => {
                        // The descriptors are looked at: what the first one reads from is what the body is.
                        let mut written = Vec::new();
                        std::fs::File::from(fds.into_iter().next().expect("one"))
                            .read_to_end(&mut written)
                            .expect("a pipe");
                        assert_eq!(written, body);
                        report(FORKED, 0, ticket, process::id(), "", &[own.fd()]);
                    }
                    KILL => panic!("nobody asks for it here"),
                    _ => panic!("unknown"),
                }
            }
        }
        "worker" => {
            let (kind, _, order, fds) = request().expect("the order");
            assert_eq!((kind, order.as_slice(), fds.len()), (FORK, &b"order"[..], 1));
            assert!(request().is_none(), "nobody is at the other end");
            // Not by a code: those are the test harness's.
            process::kill(process::id(), 15).expect("it is us");
        }
        role => panic!("nobody plays {role}"),
    }
}

/// One request as the other process sees it: kind, ticket, body, descriptors.
fn receive(from: std::os::fd::BorrowedFd<'_>) -> Option<(u32, u64, Vec<u8>, Vec<OwnedFd>)> {
    let mut buffer = vec![0; 1 << 17];
    let (len, mut fds) = socket::receive(from, &mut buffer).ok().filter(|(len, _)| *len > 0)?;
    let (header, body) = buffer[..len].split_at(24);
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four"));
    assert_eq!(number(20) as usize, fds.len());
    let body = if number(4) == 1 {
        let memory = fds.pop().expect("the body's");
        let mut body = Vec::new();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut body)).expect("a memory file");
        body
    } else {
        body.to_vec()
    };
    let ticket = u64::from_le_bytes(header[8..16].try_into().expect("eight"));
    Some((number(0), ticket, body, fds))
}

/// One request, of which the pid counts.
fn request_of_pid(from: std::os::fd::BorrowedFd<'_>) -> (u32, u32) {
    let mut buffer = [0; 64];
    let (len, _) = socket::receive(from, &mut buffer).expect("a request");
    assert_eq!(len, 24);
    let number = |at: usize| u32::from_le_bytes(buffer[at..at + 4].try_into().expect("four"));
    (number(0), number(16))
}

fn next(zygote: &Zygote) -> Report {
    let poller = Poller::new().expect("a descriptor is free");
    poller.add(zygote.fd(), 0).expect("it can be polled");
    let deadline = Moment::now() + Duration::from_mins(1);
    loop {
        if let Some(report) = zygote.receive().expect("in good order") {
            return report;
        }
        poller.wait(&mut Vec::new(), Some(deadline)).expect("there is something to wait for");
        assert!(Moment::now() < deadline, "no report");
    }
}

fn a_pipe_with(bytes: &[u8]) -> OwnedFd {
    let (reader, mut writer) = std::io::pipe().expect("descriptors are free");
    std::io::Write::write_all(&mut writer, bytes).expect("there is room");
    reader.into()
}

#[test]
fn workers_are_asked_for_and_reported() {
    let zygote = Zygote::start(&played_by_this_program("zygote", b"")).expect("it starts");
    assert!(matches!(next(&zygote), Report::Ready { threads: 1, .. }));
    for (ticket, body) in [(5, b"small".to_vec()), (6, vec![7; 60_000])] {
        zygote.fork(ticket, &[a_pipe_with(&body).as_fd()], &body).expect("there is room");
        let Report::Forked { ticket: of, pid, pidfd } = next(&zygote) else { panic!("not forked") };
        assert_eq!((of, pid), (ticket, zygote.pid()));
        assert!(!pidfd.is_over());
    }
    zygote.fork(7, &[], b"").expect("there is room");
    let Report::Refused { ticket: 7, error } = next(&zygote) else { panic!("not refused") };
    assert_eq!(error, "no");
    assert_eq!(zygote.stop(), Some(Exit::Code(0)));
}

#[test]
fn a_worker_whose_descriptor_is_lost_is_killed() {
    let zygote = Zygote::start(&played_by_this_program("unheard", b"")).expect("it starts");
    let Report::Refused { ticket: 5, error } = next(&zygote) else { panic!("not refused") };
    assert!(error.contains("too many open files"));
    assert!(matches!(next(&zygote), Report::Ended { pid: 77, exit: Exit::Signal(9) }));
}

#[test]
fn a_zygote_that_fails_says_why() {
    let zygote = Zygote::start(&played_by_this_program("failing", b"no module")).expect("it starts");
    let Report::Failed { traceback } = next(&zygote) else { panic!("not failed") };
    assert_eq!(traceback, "no module");
    assert!(matches!(next(&zygote), Report::Closed));
}

#[test]
fn a_killed_zygote_is_closed() {
    let zygote = Zygote::start(&played_by_this_program("silent", b"")).expect("it starts");
    zygote.pidfd().kill(9).expect("it is ours");
    assert!(matches!(next(&zygote), Report::Closed));
    assert_eq!(zygote.fork(1, &[], b"").expect_err("nobody is there").kind(), ErrorKind::BrokenPipe);
    assert_eq!(zygote.stop(), Some(Exit::Signal(9)));
}

#[test]
fn a_zygote_that_does_not_stop_is_killed() {
    let zygote = Zygote::start(&played_by_this_program("stubborn", b"")).expect("it starts");
    assert_eq!(zygote.stop(), Some(Exit::Signal(9)));
}

#[test]
fn a_forgotten_zygote_is_killed() {
    let zygote = Zygote::start(&played_by_this_program("stubborn", b"")).expect("it starts");
    let same = Pidfd::open(zygote.pid()).expect("it runs");
    drop(zygote);
    assert!(same.is_over());
}

#[test]
fn nonsense_is_an_error() {
    for role in ["nonsense", "short"] {
        let zygote = Zygote::start(&played_by_this_program(role, b"")).expect("it starts");
        let poller = Poller::new().expect("a descriptor is free");
        poller.add(zygote.fd(), 0).expect("it can be polled");
        poller.wait(&mut Vec::new(), None).expect("there is something to wait for");
        assert_eq!(zygote.receive().expect_err("nonsense").kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn a_full_socket_does_not_block() {
    let zygote = Zygote::start(&played_by_this_program("stubborn", b"")).expect("it starts");
    let full = (0..1000).find_map(|ticket| zygote.fork(ticket, &[], &[1; 10_000]).err());
    assert_eq!(full.expect("a buffer has an end").kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let spec = Spec { program: "/does/not/exist".into(), ..Spec::default() };
    let error = Zygote::start(&spec).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/does/not/exist"));
}

#[test]
fn a_worker_of_its_own_is_started_with_its_order() {
    let spec = played_by_this_program("worker", b"");
    let (pid, pidfd) = spawn_worker(&spec, &[a_pipe_with(b"").as_fd()], b"order").expect("it starts");
    assert_ne!(pid, process::id());
    let poller = Poller::new().expect("a descriptor is free");
    poller.add(pidfd.fd(), 0).expect("it can be polled");
    while !pidfd.is_over() {
        poller.wait(&mut Vec::new(), None).expect("there is something to wait for");
    }
    assert_eq!(pidfd.wait().expect("it is our child"), Some(Exit::Signal(15)));
}

#[test]
fn wait_statuses_are_read() {
    assert_eq!(message::exit(0x0300), Exit::Code(3));
    assert_eq!(message::exit(0xff00), Exit::Code(255));
    assert_eq!(message::exit(9), Exit::Signal(9));
    assert_eq!(message::exit(0x8b), Exit::Signal(11));
}
