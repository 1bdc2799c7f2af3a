//! What can be said of the receiver `redis`.

use std::time::Duration;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::config::types::{Secret, Span};
use crate::redis::{Said, Server};
use crate::tls::Tls;

/// Where to read, and as whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `redis://host:6379/0`, `rediss://…` for TLS, `redis+unix:///path`, or `host:port`.
    pub url: Secret,
    /// Who we are, where the URL does not say.
    pub username: Option<String>,
    /// Its password, where the URL does not say.
    pub password: Option<Secret>,
    /// The database, where the URL does not say.
    pub db: Option<u16>,
    /// TLS, with rediss://.
    pub tls: Tls,
    /// How long one command may take.
    pub timeout: Span,
    /// The stream.
    pub stream: Option<String>,
    /// Several streams.
    pub streams: Vec<String>,
    /// Telemetry that collectors share.
    pub otlp: Telemetry,
    /// Whether the entries of streams of events are shared with the others of the group. Otherwise all are read here.
    pub shared: bool,
    /// The group that shares the entries.
    pub group: String,
    /// Who we are in the group: the name of the host and the number of the process unless told otherwise.
    pub consumer: Option<String>,
    /// Where a group begins that does not exist yet.
    pub start: Start,
    /// After this long, what was given to another consumer and not acknowledged is taken over.
    pub claim_after: Span,
    /// How many entries are read at a time.
    pub batch: usize,
    /// Whether entries that are no events are moved to `STREAM:dead`, instead of being passed over.
    pub dead_letters: bool,
}

/// Telemetry in the streams of partitions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// What the streams are called, which is what the exporter calls them.
    pub stream: Option<String>,
    /// After this long without a sign of life, others have what was ours.
    pub session_timeout: Span,
    /// For how long entries of a run in progress are kept for whoever may have to go on with it.
    pub replay: Span,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry {
            stream: None,
            session_timeout: Span(Duration::from_secs(10)),
            replay: Span(Duration::from_secs(600)),
        }
    }
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With what is added from now on.
    #[default]
    New,
    /// With the first entry that is still there.
    All,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            url: Secret("redis://localhost:6379".into()),
            username: None,
            password: None,
            db: None,
            tls: Tls::default(),
            timeout: Span(Duration::from_secs(5)),
            stream: None,
            streams: Vec::new(),
            otlp: Telemetry::default(),
            shared: true,
            group: "spanlight".into(),
            consumer: None,
            start: Start::New,
            claim_after: Span(Duration::from_secs(60)),
            batch: 500,
            dead_letters: false,
        }
    }
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// What is wrong, and what is meant to be there.
    pub fn validate(&self) -> Result<(), String> {
        let streams = self.streams();
        if (streams.is_empty() && self.otlp.stream.is_none()) || streams.iter().any(String::is_empty) {
            return Err("a `stream` of events is needed, or a list of `streams`, or `otlp.stream`".into());
        }
        if !self.shared && streams.len() > 1 {
            return Err("`shared: false` is of one `stream`, whose order is that of all who read it".into());
        }
        if self.otlp.session_timeout.0 < Duration::from_secs(1) {
            return Err("`otlp.session_timeout` is 1s or more: others need time to say that they are alive".into());
        }
        let mut sorted = streams.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the stream `{}` is there twice", twice[0]));
        }
        if self.group.is_empty() || self.consumer.as_ref().is_some_and(String::is_empty) {
            return Err("`group` and `consumer` are names; neither may be empty".into());
        }
        if !(1..=10_000).contains(&self.batch) {
            return Err(format!("`batch` is between 1 and 10000, not {}", self.batch));
        }
        if self.claim_after.0 < Duration::from_secs(1) {
            return Err("`claim_after` is 1s or more: others need time to hand on what they were given".into());
        }
        self.server().map(drop)
    }

    /// Whether a stream, named with its server and database, is read.
    pub fn is_reading(&self, stream: &str) -> bool {
        self.server().is_ok_and(|server| self.streams().iter().any(|name| server.stream(name) == stream))
    }

    /// The streams of telemetry that are read, named with their server and database.
    pub fn read_telemetry(&self) -> Option<String> {
        Some(self.server().ok()?.stream(self.otlp.stream.as_ref()?))
    }

    /// Whether telemetry is read.
    pub fn reads_telemetry(&self) -> bool {
        self.otlp.stream.is_some()
    }

    /// Whether streams of events are read.
    pub fn reads_events(&self) -> bool {
        !self.streams().is_empty()
    }

    /// The stream of which every entry is read here, and whose offsets are those of whoever else reads it so.
    pub(super) fn mirrored(&self) -> Option<&str> {
        self.stream.iter().chain(&self.streams).next().map(String::as_str).filter(|_| !self.shared)
    }

    /// What the offsets of that stream are told from others by: the same wherever it is read.
    pub fn epoch(&self) -> Option<String> {
        self.mirrored().map(|stream| format!("{:032x}", xxh3_128(format!("stream of Redis {stream}").as_bytes())))
    }

    /// All streams of events.
    pub(super) fn streams(&self) -> Vec<String> {
        self.stream.iter().chain(&self.streams).cloned().collect()
    }

    /// Who we are in the group. Two consumers of one name would each have what the other was given.
    pub(super) fn consumer(&self) -> String {
        self.consumer.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let host = if host.trim().is_empty() { "spanlight" } else { host.trim() };
            format!("{host}-{}", std::process::id())
        })
    }

    pub(super) fn server(&self) -> Result<Server, String> {
        Server::new(&Said {
            url: &self.url,
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            db: self.db,
            tls: &self.tls,
            timeout: self.timeout.0,
        })
    }
}
