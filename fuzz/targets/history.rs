//! Questions to history: no text makes SQL fail, and what is found is what fits, as a look at each event tells.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use spanlight::event::{Event, Filter, Source, SourceKind, Timestamp, read_events};
use spanlight::history::{EVENT, History, Settings};
use spanlight::journal::{Ack, Entry, Journal, Settings as JournalSettings};
use tempfile::TempDir;

const EVENTS: &str = include_str!("../seeds/history.ndjson");

struct Kept {
    _dir: TempDir,
    journal: Arc<Journal>,
    history: History,
    events: Vec<Event>,
}

static KEPT: LazyLock<Kept> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalSettings::default()).expect("a journal");
    let journal = Arc::new(journal);
    let settings = Settings { directory: dir.path().join("history"), days: 0, max_bytes: 1 << 30 };
    let history = History::open(settings, journal.clone()).expect("a history");
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let read = read_events(EVENTS.as_bytes(), &source, Timestamp::from_unix_seconds(1.7e9));
    let events: Vec<Event> = read.into_iter().flat_map(|read| read.expect("an event")).collect();
    let entry = |event: &Event| Entry { kind: EVENT, payload: event.to_json().into() };
    let offsets = journal.append(events.iter().map(entry).collect(), Ack::Journal).expect("room");
    offsets.wait().expect("written");
    while history.position() < journal.head() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Words are entered a little later than events; both ways of finding have to say the same.
    std::thread::sleep(Duration::from_secs(3));
    Kept { _dir: dir, journal, history, events }
});

/// The first line is a text to look for, others are `FIELD=VALUE`.
fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let mut pairs: Vec<(&str, &str)> = lines.next().map(|words| ("q", words)).into_iter().collect();
    pairs.extend(lines.filter_map(|line| line.split_once('=')));
    let now = Timestamp::from_unix_seconds(1.7e9);
    let Ok(filter) = Filter::from_pairs(pairs, now) else { return };
    let found = KEPT.history.read(0..KEPT.journal.head(), 1000, &filter).expect("no question makes SQL fail");
    let found: Vec<u64> = found.events.iter().map(|(offset, _)| *offset).collect();
    let fits = KEPT.events.iter().enumerate().filter(|(_, event)| filter.matches(event));
    let fits: Vec<u64> = fits.map(|(offset, _)| offset as u64).collect();
    assert_eq!(found, fits, "{text:?}");
    KEPT.history.runs_with(&filter).expect("no question makes SQL fail");
});
