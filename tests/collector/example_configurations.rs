//! The configurations of `collector-config/`, and such as are written for the official OpenTelemetry Collector: they run
//! as they are.

use std::path::PathBuf;

use super::support::collector::{Collector, run_in, run_with};
use super::support::sink::Sink;
use super::support::{client, telemetry, tools, until};

/// What they need from the environment, which is whatever is somebody's own.
const NEEDED: &[(&str, &str)] = &[
    ("LANGFUSE_AUTH", "cGs6c2s="),
    ("LOGFIRE_TOKEN", "t"),
    ("DD_API_KEY", "k"),
    ("SPANLIGHT_TOKEN", "a-long-token-0"),
    ("SPANLIGHT_SEND_TOKEN", "a-long-token-1"),
];

fn examples() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(tools::file("collector-config")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

#[tokio::test]
async fn every_example_is_good_without_a_warning_and_explained() {
    let documented = std::fs::read_to_string(tools::file("docs/configuration.md")).unwrap();
    for file in examples() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ended = run_with(dir.path(), &["config", "check", file.to_str().unwrap()], NEEDED).await;
        assert!(documented.contains(&format!("collector-config/{name}")), "docs/configuration.md lacks {name}");
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("# "), "{name} does not say what it is for");
        let lacks = [
            ("kafka", cfg!(feature = "kafka"), "this binary was built without Kafka; build with --features kafka"),
            (
                "archive",
                cfg!(feature = "archive"),
                "this binary was built without the archive; build with --features archive",
            ),
        ];
        if let Some((_, _, what_helps)) = lacks.iter().find(|(of, has, _)| name.starts_with(of) && !has) {
            assert!(ended.stderr.contains(what_helps), "{name}: {ended:?}");
            continue;
        }
        assert!(ended.status.success(), "{name}: {ended:?}");
        // The Collector has no word for content, so its file says nothing of it.
        let warnings = if name == "otel-collector.yaml" { 2 } else { 0 };
        assert_eq!(ended.stdout.lines().count(), 1 + warnings, "{name}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn an_example_that_lacks_its_key_says_which() {
    for (name, variable) in [("langfuse", "LANGFUSE_AUTH"), ("logfire", "LOGFIRE_TOKEN"), ("datadog", "DD_API_KEY")] {
        let file = tools::file(&format!("collector-config/{name}.yaml"));
        let ended = run_in(&std::env::temp_dir(), &["config", "check", file.to_str().unwrap()]).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(&format!("the environment has no {variable}; set it")), "{ended:?}");
    }
}

/// What a backend's configuration sends, and where: whatever is not the endpoint is as it stands in the file.
#[tokio::test]
async fn what_backends_ask_for_is_sent() {
    for (name, endpoint, path, headers) in [
        (
            "langfuse",
            "exporters.otlphttp/langfuse.endpoint=URL/api/public/otel",
            "/api/public/otel/v1/traces",
            &[("authorization", "Basic cGs6c2s="), ("x-langfuse-ingestion-version", "4")][..],
        ),
        ("phoenix", "exporters.otlphttp/phoenix.endpoint=URL", "/v1/traces", &[("authorization", "Bearer none")]),
        ("logfire", "exporters.otlphttp/logfire.endpoint=URL", "/v1/traces", &[("authorization", "t")]),
        (
            "datadog",
            "exporters.otlphttp/datadog.traces_endpoint=URL/v1/traces",
            "/v1/traces",
            &[("dd-api-key", "k"), ("dd-otlp-source", "llmobs")],
        ),
        ("tempo", "exporters.otlp/tempo.endpoint=URL", "/opentelemetry.proto", &[("x-scope-orgid", "single-tenant")]),
        ("jaeger", "exporters.otlp/jaeger.endpoint=URL", "/opentelemetry.proto", &[]),
    ] {
        let sink = Sink::start().await;
        let text = std::fs::read_to_string(tools::file(&format!("collector-config/{name}.yaml"))).unwrap();
        let collector = Collector::with_changes(
            &text,
            &[&endpoint.replace("URL", &sink.url()), "processors.batch.timeout=10ms"],
            NEEDED,
        )
        .await;
        collector.take_traces(telemetry::traces(vec![telemetry::agent(7, 1, 0, "scribe")])).await;
        let (found, sent) = sink
            .until("spans", |received| received.first().map(|first| (first.path.clone(), first.headers.clone())))
            .await;
        assert!(found.starts_with(path), "{name}: {found}");
        for (key, value) in headers {
            assert_eq!(sent.get(*key).map(|value| value.to_str().unwrap()), Some(*value), "{name}: {key}");
        }
    }
}

/// In the style of the Collector's own documentation and distributions.
const OFFICIAL: &str = "
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:0
        include_metadata: true
        keepalive: {server_parameters: {max_connection_age: 60s}}
      http:
        endpoint: 127.0.0.1:0
        cors: {allowed_origins: ['http://*', 'https://*']}

processors:
  batch:
  batch/tenants:
    send_batch_max_size: 10000
    timeout: 0s
    metadata_keys: [tenant]
  memory_limiter:
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 25
    min_gc_interval_when_soft_limited: 10s

exporters:
  debug:
    verbosity: detailed
    sampling_initial: 5
    sampling_thereafter: 200
  otlp:
    endpoint: otelcol2:4317
    tls: {insecure: true}
    wait_for_ready: true
    sending_queue: {enabled: true, num_consumers: 2, queue_size: 5000, storage: file_storage/queues}
    retry_on_failure: {enabled: true, initial_interval: 5s, max_interval: 30s, max_elapsed_time: 300s}
  otlphttp:
    endpoint: https://example.com:4318
    compression: none
    read_buffer_size: 123
    idle_conn_timeout: 10s
    headers: {X-Custom: value}
  file:
    path: ./telemetry.json
    flush_interval: 1s
    rotation: {max_megabytes: 10, max_days: 3, max_backups: 3, localtime: true}
  prometheus:
    endpoint: 127.0.0.1:0
    namespace: promexample
    const_labels: {label1: value1, 'another label': spaced value}
    send_timestamps: true
    metric_expiration: 180m
    enable_open_metrics: true
    add_metric_suffixes: true
    resource_to_telemetry_conversion: {enabled: true}

extensions:
  health_check:
    endpoint: 127.0.0.1:0
    path: /health/status
    check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}
  file_storage/queues: {directory: /var/lib/otelcol/file_storage, timeout: 1s, fsync: true}
  pprof: {endpoint: 0.0.0.0:1777}
  zpages: {endpoint: 0.0.0.0:55679}

service:
  telemetry: {logs: {level: info}, metrics: {level: detailed}}
  extensions: [health_check, file_storage/queues, pprof, zpages]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, batch/tenants]
      exporters: [otlp, otlphttp, debug]
    metrics:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [prometheus, debug]
    logs:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [file]
";

#[tokio::test]
async fn an_official_configuration_runs_and_what_means_nothing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.yaml"), OFFICIAL).unwrap();
    let ended = run_in(dir.path(), &["config", "check", "c.yaml"]).await;
    assert!(ended.status.success(), "{ended:?}");
    let said: Vec<&str> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once("warning: line ")?.1.split_once(": ")?.1.split(": ").next())
        .collect();
    let expected = [
        "receivers.otlp.protocols.grpc.keepalive",
        "receivers.otlp.protocols.grpc.include_metadata",
        "processors.batch/tenants.metadata_keys",
        "processors.memory_limiter.min_gc_interval_when_soft_limited",
        "exporters.debug.sampling_initial",
        "exporters.debug.sampling_thereafter",
        "exporters.otlp.wait_for_ready",
        "exporters.otlphttp.idle_conn_timeout",
        "exporters.otlphttp.read_buffer_size",
        "exporters.file.flush_interval",
        "exporters.file.rotation",
        "exporters.prometheus.send_timestamps",
        "extensions.health_check.check_collector_pipeline",
        "extensions.file_storage/queues",
        "extensions.pprof",
        "extensions.zpages",
        // Content does not leave this machine unless somebody says so.
        "exporters",
        "exporters",
    ];
    assert_eq!(said, expected, "{}", ended.stdout);
}

#[tokio::test]
async fn its_own_ports_answer_as_the_collectors_do() {
    let collector = Collector::with(OFFICIAL).await;
    let url = async |what: &str| collector.line(what).await.split_whitespace().nth(1).unwrap().to_owned();
    let health = client::get(&url("  health ").await).await;
    assert_eq!((health.status, &health.json()["status"]), (200, &"Server available".into()), "{}", health.text());
    assert!(url("  health ").await.ends_with("/health/status"));

    let metrics = telemetry::metrics("jobs.waiting", 3.0);
    let taken = collector.post("/v1/metrics", &[("content-type", "application/x-protobuf")], metrics).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let scrape = url("  metrics ").await;
    let line = until("the received metric", async || {
        let text = client::get(&scrape).await.text();
        text.lines().find(|line| line.starts_with("promexample_")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("label1=\"value1\"") && line.contains("another_label=\"spaced value\""), "{line}");
}

#[tokio::test]
async fn what_would_be_missed_is_an_error_and_not_a_warning() {
    for (change, problem) in [
        ("receivers.otlp.protocols.grpc.tls={cert_file: a, key_file: b}", "protocols.grpc: a: No such file"),
        ("receivers.otlp.protocols.http.tls={cert_pem: a, key_pem: b}", "unknown key `cert_pem`"),
        ("receivers.otlp.protocols.grpc.auth={authenticator: oidc}", "`oidc`, which is no `bearertokenauth`"),
        ("receivers.otlp.protocols.grpc.auth={}", "neither `token` nor `jwt`"),
        ("exporters.otlp.auth={authenticator: oauth2client}", "no `bearertokenauth` or `basicauth`"),
        ("exporters.otlp.sending_queue.storage=redis_storage", "`redis_storage` is no storage; write `disk`"),
        ("exporters.otlphttp.sending_queue.max_gib=2", "`ack` and `max_gib` are of queues on disk"),
        ("exporters.file.format=proto", "`proto` is not one of json"),
        ("extensions.health_check.path=status", "`path` is a path such as /health"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.yaml"), OFFICIAL).unwrap();
        let ended = run_in(dir.path(), &["config", "check", "c.yaml", "--set", change]).await;
        assert_eq!(ended.status.code(), Some(2), "{change}: {ended:?}");
        assert!(ended.stderr.contains(problem), "{change}: {}", ended.stderr);
    }
}
