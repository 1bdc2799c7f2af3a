//! Beside an OpenTelemetry setup of one's own: one registry, the layer of `tracing_opentelemetry`, and Spanlight's.
//!
//!     cargo run --example with_opentelemetry
//!     cargo run --example with_opentelemetry -- --outside
//!
//! Events carry the ids of the spans that go to the trace backend, so that one leads to the other, and work that another
//! service asked for is in the trace of that service.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use spanlight::{SpanExt, Telemetry, Usage, agent_span, llm_span};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Yours: whatever your traces go to. Here it is the terminal.
    let provider = SdkTracerProvider::builder().with_simple_exporter(Terminal).build();
    let tracer = provider.tracer("shop");
    // Ours: no `otlp(…)`, because your exporter sends the spans already.
    let telemetry = Telemetry::builder().service_name("shop").build();

    // Both orders work. The layer that is added first is the inner one: it is told first of spans that are made, and
    // last of those that close. Ours asks the other for ids when a span is entered for the first time, not before,
    // because asking starts the OpenTelemetry span, and then its parent cannot be set any more. A span that is never
    // entered has ids of its own where ours is the outer one: the other has forgotten it by the time it closes.
    let registry = tracing_subscriber::registry();
    if std::env::args().any(|argument| argument == "--outside") {
        registry.with(tracing_opentelemetry::layer().with_tracer(tracer)).with(telemetry.layer()).init();
    } else {
        registry.with(telemetry.layer()).with(tracing_opentelemetry::layer().with_tracer(tracer)).init();
    }

    // What a server gets with a request.
    let headers = HashMap::from([("traceparent".to_owned(), format!("00-{TRACE}-00f067aa0ba902b7-01"))]);
    let outgoing = handle(&headers).await;

    telemetry.flush(Duration::from_secs(5)).unwrap();
    println!("\nevents:");
    for (_, record) in telemetry.get_events(0).events {
        let event = record.event();
        println!("  {:<16} trace {} span {}", event.name, event.trace_id.unwrap(), event.span_id.unwrap());
        assert_eq!(event.trace_id.unwrap().to_string(), TRACE);
    }
    println!("\nwhat the next service gets: {}", outgoing["traceparent"]);
    provider.shutdown().unwrap();
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A request that an agent answers.
async fn handle(headers: &HashMap<String, String>) -> HashMap<String, String> {
    let propagator = TraceContextPropagator::new();
    let agent = agent_span!("clerk", feature = "support");
    // Before the span is entered: with `#[instrument]` it would be too late in the body of the function.
    agent.set_parent(propagator.extract(headers)).unwrap();
    async {
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Span::current().record_usage(Usage::new(1840, 95));
        }
        .instrument(llm_span!("gpt-4o", provider = "openai"))
        .await;
        let mut outgoing = HashMap::new();
        propagator.inject_context(&Span::current().context(), &mut outgoing);
        outgoing
    }
    .instrument(agent)
    .await
}

/// Prints spans.
#[derive(Debug)]
struct Terminal;

impl SpanExporter for Terminal {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for span in spans {
            println!(
                "span {:<20} trace {} span {}",
                span.name,
                span.span_context.trace_id(),
                span.span_context.span_id()
            );
        }
        Ok(())
    }
}
