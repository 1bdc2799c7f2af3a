//! The HTTP API: what a client may ask, checked, and what it is answered.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::json::Tree;
use super::{Scrape, Shared, State, json, stored};
use crate::auth::Principal;
use crate::blocking::off_worker;
use crate::derive::cost::{By, parse_window};
use crate::derive::{RunStatus, RunSummary};
use crate::event::{Filter, Timestamp};
use crate::history::{Began, Mentions};
use crate::hub::{Hub, Page};
use crate::measure::{Dimension, Measure};
use crate::nearest::nearest;

/// Who asks.
pub type Who = Extension<Principal>;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the pipelines really move.
pub async fn readyz(state: Shared) -> Response {
    match (state.unready)() {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

/// `GET /metrics`
pub async fn metrics_text(state: Shared, headers: HeaderMap) -> Response {
    scraped(&state.scrape, &headers)
}

/// All metrics as a scraper with these headers wants them.
pub fn scraped(scrape: &Scrape, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (content_type, pieces) = off_worker(|| scrape(accept));
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// `POST /v1/events`
pub async fn post_events(state: Shared, request: Request) -> Response {
    (state.post_events)(request).await
}

/// `GET /api/v1/ledger`
pub async fn ledger(state: Shared, who: Who, RawQuery(query): RawQuery) -> Response {
    let mut query = Query::parse(query.as_deref());
    let by = query.take("by").unwrap_or_else(|| "model".into());
    let Some(by) = By::parse(&by) else {
        return bad(&no_word("by", &by, By::WORDS));
    };
    let window = query.take("window").unwrap_or_else(|| "all".into());
    let since = match parse_window(&window) {
        Ok(window) => window.map(|window| Timestamp::now().minus(window)),
        Err(message) => return bad(&message),
    };
    let explains = match query.take("explain").as_deref() {
        None | Some("false") => false,
        Some("true" | "") => true,
        Some(other) => return bad(&no_word("explain", other, &["true", "false"])),
    };
    if let Some(answer) = query.unknown(&["by", "window", "explain"]) {
        return answer;
    }
    let (report, provisional) = state.connector.read(|core| match who.sees_all() {
        true => (core.deriver.ledger(by, since), core.deriver.is_provisional()),
        false => core.deriver.ledger_of(by, since, |run| may_see(&who, run)),
    });
    ok(json::ledger((by, &window), &report, (provisional, !who.sees_all()), explains))
}

/// `GET /api/v1/metrics`
pub async fn summary(state: Shared, RawQuery(query): RawQuery) -> Response {
    let mut query = Query::parse(query.as_deref());
    let window = query.take("window").unwrap_or_else(|| "1h".into());
    let duration = match parse_window(&window) {
        Ok(Some(duration)) => duration,
        // Nothing is kept for longer.
        Ok(None) => Measure::LONGEST_WINDOW,
        Err(message) => return bad(&message),
    };
    let window = if window == "all" { "24h".to_owned() } else { window };
    let by = match query.take("by") {
        None => None,
        Some(by) => match Dimension::parse(&by) {
            Some(by) => Some(by),
            None => return bad(&no_word("by", &by, &["agent", "feature", "model", "tool"])),
        },
    };
    if let Some(answer) = query.unknown(&["by", "window"]) {
        return answer;
    }
    let now = Timestamp::now();
    ok(state.connector.read(|core| {
        let (total, first_work) = (core.measure.summary(duration, now), core.measure.first_work(duration, now));
        let rows = by.map(|by| core.measure.summary_by(by, duration, now)).unwrap_or_default();
        json::summary(&window, (&total, &rows), (first_work, now), &core.measure.firing())
    }))
}

/// `GET /api/v1/runs`
pub async fn runs(state: Shared, who: Who, RawQuery(query): RawQuery) -> Response {
    let mut query = Query::parse(query.as_deref());
    let limit = match query.take_number("limit", 50, 1000) {
        Ok(limit) => limit,
        Err(message) => return bad(&message),
    };
    let cursor = query.take("cursor");
    let filter = match RunFilter::parse(query, Timestamp::now()) {
        Ok(filter) => filter,
        Err(message) => return bad(&message),
    };
    let is_wanted = |run: &RunSummary| may_see(&who, run) && filter.accepts(run);
    // By time and id, so that a run which has left memory since is still a place in the list.
    let before = match cursor.as_deref().map(|cursor| (cursor, cursor.split_once('-'))) {
        None => (filter.until.unwrap_or(Began::EVER.before.0), String::new()),
        Some((_, Some((time, id)))) if time.parse::<i64>().is_ok() => {
            (Timestamp::from_micros(time.parse().unwrap_or(i64::MAX)), id.to_owned())
        }
        Some((cursor, _)) => return bad(&format!("`cursor={cursor}` is none that was given out")),
    };
    let mut found = state.connector.read(|core| core.deriver.summaries(is_wanted));
    found.retain(|run| (run.started_at, &*run.id) < (before.0, &*before.1));
    let began = Began { since: filter.since, before: (before.0, &before.1) };
    let look = || {
        let mut text = WantedText::of(&state, &who, &filter)?;
        stored::runs_besides(&state, found, began, limit, |run| Ok(is_wanted(run) && text.is_in(run)?))
    };
    // It waits for the disk.
    match off_worker(look) {
        Ok(listed) => ok(listed.into_json()),
        Err(message) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &message),
    }
}

/// `GET /api/v1/runs/{id}`
pub async fn run(state: Shared, who: Who, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    let mut query = Query::parse(query.as_deref());
    let form = match query.take("tree").as_deref() {
        None | Some("nested") => Tree::Nested,
        Some("columns") => Tree::Columns,
        Some(other) => return bad(&no_word("tree", other, &["nested", "columns"])),
    };
    if let Some(answer) = query.unknown(&["tree"]) {
        return answer;
    }
    match state.connector.read(|core| core.deriver.tree(&id)).filter(|tree| may_see(&who, &tree.summary)) {
        Some(tree) => ok(json::run(&tree, form, None)),
        None => stored::run(&state, &who, &id, form).unwrap_or_else(|| no_run(&id)),
    }
}

/// `GET /api/v1/now`
pub async fn now(state: Shared, who: Who) -> Response {
    const MOST: usize = 100;
    let (running, more) = state.connector.read(|core| core.deriver.now(MOST, |run| may_see(&who, run)));
    ok(json::now(&running, more, Timestamp::now()))
}

/// `GET /api/v1/runs/{id}/ledger`
pub async fn run_ledger(state: Shared, who: Who, Path(id): Path<String>) -> Response {
    let calls = state.connector.read(|core| {
        let tree = if who.sees_all() { None } else { Some(core.deriver.tree(&id)?) };
        let visible = tree.is_none_or(|tree| may_see(&who, &tree.summary));
        if visible { core.deriver.calls(&id) } else { None }
    });
    match calls {
        Some(calls) => ok(json::run_ledger(&id, &calls)),
        None => stored::ledger(&state, &who, &id).unwrap_or_else(|| no_run(&id)),
    }
}

/// `GET /api/v1/runs/{id}/events`
pub async fn run_events(state: Shared, who: Who, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    let mut query = Query::parse(query.as_deref());
    // All of them are found by their run, wherever they are.
    if state.history.is_some() && !query.0.iter().any(|(key, _)| key == "from") {
        query.0.push(("from".into(), "0".into()));
    }
    query.0.push(("execution".into(), id));
    page(&state, &who, query)
}

/// `GET /api/v1/events`
pub async fn events(state: Shared, who: Who, RawQuery(query): RawQuery) -> Response {
    page(&state, &who, Query::parse(query.as_deref()))
}

/// Whether somebody may see a run.
pub fn may_see(who: &Principal, run: &RunSummary) -> bool {
    who.may_see_run(run.user_id.as_deref(), run.agents.iter().map(|agent| &**agent))
}

fn page(state: &Shared, who: &Principal, mut query: Query) -> Response {
    // Who asks since when wants to know, wherever it is.
    let is_of_history = state.history.is_some() && query.0.iter().any(|(key, _)| key == "since" || key == "until");
    let in_memory = if is_of_history { 0 } else { usize::try_from(state.hub.first()).unwrap_or(usize::MAX) };
    let numbers = query
        .take_number("from", in_memory, usize::MAX)
        .and_then(|from| Ok((from, query.take_number("limit", 100, 1000)?)));
    let (from, limit) = match numbers {
        Ok(numbers) => numbers,
        Err(message) => return bad(&message),
    };
    match Filter::from_pairs(query.pairs(), Timestamp::now()) {
        Ok(filter) => ok(json::events(&state.hub, &look_for(&state.hub, from as u64, limit, &who.limit(filter)))),
        Err(error) => bad(&error.to_string()),
    }
}

/// Events that fit, and those on disk are looked through for some time: then `next` says how far that was.
fn look_for(hub: &Hub, from: u64, limit: usize, filter: &Filter) -> Page {
    const PATIENCE: Duration = Duration::from_secs(2);
    let begin = Instant::now();
    let mut page = hub.read(from, limit, filter);
    while page.events.len() < limit && page.next < hub.head() && begin.elapsed() < PATIENCE {
        let more = hub.read(page.next, limit - page.events.len(), filter);
        let is_stuck = more.next == page.next;
        // A second gap is said to whoever goes on from before it.
        if is_stuck || (more.gap.is_some() && !page.events.is_empty()) {
            break;
        }
        page.gap = page.gap.map_or(more.gap, |(from, to)| Some((from, more.gap.map_or(to, |(_, to)| to))));
        page.next = more.next;
        page.events.extend(more.events);
    }
    page
}

/// Everything else.
pub async fn not_found(uri: Uri) -> Response {
    refuse(StatusCode::NOT_FOUND, &format!("there is no {}; GET / lists what there is", uri.path()))
}

/// Which runs a client wants to see: those of event filters that make sense for runs.
#[derive(Debug, Default)]
struct RunFilter {
    statuses: Vec<String>,
    agents: Vec<String>,
    features: Vec<String>,
    tasks: Vec<String>,
    conversations: Vec<String>,
    users: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    text: Option<String>,
}

impl RunFilter {
    const FIELDS: &'static [&'static str] =
        &["status", "agent", "feature", "task", "conversation", "user", "since", "until", "q", "limit", "cursor"];

    fn parse(query: Query, now: Timestamp) -> Result<RunFilter, String> {
        let time = |value: &str| {
            let ago = crate::duration::parse(value).ok().map(|ago| now.minus(ago));
            ago.or_else(|| Timestamp::parse(value))
                .ok_or_else(|| format!("`{value}` is neither RFC 3339 nor a duration"))
        };
        let mut filter = RunFilter::default();
        for (field, value) in query.0 {
            match field.as_str() {
                "status" if RunStatus::WORDS.contains(&value.as_str()) => filter.statuses.push(value),
                "status" => return Err(no_word("status", &value, RunStatus::WORDS)),
                "agent" => filter.agents.push(value),
                "feature" => filter.features.push(value),
                "task" => filter.tasks.push(value),
                "conversation" => filter.conversations.push(value),
                "user" => filter.users.push(value),
                "since" => filter.since = Some(time(&value)?),
                "until" => filter.until = Some(time(&value)?),
                "q" => filter.text = Some(value.to_lowercase()),
                unknown => return Err(unknown_parameter(unknown, RunFilter::FIELDS)),
            }
        }
        Ok(filter)
    }

    /// Whether it takes a run, wherever its text is.
    fn accepts(&self, run: &RunSummary) -> bool {
        let one = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        };
        one(&self.statuses, Some(run.status.as_str()))
            && (self.agents.is_empty() || run.agents.iter().any(|agent| one(&self.agents, Some(agent))))
            && one(&self.features, run.feature.as_deref())
            && one(&self.tasks, run.task_id.as_deref())
            && one(&self.conversations, run.conversation_id.as_deref())
            && one(&self.users, run.user_id.as_deref())
            && self.since.is_none_or(|since| run.started_at >= since)
            && self.until.is_none_or(|until| run.started_at < until)
    }
}

/// The text that is looked for: in the names of a run and its agents, and in what happened, as history knows it.
struct WantedText<'a> {
    text: Option<&'a str>,
    mentions: Option<Mentions<'a>>,
}

impl<'a> WantedText<'a> {
    fn of(state: &'a State, who: &Principal, filter: &'a RunFilter) -> Result<WantedText<'a>, String> {
        let text = filter.text.as_deref();
        let mentions = state.history.as_ref().zip(text).map(|(history, text)| {
            let filter = Filter::from_pairs([("q", text)], Timestamp::default()).unwrap_or_default();
            history.mentions(who.limit(filter))
        });
        Ok(WantedText { text, mentions: mentions.transpose()? })
    }

    fn is_in(&mut self, run: &RunSummary) -> Result<bool, String> {
        let Some(text) = self.text else { return Ok(true) };
        let agents = run.agents.iter().map(|agent| agent.to_lowercase());
        if agents.chain([run.name.to_lowercase(), run.id.to_string()]).any(|name| name.contains(text)) {
            return Ok(true);
        }
        self.mentions.as_mut().map_or(Ok(false), |mentions| mentions.has(&run.id, (run.started_at, run.ended_at)))
    }
}

/// A query string, read once.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of the part of a URL behind the question mark.
    pub fn parse(query: Option<&str>) -> Query {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Query(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    /// Takes a parameter out.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    fn take_number(&mut self, key: &str, default: usize, most: usize) -> Result<usize, String> {
        let Some(text) = self.take(key) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| format!("`{key}={text}` is no number up to {most}"))
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The answer to a request with parameters that nobody asked for.
    pub fn unknown(&self, known: &[&'static str]) -> Option<Response> {
        self.0.first().map(|(key, _)| bad(&unknown_parameter(key, known)))
    }
}

/// What is wrong with a parameter that takes one of a few words.
fn no_word(key: &str, value: &str, words: &[&'static str]) -> String {
    let hint = nearest(value, words.iter().copied()).map(|meant| format!("; did you mean `{meant}`?"));
    format!("`{key}={value}` is not one of {}{}", words.join(", "), hint.unwrap_or_default())
}

fn unknown_parameter(key: &str, known: &[&'static str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("there is no parameter `{key}`; did you mean `{meant}`?"),
        None => format!("there is no parameter `{key}`; there are {}", known.join(", ")),
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The answer to a question about a run that is not there.
pub fn no_run(id: &str) -> Response {
    refuse(StatusCode::NOT_FOUND, &format!("no run `{id}` is known; `spanlight runs` and GET /api/v1/runs list them"))
}

pub fn bad(message: &str) -> Response {
    refuse(StatusCode::BAD_REQUEST, message)
}

/// An answer that says what is wrong.
pub fn refuse(status: StatusCode, message: &str) -> Response {
    answer(status, json::error(message))
}

/// An answer in JSON.
pub fn ok(body: Vec<u8>) -> Response {
    answer(StatusCode::OK, body)
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
