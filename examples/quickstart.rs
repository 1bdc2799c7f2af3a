//! The shortest way: no configuration, and functions that say what they are.
//!
//!     cargo run --example quickstart
//!
//! Events are shown on standard error and kept in `spanlight-data/agent-events.jsonl`. With
//! `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318` they go to a collector as well.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use tokio::time::sleep;
use tracing::{Span, field::Empty, instrument};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let _guard = spanlight::init();
    println!("{}", answer("Where is my parcel?").await);
}

#[instrument(skip_all, fields(gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "helper", feature = "support"))]
async fn answer(question: &str) -> String {
    let order = find_order("4711").await;
    ask_model(&format!("{question}\n{order}")).await
}

#[instrument(fields(gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "find_order"))]
async fn find_order(number: &str) -> String {
    sleep(Duration::from_millis(120)).await;
    format!("order {number}: on its way")
}

// Fields that are known later are declared as empty.
#[instrument(skip_all, fields(
    gen_ai.operation.name = "chat", gen_ai.provider.name = "openai", gen_ai.request.model = "gpt-4o",
    gen_ai.usage.input_tokens = Empty, gen_ai.usage.output_tokens = Empty,
))]
async fn ask_model(prompt: &str) -> String {
    sleep(Duration::from_millis(380)).await;
    Span::current().record("gen_ai.usage.input_tokens", 1800 + prompt.len()).record("gen_ai.usage.output_tokens", 95);
    "It arrives tomorrow.".to_owned()
}
