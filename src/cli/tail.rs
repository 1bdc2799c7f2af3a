//! `spanlight tail`: events as they happen, without a gap across reconnects.

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;

use super::client::{refused, request};
use super::filter::EventFilter;
use super::signals::Signals;
use super::{Failure, Target};
use crate::console::{self, Style, event::in_short};
use crate::event::{Source, SourceKind, Timestamp, read_events};

/// `spanlight tail`
#[derive(Args, Debug)]
pub struct TailArgs {
    #[command(flatten)]
    target: Target,
    /// Begin with the events that are still in memory
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: EventFilter,
}

/// Shows events until interrupted, or until nobody reads them any more.
pub async fn tail(args: TailArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    tokio::select! {
        result = follow(&args) => result,
        () = signals.next() => Ok(()),
    }
}

/// A connection that breaks is made again, from the last event on.
async fn follow(args: &TailArgs) -> Result<(), Failure> {
    let path = path(args);
    let mut reader = Reader { json: args.target.json, ..Reader::default() };
    // A collector that is not there at first is a mistake; one that goes away comes back.
    listen(&args.target, &path, &mut reader).await?;
    while console::is_read() {
        console::line(&Style::Dim.paint("the connection broke; trying again", console::colours()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        while listen(&args.target, &path, &mut reader).await.is_err() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    Ok(())
}

fn path(args: &TailArgs) -> String {
    let from = if args.all { Some("0") } else { None };
    format!("/api/v1/stream{}", args.filter.query(&[("from", from)]))
}

async fn listen(target: &Target, path: &str, reader: &mut Reader) -> Result<(), Failure> {
    let resume: Vec<(&'static str, &str)> =
        reader.last_id.as_deref().map(|id| ("last-event-id", id)).into_iter().collect();
    let response = request(target, path, &resume).await?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        return Err(refused(status, &body));
    }
    reader.unread.clear();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            reader.take(data);
        }
        if !console::is_read() {
            break;
        }
    }
    Ok(())
}

/// Reads server-sent events and shows them.
#[derive(Debug, Default)]
struct Reader {
    json: bool,
    unread: Vec<u8>,
    last_id: Option<String>,
    kind: String,
    data: String,
}

impl Reader {
    fn take(&mut self, data: &[u8]) {
        self.unread.extend_from_slice(data);
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.last_id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push_str(value),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.is_empty() {
            return;
        }
        if kind == "gap" {
            let colours = console::colours();
            console::line(&Style::Yellow.paint(&format!("events are missing here: {data}"), colours));
            return;
        }
        if self.json {
            console::output(&data);
            return;
        }
        let event = serde_json::from_str::<serde_json::Value>(&data).map(|json| json["event"].to_string());
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let events = read_events(event.unwrap_or_default().as_bytes(), &source, Timestamp::now());
        // What follows from an event, such as a verdict, is in the stream as an event of its own.
        if let Some(event) = events.into_iter().flatten().flatten().next() {
            console::output(&in_short(&event, console::colours(), console::width()));
        }
    }
}
