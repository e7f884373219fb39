use super::{Launch, Start, StartWorker, Ward, next_ticket, start};
use raddle_sys::pidfd::{Exit, Pidfd};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Keeps the descriptors of its workers, also when they have ended, and tells of the ends.
struct Keeper {
    pidfds: Mutex<Vec<Arc<Pidfd>>>,
    ends: Mutex<Sender<Option<Exit>>>,
}

impl Ward for Keeper {
    fn launched(self: Arc<Self>, _ticket: u64, _pid: u32, pidfd: Arc<Pidfd>) {
        self.pidfds.lock().expect("nobody panics").push(pidfd);
    }

    fn refused(self: Arc<Self>, _ticket: u64, error: io::Error) {
        panic!("{error}");
    }

    fn ended(self: Arc<Self>, _ticket: u64, exit: Option<Exit>, _out_of_memory: Option<bool>) {
        let _ = self.ends.lock().expect("nobody panics").send(exit);
    }

    fn warn(self: Arc<Self>, what: String) {
        panic!("{what}");
    }
}

/// Has a program started as a worker of the client's own; returns what it would be told to close.
fn start_own(ward: &Arc<Keeper>, ends: &Receiver<Option<Exit>>) -> Vec<RawFd> {
    let (told, foreign) = channel();
    let own: Arc<StartWorker> = Arc::new(move |_, _, foreign| {
        let _ = told.send(foreign.to_vec());
        // The supervisor waits for it.
        let child = Command::new("true").spawn()?;
        Ok((child.id(), Pidfd::open(child.id())?))
    });
    start(Start {
        ward: Arc::clone(ward) as Arc<dyn Ward>,
        ticket: next_ticket(),
        launch: Launch::Own(own),
        fds: Vec::new(),
        extra: Vec::new(),
        order: Vec::new(),
        attempts: 0,
    })
    .expect("there is a supervisor");
    assert_eq!(ends.recv().expect("it is told"), Some(Exit::Code(0)));
    foreign.recv().expect("it was started")
}

#[test]
fn a_worker_closes_what_its_pool_still_holds_of_those_that_have_ended() {
    let (tell, ends) = channel();
    let ward = Arc::new(Keeper { pidfds: Mutex::default(), ends: Mutex::new(tell) });
    start_own(&ward, &ends);
    let held = ward.pidfds.lock().expect("nobody panics")[0].fd().as_raw_fd();
    assert!(start_own(&ward, &ends).contains(&held));
}
