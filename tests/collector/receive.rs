//! Receiving: what an OTLP client may send in which form, and what it is answered when something is wrong.

mod crowd;
mod events;
mod flood;
mod forms;
mod grpc;
mod overload;
mod partial;
mod references;
mod refusals;
mod strangers;
mod web_pages;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::PATIENCE;
use super::support::collector::{Collector, Port};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// A configuration with one exporter of everything: `http` and `grpc` are further keys of the two protocols.
fn forwarding(http: &str, grpc: &str, exporter: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'{http}}}, grpc: {{endpoint: '127.0.0.1:0'{grpc}}}}}}}
exporters:
  {exporter}
extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}
service:
  extensions: [web]
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlphttp]}}
    metrics: {{receivers: [otlp], exporters: [otlphttp]}}
    logs: {{receivers: [otlp], exporters: [otlphttp]}}
"
    )
}

/// The name of a counter of what the OTLP receiver refused.
fn refused(reason: &str, signal: &str, transport: &str) -> String {
    let labels = format!(r#"reason="{reason}",receiver="otlp",signal="{signal}",transport="{transport}""#);
    format!("spanlight_receiver_refused_total{{{labels}}}")
}

/// The name of a counter of what the OTLP receiver took over.
fn accepted(signal: &str, transport: &str) -> String {
    format!(r#"spanlight_receiver_accepted_total{{receiver="otlp",signal="{signal}",transport="{transport}"}}"#)
}

/// `google.rpc.Status`, to see what a refusal says.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// A connection on which a test writes what no well-behaved client would.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn connect(collector: &Collector, port: Port) -> Raw {
        let url = collector.url(port).await;
        Raw(TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    /// Sends the head of a POST.
    pub async fn begin(collector: &Collector, path: &str, headers: &str) -> Raw {
        let mut raw = Raw::connect(collector, Port::Http).await;
        raw.write(format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes()).await;
        raw
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Waits until the other side ends the connection.
    pub async fn end(mut self) {
        let mut more = [0; 64];
        let ended = tokio::time::timeout(PATIENCE, self.0.read(&mut more)).await.unwrap();
        // It may end with a reset.
        assert_eq!(ended.unwrap_or(0), 0);
    }

    /// What comes back until `end` of it does.
    pub async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        let read = async {
            let mut buffer = [0; 4096];
            while !text.contains(end) {
                let len = self.0.read(&mut buffer).await.unwrap();
                assert!(len > 0, "the connection ended without `{end}`: {text}");
                text.push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
        text
    }
}
