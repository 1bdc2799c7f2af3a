//! Opening a queue on disk: what waits, how far it was sent, and what may have been sent already.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::entry::Waiting;
use super::ledger::Ledger;
use super::place::{Place, PlaceFile};
use super::take::{Reader, Sending};
use super::{Books, Counts, DiskQueue, listen};
use crate::export::queue::{Bounds, DiskAck, QueueConfig};
use crate::health::Health;
use crate::journal::disk::{Disk, LocalDisk};
use crate::journal::{self, Begin, Hold, Journal, Limit, Recovery, WhenFull};

/// How a queue is kept on disk.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The exporter.
    pub id: String,
    /// What it carries, for our own counters.
    pub signal: String,
    /// Its bounds, and when something counts as taken.
    pub queue: QueueConfig,
}

impl Settings {
    /// The smallest part of its disk space is deleted as a whole, so that there are enough of them.
    const SEGMENTS: u64 = 32;

    fn bounds(&self) -> Bounds {
        let bounds = self.queue.bounds();
        let bytes = usize::try_from(self.max_bytes()).unwrap_or(usize::MAX);
        Bounds { bytes: bounds.bytes.min(bytes), ..bounds }
    }

    fn max_bytes(&self) -> u64 {
        (self.queue.max_gib() * f64::from(1 << 30)) as u64
    }

    fn journal(&self) -> journal::Settings {
        let max_bytes = self.max_bytes();
        journal::Settings {
            max_bytes,
            segment_bytes: (max_bytes / Settings::SEGMENTS).min(64 << 20),
            delete_read: true,
            when_full: WhenFull::Refuse,
            ..journal::Settings::default()
        }
    }
}

impl DiskQueue {
    /// Opens the queue of a directory, which is made if it is missing. It opens whatever a crash has left, and says what
    /// was found wrong. It runs on the runtime it is opened on.
    ///
    /// # Errors
    /// The directory cannot be used, or another process uses it.
    pub fn open(dir: &Path, settings: &Settings, health: &Health) -> Result<DiskQueue, String> {
        let opened = Journal::open(dir, settings.journal()).map_err(|error| error.to_string())?;
        DiskQueue::of(&LocalDisk, dir, opened, settings, health)
    }

    /// Opens a queue on another file system.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, settings: &Settings, health: &Health) -> Result<DiskQueue, String> {
        let opened = Journal::open_on(disk.clone(), dir, settings.journal()).map_err(|error| error.to_string())?;
        DiskQueue::of(&*disk, dir, opened, settings, health)
    }

    fn of(
        disk: &dyn Disk,
        dir: &Path,
        (journal, recovery): (Journal, Recovery),
        settings: &Settings,
        health: &Health,
    ) -> Result<DiskQueue, String> {
        let failed = |error: io::Error| format!("the queue in {} cannot be read: {error}", dir.display());
        if !recovery.is_clean() {
            crate::report::warn(&format!("{}: its queue {}: {recovery}", settings.id, dir.display()));
        }
        journal.show_as_queue(&format!("{}/{}", settings.id, settings.signal), health);
        let cursor = journal.cursor("sent", Hold::Keeps, Begin::Oldest);
        let (file, noted) = PlaceFile::open(disk, dir).map_err(failed)?;
        let last = last(&journal, journal.first()).map_err(failed)?;
        // A note of offsets that never were is one of another journal, which was taken away.
        let noted = noted.filter(|noted| noted.taken <= journal.head() && noted.settled >= cursor.position());
        let place = match noted {
            Some(noted) => noted,
            None => {
                let first = first(&journal, cursor.position()).map_err(failed)?;
                let through = first.map(|first| first.through - first.sum).or(last.as_ref().map(|last| last.through));
                let settled = cursor.position();
                Place { settled, taken: settled, through: through.unwrap_or_default() }
            }
        };
        // After a loss of power, the note may be older than what was sent.
        let is_unknown = noted.is_none() || recovery.new_epoch.is_some();
        let may_repeat = if is_unknown { (journal.head(), true) } else { (place.taken, false) };
        let through = last.map_or(place.through, |last| last.through);
        let (sender, unheard) = mpsc::unbounded_channel();
        let books = Books {
            id: settings.id.clone(),
            ledger: Mutex::new(Ledger::new(through, through - place.through)),
            in_trouble: AtomicBool::new(false),
            counts: Counts::new(&settings.id, &settings.signal, health),
        };
        let filled = Arc::new(Notify::new());
        let more = filled.clone();
        journal.watch(Box::new(move |_| more.notify_one()));
        cursor.advance(place.settled);
        Ok(DiskQueue {
            cursor,
            ack: settings.queue.ack.unwrap_or(DiskAck::Journal),
            bounds: settings.bounds(),
            books: Arc::new(books),
            reader: tokio::sync::Mutex::new(Reader::new(place, may_repeat)),
            sending: Mutex::new(Sending::new(place, file)),
            filled,
            emptied: Notify::new(),
            closed: AtomicBool::new(false),
            in_a_hurry: AtomicBool::new(false),
            unheard: Mutex::new(Some(sender)),
            listener: Mutex::new(Some(tokio::spawn(listen(unheard)))),
            journal,
        })
    }
}

/// The first that waits from an offset on.
fn first(journal: &Journal, from: u64) -> io::Result<Option<Waiting>> {
    let mut next = from;
    loop {
        let page = journal.read(next, Limit { records: 1, bytes: 1 })?;
        let is_end = page.next == next;
        next = page.next;
        let found = page.records.into_iter().find_map(Waiting::read);
        if found.is_some() || is_end {
            return Ok(found);
        }
    }
}

/// The last that was put in, not before an offset. It is looked for from the end, further and further away.
fn last(journal: &Journal, from: u64) -> io::Result<Option<Waiting>> {
    let head = journal.head();
    for back in 0..u64::BITS {
        let start = head.saturating_sub(1 << back).max(from);
        let (mut next, mut found) = (start, None);
        while next < head {
            let page = journal.read(next, Limit::default())?;
            next = page.next.max(next + 1);
            found = page.records.into_iter().filter_map(Waiting::read).last().or(found);
        }
        if found.is_some() || start == from {
            // Only sums are wanted of it, and it must not keep a page in memory.
            return Ok(found);
        }
    }
    Ok(None)
}
