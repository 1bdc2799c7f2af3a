//! JSON events over HTTP: one, an array, or NDJSON, native or in another system's envelope.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use hyper::body::Body;

use super::otlp::http::{JSON, decline, encoding, refuse};
use super::otlp::reply::{Answer, answer};
use super::otlp::{Format, Rejection, body};
use crate::event::{JsonObject, Source, SourceKind, Timestamp, push_str, read_events};
use crate::flow::{Gate, Held, SharedIntake};
use crate::health::{Health, Reception};

/// Where events come in: on the OTLP/HTTP port, and on the web endpoint.
pub struct Events {
    intake: SharedIntake,
    gate: Arc<Gate>,
    limit: usize,
    reception: Reception,
}

/// What became of the events of a request.
#[derive(Debug, Default)]
struct Outcome {
    accepted: usize,
    /// Of these, known and left out.
    known: usize,
    rejected: Vec<(usize, String)>,
}

impl Events {
    /// For one listener. `transport` is its name in metrics; `limit` is that of bodies, also unpacked, in bytes.
    pub fn new(
        receiver: &str,
        transport: &str,
        intake: SharedIntake,
        gate: Arc<Gate>,
        limit: usize,
        health: &Health,
    ) -> Events {
        Events { intake, gate, limit, reception: Reception::new(health, receiver, transport, "events") }
    }

    /// Where their requests are counted.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Answers a `POST`.
    pub async fn post<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error: Display> + Unpin,
    {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = content_type.and_then(Format::parse);
        if !self.intake.takes_events() {
            self.reception.unsupported.add(1);
            return decline(StatusCode::NOT_FOUND, format, "no pipeline of this collector takes events");
        }
        let encoding = match encoding(request.headers(), format) {
            Ok(encoding) => encoding,
            Err(answer) => {
                self.reception.unsupported.add(1);
                return *answer;
            }
        };
        let is_import = is_import(request.uri().query().unwrap_or_default());
        let taken = async {
            let mut held = self.gate.enter().map_err(Rejection::Overloaded)?;
            let body = body::read(request.into_body(), self.limit, 0, &mut held).await?;
            let body = body::unpack(body, encoding, self.limit, &mut held).await?;
            self.take(&body, is_import, &held).await
        };
        match taken.await {
            Ok(outcome) => answer(outcome.status(), JSON, outcome.to_json()),
            Err(rejection) => {
                rejection.count(&self.reception);
                refuse(&rejection, Format::Json)
            }
        }
    }

    /// Takes the events of a body over. One bad event loses nothing but itself.
    async fn take(&self, body: &[u8], is_import: bool, held: &Held<'_>) -> Result<Outcome, Rejection> {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let mut outcome = Outcome::default();
        let mut events = Vec::new();
        for (index, read) in read_events(body, &source, Timestamp::now()).into_iter().enumerate() {
            match read {
                Ok(read) => {
                    outcome.accepted += 1;
                    events.extend(read);
                }
                Err(error) => outcome.rejected.push((index, error.to_string())),
            }
        }
        if !events.is_empty() {
            held.may_pass().map_err(Rejection::Overloaded)?;
            outcome.known = match is_import {
                true => self.intake.import(events).await.map_err(Rejection::Overloaded)?,
                false => self.intake.events(events).await.map(|()| 0).map_err(Rejection::Overloaded)?,
            };
        }
        self.reception.accepted.add(outcome.accepted);
        self.reception.invalid.add(outcome.rejected.len());
        Ok(outcome)
    }
}

/// Whether a query asks for events to be taken only if they are not known.
fn is_import(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "import" | "import=true"))
}

impl Outcome {
    /// 400 only if none was good.
    fn status(&self) -> StatusCode {
        if self.accepted == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }

    /// How many were taken, and what is wrong with each of the others.
    fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = JsonObject::begin(&mut out);
        object.u64("accepted", self.accepted as u64);
        if self.known > 0 {
            object.u64("known", self.known as u64);
        }
        if !self.rejected.is_empty() || self.accepted == 0 {
            let list = object.key("rejected");
            list.push(b'[');
            for (position, (index, error)) in self.rejected.iter().enumerate() {
                if position > 0 {
                    list.push(b',');
                }
                let mut entry = JsonObject::begin(list);
                entry.u64("index", *index as u64);
                push_str(entry.key("error"), error);
                entry.end();
            }
            list.push(b']');
        }
        object.end();
        out
    }
}
