//! Taking out of a queue on disk: a page at a time is read, and what is on its way is remembered until it is settled.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::DiskQueue;
use super::entry::{Sum, Waiting};
use super::place::{Place, PlaceFile};
use crate::blocking::off_worker;
use crate::event::Timestamp;
use crate::export::queue::{Portion, Taken};
use crate::journal::Limit;

/// What is read at once.
const PAGE: Limit = Limit { records: 256, bytes: 2 << 20 };

/// How many portions may be on their way: one that nobody takes must not let all behind it be sent again after a start.
const MOST_SENDING: usize = 256;

/// How long to wait for a disk that cannot be read.
const UNREADABLE: Duration = Duration::from_secs(1);

/// The reading end.
pub struct Reader {
    /// What was read and not taken.
    page: VecDeque<Waiting>,
    /// Where to read on.
    next: u64,
    /// Where the next record should be, and how much was put in before it.
    expected: u64,
    through: Sum,
    /// All before this offset was taken.
    taken: u64,
    /// What is below this offset may have been sent before this start; and whether that is only a guess.
    may_repeat: (u64, bool),
}

/// What is on its way.
pub struct Sending {
    portions: VecDeque<Portioned>,
    /// Items of those that are not settled.
    items: u64,
    place: Place,
    file: PlaceFile,
    failed: bool,
}

struct Portioned {
    offsets: Range<u64>,
    sum: Sum,
    through: Sum,
    settled: bool,
}

enum Popped {
    Taken(Taken),
    NotYet(Duration),
    Empty,
    Closed,
}

impl Reader {
    /// From a place on. What is below `may_repeat` may have been sent before, which is a guess or not.
    pub fn new(place: Place, may_repeat: (u64, bool)) -> Reader {
        let Place { settled, through, .. } = place;
        Reader { page: VecDeque::new(), next: settled, expected: settled, through, taken: settled, may_repeat }
    }
}

impl DiskQueue {
    /// Takes a portion from the front, once there is one; nothing once the queue is closed and empty.
    pub async fn pop(&self, portion: &Portion) -> Option<Taken> {
        loop {
            let filled = self.filled.notified();
            let popped = self.look(&mut *self.reader.lock().await, portion);
            match popped {
                Popped::Taken(taken) => {
                    // There may be more, for whoever else waits.
                    self.filled.notify_one();
                    return Some(taken);
                }
                Popped::Closed => {
                    self.filled.notify_one();
                    return None;
                }
                Popped::Empty => filled.await,
                Popped::NotYet(wait) => tokio::time::timeout(wait, filled).await.unwrap_or_default(),
            }
        }
    }

    /// What was taken from a place need not be kept any more.
    pub fn settle(&self, place: u64) {
        let Some((sum, settled)) = self.sending().settle(place) else { return };
        self.books.ledger().settled(sum);
        self.cursor.advance(settled);
        self.emptied.notify_waiters();
        // Whoever found too much on its way looks again.
        self.filled.notify_one();
    }

    fn look(&self, reader: &mut Reader, portion: &Portion) -> Popped {
        if self.sending().portions.len() >= MOST_SENDING {
            return Popped::Empty;
        }
        // Looked at first: what was put in before is read now.
        let closed = self.closed.load(Relaxed);
        loop {
            if reader.page.is_empty()
                && reader.next < self.journal.head()
                && let Err(error) = off_worker(|| self.read(reader))
            {
                crate::report::error(&format!("{}: its queue on disk cannot be read: {error}", self.books.id));
                return Popped::NotYet(UNREADABLE);
            }
            let Some(first) = reader.page.front() else {
                self.in_a_hurry.store(false, Relaxed);
                return if closed { Popped::Closed } else { Popped::Empty };
            };
            let waited = Duration::from_micros(Timestamp::now().micros_since(first.since));
            let on_their_way = self.sending().items;
            let waiting = self.books.ledger().waiting().items.saturating_sub(on_their_way);
            let hurries = closed || self.in_a_hurry.load(Relaxed);
            let (enough, wait) = portion.company(on_their_way > 0);
            if waiting < enough as u64 && waited < wait && !hurries {
                return Popped::NotYet(wait - waited);
            }
            if let Some(taken) = self.take(reader, portion) {
                return Popped::Taken(taken);
            }
        }
    }

    /// Reads on until there is something, or nothing more.
    fn read(&self, reader: &mut Reader) -> io::Result<()> {
        while reader.page.is_empty() {
            let page = self.journal.read(reader.next, PAGE)?;
            if page.next == reader.next {
                return Ok(());
            }
            reader.next = page.next;
            for record in page.records {
                let offset = record.offset;
                // What is none of ours is missing, as if it were damaged.
                let Some(waiting) = Waiting::read(record) else { continue };
                if offset != reader.expected {
                    let missing = waiting.through - waiting.sum - reader.through;
                    let lost = self.books.ledger().lost(reader.expected..offset, missing);
                    self.tell_of_loss(lost, "cannot be read from the disk any more");
                }
                (reader.expected, reader.through) = (offset + 1, waiting.through);
                reader.page.push_back(waiting);
            }
        }
        Ok(())
    }

    /// Takes what fits into a portion from the page. Nothing if what is first means nothing to us.
    fn take(&self, reader: &mut Reader, portion: &Portion) -> Option<Taken> {
        let first = reader.page.pop_front()?;
        let (offset, mut end, mut sum, mut through) = (reader.taken, first.offset + 1, first.sum, first.through);
        let repeats = |waiting: &Waiting| if waiting.offset < reader.may_repeat.0 { waiting.sum.items } else { 0 };
        let mut repeated = repeats(&first);
        let kind = first.kind();
        let mut load = first.load();
        while let Some(next) = reader.page.front() {
            let more = sum + next.sum;
            let fits = more.items <= portion.items as u64 && more.bytes <= portion.bytes as u64;
            if load.is_none() || !fits || next.kind() != kind {
                break;
            }
            let (Some(next), Some(load)) = (reader.page.pop_front(), &mut load) else { break };
            let (after, of_next, through_next, again) = (next.offset + 1, next.sum, next.through, repeats(&next));
            let Some(more) = next.load() else {
                // What is before it goes out; it itself is passed over with that.
                self.unreadable(of_next);
                end = after;
                through = through_next;
                break;
            };
            load.append(more);
            (end, sum, through, repeated) = (after, sum + of_next, through_next, repeated + again);
        }
        reader.taken = end;
        let failed = self.sending().take(Portioned { offsets: offset..end, sum, through, settled: false });
        if let Err(error) = failed {
            crate::report::warn(&format!("{}: how far it was sent cannot be written down: {error}", self.books.id));
        }
        let Some(load) = load else {
            self.tell_of_loss(sum, "means nothing to this version of Spanlight");
            self.settle(offset);
            return None;
        };
        let counts = &self.books.counts;
        let count = if reader.may_repeat.1 { &counts.unknown } else { &counts.unfinished };
        count.add(repeated as usize);
        Some(Taken { load, place: Some(offset) })
    }

    fn unreadable(&self, sum: Sum) {
        self.books.ledger().settled(sum);
        self.tell_of_loss(sum, "means nothing to this version of Spanlight");
    }

    fn tell_of_loss(&self, lost: Sum, why: &str) {
        if lost.items == 0 {
            return;
        }
        self.books.counts.unreadable.add(lost.items as usize);
        crate::report::error(&format!(
            "{}: {} items of its queue are lost: what was written {why}",
            self.books.id, lost.items
        ));
    }
}

impl Sending {
    /// Nothing is on its way yet.
    pub fn new(place: Place, file: PlaceFile) -> Sending {
        Sending { portions: VecDeque::new(), items: 0, place, file, failed: false }
    }

    /// Has it survive the loss of power how far it was sent.
    pub fn sync(&mut self) {
        // What cannot be saved begins a little earlier the next time.
        self.file.sync().unwrap_or_default();
    }

    /// Something is about to be sent.
    fn take(&mut self, portion: Portioned) -> io::Result<()> {
        self.items += portion.sum.items;
        self.place.taken = portion.offsets.end;
        self.portions.push_back(portion);
        self.write()
    }

    /// Something was dealt with: how much that was, and below which offset all is now.
    fn settle(&mut self, place: u64) -> Option<(Sum, u64)> {
        let portion = self.portions.iter_mut().find(|portion| portion.offsets.start == place && !portion.settled)?;
        portion.settled = true;
        let sum = portion.sum;
        self.items -= sum.items;
        while let Some(first) = self.portions.pop_front_if(|portion| portion.settled) {
            (self.place.settled, self.place.through) = (first.offsets.end, first.through);
        }
        // Said when it was taken.
        self.write().unwrap_or_default();
        Some((sum, self.place.settled))
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.file.write(self.place);
        // Once is enough, until it can be written again.
        let is_new = written.is_err() && !self.failed;
        self.failed = written.is_err();
        if is_new { written } else { Ok(()) }
    }
}
