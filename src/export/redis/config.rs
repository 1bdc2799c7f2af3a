//! What can be said of the exporter `redis`, in a configuration and in the environment.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::config::types::{Secret, Span};
use crate::content::{Classes, Policy};
use crate::export::queue::QueueConfig;
use crate::export::retry;
use crate::redis::{Said, Server};
use crate::tls::Tls;

/// Where to write, and what.
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
    /// Whether what happened by hour and by day is written.
    pub buckets: bool,
    /// The stream that events are added to.
    pub stream: Option<String>,
    /// How many entries the stream keeps, about.
    pub stream_max_length: u64,
    /// The channel that events are published on.
    pub pubsub: Option<String>,
    /// Whether they are also published on a channel of their execution, `CHANNEL:EXECUTION`.
    pub pubsub_by_execution: bool,
    /// Where telemetry goes, for collectors that share it.
    pub otlp: Telemetry,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    pub content: Option<Classes>,
    /// The queue in front.
    #[serde(deserialize_with = "queue")]
    pub sending_queue: QueueConfig,
    /// What happens when an attempt fails.
    #[serde(deserialize_with = "retrying")]
    pub retry_on_failure: retry::Config,
}

/// Where telemetry goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// What the streams are called: with `spanlight:otlp` they are `{spanlight:otlp}:0` and so on. Without it pipelines of
    /// telemetry cannot end here.
    pub stream: Option<String>,
    /// How many there are, unless somebody has said so before: as many as there may ever be collectors that share them.
    pub partitions: u32,
    /// How many entries one may have that are still to be derived from; then it takes no more.
    pub partition_max_length: u64,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry { stream: None, partitions: 16, partition_max_length: 10_000 }
    }
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
            buckets: true,
            stream: None,
            stream_max_length: 100_000,
            pubsub: None,
            pubsub_by_execution: false,
            otlp: Telemetry::default(),
            content: None,
            sending_queue: usual_queue(),
            retry_on_failure: usual_retry(),
        }
    }
}

/// One writer keeps the order of events; what waits for a server that is away is bounded by items and bytes.
fn usual_queue() -> QueueConfig {
    QueueConfig { num_consumers: 1, queue_size: Some(100_000), ..QueueConfig::default() }
}

/// A server that is restarted is back within seconds, and one that is away comes back: nothing is given up.
fn usual_retry() -> retry::Config {
    retry::Config {
        initial_interval: Span(Duration::from_millis(500)),
        max_interval: Span(Duration::from_secs(5)),
        max_elapsed_time: Some(Span(Duration::ZERO)),
        ..retry::Config::default()
    }
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QueueConfig, D::Error> {
    usual_queue().but_as_said(deserializer)
}

fn retrying<'de, D: Deserializer<'de>>(deserializer: D) -> Result<retry::Config, D::Error> {
    usual_retry().but_as_said(deserializer)
}

impl Config {
    /// Each is asked for by its reader many times a second.
    const MOST_PARTITIONS: u32 = 256;

    /// All that can be written, to the server of a URL, under the usual names.
    pub fn usual(url: impl Into<String>) -> Config {
        Config {
            url: Secret(url.into()),
            stream: Some("spanlight:events".into()),
            pubsub: Some("spanlight:live".into()),
            ..Config::default()
        }
    }

    /// What the environment says: `REDIS_URL`, else `REDIS_HOST` and `REDIS_PORT`; `REDIS_PASSWORD` and `REDIS_DB` where
    /// the URL does not say. Nothing where neither a URL nor a host is set.
    ///
    /// # Errors
    /// A variable that cannot be what it should be.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Config>, String> {
        let get = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let of_host = |host: String| {
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            format!("redis://{host}:{}", get("REDIS_PORT").unwrap_or_else(|| "6379".into()))
        };
        let Some(url) = get("REDIS_URL").or_else(|| get("REDIS_HOST").map(of_host)) else { return Ok(None) };
        let db =
            get("REDIS_DB").map(|text| text.parse::<u16>().map_err(|_| format!("REDIS_DB: `{text}` is no number")));
        let password = get("REDIS_PASSWORD").map(Secret);
        let config = Config { password, db: db.transpose()?, ..Config::usual(url) };
        config.validate().map_err(|problem| format!("REDIS_URL, REDIS_HOST and the like: {problem}"))?;
        Ok(Some(config))
    }

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// What is wrong, and what is meant to be there.
    pub fn validate(&self) -> Result<(), String> {
        self.sending_queue.validate_in_memory()?;
        self.retry_on_failure.validate()?;
        if !self.takes_events() && !self.takes_telemetry() {
            return Err(
                "there is nothing to write; name a `stream` or a `pubsub` channel, or `otlp.stream`, or leave \
                        `buckets` on"
                    .into(),
            );
        }
        if !(1..=Config::MOST_PARTITIONS).contains(&self.otlp.partitions) || self.otlp.partition_max_length == 0 {
            return Err(format!(
                "`otlp.partitions` is between 1 and {}, and `otlp.partition_max_length` 1 or more",
                Config::MOST_PARTITIONS
            ));
        }
        if self.stream_max_length == 0 {
            return Err("`stream_max_length` is 1 or more: a stream without bounds fills the server".into());
        }
        self.server().map(drop)
    }

    /// Whether events are written, as opposed to sums only.
    pub fn sends_events(&self) -> bool {
        self.stream.is_some() || self.pubsub.is_some()
    }

    /// Whether anything comes of the events of the agent connector.
    pub fn takes_events(&self) -> bool {
        self.buckets || self.sends_events()
    }

    /// Whether telemetry is written.
    pub fn takes_telemetry(&self) -> bool {
        self.otlp.stream.is_some()
    }

    /// The stream that is written, if any is, named with its server and database.
    pub fn written_stream(&self) -> Option<String> {
        Some(self.server().ok()?.stream(self.stream.as_ref()?))
    }

    /// Likewise of telemetry.
    pub fn written_telemetry(&self) -> Option<String> {
        Some(self.server().ok()?.stream(self.otlp.stream.as_ref()?))
    }

    /// What becomes of content: what was asked for, else it stays on this machine.
    pub fn content(&self) -> Classes {
        self.content.unwrap_or(Classes::all(if self.is_this_machine() { Policy::Keep } else { Policy::Drop }))
    }

    /// Whether content is dropped that nobody asked to drop.
    pub fn drops_unasked(&self) -> bool {
        (self.sends_events() || self.takes_telemetry()) && self.content.is_none() && !self.is_this_machine()
    }

    /// Asks for what is to become of content.
    pub fn ask(&mut self, content: Classes) {
        self.content = Some(content);
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

    fn is_this_machine(&self) -> bool {
        self.server().is_ok_and(|server| server.is_this_machine())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Option<Config>, String> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(&find)
    }

    #[test]
    fn what_is_said_of_a_queue_leaves_the_rest_as_it_is() {
        let said = r#"{"sending_queue": {"max_mib": 1}, "retry_on_failure": {"max_interval": "1s"}}"#;
        let Config { sending_queue: queue, retry_on_failure: retry, .. } = serde_json::from_str(said).unwrap();
        assert_eq!((queue.num_consumers, queue.bounds().requests, queue.bounds().bytes), (1, 100_000, 1 << 20));
        assert_eq!((retry.limit(false), retry.initial_interval.0), (None, Duration::from_millis(500)));
        let in_bytes: Config = serde_json::from_str(r#"{"sending_queue": {"sizer": "bytes"}}"#).unwrap();
        assert_ne!(in_bytes.sending_queue.bounds().bytes, 100_000);
    }

    #[test]
    fn the_environment_says_where_or_nothing() {
        assert!(from(&[("REDIS_PORT", "7000"), ("REDIS_URL", " ")]).unwrap().is_none());
        let of_host = from(&[("REDIS_HOST", "localhost"), ("REDIS_PORT", "7000"), ("REDIS_DB", "3")]).unwrap().unwrap();
        assert_eq!((of_host.url.0.as_str(), of_host.db), ("redis://localhost:7000", Some(3)));
        assert!(of_host.buckets && of_host.sends_events() && !of_host.drops_unasked());
        let of_url = from(&[("REDIS_URL", "redis://cache:1"), ("REDIS_HOST", "other")]).unwrap().unwrap();
        assert!(of_url.url.0 == "redis://cache:1" && of_url.drops_unasked());
        let secret = ("REDIS_PASSWORD", "hush");
        for wrong in [("REDIS_DB", "three"), ("REDIS_PORT", "many")] {
            let error = from(&[("REDIS_HOST", "localhost"), wrong, secret]).unwrap_err();
            assert!(error.contains("REDIS_") && !error.contains("hush"), "{error}");
        }
    }
}
