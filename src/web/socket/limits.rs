//! What WebSockets may do: the configuration of the exporter `websocket`.

use std::time::Duration;

use serde::Deserialize;

use crate::config::types::Span;

/// The exporter `websocket`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Clients at a time.
    pub max_connections: usize,
    /// Bytes of a message of a client.
    pub max_message_size: usize,
    /// Messages of a client within a minute.
    pub messages_per_minute: usize,
    /// How often a client is asked whether it is still there.
    pub heartbeat_interval: Span,
    /// How long a client may say nothing, or take nothing.
    pub client_timeout: Span,
    /// How often those that subscribe to `agent_performance` are sent a summary.
    pub summary_interval: Span,
    /// Pieces of an answer that come within this time are one event; 0 leaves them as they are.
    pub merge_chunks: Span,
    /// Signs of a tool's progress, likewise.
    pub merge_progress: Span,
    /// Pages of other origins that may connect, such as `https://dashboard.example.com`.
    pub allowed_origins: Vec<String>,
}

impl Limits {
    /// Events that are given at once to whoever asks for recent ones.
    pub const MOST_RECENT: usize = 1000;

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// Something that would let nobody in, or never ask.
    pub fn validate(&self) -> Result<(), String> {
        for (name, number) in [
            ("max_connections", self.max_connections),
            ("max_message_size", self.max_message_size),
            ("messages_per_minute", self.messages_per_minute),
        ] {
            if number == 0 {
                return Err(format!("`{name}` is 0; leave it out for the default"));
            }
        }
        for (name, span) in [
            ("heartbeat_interval", self.heartbeat_interval),
            ("client_timeout", self.client_timeout),
            ("summary_interval", self.summary_interval),
        ] {
            if span.0.is_zero() {
                return Err(format!("`{name}` is 0; leave it out for the default"));
            }
        }
        if self.client_timeout.0 <= self.heartbeat_interval.0 {
            return Err("`client_timeout` must be longer than `heartbeat_interval`, or everybody is dropped".into());
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        Limits {
            max_connections: 1000,
            max_message_size: 1 << 20,
            messages_per_minute: 100,
            heartbeat_interval: seconds(30),
            client_timeout: seconds(60),
            summary_interval: seconds(30),
            merge_chunks: Span(Duration::from_millis(50)),
            merge_progress: Span(Duration::from_millis(100)),
            allowed_origins: Vec::new(),
        }
    }
}
