//! Appending: what is queued for the writer, and how whoever appended learns what became of it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::format::{HEAD, MOST_PAYLOAD};
use crate::event::Timestamp;

/// Something to append.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the payload is, to whoever reads it.
    pub kind: u8,
    /// At most 256 MiB.
    pub payload: Payload,
}

/// The bytes of an entry.
#[derive(Clone)]
pub enum Payload {
    /// As they are.
    Bytes(Bytes),
    /// To be asked for by the writer, on its own thread: making them may take time that whoever appends does not have.
    Later {
        /// Gives the bytes.
        source: Arc<dyn Payloads>,
        /// Which of its payloads it is.
        at: usize,
        /// How many bytes they are, about, by which the queue is bounded.
        about: usize,
    },
}

/// Payloads that are made when they are written.
pub trait Payloads: Send + Sync {
    /// The bytes of one of them.
    fn payload(&self, at: usize) -> &[u8];
}

impl Payload {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Later { source, at, .. } => source.payload(*at),
        }
    }

    /// How many bytes they are, as far as is known.
    fn about(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Later { about, .. } => *about,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Payload {
    fn from(bytes: T) -> Payload {
        Payload::Bytes(bytes.into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {} bytes", self.about())
    }
}

/// What must have happened before an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ack {
    /// It is queued: lost if the process dies within a moment.
    Memory,
    /// It is written: survives the end of the process, in whatever way.
    Journal,
    /// It is on the disk: survives the loss of power. Whoever waits at the same time shares one sync.
    Durable,
}

/// Why something was not appended. None of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The writer does not keep up.
    QueueFull,
    /// The disk is full, or the journal is as large as it may be and holds what must not be deleted.
    DiskFull,
    /// An entry is longer than any may be.
    TooLong,
    /// The disk has failed: what the system says.
    Failed(Arc<str>),
    /// The journal is closed.
    Closed,
}

impl Refused {
    /// The reason under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Refused::QueueFull => "queue_full",
            Refused::DiskFull => "disk_full",
            Refused::TooLong => "too_large",
            Refused::Failed(_) => "disk_failed",
            Refused::Closed => "closed",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::QueueFull => f.write_str("the journal's queue is full; the disk is slower than what comes in"),
            Refused::DiskFull => f.write_str("there is no room for the journal; free some, or let it keep less"),
            Refused::TooLong => write!(f, "the journal takes entries of at most {} MiB", MOST_PAYLOAD >> 20),
            Refused::Failed(error) => write!(f, "the journal cannot be written: {error}"),
            Refused::Closed => f.write_str("the journal is closed"),
        }
    }
}

impl std::error::Error for Refused {}

/// An append under way. It can be awaited, on any runtime, or waited for; both end at the ack point that was asked for.
#[derive(Debug)]
#[must_use = "whether it was written is known only to whoever waits for it"]
pub struct Appended {
    offsets: Range<u64>,
    slot: Option<Arc<Slot>>,
}

/// Where the result of an append is left.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<SlotState>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    result: Option<Result<(), Refused>>,
    waker: Option<Waker>,
}

impl Appended {
    /// The offsets of the entries. Nobody else may be told of them before the journal's head is past them.
    pub fn offsets(&self) -> Range<u64> {
        self.offsets.clone()
    }

    /// Blocks until it is done, or will not be.
    pub fn wait(self) -> Result<Range<u64>, Refused> {
        let Some(slot) = &self.slot else { return Ok(self.offsets) };
        let mut state = slot.lock();
        loop {
            if let Some(result) = state.result.clone() {
                return result.map(|()| self.offsets.clone());
            }
            state = slot.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Appended {
    type Output = Result<Range<u64>, Refused>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = &self.slot else { return Poll::Ready(Ok(self.offsets.clone())) };
        let mut state = slot.lock();
        match state.result.clone() {
            Some(result) => Poll::Ready(result.map(|()| self.offsets.clone())),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Slot {
    /// Says what became of it.
    pub fn finish(&self, result: Result<(), Refused>) {
        let mut state = self.lock();
        state.result.get_or_insert(result);
        let waker = state.waker.take();
        drop(state);
        self.done.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries that were appended together.
#[derive(Debug)]
pub struct Batch {
    /// The offsets; more than there are entries if some were passed over.
    pub offsets: Range<u64>,
    /// When they were appended.
    pub time: Timestamp,
    /// What they are.
    pub entries: Vec<Entry>,
    /// The ack point that is waited for.
    pub ack: Ack,
    /// Who waits.
    pub slot: Option<Arc<Slot>>,
}

impl Batch {
    /// Bytes of its records, about.
    pub fn size(&self) -> usize {
        self.entries.iter().map(|entry| HEAD + entry.payload.about()).sum()
    }
}

/// What waits for the writer. It is bounded in entries and in bytes.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    work: Condvar,
    most_entries: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Inner {
    batches: VecDeque<Batch>,
    entries: usize,
    bytes: usize,
    next: u64,
    last: Timestamp,
    closed: bool,
    nudged: bool,
}

/// What the writer is to do next.
#[derive(Debug)]
pub enum Work {
    /// Write these.
    Write(Vec<Batch>),
    /// Look whether the segment is old enough to begin another.
    Look,
    /// Nothing more comes.
    End,
}

impl Queue {
    /// Bytes that are written at once.
    const AT_ONCE: usize = 4 << 20;

    /// An empty queue that hands out offsets from `next` on, and no times before `last`.
    pub fn new(next: u64, last: Timestamp, most_entries: usize, most_bytes: usize) -> Queue {
        let inner = Inner { batches: VecDeque::new(), entries: 0, bytes: 0, next, last, closed: false, nudged: false };
        Queue { inner: Mutex::new(inner), work: Condvar::new(), most_entries, most_bytes }
    }

    /// Puts entries into the queue.
    pub fn push(&self, entries: Vec<Entry>, ack: Ack, now: Timestamp) -> Result<Appended, Refused> {
        if entries.iter().any(|entry| entry.payload.about() > MOST_PAYLOAD) {
            return Err(Refused::TooLong);
        }
        let slot = (ack > Ack::Memory).then(Arc::<Slot>::default);
        let count = entries.len();
        let bytes: usize = entries.iter().map(|entry| HEAD + entry.payload.about()).sum();
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        // A batch that is alone may be as large as it is.
        let is_full = inner.entries + count > self.most_entries || inner.bytes + bytes > self.most_bytes;
        if is_full && !inner.batches.is_empty() {
            return Err(Refused::QueueFull);
        }
        inner.entries += count;
        inner.bytes += bytes;
        let offsets = inner.put(count as u64, entries, ack, slot.clone(), now);
        drop(inner);
        self.work.notify_one();
        Ok(Appended { offsets, slot })
    }

    /// Hands out offsets for which there will be no records.
    pub fn skip(&self, count: usize, now: Timestamp) -> Range<u64> {
        let mut inner = self.lock();
        let first = inner.next;
        let next = first + count as u64;
        match inner.batches.back_mut() {
            // While the writer stands still, this is all there is.
            Some(last) if last.entries.is_empty() => {
                last.offsets.end = next;
                inner.next = next;
            }
            _ => drop(inner.put(count as u64, Vec::new(), Ack::Memory, None, now)),
        }
        drop(inner);
        self.work.notify_one();
        first..next
    }

    /// Waits for work.
    pub fn take(&self) -> Work {
        let mut inner = self.lock();
        loop {
            if !inner.batches.is_empty() {
                return Work::Write(inner.take_some());
            }
            if inner.closed {
                return Work::End;
            }
            if std::mem::take(&mut inner.nudged) {
                return Work::Look;
            }
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the writer look at its segment.
    pub fn nudge(&self) {
        self.lock().nudged = true;
        self.work.notify_one();
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    /// The next offset that is handed out.
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// Entries and bytes that wait.
    pub fn waiting(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.entries, inner.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(
        &mut self,
        count: u64,
        entries: Vec<Entry>,
        ack: Ack,
        slot: Option<Arc<Slot>>,
        now: Timestamp,
    ) -> Range<u64> {
        let offsets = self.next..self.next + count;
        self.next = offsets.end;
        // Times never go back, whatever the clock does: they are looked for by halves.
        self.last = self.last.max(now);
        self.batches.push_back(Batch { offsets: offsets.clone(), time: self.last, entries, ack, slot });
        offsets
    }

    fn take_some(&mut self) -> Vec<Batch> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = self.batches.pop_front() {
            bytes += batch.size();
            self.entries -= batch.entries.len();
            taken.push(batch);
            if self.batches.front().is_none_or(|next| bytes + next.size() > Queue::AT_ONCE) {
                break;
            }
        }
        self.bytes -= bytes;
        taken
    }
}
