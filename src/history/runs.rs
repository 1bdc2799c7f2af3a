//! Runs as their events tell of them, so that they can be listed when they have left memory.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{History, broken, day, files};
use crate::event::{Event, EventType, Scope, Timestamp};

/// A run, as far as its events say.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// The execution's id.
    pub id: String,
    /// The time of its first event.
    pub started_at: Timestamp,
    /// The time of its last event.
    pub seen_at: Timestamp,
    /// When its outermost work ended, if that was told.
    pub ended_at: Option<Timestamp>,
    /// What its outermost work is called.
    pub name: Option<String>,
    /// How its outermost work ended, or that it runs.
    pub status: Option<String>,
    /// For whom it was done.
    pub user_id: Option<String>,
    /// What for.
    pub feature: Option<String>,
    /// On which task.
    pub task_id: Option<String>,
    /// In which conversation.
    pub conversation_id: Option<String>,
    /// By which service.
    pub service: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Its agents, in the order in which they were told of.
    pub agents: Vec<String>,
    /// How many events there are.
    pub events: u64,
    /// What it cost, as the end of its outermost work says.
    pub cost_usd: Option<f64>,
    /// What it read, likewise.
    pub input_tokens: Option<u64>,
    /// What it wrote, likewise.
    pub output_tokens: Option<u64>,
}

const COLUMNS: &str = "id, started, seen, ended, name, status, user, feature, task, conversation, service, error, \
                       agents, events, cost_usd, input_tokens, output_tokens";

impl StoredRun {
    /// A run of which this is the first event, which is yet to be absorbed.
    pub fn new(id: &str, event: &Event) -> StoredRun {
        StoredRun {
            id: id.to_owned(),
            started_at: event.timestamp,
            seen_at: event.timestamp,
            ended_at: None,
            name: None,
            status: None,
            user_id: None,
            feature: None,
            task_id: None,
            conversation_id: None,
            service: None,
            error: None,
            agents: Vec::new(),
            events: 0,
            cost_usd: None,
            input_tokens: None,
            output_tokens: None,
        }
    }

    /// What an event adds.
    pub fn absorb(&mut self, event: &Event) {
        let own = |known: &mut Option<String>, said: Option<&str>| {
            if known.is_none() {
                *known = said.map(str::to_owned);
            }
        };
        self.events += 1;
        self.started_at = self.started_at.min(event.timestamp);
        self.seen_at = self.seen_at.max(event.timestamp);
        own(&mut self.user_id, event.identity.user_id.as_deref());
        own(&mut self.feature, event.dimensions.feature.as_deref());
        own(&mut self.task_id, event.identity.task_id.as_deref());
        own(&mut self.conversation_id, event.identity.conversation_id.as_deref());
        own(&mut self.service, event.source.service.as_deref());
        if let Some(agent) = event.dimensions.agent.as_deref()
            && !self.agents.iter().any(|known| known == agent)
        {
            self.agents.push(agent.to_owned());
        }
        let is_outermost = event.parent_span_id.is_none() && matches!(event.scope, Scope::Workflow | Scope::Agent);
        if !is_outermost || event.event_type == EventType::Progress {
            return;
        }
        if event.event_type == EventType::Started {
            own(&mut self.status, Some("running"));
        } else {
            self.status = Some(event.status.as_str().to_owned());
            self.ended_at = Some(event.timestamp);
            self.cost_usd = event.performance.cost_usd;
            self.input_tokens = event.performance.input_tokens;
            self.output_tokens = event.performance.output_tokens;
            let failed = event.event_type == EventType::Failed;
            self.error = event.message.as_deref().filter(|_| failed).map(str::to_owned);
        }
        self.name = Some(event.component_id.to_string());
    }

    /// The same run as another part of its events tells of it: this part is the later.
    fn join(mut self, earlier: StoredRun) -> StoredRun {
        self.started_at = self.started_at.min(earlier.started_at);
        self.seen_at = self.seen_at.max(earlier.seen_at);
        if self.ended_at.is_none() {
            (self.ended_at, self.status) = (earlier.ended_at, earlier.status.or(self.status));
            self.cost_usd = earlier.cost_usd;
            (self.input_tokens, self.output_tokens) = (earlier.input_tokens, earlier.output_tokens);
            self.error = earlier.error;
        }
        self.name = earlier.name.or(self.name);
        self.user_id = earlier.user_id.or(self.user_id);
        self.feature = earlier.feature.or(self.feature);
        self.task_id = earlier.task_id.or(self.task_id);
        self.conversation_id = earlier.conversation_id.or(self.conversation_id);
        self.service = earlier.service.or(self.service);
        self.events += earlier.events;
        let later = std::mem::replace(&mut self.agents, earlier.agents);
        for agent in later {
            if !self.agents.contains(&agent) {
                self.agents.push(agent);
            }
        }
        self
    }
}

/// Adds runs to what is known of them already.
pub fn save(transaction: &Transaction<'_>, runs: impl Iterator<Item = StoredRun>) -> rusqlite::Result<()> {
    let mut known = transaction.prepare(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?;
    let mut put = transaction.prepare(&format!(
        "INSERT OR REPLACE INTO runs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for run in runs {
        let run = match known.query_row([&run.id], read).optional()? {
            Some(earlier) => run.join(earlier),
            None => run,
        };
        put.execute(params![
            run.id,
            run.started_at.as_micros(),
            run.seen_at.as_micros(),
            run.ended_at.map(Timestamp::as_micros),
            run.name,
            run.status,
            run.user_id,
            run.feature,
            run.task_id,
            run.conversation_id,
            run.service,
            run.error,
            serde_json::to_string(&run.agents).unwrap_or_default(),
            run.events as i64,
            run.cost_usd,
            run.input_tokens.map(|tokens| tokens as i64),
            run.output_tokens.map(|tokens| tokens as i64),
        ])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|micros| micros.map(Timestamp::from_micros));
    let tokens = |at: usize| row.get::<_, Option<i64>>(at).map(|tokens| tokens.map(|tokens| tokens as u64));
    Ok(StoredRun {
        id: row.get(0)?,
        started_at: time(1)?.unwrap_or_default(),
        seen_at: time(2)?.unwrap_or_default(),
        ended_at: time(3)?,
        name: row.get(4)?,
        status: row.get(5)?,
        user_id: row.get(6)?,
        feature: row.get(7)?,
        task_id: row.get(8)?,
        conversation_id: row.get(9)?,
        service: row.get(10)?,
        error: row.get(11)?,
        agents: serde_json::from_str(&row.get::<_, String>(12)?).unwrap_or_default(),
        events: row.get::<_, i64>(13)? as u64,
        cost_usd: row.get(14)?,
        input_tokens: tokens(15)?,
        output_tokens: tokens(16)?,
    })
}

/// Runs that began before a time and id, the latest first.
///
/// A run over midnight is in two files, so one file more is read than there must be; one that takes more than two days may
/// be listed with a later part of it only.
pub fn list(
    directory: &Path,
    before: (Timestamp, &str),
    limit: usize,
    is_wanted: impl Fn(&StoredRun) -> bool,
    deadline: Instant,
) -> Result<Vec<StoredRun>, String> {
    let is_listed = |run: &StoredRun| (run.started_at, &*run.id) < before && is_wanted(run);
    let mut known: HashMap<String, StoredRun> = HashMap::new();
    let files = files::all(directory).map_err(|error| format!("history {}: {error}", directory.display()))?;
    let mut has_enough = false;
    for (_, path) in files.iter().rev() {
        let runs = day::open_to_read(path, deadline).and_then(|connection| of_day(&connection));
        for run in runs.map_err(|error| broken(path, &error))? {
            let whole = match known.remove(&run.id) {
                Some(later) => later.join(run),
                None => run,
            };
            known.insert(whole.id.clone(), whole);
        }
        if has_enough {
            break;
        }
        has_enough = known.values().filter(|run| is_listed(run)).count() > limit;
    }
    let mut found: Vec<StoredRun> = known.into_values().filter(|run| is_listed(run)).collect();
    found.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
    found.truncate(limit);
    Ok(found)
}

fn of_day(connection: &Connection) -> rusqlite::Result<Vec<StoredRun>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM runs"))?;
    statement.query_map([], read)?.collect()
}

/// One run, of all its days.
pub fn one(directory: &Path, id: &str) -> Result<Option<StoredRun>, String> {
    let deadline = Instant::now() + History::PATIENCE;
    let mut found: Option<StoredRun> = None;
    for (_, path) in files::all(directory).map_err(|error| error.to_string())?.iter().rev() {
        let run = day::open_to_read(path, deadline).and_then(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
            connection.query_row(&sql, [id], read).optional()
        });
        let run = run.map_err(|error| broken(path, &error))?;
        found = match (found, run) {
            (Some(later), Some(run)) => Some(later.join(run)),
            (found, run) => found.or(run),
        };
    }
    Ok(found)
}
