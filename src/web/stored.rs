//! Runs that have left memory, as history knows them: in the list of runs, and each told again by its events.

use std::time::Instant;

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
use crate::history::{Began, History, StoredRun};

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

/// The latest of the runs in memory, which come the latest first, and of those that are in history only, as far as there is
/// time to find out which are wanted.
pub fn runs_besides(
    state: &State,
    in_memory: Vec<RunSummary>,
    began: Began<'_>,
    limit: usize,
    mut is_wanted: impl FnMut(&RunSummary) -> Result<bool, String>,
) -> Result<Listed, String> {
    let deadline = Instant::now() + History::PATIENCE;
    let (mut runs, mut looked_to) = (Vec::new(), None);
    for run in in_memory {
        let entry = Entry { run, is_stored: false };
        if Instant::now() > deadline {
            looked_to = Some((entry.run.started_at, entry.run.id.to_string()));
        }
        if is_wanted(&entry.run)? {
            runs.push(entry);
        }
        if runs.len() > limit || looked_to.is_some() {
            break;
        }
    }
    if let Some(history) = &state.history {
        // Where memory has enough, none that began before the last of these is shown.
        let enough = runs.get(limit).map(|last: &Entry| last.run.started_at);
        let began = Began { since: began.since.max(enough), ..began };
        // One that memory knows is known there better, also when it does not fit.
        let is_gone = |id: &str| state.connector.read(|core| core.deriver.traces_of(id)).is_none();
        let listed = history.runs(began, limit + 1, is_gone, |run| is_wanted(&run.summary()), deadline)?;
        runs.extend(listed.runs.iter().map(|run| Entry { run: run.summary(), is_stored: true }));
        looked_to = looked_to.max(listed.looked_to);
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
