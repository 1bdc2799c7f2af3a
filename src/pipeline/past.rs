//! The extension `journal`: events on disk, so that they and their offsets outlive the process.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::config::types::Span;
use crate::event::{Event, Filter, Source, SourceKind, Timestamp, read_events};
use crate::flow::{Record, SharedRecord};
use crate::health::Health;
use crate::hub::{Hub, Page, Past};
use crate::journal::{Ack, Entry, Journal, Limit, OpenError, Payload, Settings};

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

impl Default for Retention {
    fn default() -> Retention {
        Retention { days: 7, max_gib: 1.0 }
    }
}

impl JournalConfig {
    /// Checks what the types alone do not.
    pub fn validate(&self) -> Result<(), String> {
        let gib = self.retention.max_gib;
        if gib.is_finite() && (0.001..=1e6).contains(&gib) {
            return Ok(());
        }
        Err(format!("`retention.max_gib` is between 0.001 and 1000000, not {gib}"))
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

/// The records of events, as their JSON.
pub const EVENT: u8 = 1;

/// A hub whose events are in a journal as well, and which nobody else appends to.
pub fn hub(capacity: usize, journal: &Arc<Journal>) -> Arc<Hub> {
    let hub = Arc::new(Hub::with_past(capacity, Box::new(Events { journal: journal.clone() })));
    let of_writer = Arc::downgrade(&hub);
    journal.watch(Box::new(move |head| of_writer.upgrade().iter().for_each(|hub| hub.settled(head))));
    hub
}

/// The events of a journal.
struct Events {
    journal: Arc<Journal>,
}

/// An event's JSON, which is made when it is written, unless somebody needed it before.
struct Json(SharedRecord);

impl AsRef<[u8]> for Json {
    fn as_ref(&self) -> &[u8] {
        self.0.json().as_bytes()
    }
}

impl Past for Events {
    fn epoch(&self) -> String {
        self.journal.epoch()
    }

    fn take(&self, records: &[SharedRecord]) -> Range<u64> {
        let payload = |record: &SharedRecord| {
            let about = 512 + record.event().data.as_json().len();
            Payload::Later { source: Arc::new(Json(record.clone())), about }
        };
        let entries = records.iter().map(|record| Entry { kind: EVENT, payload: payload(record) });
        match self.journal.append(entries.collect(), Ack::Memory) {
            Ok(appended) => appended.offsets(),
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
        in_peace(|| read(&self.journal, offsets, limit, filter))
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

/// The event that a payload is.
pub fn event_of(payload: &[u8]) -> Option<Event> {
    let unknown = Source { kind: SourceKind::Bus, dialect: None, instance: None, service: None };
    let events = read_events(payload, &unknown, Timestamp::now());
    events.into_iter().next()?.ok()?.into_iter().next()
}

/// Lets other tasks of this thread be done by another while it waits for the disk.
fn in_peace<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
