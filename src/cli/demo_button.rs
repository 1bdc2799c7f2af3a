//! The demonstration as the page of a collector begins it: in the collector's process, over OTLP as any program.

use futures_util::future::{BoxFuture, FutureExt};
use tracing::instrument::WithSubscriber;

use super::demo::{PATIENCE, task_name};
use crate::demo::Program;

/// Plays two runs that go well and two that do not to a receiver of OTLP over HTTP, and waits until all was sent.
pub fn play_to(url: String) -> BoxFuture<'static, ()> {
    async move {
        let program = Program { seed: 1, runs: 4, failure: true, speed: 1.0 };
        let telemetry = program.telemetry().otlp(url).build();
        program.play(&task_name()).with_subscriber(telemetry.subscriber()).await;
        // What is not sent within this time is counted there, and shown.
        let ended = tokio::task::spawn_blocking(move || telemetry.shutdown(PATIENCE)).await;
        if let Err(error) = ended {
            crate::report::error(&format!("the demonstration did not end well: {error}"));
        }
    }
    .boxed()
}
