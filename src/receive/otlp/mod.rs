//! The OTLP receiver: gRPC and HTTP, protobuf and JSON, all three signals.
//!
//! Both protocols come down to the same few steps: admission before the body is read, the body within its
//! limits, one check at the door, and the pipeline's word on whether it takes the batch. gRPC's unary calls are
//! framed by hand over hyper, because refusing before the body is read and bounding what comes out of a
//! decompressor both need the bytes.

pub(super) mod body;
pub mod config;
mod cors;
mod grpc;
pub(super) mod http;
pub(super) mod reply;
mod server;
mod status;

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use hyper::body::Incoming;

pub use body::Encoding;
pub use config::Config;
pub use server::serve;
use status::{Code, Detail, Partial};

use crate::auth::{Auth, bearer};
use crate::flow::{Gate, Refused, SharedIntake};
use crate::health::{Health, Reception};
use crate::otlp::json::from_json;
use crate::otlp::{Batch, Signal};
use crate::receive::Events;

/// What a listener needs to serve requests.
pub struct Service {
    intake: SharedIntake,
    gate: Arc<Gate>,
    limit: usize,
    paths: [(String, Signal); 3],
    cors: Option<config::Cors>,
    reception: [Reception; 3],
    /// Of requests that say of no signal that they are of it.
    stray: Reception,
    events: Events,
    /// Whether only programs on this machine can connect.
    loopback: bool,
    /// Who may send; without it, everybody who can connect.
    auth: Option<Arc<Auth>>,
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// What the headers say of an export request.
struct Export {
    signal: Signal,
    format: Format,
    encoding: Encoding,
    /// Whether the message has gRPC's prefix.
    is_framed: bool,
}

/// Somebody who may not send.
#[derive(Debug)]
struct Stranger {
    /// Whether it is known who they are.
    is_known: bool,
    why: String,
}

/// Why a request was not taken, whatever the protocol.
#[derive(Debug)]
pub enum Rejection {
    /// It is broken: repeating it is of no use.
    Malformed(String),
    /// It is larger than allowed.
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// Its body did not come in time. That is the network's fault, or of a sender that is busy: it may try again.
    TooSlow,
    /// Not now.
    Overloaded(Refused),
}

impl Service {
    /// For one listener. `transport` is its name in metrics.
    pub fn new(
        receiver: &str,
        transport: &str,
        intake: SharedIntake,
        gate: Arc<Gate>,
        limit: usize,
        health: &Health,
    ) -> Service {
        Service {
            events: Events::new(receiver, transport, intake.clone(), gate.clone(), limit, health),
            intake,
            gate,
            limit,
            paths: Signal::ALL.map(|signal| (signal.http_path().to_owned(), signal)),
            cors: None,
            reception: Signal::ALL.map(|signal| Reception::new(health, receiver, transport, signal.name())),
            stray: Reception::new(health, receiver, transport, "unknown"),
            loopback: false,
            auth: None,
        }
    }

    /// With the paths and origins of a configuration.
    pub fn with_http(mut self, http: &config::Http) -> Service {
        let paths = [&http.traces_url_path, &http.metrics_url_path, &http.logs_url_path];
        for ((path, _), configured) in self.paths.iter_mut().zip(paths) {
            path.clone_from(configured);
        }
        self.cors.clone_from(&http.cors);
        self
    }

    /// With whom it takes from.
    pub fn with_auth(mut self, auth: Option<Arc<Auth>>) -> Service {
        self.auth = auth;
        self
    }

    /// Whether who asks may send. Whoever may not is counted.
    fn admit(&self, headers: &HeaderMap, reception: &Reception) -> Result<(), Stranger> {
        let Some(auth) = &self.auth else { return Ok(()) };
        let why = match bearer(headers).map(|token| auth.may_send(token)) {
            Some(Ok(true)) => return Ok(()),
            Some(Ok(false)) => {
                reception.forbidden.add(1);
                let why = "sending takes the permission `write`, or `all` without `agents`";
                return Err(Stranger { is_known: true, why: why.into() });
            }
            Some(Err(denied)) => denied.to_string(),
            None => "this needs a token: `authorization: Bearer …`".into(),
        };
        reception.unauthenticated.add(1);
        Err(Stranger { is_known: false, why })
    }

    /// Reads the body of an export request and takes it over.
    async fn export(&self, export: Export, body: Incoming) -> Result<Partial, Rejection> {
        let Export { signal, format, encoding, is_framed } = export;
        let mut held = self.gate.enter().map_err(Rejection::Overloaded)?;
        let framing = if is_framed { grpc::PREFIX } else { 0 };
        let body = body::read(body, self.limit, framing, &mut held).await?;
        let (body, encoding) = if is_framed { grpc::unframe(body, encoding)? } else { (body, encoding) };
        let body = body::unpack(body, encoding, self.limit, &mut held).await?;
        let bytes = match format {
            Format::Protobuf => body,
            Format::Json => {
                let malformed = |error| Rejection::Malformed(format!("not OTLP/JSON: {error}"));
                from_json(&body, signal.schema()).map_err(malformed)?.into()
            }
        };
        let received = Batch::read(signal, bytes).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let items = received.batch.items();
        if items > 0 {
            held.may_pass().map_err(Rejection::Overloaded)?;
            self.intake.batch(received.batch).await.map_err(Rejection::Overloaded)?;
        }
        let reception = self.reception(signal);
        reception.accepted.add(items);
        reception.invalid.add(received.rejected);
        let message = match received.rejected {
            0 => String::new(),
            1 => "a span has no valid trace id (16 bytes, not all 0) or span id (8 bytes, not all 0)".into(),
            n => format!("{n} spans have no valid trace id (16 bytes, not all 0) or span id (8 bytes, not all 0)"),
        };
        Ok(Partial { rejected: received.rejected, message })
    }

    /// The signal whose exports come to a path of HTTP.
    fn signal_of(&self, path: &str) -> Option<Signal> {
        self.paths.iter().find(|(known, _)| known == path).map(|(_, signal)| *signal)
    }

    /// Where requests to a path of HTTP are counted.
    fn http_reception(&self, path: &str) -> &Reception {
        match self.signal_of(path) {
            Some(signal) => self.reception(signal),
            None if path == http::EVENTS => self.events.reception(),
            None => &self.stray,
        }
    }

    /// Where requests to a path of gRPC are counted.
    fn grpc_reception(&self, path: &str) -> &Reception {
        let signal = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path);
        signal.map_or(&self.stray, |signal| self.reception(signal))
    }

    fn reception(&self, signal: Signal) -> &Reception {
        match signal {
            Signal::Traces => &self.reception[0],
            Signal::Metrics => &self.reception[1],
            Signal::Logs => &self.reception[2],
        }
    }
}

impl Rejection {
    /// Counts it. How many items a refused request held is not known: it counts as one.
    pub(super) fn count(&self, reception: &Reception) {
        match self {
            Rejection::Malformed(_) => reception.invalid.add(1),
            Rejection::TooLarge { .. } => reception.too_large.add(1),
            Rejection::TooSlow => reception.too_slow.add(1),
            Rejection::Overloaded(_) => reception.overloaded.add(1),
        }
    }

    fn code(&self) -> Code {
        match self {
            Rejection::Malformed(_) => Code::InvalidArgument,
            Rejection::TooLarge { .. } => Code::ResourceExhausted,
            Rejection::TooSlow => Code::DeadlineExceeded,
            Rejection::Overloaded(_) => Code::Unavailable,
        }
    }

    /// When it makes sense to try again, if it does.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Rejection::Overloaded(refused) => Some(refused.retry_after),
            Rejection::TooSlow => Some(Duration::from_secs(1)),
            Rejection::Malformed(_) | Rejection::TooLarge { .. } => None,
        }
    }

    /// What is said of it for programs.
    fn detail(&self) -> Option<Detail<'_>> {
        match self {
            Rejection::Malformed(message) => Some(Detail::BadRequest(message)),
            _ => self.retry_after().map(Detail::RetryInfo),
        }
    }

    fn message(&self) -> String {
        match self {
            Rejection::Malformed(message) => message.clone(),
            Rejection::TooLarge { limit } => {
                format!(
                    "the request is larger than {limit} bytes, which is the limit also after decompression; send smaller batches"
                )
            }
            Rejection::TooSlow => "the body did not come in time".into(),
            Rejection::Overloaded(refused) => refused.to_string(),
        }
    }
}
