//! What can be said of the OTLP receiver. Keys are those of the OpenTelemetry Collector.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::auth;
use crate::config::types::{Listen, Span};
use crate::listen::Limits;
use crate::otlp::Signal;
use crate::tls;

/// The largest request, also after decompression: OTLP 1.11 recommends 64 MiB.
pub const MAX_MESSAGE: usize = 64 << 20;

/// The OTLP receiver.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to listen for.
    #[serde(default)]
    pub protocols: Protocols,
}

/// The protocols that are on. A key without a value turns its protocol on with defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocols {
    /// OTLP over gRPC.
    #[serde(default, deserialize_with = "present")]
    pub grpc: Option<Grpc>,
    /// OTLP over HTTP.
    #[serde(default, deserialize_with = "present")]
    pub http: Option<Http>,
}

/// OTLP over gRPC.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grpc {
    /// Where to listen.
    pub endpoint: Listen,
    /// The largest message, also after decompression, in MiB.
    pub max_recv_msg_size_mib: usize,
    /// Requests that one connection may have under way.
    pub max_concurrent_streams: u32,
    /// TLS.
    pub tls: Option<tls::Server>,
    /// Who may send; without it, everybody who can connect.
    pub auth: Option<auth::Config>,
}

/// OTLP over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen.
    pub endpoint: Listen,
    /// The largest body, also after decompression, in bytes.
    pub max_request_body_size: usize,
    /// The path for traces.
    pub traces_url_path: String,
    /// The path for metrics.
    pub metrics_url_path: String,
    /// The path for logs.
    pub logs_url_path: String,
    /// Which web pages may send telemetry from a browser.
    pub cors: Option<Cors>,
    /// TLS.
    pub tls: Option<tls::Server>,
    /// Who may send; without it, everybody who can connect.
    pub auth: Option<auth::Config>,
}

/// Which web pages may send telemetry from a browser.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example.com`; `*` stands for any part.
    pub allowed_origins: Vec<String>,
    /// Headers beyond those that browsers allow anyway.
    #[serde(default)]
    pub allowed_headers: Vec<String>,
    /// How long a browser may remember the answer.
    #[serde(default)]
    pub max_age: Option<MaxAge>,
}

/// Seconds, or a duration with a unit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum MaxAge {
    /// Seconds.
    Seconds(u64),
    /// A duration.
    Span(Span),
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn loopback(port: u16) -> Listen {
    Listen { text: format!("127.0.0.1:{port}"), address: ([127, 0, 0, 1], port).into() }
}

impl Default for Grpc {
    fn default() -> Grpc {
        Grpc {
            endpoint: loopback(4317),
            max_recv_msg_size_mib: MAX_MESSAGE >> 20,
            max_concurrent_streams: Limits::default().streams,
            tls: None,
            auth: None,
        }
    }
}

impl Default for Http {
    fn default() -> Http {
        Http {
            endpoint: loopback(4318),
            max_request_body_size: MAX_MESSAGE,
            traces_url_path: Signal::Traces.http_path().into(),
            metrics_url_path: Signal::Metrics.http_path().into(),
            logs_url_path: Signal::Logs.http_path().into(),
            cors: None,
            tls: None,
            auth: None,
        }
    }
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// No protocol; what is wrong with TLS or `auth` of one.
    pub fn validate(&self) -> Result<(), String> {
        let Protocols { grpc, http } = &self.protocols;
        if grpc.is_none() && http.is_none() {
            return Err("no protocol is on; write `protocols: {grpc: , http: }`".into());
        }
        let of = |protocol: &str, tls: Option<&tls::Server>, auth: Option<&auth::Config>| {
            let tls = tls.map_or(Ok(()), tls::Server::validate);
            let checked = tls.and_then(|()| auth.map_or(Ok(()), auth::Config::validate));
            checked.map_err(|error| format!("protocols.{protocol}: {error}"))
        };
        let grpc = grpc.as_ref().map_or(Ok(()), |grpc| of("grpc", grpc.tls.as_ref(), grpc.auth.as_ref()));
        let http = http.as_ref().map_or(Ok(()), |http| of("http", http.tls.as_ref(), http.auth.as_ref()));
        grpc.and(http)
    }
}

impl MaxAge {
    /// As a duration.
    pub fn duration(self) -> Duration {
        match self {
            MaxAge::Seconds(seconds) => Duration::from_secs(seconds),
            MaxAge::Span(span) => span.0,
        }
    }
}
