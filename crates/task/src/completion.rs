//! The state machine under every future.
//!
//! ```text
//!            start              complete
//!  Pending ─────────▶ Running ─────────────▶ Finished
//!   │  ▲                │                       ▲
//!   │  └────────────────┘ requeue (a retry)     │ complete (a future made by hand)
//!   ├───────────────────────────────────────────┘
//!   │ cancel                 acknowledge
//!   └─────────▶ Cancelled ─────────────▶ CancelledAcknowledged
//! ```
//!
//! Patient observers are told when the executor has acknowledged a cancellation, all others at the cancellation itself.
//!
//! The state is one word that threads sleep on; only `start` and `requeue` change it without the lock. The outcome, the
//! observers and the count of sleepers stand behind a lock that is held for a few instructions, never while an observer
//! is told: whoever ends the task is handed the observers and tells them itself. So each observer is told exactly once,
//! by the thread that ended the task or by the one that came too late to register.

use raddle_sync::primitives::Mutex;
use raddle_sync::{Moment, WaitWord, Wake};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Waits for its turn, for a dependency or for a retry.
    Pending = 0,
    /// A worker has begun it.
    Running = 1,
    /// Cancelled before it began; the executor has not met it yet.
    Cancelled = 2,
    /// Cancelled, and the executor has dropped it.
    CancelledAcknowledged = 3,
    /// Has an outcome.
    Finished = 4,
}

impl State {
    const fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Pending,
            1 => Self::Running,
            2 => Self::Cancelled,
            3 => Self::CancelledAcknowledged,
            _ => Self::Finished,
        }
    }

    /// Nothing will change any more for those who wait.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Cancelled | Self::CancelledAcknowledged | Self::Finished)
    }

    /// Ended without an outcome.
    #[must_use]
    pub const fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::CancelledAcknowledged)
    }
}

/// What became of an attempt to cancel.
#[derive(Debug)]
pub enum Cancel<W> {
    /// This call cancelled it; the caller tells the observers.
    Now(Vec<W>),
    /// Somebody had cancelled it before.
    Before,
    /// It runs or has finished.
    TooLate,
}

#[derive(Debug)]
struct Cell<T, W> {
    outcome: Option<T>,
    observers: Vec<W>,
    sleepers: u32,
    awaiters: u32,
    /// An awaiter was cancelled: when the last waiter goes, so does the task.
    abandoned: bool,
}

/// The shared state of one task: an outcome `T` that arrives once, and observers `W` that are to be told.
///
/// Safe across threads. Knows nothing of fork: see the owner.
///
/// ```
/// use raddle_task::completion::{Completion, State};
///
/// let task: Completion<u32, &str> = Completion::default();
/// task.observe("somebody", false).expect("it has not ended yet");
/// assert!(task.start());
/// assert_eq!(task.complete(42).expect("nobody else completed it"), ["somebody"]);
/// assert_eq!(task.state(), State::Finished);
/// assert_eq!(task.with_outcome(|outcome| *outcome), Some(42));
/// assert_eq!(task.observe("too late", false), Err("too late"));
/// ```
#[derive(Debug)]
pub struct Completion<T, W> {
    state: WaitWord,
    cell: Mutex<Cell<T, W>>,
}

impl<T, W> Default for Completion<T, W> {
    fn default() -> Self {
        let cell = Cell { outcome: None, observers: Vec::new(), sleepers: 0, awaiters: 0, abandoned: false };
        Self { state: WaitWord::new(State::Pending as u32), cell: Mutex::new(cell) }
    }
}

impl<T, W> Completion<T, W> {
    /// Where the task stands now.
    #[inline]
    #[must_use]
    pub fn state(&self) -> State {
        State::from_word(self.state.load())
    }

    /// The worker begins: true when it may run the task, false when the task was cancelled or has ended otherwise.
    #[must_use]
    pub fn start(&self) -> bool {
        self.state.replace(State::Pending as u32, State::Running as u32).is_ok()
    }

    /// The executor has met the cancelled task; the caller tells the patient observers. None unless this call did it.
    #[must_use]
    pub fn acknowledge(&self) -> Option<Vec<W>> {
        let mut cell = self.cell.lock();
        self.state.replace(State::Cancelled as u32, State::CancelledAcknowledged as u32).ok()?;
        Some(std::mem::take(&mut cell.observers))
    }

    /// Back from running to pending: the task will be tried again. False when it has ended meanwhile.
    #[must_use]
    pub fn requeue(&self) -> bool {
        self.state.replace(State::Running as u32, State::Pending as u32).is_ok()
    }

    /// Ends the task with its outcome; the caller tells the observers.
    ///
    /// # Errors
    ///
    /// Gives the outcome back when the task has ended already.
    pub fn complete(&self, outcome: T) -> Result<Vec<W>, T> {
        let mut cell = self.cell.lock();
        let mut state = self.state();
        while !state.is_done() {
            match self.state.replace(state as u32, State::Finished as u32) {
                Ok(()) => {
                    cell.outcome = Some(outcome);
                    let observers = std::mem::take(&mut cell.observers);
                    let asleep = cell.sleepers > 0;
                    drop(cell);
                    if asleep {
                        self.state.wake_all();
                    }
                    return Ok(observers);
                }
                Err(found) => state = State::from_word(found),
            }
        }
        Err(outcome)
    }

    /// Cancels the task if it has not begun; the caller tells the observers that are not patient.
    pub fn cancel(&self, patient: impl Fn(&W) -> bool) -> Cancel<W> {
        let mut cell = self.cell.lock();
        match self.state.replace(State::Pending as u32, State::Cancelled as u32) {
            Ok(()) => {
                let observers = cell.observers.extract_if(.., |observer| !patient(observer)).collect();
                let asleep = cell.sleepers > 0;
                drop(cell);
                if asleep {
                    self.state.wake_all();
                }
                Cancel::Now(observers)
            }
            Err(found) if State::from_word(found).is_cancelled() => Cancel::Before,
            Err(_) => Cancel::TooLate,
        }
    }

    /// Registers an observer, to be handed to whoever ends the task.
    ///
    /// # Errors
    ///
    /// Gives the observer back when the task has ended: the caller tells it itself.
    pub fn observe(&self, observer: W, patient: bool) -> Result<(), W> {
        let mut cell = self.cell.lock();
        let state = self.state();
        if state.is_done() && !(patient && state == State::Cancelled) {
            return Err(observer);
        }
        cell.observers.push(observer);
        Ok(())
    }

    /// Takes observers back that are no longer interested; returns them, so that the caller drops them unlocked.
    #[must_use]
    pub fn forget(&self, mut uninterested: impl FnMut(&W) -> bool) -> Vec<W> {
        let mut cell = self.cell.lock();
        cell.observers.extract_if(.., |observer| uninterested(observer)).collect()
    }

    /// Looks at the outcome, under the lock: `read` must be short and call nothing foreign. None unless finished.
    pub fn with_outcome<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        self.cell.lock().outcome.as_ref().map(read)
    }

    /// Changes the outcome in place, under the lock: `change` must be short and call nothing foreign. None unless finished.
    pub fn revise<R>(&self, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.cell.lock().outcome.as_mut().map(change)
    }

    /// Looks at outcome and observers if nobody holds the lock, for a garbage collector's traversal.
    pub fn try_inspect(&self, look: impl FnOnce(Option<&T>, &[W])) {
        if let Some(cell) = self.cell.try_lock() {
            look(cell.outcome.as_ref(), &cell.observers);
        }
    }

    /// Empties it, for a garbage collector that breaks a cycle: what it held is returned, to be dropped by the caller.
    #[must_use]
    pub fn clear(&self) -> (Option<T>, Vec<W>) {
        let mut cell = self.cell.lock();
        (cell.outcome.take(), std::mem::take(&mut cell.observers))
    }

    /// Overwrites state and outcome, bypassing the state machine: for code that sets a future's private fields by hand.
    /// Returns the old outcome, to be dropped by the caller.
    #[must_use]
    pub fn force(&self, state: Option<State>, outcome: Option<T>) -> Option<T> {
        let mut cell = self.cell.lock();
        let old = outcome.and_then(|outcome| cell.outcome.replace(outcome));
        if let Some(state) = state {
            self.state.store(state as u32);
            self.state.wake_all();
        }
        old
    }

    /// Registers the calling thread as one that is about to sleep. None when the task has ended.
    #[must_use]
    pub fn sleeper(&self) -> Option<Sleeper<'_, T, W>> {
        let mut cell = self.cell.lock();
        if self.state().is_done() {
            return None;
        }
        cell.sleepers += 1;
        Some(Sleeper { completion: self })
    }

    /// Counts one more coroutine that awaits the task.
    pub fn add_awaiter(&self) {
        let mut cell = self.cell.lock();
        cell.awaiters += 1;
        cell.abandoned = false;
    }

    /// One awaiting coroutine is gone; `cancelled` tells whether because it was cancelled. True when nobody waits any
    /// more and one of those who did was cancelled: then the task itself is to be cancelled.
    #[must_use]
    pub fn remove_awaiter(&self, cancelled: bool) -> bool {
        let mut cell = self.cell.lock();
        cell.awaiters = cell.awaiters.saturating_sub(1);
        cell.abandoned |= cancelled;
        cell.abandoned && cell.awaiters == 0 && cell.sleepers == 0 && !self.state().is_done()
    }
}

/// A thread that sleeps until a task ends; made by [`Completion::sleeper`].
#[derive(Debug)]
pub struct Sleeper<'a, T, W> {
    completion: &'a Completion<T, W>,
}

impl<T, W> Sleeper<'_, T, W> {
    /// Sleeps until the task ends ([`Wake::Woken`]), `deadline`, or a signal.
    #[must_use]
    pub fn sleep(&self, deadline: Option<Moment>) -> Wake {
        raddle_sync::linger(|| self.completion.state().is_done());
        loop {
            let word = self.completion.state.load();
            if State::from_word(word).is_done() {
                return Wake::Woken;
            }
            match self.completion.state.wait(word, deadline) {
                Wake::Woken => {}
                _ if self.completion.state().is_done() => return Wake::Woken,
                other => return other,
            }
        }
    }

    /// The thread no longer waits. True when the task is to be cancelled, as for [`Completion::remove_awaiter`].
    #[must_use]
    pub fn leave(self) -> bool {
        let mut cell = self.completion.cell.lock();
        cell.sleepers -= 1;
        let last = cell.sleepers == 0 && cell.awaiters == 0;
        last && cell.abandoned && !self.completion.state().is_done()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    type Task = Completion<u32, u32>;

    #[test]
    fn a_cancelled_task_never_starts_and_has_no_outcome() {
        let task = Task::default();
        task.observe(1, false).expect("pending");
        task.observe(2, true).expect("pending");
        assert!(matches!(task.cancel(|observer| *observer == 2), Cancel::Now(told) if told == [1]));
        assert!(matches!(task.cancel(|_| false), Cancel::Before));
        assert!(!task.start());
        assert_eq!(task.observe(3, true), Ok(()));
        assert_eq!(task.acknowledge(), Some(vec![2, 3]));
        assert_eq!(task.acknowledge(), None);
        assert_eq!(task.state(), State::CancelledAcknowledged);
        assert_eq!(task.complete(3), Err(3));
        assert_eq!(task.with_outcome(|outcome| *outcome), None);
    }

    #[test]
    fn a_running_task_is_not_cancelled_but_a_requeued_one_is() {
        let task = Task::default();
        assert!(task.start());
        assert!(matches!(task.cancel(|_| false), Cancel::TooLate));
        assert!(task.requeue());
        assert!(matches!(task.cancel(|_| false), Cancel::Now(_)));
        assert!(!task.requeue());
    }

    #[test]
    fn the_last_waiter_cancels_only_after_a_cancellation() {
        let task = Task::default();
        let sleeper = task.sleeper().expect("pending");
        assert!(!sleeper.leave());
        task.add_awaiter();
        task.add_awaiter();
        let sleeper = task.sleeper().expect("pending");
        assert!(!task.remove_awaiter(true));
        assert!(!task.remove_awaiter(false));
        assert!(sleeper.leave());
    }

    #[test]
    fn forgotten_observers_are_not_told() {
        let task = Task::default();
        for observer in 0..4 {
            task.observe(observer, false).expect("pending");
        }
        assert_eq!(task.forget(|observer| observer % 2 == 0), [0, 2]);
        assert_eq!(task.complete(0), Ok(vec![1, 3]));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use raddle_sync::primitives::Arc;

    type Task = Completion<u32, u32>;

    #[test]
    fn a_sleeper_always_wakes() {
        loom::model(|| {
            let task = Arc::new(Task::default());
            let worker = Arc::clone(&task);
            let thread = loom::thread::spawn(move || {
                assert!(worker.start());
                worker.complete(7).expect("nobody else completes it");
            });
            if let Some(sleeper) = task.sleeper() {
                assert_eq!(sleeper.sleep(None), Wake::Woken);
                assert!(!sleeper.leave());
            }
            assert_eq!(task.with_outcome(|outcome| *outcome), Some(7));
            thread.join().expect("the worker ends");
        });
    }

    #[test]
    fn cancel_and_start_exclude_each_other() {
        loom::model(|| {
            let task = Arc::new(Task::default());
            let worker = Arc::clone(&task);
            let thread = loom::thread::spawn(move || worker.start() && worker.complete(7).is_ok());
            let cancelled = matches!(task.cancel(|_| false), Cancel::Now(_));
            let ran = thread.join().expect("the worker ends");
            assert_ne!(cancelled, ran);
            assert_eq!(task.state().is_cancelled(), cancelled);
        });
    }

    #[test]
    fn each_observer_is_told_exactly_once() {
        loom::model(|| {
            let task = Arc::new(Task::default());
            let (worker, rival) = (Arc::clone(&task), Arc::clone(&task));
            let by_worker = loom::thread::spawn(move || worker.complete(1).unwrap_or_default().len());
            let by_rival = loom::thread::spawn(move || rival.complete(2).unwrap_or_default().len());
            let by_myself = usize::from(task.observe(5, false).is_err());
            let told = by_myself
                + by_worker.join().expect("the worker ends")
                + by_rival.join().expect("the rival ends");
            assert_eq!(told, 1);
        });
    }
}
