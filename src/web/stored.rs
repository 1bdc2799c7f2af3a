//! Runs that have left memory, as history knows them: in the list of runs, and each told again by its events.

use axum::http::StatusCode;
use axum::response::Response;

use super::api::{may_see, ok, refuse};
use super::json::Tree;
use super::retold::Retold;
use super::{State, json};
use crate::auth::Principal;
use crate::blocking::off_worker;
use crate::derive::RunSummary;
use crate::event::{JsonObject, Timestamp};
use crate::history::{Began, StoredRun};

/// Runs in memory and in history, in one order.
#[derive(Debug)]
pub struct Listed {
    runs: Vec<Entry>,
    next: Option<String>,
}

#[derive(Debug)]
struct Entry {
    run: RunSummary,
    is_stored: bool,
}

impl Entry {
    fn place(&self) -> (Timestamp, &str) {
        (self.run.started_at, &self.run.id)
    }
}

/// The latest of the runs in memory and of those that are in history only.
pub fn runs_besides(
    state: &State,
    in_memory: Vec<RunSummary>,
    began: Began<'_>,
    limit: usize,
    is_wanted: impl Fn(&RunSummary) -> bool,
) -> Result<Listed, String> {
    let mut runs: Vec<Entry> = in_memory.into_iter().map(|run| Entry { run, is_stored: false }).collect();
    let mut looked_to = None;
    if let Some(history) = &state.history {
        // One that memory knows is known there better, also when it does not fit.
        let is_gone = |id: &str| state.connector.read(|core| core.deriver.traces_of(id)).is_none();
        let is_wanted = |run: &StoredRun| is_wanted(&run.summary());
        // It waits for the disk.
        let listed = off_worker(|| history.runs(began, limit + 1, is_gone, is_wanted))?;
        runs.extend(listed.runs.iter().map(|run| Entry { run: run.summary(), is_stored: true }));
        looked_to = listed.looked_to;
    }
    runs.sort_by(|a, b| b.place().cmp(&a.place()));
    if let Some((time, id)) = &looked_to {
        runs.retain(|run| run.place() >= (*time, id));
    }
    let more = runs.len() > limit;
    runs.truncate(limit);
    let place = |(time, id): (Timestamp, &str)| format!("{}-{id}", time.as_micros());
    let next = match more {
        true => runs.last().map(|run| place(run.place())),
        false => looked_to.as_ref().map(|(time, id)| place((*time, id))),
    };
    Ok(Listed { runs, next })
}

impl Listed {
    /// As the API answers.
    pub fn into_json(self) -> Vec<u8> {
        json::object(|object| {
            json::list(object.key("runs"), &self.runs, |out, entry| {
                let mut object = JsonObject::begin(out);
                json::write_summary(&mut object, &entry.run);
                if entry.is_stored {
                    object.bool("stored", true);
                }
                object.end();
            });
            object.opt_str("next", self.next.as_deref());
        })
    }
}

/// `GET /api/v1/runs/{id}` of a run that has left memory.
pub fn run(state: &State, who: &Principal, id: &str, form: Tree) -> Option<Response> {
    Some(match find(state, who, id)? {
        Ok(run) => off_worker(|| ok(json::run(&Retold::of(&state.hub, id).tree(&run), form, Some(run.events)))),
        Err(message) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &message),
    })
}

/// `GET /api/v1/runs/{id}/ledger` of a run that has left memory.
pub fn ledger(state: &State, who: &Principal, id: &str) -> Option<Response> {
    Some(match find(state, who, id)? {
        Ok(_) => off_worker(|| ok(json::run_ledger(id, &Retold::of(&state.hub, id).calls()))),
        Err(message) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &message),
    })
}

/// A run of history that somebody may see.
pub fn find(state: &State, who: &Principal, id: &str) -> Option<Result<StoredRun, String>> {
    let history = state.history.as_ref()?;
    match off_worker(|| history.run(id)) {
        Ok(run) => run.filter(|run| may_see(who, &run.summary())).map(Ok),
        Err(message) => Some(Err(message)),
    }
}
