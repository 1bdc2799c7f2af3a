//! The journal: an append-only log in files, which gives records their offsets and keeps them for whoever comes later.
//!
//! A record is bytes and a kind; what they mean is its writer's and its readers' business. Whoever appends chooses when
//! that counts as done ([`Ack`]); whoever reads does so from an offset or a time on, page by page, and may have a
//! [`Cursor`] that remembers how far it has come. Opening succeeds whatever a crash has left, and says what it found
//! ([`Recovery`]).
//!
//! ```
//! use spanlight::journal::{Ack, Begin, Entry, Hold, Journal, Limit, Settings};
//!
//! let dir = tempfile::tempdir()?;
//! let (journal, recovery) = Journal::open(dir.path(), Settings::default())?;
//! assert!(recovery.is_clean());
//! let history = journal.cursor("history", Hold::Keeps, Begin::Oldest);
//! let entries = ["one", "two"].map(|text| Entry { kind: 1, payload: text.into() });
//! assert_eq!(journal.append(entries.into(), Ack::Journal)?.wait()?, 0..2);
//!
//! let page = history.read(Limit::default())?;
//! assert_eq!(page.records[1].payload, "two");
//! history.advance(page.next);
//! assert_eq!(history.lag(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: `format` is the format on disk, `scan` reads records over damage, `segment` is one file, `append`
//! the queue in front of the `writer`, `read` the readers' side, `cursor` and `state` what is remembered beside records,
//! `recovery` opens, `keeper` syncs and deletes, and `disk` is the file system, which tests replace.

mod append;
mod cursor;
pub mod disk;
mod format;
mod keeper;
mod read;
mod recovery;
mod scan;
mod segment;
mod shared;
mod show;
mod state;
mod writer;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::event::Timestamp;
use append::Queue;
use disk::{Disk, LocalDisk, Lock};
use shared::{Counts, Keeper, Progress, Shared};
use state::Status;
use writer::Writer;

pub use append::{Ack, Appended, Entry, Payload, Payloads, Refused};
pub use cursor::{Begin, Hold};
pub use read::{Limit, Page};
pub use recovery::{OpenError, Recovery};
pub use scan::Record;
pub use segment::Sealed;
pub use shared::Watcher;

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The size at which another segment is begun, in bytes; at most 512 MiB, and an eighth of `max_bytes`.
    pub segment_bytes: u64,
    /// The age at which another segment is begun.
    pub segment_age: Duration,
    /// What all segments together may take, in bytes.
    pub max_bytes: u64,
    /// The age at which segments are deleted.
    pub max_age: Option<Duration>,
    /// Whether segments are deleted once all who keep records have read them, as in a queue.
    pub delete_read: bool,
    /// What happens when the disk is full, or `max_bytes` is reached and what is there is not read yet.
    pub when_full: WhenFull,
    /// The most entries that wait for the writer.
    pub queue_entries: usize,
    /// The most bytes that wait for the writer.
    pub queue_bytes: usize,
    /// What a loss of power costs at most, where nobody waits for [`Ack::Durable`].
    pub sync_every: Duration,
}

/// What happens when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Appends are refused until there is.
    Refuse,
    /// The oldest records make room, read or not; they are counted.
    DropOldest,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(3600),
            max_bytes: 1 << 30,
            max_age: None,
            delete_read: false,
            when_full: WhenFull::DropOldest,
            queue_entries: 100_000,
            queue_bytes: 64 << 20,
            sync_every: Duration::from_secs(1),
        }
    }
}

impl Settings {
    fn within_bounds(mut self) -> Settings {
        self.max_bytes = self.max_bytes.max(8 << 10);
        self.segment_bytes = self.segment_bytes.min(512 << 20).min(self.max_bytes / 8).max(1 << 10);
        self
    }
}

/// An open journal. Dropping it closes it, and takes as long as that takes.
pub struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Held until everything is closed.
    _lock: Option<Lock>,
}

/// A consumer's place in a journal, which is remembered under its name.
#[derive(Clone)]
pub struct Cursor {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl Journal {
    /// Opens the journal of a directory, which is made if it is missing. No other process may have it open.
    pub fn open(dir: &Path, settings: Settings) -> Result<(Journal, Recovery), OpenError> {
        LocalDisk.make_dir(dir).map_err(|error| OpenError::Directory { path: dir.to_owned(), error })?;
        let lock = Lock::take(dir).map_err(|unlocked| OpenError::unlocked(dir, unlocked))?;
        Journal::start(Arc::new(LocalDisk), dir, settings, Some(lock))
    }

    /// Opens a journal on another file system, where nothing but the caller keeps a second one from the directory.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, settings: Settings) -> Result<(Journal, Recovery), OpenError> {
        Journal::start(disk, dir, settings, None)
    }

    fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        lock: Option<Lock>,
    ) -> Result<(Journal, Recovery), OpenError> {
        let settings = settings.within_bounds();
        let recovered = recovery::recover(&*disk, dir, &settings)?;
        let mut report = recovered.report;
        let next = recovered.next;
        let progress = Progress { head: next, active: recovered.active, ..Progress::default() };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            epoch: recovered.epoch,
            boot: disk.boot(),
            queue: Queue::new(next, recovered.last, settings.queue_entries, settings.queue_bytes),
            disk,
            settings,
            progress: Mutex::new(progress),
            moved: Condvar::new(),
            keeper: Mutex::new(Keeper::default()),
            wake_keeper: Condvar::new(),
            segments: RwLock::new(recovered.segments),
            cursors: Mutex::new(recovered.cursors),
            saving: Mutex::default(),
            watchers: RwLock::default(),
            counts: Counts::default(),
            failing: AtomicBool::new(false),
            shown: OnceLock::new(),
        });
        shared.counts.gaps.store(report.missing, Relaxed);
        if let Err(error) = shared.write_state(Status::Open) {
            report.problems.push(format!("the file `state` cannot be written: {error}"));
        }
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            spawned.map_err(|error| OpenError::Directory { path: dir.to_owned(), error })
        };
        let (of_writer, of_keeper) = (Writer::new(shared.clone()), shared.clone());
        let writer = spawn("journal-writer", Box::new(move || of_writer.run()))?;
        let keeper = spawn("journal-keeper", Box::new(move || keeper::run(&of_keeper)))?;
        let (writer, keeper) = (Mutex::new(Some(writer)), Mutex::new(Some(keeper)));
        Ok((Journal { shared, writer, keeper, _lock: lock }, report))
    }

    /// Tells these offsets from others of the same numbers. It changes when offsets that were handed out may have been
    /// lost.
    pub fn epoch(&self) -> String {
        self.shared.epoch.simple().to_string()
    }

    /// Appends entries, all or none, and does not wait: what is returned can be waited for or awaited.
    ///
    /// Entries that were appended with [`Ack::Memory`] and cannot be written are dropped, and counted.
    pub fn append(&self, entries: Vec<Entry>, ack: Ack) -> Result<Appended, Refused> {
        let count = entries.len();
        let ack = if entries.is_empty() { Ack::Memory } else { ack };
        let appended = self.shared.queue.push(entries, ack, Timestamp::now());
        appended.inspect_err(|why| self.shared.counts.refused(why, count))
    }

    /// Hands out offsets for what was refused and is told to others all the same; they are a gap to readers.
    pub fn skip(&self, count: usize) -> Range<u64> {
        self.shared.queue.skip(count, Timestamp::now())
    }

    /// A page of records, from an offset on. Errors are those of the file system; what is damaged or gone is no error but
    /// a gap.
    pub fn read(&self, from: u64, limit: Limit) -> io::Result<Page> {
        self.shared.read(from, limit)
    }

    /// The offset of the first record that was appended at a time or later; the head if there is none.
    pub fn offset_at(&self, time: Timestamp) -> io::Result<u64> {
        self.shared.offset_at(time)
    }

    /// The offset behind the last that is settled: written, or refused. What is below it can be read.
    pub fn head(&self) -> u64 {
        self.shared.progress().head
    }

    /// The offset of the oldest record; the head if there is none.
    pub fn first(&self) -> u64 {
        self.shared.first()
    }

    /// The first segment that nothing is added to any more and that has records from an offset on, if there is one.
    pub fn sealed(&self, from: u64) -> Option<Sealed> {
        self.shared.sealed(from)
    }

    /// Whether there is room for at least a segment more. Without [`WhenFull::Refuse`] there always will be.
    pub fn has_room(&self) -> bool {
        let settings = &self.shared.settings;
        self.shared.size() + 2 * settings.segment_bytes <= settings.max_bytes
    }

    /// Waits until the head is past an offset, or for this long; the head.
    pub fn wait_past(&self, offset: u64, most: Duration) -> u64 {
        let progress = self.shared.progress();
        let waits = |progress: &mut Progress| progress.head <= offset;
        let (progress, _) =
            self.shared.moved.wait_timeout_while(progress, most, waits).unwrap_or_else(PoisonError::into_inner);
        progress.head
    }

    /// Has a function called with the head whenever that has moved. The writer calls it, so it must not wait.
    pub fn watch(&self, watcher: Watcher) {
        self.shared.watchers.write().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }

    /// A consumer's cursor. One that is known goes on where it was; where a new one begins is said by `begin`.
    ///
    /// Names are of one line. Positions are saved within a second, so a consumer may get again, after a crash, what it
    /// consumed within the last one. That a consumer keeps records is saved at once.
    pub fn cursor(&self, name: &str, hold: Hold, begin: Begin) -> Cursor {
        let name = name.replace(['\n', '\r'], " ");
        let begin = match begin {
            Begin::Oldest => self.first(),
            Begin::Head => self.head(),
        };
        if self.shared.cursors().enter(&name, hold, begin) {
            self.show_lag(&name);
        }
        // What is deleted while nobody knows that it is waited for would not be missed after a crash. A disk that fails is
        // asked again by the keeper.
        if hold == Hold::Keeps && self.shared.save_cursors().is_err() {
            self.shared.counts.failures.fetch_add(1, Relaxed);
        }
        Cursor { shared: self.shared.clone(), name: name.into() }
    }

    /// Forgets a consumer, and keeps nothing for it any more. Whether it was known.
    pub fn forget_cursor(&self, name: &str) -> bool {
        self.shared.cursors().forget(name)
    }

    /// Writes what is queued, syncs, and notes that everything is there. Appends are refused from then on.
    pub fn close(&self) {
        let end = |thread: &Mutex<Option<JoinHandle<()>>>| {
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            thread.map(|thread| thread.join().is_ok())
        };
        self.shared.queue.close();
        let wrote_all = end(&self.writer);
        self.shared.keeper().closed = true;
        self.shared.wake_keeper.notify_one();
        let kept_all = end(&self.keeper);
        if wrote_all.is_none() {
            return;
        }
        self.shared.sync();
        // What cannot be saved begins a little earlier the next time.
        self.shared.save_cursors().unwrap_or_default();
        if wrote_all == Some(true) && kept_all == Some(true) {
            // Otherwise it counts as open, and what that means is found out at the next start.
            self.shared.write_state(Status::Closed).unwrap_or_default();
        }
    }

    /// Deletes segments that are too old or too many at a time; how many. This is done every second anyway.
    pub fn retain(&self, now: Timestamp) -> usize {
        self.shared.retain(now)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.shared.dir).field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Cursor {
    /// The first offset that was not consumed.
    pub fn position(&self) -> u64 {
        self.shared.cursors().position(&self.name).unwrap_or(0)
    }

    /// The next records. Reading moves nothing: [`Cursor::advance`] does, once they were dealt with.
    pub fn read(&self, limit: Limit) -> io::Result<Page> {
        self.shared.read(self.position(), limit)
    }

    /// Everything below an offset was dealt with. A cursor never goes back.
    pub fn advance(&self, to: u64) {
        self.shared.cursors().advance(&self.name, to);
    }

    /// Everything below an offset is in hand: were it deleted now, nothing would be lost. After a restart it is not, so
    /// the records are held until [`Cursor::advance`].
    pub fn take(&self, to: u64) {
        self.shared.cursors().take(&self.name, to);
    }

    /// How many records were deleted, since the journal was opened, before this consumer had them.
    pub fn unread(&self) -> u64 {
        self.shared.cursors().unread(&self.name)
    }

    /// Saves all cursors now, and returns once that is durable.
    pub fn save(&self) -> io::Result<()> {
        self.shared.save_cursors()
    }

    /// How many offsets are settled and not consumed.
    pub fn lag(&self) -> u64 {
        self.shared.progress().head.saturating_sub(self.position())
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("name", &self.name).field("position", &self.position()).finish_non_exhaustive()
    }
}
