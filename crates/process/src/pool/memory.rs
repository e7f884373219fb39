//! The limit of a worker's memory: looked at again and again while it has something to do.

use super::life::Event;
use super::order::Sentence;
use super::sentences::SIGKILL;
use super::shared::Aftermath;
use super::worker::Phase;
use super::{Client, Pool};
use raddle_sync::Moment;
use raddle_sys::process::{private_bytes, resident_bytes};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often. A worker can get hold of some hundred megabytes meanwhile.
const PERIOD: Duration = Duration::from_millis(50);

impl<C: Client> Pool<C> {
    /// Begins to watch the workers' memory, if that is wanted and they have something to do.
    pub(super) fn watch_memory(self: &Arc<Self>) {
        if self.settings.memory_limit.is_some()
            && self.shared.lock().is_busy()
            && !self.watching_memory.swap(true, Ordering::AcqRel)
        {
            self.look_later();
        }
    }

    fn look_later(self: &Arc<Self>) {
        if let Some(look) = self.later(Moment::now() + PERIOD, Self::look_at_memory) {
            look.keep();
        }
    }

    fn look_at_memory(self: &Arc<Self>) {
        let Some(limit) = self.settings.memory_limit else { return };
        let shared = self.shared.lock();
        let busy = shared.workers.iter().filter(|(_, worker)| worker.is_busy() && worker.pid != 0);
        let busy: Vec<_> = busy.map(|(id, worker)| (*id, worker.pid)).collect();
        drop(shared);
        for (id, pid) in &busy {
            // What is resident is cheap to know, and never less.
            let over = |bytes: Option<u64>| bytes.filter(|bytes| *bytes >= limit);
            if over(resident_bytes(*pid)).is_some()
                && let Some(bytes) = over(private_bytes(*pid))
            {
                self.punish(*id, bytes);
            }
        }
        if !busy.is_empty() {
            return self.look_later();
        }
        self.watching_memory.store(false, Ordering::Release);
        // Somebody may have got something to do just before.
        self.watch_memory();
    }

    /// Kills a worker that has taken too much.
    fn punish(self: &Arc<Self>, id: u64, bytes: u64) {
        let mut shared = self.shared.lock();
        let Some(worker) = shared.worker(id) else { return };
        let back: Vec<_> = worker.take_back_all().collect();
        worker.sentence.get_or_insert(Sentence::Memory(bytes));
        // An initializer that takes too much will do so again: that counts.
        if worker.phase == Phase::Up {
            worker.phase = Phase::Leaving;
        }
        let mut aftermath = Aftermath::default();
        for order in back {
            shared.put_back(order, &self.client, &mut aftermath);
        }
        drop(shared);
        self.post(Event::Returned(aftermath.dropped));
        self.kill(id, SIGKILL);
    }
}
