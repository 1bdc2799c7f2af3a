//! Runs as their events tell of them, so that they can be listed when they have left memory.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use super::stored::{Field, Narrow};
use super::{Shared, is_within};
use crate::derive::cost::{Figures, Unpriced};
use crate::derive::{RunStatus, RunSummary};
use crate::dialect::DIALECTS;
use crate::event::{Data, EventType, Scope, Timestamp};

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
    /// In which session.
    pub session_id: Option<String>,
    /// By which service.
    pub service: Option<String>,
    /// In which dialect that tells of it.
    pub dialect: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Its agents, in the order in which they were told of.
    pub agents: Vec<String>,
    /// How many events there are.
    pub events: u64,
    /// What its calls of models and tools come to.
    pub figures: Figures,
    /// What the end of its outermost work says that it cost, for runs of whose calls none has a price.
    pub told_usd: Option<f64>,
}

/// When the runs began that are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Began<'a> {
    /// Not before this, if it is said.
    pub since: Option<Timestamp>,
    /// Before this time, and of those that began at this time the ones whose ids are before this id.
    pub before: (Timestamp, &'a str),
}

/// Some runs, and where to go on.
#[derive(Debug, Default)]
pub struct Listed {
    /// The runs, the latest first.
    pub runs: Vec<StoredRun>,
    /// The last place that was looked at, if there was no time for more.
    pub looked_to: Option<(Timestamp, String)>,
}

impl Began<'_> {
    /// At any time.
    pub const EVER: Began<'static> = Began { since: None, before: (Timestamp::from_micros(i64::MAX), "") };
}

const COLUMNS: &str = "id, started, seen, ended, name, status, user, feature, task, conversation, session, service, \
                       dialect, error, agents, events, figures, told_usd";

impl StoredRun {
    /// A run of which the first event is yet to be absorbed, and when that happened.
    pub fn new(id: &str, at: Timestamp) -> StoredRun {
        StoredRun {
            id: id.to_owned(),
            started_at: at,
            seen_at: at,
            ended_at: None,
            name: None,
            status: None,
            user_id: None,
            feature: None,
            task_id: None,
            conversation_id: None,
            session_id: None,
            service: None,
            dialect: None,
            error: None,
            agents: Vec::new(),
            events: 0,
            figures: Figures::default(),
            told_usd: None,
        }
    }

    /// What an event adds.
    pub(super) fn absorb(&mut self, event: &Narrow<'_>) {
        self.events += 1;
        self.started_at = self.started_at.min(event.time);
        self.seen_at = self.seen_at.max(event.time);
        for (known, field) in [
            (&mut self.user_id, Field::User),
            (&mut self.feature, Field::Feature),
            (&mut self.task_id, Field::Task),
            (&mut self.conversation_id, Field::Conversation),
            (&mut self.session_id, Field::Session),
            (&mut self.service, Field::Service),
            (&mut self.dialect, Field::Dialect),
        ] {
            if known.is_none() {
                *known = event.text(field).map(str::to_owned);
            }
        }
        if let Some(agent) = event.text(Field::Agent)
            && !self.agents.iter().any(|known| known == agent)
        {
            self.agents.push(agent.to_owned());
        }
        if event.is_of_life() {
            self.absorb_life(event);
        }
    }

    fn absorb_life(&mut self, event: &Narrow<'_>) {
        let (scope, event_type) = (event.scope, event.event_type);
        if matches!(event_type, EventType::Completed | EventType::Failed | EventType::Canceled) {
            self.figures.add(&figures_of(event));
        }
        let is_named = matches!(scope, Scope::Workflow | Scope::Agent);
        // A call by itself is a run as well, and decides how it went unless something around it is known.
        let is_outermost = !event.has_parent && (is_named || self.name.is_none());
        if !is_outermost || event_type == EventType::Progress {
            return;
        }
        if event_type == EventType::Started {
            self.status.get_or_insert_with(|| RunStatus::Running.as_str().to_owned());
        } else {
            self.status = Some(event.status.as_str().to_owned());
            self.ended_at = Some(event.time);
            let failed = event_type == EventType::Failed;
            self.error = event.text(Field::Message).filter(|_| failed).map(str::to_owned);
            self.told_usd = event.performance().cost_usd.or(self.told_usd);
        }
        if is_named {
            self.name = Some(event.component_id());
        }
    }

    /// The same run as another part of its events tells of it: this part is the later.
    fn join(mut self, earlier: StoredRun) -> StoredRun {
        self.started_at = self.started_at.min(earlier.started_at);
        self.seen_at = self.seen_at.max(earlier.seen_at);
        if self.ended_at.is_none() {
            (self.ended_at, self.status) = (earlier.ended_at, earlier.status.or(self.status));
            self.error = earlier.error;
        }
        self.name = earlier.name.or(self.name);
        self.user_id = earlier.user_id.or(self.user_id);
        self.feature = earlier.feature.or(self.feature);
        self.task_id = earlier.task_id.or(self.task_id);
        self.conversation_id = earlier.conversation_id.or(self.conversation_id);
        self.session_id = earlier.session_id.or(self.session_id);
        self.service = earlier.service.or(self.service);
        self.dialect = earlier.dialect.or(self.dialect);
        self.events += earlier.events;
        self.figures.add(&earlier.figures);
        self.told_usd = self.told_usd.or(earlier.told_usd);
        let later = std::mem::replace(&mut self.agents, earlier.agents);
        for agent in later {
            if !self.agents.contains(&agent) {
                self.agents.push(agent);
            }
        }
        self
    }

    /// How it stands: one whose end was never told is lost, since it has left memory.
    pub fn run_status(&self) -> RunStatus {
        match self.status.as_deref() {
            Some("completed") => RunStatus::Completed,
            Some("failed") => RunStatus::Failed,
            Some("canceled") => RunStatus::Canceled,
            _ => RunStatus::Lost,
        }
    }

    /// The run as those in memory are listed.
    pub fn summary(&self) -> RunSummary {
        let name = |text: &Option<String>| text.as_deref().map(Arc::from);
        let dialect = DIALECTS.iter().map(|dialect| dialect.name);
        RunSummary {
            id: self.id.as_str().into(),
            name: name(&self.name)
                .or_else(|| self.agents.first().map(|agent| agent.as_str().into()))
                .or_else(|| name(&self.service))
                .unwrap_or_else(|| "run".into()),
            status: self.run_status(),
            started_at: self.started_at,
            ended_at: self.ended_at.or(Some(self.seen_at)),
            service: name(&self.service),
            dialect: dialect.into_iter().find(|known| self.dialect.as_deref() == Some(known)),
            conversation_id: name(&self.conversation_id),
            session_id: name(&self.session_id),
            user_id: name(&self.user_id),
            feature: name(&self.feature),
            task_id: name(&self.task_id),
            agents: self.agents.iter().map(|agent| agent.as_str().into()).collect(),
            figures: Figures { cost_usd: self.figures.cost_usd.or(self.told_usd), ..self.figures.clone() },
            error: name(&self.error),
            provisional: false,
            orphans: 0,
        }
    }
}

/// What the end of a piece of work adds to the figures of its run.
fn figures_of(event: &Narrow<'_>) -> Figures {
    let mut figures = Figures::default();
    let failed = u64::from(event.event_type != EventType::Completed);
    let performance = event.performance();
    match event.scope {
        Scope::LlmRequest if !event.says(r#""billed":false"#) => {
            figures.llm_failed = failed;
            if event.says(r#""operation":"embeddings""#) {
                (figures.embedding_calls, figures.embedding_tokens) = (1 - failed, performance.input_tokens);
            } else {
                figures.llm_calls = 1 - failed;
                enter_tokens(event, &mut figures);
            }
            enter_price(event, &mut figures);
        }
        Scope::Tool if !event.says(r#""counted":false"#) => {
            (figures.tool_calls, figures.tool_failed) = (1, u64::from(event.event_type == EventType::Failed));
        }
        Scope::Agent if !event.says(r#""counted":false"#) => {
            (figures.agent_runs, figures.agent_failed) = (1, failed);
            if event.says(r#""usage_promoted":true"#) {
                enter_tokens(event, &mut figures);
                enter_price(event, &mut figures);
            }
        }
        _ => {}
    }
    figures
}

fn enter_tokens(event: &Narrow<'_>, figures: &mut Figures) {
    let performance = event.performance();
    (figures.input_tokens, figures.output_tokens) = (performance.input_tokens, performance.output_tokens);
    figures.cache_read_tokens = performance.cache_read_tokens;
    figures.cache_write_tokens = performance.cache_write_tokens;
    figures.reasoning_tokens = performance.reasoning_tokens;
}

/// A call that failed before any token costs nothing that anyone could know.
fn enter_price(event: &Narrow<'_>, figures: &mut Figures) {
    let performance = event.performance();
    figures.cost_usd = performance.cost_usd;
    let has_tokens = performance.input_tokens.or(performance.output_tokens).is_some();
    let unpriced = |reason: &&Unpriced| event.says(&format!("\"unpriced\":\"{}\"", reason.as_str()));
    if (event.event_type == EventType::Completed || has_tokens)
        && performance.cost_usd.is_none()
        && let Some(reason) = Unpriced::ALL.iter().find(unpriced)
    {
        figures.unpriced_calls = 1;
        figures.unpriced[*reason as usize] = 1;
    }
}

/// Figures from the JSON that they were written as.
fn read_figures(json: &str) -> Figures {
    let said: Value = serde_json::from_str(json).unwrap_or_default();
    let count = |key: &str| said[key].as_u64();
    let mut figures = Figures {
        llm_calls: count("llm_calls").unwrap_or(0),
        llm_failed: count("llm_failed").unwrap_or(0),
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cache_read_tokens: count("cache_read_tokens"),
        cache_write_tokens: count("cache_write_tokens"),
        reasoning_tokens: count("reasoning_tokens"),
        cost_usd: said["cost_usd"].as_f64(),
        unpriced_calls: count("unpriced_calls").unwrap_or(0),
        embedding_calls: count("embedding_calls").unwrap_or(0),
        embedding_tokens: count("embedding_tokens"),
        tool_calls: count("tool_calls").unwrap_or(0),
        tool_failed: count("tool_failed").unwrap_or(0),
        agent_runs: count("agent_runs").unwrap_or(0),
        agent_failed: count("agent_failed").unwrap_or(0),
        ..Figures::default()
    };
    for reason in Unpriced::ALL {
        figures.unpriced[reason as usize] = said["unpriced"][reason.as_str()].as_u64().unwrap_or(0);
    }
    figures
}

/// Adds runs to what is known of them already.
pub fn save(transaction: &Transaction<'_>, runs: impl Iterator<Item = StoredRun>) -> rusqlite::Result<()> {
    let mut known = transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?;
    let mut put = transaction.prepare_cached(&format!(
        "INSERT OR REPLACE INTO runs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
            run.session_id,
            run.service,
            run.dialect,
            run.error,
            serde_json::to_string(&run.agents).unwrap_or_default(),
            run.events as i64,
            Data::build(|figures| run.figures.write(figures)).as_json(),
            run.told_usd,
        ])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|micros| micros.map(Timestamp::from_micros));
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
        session_id: row.get(10)?,
        service: row.get(11)?,
        dialect: row.get(12)?,
        error: row.get(13)?,
        agents: serde_json::from_str(&row.get::<_, String>(14)?).unwrap_or_default(),
        events: row.get::<_, i64>(15)? as u64,
        figures: read_figures(&row.get::<_, String>(16)?),
        told_usd: row.get(17)?,
    })
}

/// Runs that began within some time, the latest first. A run is in the file of each day on which it was at work, and is
/// listed with the first.
pub fn list(
    shared: &Shared,
    began: Began<'_>,
    limit: usize,
    (is_asked_for, mut is_wanted): (impl Fn(&str) -> bool, impl FnMut(&StoredRun) -> Result<bool, String>),
    deadline: Instant,
) -> Result<Listed, String> {
    let days = shared.days_within((None, None))?;
    let is_asked_about = is_within((began.since, Some(began.before.0)));
    // Of those who ask, most are content with the first runs that there are.
    let at_once = limit.clamp(20, 200);
    let mut listed = Listed::default();
    for (at, day) in days.iter().enumerate().rev().filter(|(_, day)| is_asked_about(day)) {
        let mut before = (began.before.0, began.before.1.to_owned());
        loop {
            let look = |connection: &Connection| {
                some_of_day(connection, Began { since: began.since, before: (before.0, &before.1) }, at_once)
            };
            let some = shared.read_day(day, look)?.unwrap_or_default();
            let is_all = some.len() < at_once;
            for run in some {
                before = (run.started_at, run.id.clone());
                // What other days add is read only of those that are asked for.
                if is_asked_for(&run.id)
                    && let Some(run) = from_first_day_on(shared, &days, at, run)?
                    && is_wanted(&run)?
                {
                    listed.runs.push(run);
                }
                if listed.runs.len() == limit {
                    return Ok(listed);
                }
                if Instant::now() > deadline {
                    listed.looked_to = Some(before);
                    return Ok(listed);
                }
            }
            if is_all {
                break;
            }
        }
    }
    Ok(listed)
}

/// A run with what later days add to it; nothing if it began on the day before.
fn from_first_day_on(shared: &Shared, days: &[String], at: usize, run: StoredRun) -> Result<Option<StoredRun>, String> {
    let of_day = |day: &String| shared.read_day(day, |connection| one_of_day(connection, &run.id));
    if let Some(day) = at.checked_sub(1).and_then(|before| days.get(before))
        && of_day(day)?.flatten().is_some()
    {
        return Ok(None);
    }
    let mut whole = run.clone();
    for day in &days[at + 1..] {
        let Some(later) = of_day(day)?.flatten() else { break };
        whole = later.join(whole);
    }
    Ok(Some(whole))
}

fn some_of_day(connection: &Connection, began: Began<'_>, limit: usize) -> rusqlite::Result<Vec<StoredRun>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs WHERE (started, id) < (?1, ?2) AND started >= ?3
         ORDER BY started DESC, id DESC LIMIT ?4"
    ))?;
    let since = began.since.map_or(i64::MIN, Timestamp::as_micros);
    statement.query_map(params![began.before.0.as_micros(), began.before.1, since, limit as i64], read)?.collect()
}

fn one_of_day(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoredRun>> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?.query_row([id], read).optional()
}

/// One run, of all its days.
pub fn one(shared: &Shared, id: &str) -> Result<Option<StoredRun>, String> {
    let mut found: Option<StoredRun> = None;
    for day in shared.days_within((None, None))? {
        let run = shared.read_day(&day, |connection| one_of_day(connection, id))?.flatten();
        found = match (found, run) {
            (Some(earlier), Some(run)) => Some(run.join(earlier)),
            (found, run) => found.or(run),
        };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of which each part was told apart from the others.
    fn told_in(parts: &[&str]) -> RunSummary {
        let at = Timestamp::default();
        let of = |part: &&str| {
            let mut run = StoredRun::new("r", at);
            for line in part.lines() {
                run.absorb(&Narrow::read(line).unwrap());
            }
            run
        };
        parts.iter().map(of).reduce(|earlier, later| later.join(earlier)).unwrap().summary()
    }

    #[test]
    fn what_the_outermost_work_says_that_it_cost_holds_its_calls() {
        let event = |name: &str, scope: &str, more: &str| {
            format!(
                r#"{{"event_id":"00000000-0000-8000-8000-000000000001","name":"{name}","scope":"{scope}","type":"completed","status":"completed","component_id":"a",
                "timestamp":"2026-11-21T10:00:00Z","source":{{"kind":"otlp"}}{more}}}"#
            )
            .replace('\n', " ")
        };
        let call = event(
            "llm.completed",
            "llm_request",
            r#","parent_span_id":"0000000000000001","performance":{"cost_usd":0.25}"#,
        );
        let root = event("workflow.completed", "workflow", r#","performance":{"cost_usd":0.25}"#);
        for parts in [vec![&*call, &*root], vec![&*root, &*call], vec![&*format!("{call}\n{root}")]] {
            assert_eq!(told_in(&parts).figures.cost_usd, Some(0.25), "{parts:?}");
        }
        assert_eq!(told_in(&[&root]).figures.cost_usd, Some(0.25), "of its calls none has a price");
    }
}
