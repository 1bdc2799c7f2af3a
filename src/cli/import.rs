//! `spanlight import`: recorded events and telemetry into a running collector.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{get, post};
use super::recorded::{self, Body, Piece};
use super::{Failure, Target};
use crate::console::{self, counted};
use crate::otlp::Signal;

/// `spanlight import`
#[derive(Args, Debug)]
pub struct ImportArgs {
    #[command(flatten)]
    target: Target,
    /// The OTLP/HTTP of the collector; without it, the one that it says it has
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Files of events or OTLP/JSON, a line each, or of OTLP protobuf; gzip and zstd are unpacked; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What became of what was read.
#[derive(Debug, Default)]
struct Outcome {
    events: u64,
    known: u64,
    requests: u64,
    rejected: u64,
}

/// Events on their way, each with its line.
#[derive(Debug, Default)]
struct Waiting {
    events: Vec<(u64, String)>,
    bytes: usize,
}

/// Takes all files in.
pub async fn import(args: ImportArgs) -> Result<(), Failure> {
    let mut import = Import { otlp: args.otlp.clone(), target: &args.target, outcome: Outcome::default() };
    for file in &args.files {
        import.file(file).await?;
    }
    let Outcome { events, known, requests, rejected } = import.outcome;
    if args.target.json {
        let said = json!({"events": events, "known": known, "requests": requests, "rejected": rejected});
        console::output(&said.to_string());
    } else {
        let mut said = Vec::new();
        if events > 0 || requests == 0 {
            said.push(counted(events, "event"));
        }
        if known > 0 {
            said.push(format!("{known} of them known already"));
        }
        if requests > 0 {
            said.push(format!("{} of OTLP", counted(requests, "request")));
        }
        console::output(&format!("Taken: {}", said.join(", ")));
    }
    match rejected {
        0 => Ok(()),
        rejected => Err(Failure::new(format!("{} not taken", counted(rejected, "piece")))),
    }
}

struct Import<'a> {
    target: &'a Target,
    otlp: Option<String>,
    outcome: Outcome,
}

impl Import<'_> {
    /// At most so many events at a time, and bytes of them.
    const AT_ONCE: usize = 1000;
    const BYTES: usize = 4 << 20;

    async fn file(&mut self, path: &Path) -> Result<(), Failure> {
        // A file is read on a thread of its own, no faster than it is sent.
        let (sender, mut pieces) = mpsc::channel(64);
        let of_reader = path.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            recorded::read(&of_reader, |line, piece| {
                sender.blocking_send((line, piece)).map_err(|_| Failure::new("it was not sent on"))
            })
        });
        let mut waiting = Waiting::default();
        while let Some((line, piece)) = pieces.recv().await {
            match piece {
                Piece::Event(text) => {
                    waiting.bytes += text.len();
                    waiting.events.push((line, text));
                }
                Piece::Otlp(signal, body) => {
                    self.send(path, &mut waiting).await?;
                    self.send_otlp(path, line, signal, body).await?;
                }
                Piece::Broken(why) => self.reject(path, line, &why),
            }
            if waiting.events.len() >= Import::AT_ONCE || waiting.bytes >= Import::BYTES {
                self.send(path, &mut waiting).await?;
            }
        }
        reading.await.map_err(Failure::new)??;
        self.send(path, &mut waiting).await
    }

    async fn send(&mut self, path: &Path, waiting: &mut Waiting) -> Result<(), Failure> {
        let Waiting { events, .. } = std::mem::take(waiting);
        if events.is_empty() {
            return Ok(());
        }
        // An array, because one event may be in several lines.
        let texts: Vec<&str> = events.iter().map(|(_, text)| text.trim().trim_end_matches(',')).collect();
        let body = Bytes::from(format!("[{}]", texts.join(",")));
        let sent = post(self.target, &self.target.url, "/v1/events?import=true", "application/json", body).await;
        let answer = match sent {
            // If not one of them is good, that is told as what makes no sense.
            Err(failure) if failure.is_usage() && events.len() == 1 => {
                self.reject(path, events[0].0, &failure.message);
                return Ok(());
            }
            sent => sent?,
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        self.outcome.events += answer["accepted"].as_u64().unwrap_or(0);
        self.outcome.known += answer["known"].as_u64().unwrap_or(0);
        for rejected in answer["rejected"].as_array().into_iter().flatten() {
            let line = rejected["index"].as_u64().and_then(|index| events.get(index as usize));
            self.reject(path, line.map_or(0, |(line, _)| *line), rejected["error"].as_str().unwrap_or("not taken"));
        }
        Ok(())
    }

    async fn send_otlp(&mut self, path: &Path, line: u64, signal: Signal, body: Body) -> Result<(), Failure> {
        let base = match &self.otlp {
            Some(base) => base.clone(),
            None => self.otlp.insert(receiver(self.target).await?).clone(),
        };
        let to = match signal {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        };
        let (content_type, body) = match body {
            Body::Json(body) => ("application/json", body),
            Body::Protobuf(body) => ("application/x-protobuf", body),
        };
        match post(self.target, &base, to, content_type, body).await {
            Ok(_) => self.outcome.requests += 1,
            Err(failure) if failure.is_usage() => self.reject(path, line, &failure.message),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Says what is wrong with a piece; of very many, some are enough.
    fn reject(&mut self, path: &Path, line: u64, why: &str) {
        const MOST: u64 = 20;
        self.outcome.rejected += 1;
        if self.outcome.rejected <= MOST {
            console::line(&console::safe(&format!("{}:{line}: {why}", path.display())));
        }
    }
}

/// Where a collector takes OTLP over HTTP, as it says itself.
async fn receiver(target: &Target) -> Result<String, Failure> {
    let health = get(target, "/api/v1/health").await?;
    let receivers = health["receivers"].as_array().into_iter().flatten();
    let mut http = receivers.filter(|receiver| receiver["transport"] == "http");
    let url = |receiver: &Value| {
        let scheme = if receiver["tls"] == true { "https" } else { "http" };
        Some(format!("{scheme}://{}", receiver["address"].as_str()?))
    };
    http.next()
        .and_then(url)
        .ok_or_else(|| Failure::new("the collector takes no OTLP over HTTP; --otlp names one that does"))
}
