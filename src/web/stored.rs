//! Runs that have left memory, as history knows them.

use axum::http::StatusCode;
use axum::response::Response;

use super::api::{ok, refuse};
use super::{State, json};
use crate::auth::Principal;
use crate::derive::RunSummary;
use crate::event::{JsonObject, Timestamp, push_str};
use crate::history::StoredRun;

/// Runs in memory and in history, in one order.
#[derive(Debug)]
pub struct Listed {
    runs: Vec<Entry>,
    next: Option<String>,
}

#[derive(Debug)]
enum Entry {
    InMemory(Box<RunSummary>),
    Stored(Box<StoredRun>),
}

impl Entry {
    fn place(&self) -> (Timestamp, &str) {
        match self {
            Entry::InMemory(run) => (run.started_at, &run.id),
            Entry::Stored(run) => (run.started_at, &run.id),
        }
    }
}

/// The latest of the runs in memory and of those that are in history only.
pub fn runs_besides(
    state: &State,
    in_memory: Vec<RunSummary>,
    before: (Timestamp, &str),
    limit: usize,
    is_wanted: impl Fn(&StoredRun) -> bool,
) -> Result<Listed, String> {
    let mut runs: Vec<Entry> = in_memory.into_iter().map(|run| Entry::InMemory(Box::new(run))).collect();
    if let Some(history) = &state.history
        && runs.len() <= limit
    {
        // One that memory knows is known there better, also when it does not fit.
        let is_gone = |run: &StoredRun| state.connector.read(|core| core.deriver.traces_of(&run.id)).is_none();
        let stored = history.runs(before, limit + 1, |run| is_wanted(run) && is_gone(run))?;
        runs.extend(stored.into_iter().map(|run| Entry::Stored(Box::new(run))));
    }
    runs.sort_by(|a, b| b.place().cmp(&a.place()));
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| more).map(|run| format!("{}-{}", run.place().0.as_micros(), run.place().1));
    Ok(Listed { runs, next })
}

impl Listed {
    /// As the API answers.
    pub fn into_json(self) -> Vec<u8> {
        json::object(|object| {
            json::list(object.key("runs"), &self.runs, |out, run| {
                let mut entry = JsonObject::begin(out);
                match run {
                    Entry::InMemory(run) => json::write_summary(&mut entry, run),
                    Entry::Stored(run) => write(&mut entry, run),
                }
                entry.end();
            });
            object.opt_str("next", self.next.as_deref());
        })
    }
}

/// `GET /api/v1/runs/{id}` of a run that has left memory: what its events come to, and where they are. There is no tree.
pub fn run(state: &State, who: &Principal, id: &str) -> Option<Response> {
    match state.history.as_ref()?.run(id) {
        Ok(run) => run.filter(|run| may_see(who, run)).map(|run| ok(json::object(|object| write(object, &run)))),
        Err(message) => Some(refuse(StatusCode::INTERNAL_SERVER_ERROR, &message)),
    }
}

/// Whether somebody may see a run.
pub fn may_see(who: &Principal, run: &StoredRun) -> bool {
    who.may_see_run(run.user_id.as_deref(), run.agents.iter().map(String::as_str))
}

/// How it stands: one whose end was never told is lost, since it has left memory.
pub fn status(run: &StoredRun) -> &str {
    run.status.as_deref().filter(|status| *status != "running").unwrap_or("lost")
}

fn write(object: &mut JsonObject<'_>, run: &StoredRun) {
    object.str("id", &run.id);
    object.bool("stored", true);
    object.str("name", run.name.as_deref().or(run.agents.first().map(String::as_str)).unwrap_or(&run.id));
    object.str("status", status(run));
    object.display("started_at", run.started_at);
    if let Some(ended_at) = run.ended_at {
        object.display("ended_at", ended_at);
        object.f64("duration_ms", json::millis(run.started_at, ended_at));
    }
    object.opt_str("service", run.service.as_deref());
    object.opt_str("conversation_id", run.conversation_id.as_deref());
    object.opt_str("user_id", run.user_id.as_deref());
    object.opt_str("feature", run.feature.as_deref());
    object.opt_str("task_id", run.task_id.as_deref());
    json::list(object.key("agents"), &run.agents, |out, agent| push_str(out, agent));
    object.opt_str("error", run.error.as_deref());
    object.u64("events", run.events);
    object.str("events_at", &format!("/api/v1/runs/{}/events", run.id));
    let mut figures = JsonObject::begin(object.key("figures"));
    figures.opt_f64("cost_usd", run.cost_usd);
    figures.opt_u64("input_tokens", run.input_tokens);
    figures.opt_u64("output_tokens", run.output_tokens);
    figures.end();
}
