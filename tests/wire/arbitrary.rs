//! Strategies for OTLP requests of every shape.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{self as m, Metric, ResourceMetrics, ScopeMetrics, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (option::of(resource()), vec(scope_spans, 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (option::of(scope()), vec(log_record(), 0..4), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource_logs = (option::of(resource()), vec(scope_logs, 0..3), text())
        .prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url });
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope_metrics = (option::of(scope()), vec(metric(), 0..3), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource_metrics = (option::of(resource()), vec(scope_metrics, 0..3), text())
        .prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics { resource, scope_metrics, schema_url });
    vec(resource_metrics, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

/// A request of one valid span.
pub fn one_span() -> ExportTraceServiceRequest {
    let span = Span { trace_id: vec![7; 16], span_id: vec![9; 8], name: "one".into(), ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,12}", "\\PC{0,20}", "[a-z]{120,140}"]
}

fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        Just(AnyValue { value: None }),
        text().prop_map(|v| AnyValue { value: Some(Value::StringValue(v)) }),
        any::<bool>().prop_map(|v| AnyValue { value: Some(Value::BoolValue(v)) }),
        any::<i64>().prop_map(|v| AnyValue { value: Some(Value::IntValue(v)) }),
        any::<f64>().prop_map(|v| AnyValue { value: Some(Value::DoubleValue(v)) }),
        vec(any::<u8>(), 0..9).prop_map(|v| AnyValue { value: Some(Value::BytesValue(v)) }),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        let entry =
            (text(), option::of(inner.clone())).prop_map(|(key, value)| KeyValue { key, value, key_strindex: 0 });
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }),
            vec(entry, 0..3).prop_map(|values| AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }),
        ]
    });
    option::weighted(0.9, value)
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), value()).prop_map(|(key, value)| KeyValue { key, value, key_strindex: 0 }), 0..4)
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>()).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
        entity_refs: Vec::new(),
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    })
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![20 => vec(any::<u8>(), len), 1 => Just(vec![0; len]), 1 => vec(any::<u8>(), 0..20)]
}

fn span() -> impl Strategy<Value = Span> {
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(|(time_unix_nano, name, attributes, n)| {
        span::Event { time_unix_nano, name, attributes, dropped_attributes_count: n }
    });
    let link = (id(16), id(8), text(), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, n)| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: n,
            flags: n,
        },
    );
    let status = option::of((text(), -1i32..5).prop_map(|(message, code)| Status { message, code }));
    let ids = (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]);
    let rest = (attributes(), vec(event, 0..3), vec(link, 0..2), status, any::<[u32; 4]>());
    (ids, text(), text(), any::<(i32, u64, u64)>(), rest).prop_map(
        |(
            (trace_id, span_id, parent_span_id),
            trace_state,
            name,
            (kind, start, end),
            (attributes, events, links, status, n),
        )| Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags: n[0],
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: n[1],
            events,
            dropped_events_count: n[2],
            links,
            dropped_links_count: n[3],
            status,
        },
    )
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let ids = (prop_oneof![Just(Vec::new()), id(16)], prop_oneof![Just(Vec::new()), id(8)]);
    (any::<(u64, u64, i32, u32, u32)>(), text(), text(), value(), attributes(), ids).prop_map(
        |(
            (time, observed, severity, dropped, flags),
            severity_text,
            event_name,
            body,
            attributes,
            (trace_id, span_id),
        )| LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            severity_number: severity,
            severity_text,
            body,
            attributes,
            dropped_attributes_count: dropped,
            flags,
            trace_id,
            span_id,
            event_name,
        },
    )
}

fn exemplars() -> impl Strategy<Value = Vec<m::Exemplar>> {
    let value = prop_oneof![
        any::<i64>().prop_map(m::exemplar::Value::AsInt),
        any::<f64>().prop_map(m::exemplar::Value::AsDouble)
    ];
    let exemplar =
        (any::<u64>(), id(8), id(16), option::of(value)).prop_map(|(time_unix_nano, span_id, trace_id, value)| {
            m::Exemplar { filtered_attributes: Vec::new(), time_unix_nano, span_id, trace_id, value }
        });
    vec(exemplar, 0..2)
}

fn number_points() -> impl Strategy<Value = Vec<m::NumberDataPoint>> {
    let value = prop_oneof![
        any::<i64>().prop_map(m::number_data_point::Value::AsInt),
        any::<f64>().prop_map(m::number_data_point::Value::AsDouble)
    ];
    let point = (attributes(), any::<(u64, u64, u32)>(), exemplars(), option::of(value)).prop_map(
        |(attributes, (start, time, flags), exemplars, value)| m::NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            exemplars,
            flags,
            value,
        },
    );
    vec(point, 0..3)
}

fn metric() -> impl Strategy<Value = Metric> {
    let sums = option::of(any::<f64>());
    let histogram_point = (
        attributes(),
        any::<(u64, u64, u64, u32)>(),
        (sums.clone(), sums.clone(), sums.clone()),
        vec(any::<u64>(), 0..5),
        vec(any::<f64>(), 0..5),
        exemplars(),
    )
        .prop_map(
            |(attributes, (start, time, count, flags), (sum, min, max), bucket_counts, explicit_bounds, exemplars)| {
                m::HistogramDataPoint {
                    attributes,
                    start_time_unix_nano: start,
                    time_unix_nano: time,
                    count,
                    sum,
                    bucket_counts,
                    explicit_bounds,
                    exemplars,
                    flags,
                    min,
                    max,
                }
            },
        );
    let buckets =
        || {
            option::of((any::<i32>(), vec(any::<u64>(), 0..5)).prop_map(|(offset, bucket_counts)| {
                m::exponential_histogram_data_point::Buckets { offset, bucket_counts }
            }))
        };
    let exponential_point =
        (attributes(), any::<(u64, u64, u64, i32, u64, u32)>(), sums, buckets(), buckets(), exemplars(), any::<f64>())
            .prop_map(
                |(
                    attributes,
                    (start, time, count, scale, zero_count, flags),
                    sum,
                    positive,
                    negative,
                    exemplars,
                    zero_threshold,
                )| {
                    m::ExponentialHistogramDataPoint {
                        attributes,
                        start_time_unix_nano: start,
                        time_unix_nano: time,
                        count,
                        sum,
                        scale,
                        zero_count,
                        positive,
                        negative,
                        flags,
                        exemplars,
                        min: None,
                        max: Some(1.0),
                        zero_threshold,
                    }
                },
            );
    let quantile =
        any::<(f64, f64)>().prop_map(|(quantile, value)| m::summary_data_point::ValueAtQuantile { quantile, value });
    let summary_point = (attributes(), any::<(u64, u64, u64, f64, u32)>(), vec(quantile, 0..3)).prop_map(
        |(attributes, (start, time, count, sum, flags), quantile_values)| m::SummaryDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            quantile_values,
            flags,
        },
    );
    let data = prop_oneof![
        number_points().prop_map(|data_points| Data::Gauge(m::Gauge { data_points })),
        (number_points(), -1i32..4, any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(m::Sum { data_points, aggregation_temporality, is_monotonic })
        }),
        (vec(histogram_point, 0..3), 0i32..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(m::Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential_point, 0..3), 0i32..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(m::ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(summary_point, 0..3).prop_map(|data_points| Data::Summary(m::Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::of(data))
        .prop_map(|(name, description, unit, metadata, data)| Metric { name, description, unit, metadata, data })
}
