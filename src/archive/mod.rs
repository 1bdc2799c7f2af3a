//! The archive: what the journal will delete one day, as Parquet on S3-compatible storage or in a directory.
//!
//! It follows the journal segment by segment, once nothing is added to them. What an object is called depends on the
//! journal and its offsets alone, and what is in it on its records, so that doing it again changes nothing: the cursor
//! moves on once an object is there, and whoever was killed before begins the same object anew.
//!
//! In reading order: `part` makes files of a segment, `row` and `columns` say what is in them, `store` puts them where
//! `config` says, and `outage` has the words for when it does not.

mod columns;
mod config;
mod outage;
mod part;
mod row;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blocking::off_worker;
use crate::config::types::Span;
use crate::content::Withholding;
use crate::export::retry;
use crate::health::{About, Count, DROPPED, Health};
use crate::journal::{Begin, Cursor, Hold, Journal};
use outage::Outage;
use part::{Finished, Part, Progress};
use store::Store;

pub use config::Config;

/// The cursor's name in the journal.
const CONSUMER: &str = "archive";

/// What follows a journal and archives it.
pub struct Archive {
    store: Store,
    url: String,
    /// Where files are made, before they go.
    directory: PathBuf,
    journal: Arc<Journal>,
    cursor: Cursor,
    withholding: Withholding,
    /// What is made, and not there yet.
    ready: Option<Ready>,
    counts: Counts,
    /// Records that were deleted before they were archived, as far as it was said.
    said_unread: u64,
}

/// Files that wait for the storage.
struct Ready {
    files: Vec<Finished>,
    /// Where the journal is to be read on.
    next: u64,
    unreadable: u64,
}

struct Counts {
    objects: Count,
    bytes: Count,
    events: Count,
    failures: Count,
    unreadable: Count,
    gone: Count,
}

/// What came of a step.
enum Step {
    Archived,
    /// There is no sealed segment that is not archived.
    Nothing,
}

impl Archive {
    /// How often it looks for a sealed segment.
    const LOOK: Duration = Duration::from_secs(1);

    /// Of what a configuration says. Nothing is connected yet.
    ///
    /// # Errors
    /// What cannot be, in words that show no secret.
    pub fn new(
        config: &Config,
        directory: PathBuf,
        journal: &Arc<Journal>,
        health: &Health,
    ) -> Result<Archive, String> {
        let store = Store::new(config)?;
        part::clear(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let cursor = journal.cursor(CONSUMER, Hold::Keeps, Begin::Oldest);
        let (url, journal) = (config.url.clone(), journal.clone());
        let withholding = Withholding::new(config.content(), CONSUMER, health);
        let counts = Counts::new(health, &cursor);
        Ok(Archive { store, url, directory, journal, cursor, withholding, ready: None, counts, said_unread: 0 })
    }

    /// Archives for as long as it is let.
    pub async fn run(mut self) {
        let mut outage = Outage::default();
        self.tell_of_gap();
        loop {
            match self.step().await {
                Ok(step) => {
                    if let Some(words) = outage.is_over(Instant::now()) {
                        crate::report::note(&format!("archive {}: {words}", self.url));
                    }
                    if matches!(step, Step::Nothing) {
                        tokio::time::sleep(Archive::LOOK).await;
                    }
                }
                Err(why) => {
                    self.counts.failures.add(1);
                    let delay = RETRY.delay(outage.attempts(), None);
                    if let Some(words) = outage.failed(&why, Instant::now()) {
                        crate::report::warn(&format!("archive {}: {words}", self.url));
                    }
                    tokio::time::sleep(delay).await;
                }
            }
            self.tell_of_unread();
        }
    }

    /// Makes files of the next sealed segment, or gets rid of those that are made.
    async fn step(&mut self) -> Result<Step, String> {
        if self.ready.is_none() {
            let Some(ready) = self.prepare().await? else { return Ok(Step::Nothing) };
            self.ready = Some(ready);
        }
        while let Some(file) = self.ready.as_ref().and_then(|ready| ready.files.last()) {
            if !file.path.exists() {
                let gone = format!("{} is gone; it is made again", file.path.display());
                self.ready = None;
                return Err(gone);
            }
            self.store.put(&file.name, &file.path).await?;
            self.counts.objects.add(1);
            self.counts.bytes.add(usize::try_from(file.bytes).unwrap_or_default());
            self.counts.events.add(usize::try_from(file.events).unwrap_or_default());
            self.ready.as_mut().map(|ready| ready.files.pop());
        }
        if let Some(ready) = self.ready.take() {
            self.counts.unreadable.add(usize::try_from(ready.unreadable).unwrap_or_default());
            self.cursor.advance(ready.next);
        }
        Ok(Step::Archived)
    }

    async fn prepare(&self) -> Result<Option<Ready>, String> {
        let from = self.cursor.position();
        let Some(sealed) = self.journal.sealed(from) else { return Ok(None) };
        let failed = |error| format!("{}: {error}", self.directory.display());
        let begin = || Part::begin(&self.directory, &sealed, from, self.withholding.clone());
        let mut part = off_worker(begin).map_err(failed)?;
        while off_worker(|| part.step(&self.journal))? == Progress::More {
            self.cursor.take(part.next());
            // Others are to get on, and whoever ends this need not wait for the whole.
            tokio::task::yield_now().await;
        }
        let (files, next, unreadable) = off_worker(|| part.finish())?;
        self.cursor.take(next);
        Ok(Some(Ready { files, next, unreadable }))
    }

    /// Says that there is less than there should be, where that happened before the start.
    fn tell_of_gap(&self) {
        let (position, first) = (self.cursor.position(), self.journal.first());
        if position < first {
            self.counts.gone.add(usize::try_from(first - position).unwrap_or_default());
            crate::report::error(&format!(
                "archive {}: offsets {position} to {first} are neither archived nor in the journal any more",
                self.url
            ));
            self.cursor.advance(first);
        }
    }

    /// Says that events are lost, as often as people can read.
    fn tell_of_unread(&mut self) {
        let unread = self.cursor.unread();
        if unread > self.said_unread {
            self.said_unread = unread;
            crate::report::error(&format!(
                "archive {}: {unread} events were deleted before they were archived, because the journal has no room for \
                 more (retention.max_gib)",
                self.url
            ));
        }
    }
}

/// Has a journal wait no longer for an archive that there is none of any more. Whether there was one.
pub fn forget(journal: &Journal) -> bool {
    journal.forget_cursor(CONSUMER)
}

const RETRY: retry::Config = retry::Config {
    enabled: true,
    initial_interval: Span(Duration::from_secs(1)),
    max_interval: Span(Duration::from_secs(30)),
    max_elapsed_time: None,
    multiplier: 2.0,
    randomization_factor: 0.3,
};

impl Counts {
    fn new(health: &Health, cursor: &Cursor) -> Counts {
        let unread = cursor.clone();
        let dropped = |reason| [("component", "archive"), ("reason", reason)];
        health.total(DROPPED, &dropped("unread"), move || unread.unread() as f64);
        Counts {
            objects: health.counter(OBJECTS, &[]),
            bytes: health.counter(BYTES, &[]),
            events: health.counter(EVENTS, &[]),
            failures: health.counter(FAILURES, &[]),
            unreadable: health.counter(DROPPED, &dropped("unreadable")),
            gone: health.counter(DROPPED, &dropped("journal_gap")),
        }
    }
}

const OBJECTS: About =
    About { name: "spanlight.archive.objects", unit: "{object}", help: "Objects that the storage has acknowledged." };
const BYTES: About = About {
    name: "spanlight.archive.written",
    unit: "By",
    help: "Bytes of objects that the storage has acknowledged.",
};
const EVENTS: About = About {
    name: "spanlight.archive.events",
    unit: "{event}",
    help: "Events in objects that the storage has acknowledged.",
};
const FAILURES: About = About {
    name: "spanlight.archive.failures",
    unit: "{attempt}",
    help: "Attempts to archive a segment that failed and are repeated.",
};
