//! A real worker process at the other end of a channel.

use raddle_process::channel::{Bell, Header, Message, ParentSide, Who, WorkerSide};
use raddle_sync::linger;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Tells a worker to end.
pub(crate) const STOP: u16 = 0;
/// A task: its body comes back.
pub(crate) const ECHO: u16 = 1;

/// Seconds after which a worker ends in any case.
const LIMIT: u32 = 100;

/// A pool of one worker.
pub(crate) struct Pool {
    pub(crate) parent: ParentSide,
    pub(crate) bell: Arc<Bell>,
    pub(crate) process: Process,
    body: Vec<u8>,
}

/// A worker that ends when it is told to, or when `serve` returns false.
pub(crate) fn serve(mut worker: WorkerSide, mut serve: impl FnMut(&mut WorkerSide, &Header, &[u8]) -> bool) {
    let mut body = Vec::new();
    loop {
        match worker.next(&mut body) {
            Some(Header { kind: STOP, .. }) => return,
            Some(header) => {
                if !serve(&mut worker, &header, &body) {
                    return;
                }
            }
            None => {
                worker.sleep(None);
            }
        }
    }
}

/// Sends a task's body back.
pub(crate) fn echo(worker: &mut WorkerSide, header: &Header, body: &[u8]) -> bool {
    while worker.reply(&Message { kind: ECHO, flags: 0, task: header.task, parts: &[body] }).is_err() {
        worker.sleep_for_room(None);
    }
    true
}

impl Pool {
    /// Forks a process that runs `worker`.
    pub(crate) fn start(worker: impl FnOnce(WorkerSide) + Send + 'static) -> Self {
        Self::of(ParentSide::new().expect("there is memory"), worker)
    }

    /// Forks a process that runs `worker` at the other end of this channel.
    pub(crate) fn of(parent: ParentSide, worker: impl FnOnce(WorkerSide) + Send + 'static) -> Self {
        let bell = Arc::new(Bell::new().expect("there is memory"));
        let process = fork(&parent, &bell, worker);
        Self { parent, bell, process, body: Vec::new() }
    }

    /// Waits for the next message, as a thread does that waits for a result. None when the worker has ended and all its
    /// messages were read.
    pub(crate) fn receive(&mut self) -> Option<(Header, &[u8])> {
        if !linger(|| self.parent.has_mail()) {
            self.bell.set_who(Who::Leader);
            loop {
                let seen = self.bell.seen(Who::Leader);
                // In this order: what it sent, it sent before its end.
                if self.process.is_over() || self.parent.has_mail() {
                    break;
                }
                self.bell.sleep(Who::Leader, seen, None);
            }
            self.bell.set_who(Who::Nobody);
        }
        self.parent.receive(&mut self.body).expect("it is sound").map(|header| (header, &self.body[..]))
    }

    /// Tells the process to end, and returns whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        self.parent
            .tell(&Message { kind: STOP, flags: 0, task: 0, parts: &[] })
            .expect("it has read all that came before");
        self.parent.nudge();
        self.process.join()
    }
}

/// A child, and the thread that waits for its end.
pub(crate) struct Process {
    thread: JoinHandle<bool>,
    over: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits for its end, and returns whether it ended well.
    pub(crate) fn join(self) -> bool {
        self.thread.join().expect("it does not panic")
    }
}

/// Runs `worker` in a child at the other end of this channel. When that has ended, the leader is woken.
pub(crate) fn fork(
    parent: &ParentSide,
    bell: &Arc<Bell>,
    worker: impl FnOnce(WorkerSide) + Send + 'static,
) -> Process {
    let [memory, page] =
        [parent.fd(), bell.fd()].map(|fd| fd.try_clone_to_owned().expect("there are descriptors"));
    let bell = Arc::clone(bell);
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let thread = std::thread::spawn(move || {
        let well = raddle_sys::fork::check_in_child(LIMIT, move || {
            let bell = Bell::attach(page).expect("it is one");
            worker(WorkerSide::attach(memory, bell).expect("it is one"));
            true
        });
        ended.store(true, Ordering::Release);
        bell.wake(Who::Leader);
        well
    });
    Process { thread, over }
}
