//! One thread that does things at their time: retries after their pause, and the deadlines of running tasks.
//!
//! There is no cancelling. What is scheduled holds only a ticket or a weak claim, looks again when its time comes, and
//! finds nothing to do where the matter has been settled: so the heap is touched once per action, and tasks with
//! timeouts do not touch it at all while they end in time (a worker keeps one action in the heap, not one per task).

use raddle_sync::primitives::Arc;
use raddle_sync::{Moment, Mutex, Parker};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

type Action = Box<dyn FnOnce() + Send>;

struct Entry {
    moment: Moment,
    sequence: u64,
    action: Action,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.moment, self.sequence).cmp(&(other.moment, other.sequence))
    }
}

#[derive(Default)]
struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    started: bool,
    /// An action is being run, or was about to be when the thread last looked.
    busy: bool,
}

#[derive(Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    alarm: Parker,
}

/// Runs actions at their moments, on one thread that is started with the first action and sleeps while there is none.
///
/// Safe across threads; in a forked child use a fresh one (the thread stayed in the parent).
///
/// ```
/// use raddle_task::timer::Timers;
/// use raddle_sync::Moment;
/// use std::time::Duration;
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let timers = Timers::default();
/// timers.at(Moment::now() + Duration::from_millis(1), move || sender.send("rang").expect("somebody listens"))?;
/// assert_eq!(receiver.recv(), Ok("rang"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Timers {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Timers").finish_non_exhaustive()
    }
}

impl Timers {
    /// Runs `action` at `moment` or shortly after. A panic in it is reported on stderr and goes no further.
    ///
    /// # Errors
    ///
    /// When the timer's thread can't be started; the action is dropped.
    pub fn at(&self, moment: Moment, action: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut agenda = self.shared.agenda.lock();
        if !agenda.started {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("raddle-timer".into()).spawn(move || shared.run())?;
            agenda.started = true;
        }
        agenda.sequence += 1;
        let sequence = agenda.sequence;
        let first = agenda.entries.peek().is_none_or(|Reverse(entry)| moment < entry.moment);
        agenda.entries.push(Reverse(Entry { moment, sequence, action: Box::new(action) }));
        drop(agenda);
        if first {
            self.shared.alarm.unpark();
        }
        Ok(())
    }

    /// Whether nothing is left to be done. None while there is no thread to do it.
    #[must_use]
    pub fn is_idle(&self) -> Option<bool> {
        let agenda = self.shared.agenda.lock();
        agenda.started.then(|| agenda.entries.is_empty() && !agenda.busy)
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut agenda = self.agenda.lock();
            agenda.busy = false;
            let next = agenda.entries.peek().map(|Reverse(entry)| entry.moment);
            match next {
                Some(moment) if moment <= Moment::now() => {
                    let entry = agenda.entries.pop();
                    agenda.busy = true;
                    drop(agenda);
                    if let Some(Reverse(entry)) = entry {
                        // The panic hook has printed it; the other actions must still come at their time.
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(entry.action));
                    }
                }
                deadline => {
                    drop(agenda);
                    self.alarm.park(deadline);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn actions_come_in_the_order_of_their_moments_and_survive_a_panic() {
        let timers = Timers::default();
        let (sender, receiver) = channel();
        let start = Moment::now() + Duration::from_millis(20);
        for delay in [3_u64, 1, 2, 0] {
            let sender = sender.clone();
            timers
                .at(start + Duration::from_millis(delay), move || {
                    sender.send(delay).expect("the test listens");
                    assert_ne!(delay, 1, "on purpose");
                })
                .expect("a thread can be started");
        }
        assert_eq!(receiver.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn timers_are_idle_when_nothing_is_left_and_nothing_runs() {
        let timers = Timers::default();
        assert_eq!(timers.is_idle(), None);
        let (begun, has_begun) = channel();
        let (end, may_end) = channel::<()>();
        let action = move || {
            begun.send(()).expect("the test listens");
            may_end.recv().expect("the test sends");
        };
        timers.at(Moment::now(), action).expect("a thread can be started");
        has_begun.recv().expect("it begins");
        assert_eq!(timers.is_idle(), Some(false));
        end.send(()).expect("it waits");
        while timers.is_idle() != Some(true) {
            std::thread::yield_now();
        }
    }
}
