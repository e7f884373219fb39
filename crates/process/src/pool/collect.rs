//! Who fetches what the workers have said: see [the pool](super).

use super::shared::Aftermath;
use super::{Client, Pool};
use crate::channel::Who;
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::thread::without_signals;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a sleeping leader relies on being rung, while there is something to wait for: a worker may be killed after it has
/// spoken and before it rings.
const TRUST: Duration = Duration::from_millis(200);

/// After so long without a sleep, a leader looks whether there was a signal.
const SPELL: Duration = Duration::from_millis(50);

impl<C: Client> Pool<C> {
    /// Fetches what the workers have said until `done`, `deadline` or a signal; or, as if there was a signal, until it has been at it for
    /// long without a sleep. `None` when another thread is at it already: it tells everybody.
    pub fn drive(self: &Arc<Self>, done: &dyn Fn() -> bool, deadline: Option<Moment>) -> Option<Wake> {
        if !self.lead() {
            return None;
        }
        let mut rested = Moment::now();
        let woken = loop {
            self.collect();
            if done() {
                break Wake::Woken;
            }
            // While there is always something more to fetch, it never sleeps, and hears of nothing else.
            let now = Moment::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                break Wake::TimedOut;
            }
            if now >= rested + SPELL {
                break Wake::Interrupted;
            }
            if linger(|| done() || self.glimpse_mail()) {
                continue;
            }
            let seen = self.bell.seen(Who::Leader);
            self.bell.set_who(Who::Leader);
            if done() || self.has_mail() {
                self.bell.set_who(Who::Nobody);
                continue;
            }
            let trust = Moment::now() + TRUST;
            let until = deadline.map_or(trust, |deadline| deadline.min(trust));
            let woken = self.bell.sleep(Who::Leader, seen, Some(until));
            self.bell.set_who(Who::Nobody);
            rested = Moment::now();
            match woken {
                Wake::TimedOut if deadline.is_none_or(|deadline| deadline > Moment::now()) => {}
                Wake::Woken => {}
                other => {
                    self.collect();
                    break if done() { Wake::Woken } else { other };
                }
            }
        };
        self.hand_over();
        Some(woken)
    }

    /// Wakes the leader: what it waits for may have happened in another way.
    pub fn wake_leader(&self) {
        self.bell.wake(Who::Leader);
    }

    fn lead(&self) -> bool {
        let leads = !self.led.swap(true, Ordering::AcqRel);
        if leads {
            self.bell.set_who(Who::Nobody);
        }
        leads
    }

    /// The leader leaves: from now on the collector is rung, and it is this one's duty to see to what came before.
    fn hand_over(self: &Arc<Self>) {
        loop {
            self.bell.set_who(Who::Collector);
            self.led.store(false, Ordering::Release);
            // `set_who` is a full fence, and a worker publishes before it looks whom to ring.
            if !self.has_mail() || !self.lead() {
                return;
            }
            self.collect();
        }
    }

    fn has_mail(&self) -> bool {
        self.has_events.load(Ordering::Acquire)
            || self.shared.lock().workers.iter().any(|(_, worker)| worker.side.has_mail())
    }

    /// The same for one who will look again anyway.
    fn glimpse_mail(&self) -> bool {
        let shared = self.shared.try_lock();
        shared.is_some_and(|shared| shared.workers.iter().any(|(_, worker)| worker.side.has_mail()))
    }

    /// Fetches what there is; returns whether there was anything.
    pub(super) fn collect(self: &Arc<Self>) -> bool {
        let mut aftermath = Aftermath::default();
        let mut shared = self.shared.lock();
        let any = shared.collect(&self.client, &mut aftermath);
        drop(shared);
        self.follow(aftermath);
        self.handle_events() || any
    }

    /// Starts the collector with the first worker.
    pub(super) fn ensure_collector(self: &Arc<Self>) -> io::Result<()> {
        if self.collector_started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let weak = Arc::downgrade(self);
        let builder = std::thread::Builder::new().name("raddle-collect".into());
        let started = without_signals(|| builder.spawn(move || run_collector(&weak)));
        started.map(drop).inspect_err(|_| self.collector_started.store(false, Ordering::Release))
    }

    /// One round of the collector; false when the pool has ended.
    fn watch(self: &Arc<Self>) -> bool {
        let seen = self.bell.seen(Who::Collector);
        if self.lead() {
            loop {
                while self.collect() {}
                if !linger(|| self.glimpse_mail()) {
                    break;
                }
            }
            self.hand_over();
        }
        if self.ended.load() == 1 {
            // Nobody else may ever come by.
            self.client.tidy();
            return false;
        }
        // Nothing to wait for is no reason to wake up.
        let busy = self.shared.lock().in_hand() > 0 || self.client.is_untidy();
        let trust = busy.then(|| Moment::now() + TRUST);
        let woken = self.bell.sleep(Who::Collector, seen, trust);
        if matches!(woken, Wake::TimedOut) {
            self.client.tidy();
        }
        true
    }
}

fn run_collector<C: Client>(pool: &Weak<Pool<C>>) {
    while pool.upgrade().is_some_and(|pool| pool.watch()) {}
}
