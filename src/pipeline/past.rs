//! The extension `journal`: events on disk, so that they and their offsets outlive the process.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::blocking::off_worker;
use crate::config::types::Span;
use crate::event::Filter;
use crate::flow::{Record, SharedRecord};
use crate::health::Health;
use crate::history::{self, EVENT, History, event_of};
use crate::hub::{Hub, Page, Past};
use crate::journal::{Ack, Entry, Journal, Limit, OpenError, Payload, Payloads, Settings};

/// Where events are kept, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// The directory; a relative path is below the data directory.
    pub directory: PathBuf,
    /// For how long.
    pub retention: Retention,
    /// How much a loss of power costs at most.
    pub sync_interval: Span,
}

/// What is deleted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// What is older than this many days; 0 is never.
    pub days: u32,
    /// The oldest, when there is more than this many GiB.
    pub max_gib: f64,
}

impl Default for JournalConfig {
    fn default() -> JournalConfig {
        let sync_interval = Span(Duration::from_secs(1));
        JournalConfig { directory: "journal".into(), retention: Retention::default(), sync_interval }
    }
}

/// The exporter `history`: what the journal holds, in files in which it can be found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// The directory; a relative path is below the data directory.
    pub directory: PathBuf,
    /// For how long.
    pub retention: HistoryRetention,
}

/// What is deleted of history, in whole days.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryRetention {
    /// What is older than this many days; 0 is never.
    pub days: u32,
    /// The oldest, when there is more than this many GiB.
    pub max_gib: f64,
}

impl Default for HistoryConfig {
    fn default() -> HistoryConfig {
        HistoryConfig { directory: "history".into(), retention: HistoryRetention::default() }
    }
}

impl Default for HistoryRetention {
    fn default() -> HistoryRetention {
        HistoryRetention { days: 30, max_gib: 5.0 }
    }
}

impl HistoryConfig {
    /// Checks what the types alone do not.
    pub fn validate(&self) -> Result<(), String> {
        check_gib(self.retention.max_gib)
    }

    /// Opens the index of a journal's events. What was found wrong is said; it opens all the same.
    pub fn open(&self, data_dir: &Path, journal: &Arc<Journal>, health: &Health) -> Result<Arc<History>, String> {
        let settings = history::Settings {
            directory: data_dir.join(&self.directory),
            days: self.retention.days,
            max_bytes: (self.retention.max_gib * f64::from(1 << 30)) as u64,
        };
        let failed = |error| format!("{}: {error}", data_dir.join(&self.directory).display());
        let history = History::open(settings, journal.clone()).map_err(failed)?;
        history.show(health);
        Ok(Arc::new(history))
    }
}

fn check_gib(gib: f64) -> Result<(), String> {
    if gib.is_finite() && (0.001..=1e6).contains(&gib) {
        return Ok(());
    }
    Err(format!("`retention.max_gib` is between 0.001 and 1000000, not {gib}"))
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { days: 7, max_gib: 1.0 }
    }
}

impl JournalConfig {
    /// Checks what the types alone do not.
    pub fn validate(&self) -> Result<(), String> {
        check_gib(self.retention.max_gib)
    }

    /// Opens the journal. What was found wrong is said; it opens all the same.
    pub fn open(&self, data_dir: &Path, health: &Health) -> Result<Arc<Journal>, OpenError> {
        let days = self.retention.days;
        let settings = Settings {
            max_bytes: (self.retention.max_gib * f64::from(1 << 30)) as u64,
            max_age: (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400)),
            sync_every: self.sync_interval.0,
            ..Settings::default()
        };
        let directory = data_dir.join(&self.directory);
        let (journal, recovery) = Journal::open(&directory, settings)?;
        if !recovery.is_clean() {
            crate::report::warn(&format!("journal {}: {recovery}", directory.display()));
        }
        journal.show("journal", health);
        Ok(Arc::new(journal))
    }
}

/// A hub whose events are in a journal as well, if there is one, and which nobody else appends to.
pub fn hub(capacity: usize, journal: Option<&Arc<Journal>>, history: Option<Arc<History>>) -> Arc<Hub> {
    let Some(journal) = journal else { return Arc::new(Hub::new(capacity)) };
    let hub = Arc::new(Hub::with_past(capacity, Box::new(Events { journal: journal.clone(), history })));
    let of_writer = Arc::downgrade(&hub);
    journal.watch(Box::new(move |head| of_writer.upgrade().iter().for_each(|hub| hub.settled(head))));
    hub
}

/// The events of a journal, which history finds without reading all of them.
struct Events {
    journal: Arc<Journal>,
    history: Option<Arc<History>>,
}

/// The JSON of some events, which is made when the first is written, that of all at once.
struct Jsons(Box<[SharedRecord]>);

impl Payloads for Jsons {
    fn payload(&self, at: usize) -> &[u8] {
        if !self.0[at].has_json() {
            Record::have_json(&self.0[at..]);
        }
        self.0[at].json().as_bytes()
    }
}

impl Past for Events {
    fn epoch(&self) -> String {
        self.journal.epoch()
    }

    fn take(&self, records: &[SharedRecord]) -> Range<u64> {
        let source: Arc<dyn Payloads> = Arc::new(Jsons(records.into()));
        let payload = |(at, record): (usize, &SharedRecord)| {
            let about = 512 + record.event().data.as_json().len();
            Payload::Later { source: source.clone(), at, about }
        };
        let entries = records.iter().enumerate().map(|record| Entry { kind: EVENT, payload: payload(record) });
        match self.journal.append(entries.collect(), Ack::Memory) {
            Ok(appended) => {
                let offsets = appended.offsets();
                self.history.iter().for_each(|history| history.appended(offsets.clone(), records));
                offsets
            }
            Err(why) => {
                // Who listens gets them all the same; the journal has counted them.
                crate::report::error(&format!("events are not kept: {why}"));
                self.journal.skip(records.len())
            }
        }
    }

    fn head(&self) -> u64 {
        self.journal.head()
    }

    fn read(&self, offsets: Range<u64>, limit: usize, filter: &Filter) -> Page {
        off_worker(|| {
            let of_journal = offsets.start >= self.journal.first();
            match self.history.as_ref().filter(|history| offsets.start < history.position()) {
                // A page of everything is at hand in the journal, and only there if it is of now.
                Some(history) if !filter.is_empty() || !of_journal => {
                    let found = found(history, offsets.clone(), limit, filter);
                    // A file that cannot be read is made anew, and the journal has what can be had meanwhile.
                    found.unwrap_or_else(|| read(&self.journal, offsets, limit, filter))
                }
                _ => read(&self.journal, offsets, limit, filter),
            }
        })
    }
}

/// What history has of a range, as far as it has come; nothing if it cannot be read.
fn found(history: &History, offsets: Range<u64>, limit: usize, filter: &Filter) -> Option<Page> {
    let end = offsets.end.min(history.position());
    match history.read(offsets.start..end, limit, filter) {
        // A file was taken away meanwhile, and what was in it may be missing.
        Ok(_) if history.position() < end => None,
        Ok(found) => Some(Page { events: found.events, next: found.next, ..Page::default() }),
        Err(message) => {
            crate::report::error(&message);
            None
        }
    }
}

fn read(journal: &Journal, offsets: Range<u64>, limit: usize, filter: &Filter) -> Page {
    const AT_ONCE: Limit = Limit { records: 1000, bytes: 1 << 20 };
    let mut page = Page { next: offsets.start, ..Page::default() };
    let read = match journal.read(offsets.start, AT_ONCE) {
        Ok(read) => read,
        Err(error) => {
            // It is said and passed over: whoever waited for this disk would wait in vain for what is in memory, too.
            crate::report::error(&format!("the journal cannot be read: {error}"));
            return Page { next: offsets.end, gap: Some((offsets.start, offsets.end)), ..page };
        }
    };
    page.gap = read.gap.map(|(from, to)| (from, to.min(offsets.end)));
    for record in read.records {
        if record.offset >= offsets.end || page.events.len() == limit {
            page.next = record.offset.min(offsets.end);
            return page;
        }
        page.next = record.offset + 1;
        let event = (record.kind == EVENT).then(|| event_of(&record.payload)).flatten();
        if let Some(event) = event.filter(|event| filter.matches(event)) {
            page.events.push((record.offset, Arc::new(Record::of_json(event, &record.payload))));
        }
    }
    page.next = read.next.min(offsets.end);
    page
}
