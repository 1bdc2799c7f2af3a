//! Redis and Valkey: what is written there, what is read from there, and what happens while they are away.

mod buckets;
mod fleet;
mod read;
mod secure;
mod write;

use serde_json::{Value, json};

use super::support::collector::Collector;
pub use super::support::redis::{Kind, Server};

/// Runs a check against both servers.
macro_rules! on_both {
    ($($check:ident),* $(,)?) => {$(
        mod $check {
            #[tokio::test]
            async fn redis() {
                super::$check($crate::redis::Kind::Redis).await;
            }

            #[tokio::test]
            async fn valkey() {
                super::$check($crate::redis::Kind::Valkey).await;
            }
        }
    )*};
}
pub(crate) use on_both;

/// A collector of JSON events whose own events go to this exporter.
pub async fn writing(redis: &str) -> Collector {
    Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\nconnectors: {{agent: }}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\nexporters: {{redis: {redis}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    logs: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [redis]}}\n"
    ))
    .await
}

/// A collector that reads streams, and writes what it reads to its file.
pub async fn reading(redis: &str) -> Collector {
    Collector::with(&format!(
        "receivers: {{redis: {redis}}}\nconnectors: {{agent: }}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\nexporters: {{file: {{path: agent-events.jsonl}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    logs: {{receivers: [redis], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [file]}}\n"
    ))
    .await
}

/// Hands events to a collector, which must take them.
pub async fn post(collector: &Collector, events: &[Value]) {
    let answer = collector.post("/v1/events", &[("content-type", "application/json")], json!(events).to_string()).await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (200, Some(events.len() as u64)));
}

/// The two events of an agent's run that began so many seconds after `at` and took a minute.
pub fn run(at: i64, offset: i64, agent: &str, feature: &str, task: &str, usd: f64) -> [Value; 2] {
    let of = |name: &str, time: i64| {
        json!({"name": name, "agent": agent, "feature": feature, "task_id": task, "execution_id": task,
               "timestamp": at + offset + time})
    };
    let mut completed = of("agent.completed", 60);
    completed["performance"] = json!({"cost_usd": usd, "duration_ms": 60_000});
    [of("agent.started", 0), completed]
}
