//! One worker process, as its pool sees it.

use super::order::{Order, Reply, Sentence};
use crate::arena::{Arena, Gallery};
use crate::channel::{Header, LEASES, Loan, Message, NoRoom, ParentSide, WINDOW};
use crate::corrupt::Corrupt;
use crate::message::{self, Fields, Place, Reader};
use crate::store::Stored;
use crate::supervisor::Appointment;
use raddle_sync::Moment;
use raddle_sys::pidfd::Pidfd;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where a worker stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for; it has not reported yet.
    Starting,
    /// It takes tasks.
    Up,
    /// It takes no further tasks, and ends when it has done what it has.
    Leaving,
}

/// A task in a worker's hands.
struct Handed<T> {
    order: Order<T>,
    /// Under which number its block is lent.
    lease: Option<u16>,
}

pub(super) struct Worker<T> {
    pub(super) name: Arc<str>,
    pub(super) phase: Phase,
    /// Its task waits for another one: meanwhile it takes none, and another worker takes its place.
    pub(super) blocked: bool,
    pub(super) side: ParentSide,
    gallery: Arc<Gallery>,
    pub(super) pid: u32,
    pub(super) pidfd: Option<Arc<Pidfd>>,
    /// By the number of the claim.
    claims: [Option<Handed<T>>; WINDOW],
    /// The claims in the order in which they were handed out.
    sequence: VecDeque<u8>,
    /// The functions it knows.
    known: HashSet<u64>,
    /// What it is to be told before its next task.
    pub(super) news: Option<Arc<Vec<u8>>>,
    /// Blocks of arguments in its hands, by the number of the lease.
    lent: HashMap<u16, Arc<Stored>>,
    /// What of its results is kept here.
    held: Arc<Held>,
    /// How many tasks it has begun, as far as replies tell.
    pub(super) done: u64,
    pub(super) sentence: Option<Sentence>,
    /// The task for which it was sentenced, if that was one.
    pub(super) condemned: Option<u64>,
    /// When its tasks will be looked at for one that runs too long.
    pub(super) alarm: Option<Moment>,
    /// What is on the supervisor's agenda for that, and for its execution. It goes with the worker.
    pub(super) appointments: [Option<Appointment>; 2],
    pub(super) corrupt: Option<&'static str>,
    pub(super) told_to_leave: bool,
}

/// How many blocks of a worker's results somebody looks at, and how many bytes they have. Relaxed: they decide nothing but when to
/// begin with copies.
#[derive(Default)]
struct Held {
    blocks: AtomicUsize,
    bytes: AtomicU64,
}

impl Held {
    /// Whether so much is held that the worker might not find room for the next results.
    fn is_crowded(&self, arena: usize) -> bool {
        let bytes = usize::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        self.blocks.load(Ordering::Relaxed) > LEASES / 2 || Arena::is_crowded(arena, bytes)
    }
}

/// A loan, as an entry of that account.
struct Kept {
    _loan: Loan,
    held: Arc<Held>,
    bytes: u64,
}

impl Kept {
    fn new(held: &Arc<Held>, loan: Loan, bytes: u64) -> Self {
        held.blocks.fetch_add(1, Ordering::Relaxed);
        held.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { _loan: loan, held: Arc::clone(held), bytes }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.held.blocks.fetch_sub(1, Ordering::Relaxed);
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What came out of a worker's mailbox.
pub(super) enum Mail<T> {
    Ready,
    Broken(Vec<u8>),
    /// It begins no further task, and ends.
    Leaving,
    /// Its task waits for another one, or does so no longer.
    Blocked(bool),
    Finished(Order<T>, Reply),
    /// A task has ended after its time. It counts as running until its worker is dead.
    Late,
    Note(u16, Vec<u8>),
}

impl<T> Worker<T> {
    pub(super) fn new(name: Arc<str>, side: ParentSide, gallery: Arc<Gallery>) -> Self {
        Self {
            name,
            phase: Phase::Starting,
            blocked: false,
            side,
            gallery,
            pid: 0,
            pidfd: None,
            claims: [const { None }; WINDOW],
            sequence: VecDeque::with_capacity(WINDOW),
            known: HashSet::new(),
            news: None,
            lent: HashMap::new(),
            held: Arc::default(),
            done: 0,
            sentence: None,
            condemned: None,
            alarm: None,
            appointments: [None, None],
            corrupt: None,
            told_to_leave: false,
        }
    }

    /// How many tasks it has in its hands.
    pub(super) fn in_hand(&self) -> usize {
        self.sequence.len()
    }

    /// How many tasks it has run or has in its hands.
    pub(super) fn taken(&self) -> u64 {
        self.done + self.sequence.len() as u64
    }

    /// The tasks in its hands, in the order in which it got them.
    pub(super) fn handed(&self) -> impl DoubleEndedIterator<Item = (u8, &Order<T>)> {
        let handed = |claim: &u8| Some((*claim, &self.claims[usize::from(*claim)].as_ref()?.order));
        self.sequence.iter().filter_map(handed)
    }

    /// Hands it a task. The task comes back when there is no room.
    pub(super) fn hand_out(&mut self, order: Order<T>) -> Result<(), Order<T>> {
        match self.try_hand_out(&order) {
            Ok((claim, lease)) => {
                self.claims[usize::from(claim)] = Some(Handed { order, lease });
                self.sequence.push_back(claim);
                Ok(())
            }
            Err(NoRoom) => Err(order),
        }
    }

    fn try_hand_out(&mut self, order: &Order<T>) -> Result<(u8, Option<u16>), NoRoom> {
        if let Some(news) = self.news.clone() {
            self.tell(message::NEWS, &[&news])?;
            self.news = None;
        }
        if let Some(function) = &order.function
            && !self.known.contains(&function.number)
        {
            self.send(function.parcel.as_ref(), function.number, &function.pickle, |side, flags, parts| {
                side.tell(&Message { kind: message::DEFINE, flags, task: 0, parts })
            })?;
            self.known.insert(function.number);
        }
        let function = order.function.as_ref().map_or(0, |function| function.number);
        self.send(order.parcel.as_ref(), function, &order.body, |side, flags, parts| {
            side.hand_out(&Message { kind: order.kind, flags, task: order.number, parts })
        })
    }

    /// Sends a message about a function, and lends the block that it comes with. Returns what `send` does, and the lease.
    fn send<R>(
        &mut self,
        stored: Option<&Arc<Stored>>,
        function: u64,
        body: &[u8],
        send: impl FnOnce(&mut ParentSide, u16, &[&[u8]]) -> Result<R, NoRoom>,
    ) -> Result<(R, Option<u16>), NoRoom> {
        let Some(stored) = stored else {
            let fields = Fields::default().number(function);
            return Ok((send(&mut self.side, 0, &[fields.as_bytes(), body])?, None));
        };
        self.collect_leases();
        let lease = self.side.lend().ok_or(NoRoom)?;
        let place = Place { block: stored.block(), lease };
        let fields = Fields::default().place(place).number(function);
        let crowded = self.side.lent() > LEASES / 2 || stored.is_crowded();
        let flags = if crowded { message::PARCEL | message::COPY } else { message::PARCEL };
        let result = send(&mut self.side, flags, &[fields.as_bytes(), body]);
        if result.is_ok() {
            self.lent.insert(lease, Arc::clone(stored));
        } else {
            self.side.reclaim(lease);
        }
        Ok((result?, Some(lease)))
    }

    /// Lets go of the blocks that the worker has given back.
    pub(super) fn collect_leases(&mut self) {
        let lent = &mut self.lent;
        if !lent.is_empty() {
            self.side.returned(&mut |lease| drop(lent.remove(&lease)));
        }
    }

    /// It may forget these functions. Best effort: what it is not told now it keeps.
    pub(super) fn forget(&mut self, functions: &[u64]) {
        for number in functions {
            if self.known.remove(number) {
                let fields = Fields::default().number(*number);
                let _ = self.tell(message::FORGET, &[fields.as_bytes()]);
            }
        }
    }

    pub(super) fn tell(&mut self, kind: u16, parts: &[&[u8]]) -> Result<(), NoRoom> {
        self.side.tell(&Message { kind, flags: 0, task: 0, parts })
    }

    /// Whether it has something to do: a task, or to get ready.
    pub(super) fn is_busy(&self) -> bool {
        self.in_hand() > 0 || self.phase == Phase::Starting
    }

    /// Takes back what it has not begun, the last first.
    pub(super) fn take_back_all(&mut self) -> impl Iterator<Item = Order<T>> {
        std::iter::from_fn(|| self.take_back_last())
    }

    /// Takes back the task that it got last, unless it has begun it.
    pub(super) fn take_back_last(&mut self) -> Option<Order<T>> {
        let claim = *self.sequence.back()?;
        self.take_back(claim)
    }

    /// Takes back the task of this number, if it is here and has not been begun.
    pub(super) fn take_back_task(&mut self, number: u64) -> Option<Order<T>> {
        let claim = self.claim_of(number)?;
        self.take_back(claim)
    }

    fn claim_of(&self, number: u64) -> Option<u8> {
        self.handed().find(|(_, order)| order.number == number).map(|(claim, _)| claim)
    }

    fn take_back(&mut self, claim: u8) -> Option<Order<T>> {
        if !self.side.take_back(claim) {
            return None;
        }
        self.sequence.retain(|other| *other != claim);
        let handed = self.claims[usize::from(claim)].take()?;
        if let Some(lease) = handed.lease {
            // The worker skips the message, so it never hears of the block.
            self.side.reclaim(lease);
            drop(self.lent.remove(&lease));
        }
        Some(handed.order)
    }

    /// When it began the task of this number; None while it has not, or when the task is not here.
    pub(super) fn begun_at(&self, number: u64) -> Option<Moment> {
        self.side.begun_at(self.claim_of(number)?)
    }

    /// The tasks that it has not begun.
    pub(super) fn unbegun(&self) -> impl Iterator<Item = &Order<T>> {
        let handed = self.handed().filter(|(claim, _)| self.side.begun_at(*claim).is_none());
        handed.map(|(_, order)| order)
    }

    /// The task that it got last, and when it has begun it.
    pub(super) fn last(&self) -> Option<(&Order<T>, Option<Moment>)> {
        let (claim, order) = self.handed().next_back()?;
        Some((order, self.side.begun_at(claim)))
    }

    /// The next thing that it said.
    pub(super) fn receive(&mut self) -> Result<Option<Mail<T>>, Corrupt> {
        let mut body = Vec::new();
        let Some(header) = self.side.receive(&mut body)? else { return Ok(None) };
        Ok(Some(match header.kind {
            message::READY => Mail::Ready,
            message::BROKEN => Mail::Broken(body),
            message::LEAVING => Mail::Leaving,
            message::BLOCKED => Mail::Blocked(true),
            message::RESUMED => Mail::Blocked(false),
            message::RESULT | message::ERROR => self.reply(header, body)?,
            kind if kind >= message::NOTE => Mail::Note(kind, body),
            _ => return Err(Corrupt("a message of no kind")),
        }))
    }

    fn reply(&mut self, header: Header, body: Vec<u8>) -> Result<Mail<T>, Corrupt> {
        let mut reader = Reader::new(&body);
        let place = if header.flags & message::PARCEL == 0 { None } else { Some(reader.place()?) };
        let (begun, ended) = (Moment::from_nanos(reader.number()?), Moment::from_nanos(reader.number()?));
        let start = reader.position();
        let parcel = match place {
            None => None,
            Some(Place { block, lease }) => {
                let kept = Kept::new(&self.held, self.side.borrow(lease)?, block.len);
                Some(self.gallery.view(block, Box::new(kept))?)
            }
        };
        let crowded = self.held.is_crowded(self.gallery.len());
        let claim = self.claim_of(header.task).ok_or(Corrupt("a reply to no task"))?;
        if self.condemned == Some(header.task) && self.sentence == Some(Sentence::Timeout) {
            let timeout = self.claims[usize::from(claim)].as_ref().and_then(|handed| handed.order.timeout);
            if timeout.is_some_and(|timeout| ended >= begun + timeout) {
                return Ok(Mail::Late);
            }
        }
        self.sequence.retain(|other| *other != claim);
        let handed = self.claims[usize::from(claim)].take().expect("claims in the sequence are taken");
        self.side.settle(claim);
        self.done += 1;
        self.blocked = false;
        let failed = header.kind == message::ERROR;
        let worker = Arc::clone(&self.name);
        Ok(Mail::Finished(
            handed.order,
            Reply { failed, flags: header.flags, begun, ended, body, start, parcel, crowded, worker },
        ))
    }

    /// What was in its hands when it died: begun or not.
    pub(super) fn strip(&mut self) -> Vec<(Order<T>, Option<Moment>)> {
        let sequence = std::mem::take(&mut self.sequence);
        let stripped = sequence.into_iter().filter_map(|claim| {
            let begun = self.side.begun_at(claim);
            Some((self.claims[usize::from(claim)].take()?.order, begun))
        });
        stripped.collect()
    }
}
