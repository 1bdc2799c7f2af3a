//! One day's file: its tables, and what is entered into it.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Result, params};

use super::runs::{self, StoredRun};
use crate::event::Event;

/// The layout of the tables; a file of another is made anew.
const VERSION: i64 = 1;

/// What is looked for is narrow, so that going through a day reads little; the JSON is beside it. Offsets are in the order
/// of arrival, and so are rows. An index costs every event, so the only one is for what is asked most: one run.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS events (
        offset INTEGER PRIMARY KEY, time INTEGER NOT NULL, execution TEXT, scope TEXT NOT NULL, type TEXT NOT NULL,
        status TEXT NOT NULL, name TEXT NOT NULL, agent TEXT, feature TEXT, model TEXT, tool TEXT, task TEXT,
        conversation TEXT, correlation TEXT, user TEXT);
    CREATE INDEX IF NOT EXISTS events_of_execution ON events (execution);
    CREATE TABLE IF NOT EXISTS bodies (offset INTEGER PRIMARY KEY, json TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, started INTEGER NOT NULL, seen INTEGER NOT NULL, ended INTEGER, name TEXT, status TEXT,
        user TEXT, feature TEXT, task TEXT, conversation TEXT, service TEXT, error TEXT, agents TEXT NOT NULL,
        events INTEGER NOT NULL, cost_usd REAL, input_tokens INTEGER, output_tokens INTEGER) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started);
";

/// An event on its way into a file.
pub struct Row {
    /// Its offset in the journal.
    pub offset: u64,
    /// The event.
    pub event: Event,
    /// Its JSON as the journal has it.
    pub json: bytes::Bytes,
}

/// Opens a day's file for writing, and makes it if it is missing.
pub fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A loss of power costs what was not checkpointed, which the journal still has.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Checkpoints are made by whoever moves the cursor of the journal.
    connection.pragma_update(None, "wal_autocheckpoint", 20_000)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}

/// Opens a day's file for reading, until a time.
pub fn open_to_read(path: &Path, deadline: Instant) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.progress_handler(10_000, Some(move || Instant::now() > deadline))?;
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
        connection.query_row("SELECT max(offset) FROM bodies", [], |_| Ok(()))?;
        connection.query_row("SELECT max(offset) FROM events", [], |_| Ok(()))?;
        connection.query_row("SELECT count(*) FROM (SELECT id FROM runs LIMIT 1)", [], |_| Ok(()))?;
        Ok(None)
    };
    check().unwrap_or_else(|error| Some(error.to_string()))
}

/// Enters events, all or none; how many were not there yet.
pub fn insert(connection: &mut Connection, rows: &[Row]) -> Result<usize> {
    let transaction = connection.transaction()?;
    let mut runs: HashMap<String, StoredRun> = HashMap::new();
    let mut entered = 0;
    {
        let mut event_row = transaction.prepare(
            "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?;
        let mut body = transaction.prepare("INSERT OR IGNORE INTO bodies VALUES (?1, ?2)")?;
        for Row { offset, event, json } in rows {
            let (identity, dimensions) = (&event.identity, &event.dimensions);
            let execution = event.execution_id();
            let is_new = event_row.execute(params![
                *offset as i64,
                event.timestamp.as_micros(),
                execution.as_deref(),
                event.scope.as_str(),
                event.event_type.as_str(),
                event.status.as_str(),
                event.name.as_str(),
                dimensions.agent.as_deref(),
                dimensions.feature.as_deref(),
                dimensions.model.as_deref(),
                dimensions.tool.as_deref(),
                identity.task_id.as_deref(),
                identity.conversation_id.as_deref(),
                identity.correlation_id.as_deref(),
                identity.user_id.as_deref(),
            ])?;
            if is_new == 0 {
                continue;
            }
            body.execute(params![*offset as i64, String::from_utf8_lossy(json)])?;
            entered += 1;
            let Some(id) = execution else { continue };
            match runs.get_mut(&*id) {
                Some(run) => run.absorb(event),
                None => runs.entry(id.to_string()).or_insert_with(|| StoredRun::new(&id, event)).absorb(event),
            }
        }
        runs::save(&transaction, runs.into_values())?;
    }
    transaction.commit()?;
    Ok(entered)
}

/// Moves what was written into the file itself, durably.
pub fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
