//! Finding events: what a filter says in SQL, across the files of days, in the order of offsets.
//!
//! What has to be gone through is gone through window by window, so that an answer has come further however little fits.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use memchr::memmem;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::day::{self, BLOCK};
use super::stored::event_of;
use super::{Found, Shared};
use crate::event::{Filter, words};
use crate::flow::{Record, SharedRecord};

/// How the events that can fit are found.
#[derive(Clone, Debug)]
enum Way {
    /// By the index of runs.
    OfRun,
    /// By the index of words.
    ByWords(String),
    /// By looking at all.
    Through,
}

/// Offsets to look at, in which days, and how.
struct Window {
    offsets: Range<u64>,
    days: Vec<String>,
    way: Way,
}

/// Events that fit, oldest first, until there are enough or the time is up.
pub fn read(
    shared: &Shared,
    offsets: Range<u64>,
    limit: usize,
    filter: &Filter,
    deadline: Instant,
) -> Result<Found, String> {
    let days = shared.days_within(filter.times())?;
    let mut found = Found { next: offsets.start, ..Found::default() };
    while found.next < offsets.end && found.events.len() < limit {
        let Some(window) = next_window(shared, &days, found.next..offsets.end, filter)? else {
            found.next = offsets.end;
            break;
        };
        let room = limit - found.events.len();
        let mut looked_to = window.offsets.end;
        let mut events = Vec::new();
        for day in &window.days {
            let within = window.offsets.start..looked_to;
            let look = |connection: &Connection| look_in(connection, within, &window.way, room, filter, deadline);
            let Some((more, to)) = shared.read_day(day, look)? else { continue };
            looked_to = looked_to.min(to);
            events.extend(more);
        }
        events.retain(|(offset, _)| *offset < looked_to);
        events.sort_by_key(|(offset, _)| *offset);
        if events.len() >= room {
            events.truncate(room);
            looked_to = events.last().map_or(looked_to, |(last, _)| last + 1);
        }
        found.events.extend(events);
        found.next = looked_to;
        if Instant::now() > deadline {
            break;
        }
    }
    Ok(found)
}

/// The next offsets to look at; none if there is nothing any more.
fn next_window(
    shared: &Shared,
    days: &[String],
    offsets: Range<u64>,
    filter: &Filter,
) -> Result<Option<Window>, String> {
    /// Blocks that are gone through at once: some ten milliseconds.
    const AT_ONCE: u64 = 16;
    if filter.exact().iter().any(|(column, _)| *column == "execution") {
        return Ok(Some(Window { offsets, days: days.to_vec(), way: Way::OfRun }));
    }
    let query = words_of(filter);
    let (mut begins, mut indexed_to) = (Vec::new(), u64::MAX);
    for day in days {
        let look = |connection: &Connection| {
            let block = first_block(connection, offsets.start / BLOCK, filter)?;
            let has_words = query.is_some() && block.is_some();
            Ok((block, if has_words { indexed(connection)? } else { u64::MAX }))
        };
        let Some((block, to)) = shared.read_day(day, look)? else { continue };
        let Some(begin) = block.map(|block| offsets.start.max(block * BLOCK)) else { continue };
        // Where a day has nothing, nothing of it is missing in the index.
        indexed_to = indexed_to.min(to.max(begin));
        begins.push((day, begin));
    }
    let Some(start) = begins.iter().map(|(_, begin)| *begin).min() else { return Ok(None) };
    if start >= offsets.end {
        return Ok(None);
    }
    let (end, way) = match query {
        Some(query) if start < indexed_to => (indexed_to, Way::ByWords(query)),
        _ => ((start / BLOCK + AT_ONCE) * BLOCK, Way::Through),
    };
    let offsets = start..end.min(offsets.end);
    let days = begins.into_iter().filter(|(_, begin)| *begin < offsets.end).map(|(day, _)| day.clone()).collect();
    Ok(Some(Window { offsets, days, way }))
}

/// The first block from one on in which something happened when it is wanted.
fn first_block(connection: &Connection, from: u64, filter: &Filter) -> rusqlite::Result<Option<u64>> {
    let (since, until) = filter.times();
    let mut statement = connection.prepare_cached(
        "SELECT block FROM blocks WHERE block >= ?1 AND last >= ?2 AND first < ?3 ORDER BY block LIMIT 1",
    )?;
    let (since, until) = (since.map_or(i64::MIN, |at| at.as_micros()), until.map_or(i64::MAX, |at| at.as_micros()));
    let mut rows = statement.query(params![from as i64, since, until])?;
    Ok(rows.next()?.map(|row| row.get::<_, i64>(0)).transpose()?.map(|block| block as u64))
}

/// Below which offset words are found by their index.
fn indexed(connection: &Connection) -> rusqlite::Result<u64> {
    let to = day::texts_to(connection)?;
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(offset) FROM events")?.query_row([], |row| row.get(0))?;
    Ok(if last.is_none_or(|last| (last as u64) < to) { u64::MAX } else { to })
}

/// What a filter wants to be mentioned, for the index of words. Words have no letters that mean something there.
fn words_of(filter: &Filter) -> Option<String> {
    let mut terms = Vec::new();
    for text in filter.texts() {
        let mut of_text: Vec<String> = words::words(text).map(|word| format!("\"{word}\"")).collect();
        if let Some(last) = of_text.last_mut().filter(|_| words::is_open(text)) {
            last.push('*');
        }
        terms.extend(of_text);
    }
    (!terms.is_empty()).then(|| terms.join(" "))
}

/// The runs of a day's events that may mention a text, the latest first, until there are enough or the time is up.
pub fn runs_with_words(
    connection: &Connection,
    filter: &Filter,
    to: u64,
    most: usize,
    deadline: Instant,
) -> rusqlite::Result<Vec<String>> {
    let indexed_to = indexed(connection)?.min(to);
    let mut found = std::collections::BTreeSet::new();
    if let Some(query) = words_of(filter) {
        let sql = "SELECT e.execution FROM texts CROSS JOIN events e ON e.offset = texts.rowid
                   WHERE texts MATCH ?1 AND texts.rowid < ?2 ORDER BY texts.rowid DESC";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![query, indexed_to as i64])?;
        while let Some(row) = rows.next()?.filter(|_| found.len() < most && Instant::now() < deadline) {
            found.extend(row.get::<_, Option<String>>(0)?);
        }
    }
    let sql = "SELECT e.execution, b.json FROM events e CROSS JOIN bodies b ON b.offset = e.offset
               WHERE e.offset >= ?1 AND e.offset < ?2 AND e.execution IS NOT NULL ORDER BY e.offset DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let from = if words_of(filter).is_some() { indexed_to } else { 0 };
    let plain = PlainWords::of(filter);
    let mut rows = statement.query(params![from as i64, to as i64])?;
    while let Some(row) = rows.next()?.filter(|_| found.len() < most && Instant::now() < deadline) {
        let (run, json): (String, _) = (row.get(0)?, row.get_ref(1)?.as_bytes()?);
        let fits = || event_of(json).is_some_and(|event| filter.matches(&event));
        if !found.contains(&run) && plain.may_be_in(json) && fits() {
            found.insert(run);
        }
    }
    Ok(found.into_iter().collect())
}

/// The words of ASCII that an event must have in its JSON, so that most need not be read to know that they do not fit.
struct PlainWords(Vec<String>);

impl PlainWords {
    fn of(filter: &Filter) -> PlainWords {
        let words = filter.texts().into_iter().flat_map(words::words).filter(|word| word.is_ascii());
        PlainWords(words.map(str::to_owned).collect())
    }

    /// Other letters may be ASCII in lower case, and letters may be escaped: then only reading tells.
    fn may_be_in(&self, json: &[u8]) -> bool {
        if self.0.is_empty() || !json.is_ascii() || memmem::find(json, b"\\u").is_some() {
            return true;
        }
        let json = json.to_ascii_lowercase();
        self.0.iter().all(|word| memmem::find(&json, word.as_bytes()).is_some())
    }
}

/// Events of one file, and how far it was looked through.
fn look_in(
    connection: &Connection,
    offsets: Range<u64>,
    way: &Way,
    limit: usize,
    filter: &Filter,
    deadline: Instant,
) -> rusqlite::Result<(Vec<(u64, SharedRecord)>, u64)> {
    let (sql, values) = statement(&offsets, way, filter);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let plain = PlainWords::of(filter);
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let offset = row.get::<_, i64>(0)? as u64;
        let json = row.get_ref(1)?.as_bytes()?;
        // SQL has narrowed it down; what fits is decided in one place only.
        let event = if plain.may_be_in(json) { event_of(json) } else { None };
        if let Some(event) = event.filter(|event| filter.matches(event)) {
            events.push((offset, Arc::new(Record::of_json(event, json))));
        }
        if events.len() == limit || Instant::now() > deadline {
            return Ok((events, offset + 1));
        }
    }
    Ok((events, offsets.end))
}

/// What can be said of a filter in SQL.
fn statement(offsets: &Range<u64>, way: &Way, filter: &Filter) -> (String, Vec<Value>) {
    let as_integer = |offset: u64| Value::Integer(i64::try_from(offset).unwrap_or(i64::MAX));
    let mut values = vec![as_integer(offsets.start), as_integer(offsets.end)];
    let mut sql = match way {
        Way::OfRun => "SELECT e.offset, b.json FROM events e INDEXED BY events_of_execution \
                       CROSS JOIN bodies b ON b.offset = e.offset WHERE e.offset >= ? AND e.offset < ?"
            .to_owned(),
        Way::Through => "SELECT e.offset, b.json FROM events e CROSS JOIN bodies b ON b.offset = e.offset \
                         WHERE e.offset >= ? AND e.offset < ?"
            .to_owned(),
        Way::ByWords(query) => {
            values.insert(0, Value::Text(query.clone()));
            "SELECT e.offset, b.json FROM texts CROSS JOIN events e ON e.offset = texts.rowid \
             CROSS JOIN bodies b ON b.offset = texts.rowid \
             WHERE texts MATCH ? AND texts.rowid >= ? AND texts.rowid < ?"
                .to_owned()
        }
    };
    for (column, wanted) in filter.exact() {
        let places = vec!["?"; wanted.len()].join(", ");
        sql.push_str(&format!(" AND e.{column} IN ({places})"));
        values.extend(wanted.into_iter().map(Value::Text));
    }
    let (since, until) = filter.times();
    for (condition, time) in [(" AND e.time >= ?", since), (" AND e.time < ?", until)] {
        if let Some(time) = time {
            sql.push_str(condition);
            values.push(Value::Integer(time.as_micros()));
        }
    }
    sql.push_str(if matches!(way, Way::ByWords(_)) { " ORDER BY texts.rowid" } else { " ORDER BY e.offset" });
    (sql, values)
}
