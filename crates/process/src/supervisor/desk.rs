//! What the supervisor's thread works with: the zygotes, the workers that are watched, and a poller for all of them.

use super::{Launch, Office, Start, Ward};
use crate::launch::{Report, Spec, Zygote, spawn_worker};
use raddle_sync::{Moment, WaitWord};
use raddle_sys::fork::Withheld;
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::poll::{Alarm, Poller};
use raddle_sys::process::{kill_group, oom_kills};
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A zygote and what it is doing.
struct Nursery {
    spec: Arc<Spec>,
    zygote: Zygote,
    /// Workers by their process.
    children: HashMap<u32, u64>,
    /// Workers that are wanted of it, in order.
    asked: VecDeque<Start>,
    /// How many of these it has been told of.
    sent: usize,
    /// Its preparation is over.
    ready: bool,
    /// With more than one it does not fork.
    threads: u32,
    /// Who may have started them.
    suspect: String,
    warned: bool,
}

/// A worker that is watched.
struct Charge {
    ward: Arc<dyn Ward>,
    pid: u32,
    /// The ward has it too.
    pidfd: Arc<Pidfd>,
    /// The number of the zygote that has it; None: our own child.
    nursery: Option<u64>,
    /// It is over; how it ended will be told by the zygote.
    over_since: Option<Moment>,
}

pub(super) struct Desk {
    office: Arc<Office>,
    poller: Poller,
    nurseries: HashMap<u64, Nursery>,
    charges: HashMap<u64, Charge>,
    /// Of workers that have ended, where the ward may still hold it.
    lingering: Vec<Weak<Pidfd>>,
    nursery_numbers: u64,
    oom_kills: Option<u64>,
    /// A pipe that breaks when this process is gone: each worker has the end to read from, and nobody else the other one.
    life_line: (PipeReader, Withheld<PipeWriter>),
}

/// Tokens of the poller: the alarm, or a zygote's number with this bit, or a worker's ticket.
const ALARM: u64 = 0;
const NURSERY: u64 = 1 << 63;

/// How long a zygote may take to tell how a worker ended of which the system has told that it has.
const PATIENCE: Duration = Duration::from_millis(500);

/// A worker over which so many zygotes have ended is not asked for again.
const MOST_ATTEMPTS: u32 = 3;

/// So many zygotes are kept although nobody uses them.
const MOST_IDLE: usize = 4;

const SIGKILL: i32 = 9;

impl Desk {
    pub(super) fn new(office: Arc<Office>, alarm: &Alarm) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(alarm.fd(), ALARM)?;
        let (reader, writer) = io::pipe()?;
        Ok(Self {
            office,
            poller,
            nurseries: HashMap::new(),
            charges: HashMap::new(),
            lingering: Vec::new(),
            nursery_numbers: 0,
            oom_kills: oom_kills(),
            life_line: (reader, Withheld::new(writer)),
        })
    }

    pub(super) fn run(mut self) {
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
                        if let Some(alarm) = self.office.alarm.get() {
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
            let expected = std::mem::take(&mut inbox.expected);
            let starts = std::mem::take(&mut inbox.starts);
            let due = inbox.agenda.first_key_value().map(|((moment, _), _)| *moment);
            let action = match due {
                Some(moment) if moment <= Moment::now() => inbox.agenda.pop_first(),
                _ => None,
            };
            drop(inbox);
            for spec in expected {
                let _ = self.nursery(&spec);
            }
            if starts.is_empty() && action.is_none() {
                let overdue = self.bury_overdue();
                return [due, overdue].into_iter().flatten().min();
            }
            for start in starts {
                self.start(start);
            }
            if let Some((_, action)) = action {
                // The panic hook has printed it; the others must still come at their time.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
            }
        }
    }

    fn start(&mut self, start: Start) {
        match start.launch.clone() {
            Launch::Zygote(spec, alone) => match self.nursery(&spec) {
                Ok(number) => self.ask(number, start, &alone),
                Err(error) => start.ward.refused(start.ticket, error),
            },
            Launch::Spawn(spec) => self.start_alone(start, |fds, order| spawn_worker(&spec, fds, order)),
            Launch::Own(own) => {
                // Held until the worker has been made: whoever drops the last one elsewhere would free a number that the worker is
                // told to close, and which may be the user's by then.
                let lingering: Vec<_> = self.lingering.iter().filter_map(Weak::upgrade).collect();
                let mut foreign = self.descriptors();
                foreign.extend(lingering.iter().map(|pidfd| pidfd.fd().as_raw_fd()));
                self.start_alone(start, |fds, order| own(fds, order, &foreign));
            }
        }
    }

    /// Starts a worker as a child of this process.
    fn start_alone(
        &mut self,
        start: Start,
        make: impl FnOnce(&[BorrowedFd<'_>], &[u8]) -> io::Result<(u32, Pidfd)>,
    ) {
        match make(&descriptors_of(&start, &self.life_line.0), &start.order) {
            Ok((pid, pidfd)) => self.adopt(start.ward, start.ticket, pid, pidfd, None),
            Err(error) => start.ward.refused(start.ticket, error),
        }
    }

    /// Descriptors that are this thread's own, or of workers' processes; not what is withheld from a child anyway.
    fn descriptors(&self) -> Vec<RawFd> {
        let mut own = vec![self.poller.fd().as_raw_fd()];
        own.extend(self.office.alarm.get().map(|alarm| alarm.fd().as_raw_fd()));
        own.extend(self.nurseries.values().map(|nursery| nursery.zygote.pidfd().fd().as_raw_fd()));
        own.extend(self.charges.values().map(|charge| charge.pidfd.fd().as_raw_fd()));
        own
    }

    /// The zygote of this description.
    fn nursery(&mut self, spec: &Arc<Spec>) -> io::Result<u64> {
        match self.nurseries.iter().find(|(_, nursery)| Arc::ptr_eq(&nursery.spec, spec)) {
            Some((number, _)) => Ok(*number),
            None => self.open_nursery(spec),
        }
    }

    fn open_nursery(&mut self, spec: &Arc<Spec>) -> io::Result<u64> {
        let idle = |nursery: &Nursery| nursery.children.is_empty() && nursery.asked.is_empty();
        let mut spare: Vec<_> =
            self.nurseries.iter().filter(|(_, nursery)| idle(nursery)).map(|(number, _)| *number).collect();
        if spare.len() >= MOST_IDLE {
            spare.sort_unstable();
            self.forget(spare[0]);
        }
        let zygote = Zygote::start(spec)?;
        self.nursery_numbers += 1;
        let number = self.nursery_numbers;
        self.poller.add(zygote.fd(), NURSERY | number)?;
        let nursery = Nursery {
            spec: Arc::clone(spec),
            zygote,
            children: HashMap::new(),
            asked: VecDeque::new(),
            sent: 0,
            ready: false,
            threads: 1,
            suspect: String::new(),
            warned: false,
        };
        self.nurseries.insert(number, nursery);
        Ok(number)
    }

    /// Ends a zygote, if it has not ended.
    fn forget(&mut self, number: u64) -> Option<Nursery> {
        let nursery = self.nurseries.remove(&number)?;
        let _ = self.poller.remove(nursery.zygote.fd());
        Some(nursery)
    }

    /// Wants a worker of a zygote.
    fn ask(&mut self, number: u64, start: Start, alone: &Arc<Spec>) {
        let nursery = self.nurseries.get_mut(&number).expect("found or just made");
        if nursery.threads > 1 {
            if !std::mem::replace(&mut nursery.warned, true) {
                let Nursery { threads, suspect, .. } = nursery;
                let whose = if suspect.is_empty() {
                    "a module that it has imported has started them".to_owned()
                } else {
                    format!("importing {suspect} has started them")
                };
                Arc::clone(&start.ward).warn(format!(
                    "the process that forks workers has {threads} threads ({whose}), so that a fork is not safe: each worker \
                     is a fresh interpreter instead (start=\"spawn\"), which takes longer"
                ));
            }
            let alone = Arc::clone(alone);
            return self.start_alone(start, |fds, order| spawn_worker(&alone, fds, order));
        }
        nursery.asked.push_back(start);
        self.send(number);
    }

    /// Tells a zygote of what is wanted of it, as much as its socket holds.
    fn send(&mut self, number: u64) {
        let Some(nursery) = self.nurseries.get_mut(&number) else { return };
        while let Some(start) = nursery.asked.get(nursery.sent) {
            match nursery.zygote.fork(start.ticket, &descriptors_of(start, &self.life_line.0), &start.order) {
                Ok(()) => nursery.sent += 1,
                Err(error) => match error.kind() {
                    // It has so much to do that there is more room after its next report; or it is gone, as its socket says
                    // in a moment.
                    ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => return,
                    _ => {
                        let start = nursery.asked.remove(nursery.sent).expect("it was there");
                        start.ward.refused(start.ticket, error);
                    }
                },
            }
        }
    }

    /// A worker's process is there.
    fn adopt(&mut self, ward: Arc<dyn Ward>, ticket: u64, pid: u32, pidfd: Pidfd, nursery: Option<u64>) {
        let pidfd = Arc::new(pidfd);
        if let Err(error) = self.poller.add(pidfd.fd(), ticket) {
            // Nobody could watch it.
            let _ = pidfd.kill(SIGKILL);
            if nursery.is_none() {
                while matches!(pidfd.wait(), Ok(None)) {
                    std::thread::yield_now();
                }
            }
            return ward.refused(ticket, error);
        }
        let charge =
            Charge { ward: Arc::clone(&ward), pid, pidfd: Arc::clone(&pidfd), nursery, over_since: None };
        self.charges.insert(ticket, charge);
        ward.launched(ticket, pid, pidfd);
    }

    /// A zygote has something to say, or is gone.
    fn hear(&mut self, number: u64) {
        loop {
            let Some(nursery) = self.nurseries.get_mut(&number) else { return };
            match nursery.zygote.receive() {
                Ok(None) => return self.send(number),
                Ok(Some(Report::Ready { threads, suspect })) => {
                    nursery.ready = true;
                    nursery.threads = threads;
                    nursery.suspect = suspect;
                }
                Ok(Some(Report::Forked { ticket, pid, pidfd })) => {
                    nursery.children.insert(pid, ticket);
                    if let Some(start) = nursery.answered(ticket) {
                        self.adopt(start.ward, ticket, pid, pidfd, Some(number));
                    } else {
                        let _ = pidfd.kill(SIGKILL);
                    }
                }
                Ok(Some(Report::Refused { ticket, error })) => {
                    let threaded = nursery.threads > 1;
                    let Some(start) = nursery.answered(ticket) else { continue };
                    match start.launch.clone() {
                        Launch::Zygote(_, alone) if threaded => self.ask(number, start, &alone),
                        // It could not fork: the system lacks something.
                        _ => start.ward.refused(ticket, io::Error::new(ErrorKind::ResourceBusy, error)),
                    }
                }
                Ok(Some(Report::Ended { pid, exit })) => {
                    if let Some(ticket) = nursery.children.remove(&pid) {
                        self.bury(ticket, Some(exit));
                    }
                }
                Ok(Some(Report::Failed { traceback })) => return self.close_nursery(number, Some(traceback)),
                Ok(Some(Report::Closed)) => return self.close_nursery(number, None),
                Err(error) => return self.close_nursery(number, Some(error.to_string())),
            }
        }
    }

    /// A zygote is gone, and with it its workers; `why`, if it has said so.
    fn close_nursery(&mut self, number: u64, why: Option<String>) {
        let Some(Nursery { zygote, asked, ready, .. }) = self.forget(number) else { return };
        let again = ready && why.is_none();
        let why = match (why, zygote.stop()) {
            (Some(why), _) => format!("the process that forks workers could not be prepared: {why}"),
            (None, exit) => format!("the process that forks workers has ended ({exit:?})"),
        };
        // Those that it would have told about.
        let over = self
            .charges
            .iter()
            .filter(|(_, charge)| charge.nursery == Some(number) && charge.over_since.is_some());
        for ticket in over.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            self.bury(ticket, None);
        }
        for mut start in asked {
            start.attempts += 1;
            if again && start.attempts < MOST_ATTEMPTS {
                self.start(start);
            } else {
                start.ward.refused(start.ticket, io::Error::other(why.clone()));
            }
        }
    }

    /// The system tells that a worker has ended.
    fn notice(&mut self, ticket: u64) {
        let Some(charge) = self.charges.get_mut(&ticket) else { return };
        let told_by_zygote = charge.nursery.is_some_and(|number| self.nurseries.contains_key(&number));
        if told_by_zygote {
            let _ = self.poller.remove(charge.pidfd.fd());
            charge.over_since = Some(Moment::now());
            return;
        }
        // Our own child; or one whose zygote has died before it, which nobody can tell about.
        if let Ok(Some(Exit::Signal(_))) = charge.pidfd.look() {
            // What it has started goes too. Until it is waited for, no other group has its number.
            let _ = kill_group(charge.pid, SIGKILL);
        }
        let exit = charge.pidfd.wait().ok().flatten();
        self.bury(ticket, exit);
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
        let _ = self.poller.remove(charge.pidfd.fd());
        self.lingering.retain(|pidfd| pidfd.strong_count() > 0);
        self.lingering.push(Arc::downgrade(&charge.pidfd));
        let out_of_memory = match exit {
            Some(Exit::Signal(SIGKILL)) => self.new_oom_kill(),
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

impl Nursery {
    /// Takes out what the zygote has answered to.
    fn answered(&mut self, ticket: u64) -> Option<Start> {
        let index = self.asked.iter().position(|start| start.ticket == ticket)?;
        if index < self.sent {
            self.sent -= 1;
        }
        self.asked.remove(index)
    }
}

/// The descriptors of a worker, in the order in which it expects them.
fn descriptors_of<'a>(start: &'a Start, life_line: &'a PipeReader) -> Vec<BorrowedFd<'a>> {
    let own = start.fds.iter().map(AsFd::as_fd);
    own.chain([life_line.as_fd()]).chain(start.extra.iter().map(AsFd::as_fd)).collect()
}
