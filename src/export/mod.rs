//! Exporters: what sends telemetry and events on. Each makes one attempt at one load; the [`pump`] does the rest.

pub mod credentials;
pub mod debug;
mod discretion;
pub mod file;
mod inlet;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(not(feature = "kafka"))]
#[path = "without_kafka.rs"]
pub mod kafka;
pub mod local;
pub mod otlp;
#[cfg(feature = "collector")]
pub mod prometheus;
pub mod pump;
pub mod queue;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without_redis.rs"]
pub mod redis;
pub mod retry;
pub mod webhook;

use std::time::Duration;

pub use inlet::{Inlet, Keeping};
pub use pump::{Left, Pump};
pub use queue::Load;

/// An exporter, making one attempt at a time.
pub enum Exporter {
    /// Files of JSON lines.
    File(file::FileExporter),
    /// The console.
    Debug(debug::DebugExporter),
    /// OTLP over gRPC.
    OtlpGrpc(otlp::GrpcExporter),
    /// OTLP over HTTP.
    OtlpHttp(otlp::HttpExporter),
    /// Events to a URL.
    Webhook(webhook::WebhookExporter),
    /// Redis.
    Redis(redis::RedisExporter),
    /// Kafka.
    Kafka(kafka::KafkaExporter),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered.
    Done {
        /// Items that the receiver left out.
        rejected: usize,
        /// Why it did.
        why: String,
    },
    /// Not now.
    Retry {
        /// When the receiver wants to hear of it again.
        after: Option<Duration>,
        /// Why not.
        why: String,
    },
    /// Never.
    Reject {
        /// Why not.
        why: String,
    },
    /// Never, because the receiver does not believe who we are.
    Denied {
        /// In its words.
        why: String,
    },
}

impl Exporter {
    /// One attempt.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        match self {
            Exporter::File(exporter) => exporter.export(load).await,
            Exporter::Debug(exporter) => exporter.export(load),
            Exporter::OtlpGrpc(exporter) => exporter.export(load).await,
            Exporter::OtlpHttp(exporter) => exporter.export(load).await,
            Exporter::Webhook(exporter) => exporter.export(load).await,
            Exporter::Redis(exporter) => exporter.export(load).await,
            Exporter::Kafka(exporter) => exporter.export(load).await,
        }
    }

    /// The end: whatever is buffered goes out.
    pub async fn close(&mut self) {
        match self {
            Exporter::File(exporter) => exporter.close().await,
            Exporter::Redis(exporter) => exporter.close().await,
            Exporter::Kafka(exporter) => exporter.close().await,
            Exporter::Debug(_) | Exporter::OtlpGrpc(_) | Exporter::OtlpHttp(_) | Exporter::Webhook(_) => {}
        }
    }
}

impl Outcome {
    /// Delivered in full.
    pub const DONE: Outcome = Outcome::Done { rejected: 0, why: String::new() };

    /// Why, in words; none if there is nothing to say.
    fn why_mut(&mut self) -> &mut String {
        match self {
            Outcome::Done { why, .. }
            | Outcome::Retry { why, .. }
            | Outcome::Reject { why }
            | Outcome::Denied { why } => why,
        }
    }

    /// Not now, and the receiver did not say when.
    pub fn retry(why: impl ToString) -> Outcome {
        Outcome::Retry { after: None, why: why.to_string() }
    }
}
