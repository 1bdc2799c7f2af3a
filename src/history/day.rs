//! One day's file: its tables, and what is entered into it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use foldhash::fast::RandomState;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Result, ToSql, Transaction, params, params_from_iter};

use super::files;
use super::page::{self, Bodies, Packer, Page, Row};
use super::runs::{self, StoredRun};
use super::stored::Narrow;
use super::vocabulary::Vocabulary;
use crate::event::{EventId, Timestamp};

/// The layout of the tables; a file of another is made anew.
const VERSION: i64 = 5;

/// Offsets are in the order of arrival, and so are pages; what is looked for in them is narrow, and their JSON is beside it.
/// `texts` is an index of the words of each page that is closed, without the texts.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS pages (
        first INTEGER PRIMARY KEY, last INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
        columns BLOB NOT NULL, ids BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS pages_by_time ON pages (until, since, last);
    CREATE TABLE IF NOT EXISTS bodies (first INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS pages_of_runs (run TEXT NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (run, first))
        WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, started INTEGER NOT NULL, seen INTEGER NOT NULL, ended INTEGER, name TEXT, status TEXT,
        user TEXT, feature TEXT, task TEXT, conversation TEXT, session TEXT, service TEXT, dialect TEXT, error TEXT,
        agents TEXT NOT NULL, events INTEGER NOT NULL, figures TEXT NOT NULL, told_usd REAL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started, id);
    CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii');
";

/// Pages whose words are entered together: more would be held in memory for little.
const WORDS_AT_ONCE: usize = 16;

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
    keep_plans(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A loss of power costs what was not checkpointed, which the journal still has.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Checkpoints are made by whoever moves the cursor of the journal.
    connection.pragma_update(None, "wal_autocheckpoint", 20_000)?;
    // KiB, for each day that is open: about what a read of the journal changes, so that most of it is written once.
    connection.pragma_update(None, "cache_size", -2048)?;
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
    keep_plans(&connection)?;
    // KiB. Many stay open, and what they read again the system has in memory.
    connection.pragma_update(None, "cache_size", -128)?;
    Ok(connection)
}

/// Has statements prepared once, and not again whenever other values are bound to them.
fn keep_plans(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
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
        connection.query_row("SELECT count(*) FROM (SELECT run FROM pages_of_runs LIMIT 1)", [], |_| Ok(()))?;
        connection.query_row("SELECT count(*) FROM (SELECT id FROM runs LIMIT 1)", [], |_| Ok(()))?;
        Ok(None)
    };
    check().unwrap_or_else(|error| Some(error.to_string()))
}

/// The newest event: its offset and its JSON.
pub fn newest(connection: &Connection) -> Result<Option<(u64, Vec<u8>)>> {
    // What is entered meanwhile may be put into the same page.
    let snapshot = connection.unchecked_transaction()?;
    let Some(page) = last_page(&snapshot)? else { return Ok(None) };
    let bodies = bodies_of(&snapshot, &page)?;
    Ok(page.len().checked_sub(1).map(|last| (page.offset(last), bodies.json(last).to_owned())))
}

/// The page of the newest events.
fn last_page(connection: &Connection) -> Result<Option<Page>> {
    let sql = "SELECT first, columns FROM pages ORDER BY first DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([], page_of).optional()
}

/// The page of a row whose first values are its first offset and its columns.
pub fn page_of(row: &rusqlite::Row<'_>) -> Result<Page> {
    Page::read(row.get::<_, i64>(0)? as u64, row.get_ref(1)?.as_bytes()?)
}

/// The JSON of a page's events. It is not read with the page, because often nothing in that fits; both have to be read in
/// one transaction, or while a statement goes through pages, which is one.
pub fn bodies_of<'p>(connection: &Connection, page: &'p Page) -> Result<Bodies<'p>> {
    let mut statement = connection.prepare_cached("SELECT packed FROM bodies WHERE first = ?1")?;
    let mut rows = statement.query([page.first() as i64])?;
    let packed = rows.next()?.ok_or_else(page::damaged)?;
    page.bodies(packed.get_ref(0)?.as_bytes()?)
}

/// Enters events, all or none, in the order of their offsets. What came long after it happened may have come before, and is
/// looked for.
pub fn insert(connection: &mut Connection, rows: &[Row<'_>], packer: &mut Packer) -> Result<Entered> {
    let transaction = connection.transaction()?;
    let mut entered = Entered::default();
    let mut runs: HashMap<String, StoredRun, RandomState> = HashMap::default();
    let newest = last_page(&transaction)?;
    let next = newest.as_ref().map_or(0, Page::next);
    let mut known = Known::of(&transaction, rows)?;
    let mut new: Vec<&Row<'_>> = Vec::with_capacity(rows.len());
    // What was read of the journal before is there already.
    for row in rows.iter().filter(|row| row.offset >= next) {
        if known.has(row) {
            entered.known += 1;
            continue;
        }
        new.push(row);
        let Some(id) = row.event.execution().filter(|_| !row.event.is_no_work()) else { continue };
        match runs.get_mut(id) {
            Some(run) => run.absorb(&row.event),
            None => runs.entry(id.to_owned()).or_insert_with(|| StoredRun::new(id, row.event.time)).absorb(&row.event),
        }
    }
    entered.new = new.len() as u64;
    if !new.is_empty() {
        match newest.filter(|page| !page.is_closed()) {
            Some(page) => {
                let bodies = bodies_of(&transaction, &page)?;
                let old = rows_of(&page, &bodies).ok_or_else(page::damaged)?;
                put(&transaction, &old.iter().chain(new).collect::<Vec<_>>(), packer)?;
            }
            None => put(&transaction, &new, packer)?,
        }
        runs::save(&transaction, runs.into_values())?;
    }
    transaction.commit()?;
    Ok(entered)
}

/// The events of a page as they were entered.
fn rows_of<'p>(page: &Page, bodies: &'p Bodies<'_>) -> Option<Vec<Row<'p>>> {
    let row = |at: usize| {
        let json = std::str::from_utf8(bodies.json(at)).ok()?;
        Some(Row { offset: page.offset(at), came: page.time(at), event: Narrow::read(json)?, json })
    };
    (0..page.len()).map(row).collect()
}

/// Writes pages, the first in place of the one with the same first event, and the words of those that are closed.
fn put(transaction: &Transaction<'_>, rows: &[&Row<'_>], packer: &mut Packer) -> Result<()> {
    let mut columns = transaction.prepare_cached("INSERT OR REPLACE INTO pages VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut bodies = transaction.prepare_cached("INSERT OR REPLACE INTO bodies VALUES (?1, ?2)")?;
    let mut of_run = transaction.prepare_cached("INSERT OR IGNORE INTO pages_of_runs VALUES (?1, ?2)")?;
    let (mut vocabulary, mut words) = (Vocabulary::default(), Vec::new());
    let mut pages = page::split(rows).peekable();
    while let Some(rows) = pages.next() {
        let page = packer.pack(rows)?;
        let (first, last) = (page.first as i64, page.last as i64);
        columns.execute(params![
            first,
            last,
            page.since.as_micros(),
            page.until.as_micros(),
            page.columns,
            page.ids
        ])?;
        bodies.execute(params![first, page.bodies])?;
        for run in page::executions(rows) {
            of_run.execute(params![run, first])?;
        }
        if pages.peek().is_some() || page::is_closed(rows) {
            words.push((first, vocabulary.of(rows)));
        }
        if words.len() == WORDS_AT_ONCE || pages.peek().is_none() {
            put_words(transaction, &words)?;
            words.clear();
        }
    }
    Ok(())
}

/// Enters the words of pages in one statement, because the index is written out before each.
fn put_words(transaction: &Transaction<'_>, words: &[(i64, String)]) -> Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let places = vec!["(?, ?)"; words.len()].join(", ");
    let mut statement = transaction.prepare_cached(&format!("INSERT INTO texts (rowid, words) VALUES {places}"))?;
    let values = words.iter().flat_map(|(first, words)| [first as &dyn ToSql, words]);
    statement.execute(params_from_iter(values)).map(drop)
}

/// Events that are in a file already, as far as late ones may be among them.
struct Known(HashMap<[u8; 16], u64>);

impl Known {
    /// What comes later than this may have been told before: imported, or replayed by its emitter.
    const LATE: Duration = Duration::from_secs(600);

    fn is_late(row: &Row<'_>) -> bool {
        row.event.time.plus(Known::LATE) < row.came
    }

    fn of(transaction: &Transaction<'_>, rows: &[Row<'_>]) -> Result<Known> {
        let late: BTreeSet<Timestamp> =
            rows.iter().filter(|row| Known::is_late(row)).map(|row| row.event.time).collect();
        let mut found = HashMap::new();
        each_at(transaction, &late, |id, offset| {
            found.insert(id, offset);
        })?;
        Ok(Known(found))
    }

    /// Whether an event is there under another offset; a late one is remembered.
    fn has(&mut self, row: &Row<'_>) -> bool {
        Known::is_late(row) && *self.0.entry(row.id()).or_insert(row.offset) != row.offset
    }
}

/// Whether events are there: of each id, at a time.
pub fn has(connection: &Connection, wanted: &HashMap<EventId, Timestamp>) -> Result<HashSet<EventId>> {
    let ids: HashMap<[u8; 16], EventId> = wanted.keys().map(|id| (id.uuid().into_bytes(), *id)).collect();
    let mut found = HashSet::new();
    each_at(connection, &wanted.values().copied().collect(), |id, _| found.extend(ids.get(&id)))?;
    Ok(found)
}

/// Whether a run was at work on the day.
pub fn has_run(connection: &Connection, run: &str) -> Result<bool> {
    connection.prepare_cached("SELECT 1 FROM pages_of_runs WHERE run = ?1 LIMIT 1")?.exists([run])
}

/// The id and the offset of each event that happened at one of some times.
fn each_at(connection: &Connection, times: &BTreeSet<Timestamp>, mut each: impl FnMut([u8; 16], u64)) -> Result<()> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
    let sql = "SELECT first, columns, ids, since, until FROM pages INDEXED BY pages_by_time
               WHERE until >= ?1 AND since <= ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![first.as_micros(), last.as_micros()])?;
    while let Some(row) = rows.next()? {
        let (since, until) = (Timestamp::from_micros(row.get(3)?), Timestamp::from_micros(row.get(4)?));
        if times.range(since..=until).next().is_none() {
            continue;
        }
        let page = page_of(row)?;
        for (at, id) in row.get_ref(2)?.as_bytes()?.as_chunks().0.iter().enumerate().take(page.len()) {
            if times.contains(&page.time(at)) {
                each(*id, page.offset(at));
            }
        }
    }
    Ok(())
}

/// Moves what was written into the file itself, durably.
pub fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
