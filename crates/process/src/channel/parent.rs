//! The pool's end of a channel.

use super::claims::Claims;
use super::end::{End, Loan, Side, rouse};
use super::leases::Lender;
use super::place::Place;
use super::ring::{Reader, Writer};
use super::{Header, Message, NoRoom};
use crate::Corrupt;
use raddle_sync::Moment;
use raddle_sync::primitives::{Arc, Ordering, fence};

use super::layout::Layout;
#[cfg(not(loom))]
use super::layout::STAMP;

/// The pool's end of the channel to one worker.
///
/// Survives whatever the worker writes or leaves undone: it costs a bounded amount of work and memory, and ends in
/// [`Corrupt`] or in a message that the pool has to make sense of.
///
/// A child made by fork must not use it; dropping it there is harmless.
pub struct ParentSide {
    #[cfg(not(loom))]
    memory: raddle_sys::memory::Memory,
    end: Arc<End>,
    to_worker: Writer,
    from_worker: Reader,
    claims: Claims,
    arguments: Lender,
    /// Once the worker has written nonsense, nothing more goes either way.
    corrupt: Option<Corrupt>,
    /// Whether the pool has been told so.
    told: bool,
}

impl ParentSide {
    /// A channel with nothing in it, for one worker.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no file descriptor for it.
    #[cfg(not(loom))]
    pub fn new() -> std::io::Result<Self> {
        let memory = raddle_sys::memory::Memory::new("raddle-channel", size_of::<Layout>())?;
        let layout = Place::<Layout>::new(&memory)?;
        layout.parent.stamp.0.store(STAMP, Ordering::Release);
        Ok(Self::on(layout, memory))
    }

    pub(super) fn on(layout: Place<Layout>, #[cfg(not(loom))] memory: raddle_sys::memory::Memory) -> Self {
        Self {
            #[cfg(not(loom))]
            memory,
            end: End::new(layout, Side::Parent),
            to_worker: Writer::default(),
            from_worker: Reader::default(),
            claims: Claims::default(),
            arguments: Lender::default(),
            corrupt: None,
            told: false,
        }
    }

    /// The memory, for the worker.
    #[cfg(not(loom))]
    #[must_use]
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.memory.fd()
    }

    /// Hands a task out under a claim, which it returns. The worker sees it, but is not woken: [`nudge`](Self::nudge).
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when all claims are taken, when the ring is full, or once the channel is corrupt.
    ///
    /// # Panics
    ///
    /// When the body is longer than [`LARGEST`](super::LARGEST).
    #[inline]
    pub fn hand_out(&mut self, message: &Message<'_>) -> Result<u8, NoRoom> {
        self.fits(message)?;
        let claims = &self.end.layout.both.claims;
        let claim = self.claims.free(claims).ok_or(NoRoom)?;
        self.claims.hand_out(claims, claim, message.task);
        self.to_worker.write(self.end.layout.to_worker(), message, Some(claim));
        Ok(claim)
    }

    /// Sends a message that needs no claim: a definition, an order. Does not wake the worker.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when the ring is full, or once the channel is corrupt.
    ///
    /// # Panics
    ///
    /// When the body is longer than [`LARGEST`](super::LARGEST).
    #[inline]
    pub fn tell(&mut self, message: &Message<'_>) -> Result<(), NoRoom> {
        self.fits(message)?;
        self.to_worker.write(self.end.layout.to_worker(), message, None);
        Ok(())
    }

    #[inline]
    fn fits(&mut self, message: &Message<'_>) -> Result<(), NoRoom> {
        if self.corrupt.is_some() {
            return Err(NoRoom);
        }
        match self.to_worker.fits(self.end.layout.to_worker(), message.len()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NoRoom),
            Err(corrupt) => {
                self.corrupt = Some(corrupt);
                Err(NoRoom)
            }
        }
    }

    /// Wakes the worker if it sleeps. Costs a fence and a load if it does not.
    #[inline]
    pub fn nudge(&self) {
        rouse(&self.end.layout.worker.asleep.0);
    }

    /// Takes back a task that was handed out and not begun; whether it worked. The worker will skip it, and its claim is free
    /// once it has.
    pub fn take_back(&mut self, claim: u8) -> bool {
        self.claims.take_back(&self.end.layout.both.claims, claim)
    }

    /// When the worker began the task that has this claim; None if it has not. Never later than now, whatever the worker says.
    #[must_use]
    pub fn begun_at(&self, claim: u8) -> Option<Moment> {
        self.claims.begun_at(&self.end.layout.both.claims, claim)
    }

    /// Frees the claim of a task that is over.
    #[inline]
    pub fn settle(&mut self, claim: u8) {
        self.claims.settle(claim);
    }

    /// How many claims are free.
    #[must_use]
    pub fn free_claims(&self) -> usize {
        self.claims.count_free(&self.end.layout.both.claims)
    }

    /// Whether [`receive`](Self::receive) has something to say: a message, or once that there won't be any more.
    #[inline]
    #[must_use]
    pub fn has_mail(&self) -> bool {
        match self.corrupt {
            None => self.from_worker.has_mail(self.end.layout.to_parent()),
            Some(_) => !self.told,
        }
    }

    /// The next message from the worker, if there is one; its body replaces that in `body`.
    ///
    /// The header's claim is the one under which its task is out at this moment, by the parent's own account: None for a task
    /// that was settled or taken back, or was never this worker's.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the worker wrote what no worker writes, now or before.
    #[inline]
    pub fn receive(&mut self, body: &mut Vec<u8>) -> Result<Option<Header>, Corrupt> {
        if let Some(corrupt) = self.corrupt {
            self.told = true;
            return Err(corrupt);
        }
        let ring = self.end.layout.to_parent();
        let mut header = match self.from_worker.peek(ring) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(corrupt) => {
                (self.corrupt, self.told) = (Some(corrupt), true);
                return Err(corrupt);
            }
        };
        self.from_worker.copy(ring, &header, body);
        self.from_worker.advance(ring, &header);
        if self.from_worker.is_roomy() {
            rouse(&self.end.layout.worker.cramped.0);
        }
        header.claim = self.claims.of(header.task);
        Ok(Some(header))
    }

    /// A lease for a block of arguments; None when all are lent.
    pub fn lend(&mut self) -> Option<u16> {
        self.arguments.lend()
    }

    /// Takes back a lease of which the worker has not heard, and won't: the message did not go out, or was taken back.
    pub fn reclaim(&mut self, lease: u16) {
        self.arguments.reclaim(lease);
    }

    /// Collects the leases that the worker has given back.
    pub fn returned(&mut self, each: &mut dyn FnMut(u16)) {
        self.arguments.returned(self.end.marks(), each);
    }

    /// How many leases are lent.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.arguments.count()
    }

    /// Whether the worker rings the bell when it gives a lease back. After saying yes, look at [`returned`](Self::returned)
    /// before sleeping.
    pub fn want_leases(&self, want: bool) {
        self.end.layout.parent.wants_leases.0.store(u32::from(want), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Looks at a block of results that the worker has lent, until the [`Loan`] is dropped.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no such lease, or it is on loan already.
    pub fn borrow(&self, lease: u16) -> Result<Loan, Corrupt> {
        self.end.borrow(lease)
    }
}

impl std::fmt::Debug for ParentSide {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ParentSide")
            .field("claims", &self.claims)
            .field("lent", &self.arguments.count())
            .field("corrupt", &self.corrupt)
            .finish_non_exhaustive()
    }
}
