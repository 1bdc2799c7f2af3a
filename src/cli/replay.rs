//! `spanlight replay`: recorded events again, at their pace: of a file, or of a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{encode, get, post, query};
use super::recorded::{self, Piece};
use super::show::full_id;
use super::signals::Signals;
use super::{Failure, Target};
use crate::console::{self, counted, event::in_short};
use crate::event::{Event, EventId, Filter, Source, SourceKind, Timestamp, TraceId, read_events};

/// `spanlight replay`
#[derive(Args, Debug)]
pub struct ReplayArgs {
    #[command(flatten)]
    target: Target,
    /// A file of events, a line each, or the id of a run that the collector has, or its beginning
    #[arg(value_name = "FILE|RUN")]
    what: String,
    /// How many times as fast as it was
    #[arg(long, value_name = "X", default_value = "1", value_parser = super::demo::speed)]
    speed: f64,
    /// Send the events to the web endpoint or OTLP/HTTP of a collector, instead of showing them
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Make them events of now with ids of their own, so that they are told as if they happened once more
    #[arg(long)]
    as_new: bool,
    /// Only events since: a time, or how long ago, such as 15m
    #[arg(long)]
    since: Option<String>,
    /// Only events until
    #[arg(long)]
    until: Option<String>,
}

/// Plays them, until interrupted.
pub async fn replay(args: ReplayArgs) -> Result<(), Failure> {
    let pairs = [("since", &args.since), ("until", &args.until)];
    let pairs = pairs.iter().filter_map(|(field, value)| Some((*field, value.as_deref()?)));
    let filter = Filter::from_pairs(pairs, Timestamp::now()).map_err(Failure::usage)?;
    let mut events = match Path::new(&args.what).is_file() || args.what == "-" {
        true => of_file(args.what.clone().into()).await?,
        false => of_run(&args.target, &args.what).await?,
    };
    events.retain(|event| filter.matches(event));
    events.sort_by_key(|event| event.timestamp);
    if events.is_empty() {
        return Err(Failure::new("there are no such events"));
    }
    let count = events.len() as u64;
    let mut signals = Signals::new()?;
    let to = tokio::select! {
        played = play(&args, events) => { played?; args.to.as_deref() },
        () = signals.next() => return Ok(()),
    };
    if let Some(to) = to {
        console::line(&format!("{} to {to}", counted(count, "event")));
    }
    Ok(())
}

async fn of_file(path: PathBuf) -> Result<Vec<Event>, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut events = Vec::new();
        recorded::read(&path, |line, piece| {
            let place = || format!("{}:{line}", path.display());
            match piece {
                Piece::Event(text) => {
                    events.extend(read(&text).map_err(|why| Failure::new(format!("{}: {why}", place())))?)
                }
                Piece::Otlp(..) => {
                    let remedy = "`spanlight import` takes it, and then its runs can be played";
                    return Err(Failure::new(format!("{}: this is OTLP; {remedy}", place())));
                }
                Piece::Broken(why) => return Err(Failure::new(format!("{}: {why}", place()))),
            }
            Ok(())
        })?;
        Ok(events)
    });
    reading.await.map_err(Failure::new)?
}

async fn of_run(target: &Target, id: &str) -> Result<Vec<Event>, Failure> {
    let id = full_id(target, id).await?;
    let (mut next, mut events) = (0u64, Vec::new());
    loop {
        let query = query(&[("from", Some(&next.to_string())), ("limit", Some("1000"))]);
        let page = get(target, &format!("/api/v1/runs/{}/events{query}", encode(&id))).await?;
        let found = page["events"].as_array().cloned().unwrap_or_default();
        for entry in &found {
            events.extend(read(&entry["event"].to_string()).map_err(Failure::new)?);
        }
        let before = std::mem::replace(&mut next, page["next"].as_u64().unwrap_or(0));
        if found.is_empty() && next <= before + 1000 {
            return Ok(events);
        }
    }
}

/// The events of a text; what follows from one of them is recorded as well.
fn read(text: &str) -> Result<Vec<Event>, String> {
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let events = read_events(text.as_bytes(), &source, Timestamp::now());
    events
        .into_iter()
        .map(|read| read.map_err(|error| error.to_string())?.into_iter().next().ok_or_else(String::new))
        .collect()
}

async fn play(args: &ReplayArgs, events: Vec<Event>) -> Result<(), Failure> {
    /// What is due at once is sent at once, but not too much of it.
    const AT_ONCE: usize = 500;
    let (first, begun, now) = (events[0].timestamp, Instant::now(), Timestamp::now());
    let mut again = Again { begun: now, first, speed: args.speed, ids: HashMap::new(), traces: HashMap::new() };
    let due = |event: &Event| {
        let micros = event.timestamp.micros_since(first) as f64 / args.speed;
        begun + Duration::from_micros(micros as u64)
    };
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        tokio::time::sleep_until(due(&event)).await;
        let mut together = vec![event];
        while together.len() < AT_ONCE
            && let Some(event) = events.next_if(|event| due(event) <= Instant::now())
        {
            together.push(event);
        }
        if args.as_new {
            together = together.into_iter().map(|event| again.renew(event)).collect();
        }
        match &args.to {
            Some(to) => send(&args.target, to, &together).await?,
            None => show(&together, args.target.json),
        }
        if !console::is_read() {
            break;
        }
    }
    Ok(())
}

fn show(events: &[Event], json: bool) {
    for event in events {
        match json {
            true => console::output(&event.to_json()),
            false => console::output(&in_short(event, console::colours(), console::width())),
        }
    }
}

async fn send(target: &Target, to: &str, events: &[Event]) -> Result<(), Failure> {
    let lines: Vec<String> = events.iter().map(Event::to_json).collect();
    let body = Bytes::from(format!("[{}]", lines.join(",")));
    let answer = post(target, to, "/v1/events?import=true", "application/json", body).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    match answer["rejected"].as_array().and_then(|rejected| rejected.first()) {
        Some(rejected) => Err(Failure::new(format!("not taken: {}", rejected["error"].as_str().unwrap_or_default()))),
        None => Ok(()),
    }
}

/// Makes events of before into events of now.
struct Again {
    begun: Timestamp,
    first: Timestamp,
    speed: f64,
    /// Names of executions, each with its new one.
    ids: HashMap<String, std::sync::Arc<str>>,
    traces: HashMap<TraceId, TraceId>,
}

impl Again {
    fn renew(&mut self, mut event: Event) -> Event {
        let since = event.timestamp.micros_since(self.first) as f64 / self.speed;
        event.timestamp = self.begun.plus(Duration::from_micros(since as u64));
        event.observed_at = Timestamp::now();
        event.event_id = EventId::new_random();
        if let Some(trace) = event.trace_id {
            let new = || TraceId::from_bytes(EventId::new_random().uuid().as_bytes()).unwrap_or(trace);
            event.trace_id = Some(*self.traces.entry(trace).or_insert_with(new));
        }
        if let Some(execution) = event.identity.execution_id.take() {
            // Where it is the trace, it is the new trace.
            let trace =
                TraceId::from_hex(&execution).and_then(|trace| self.traces.get(&trace)).map(ToString::to_string);
            let begun = self.begun.as_micros();
            let new = || trace.unwrap_or_else(|| format!("{execution}-{begun:x}")).into();
            event.identity.execution_id = Some(self.ids.entry(execution.to_string()).or_insert_with(new).clone());
        }
        event
    }
}
