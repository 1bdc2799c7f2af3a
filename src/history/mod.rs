//! History: events of a journal by what they say, in a SQLite file for each UTC day.
//!
//! The journal is the truth and comes first; a thread of ours follows it and enters events into the file of the day on which
//! they happened. What that thread has done can be done again: a file that is damaged or missing is made anew, as far back
//! as the journal reaches.
//!
//! In reading order: `page` is some events, `day` is one file of pages, `writer` fills them, `at_hand` has what is next while it is in memory, `readers` has the connections of those who ask, `query` finds
//! events in them, `runs` sums them up by run, `mentions` tells which runs mention a text, and `stored` is what an event is in
//! the journal.

mod at_hand;
mod day;
mod files;
mod members;
mod mentions;
mod page;
mod query;
mod readers;
mod runs;
mod stored;
mod vocabulary;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::event::{Event, EventId, Filter, Timestamp};
use crate::flow::SharedRecord;
use crate::health::{About, DROPPED, Health};
use crate::journal::Journal;
use at_hand::AtHand;
use readers::Readers;

pub use mentions::Mentions;
pub use runs::{Began, Listed, StoredRun};
pub use stored::{EVENT, Text, event_of};

/// How long history is kept, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the files.
    pub directory: PathBuf,
    /// Days that are older are deleted; 0 deletes none.
    pub days: u32,
    /// The oldest days are deleted while all together take more bytes.
    pub max_bytes: u64,
}

/// Events that were found.
#[derive(Debug, Default)]
pub struct Found {
    /// The events with their offsets, oldest first.
    pub events: Vec<(u64, SharedRecord)>,
    /// Where to go on.
    pub next: u64,
}

/// The index, and the thread that writes it.
pub struct History {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    settings: Settings,
    journal: Arc<Journal>,
    /// What the journal was given lately.
    at_hand: AtHand,
    readers: Readers,
    /// Days whose files were found to be damaged, and how that shows.
    damaged: Mutex<BTreeMap<String, String>>,
    /// The offset below which everything of the journal has been entered.
    position: AtomicU64,
    stopping: AtomicBool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    /// Late events that were there already.
    known: AtomicU64,
    /// Files that were damaged or missing.
    damaged: AtomicU64,
    failures: AtomicU64,
    too_old: AtomicU64,
    too_new: AtomicU64,
    unreadable: AtomicU64,
    gone: AtomicU64,
}

impl History {
    /// How long a query may take.
    pub const PATIENCE: Duration = Duration::from_secs(2);

    /// Opens the files of a directory, which is made if it is missing, and begins to follow a journal. What was found
    /// wrong with them is said and put right.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(settings: Settings, journal: Arc<Journal>) -> io::Result<History> {
        files::make(&settings.directory)?;
        let begun = files::begin(&settings.directory, &journal)?;
        let shared = Arc::new(Shared {
            readers: Readers::new(&settings.directory),
            settings,
            journal,
            at_hand: AtHand::default(),
            damaged: Mutex::default(),
            position: AtomicU64::new(begun.position),
            stopping: AtomicBool::new(false),
            counts: Counts { damaged: AtomicU64::new(begun.damaged), ..Counts::default() },
        });
        let writer = writer::Writer::new(shared.clone());
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || writer.run())?;
        Ok(History { shared, writer: Mutex::new(Some(thread)) })
    }

    /// Tells of events that were appended to the journal, so that they need not be read there once they are written. Of what
    /// is not told of nothing is lost.
    pub fn appended(&self, offsets: Range<u64>, records: &[SharedRecord]) {
        self.shared.at_hand.keep(offsets, records, Timestamp::now());
    }

    /// The offset below which everything of the journal can be found.
    pub fn position(&self) -> u64 {
        self.shared.position.load(Relaxed)
    }

    /// Events that fit within a range of offsets, oldest first, and how far was looked: not to the end if there are more
    /// than `limit`, or if it took longer than [`History::PATIENCE`], but always some way.
    ///
    /// # Errors
    /// A file cannot be read; which, and why. If it is damaged, it is made anew.
    pub fn read(&self, offsets: Range<u64>, limit: usize, filter: &Filter) -> Result<Found, String> {
        query::read(&self.shared, offsets, limit, filter, Instant::now() + History::PATIENCE)
    }

    /// The runs that began within some time, the latest first: of those whose ids are asked for as many as are wanted, as far
    /// as there is time, but always some way.
    ///
    /// # Errors
    /// A file cannot be read, which and why; or what `is_wanted` says.
    pub fn runs(
        &self,
        began: Began<'_>,
        limit: usize,
        is_asked_for: impl Fn(&str) -> bool,
        is_wanted: impl FnMut(&StoredRun) -> Result<bool, String>,
        deadline: Instant,
    ) -> Result<Listed, String> {
        runs::list(&self.shared, began, limit, (is_asked_for, is_wanted), deadline)
    }

    /// Which runs have an event that fits a filter of text.
    ///
    /// # Errors
    /// The directory cannot be read; which, and why.
    pub fn mentions(&self, filter: Filter) -> Result<Mentions<'_>, String> {
        Mentions::of(&self.shared, filter)
    }

    /// One run.
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn run(&self, id: &str) -> Result<Option<StoredRun>, String> {
        runs::one(&self.shared, id)
    }

    /// Which of these events are there already.
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn known(&self, events: &[Event]) -> Result<HashSet<EventId>, String> {
        let mut by_day: HashMap<String, HashMap<EventId, Timestamp>> = HashMap::new();
        for event in events {
            by_day.entry(event.timestamp.date()).or_default().insert(event.event_id, event.timestamp);
        }
        let mut known = HashSet::new();
        for (day, wanted) in by_day {
            known.extend(self.shared.read_day(&day, |connection| day::has(connection, &wanted))?.unwrap_or_default());
        }
        Ok(known)
    }

    /// Deletes days that are too old, or too much; how many. This is done every minute anyway.
    pub fn retain(&self, now: Timestamp) -> usize {
        let deleted = files::retain(&self.shared.settings, now);
        self.shared.readers.forget();
        deleted
    }

    /// Shows among our own metrics what was done.
    pub fn show(&self, health: &Health) {
        let total = |about, labels: &[(&'static str, &str)], pick: fn(&Counts) -> &AtomicU64| {
            let shared = self.shared.clone();
            health.total(about, labels, move || pick(&shared.counts).load(Relaxed) as f64);
        };
        total(WRITTEN, &[], |counts| &counts.written);
        total(FAILURES, &[], |counts| &counts.failures);
        total(DAMAGED, &[], |counts| &counts.damaged);
        let dropped = |reason, pick| total(DROPPED, &[("component", "history"), ("reason", reason)], pick);
        dropped("duplicate_event", |counts| &counts.known);
        dropped("too_old", |counts| &counts.too_old);
        dropped("in_the_future", |counts| &counts.too_new);
        dropped("unreadable", |counts| &counts.unreadable);
        dropped("journal_gap", |counts| &counts.gone);
    }

    /// Ends the thread; what it has not entered yet it will the next time.
    pub fn close(&self) {
        self.shared.stopping.store(true, Relaxed);
        // Whoever closes a file last puts its log into it, which those who only read cannot.
        self.shared.readers.forget();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            crate::report::error("history was not closed; it goes on where it was the next time");
        }
    }
}

impl Shared {
    /// Reads a day's file; nothing if there is none. One that turns out to be damaged is made anew.
    fn read_day<T>(
        &self,
        day: &str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, String> {
        self.readers.read(day, read).map_err(|(error, generation)| {
            if is_damage(&error) {
                self.is_damaged(day, &error, generation);
            }
            broken(&files::path(&self.settings.directory, day), &error)
        })
    }

    /// A file is damaged, unless it is the one that was taken away since it was read.
    fn is_damaged(&self, day: &str, error: &rusqlite::Error, generation: u64) {
        let mut damaged = self.damaged();
        if self.readers.generation() == generation {
            damaged.entry(day.to_owned()).or_insert_with(|| error.to_string());
        }
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The days of which there are files, within some time, the oldest first.
    fn days_within(&self, times: (Option<Timestamp>, Option<Timestamp>)) -> Result<Vec<String>, String> {
        let directory = &self.settings.directory;
        let files = files::all(directory).map_err(|error| format!("history {}: {error}", directory.display()))?;
        Ok(files.into_iter().map(|(day, _)| day).filter(is_within(times)).collect())
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("position", &self.position()).finish_non_exhaustive()
    }
}

const WRITTEN: About =
    About { name: "spanlight.history.written", unit: "{event}", help: "Events entered into the files of history." };
const FAILURES: About =
    About { name: "spanlight.history.failures", unit: "{attempt}", help: "Attempts to write history that failed." };
const DAMAGED: About = About {
    name: "spanlight.history.damaged",
    unit: "{file}",
    help: "Files of history that were damaged or missing, and were made anew from the journal as far as that reaches.",
};

/// Whether a day has any of the time between two times.
fn is_within((since, until): (Option<Timestamp>, Option<Timestamp>)) -> impl Fn(&String) -> bool {
    let (since, until) = (since.map(Timestamp::date), until.map(Timestamp::date));
    move |day| since.as_ref().is_none_or(|since| day >= since) && until.as_ref().is_none_or(|until| day <= until)
}

/// Whether a file is of no use any more, and not only busy or out of reach.
fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    // What is missing of a file that was cut off cannot be read either, and one without its tables is another.
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, rusqlite::Error::SqliteFailure(_, Some(message)) if message.contains("no such table"))
        || matches!(error, rusqlite::Error::SqlInputError { msg, .. } if msg.contains("no such table"))
}

/// What is wrong with a file.
fn broken(path: &Path, error: &rusqlite::Error) -> String {
    format!("history {}: {error}", path.display())
}

#[cfg(test)]
mod tests;
