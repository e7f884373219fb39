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
//! Zygotes live on too, so that a later pool finds one that is warm; of those that nobody uses, a few. Nothing here waits for a worker
//! or knows what it does; what follows from a death is its pool's to decide, on a thread of its own. For this one keeps the deadlines
//! of all pools, so it runs none of the user's code, and does not wait for the interpreter but to fork the process itself, where that
//! is asked for.
//!
//! **When a zygote is gone.** Its workers are killed by the system. What it was asked for is asked of a new one, unless it never got
//! ready or this happens again and again. **When it has threads**, a fork would not be safe: workers are then started one by one,
//! each an interpreter of its own, and the pool is told why.

mod desk;

use crate::launch::Spec;
use desk::Desk;
use raddle_sync::{ForkCell, Moment, Mutex};
use raddle_sys::pidfd::{Exit, Pidfd};
use raddle_sys::poll::Alarm;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// Starts a worker in a way of the client's own, as a child of this process: gets the worker's file descriptors, what it is told, and
/// the supervisor's own descriptors, which a worker that inherits them is to close.
pub type StartWorker = dyn Fn(&[BorrowedFd<'_>], &[u8], &[RawFd]) -> io::Result<(u32, Pidfd)> + Send + Sync;

/// How workers are started.
#[derive(Clone)]
pub enum Launch {
    /// Forked from a clean process that is kept for that; or, where a fork is not safe, in the other way.
    Zygote(Arc<Spec>, Arc<Spec>),
    /// Each a fresh interpreter.
    Spawn(Arc<Spec>),
    /// In a way of the client's own.
    Own(Arc<StartWorker>),
}

impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Zygote(..) => "Zygote",
            Self::Spawn(_) => "Spawn",
            Self::Own(_) => "Own",
        })
    }
}

/// Who is told what becomes of a worker. Called on the supervisor's thread, without a lock: it must be short and call nothing foreign.
pub(crate) trait Ward: Send + Sync {
    /// The worker's process is there.
    fn launched(self: Arc<Self>, ticket: u64, pid: u32, pidfd: Arc<Pidfd>);
    /// It could not be started.
    fn refused(self: Arc<Self>, ticket: u64, error: io::Error);
    /// It has ended. The last that is told of it.
    fn ended(self: Arc<Self>, ticket: u64, exit: Option<Exit>, out_of_memory: Option<bool>);
    /// Something that people should know.
    fn warn(self: Arc<Self>, what: String);
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
    /// How many zygotes have ended over it.
    pub(crate) attempts: u32,
}

type Action = Box<dyn FnOnce() + Send>;

/// When something is to be done, and a number that no other action has.
type Time = (Moment, u64);

/// An action on the agenda. Dropped, it is taken off, if it has not begun: what is far in the future must not stay there for all
/// tasks that have long ended.
#[derive(Debug)]
pub(crate) struct Appointment {
    time: Time,
}

impl Drop for Appointment {
    fn drop(&mut self) {
        // In a forked child the agenda is another one, where nothing has this number. The action is dropped without the lock.
        let action = office().inbox.lock().agenda.remove(&self.time);
        drop(action);
    }
}

impl Appointment {
    /// Leaves it on the agenda, whatever becomes of the one who has made it.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

#[derive(Default)]
struct Inbox {
    /// Zygotes that will be wanted.
    expected: Vec<Arc<Spec>>,
    starts: Vec<Start>,
    agenda: BTreeMap<Time, Action>,
    /// The thread runs.
    running: bool,
}

struct Office {
    inbox: Mutex<Inbox>,
    /// Made before the thread.
    alarm: OnceLock<Alarm>,
}

static OFFICE: LazyLock<ForkCell<Arc<Office>>> = LazyLock::new(|| ForkCell::new(Office::new()));
static TICKETS: AtomicU64 = AtomicU64::new(1);
static ACTIONS: AtomicU64 = AtomicU64::new(1);

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

/// Has what forks workers made ready, so that it is when a worker is asked for: nothing where it is there, or where nothing forks them.
/// What goes wrong with it is told to whoever asks for a worker.
pub fn expect(launch: &Launch) {
    if let Launch::Zygote(spec, _) = launch {
        let _ = office().post(|inbox| inbox.expected.push(Arc::clone(spec)));
    }
}

/// Has something done at its time, on the supervisor's thread, unless the appointment is dropped before. It must be short, and must not
/// wait.
///
/// # Errors
///
/// When the supervisor itself can't be started. Then it has no workers either, whose deadlines it could keep.
pub(crate) fn at(moment: Moment, action: impl FnOnce() + Send + 'static) -> io::Result<Appointment> {
    let time = (moment, ACTIONS.fetch_add(1, Ordering::Relaxed));
    office().post(|inbox| drop(inbox.agenda.insert(time, Box::new(action))))?;
    Ok(Appointment { time })
}

/// How many actions stand on the agenda for a later time than `moment`.
#[cfg(test)]
pub(crate) fn planned_after(moment: Moment) -> usize {
    office().inbox.lock().agenda.range((moment, 0)..).count()
}

impl Office {
    fn new() -> Arc<Self> {
        Arc::new(Self { inbox: Mutex::default(), alarm: OnceLock::new() })
    }

    fn post(self: &Arc<Self>, put: impl FnOnce(&mut Inbox)) -> io::Result<()> {
        let mut inbox = self.inbox.lock();
        if self.alarm.get().is_none() {
            let _ = self.alarm.set(Alarm::new()?);
        }
        let alarm = self.alarm.get().expect("just made");
        if !inbox.running {
            let desk = Desk::new(Arc::clone(self), alarm)?;
            let thread = std::thread::Builder::new().name("raddle-supervisor".into()).stack_size(STACK);
            raddle_sys::thread::without_signals(|| thread.spawn(move || desk.run()))?;
            inbox.running = true;
        }
        put(&mut inbox);
        drop(inbox);
        alarm.ring();
        Ok(())
    }
}

/// Bytes of the thread's stack, which is the main one of a worker that is forked from it. Costs nothing until it is used.
const STACK: usize = 8 << 20;

#[cfg(all(test, not(loom)))]
mod tests;
