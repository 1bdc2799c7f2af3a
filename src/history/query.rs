//! Finding events: what a filter says in SQL, across the files of days, in the order of offsets.
//!
//! What has to be gone through is gone through window by window, so that an answer has come further however little fits.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use memchr::memmem;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::day;
use super::page::{Bodies, Page};
use super::stored::event_of;
use super::{Found, Shared};
use crate::event::{Event, Filter, words};
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
    /// Offsets that are gone through at once: some ten milliseconds.
    const AT_ONCE: u64 = 1 << 16;
    if filter.exact().iter().any(|(column, _)| *column == "execution") {
        return Ok(Some(Window { offsets, days: days.to_vec(), way: Way::OfRun }));
    }
    let mut begins = Vec::new();
    for day in days {
        let look = |connection: &Connection| first_page(connection, offsets.start, filter);
        if let Some(Some(first)) = shared.read_day(day, look)? {
            begins.push((day, offsets.start.max(first)));
        }
    }
    let Some(start) = begins.iter().map(|(_, begin)| *begin).min().filter(|start| *start < offsets.end) else {
        return Ok(None);
    };
    let (end, way) = match words_of(filter) {
        Some(query) => (offsets.end, Way::ByWords(query)),
        None => (offsets.end.min(start + AT_ONCE), Way::Through),
    };
    let days = begins.into_iter().filter(|(_, begin)| *begin < end).map(|(day, _)| day.clone()).collect();
    Ok(Some(Window { offsets: start..end, days, way }))
}

/// Where the first page begins that ends at an offset or behind it, and in which something happened when it is wanted.
fn first_page(connection: &Connection, from: u64, filter: &Filter) -> rusqlite::Result<Option<u64>> {
    if filter.times() == (None, None) {
        let sql = "SELECT first FROM pages WHERE first >= coalesce((SELECT max(first) FROM pages WHERE first <= ?1), 0)
                   AND last >= ?1 ORDER BY first LIMIT 1";
        let first =
            connection.prepare_cached(sql)?.query_row([as_integer(from)], |row| row.get::<_, i64>(0)).optional()?;
        return Ok(first.map(|first| first as u64));
    }
    let sql = "SELECT min(first) FROM pages INDEXED BY pages_by_time WHERE until >= ?1 AND since < ?2 AND last >= ?3";
    let (since, until) = within(filter);
    let values = params![since, until, as_integer(from)];
    let first: Option<i64> = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    Ok(first.map(|first| first as u64))
}

/// When what fits happened: from the first of these microseconds on, and before the second.
fn within(filter: &Filter) -> (i64, i64) {
    let (since, until) = filter.times();
    (since.map_or(i64::MIN, |at| at.as_micros()), until.map_or(i64::MAX, |at| at.as_micros()))
}

/// As SQLite has integers.
fn as_integer(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
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

/// Finds where the pages of a day begin in which there may be what fits.
pub fn pages_that_may_fit(filter: &Filter) -> (String, Vec<Value>) {
    let way = words_of(filter).map_or(Way::Through, Way::ByWords);
    statement("first", &(0..u64::MAX), &way, filter)
}

/// What fits a filter, in pages.
pub struct Fitting<'f> {
    filter: &'f Filter,
    exact: Vec<(&'static str, Vec<String>)>,
    times: Range<i64>,
    plain: PlainWords,
    offsets: Range<u64>,
}

impl<'f> Fitting<'f> {
    /// At these offsets.
    pub fn of(filter: &'f Filter, offsets: Range<u64>) -> Fitting<'f> {
        let (since, until) = within(filter);
        Fitting { filter, exact: filter.exact(), times: since..until, plain: PlainWords::of(filter), offsets }
    }

    /// The events of a page that may fit, as far as its columns say.
    pub fn events(&self, page: &Page) -> Vec<usize> {
        let mut events = page.with(&self.exact);
        let is_within = |at: i64| at >= self.times.start && (at < self.times.end || self.times.end == i64::MAX);
        events.retain(|at| self.offsets.contains(&page.offset(*at)) && is_within(page.time(*at).as_micros()));
        events
    }

    /// One of them, if it fits: columns have narrowed it down, what fits is decided in one place only.
    pub fn event(&self, bodies: &Bodies<'_>, at: usize) -> Option<Event> {
        let json = bodies.json(at);
        let event = if self.plain.may_be_in(json) { event_of(json) } else { None };
        event.filter(|event| self.filter.matches(event))
    }

    fn record(&self, bodies: &Bodies<'_>, at: usize) -> Option<SharedRecord> {
        self.event(bodies, at).map(|event| Arc::new(Record::of_json(event, bodies.json(at))))
    }
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
    let (sql, values) = statement("first, columns", &offsets, way, filter);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let fitting = Fitting::of(filter, offsets.clone());
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let page = day::page_of(row)?;
        let events = fitting.events(&page);
        if !events.is_empty() {
            let bodies = day::bodies_of(connection, &page)?;
            for at in events {
                found.extend(fitting.record(&bodies, at).map(|record| (page.offset(at), record)));
                if found.len() == limit || Instant::now() > deadline {
                    return Ok((found, page.offset(at) + 1));
                }
            }
        }
        if Instant::now() > deadline {
            return Ok((found, page.next().min(offsets.end)));
        }
    }
    Ok((found, offsets.end))
}

/// Finds the pages in which there may be what fits, the earliest first: these columns of them.
fn statement(columns: &str, offsets: &Range<u64>, way: &Way, filter: &Filter) -> (String, Vec<Value>) {
    let mut values = vec![Value::Integer(as_integer(offsets.start)), Value::Integer(as_integer(offsets.end))];
    let mut sql = format!(
        "SELECT {columns} FROM pages WHERE first >= coalesce((SELECT max(first) FROM pages WHERE first <= ?1), 0) \
         AND last >= ?1 AND first < ?2"
    );
    match way {
        Way::Through => {}
        Way::OfRun => {
            let runs = filter.exact().into_iter().find(|(column, _)| *column == "execution").map(|(_, runs)| runs);
            let runs = runs.unwrap_or_default();
            let places = vec!["?"; runs.len()].join(", ");
            sql.push_str(&format!(" AND first IN (SELECT first FROM pages_of_runs WHERE run IN ({places}))"));
            values.extend(runs.into_iter().map(Value::Text));
        }
        Way::ByWords(query) => {
            // The words of the newest page may not be in their index yet.
            sql.push_str(
                " AND first IN (SELECT rowid FROM texts WHERE texts MATCH ? UNION ALL SELECT max(first) FROM pages)",
            );
            values.push(Value::Text(query.clone()));
        }
    }
    let (since, until) = within(filter);
    // Offsets lead to fewer pages than times do.
    sql.push_str(" AND +until >= ? AND +since <= ?");
    values.extend([since, until].map(Value::Integer));
    sql.push_str(" ORDER BY first");
    (sql, values)
}
