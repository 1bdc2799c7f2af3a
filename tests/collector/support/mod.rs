//! What the tests of the collector are made with: the binary itself, a client, and an OTLP peer behind it.

pub mod certificates;
pub mod client;
pub mod collector;
pub mod config;
pub mod plain;
pub mod redis;
pub mod sink;
pub mod telemetry;
pub mod tools;
pub mod wire;

use std::time::Duration;

/// How long anything may take before a test fails. Machines that run tests can be very slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer: for what can only be looked at, not awaited.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
