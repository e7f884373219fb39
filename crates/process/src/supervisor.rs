//! The one thread that starts worker processes, hears of their deaths, and does things at their time.
//!
//! ```text
//!  pools ── Start, at(moment) ──▶ queue, alarm ──▶ supervisor ── Ward::launched, refused, ended ──▶ pools
//!                                                    │    ▲
//!                                        fork, spawn ▼    │ pidfds, the zygotes' reports
//!                                                   the workers
//! ```
//!
//! It lives as long as the process: the system tells a zygote that its parent is gone when the *thread* that started it ends.
//! Zygotes live as long as it does too, so that a later pool finds one that is warm. Nothing here waits for a worker or knows what
//! it does; what follows from a death is its pool's to decide.

use crate::launch::{Report, Spec, Zygote, spawn_worker};
use raddle_sync::{ForkCell, Moment, Mutex, WaitWord};
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::poll::{Alarm, Poller};
use raddle_sys::process::oom_kills;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Starts a worker in a way of the client's own: gets the worker's file descriptors and what it is told.
pub type StartWorker = dyn Fn(&[BorrowedFd<'_>], &[u8]) -> io::Result<(u32, Pidfd)> + Send + Sync;

/// How workers are started.
#[derive(Clone)]
pub enum Launch {
    /// Forked from a clean process that is kept for that.
    Zygote(Arc<Spec>),
    /// Each a fresh interpreter.
    Spawn(Arc<Spec>),
    /// In a way of the client's own.
    Own(Arc<StartWorker>),
}

impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Zygote(_) => "Zygote",
            Self::Spawn(_) => "Spawn",
            Self::Own(_) => "Own",
        })
    }
}

/// Who is told what becomes of a worker. Called on the supervisor's thread, without a lock.
pub(crate) trait Ward: Send + Sync {
    /// The worker's process is there.
    fn launched(self: Arc<Self>, ticket: u64, pid: u32, pidfd: Pidfd);
    /// It could not be started.
    fn refused(self: Arc<Self>, ticket: u64, error: io::Error);
    /// It has ended. The last that is told of it.
    fn ended(self: Arc<Self>, ticket: u64, exit: Option<Exit>, out_of_memory: Option<bool>);
}

/// A worker that is to be started.
pub(crate) struct Start {
    pub(crate) ward: Arc<dyn Ward>,
    pub(crate) ticket: u64,
    pub(crate) launch: Launch,
    pub(crate) fds: Vec<OwnedFd>,
    /// What comes after these and the life line.
    pub(crate) extra: Vec<OwnedFd>,
    pub(crate) order: Vec<u8>,
}

type Action = Box<dyn FnOnce() + Send>;

/// What is to be done at its time.
struct Entry {
    moment: Moment,
    sequence: u64,
    action: Action,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.moment, self.sequence).cmp(&(other.moment, other.sequence))
    }
}

#[derive(Default)]
struct Inbox {
    starts: Vec<Start>,
    agenda: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    /// The thread runs.
    running: bool,
}

struct Office {
    inbox: Mutex<Inbox>,
    /// Made with the thread.
    alarm: LazyLock<io::Result<Alarm>>,
}

static OFFICE: LazyLock<ForkCell<Arc<Office>>> = LazyLock::new(|| ForkCell::new(Office::new()));
static TICKETS: AtomicU64 = AtomicU64::new(1);

/// Makes what is made once, before a fork could catch it half made.
pub fn prepare() {
    LazyLock::force(&OFFICE);
}

fn office() -> &'static Arc<Office> {
    OFFICE.get(Office::new)
}

/// A number for a worker that no other worker of this process has.
pub(crate) fn next_ticket() -> u64 {
    TICKETS.fetch_add(1, Ordering::Relaxed)
}

/// Has a worker started.
///
/// # Errors
///
/// When the supervisor itself can't be started.
pub(crate) fn start(start: Start) -> io::Result<()> {
    office().post(|inbox| inbox.starts.push(start))
}

/// Has something done at its time, on the supervisor's thread. It must be short, and must not wait.
pub(crate) fn at(moment: Moment, action: impl FnOnce() + Send + 'static) {
    // A supervisor that can't be started has no workers either, whose deadlines it could keep.
    let _ = office().post(|inbox| {
        inbox.sequence += 1;
        let sequence = inbox.sequence;
        inbox.agenda.push(Reverse(Entry { moment, sequence, action: Box::new(action) }));
    });
}

impl Office {
    fn new() -> Arc<Self> {
        Arc::new(Self { inbox: Mutex::default(), alarm: LazyLock::new(Alarm::new) })
    }

    fn post(self: &Arc<Self>, put: impl FnOnce(&mut Inbox)) -> io::Result<()> {
        let alarm = self.alarm.as_ref().map_err(|error| io::Error::from(error.kind()))?;
        let mut inbox = self.inbox.lock();
        if !inbox.running {
            let desk = Desk::new(Arc::clone(self), alarm)?;
            std::thread::Builder::new().name("raddle-supervisor".into()).spawn(move || desk.run())?;
            inbox.running = true;
        }
        put(&mut inbox);
        drop(inbox);
        alarm.ring();
        Ok(())
    }
}

/// A zygote and what it is doing.
struct Nursery {
    spec: Arc<Spec>,
    zygote: Zygote,
    /// Workers by their process.
    children: HashMap<u32, u64>,
    /// Workers that have been asked for.
    asked: Vec<u64>,
}

struct Charge {
    ward: Arc<dyn Ward>,
    /// Ours as it was made, for the poller; the ward has another handle.
    pidfd: Option<Pidfd>,
    /// The number of the zygote that has it; None: our own child.
    nursery: Option<u64>,
    /// It is over; how it ended will be told by the zygote.
    over_since: Option<Moment>,
}

/// What the supervisor's thread works with.
struct Desk {
    office: Arc<Office>,
    poller: Poller,
    nurseries: HashMap<u64, Nursery>,
    charges: HashMap<u64, Charge>,
    nursery_numbers: u64,
    oom_kills: Option<u64>,
    /// A pipe that breaks when this process is gone: each worker has the end to read from.
    life_line: (PipeReader, PipeWriter),
}

/// Tokens of the poller: the alarm, or a zygote's number with this bit, or a worker's ticket.
const ALARM: u64 = 0;
const NURSERY: u64 = 1 << 63;

/// How long a zygote may take to tell how a worker ended of which the system has told that it has.
const PATIENCE: Duration = Duration::from_millis(500);

impl Desk {
    fn new(office: Arc<Office>, alarm: &Alarm) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(alarm.fd(), ALARM)?;
        Ok(Self {
            office,
            poller,
            nurseries: HashMap::new(),
            charges: HashMap::new(),
            nursery_numbers: 0,
            oom_kills: oom_kills(),
            life_line: io::pipe()?,
        })
    }

    fn run(mut self) {
        let mut tokens = Vec::new();
        loop {
            let deadline = self.work();
            tokens.clear();
            if self.poller.wait(&mut tokens, deadline).is_err() {
                // Nothing but a lack of kernel memory: look again a little later.
                WaitWord::new(0).wait(0, Some(Moment::now() + PATIENCE));
            }
            for token in &tokens {
                match *token {
                    ALARM => {
                        if let Ok(alarm) = &*self.office.alarm {
                            alarm.clear();
                        }
                    }
                    token if token & NURSERY != 0 => self.hear(token & !NURSERY),
                    ticket => self.notice(ticket),
                }
            }
        }
    }

    /// Does what is due, and returns when the next thing is.
    fn work(&mut self) -> Option<Moment> {
        loop {
            let mut inbox = self.office.inbox.lock();
            let starts = std::mem::take(&mut inbox.starts);
            let due = inbox.agenda.peek().map(|Reverse(entry)| entry.moment);
            let action = match due {
                Some(moment) if moment <= Moment::now() => inbox.agenda.pop(),
                _ => None,
            };
            drop(inbox);
            if starts.is_empty() && action.is_none() {
                let overdue = self.bury_overdue();
                return [due, overdue].into_iter().flatten().min();
            }
            for start in starts {
                self.start(start);
            }
            if let Some(Reverse(entry)) = action {
                // The panic hook has printed it; the others must still come at their time.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(entry.action));
            }
        }
    }

    fn start(&mut self, start: Start) {
        let Start { ward, ticket, launch, fds, extra, order } = start;
        let line = match self.life_line.0.try_clone() {
            Ok(line) => line,
            Err(error) => return ward.refused(ticket, error),
        };
        let borrowed: Vec<_> = {
            let extra = extra.iter().map(AsFd::as_fd);
            fds.iter().map(AsFd::as_fd).chain([line.as_fd()]).chain(extra).collect()
        };
        let started = match launch {
            Launch::Zygote(spec) => self.fork(&spec, ticket, &ward, &borrowed, &order),
            Launch::Spawn(spec) => spawn_worker(&spec, &borrowed, &order)
                .and_then(|(pid, pidfd)| self.adopt(&ward, ticket, pid, pidfd, None)),
            Launch::Own(start) => {
                start(&borrowed, &order).and_then(|(pid, pidfd)| self.adopt(&ward, ticket, pid, pidfd, None))
            }
        };
        if let Err(error) = started {
            self.charges.remove(&ticket);
            ward.refused(ticket, error);
        }
    }

    fn fork(
        &mut self,
        spec: &Arc<Spec>,
        ticket: u64,
        ward: &Arc<dyn Ward>,
        fds: &[BorrowedFd<'_>],
        order: &[u8],
    ) -> io::Result<()> {
        let known = self.nurseries.iter().find(|(_, nursery)| Arc::ptr_eq(&nursery.spec, spec));
        let number = match known {
            Some((number, _)) => *number,
            None => self.open_nursery(spec)?,
        };
        let nursery = self.nurseries.get_mut(&number).expect("found or just made");
        nursery.zygote.fork(ticket, fds, order)?;
        nursery.asked.push(ticket);
        let charge = Charge { ward: Arc::clone(ward), pidfd: None, nursery: Some(number), over_since: None };
        self.charges.insert(ticket, charge);
        Ok(())
    }

    fn open_nursery(&mut self, spec: &Arc<Spec>) -> io::Result<u64> {
        let zygote = Zygote::start(spec)?;
        self.nursery_numbers += 1;
        let number = self.nursery_numbers;
        self.poller.add(zygote.fd(), NURSERY | number)?;
        let nursery = Nursery { spec: Arc::clone(spec), zygote, children: HashMap::new(), asked: Vec::new() };
        self.nurseries.insert(number, nursery);
        Ok(number)
    }

    /// A worker's process is there.
    fn adopt(
        &mut self,
        ward: &Arc<dyn Ward>,
        ticket: u64,
        pid: u32,
        pidfd: Pidfd,
        nursery: Option<u64>,
    ) -> io::Result<()> {
        let own = pidfd.try_clone()?;
        self.poller.add(own.fd(), ticket)?;
        let charge = Charge { ward: Arc::clone(ward), pidfd: Some(own), nursery, over_since: None };
        self.charges.insert(ticket, charge);
        Arc::clone(ward).launched(ticket, pid, pidfd);
        Ok(())
    }

    /// A zygote has something to say, or is gone.
    fn hear(&mut self, number: u64) {
        loop {
            let Some(nursery) = self.nurseries.get_mut(&number) else { return };
            match nursery.zygote.receive() {
                Ok(None) => return,
                Ok(Some(Report::Ready { .. })) => {}
                Ok(Some(Report::Forked { ticket, pid, pidfd })) => {
                    nursery.asked.retain(|other| *other != ticket);
                    nursery.children.insert(pid, ticket);
                    let Some(charge) = self.charges.get(&ticket) else { continue };
                    let ward = Arc::clone(&charge.ward);
                    if let Err(error) = self.adopt(&ward, ticket, pid, pidfd, Some(number)) {
                        let _ = raddle_sys::process::kill(pid, 9);
                        self.charges.remove(&ticket);
                        ward.refused(ticket, error);
                    }
                }
                Ok(Some(Report::Refused { ticket, error })) => {
                    nursery.asked.retain(|other| *other != ticket);
                    self.refuse(ticket, &error);
                }
                Ok(Some(Report::Ended { pid, exit })) => {
                    if let Some(ticket) = nursery.children.remove(&pid) {
                        self.bury(ticket, Some(exit));
                    }
                }
                Ok(Some(Report::Failed { traceback })) => return self.close_nursery(number, &traceback),
                Ok(Some(Report::Closed)) => {
                    return self.close_nursery(number, "the process that forks workers has ended");
                }
                Err(error) => {
                    return self.close_nursery(number, &format!("the zygote process is gone: {error}"));
                }
            }
        }
    }

    /// A zygote is gone. Its workers are told by the system to end, and what it was asked for won't come.
    fn close_nursery(&mut self, number: u64, why: &str) {
        let Some(nursery) = self.nurseries.remove(&number) else { return };
        let _ = self.poller.remove(nursery.zygote.fd());
        for ticket in nursery.asked {
            self.refuse(ticket, why);
        }
    }

    fn refuse(&mut self, ticket: u64, why: &str) {
        if let Some(charge) = self.charges.remove(&ticket) {
            charge.ward.refused(ticket, io::Error::other(why.to_owned()));
        }
    }

    /// The system tells that a worker has ended.
    fn notice(&mut self, ticket: u64) {
        let Some(charge) = self.charges.get_mut(&ticket) else { return };
        let Some(pidfd) = &charge.pidfd else { return };
        let told_by_zygote = charge.nursery.is_some_and(|number| self.nurseries.contains_key(&number));
        if told_by_zygote {
            let _ = self.poller.remove(pidfd.fd());
            charge.over_since = Some(Moment::now());
        } else {
            // Our own child; or one whose zygote has died before it, which nobody can tell about.
            let exit = pidfd.wait().ok().flatten();
            self.bury(ticket, exit);
        }
    }

    /// Gives up waiting for what a zygote should have told. Returns when to look again.
    fn bury_overdue(&mut self) -> Option<Moment> {
        let now = Moment::now();
        let waiting = |(ticket, charge): (&u64, &Charge)| Some((*ticket, charge.over_since? + PATIENCE));
        let waiting: Vec<_> = self.charges.iter().filter_map(waiting).collect();
        for (ticket, _) in waiting.iter().filter(|(_, until)| *until <= now) {
            self.bury(*ticket, None);
        }
        waiting.into_iter().map(|(_, until)| until).filter(|until| *until > now).min()
    }

    fn bury(&mut self, ticket: u64, exit: Option<Exit>) {
        let Some(charge) = self.charges.remove(&ticket) else { return };
        if let Some(pidfd) = &charge.pidfd {
            let _ = self.poller.remove(pidfd.fd());
        }
        let out_of_memory = match exit {
            Some(Exit::Signal(9)) => self.new_oom_kill(),
            Some(_) => Some(false),
            None => None,
        };
        charge.ward.ended(ticket, exit, out_of_memory);
    }

    /// Whether the system has killed a process of this control group for want of memory since the last look.
    fn new_oom_kill(&mut self) -> Option<bool> {
        let before = self.oom_kills?;
        let now = oom_kills()?;
        self.oom_kills = Some(now);
        Some(now > before)
    }
}
