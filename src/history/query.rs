//! Finding events: what a filter says in SQL, across the files of days, in the order of offsets.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode};

use super::stored::event_of;
use super::{Found, broken, day, files};
use crate::event::Filter;
use crate::flow::{Record, SharedRecord};

/// Events that fit, oldest first, until there are enough or the time is up.
pub fn read(
    directory: &Path,
    offsets: Range<u64>,
    limit: usize,
    filter: &Filter,
    deadline: Instant,
) -> Result<Found, String> {
    let mut files = Vec::new();
    for path in within(directory, filter)? {
        let opened = day::open_to_read(&path, deadline).and_then(|connection| {
            let range = range(&connection)?;
            Ok((connection, range))
        });
        match opened {
            Ok((connection, Some((first, last)))) if first < offsets.end && last >= offsets.start => {
                files.push((first, path, connection));
            }
            Ok(_) => {}
            Err(error) => return Err(broken(&path, &error)),
        }
    }
    files.sort_by_key(|(first, ..)| *first);
    let mut found = Found { next: offsets.end, ..Found::default() };
    for (first, path, connection) in files {
        // Later files have nothing before this.
        if found.events.len() >= limit && found.events.get(limit - 1).is_none_or(|(last, _)| *last < first) {
            break;
        }
        let wanted = offsets.start..found.next;
        let (events, looked_to) = look_in(&connection, wanted, limit, filter).map_err(|error| broken(&path, &error))?;
        found.next = found.next.min(looked_to);
        found.events.extend(events);
        found.events.sort_by_key(|(offset, _)| *offset);
        found.events.truncate(limit);
        if found.events.len() == limit {
            found.next = found.events.last().map_or(offsets.start, |(last, _)| last + 1).min(found.next);
        }
    }
    found.events.retain(|(offset, _)| *offset < found.next);
    Ok(found)
}

/// The files in which there may be such events.
fn within(directory: &Path, filter: &Filter) -> Result<Vec<PathBuf>, String> {
    let (since, until) = filter.times();
    let (since, until) = (since.map(|time| time.date()), until.map(|time| time.date()));
    let all = files::all(directory).map_err(|error| format!("history {}: {error}", directory.display()))?;
    let is_within = |day: &String| {
        since.as_ref().is_none_or(|since| day >= since) && until.as_ref().is_none_or(|until| day <= until)
    };
    Ok(all.into_iter().filter(|(day, _)| is_within(day)).map(|(_, path)| path).collect())
}

/// The first and the last offset of a file.
fn range(connection: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    let end = |which: &str| -> rusqlite::Result<Option<i64>> {
        connection.query_row(&format!("SELECT {which}(offset) FROM events"), [], |row| row.get(0))
    };
    Ok(end("min")?.zip(end("max")?).map(|(first, last)| (first as u64, last as u64)))
}

/// Events of one file, and how far it was looked through.
fn look_in(
    connection: &Connection,
    offsets: Range<u64>,
    limit: usize,
    filter: &Filter,
) -> rusqlite::Result<(Vec<(u64, SharedRecord)>, u64)> {
    let (conditions, values) = conditions(&offsets, filter);
    let sql = format!(
        "SELECT e.offset, b.json FROM events e CROSS JOIN bodies b ON b.offset = e.offset WHERE {conditions} ORDER BY e.offset"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut events = Vec::new();
    let mut looked_to = offsets.start;
    while events.len() < limit {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok((events, offsets.end)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Ok((events, looked_to));
            }
            Err(error) => return Err(error),
        };
        let offset = row.get::<_, i64>(0)? as u64;
        let json = row.get_ref(1)?.as_bytes()?;
        looked_to = offset + 1;
        // SQL has narrowed it down; what fits is decided in one place only.
        if let Some(event) = event_of(json).filter(|event| filter.matches(event)) {
            events.push((offset, Arc::new(Record::of_json(event, json))));
        }
    }
    Ok((events, looked_to))
}

/// What can be said of a filter in SQL.
fn conditions(offsets: &Range<u64>, filter: &Filter) -> (String, Vec<Value>) {
    let mut sql = "e.offset >= ? AND e.offset < ?".to_owned();
    let as_integer = |offset: u64| Value::Integer(i64::try_from(offset).unwrap_or(i64::MAX));
    let mut values = vec![as_integer(offsets.start), as_integer(offsets.end)];
    for (column, wanted) in filter.exact() {
        let places = vec!["?"; wanted.len()].join(", ");
        // Where a run is asked for, the plus keeps offsets from being preferred to its index.
        if column == "execution" {
            sql = sql.replace("e.offset >=", "+e.offset >=").replace("AND e.offset <", "AND +e.offset <");
        }
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
    (sql, values)
}
