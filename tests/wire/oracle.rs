//! The oracle: what prost makes of the bytes, and whether the views show the same.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    self as common, AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message;
use spanlight::otlp::view::{self, MetricKind, Number, Temporality};
use spanlight::otlp::{Batch, Signal, check};

#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    SameValues,
    BothReject,
    /// The one declared difference: prost skips groups in unknown fields, we refuse them.
    GroupRefused,
    Differs {
        ours: String,
        theirs: String,
    },
}

impl Judgement {
    pub fn agrees(&self) -> bool {
        !matches!(self, Judgement::Differs { .. })
    }
}

/// Reads the bytes with prost and through the views.
pub fn judge(signal: Signal, bytes: &[u8]) -> Judgement {
    let theirs = prost_records(signal, bytes);
    let ours = match Batch::read(signal, Bytes::copy_from_slice(bytes)) {
        Ok(received) => Ok(received),
        Err(error) if error.to_string().contains("groups are not part of OTLP") => return Judgement::GroupRefused,
        Err(error) => Err(error),
    };
    match (ours, theirs) {
        (Err(_), None) => Judgement::BothReject,
        (Ok(received), Some(theirs)) => {
            let items = check(received.batch.bytes(), signal.schema()).map(|checked| checked.items);
            assert_eq!(items, Ok(received.batch.items()), "the count is right after leaving out invalid spans");
            // NaN is not equal to itself, so records are compared as text.
            let (ours, theirs) = (format!("{:?}", view_records(&received.batch)), format!("{theirs:?}"));
            if ours == theirs { Judgement::SameValues } else { Judgement::Differs { ours, theirs } }
        }
        (ours, theirs) => Judgement::Differs {
            ours: format!("{:?}", ours.map(|received| received.batch.items())),
            theirs: format!("{:?}", theirs.map(|records| records.len())),
        },
    }
}

/// The whole request as prost reads it, as text since NaN is not equal to itself.
pub fn prost_value(signal: Signal, bytes: &[u8]) -> Option<String> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).ok().map(|value| format!("{value:?}")),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).ok().map(|value| format!("{value:?}")),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).ok().map(|value| format!("{value:?}")),
    }
}

/// A record with its surroundings, in the terms of prost's types.
type Record = (Vec<KeyValue>, InstrumentationScope, Item);

#[derive(Debug)]
#[expect(dead_code, reason = "read through Debug")]
enum Item {
    Span(trace::Span),
    Log(opentelemetry_proto::tonic::logs::v1::LogRecord),
    Metric(metrics::Metric),
}

fn prost_records(signal: Signal, bytes: &[u8]) -> Option<Vec<Record>> {
    let resource = |resource: Option<opentelemetry_proto::tonic::resource::v1::Resource>| {
        plain_attributes(resource.map(|resource| resource.attributes).unwrap_or_default())
    };
    let scope = |scope: Option<InstrumentationScope>| {
        let scope = scope.unwrap_or_default();
        let attributes = plain_attributes(scope.attributes);
        InstrumentationScope { attributes, dropped_attributes_count: 0, ..scope }
    };
    let valid = |span: &trace::Span| {
        let valid = |id: &[u8], len| id.len() == len && id.iter().any(|&byte| byte != 0);
        valid(&span.trace_id, 16) && valid(&span.span_id, 8)
    };
    let mut records = Vec::new();
    match signal {
        Signal::Traces => {
            for r in ExportTraceServiceRequest::decode(bytes).ok()?.resource_spans {
                let resource = resource(r.resource);
                for s in r.scope_spans {
                    let scope = scope(s.scope);
                    let spans = s.spans.into_iter().filter(valid).map(plain_span);
                    records.extend(spans.map(|span| (resource.clone(), scope.clone(), Item::Span(span))));
                }
            }
        }
        Signal::Logs => {
            for r in ExportLogsServiceRequest::decode(bytes).ok()?.resource_logs {
                let resource = resource(r.resource);
                for s in r.scope_logs {
                    let scope = scope(s.scope);
                    let logs = s.log_records.into_iter().map(plain_log);
                    records.extend(logs.map(|log| (resource.clone(), scope.clone(), Item::Log(log))));
                }
            }
        }
        Signal::Metrics => {
            for r in ExportMetricsServiceRequest::decode(bytes).ok()?.resource_metrics {
                let resource = resource(r.resource);
                for s in r.scope_metrics {
                    let scope = scope(s.scope);
                    let metrics = s.metrics.into_iter().map(plain_metric);
                    records.extend(metrics.map(|metric| (resource.clone(), scope.clone(), Item::Metric(metric))));
                }
            }
        }
    }
    Some(records)
}

fn view_records(batch: &Batch) -> Vec<Record> {
    let mut records = Vec::new();
    for group in batch.groups() {
        let resource: Vec<KeyValue> = group.resource.attributes().map(key_value).collect();
        let scope = InstrumentationScope {
            name: group.scope.name.to_string(),
            version: group.scope.version.to_string(),
            attributes: group.scope.attributes().map(key_value).collect(),
            dropped_attributes_count: 0,
        };
        let items: Vec<Item> = match batch.signal() {
            Signal::Traces => group.spans().map(|span| Item::Span(span_of(&span))).collect(),
            Signal::Logs => group.log_records().map(|log| Item::Log(log_of(&log))).collect(),
            Signal::Metrics => group.metrics().map(|metric| Item::Metric(metric_of(&metric))).collect(),
        };
        records.extend(items.into_iter().map(|item| (resource.clone(), scope.clone(), item)));
    }
    records
}

// What the views do not show is taken out of prost's values.

fn plain_span(mut span: trace::Span) -> trace::Span {
    let code = span.status.as_ref().map_or(0, |status| status.code);
    let message = span.status.take().map(|status| status.message).unwrap_or_default();
    span.status = Some(trace::Status { message, code: if (0..=2).contains(&code) { code } else { 0 } });
    span.attributes = plain_attributes(span.attributes);
    for event in &mut span.events {
        event.dropped_attributes_count = 0;
        event.attributes = plain_attributes(std::mem::take(&mut event.attributes));
    }
    for link in &mut span.links {
        (link.trace_state, link.dropped_attributes_count, link.flags) = (String::new(), 0, 0);
        link.attributes = plain_attributes(std::mem::take(&mut link.attributes));
    }
    span
}

fn plain_log(
    mut log: opentelemetry_proto::tonic::logs::v1::LogRecord,
) -> opentelemetry_proto::tonic::logs::v1::LogRecord {
    log.body = Some(plain_value(log.body));
    log.attributes = plain_attributes(log.attributes);
    log
}

fn plain_attributes(attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|a| KeyValue { key: a.key, value: Some(plain_value(a.value)), key_strindex: 0 })
        .collect()
}

fn plain_value(value: Option<AnyValue>) -> AnyValue {
    let value = value.and_then(|value| value.value).and_then(|value| match value {
        Value::StringValueStrindex(_) => None,
        Value::ArrayValue(array) => {
            let values = array.values.into_iter().map(|value| plain_value(Some(value))).collect();
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        Value::KvlistValue(list) => Some(Value::KvlistValue(KeyValueList { values: plain_attributes(list.values) })),
        value => Some(value),
    });
    AnyValue { value }
}

fn plain_metric(mut metric: metrics::Metric) -> metrics::Metric {
    metric.metadata.clear();
    let exemplars =
        |exemplars: &mut Vec<metrics::Exemplar>| exemplars.iter_mut().for_each(|e| e.filtered_attributes.clear());
    match &mut metric.data {
        Some(metrics::metric::Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(|point| {
            point.flags &= 1;
            exemplars(&mut point.exemplars);
            point.attributes = plain_attributes(std::mem::take(&mut point.attributes));
        }),
        Some(metrics::metric::Data::Sum(sum)) => {
            sum.aggregation_temporality = plain_temporality(sum.aggregation_temporality);
            sum.data_points.iter_mut().for_each(|point| {
                point.flags &= 1;
                exemplars(&mut point.exemplars);
                point.attributes = plain_attributes(std::mem::take(&mut point.attributes));
            });
        }
        Some(metrics::metric::Data::Histogram(histogram)) => {
            histogram.aggregation_temporality = plain_temporality(histogram.aggregation_temporality);
            histogram.data_points.iter_mut().for_each(|point| {
                point.flags &= 1;
                exemplars(&mut point.exemplars);
                point.attributes = plain_attributes(std::mem::take(&mut point.attributes));
            });
        }
        Some(metrics::metric::Data::ExponentialHistogram(histogram)) => {
            histogram.aggregation_temporality = plain_temporality(histogram.aggregation_temporality);
            histogram.data_points.iter_mut().for_each(|point| {
                point.flags &= 1;
                (point.min, point.max) = (None, None);
                point.positive = Some(point.positive.take().unwrap_or_default());
                point.negative = Some(point.negative.take().unwrap_or_default());
                exemplars(&mut point.exemplars);
                point.attributes = plain_attributes(std::mem::take(&mut point.attributes));
            });
        }
        Some(metrics::metric::Data::Summary(summary)) => summary.data_points.iter_mut().for_each(|point| {
            point.flags &= 1;
            point.attributes = plain_attributes(std::mem::take(&mut point.attributes));
        }),
        None => {}
    }
    metric
}

fn plain_temporality(temporality: i32) -> i32 {
    if (0..=2).contains(&temporality) { temporality } else { 0 }
}

// The views in prost's types.

fn key_value(attribute: view::KeyValue<'_>) -> KeyValue {
    KeyValue { key: attribute.key.to_string(), value: Some(any_value(attribute.value)), key_strindex: 0 }
}

fn any_value(value: view::AnyValue<'_>) -> AnyValue {
    let value = match value {
        view::AnyValue::Empty => None,
        view::AnyValue::String(text) => Some(Value::StringValue(text.to_string())),
        view::AnyValue::Bool(truth) => Some(Value::BoolValue(truth)),
        view::AnyValue::Int(number) => Some(Value::IntValue(number)),
        view::AnyValue::Double(number) => Some(Value::DoubleValue(number)),
        view::AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        view::AnyValue::Array(array) => {
            Some(Value::ArrayValue(ArrayValue { values: array.values().map(any_value).collect() }))
        }
        view::AnyValue::Map(map) => {
            Some(Value::KvlistValue(common::KeyValueList { values: map.entries().map(key_value).collect() }))
        }
    };
    AnyValue { value }
}

fn span_of(span: &view::Span<'_>) -> trace::Span {
    trace::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        trace_state: span.trace_state.to_string(),
        parent_span_id: span.parent_span_id.to_vec(),
        flags: span.flags,
        name: span.name.to_string(),
        kind: span.kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: span.attributes().map(key_value).collect(),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span
            .events()
            .map(|event| trace::span::Event {
                time_unix_nano: event.time_unix_nano,
                name: event.name.to_string(),
                attributes: event.attributes().map(key_value).collect(),
                dropped_attributes_count: 0,
            })
            .collect(),
        dropped_events_count: span.dropped_events_count,
        links: span
            .links()
            .map(|link| trace::span::Link {
                trace_id: link.trace_id.to_vec(),
                span_id: link.span_id.to_vec(),
                attributes: link.attributes().map(key_value).collect(),
                ..Default::default()
            })
            .collect(),
        dropped_links_count: span.dropped_links_count,
        status: Some(trace::Status {
            message: span.status_message.to_string(),
            code: match span.status_code {
                view::StatusCode::Unset => 0,
                view::StatusCode::Ok => 1,
                view::StatusCode::Error => 2,
            },
        }),
    }
}

fn log_of(log: &view::LogRecord<'_>) -> opentelemetry_proto::tonic::logs::v1::LogRecord {
    opentelemetry_proto::tonic::logs::v1::LogRecord {
        time_unix_nano: log.time_unix_nano,
        observed_time_unix_nano: log.observed_time_unix_nano,
        severity_number: log.severity_number,
        severity_text: log.severity_text.to_string(),
        body: Some(any_value(log.body)),
        attributes: log.attributes().map(key_value).collect(),
        dropped_attributes_count: log.dropped_attributes_count,
        flags: log.flags,
        trace_id: log.trace_id.to_vec(),
        span_id: log.span_id.to_vec(),
        event_name: log.event_name.to_string(),
    }
}

fn metric_of(metric: &view::Metric<'_>) -> metrics::Metric {
    let temporality = |temporality| match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    };
    let data = metric.kind.map(|kind| match kind {
        MetricKind::Gauge => metrics::metric::Data::Gauge(metrics::Gauge {
            data_points: metric.data_points().map(number_point).collect(),
        }),
        MetricKind::Sum { temporality: t, monotonic } => metrics::metric::Data::Sum(metrics::Sum {
            data_points: metric.data_points().map(number_point).collect(),
            aggregation_temporality: temporality(t),
            is_monotonic: monotonic,
        }),
        MetricKind::Histogram(t) => metrics::metric::Data::Histogram(metrics::Histogram {
            data_points: metric.data_points().map(histogram_point).collect(),
            aggregation_temporality: temporality(t),
        }),
        MetricKind::ExponentialHistogram(t) => {
            metrics::metric::Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: metric.data_points().map(exponential_point).collect(),
                aggregation_temporality: temporality(t),
            })
        }
        MetricKind::Summary => metrics::metric::Data::Summary(metrics::Summary {
            data_points: metric.data_points().map(summary_point).collect(),
        }),
    });
    metrics::Metric {
        name: metric.name.to_string(),
        description: metric.description.to_string(),
        unit: metric.unit.to_string(),
        metadata: Vec::new(),
        data,
    }
}

fn number_point(point: view::DataPoint<'_>) -> metrics::NumberDataPoint {
    metrics::NumberDataPoint {
        attributes: point.attributes().map(key_value).collect(),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        exemplars: exemplars(&point),
        flags: u32::from(point.no_recorded_value()),
        value: point.number().map(|number| match number {
            Number::Int(number) => metrics::number_data_point::Value::AsInt(number),
            Number::Double(number) => metrics::number_data_point::Value::AsDouble(number),
        }),
    }
}

fn histogram_point(point: view::DataPoint<'_>) -> metrics::HistogramDataPoint {
    let histogram = point.histogram();
    metrics::HistogramDataPoint {
        attributes: point.attributes().map(key_value).collect(),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: histogram.count,
        sum: histogram.sum,
        bucket_counts: histogram.bucket_counts().collect(),
        explicit_bounds: histogram.explicit_bounds().collect(),
        exemplars: exemplars(&point),
        flags: u32::from(point.no_recorded_value()),
        min: histogram.min,
        max: histogram.max,
    }
}

fn exponential_point(point: view::DataPoint<'_>) -> metrics::ExponentialHistogramDataPoint {
    let histogram = point.exponential_histogram();
    let buckets = |buckets: view::ExponentialBuckets<'_>| {
        let bucket_counts = buckets.counts().collect();
        Some(metrics::exponential_histogram_data_point::Buckets { offset: buckets.offset, bucket_counts })
    };
    metrics::ExponentialHistogramDataPoint {
        attributes: point.attributes().map(key_value).collect(),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: histogram.count,
        sum: histogram.sum,
        scale: histogram.scale,
        zero_count: histogram.zero_count,
        positive: buckets(histogram.positive),
        negative: buckets(histogram.negative),
        flags: u32::from(point.no_recorded_value()),
        exemplars: exemplars(&point),
        min: None,
        max: None,
        zero_threshold: histogram.zero_threshold,
    }
}

fn summary_point(point: view::DataPoint<'_>) -> metrics::SummaryDataPoint {
    let summary = point.summary();
    metrics::SummaryDataPoint {
        attributes: point.attributes().map(key_value).collect(),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: summary.count,
        sum: summary.sum,
        quantile_values: summary
            .quantiles()
            .map(|(quantile, value)| metrics::summary_data_point::ValueAtQuantile { quantile, value })
            .collect(),
        flags: u32::from(point.no_recorded_value()),
    }
}

fn exemplars(point: &view::DataPoint<'_>) -> Vec<metrics::Exemplar> {
    let exemplar = |exemplar: view::Exemplar<'_>| metrics::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: exemplar.time_unix_nano,
        span_id: exemplar.span_id.to_vec(),
        trace_id: exemplar.trace_id.to_vec(),
        value: exemplar.value.map(|number| match number {
            Number::Int(number) => metrics::exemplar::Value::AsInt(number),
            Number::Double(number) => metrics::exemplar::Value::AsDouble(number),
        }),
    };
    point.exemplars().map(exemplar).collect()
}
