//! Beside the OpenTelemetry layer: its ids, inbound parents, late names.

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use spanlight::event::Event;
use spanlight::{SpanExt, Telemetry, Usage, agent_span, llm_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::PATIENCE;

/// Runs code with both layers, ours added first or last; gives our events and the OpenTelemetry spans.
fn with_both(ours_first: bool, run: impl FnOnce()) -> (Vec<Event>, Vec<opentelemetry_sdk::trace::SpanData>) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let telemetry = Telemetry::builder().build();
    let tracer = provider.tracer("test");
    if ours_first {
        let subscriber = tracing_subscriber::registry()
            .with(telemetry.layer())
            .with(tracing_opentelemetry::layer().with_tracer(tracer));
        tracing::subscriber::with_default(subscriber, run);
    } else {
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(tracer))
            .with(telemetry.layer());
        tracing::subscriber::with_default(subscriber, run);
    }
    telemetry.flush(PATIENCE).unwrap();
    let events = telemetry.get_events(0).events.into_iter().map(|(_, record)| record.event().clone()).collect();
    (events, exporter.get_finished_spans().unwrap())
}

#[test]
fn events_carry_the_ids_of_the_opentelemetry_spans() {
    for ours_first in [true, false] {
        let (events, spans) = with_both(ours_first, || {
            agent_span!("scribe").in_scope(|| {
                tracing::info_span!("none of ours").in_scope(|| {
                    let call = llm_span!("gpt-4o");
                    call.in_scope(|| ());
                    call.record_usage(Usage::new(10, 5));
                });
            });
        });
        assert_eq!((events.len(), spans.len()), (4, 3));
        for (name, operation) in [("agent.started", "invoke_agent"), ("llm.completed", "chat")] {
            let event = events.iter().find(|event| event.name == *name).unwrap();
            let span = spans.iter().find(|span| span.name.starts_with(operation)).unwrap();
            assert_eq!(event.trace_id.unwrap().to_string(), span.span_context.trace_id().to_string());
            assert_eq!(event.span_id.unwrap().to_string(), span.span_context.span_id().to_string());
        }
        let call = spans.iter().find(|span| span.name == "chat gpt-4o").unwrap();
        let tokens = call.attributes.iter().find(|attribute| attribute.key.as_str() == "gen_ai.usage.input_tokens");
        assert_eq!(tokens.map(|tokens| tokens.value.to_string()), Some("10".to_owned()), "OpenTelemetry knows it too");
    }
}

#[test]
fn an_inbound_parent_can_still_be_set() {
    use opentelemetry::propagation::TextMapPropagator;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    for ours_first in [true, false] {
        let inbound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = std::collections::HashMap::from([("traceparent".to_owned(), inbound.to_owned())]);
        let (events, spans) = with_both(ours_first, || {
            let agent = agent_span!("scribe");
            let context = TraceContextPropagator::new().extract(&headers);
            assert!(context.span().span_context().is_valid());
            agent.set_parent(context).unwrap();
            agent.in_scope(|| ());
        });
        assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
        for event in &events {
            assert_eq!(event.trace_id.unwrap().to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(event.span_id.unwrap().to_string(), spans[0].span_context.span_id().to_string());
        }
        assert_eq!(events.len(), 2);
    }
}

#[test]
fn a_name_that_comes_late_counts() {
    let (events, _) = with_both(true, || {
        let step = tracing::info_span!("step", scope = "step", otel.name = tracing::field::Empty);
        step.in_scope(|| _ = tracing::Span::current().record("otel.name", "step-7").id());
    });
    let names: Vec<_> = events.iter().map(|event| event.data.get("step_name").unwrap()).collect();
    assert_eq!(names, ["step-7", "step-7"]);
}

#[test]
fn filtered_and_boxed_layers_are_found_as_well() {
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::LevelFilter;
    let filtered = Telemetry::builder().build();
    let boxed = Telemetry::builder().build();
    let run = || llm_span!("gpt-4o").in_scope(|| tracing::Span::current().record_usage(Usage::new(10, 5)));
    let registry = tracing_subscriber::registry().with(filtered.layer().with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(registry, run);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(boxed.layer().boxed()), run);
    for telemetry in [filtered, boxed] {
        telemetry.flush(PATIENCE).unwrap();
        assert_eq!(telemetry.metrics().tokens, 15);
    }
}

#[test]
fn spans_that_are_never_entered_are_of_one_trace_all_the_same() {
    for ours_first in [true, false] {
        let (events, spans) = with_both(ours_first, || {
            let agent = agent_span!("scribe");
            let call = llm_span!(parent: &agent, "gpt-4o");
            call.record_usage(Usage::new(10, 5));
            drop(call);
            drop(agent);
        });
        let traces: std::collections::BTreeSet<String> =
            events.iter().map(|event| event.trace_id.unwrap().to_string()).collect();
        assert_eq!(traces.len(), 1, "{ours_first}: {traces:?}");
        assert!(traces.contains(&spans[0].span_context.trace_id().to_string()) || !ours_first);
    }
}
