//! Many readers or one writer.
//!
//! Readers come and go through the `gates`, and so do writers when nobody is in their way. Who must wait does so under the
//! mutex, and then the gates are closed: a waiting writer holds back new readers. What must hold whenever the mutex is free:
//! while writers wait, all gates are closed; while anybody waits and no writer is inside, writers wait and readers are inside.
//!
//! Writers that wait are granted the lock. Who follows a writer depends:
//!
//! - By default the next writer; readers are woken, and try again, when no writer waits any more.
//! - In a fair lock, phases alternate (phase-fair: Brandenburg and Anderson, *Spin-based reader-writer synchronization for
//!   multiprocessor real-time systems*, 2010): after a writer come all the readers that have gathered, after these the next
//!   writer. Nobody waits for more than one phase of the others, and writers keep their order.
//!
//! A child that a fork left with closed gates and no writer to open them notices under the mutex, and opens them.

mod gates;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::lock::NotHeld;
use crate::owner::Owner;
use crate::primitives::{Arc, Ordering};
use crate::slow::Slow;
use crate::waiter::{self, WaitQueue, Waitable, Waiter, Woken};
use gates::{Exit, Gates, NOBODY};
use raddle_sys::clock::Moment;
use std::fmt;
use std::ops::Deref;

/// A lock that many may hold to read or one to write. Not reentrant: a reader that comes in a second time while a writer
/// waits would wait for itself.
///
/// What is held may be released by anybody. To wait for it, wait for its [`ReadSide`] or [`WriteSide`]. Takes some hundred
/// bytes (two cache lines for each of up to eight processors). After a fork, a child finds it held by whoever held it
/// in the parent, and nobody waiting.
///
/// ```
/// use raddle_sync::{Owner, RwLock};
///
/// let lock = RwLock::new(false);
/// let (me, other) = (Owner::current_thread(), Owner::task(0x7f00));
/// assert!(lock.try_read(me) && lock.try_read(other));
/// assert!(!lock.try_write(me));
/// lock.release_read(me).expect("held");
/// lock.release_read(other).expect("held");
/// assert!(lock.try_write(me));
/// lock.downgrade().expect("held");
/// assert!(lock.try_read(other));
/// ```
pub struct RwLock {
    fair: bool,
    gates: Gates,
    waiting: Slow<Waiting>,
}

#[derive(Default)]
struct Waiting {
    readers: WaitQueue,
    writers: WaitQueue,
}

/// Who goes on after somebody left or came.
enum Next {
    Nobody,
    Writer(Woken),
    Readers(Vec<Woken>),
}

impl Default for RwLock {
    fn default() -> Self {
        Self::new(false)
    }
}

impl RwLock {
    /// A free lock, which prefers writers; a fair one lets both in by turns.
    #[must_use]
    pub fn new(fair: bool) -> Self {
        Self { fair, gates: Gates::new(), waiting: Slow::new() }
    }

    /// Begins to read, unless a writer holds the lock or waits for it. Never blocks.
    #[inline]
    pub fn try_read(&self, owner: Owner) -> bool {
        self.gates.enter(owner) || (self.gates.is_reserved() && self.try_read_reserved(owner))
    }

    #[cold]
    fn try_read_reserved(&self, owner: Owner) -> bool {
        let next = self.enter(&mut self.waiting.lock(), owner);
        next.map(|next| self.ring(next)).is_some()
    }

    /// Comes in if there is no writer.
    fn enter(&self, waiting: &mut Waiting, owner: Owner) -> Option<Next> {
        if !self.gates.reserve() || !waiting.writers.is_empty() {
            return None;
        }
        self.gates.admit(owner);
        Some(self.settle(waiting))
    }

    /// Begins to write, if nobody holds the lock and no writer waits for it. Never blocks.
    #[inline]
    pub fn try_write(&self, owner: Owner) -> bool {
        if self.gates.are_open() {
            self.claim(owner, false)
        } else {
            self.gates.is_reserved() && self.try_write_reserved(owner)
        }
    }

    /// Begins to write, without the mutex. When readers are inside, it may wait a moment for them to leave.
    #[inline]
    fn claim(&self, owner: Owner, patient: bool) -> bool {
        if !self.gates.claim() {
            return false;
        }
        let inside = self.gates.are_empty() || self.drain(patient);
        if inside {
            self.gates.writer().store(owner.get(), Ordering::Relaxed);
        }
        inside
    }

    /// Waits a moment until the gates that this writer has closed are empty, or gives up.
    #[cold]
    fn drain(&self, patient: bool) -> bool {
        if patient && waiter::spin(|| self.gates.are_empty()) {
            return true;
        }
        if !self.gates.retreat() {
            let next = self.end_write(None).unwrap_or(Next::Nobody);
            self.ring(next);
        }
        false
    }

    #[cold]
    fn try_write_reserved(&self, owner: Owner) -> bool {
        let next = {
            let mut waiting = self.waiting.lock();
            if !waiting.writers.is_empty() {
                return false;
            }
            self.settle(&mut waiting)
        };
        self.ring(next);
        self.gates.are_open() && self.claim(owner, false)
    }

    /// Blocks the calling thread until `owner` reads; for Rust programs. False when `deadline` passed.
    #[inline]
    pub fn read(&self, owner: Owner, deadline: Option<Moment>) -> bool {
        self.gates.enter(owner) || self.wait_to_read(owner, deadline)
    }

    #[cold]
    fn wait_to_read(&self, owner: Owner, deadline: Option<Moment>) -> bool {
        waiter::spin(|| self.gates.enter(owner)) || waiter::block_as(owner, &ReadSide(self), deadline)
    }

    /// Blocks the calling thread until `owner` writes; for Rust programs. False when `deadline` passed.
    #[inline]
    pub fn write(&self, owner: Owner, deadline: Option<Moment>) -> bool {
        self.claim(owner, true) || self.wait_to_write(owner, deadline)
    }

    #[cold]
    fn wait_to_write(&self, owner: Owner, deadline: Option<Moment>) -> bool {
        waiter::spin(|| self.try_write(owner)) || waiter::block_as(owner, &WriteSide(self), deadline)
    }

    /// Ends to read. The `owner` should be the one that began: it leaves by the gate through which it came.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when nobody reads.
    #[inline]
    pub fn release_read(&self, owner: Owner) -> Result<(), NotHeld> {
        match self.gates.leave(owner) {
            Exit::Free => Ok(()),
            Exit::Awaited => {
                self.emptied();
                Ok(())
            }
            Exit::Nobody => Err(NotHeld),
        }
    }

    #[cold]
    fn emptied(&self) {
        let next = self.settle(&mut self.waiting.lock());
        self.ring(next);
    }

    /// Ends to write, and lets in who is next.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when nobody writes.
    #[inline]
    pub fn release_write(&self) -> Result<(), NotHeld> {
        if !self.gates.is_held() {
            return Err(NotHeld);
        }
        self.gates.writer().store(NOBODY, Ordering::Relaxed);
        if self.gates.open_for_all() { Ok(()) } else { self.release_contended() }
    }

    #[cold]
    fn release_contended(&self) -> Result<(), NotHeld> {
        self.ring(self.end_write(None)?);
        Ok(())
    }

    /// Turns the writer into a reader, without a moment in which somebody else could write.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when nobody writes.
    pub fn downgrade(&self) -> Result<(), NotHeld> {
        let writer = self.writer().ok_or(NotHeld)?;
        self.ring(self.end_write(Some(writer))?);
        Ok(())
    }

    fn end_write(&self, stays: Option<Owner>) -> Result<Next, NotHeld> {
        let mut waiting = self.waiting.lock();
        self.gates.writer().store(NOBODY, Ordering::Relaxed);
        if !self.gates.let_go() {
            return Err(NotHeld);
        }
        if let Some(reader) = stays {
            self.gates.admit(reader);
        }
        Ok(if self.fair && !waiting.readers.is_empty() {
            self.admit_all(&mut waiting)
        } else {
            self.settle(&mut waiting)
        })
    }

    /// Brings the gates in line with who waits, after somebody left or came.
    fn settle(&self, waiting: &mut Waiting) -> Next {
        if let Some(next) = waiting.writers.first() {
            if !self.gates.close() {
                // Whoever leaves last comes by here.
                return Next::Nobody;
            }
            self.gates.writer().store(next.owner().get(), Ordering::Relaxed);
            self.gates.hold(waiting.writers.len() > 1 || !waiting.readers.is_empty());
            return waiting.writers.grant().map_or(Next::Nobody, Next::Writer);
        }
        if !self.gates.is_reserved() {
            // A writer is inside, or the gates are open and nobody waits.
            return Next::Nobody;
        }
        if self.fair {
            return self.admit_all(waiting);
        }
        self.gates.open();
        Next::Readers(waiting.readers.wake_all())
    }

    /// Lets all waiting readers in, and more only when no writer waits. The gates are reserved.
    fn admit_all(&self, waiting: &mut Waiting) -> Next {
        for reader in waiting.readers.iter() {
            self.gates.admit(reader.owner());
        }
        if waiting.writers.is_empty() {
            self.gates.open();
        } else {
            // Whoever left without the mutex at first may have opened some of them.
            self.gates.close();
        }
        Next::Readers(waiting.readers.grant_all())
    }

    fn ring(&self, next: Next) {
        match next {
            Next::Nobody => {}
            Next::Writer(woken) => woken.ring(&WriteSide(self)),
            Next::Readers(woken) => Woken::ring_all(woken, &ReadSide(self)),
        }
    }

    /// Who writes.
    #[must_use]
    pub fn writer(&self) -> Option<Owner> {
        Owner::in_word(self.gates.writer().load(Ordering::Relaxed))
    }

    /// How many read.
    #[must_use]
    pub fn readers(&self) -> u64 {
        self.gates.readers()
    }

    /// Whether anybody reads or writes.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.gates.is_held() || self.readers() != 0
    }

    /// The waiting writers who must have had their turn before a reader that waits now: in a fair lock only the first, and not
    /// even that one while another writes.
    fn next_writers(&self, inside: Option<Owner>) -> Vec<Owner> {
        let most = match (self.fair, inside) {
            (false, _) => usize::MAX,
            (true, None) => 1,
            (true, Some(_)) => 0,
        };
        let Some(waiting) = self.waiting.peek() else { return Vec::new() };
        waiting.writers.iter().take(most).map(|writer| writer.owner()).collect()
    }

    /// Whether readers and writers are let in by turns.
    #[must_use]
    pub const fn is_fair(&self) -> bool {
        self.fair
    }

    /// How many wait to read.
    #[must_use]
    pub fn waiting_readers(&self) -> usize {
        self.waiting.peek().map_or(0, |waiting| waiting.readers.len())
    }

    /// How many wait to write.
    #[must_use]
    pub fn waiting_writers(&self) -> usize {
        self.waiting.peek().map_or(0, |waiting| waiting.writers.len())
    }
}

/// What a reader waits for.
///
/// Over a reference or an `Arc`, as the wait needs it.
#[derive(Clone, Copy, Debug)]
pub struct ReadSide<L = Arc<RwLock>>(pub L);

impl<L: Deref<Target = RwLock> + Send + Sync> Waitable for ReadSide<L> {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let owner = waiter.owner();
        if waiter.take_grant() {
            return true;
        }
        if !waiter.is_queued() && self.0.gates.enter(owner) {
            waiter.reset();
            return true;
        }
        let next = {
            let mut waiting = self.0.waiting.lock();
            if waiter.take_grant() {
                return true;
            }
            let Some(next) = self.0.enter(&mut waiting, owner) else {
                waiting.readers.join(waiter);
                return false;
            };
            waiting.readers.quit(waiter);
            next
        };
        self.0.ring(next);
        true
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        // Nobody is woken in its place: when one reader is, all are.
        self.0.waiting.lock().readers.quit(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        if self.abandon(waiter) {
            // Held by nobody when somebody else released it: then all is well too.
            let _ = self.0.release_read(waiter.owner());
        }
        Vec::new()
    }

    /// A writer that waits is in a reader's way too.
    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        let writer = self.0.writer();
        self.0.waiting.visit(writer, waiter, visit);
        self.0.next_writers(writer).into_iter().for_each(visit);
    }
}

/// What a writer waits for.
///
/// Over a reference or an `Arc`, as the wait needs it.
#[derive(Clone, Copy, Debug)]
pub struct WriteSide<L = Arc<RwLock>>(pub L);

impl<L: Deref<Target = RwLock> + Send + Sync> Waitable for WriteSide<L> {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        if waiter.take_grant() || (waiter.is_idle() && self.0.try_write(waiter.owner())) {
            return true;
        }
        let next = {
            let mut waiting = self.0.waiting.lock();
            if waiter.take_grant() {
                return true;
            }
            waiting.writers.join(waiter);
            self.0.settle(&mut waiting)
        };
        match next {
            Next::Writer(woken) if woken.is(waiter) => {}
            next => self.0.ring(next),
        }
        waiter.take_grant()
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        let next = {
            let mut waiting = self.0.waiting.lock();
            if waiting.writers.quit(waiter) {
                return true;
            }
            self.0.settle(&mut waiting)
        };
        self.0.ring(next);
        false
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        if !self.abandon(waiter) {
            return Vec::new();
        }
        match self.0.end_write(None) {
            Ok(Next::Writer(woken)) => vec![woken],
            Ok(next) => {
                self.0.ring(next);
                Vec::new()
            }
            Err(NotHeld) => Vec::new(),
        }
    }

    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.0.waiting.visit(self.0.writer(), waiter, visit);
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (writer, readers) = (self.writer(), self.readers());
        formatter
            .debug_struct("RwLock")
            .field("writer", &writer)
            .field("readers", &readers)
            .finish_non_exhaustive()
    }
}
