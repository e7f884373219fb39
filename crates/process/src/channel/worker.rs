//! The worker's end of a channel.

use super::bell::Bell;
use super::claims::Beginning;
use super::end::{End, Loan, Side, doze};
use super::layout::Layout;
use super::leases::Lender;
use super::place::Place;
use super::ring::{Reader, Writer};
use super::{Header, Message, NoRoom};
use crate::{Corrupt, fault};
use raddle_sync::primitives::Arc;
use raddle_sync::{Moment, Mutex, Wake};

/// The worker's end of its channel to the pool.
///
/// It trusts the pool. Where the worker itself has scribbled over the channel (a stray pointer in a task, say), methods panic:
/// then it is time for the worker to end.
pub struct WorkerSide {
    end: Arc<End>,
    from_parent: Reader,
    voice: Voice,
    results: Lender,
}

/// What a worker speaks to its pool with, from any thread: the messages of one thread arrive in their order.
#[derive(Clone)]
pub struct Voice {
    end: Arc<End>,
    to_parent: Arc<Mutex<Writer>>,
}

/// What to make of nonsense in the channel.
#[cold]
fn broken(corrupt: Corrupt) -> ! {
    panic!("{corrupt}")
}

impl WorkerSide {
    /// The worker's end of the channel that has this memory; `bell` is the pool's.
    ///
    /// # Errors
    ///
    /// When the descriptor is no channel's, or can't be mapped.
    #[cfg(not(loom))]
    pub fn attach(memory: std::os::fd::OwnedFd, bell: Bell) -> std::io::Result<Self> {
        let layout = Place::<Layout>::new(&raddle_sys::memory::Memory::from_fd(memory)?)?;
        if layout.parent.stamp.0.load(raddle_sync::primitives::Ordering::Acquire) != super::layout::STAMP {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "this memory is no channel"));
        }
        Ok(Self::on(layout, bell))
    }

    pub(super) fn on(layout: Place<Layout>, bell: Bell) -> Self {
        let end = End::new(layout, Side::Worker(bell));
        let voice = Voice { end: Arc::clone(&end), to_parent: Arc::new(Mutex::new(Writer::default())) };
        Self { end, from_parent: Reader::default(), voice, results: Lender::default() }
    }

    fn bell(&self) -> &Bell {
        match &self.end.side {
            Side::Worker(bell) => bell,
            Side::Parent => unreachable!("made with a bell"),
        }
    }

    /// The next message from the pool, if there is one; its body replaces that in `body`. A task is begun by this; those that
    /// were taken back are skipped; if nothing else is there, the bell is rung, as their claims are free now.
    ///
    /// # Panics
    ///
    /// When the channel is corrupt.
    #[inline]
    pub fn next(&mut self, body: &mut Vec<u8>) -> Option<Header> {
        let ring = self.end.layout.to_worker();
        let mut skipped = false;
        while let Some(header) = self.from_parent.peek(ring).unwrap_or_else(|corrupt| broken(corrupt)) {
            fault::point("next:seen");
            if let Some(claim) = header.claim {
                match self.end.layout.both.claims[usize::from(claim)].0.begin(Moment::now()) {
                    Beginning::Begun => {}
                    Beginning::Skipped => {
                        fault::point("next:skipped");
                        self.from_parent.advance(ring, &header);
                        skipped = true;
                        continue;
                    }
                    Beginning::Nonsense => broken(Corrupt("a task whose claim was not handed out")),
                }
                fault::point("next:begun");
            }
            self.from_parent.copy(ring, &header, body);
            fault::point("next:copied");
            self.from_parent.advance(ring, &header);
            fault::point("next:taken");
            return Some(header);
        }
        if skipped {
            // No reply is going to tell the pool that there are claims again.
            self.bell().ring();
        }
        None
    }

    /// Whether the pool has sent anything that [`next`](Self::next) has not passed.
    #[inline]
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.from_parent.has_mail(self.end.layout.to_worker())
    }

    /// Sleeps until there is mail, a nudge, `deadline` or a signal; stays awake for a moment first. May return early for no
    /// reason.
    #[expect(clippy::must_use_candidate, reason = "who looks again need not know why it woke")]
    pub fn sleep(&self, deadline: Option<Moment>) -> Wake {
        doze(&self.end.layout.worker.asleep.0, || self.has_mail(), deadline)
    }

    /// Sends a message to the pool, and rings the bell.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when the ring is full: [`sleep_for_room`](Self::sleep_for_room).
    ///
    /// # Panics
    ///
    /// When the body is longer than [`LARGEST`](super::LARGEST), or the channel is corrupt.
    #[inline]
    pub fn reply(&mut self, message: &Message<'_>) -> Result<(), NoRoom> {
        self.voice.say(message)
    }

    /// Sleeps until there is room for any message, or `deadline` or a signal. May return early for no reason.
    #[expect(clippy::must_use_candidate, reason = "who looks again need not know why it woke")]
    pub fn sleep_for_room(&self, deadline: Option<Moment>) -> Wake {
        self.voice.sleep_for_room(deadline)
    }

    /// Something that the worker's other threads can speak with too.
    #[must_use]
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// A lease for a block of results; None when all are lent.
    pub fn lend(&mut self) -> Option<u16> {
        let lease = self.results.lend();
        fault::point("lend:lent");
        lease
    }

    /// Takes back a lease of which the pool has not heard, and won't: the message did not go out.
    pub fn reclaim(&mut self, lease: u16) {
        self.results.reclaim(lease);
    }

    /// Collects the leases that the pool has given back.
    pub fn returned(&mut self, each: &mut dyn FnMut(u16)) {
        self.results.returned(self.end.marks(), each);
    }

    /// How many leases are lent.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.results.count()
    }

    /// Sleeps until the pool has given a lease back, or `deadline` or a signal. May return early for no reason.
    #[expect(clippy::must_use_candidate, reason = "who looks again need not know why it woke")]
    pub fn sleep_for_leases(&self, deadline: Option<Moment>) -> Wake {
        doze(&self.end.layout.worker.starved.0, || self.end.marks().any(), deadline)
    }

    /// Looks at a block of arguments that the pool has lent, until the [`Loan`] is dropped.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no such lease, or it is on loan already.
    pub fn borrow(&self, lease: u16) -> Result<Loan, Corrupt> {
        self.end.borrow(lease)
    }
}

impl Voice {
    /// Sends a message to the pool, and rings the bell.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when the ring is full: [`sleep_for_room`](Self::sleep_for_room).
    ///
    /// # Panics
    ///
    /// When the body is longer than [`LARGEST`](super::LARGEST), or the channel is corrupt.
    #[inline]
    pub fn say(&self, message: &Message<'_>) -> Result<(), NoRoom> {
        let ring = self.end.layout.to_parent();
        let mut writer = self.to_parent.lock();
        if !writer.fits(ring, message.len()).unwrap_or_else(|corrupt| broken(corrupt)) {
            return Err(NoRoom);
        }
        writer.write(ring, message, None);
        drop(writer);
        let Side::Worker(bell) = &self.end.side else { unreachable!("a worker's") };
        bell.ring();
        fault::point("reply:rung");
        Ok(())
    }

    /// Sleeps until there is room for any message, or `deadline` or a signal. May return early for no reason; where several threads sleep,
    /// no more than one may be woken.
    #[expect(clippy::must_use_candidate, reason = "who looks again need not know why it woke")]
    pub fn sleep_for_room(&self, deadline: Option<Moment>) -> Wake {
        let roomy = || self.to_parent.lock().is_roomy(self.end.layout.to_parent());
        doze(&self.end.layout.worker.cramped.0, roomy, deadline)
    }
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Voice(..)")
    }
}

impl std::fmt::Debug for WorkerSide {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WorkerSide").field("lent", &self.results.count()).finish_non_exhaustive()
    }
}
