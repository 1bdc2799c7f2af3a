//! History: events of a journal by what they say, in a SQLite file for each UTC day.
//!
//! The journal is the truth and comes first; a thread of ours reads it and enters events into the file of the day on which
//! they happened. What that thread has done can be done again: a file that is damaged or missing is made anew, as far back
//! as the journal reaches.
//!
//! In reading order: `day` is one file, `writer` fills them, `query` finds events in them, `runs` sums them up by run, and
//! `stored` is what an event is in the journal.

mod day;
mod files;
mod query;
mod runs;
mod stored;
mod writer;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::{Filter, Timestamp};
use crate::flow::SharedRecord;
use crate::health::{About, DROPPED, Health};
use crate::journal::Journal;

pub use runs::StoredRun;
pub use stored::{EVENT, event_of};

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
    /// The offset below which everything of the journal has been entered.
    position: AtomicU64,
    stopping: AtomicBool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
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
        std::fs::create_dir_all(&settings.directory)?;
        let begin = files::begin(&settings.directory, &journal)?;
        let shared = Arc::new(Shared {
            settings,
            journal,
            position: AtomicU64::new(begin),
            stopping: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let writer = writer::Writer::new(shared.clone());
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || writer.run())?;
        Ok(History { shared, writer: Mutex::new(Some(thread)) })
    }

    /// The offset below which everything of the journal can be found.
    pub fn position(&self) -> u64 {
        self.shared.position.load(Relaxed)
    }

    /// Events that fit within a range of offsets, oldest first, and how far was looked: not to the end if there are more
    /// than `limit`, or if it took longer than [`History::PATIENCE`].
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn read(&self, offsets: Range<u64>, limit: usize, filter: &Filter) -> Result<Found, String> {
        query::read(&self.shared.settings.directory, offsets, limit, filter, Instant::now() + History::PATIENCE)
    }

    /// The runs that began before a time, the latest first, as far as they are wanted.
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn runs(
        &self,
        before: (Timestamp, &str),
        limit: usize,
        is_wanted: impl Fn(&StoredRun) -> bool,
    ) -> Result<Vec<StoredRun>, String> {
        runs::list(&self.shared.settings.directory, before, limit, is_wanted, Instant::now() + History::PATIENCE)
    }

    /// One run.
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn run(&self, id: &str) -> Result<Option<StoredRun>, String> {
        runs::one(&self.shared.settings.directory, id)
    }

    /// Deletes days that are too old, or too much; how many. This is done every minute anyway.
    pub fn retain(&self, now: Timestamp) -> usize {
        files::retain(&self.shared.settings, now)
    }

    /// Shows among our own metrics what was done.
    pub fn show(&self, health: &Health) {
        let total = |about, labels: &[(&'static str, &str)], pick: fn(&Counts) -> &AtomicU64| {
            let shared = self.shared.clone();
            health.total(about, labels, move || pick(&shared.counts).load(Relaxed) as f64);
        };
        total(WRITTEN, &[], |counts| &counts.written);
        total(FAILURES, &[], |counts| &counts.failures);
        let dropped = |reason, pick| total(DROPPED, &[("component", "history"), ("reason", reason)], pick);
        dropped("too_old", |counts| &counts.too_old);
        dropped("in_the_future", |counts| &counts.too_new);
        dropped("unreadable", |counts| &counts.unreadable);
        dropped("journal_gap", |counts| &counts.gone);
    }

    /// Ends the thread; what it has not entered yet it will the next time.
    pub fn close(&self) {
        self.shared.stopping.store(true, Relaxed);
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            crate::report::error("history was not closed; it goes on where it was the next time");
        }
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

/// What is wrong with a file.
fn broken(path: &Path, error: &rusqlite::Error) -> String {
    format!("history {}: {error}", path.display())
}
