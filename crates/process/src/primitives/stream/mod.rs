//! Messages from many to many: what queues between processes are made of.
//!
//! ```text
//!  header   put lock, tail ─────────────────────────────┐
//!           get lock, head ──────┐                      │
//!           free list ──┐        ▼                      ▼
//!  segments   [5]─▶[3]          [2]────▶[6]────▶[1]────▶[4]
//!              free               messages, oldest first
//! ```
//!
//! One memory holds a header and segments of 64 kB (`segments.rs`). Messages stand one after the other in a chain of segments, and
//! go on in the next one where one ends, so they can be as long as memory lasts. Segments that have been read come back to those
//! who write, the last one first, as it is the warmest. So a queue takes the memory of what is in it and a little more, and nobody
//! has to wait for room: only a limit on the number of messages makes a writer wait.
//!
//! Writers exclude each other, and so do readers, by two locks that notice when their holder is gone. `tail` and `head` are
//! one word each: the number of messages so far, and the place. To write is to fill in what comes after the tail and then to
//! store the new tail; to read is to copy what comes after the head and then to store the new head. Whoever is killed before his
//! store has changed nothing, whoever is killed after it has done it all; what may be lost are free segments, and who takes over
//! the lock of a holder that is gone counts these anew.

mod cells;
mod segments;

use super::lock::{LockCells, Wait};
use super::nap::{Nap, Naps};
use crate::Corrupt;
use cells::{DESKS, Position, StreamCells};
use raddle_sync::{Moment, Wake, linger};
use raddle_sys::futex;
use raddle_sys::poll::Alarm;
use segments::{Cursor, Segments};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Messages, in the order in which they were put.
///
/// Its alarm rings while there are any, once somebody has asked for it: that costs whoever puts a system call.
#[derive(Debug)]
pub struct Stream {
    segments: Segments,
    alarm: Alarm,
    /// Where it is noted what is taken here; [`DESKS`] for nowhere.
    desk: AtomicUsize,
}

/// How a message was put, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there.
    Done,
    /// The wait for room ended first.
    Ended(Wake),
    /// The memory has no room for it.
    NoRoom,
}

/// How a message was taken, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// This kind of message.
    Message(u8),
    /// The wait for one ended first.
    Ended(Wake),
    /// Another process has written what no healthy one writes.
    Corrupt(Corrupt),
}

/// More is done than there was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingToDo;

/// How a short step under a lock ended.
enum Step<T> {
    Did(T),
    /// Somebody else has the lock, or there is nothing to do: one has to wait.
    Later,
}

impl Stream {
    /// A stream of at most `limit` messages; zero for no limit.
    ///
    /// # Errors
    ///
    /// The system's: no descriptors or no address space left.
    pub fn new(limit: u32) -> io::Result<Self> {
        let segments = Segments::new()?;
        segments.cells().limit.store(limit, Ordering::Relaxed);
        Ok(Self::of(segments, Alarm::new()?))
    }

    /// The stream whose memory and alarm another process has sent.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is none; else the system's.
    pub fn attach(memory: OwnedFd, alarm: OwnedFd) -> io::Result<Self> {
        let segments = Segments::attach(memory)?;
        Ok(Self::of(segments, Alarm::from_fd(alarm)))
    }

    fn of(segments: Segments, alarm: Alarm) -> Self {
        Self { segments, alarm, desk: AtomicUsize::new(DESKS) }
    }

    /// The descriptors of its memory and its alarm, to be sent to another process.
    #[must_use]
    pub fn fds(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.segments.fd(), self.alarm.fd())
    }

    /// From now on, the alarm rings while there are messages. It is rung and silenced with the lock for putting held, so to a lone
    /// reader it never rings for nothing. If who was to ring is killed, it rings with the next message.
    pub fn watch(&self) {
        self.cells().watched.store(1, Ordering::SeqCst);
        if !self.is_empty() {
            self.alarm.ring();
        }
    }

    /// Silences the alarm if there are no messages.
    pub fn silence(&self) {
        while self.is_empty() {
            if self.lock(&self.cells().put, None) == Wait::Taken {
                if self.is_empty() {
                    self.alarm.clear();
                }
                unlock(&self.cells().put);
                return;
            }
        }
    }

    fn cells(&self) -> &StreamCells {
        self.segments.cells()
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        let head = Position::load(&self.cells().head);
        Position::load(&self.cells().tail).count.wrapping_sub(head.count)
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From now on, there can be so many messages; zero for no limit.
    pub fn set_limit(&self, limit: u32) {
        self.cells().limit.store(limit, Ordering::Relaxed);
    }

    /// The most messages that there can be; zero for no limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.cells().limit.load(Ordering::Relaxed)
    }

    /// Whether there are as many as there can be.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        let limit = self.limit();
        limit > 0 && self.len() >= limit
    }

    /// Puts a message if nothing has to be waited for.
    #[inline]
    #[must_use]
    pub fn try_put(&self, kind: u8, parts: &[&[u8]]) -> Option<Put> {
        if self.is_full() || !self.cells().put.try_acquire() {
            return None;
        }
        match self.put_locked(kind, parts) {
            Step::Did(put) => Some(put),
            Step::Later => None,
        }
    }

    /// Puts a message, or sleeps until it can.
    #[must_use]
    pub fn put(&self, kind: u8, parts: &[&[u8]], deadline: Option<Moment>) -> Put {
        let cells = self.cells();
        let mut naps = Naps::until(deadline);
        let mut slept = false;
        loop {
            let head = Position::load(&cells.head).count;
            if slept {
                cells.givers_asleep.store(1, Ordering::SeqCst);
            }
            if !self.is_full() {
                match self.lock(&cells.put, deadline) {
                    Wait::Taken => {}
                    wait => return Put::Ended(wait.wake()),
                }
                if let Step::Did(put) = self.put_locked(kind, parts) {
                    if slept && !self.is_full() {
                        futex::wake_shared(cells::count_of(&cells.head), 1);
                    }
                    return put;
                }
            } else if slept || !linger(|| !self.is_full()) {
                cells.givers_asleep.store(1, Ordering::SeqCst);
                slept = true;
                if self.is_full()
                    && let Nap::Ends(wake) = naps.sleep(cells::count_of(&cells.head), head)
                {
                    if !self.is_full() {
                        futex::wake_shared(cells::count_of(&cells.head), 1);
                    }
                    return Put::Ended(wake);
                }
            }
        }
    }

    /// Puts a message and frees the lock.
    fn put_locked(&self, kind: u8, parts: &[&[u8]]) -> Step<Put> {
        let cells = self.cells();
        let tail = Position::load(&cells.tail);
        let step = if self.is_full() {
            Step::Later
        } else {
            let mut cursor = Cursor::at(&self.segments, tail);
            match cursor.write(kind, parts) {
                Ok(()) => {
                    cursor.position(tail.count.wrapping_add(1)).store(&cells.tail);
                    if cells.watched.load(Ordering::SeqCst) != 0 {
                        self.alarm.ring();
                    }
                    Step::Did(Put::Done)
                }
                Err(_) => Step::Did(Put::NoRoom),
            }
        };
        unlock(&cells.put);
        if matches!(step, Step::Did(Put::Done)) && cells.takers_asleep.load(Ordering::SeqCst) != 0 {
            cells.takers_asleep.store(0, Ordering::SeqCst);
            futex::wake_shared(cells::count_of(&cells.tail), 1);
        }
        step
    }

    /// Takes a message if nothing has to be waited for. Its body replaces what is in `body`.
    #[inline]
    #[must_use]
    pub fn try_get(&self, body: &mut Vec<u8>) -> Option<Got> {
        if self.is_empty() || !self.cells().get.try_acquire() {
            return None;
        }
        match self.get_locked(body) {
            Step::Did(got) => Some(got),
            Step::Later => None,
        }
    }

    /// Takes a message, or sleeps until there is one. Its body replaces what is in `body`.
    #[must_use]
    pub fn get(&self, body: &mut Vec<u8>, deadline: Option<Moment>) -> Got {
        let cells = self.cells();
        let mut naps = Naps::until(deadline);
        let mut slept = false;
        loop {
            let tail = Position::load(&cells.tail).count;
            if slept {
                cells.takers_asleep.store(1, Ordering::SeqCst);
            }
            if !self.is_empty() {
                match self.lock(&cells.get, deadline) {
                    Wait::Taken => {}
                    wait => return Got::Ended(wait.wake()),
                }
                if let Step::Did(got) = self.get_locked(body) {
                    if slept && !self.is_empty() {
                        futex::wake_shared(cells::count_of(&cells.tail), 1);
                    }
                    return got;
                }
            } else if slept || !linger(|| !self.is_empty()) {
                cells.takers_asleep.store(1, Ordering::SeqCst);
                slept = true;
                if self.is_empty()
                    && let Nap::Ends(wake) = naps.sleep(cells::count_of(&cells.tail), tail)
                {
                    if !self.is_empty() {
                        futex::wake_shared(cells::count_of(&cells.tail), 1);
                    }
                    return Got::Ended(wake);
                }
            }
        }
    }

    /// Takes a message and frees the lock.
    fn get_locked(&self, body: &mut Vec<u8>) -> Step<Got> {
        let cells = self.cells();
        let head = Position::load(&cells.head);
        if head.count == Position::load(&cells.tail).count {
            unlock(&cells.get);
            return Step::Later;
        }
        let mut cursor = Cursor::at(&self.segments, head);
        let got = match cursor.read(body) {
            Ok(kind) => {
                if let Some(desk) = cells.desks.get(self.desk.load(Ordering::Relaxed)) {
                    // Before the head moves: whoever is killed in between has noted what he has not taken, which can be told.
                    desk.store(head.count.wrapping_add(1), Ordering::SeqCst);
                }
                cursor.position(head.count.wrapping_add(1)).store(&cells.head);
                cursor.recycle(head);
                Got::Message(kind)
            }
            Err(corrupt) => Got::Corrupt(corrupt),
        };
        unlock(&cells.get);
        if cells.givers_asleep.load(Ordering::SeqCst) != 0 {
            cells.givers_asleep.store(0, Ordering::SeqCst);
            futex::wake_shared(cells::count_of(&cells.head), 1);
        }
        if cells.watched.load(Ordering::SeqCst) != 0 {
            self.silence();
        }
        Step::Did(got)
    }

    /// From now on, what is taken here is noted on a desk: see [`taken_at`](Stream::taken_at). False if there is no such desk.
    #[must_use]
    pub fn sit(&self, desk: usize) -> bool {
        self.desk.store(desk, Ordering::Relaxed);
        desk < DESKS
    }

    /// What was taken here is dealt with.
    pub fn clear_desk(&self) {
        if let Some(desk) = self.cells().desks.get(self.desk.load(Ordering::Relaxed)) {
            desk.store(0, Ordering::SeqCst);
        }
    }

    /// Which message a reader at this desk has taken and not yet dealt with, counted from zero. The desk is clear then. To be asked
    /// once the reader is gone.
    #[must_use]
    pub fn taken_at(&self, desk: usize) -> Option<u32> {
        let number = self.cells().desks.get(desk)?.swap(0, Ordering::SeqCst).checked_sub(1)?;
        let ahead = Position::load(&self.cells().head).count.wrapping_sub(number).cast_signed();
        (ahead > 0).then_some(number)
    }

    /// Takes one of the two locks, also from a holder that is gone.
    fn lock(&self, lock: &LockCells, deadline: Option<Moment>) -> Wait {
        loop {
            match lock.acquire(deadline, true) {
                Wait::OwnerDied(_) => {
                    if let Some(wait) = self.inherit(lock, deadline) {
                        return wait;
                    }
                }
                wait => return wait,
            }
        }
    }

    /// Takes a lock over from a holder that is gone. None when another was faster.
    fn inherit(&self, lock: &LockCells, deadline: Option<Moment>) -> Option<Wait> {
        let cells = self.cells();
        let is_put = std::ptr::eq(lock, &raw const cells.put);
        let take = |lock: &LockCells| loop {
            match lock.acquire(deadline, true) {
                Wait::OwnerDied(_) if lock.take_over() => return Wait::Taken,
                Wait::OwnerDied(_) => {}
                wait => return wait,
            }
        };
        // Whoever needs both takes the one for putting first.
        let other = if is_put {
            if !lock.take_over() {
                return None;
            }
            &cells.get
        } else {
            &cells.put
        };
        let wait = take(other);
        if wait != Wait::Taken {
            if is_put {
                unlock(lock);
            }
            return Some(wait);
        }
        let taken = is_put || lock.take_over();
        if taken {
            self.segments.count_free();
        }
        unlock(other);
        taken.then_some(Wait::Taken)
    }

    /// Says that what one message asked for is done.
    ///
    /// # Errors
    ///
    /// [`NothingToDo`] when as much has been done as messages were put.
    pub fn done(&self) -> Result<(), NothingToDo> {
        let cells = self.cells();
        let mut done = cells.done.load(Ordering::SeqCst);
        loop {
            if done == Position::load(&cells.tail).count {
                return Err(NothingToDo);
            }
            let next = done.wrapping_add(1);
            match cells.done.compare_exchange_weak(done, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => done = now,
            }
        }
        if self.all_done() && cells.joiners_asleep.load(Ordering::SeqCst) != 0 {
            cells.joiners_asleep.store(0, Ordering::SeqCst);
            futex::wake_shared(&cells.done, u32::MAX);
        }
        Ok(())
    }

    /// Whether everything is done that was ever put.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.cells().done.load(Ordering::SeqCst) == Position::load(&self.cells().tail).count
    }

    /// Sleeps until all is done.
    #[must_use]
    pub fn join(&self, deadline: Option<Moment>) -> Wake {
        let cells = self.cells();
        let mut naps = Naps::until(deadline);
        loop {
            cells.joiners_asleep.store(1, Ordering::SeqCst);
            let done = cells.done.load(Ordering::SeqCst);
            if self.all_done() {
                return Wake::Woken;
            }
            if let Nap::Ends(wake) = naps.sleep(&cells.done, done) {
                return wake;
            }
        }
    }
}

fn unlock(lock: &LockCells) {
    lock.release().expect("the caller holds it");
}

#[cfg(test)]
mod tests;
