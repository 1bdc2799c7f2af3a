//! One day's file: its tables, and what is entered into it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Result, Transaction, params};

use super::files;
use super::runs::{self, StoredRun};
use super::stored::{Narrow, Text};
use crate::event::{EventId, Timestamp, words};

/// The layout of the tables; a file of another is made anew.
const VERSION: i64 = 3;

/// What is looked for is narrow, so that going through a day reads little; the JSON is beside it. Offsets are in the order
/// of arrival, and so are rows. An index costs every event, so the only one is for what is asked most: one run. Blocks say
/// of [`BLOCK`] offsets when their events happened. `texts` is an index of words without the texts.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS events (
        offset INTEGER PRIMARY KEY, time INTEGER NOT NULL, id BLOB NOT NULL, execution TEXT, scope TEXT NOT NULL,
        type TEXT NOT NULL, status TEXT NOT NULL, name TEXT NOT NULL, agent TEXT, feature TEXT, model TEXT, tool TEXT,
        task TEXT, conversation TEXT, correlation TEXT, user TEXT);
    CREATE INDEX IF NOT EXISTS events_of_execution ON events (execution);
    CREATE TABLE IF NOT EXISTS bodies (offset INTEGER PRIMARY KEY, json TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS blocks (block INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, started INTEGER NOT NULL, seen INTEGER NOT NULL, ended INTEGER, name TEXT, status TEXT,
        user TEXT, feature TEXT, task TEXT, conversation TEXT, session TEXT, service TEXT, dialect TEXT, error TEXT,
        agents TEXT NOT NULL, events INTEGER NOT NULL, figures TEXT NOT NULL, told_usd REAL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started, id);
    CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii');
    CREATE TABLE IF NOT EXISTS progress (name TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
";

/// How many offsets a block has.
pub const BLOCK: u64 = 4096;

/// An event on its way into a file.
pub struct Row<'a> {
    /// Its offset in the journal.
    pub offset: u64,
    /// When it came.
    pub came: Timestamp,
    /// When it happened.
    pub time: Timestamp,
    /// What it is found by.
    pub event: Narrow<'a>,
    /// Its JSON as the journal has it.
    pub json: &'a str,
}

/// What became of events.
#[derive(Debug, Default)]
pub struct Entered {
    /// Those that were not there.
    pub new: u64,
    /// Those that were there already under another offset.
    pub known: u64,
}

/// Opens a day's file for writing, and makes it if it is missing.
pub fn open(path: &Path) -> Result<Connection> {
    if !path.exists() {
        make(path)?;
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A loss of power costs what was not checkpointed, which the journal still has.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Checkpoints are made by whoever moves the cursor of the journal.
    connection.pragma_update(None, "wal_autocheckpoint", 20_000)?;
    // KiB, for each day that is open: about what a page of the journal changes, so that most of it is written once.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes a day's file. It has its name once it is whole, so that nobody takes it for one that lacks something.
fn make(path: &Path) -> Result<()> {
    let new = path.with_extension("db.new");
    // What is left of an attempt that was cut short; if it cannot be removed, that is found out below.
    std::fs::remove_file(&new).unwrap_or_default();
    let connection = Connection::open(&new)?;
    connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    connection.close().map_err(|(_, error)| error)?;
    files::remove_logs(path);
    std::fs::rename(&new, path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Opens a day's file for reading.
pub fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    // KiB. Many stay open, and what they read again the system has in memory.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

/// Why a file cannot be used any more, if so.
pub fn problem(path: &Path) -> Option<String> {
    let check = || -> Result<Option<String>> {
        let connection = Connection::open(path)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            return Ok(Some(format!("it is of version {version}, and this is {VERSION}")));
        }
        // Only the newest pages are looked at: to read all takes seconds, and damage elsewhere is found by queries.
        newest(&connection)?;
        connection.query_row("SELECT max(offset) FROM events", [], |_| Ok(()))?;
        connection.query_row("SELECT count(*) FROM (SELECT id FROM runs LIMIT 1)", [], |_| Ok(()))?;
        Ok(None)
    };
    check().unwrap_or_else(|error| Some(error.to_string()))
}

/// The newest event: its offset and its JSON.
pub fn newest(connection: &Connection) -> Result<Option<(u64, String)>> {
    let sql = "SELECT offset, json FROM bodies ORDER BY offset DESC LIMIT 1";
    connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))).optional()
}

/// Enters events, all or none. What came long after it happened may have come before, and is looked for.
pub fn insert(connection: &mut Connection, rows: &[Row<'_>]) -> Result<Entered> {
    let transaction = connection.transaction()?;
    let mut entered = Entered::default();
    let mut runs: HashMap<String, StoredRun> = HashMap::new();
    let mut blocks: HashMap<u64, (Timestamp, Timestamp)> = HashMap::new();
    {
        let mut known = Known::of(&transaction, rows)?;
        let mut event_row = transaction.prepare_cached(
            "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?;
        let mut body = transaction.prepare_cached("INSERT OR IGNORE INTO bodies VALUES (?1, ?2)")?;
        for row in rows {
            let event = &row.event;
            let id = EventId::parse(event.event_id.as_str()).map(|id| id.uuid().into_bytes()).unwrap_or_default();
            if known.has(row, id) {
                entered.known += 1;
                continue;
            }
            fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
                text.as_ref().map(Text::as_str)
            }
            let is_new = event_row.execute(params![
                row.offset as i64,
                row.time.as_micros(),
                id,
                event.execution(),
                event.scope().map(|scope| scope.as_str()),
                event.event_type().map(|kind| kind.as_str()),
                event.status().map(|status| status.as_str()),
                event.name.as_str(),
                text(&event.agent),
                text(&event.feature),
                text(&event.model),
                text(&event.tool),
                text(&event.task_id),
                text(&event.conversation_id),
                text(&event.correlation_id),
                text(&event.user_id),
            ])?;
            if is_new == 0 {
                continue;
            }
            body.execute(params![row.offset as i64, row.json])?;
            entered.new += 1;
            let block = blocks.entry(row.offset / BLOCK).or_insert((row.time, row.time));
            *block = (block.0.min(row.time), block.1.max(row.time));
            let Some(id) = event.execution() else { continue };
            match runs.get_mut(id) {
                Some(run) => run.absorb(event, row.time),
                None => {
                    runs.entry(id.to_owned()).or_insert_with(|| StoredRun::new(id, row.time)).absorb(event, row.time)
                }
            }
        }
        let mut block_row = transaction.prepare_cached(
            "INSERT INTO blocks VALUES (?1, ?2, ?3) ON CONFLICT (block) DO UPDATE
             SET first = min(first, excluded.first), last = max(last, excluded.last)",
        )?;
        for (block, (first, last)) in blocks {
            block_row.execute(params![block as i64, first.as_micros(), last.as_micros()])?;
        }
        runs::save(&transaction, runs.into_values())?;
    }
    transaction.commit()?;
    Ok(entered)
}

/// Events that are in a file already, as far as late ones may be among them.
struct Known(HashMap<[u8; 16], u64>);

impl Known {
    /// What comes later than this may have been told before: imported, or replayed by its emitter.
    const LATE: Duration = Duration::from_secs(600);

    fn is_late(row: &Row<'_>) -> bool {
        row.time.plus(Known::LATE) < row.came
    }

    fn of(transaction: &Transaction<'_>, rows: &[Row<'_>]) -> Result<Known> {
        let late: HashSet<i64> =
            rows.iter().filter(|row| Known::is_late(row)).map(|row| row.time.as_micros()).collect();
        let (Some(first), Some(last)) = (late.iter().min(), late.iter().max()) else {
            return Ok(Known(HashMap::new()));
        };
        let mut statement = transaction.prepare_cached(
            "SELECT e.time, e.id, e.offset FROM blocks b CROSS JOIN events e
             WHERE b.last >= ?1 AND b.first <= ?2 AND e.offset >= b.block * ?3 AND e.offset < (b.block + 1) * ?3
             AND e.time >= ?1 AND e.time <= ?2",
        )?;
        let mut found = HashMap::new();
        let mut rows = statement.query(params![first, last, BLOCK as i64])?;
        while let Some(row) = rows.next()? {
            if late.contains(&row.get(0)?) {
                found.insert(row.get(1)?, row.get::<_, i64>(2)? as u64);
            }
        }
        Ok(Known(found))
    }

    /// Whether an event is there under another offset; a late one is remembered.
    fn has(&mut self, row: &Row<'_>, id: [u8; 16]) -> bool {
        Known::is_late(row) && *self.0.entry(id).or_insert(row.offset) != row.offset
    }
}

/// Whether events are there: of each id, at a time.
pub fn has(connection: &Connection, wanted: &HashMap<EventId, Timestamp>) -> Result<HashSet<EventId>> {
    let (Some(first), Some(last)) = (wanted.values().min(), wanted.values().max()) else { return Ok(HashSet::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT e.id FROM blocks b CROSS JOIN events e
         WHERE b.last >= ?1 AND b.first <= ?2 AND e.offset >= b.block * ?3 AND e.offset < (b.block + 1) * ?3
         AND e.time >= ?1 AND e.time <= ?2",
    )?;
    let mut found = HashSet::new();
    let mut rows = statement.query(params![first.as_micros(), last.as_micros(), BLOCK as i64])?;
    while let Some(row) = rows.next()? {
        let id = uuid::Uuid::from_bytes(row.get(0)?).to_string();
        found.extend(EventId::parse(&id).filter(|id| wanted.contains_key(id)));
    }
    Ok(found)
}

/// Below which offset all texts are in the index of words.
pub fn texts_to(connection: &Connection) -> Result<u64> {
    let sql = "SELECT offset FROM progress WHERE name = 'texts'";
    let to: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(to.unwrap_or(0) as u64)
}

/// Enters the words of some more events; whether there are more.
pub fn index_texts(connection: &mut Connection) -> Result<bool> {
    const AT_ONCE: usize = 2000;
    const BYTES: usize = 4 << 20;
    let transaction = connection.transaction()?;
    let mut to = texts_to(&transaction)?;
    let mut more = false;
    {
        let sql = "SELECT offset, json FROM bodies WHERE offset >= ?1 ORDER BY offset LIMIT ?2";
        let mut statement = transaction.prepare_cached(sql)?;
        let mut insert = transaction.prepare_cached("INSERT INTO texts (rowid, words) VALUES (?1, ?2)")?;
        let mut rows = statement.query(params![to as i64, AT_ONCE as i64])?;
        let (mut read, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            let offset: i64 = row.get(0)?;
            let json = row.get_ref(1)?.as_bytes()?;
            (read, bytes, to) = (read + 1, bytes + json.len(), offset as u64 + 1);
            if let Some(event) = std::str::from_utf8(json).ok().and_then(Narrow::read) {
                insert.execute(params![offset, distinct_words(&event.searchable())])?;
            }
            if bytes > BYTES {
                more = true;
                break;
            }
        }
        more |= read == AT_ONCE;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO progress VALUES ('texts', ?1)")?
            .execute(params![to as i64])?;
    }
    transaction.commit()?;
    Ok(more)
}

fn distinct_words(text: &str) -> String {
    let mut seen = HashSet::new();
    let distinct: Vec<&str> = words::words(text).filter(|word| seen.insert(*word)).collect();
    distinct.join(" ")
}

/// Moves what was written into the file itself, durably.
pub fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
