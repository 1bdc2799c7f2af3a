//! Requests to send: traces, metrics and logs as SDKs make them.

#[path = "../../../benches/support/agents.rs"]
pub mod agents;

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// A request of these spans, of the service `tests`.
pub fn traces(spans: Vec<Span>) -> Vec<u8> {
    traces_request(spans).encode_to_vec()
}

/// The same, not encoded.
pub fn traces_request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }],
    }
}

/// A span that ended a second ago, after a second.
pub fn span(trace: u8, id: u8, parent: u8, name: &str, attributes: Vec<KeyValue>) -> Span {
    let end = now() - 1_000_000_000;
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: name.into(),
        start_time_unix_nano: end - 1_000_000_000,
        end_time_unix_nano: end,
        attributes,
        ..Span::default()
    }
}

/// An agent that ran.
pub fn agent(trace: u8, id: u8, parent: u8, name: &str) -> Span {
    let attributes = vec![text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", name)];
    span(trace, id, parent, &format!("invoke_agent {name}"), attributes)
}

/// A call of gpt-4o with 1000 tokens in and 100 out.
pub fn chat(trace: u8, id: u8, parent: u8) -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o"),
        text("gen_ai.response.model", "gpt-4o-2024-08-06"),
        int("gen_ai.usage.input_tokens", 1000),
        int("gen_ai.usage.output_tokens", 100),
    ];
    span(trace, id, parent, "chat gpt-4o", attributes)
}

/// A counter with one point.
pub fn metrics(name: &str, value: f64) -> Vec<u8> {
    let point = NumberDataPoint { time_unix_nano: now(), value: Some(Number::AsDouble(value)), ..Default::default() };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let metric = Metric { name: name.into(), data: Some(metric::Data::Sum(sum)), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// A log record.
pub fn logs(body: &str) -> Vec<u8> {
    let record = LogRecord {
        time_unix_nano: now(),
        body: Some(AnyValue { value: Some(Value::StringValue(body.into())) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![text("service.name", "tests")], ..Resource::default() }
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}
