//! A receiver of OTLP as it is configured, made into exporters that a pump can run.

use std::time::Duration;

use http::Uri;

use super::{GrpcConfig, GrpcExporter, HttpConfig, HttpExporter};
use crate::config::types::is_this_machine;
use crate::content::{Classes, Policy};
use crate::export::credentials::Credentials;
use crate::export::pump::Settings;
use crate::export::queue::{Portion, QueueConfig};
use crate::export::{Exporter, Pump, retry};
use crate::health::Health;
use crate::otlp::{Limit, Signal};

/// A receiver of OTLP, and how it is reached.
#[derive(Clone, Debug)]
pub enum Remote {
    /// Over gRPC.
    Grpc(GrpcConfig),
    /// Over HTTP.
    Http(HttpConfig),
}

impl Remote {
    /// Host and port that a signal goes to.
    pub fn authority(&self, signal: Signal) -> Option<String> {
        let uri = match self {
            Remote::Grpc(config) => config.resolve().ok()?.endpoint,
            Remote::Http(config) => {
                let [traces, metrics, logs] = config.urls().ok()?;
                match signal {
                    Signal::Traces => traces?,
                    Signal::Metrics => metrics?,
                    Signal::Logs => logs?,
                }
            }
        };
        uri.authority().map(ToString::to_string)
    }

    /// How it is pumped, and as many exporters as attempts may be under way at a time. Nothing is connected yet.
    pub fn exporters(
        &self,
        portion: Portion,
        split: Option<Limit>,
        credentials: &Credentials,
    ) -> Result<(Settings, Vec<Exporter>), String> {
        let (queue, retry, timeout) = self.pumped();
        let content = self.content();
        let exporters = (0..queue.num_consumers).map(|_| self.exporter(credentials)).collect::<Result<_, _>>()?;
        Ok((Settings { queue, retry, timeout, portion, split, content }, exporters))
    }

    /// What becomes of content: what was asked for, else it stays on this machine.
    pub fn content(&self) -> Classes {
        let asked = self.asked();
        asked.unwrap_or(Classes::all(if self.is_this_machine() { Policy::Keep } else { Policy::Drop }))
    }

    /// Asks for what is to become of content.
    pub fn ask(&mut self, content: Classes) {
        match self {
            Remote::Grpc(config) => config.content = Some(content),
            Remote::Http(config) => config.content = Some(content),
        }
    }

    /// Whether content is dropped that nobody asked to drop.
    pub fn drops_unasked(&self) -> bool {
        self.asked().is_none() && !self.is_this_machine()
    }

    fn asked(&self) -> Option<Classes> {
        match self {
            Remote::Grpc(config) => config.content,
            Remote::Http(config) => config.content,
        }
    }

    /// Whether all that is sent stays on this machine. A name counts as elsewhere, whatever it resolves to.
    fn is_this_machine(&self) -> bool {
        self.is_all(is_here)
    }

    /// Whether anything is sent beyond this machine without TLS.
    pub fn sends_in_the_clear(&self) -> bool {
        !self.is_all(|uri| is_here(uri) || uri.scheme_str() == Some("https"))
    }

    /// Whether all endpoints are such.
    fn is_all(&self, such: impl Fn(&Uri) -> bool) -> bool {
        match self {
            Remote::Grpc(config) => config.resolve().is_ok_and(|config| such(&config.endpoint)),
            Remote::Http(config) => config.urls().is_ok_and(|urls| urls.iter().flatten().all(such)),
        }
    }

    fn exporter(&self, credentials: &Credentials) -> Result<Exporter, String> {
        match self {
            Remote::Grpc(config) => GrpcExporter::new(&config.resolve()?, credentials).map(Exporter::OtlpGrpc),
            Remote::Http(config) => HttpExporter::new(config, credentials).map(Exporter::OtlpHttp),
        }
    }

    fn pumped(&self) -> (QueueConfig, retry::Config, Duration) {
        match self {
            Remote::Grpc(config) => (config.sending_queue, config.retry_on_failure, config.timeout.0),
            Remote::Http(config) => (config.sending_queue, config.retry_on_failure, config.timeout.0),
        }
    }
}

fn is_here(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| is_this_machine(host.trim_matches(['[', ']'])))
}

/// Starts sending to a receiver. `carries` is what is sent, for our own counters: the name of a signal, or `events`.
pub fn start(id: &str, carries: &str, remote: &Remote, health: &Health) -> Result<Pump, String> {
    let Portion { items, bytes, .. } = Portion::USUAL;
    // What was gathered for a while may be more than a receiver takes at a time.
    let (settings, exporters) =
        remote.exporters(Portion::USUAL, Some(Limit { bytes, items }), &Credentials::default())?;
    Ok(Pump::start(id, carries, settings, exporters, health))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Load;
    use crate::export::otlp::env;
    use crate::otlp::Batch;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[tokio::test]
    async fn what_the_environment_says_runs_on_one_thread() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/base", listener.local_addr().unwrap());
        let receiver = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = connection.read(&mut request).unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let lookup = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
        let remote = env::remote(Signal::Traces, &lookup).unwrap().unwrap();
        let pump = start("otlp", "traces", &remote, &Health::default()).unwrap();
        let span = b"\x0a\x20\x12\x1e\x12\x1c\x0a\x10aaaaaaaaaaaaaaaa\x12\x08bbbbbbbb";
        let batch = Batch::read(Signal::Traces, bytes::Bytes::from_static(span)).unwrap().batch;
        pump.inlet().send(Load::Batches(vec![batch]));
        let left = pump.drain(tokio::time::Instant::now() + Duration::from_secs(10)).await;
        assert_eq!(left.items, 0);
        assert!(receiver.join().unwrap().starts_with("POST /base/v1/traces HTTP/1.1"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_at_once() {
        let variables = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://otel:4318".to_owned()),
            "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some("/no/such/file".to_owned()),
            _ => None,
        };
        let remote = env::remote(Signal::Logs, &variables).unwrap().unwrap();
        let error = start("otlp", "events", &remote, &Health::default()).err().unwrap();
        assert!(error.contains("/no/such/file"), "{error}");
    }
}
