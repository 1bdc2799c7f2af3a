//! A workflow of agents with the macros: steps, calls of models that stream, tools, a critic, a validation, a person.
//!
//!     cargo run --example workflow
//!     cargo run --example workflow -- --failure
//!
//! `spanlight demo` plays more of this at once.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;
use spanlight::{FutureExt, SpanExt, Telemetry, Usage, agent_span, llm_span, step_span, tool_span, workflow_span};
use tokio::time::sleep;
use tracing::Span;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let fails = std::env::args().any(|argument| argument == "--failure");
    // What the environment says, such as OTEL_EXPORTER_OTLP_ENDPOINT; what comes after it wins over it.
    let guard = Telemetry::builder().from_env().service_name("workflow-example").init();

    spanlight::emit_event("task.queued", json!({"task_id": "t-1", "feature": "checkout", "est_cost": 0.45})).unwrap();
    let workflow = workflow_span!("write-test", task_id = "t-1", feature = "checkout");
    let result = write_test(fails).in_span(workflow.clone()).await;
    match result {
        Ok(()) => workflow.record_output("tests/checkout.spec.ts"),
        Err(error) => workflow.record_error(error),
    }
    drop(workflow);

    // What was said before is looked at by another thread: flushing waits for it.
    spanlight::flush(Duration::from_secs(5)).unwrap();
    println!("{:#?}", guard.telemetry().metrics());
}

async fn write_test(fails: bool) -> Result<(), String> {
    let mut attempt = 1;
    while !write_and_review(attempt, fails).in_span(step_span!("write")).await {
        attempt += 1;
        if attempt > 2 {
            let last_error = "rejected twice";
            let escalation = json!({"attempts": 2, "last_error": last_error, "priority": "high"});
            spanlight::emit_event("hitl.escalated", escalation).unwrap();
            sleep(Duration::from_millis(300)).await;
            spanlight::emit_event("hitl.resolved", json!({"decision": "rejected", "by": "dana"})).unwrap();
            return Err(last_error.to_owned());
        }
    }
    async {
        call_tool("run_browser", json!({"test": "checkout.spec.ts"}), Ok("passed")).await;
        spanlight::emit_event("validation.completed", json!({"passed": true})).unwrap();
    }
    .in_span(step_span!("validate"))
    .await;
    Ok(())
}

/// Whether the critic is content.
async fn write_and_review(attempt: u32, fails: bool) -> bool {
    async {
        ask_model(
            "claude-sonnet-4-5",
            &["test('checkout', ", "async () => …"],
            Usage::new(12_400, 830).cache_read(8_000),
        )
        .await;
        if fails {
            call_tool("write_file", json!({"attempt": attempt}), Err("no space left on the device")).await;
        }
        call_tool("write_file", json!({"attempt": attempt}), Ok("84 lines")).await;
        Span::current().record_output("checkout.spec.ts");
    }
    .in_span(agent_span!("scribe", model = "claude-sonnet-4-5"))
    .await;
    async {
        ask_model("claude-haiku-4-5", &[if fails { "It asserts nothing." } else { "Good." }], Usage::new(3_100, 40))
            .await;
        spanlight::record_critic_decision(fails);
        !fails
    }
    .in_span(agent_span!("critic", model = "claude-haiku-4-5"))
    .await
}

async fn ask_model(model: &str, pieces: &[&str], usage: Usage) {
    let call = llm_span!(model, provider = "anthropic", stream = true);
    async {
        for piece in pieces {
            sleep(Duration::from_millis(150)).await;
            Span::current().chunk(piece);
        }
        Span::current().record_usage(usage);
        Span::current().record_output(pieces.concat());
    }
    .in_span(call)
    .await;
}

async fn call_tool(tool: &str, arguments: serde_json::Value, result: Result<&str, &str>) {
    async {
        sleep(Duration::from_millis(80)).await;
        match result {
            Ok(result) => Span::current().record_output(result),
            Err(error) => Span::current().record_error(error),
        }
    }
    .in_span(tool_span!(tool, arguments = arguments.to_string()))
    .await;
}
