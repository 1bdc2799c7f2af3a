//! OTLP as plain JSON: what the scripts of `tests/sdk` print, and what arrived downstream, in one shape.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Map, Value, json};

use super::sink::Received;

/// The spans of requests, in order of arrival; those of other signals are passed over.
pub fn spans(received: &[Received]) -> Vec<Value> {
    let requests = received.iter().filter(|request| is(request, "/v1/traces", "TraceService"));
    let requests = requests.map(|request| ExportTraceServiceRequest::decode(request.body.clone()).unwrap());
    let mut found = Vec::new();
    for group in requests.flat_map(|request| request.resource_spans) {
        for scope in &group.scope_spans {
            found.extend(scope.spans.iter().map(|one| span(one, scope.scope.as_ref(), group.resource.as_ref())));
        }
    }
    found
}

/// The points of metrics, each with what names its metric.
pub fn points(received: &[Received]) -> Vec<Value> {
    let requests = received.iter().filter(|request| is(request, "/v1/metrics", "MetricsService"));
    let requests = requests.map(|request| ExportMetricsServiceRequest::decode(request.body.clone()).unwrap());
    let mut found = Vec::new();
    for group in requests.flat_map(|request| request.resource_metrics) {
        let metrics = group.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        found.extend(metrics.flat_map(|metric| metric_points(metric, group.resource.as_ref())));
    }
    found
}

/// The log records.
pub fn logs(received: &[Received]) -> Vec<Value> {
    let requests = received.iter().filter(|request| is(request, "/v1/logs", "LogsService"));
    let requests = requests.map(|request| ExportLogsServiceRequest::decode(request.body.clone()).unwrap());
    let mut found = Vec::new();
    for group in requests.flat_map(|request| request.resource_logs) {
        let records = group.scope_logs.iter().flat_map(|scope| &scope.log_records);
        found.extend(records.map(|record| log(record, group.resource.as_ref())));
    }
    found
}

fn is(request: &Received, path: &str, service: &str) -> bool {
    request.path == path || request.path.contains(service)
}

fn span(span: &Span, scope: Option<&InstrumentationScope>, resource: Option<&Resource>) -> Value {
    let events = span.events.iter().map(|event| {
        let time = event.time_unix_nano.to_string();
        json!({"name": event.name, "time": time, "attributes": map(&event.attributes)})
    });
    let links = span.links.iter().map(|link| {
        let (trace, span) = (hex(&link.trace_id), hex(&link.span_id));
        json!({"trace_id": trace, "span_id": span, "attributes": map(&link.attributes)})
    });
    let status = span.status.clone().unwrap_or_default();
    let scope = scope.unwrap();
    json!({
        "trace_id": hex(&span.trace_id),
        "span_id": hex(&span.span_id),
        "parent_span_id": hex(&span.parent_span_id),
        "name": span.name,
        "kind": span.kind().as_str_name().trim_start_matches("SPAN_KIND_"),
        "start": span.start_time_unix_nano.to_string(),
        "end": span.end_time_unix_nano.to_string(),
        "attributes": map(&span.attributes),
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "status": {
            "code": status.code().as_str_name().trim_start_matches("STATUS_CODE_"),
            "message": status.message,
        },
        "scope": {"name": scope.name, "version": scope.version},
        "resource": map(&resource.unwrap().attributes),
    })
}

fn metric_points(metric: &Metric, resource: Option<&Resource>) -> Vec<Value> {
    let point = |kind: &str, attributes: &[KeyValue], count: u64, sum: f64| {
        json!({
            "name": metric.name,
            "unit": metric.unit,
            "description": metric.description,
            "kind": kind,
            "attributes": map(attributes),
            "count": count,
            "sum": sum,
            "resource": map(&resource.unwrap().attributes),
        })
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            let kind = if sum.is_monotonic { "counter" } else { "up_down_counter" };
            sum.data_points.iter().map(|one| point(kind, &one.attributes, 1, number(one.value))).collect()
        }
        Data::Gauge(gauge) => {
            gauge.data_points.iter().map(|one| point("gauge", &one.attributes, 1, number(one.value))).collect()
        }
        Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            points.map(|one| point("histogram", &one.attributes, one.count, one.sum.unwrap())).collect()
        }
        other => panic!("no test sends {other:?}"),
    }
}

fn number(value: Option<number_data_point::Value>) -> f64 {
    match value.unwrap() {
        number_data_point::Value::AsInt(number) => number as f64,
        number_data_point::Value::AsDouble(number) => number,
    }
}

fn log(record: &LogRecord, resource: Option<&Resource>) -> Value {
    json!({
        "trace_id": hex(&record.trace_id),
        "span_id": hex(&record.span_id),
        "time": record.time_unix_nano.to_string(),
        "severity": [record.severity_number, record.severity_text],
        "body": value(record.body.as_ref().unwrap()),
        "attributes": map(&record.attributes),
        "resource": map(&resource.unwrap().attributes),
    })
}

fn map(attributes: &[KeyValue]) -> Value {
    let pairs = attributes.iter().map(|one| (one.key.clone(), value(one.value.as_ref().unwrap())));
    let map: Map<String, Value> = pairs.collect();
    assert_eq!(map.len(), attributes.len(), "a key is there twice: {attributes:?}");
    map.into()
}

fn value(any: &AnyValue) -> Value {
    match any.value.as_ref() {
        None => Value::Null,
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(truth)) => json!(truth),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(array)) => array.values.iter().map(value).collect(),
        Some(any_value::Value::KvlistValue(list)) => map(&list.values),
        Some(other) => panic!("no test sends {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
