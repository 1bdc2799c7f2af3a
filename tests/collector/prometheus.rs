//! What Prometheus scrapes, as strict readers see it: promtool for the text format, and `prometheus_client` for
//! OpenMetrics, which promtool does not read.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;
use serde_json::Value;

use super::support::client;
use super::support::collector::{Collector, Port};
use super::support::telemetry::{agent, chat, now, span, text, traces};
use super::support::tools::{feed, promtool, python};

/// Reads OpenMetrics strictly, and prints what it read as JSON: names to kind, samples and exemplars.
const READ_OPENMETRICS: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families

def sample(one):
    exemplar = one.exemplar and {"labels": one.exemplar.labels, "value": one.exemplar.value}
    return {"name": one.name, "labels": one.labels, "value": str(one.value), "exemplar": exemplar}

families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps({one.name: {"kind": one.type, "samples": [sample(s) for s in one.samples]} for one in families}))
"#;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_text_format() {
    let collector = busy().await;
    let answer = collector.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut check = promtool();
    check.args(["check", "metrics"]);
    let said = feed(check, &answer.text()).await;
    let words = [String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)].concat();
    assert!(said.status.success() && words.is_empty(), "{words}\n{}", answer.text());
}

#[tokio::test]
async fn a_strict_reader_understands_openmetrics_with_exemplars() {
    let collector = busy().await;
    let families = openmetrics(&collector).await;
    let kinds = [
        ("agent_runs", "counter"),
        ("agent_run_duration_seconds", "histogram"),
        ("otelcol_receiver_accepted_spans", "unknown"),
        ("app_requests", "counter"),
        ("app_load_ratio", "gauge"),
        ("app_latency_seconds", "histogram"),
        ("app_sizes_bytes", "histogram"),
        ("app_rtt_seconds", "summary"),
        ("target", "info"),
    ];
    for (name, kind) in kinds {
        assert_eq!(families[name]["kind"], kind, "{name}: {families}");
    }
    for (name, trace, span, value) in [
        ("gen_ai_client_operation_duration_seconds", 1, 2, 1.0),
        ("agent_run_duration_seconds", 1, 1, 1.0),
        ("app_latency_seconds", 9, 8, 0.3),
    ] {
        let exemplar = exemplar_of(&families[name]);
        assert_eq!(exemplar["labels"]["trace_id"], format!("{trace:02x}").repeat(16), "{name}");
        assert_eq!(exemplar["labels"]["span_id"], format!("{span:02x}").repeat(8), "{name}");
        assert_eq!(exemplar["value"], value, "{name}");
    }
}

#[tokio::test]
async fn both_formats_say_the_same() {
    let collector = busy().await;
    let families = openmetrics(&collector).await;
    for series in [
        r#"app_requests_total{job="shop",otel_scope_name="app",path="a\"b\\c\nd"}"#,
        r#"app_latency_seconds_count{job="shop",otel_scope_name="app"}"#,
        r#"agent_runs_total{agent="researcher",otel_scope_name="spanlight",outcome="completed"}"#,
    ] {
        let name = series.split('{').next().unwrap();
        let text: f64 = collector.sample(series).await.unwrap();
        let samples = families.as_object().unwrap().values().flat_map(|family| family["samples"].as_array().unwrap());
        let mut values = samples.filter(|sample| sample["name"] == name).map(|sample| &sample["value"]);
        let value: f64 = values.next().unwrap().as_str().unwrap().parse().unwrap();
        assert_eq!((text, values.next()), (value, None), "{series}");
    }
}

#[tokio::test]
async fn no_metric_that_is_received_spoils_the_page() {
    let collector = Collector::start().await;
    take(&collector, nasty()).await;
    let families = openmetrics(&collector).await;
    // Of names that collide the first stands, whatever else came.
    assert_eq!(families["app_jobs"]["kind"], "counter", "{families}");
    assert_eq!(families["app_jobs"]["samples"].as_array().unwrap().len(), 1, "{families}");
    assert!(families["app_jobs_total"].is_null(), "{families}");
    assert_eq!(families["target"]["kind"], "info", "{families}");
    let mut check = promtool();
    check.args(["check", "metrics"]);
    let said = feed(check, &collector.get("/metrics").await.text()).await;
    // 3 is for matters of taste: what emitters call their metrics is theirs to say.
    assert!([0, 3].contains(&said.status.code().unwrap()), "{}", String::from_utf8_lossy(&said.stderr));
    let dropped = r#"spanlight_dropped_total{component="prometheus",reason="invalid_value"}"#;
    assert_eq!(collector.sample(dropped).await, Some(2.0));
}

/// A collector with a run behind it and received metrics of every kind.
async fn busy() -> Collector {
    let collector = Collector::start().await;
    collector.take_traces(traces(vec![chat(1, 2, 1), failing_tool(), agent(1, 1, 0, "researcher")])).await;
    take(&collector, every_kind()).await;
    let runs = r#"agent_runs_total{agent="researcher",otel_scope_name="spanlight",outcome="completed"}"#;
    collector.sample_becomes(runs, 1.0).await;
    collector
}

async fn take(collector: &Collector, metrics: Vec<Metric>) {
    let headers = [("content-type", "application/x-protobuf")];
    let answer = collector.post("/v1/metrics", &headers, request(metrics).encode_to_vec()).await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
}

fn failing_tool() -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "execute_tool"),
        text("gen_ai.tool.name", "search \"the\" web\\"),
        text("error.type", "timeout"),
    ];
    let status = Some(Status { code: 2, message: "took too long".into() });
    Span { status, ..span(1, 3, 1, "execute_tool", attributes) }
}

fn every_kind() -> Vec<Metric> {
    vec![
        metric("app.requests", "{request}", counter(4.0)),
        metric("app.load", "1", gauge(vec![])),
        metric("app.latency", "s", histogram(Some(2.8), vec![0.5, 1.0], vec![])),
        metric("app.sizes", "By", exponential_histogram(None)),
        metric("app.rtt", "s", summary(80.0)),
    ]
}

/// What no emitter should send, and some will.
fn nasty() -> Vec<Metric> {
    let negative = Buckets { offset: 0, bucket_counts: vec![1, 2] };
    vec![
        metric("target.info", "", gauge(vec![])),
        metric("app.jobs", "", counter(4.0)),
        metric("app_jobs", "", counter(5.0)),
        metric("app.jobs.total", "", gauge(vec![])),
        metric("app.latency", "", histogram(Some(2.8), vec![0.5, 1.0], vec![text("le", "5"), text("", "")])),
        metric("app.latency.count", "", gauge(vec![])),
        metric("app.unsummed", "", histogram(None, vec![0.5, 1.0], vec![])),
        metric("app.infinite", "", histogram(Some(1.0), vec![0.5, f64::INFINITY], vec![])),
        metric("app.cold", "", histogram(Some(-4.0), vec![-1.0, 1.0], vec![])),
        metric("app.balance", "", exponential_histogram(Some(negative))),
        metric("app.drift", "", summary(-80.0)),
        metric("app.backwards", "", counter(-1.0)),
        metric("app.nothing", "", counter(f64::NAN)),
        metric(
            "app.unknown",
            "",
            gauge(vec![text("job", "mine"), text("__name__", "x"), text("a.b", "1"), text("a_b", "2")]),
        ),
        metric("値", "{値}", gauge(vec![text("値", "値")])),
        metric("", "", gauge(vec![])),
    ]
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = Some(InstrumentationScope { name: "app".into(), ..InstrumentationScope::default() });
    let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
    let attributes = vec![text("service.name", "shop"), text("deployment.environment.name", "test")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    let description = "Says \"what\" it is,\nwith a \\ in it.".into();
    Metric { name: name.into(), unit: unit.into(), description, data: Some(data), ..Metric::default() }
}

fn counter(value: f64) -> Data {
    let attributes = vec![text("path", "a\"b\\c\nd")];
    Data::Sum(Sum { data_points: vec![point(value, attributes)], aggregation_temporality: 2, is_monotonic: true })
}

fn gauge(attributes: Vec<KeyValue>) -> Data {
    Data::Gauge(Gauge { data_points: vec![point(0.25, attributes)] })
}

fn point(value: f64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    let value = Some(Number::AsDouble(value));
    NumberDataPoint { time_unix_nano: now(), value, attributes, ..NumberDataPoint::default() }
}

fn histogram(sum: Option<f64>, explicit_bounds: Vec<f64>, attributes: Vec<KeyValue>) -> Data {
    let exemplar = Exemplar {
        time_unix_nano: now(),
        trace_id: vec![9; 16],
        span_id: vec![8; 8],
        value: Some(exemplar::Value::AsDouble(0.3)),
        ..Exemplar::default()
    };
    let point = HistogramDataPoint {
        time_unix_nano: now(),
        count: 3,
        sum,
        bucket_counts: vec![2, 0, 1],
        explicit_bounds,
        attributes,
        exemplars: vec![exemplar],
        ..HistogramDataPoint::default()
    };
    Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 2 })
}

fn exponential_histogram(negative: Option<Buckets>) -> Data {
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: now(),
        count: 6,
        sum: Some(100.0),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets { offset: 2, bucket_counts: vec![3, 0, 2] }),
        negative,
        ..ExponentialHistogramDataPoint::default()
    };
    Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 })
}

fn summary(last: f64) -> Data {
    let quantile_values =
        [(0.5, 12.0), (0.99, last)].map(|(quantile, value)| ValueAtQuantile { quantile, value }).into();
    let point =
        SummaryDataPoint { time_unix_nano: now(), count: 5, sum: 90.0, quantile_values, ..SummaryDataPoint::default() };
    Data::Summary(Summary { data_points: vec![point] })
}

async fn openmetrics(collector: &Collector) -> Value {
    let url = format!("{}/metrics", collector.url(Port::Web).await);
    let answer = client::get_with(&url, &[("accept", OPENMETRICS)]).await;
    assert_eq!(answer.header("content-type"), Some(OPENMETRICS));
    let mut reader = python();
    reader.args(["-c", READ_OPENMETRICS]);
    let read = feed(reader, &answer.text()).await;
    assert!(read.status.success(), "{}\n{}", String::from_utf8_lossy(&read.stderr), answer.text());
    serde_json::from_slice(&read.stdout).unwrap()
}

fn exemplar_of(family: &Value) -> &Value {
    let mut exemplars = family["samples"].as_array().unwrap().iter().map(|sample| &sample["exemplar"]);
    exemplars.find(|exemplar| !exemplar.is_null()).unwrap()
}
