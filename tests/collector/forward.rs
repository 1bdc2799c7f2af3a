//! Passing on: what a downstream receiver gets is what came in, packed and addressed as configured.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::support::collector::Collector;
use super::support::config::{through, traces_through, traces_to};
use super::support::sink::{Sink, spans_of};
use super::support::telemetry::{agent, agents, chat, logs, metrics, traces};
use super::support::tools;

const GRPC_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[tokio::test]
async fn a_request_goes_on_byte_for_byte() {
    for (exporter, path) in [("otlp", GRPC_TRACES), ("otlphttp", "/v1/traces")] {
        let sink = Sink::start().await;
        let settings = format!("{{endpoint: '{}', compression: none}}", sink.url());
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        let mut request = agents::request(50, 1, 0);
        // A field of a later version of OTLP: nobody here knows it, and it must not get lost.
        request.extend([0x98, 0x06, 0x01]);
        collector.take_traces(request.clone()).await;
        sink.spans(50).await;
        let received = sink.received();
        assert_eq!((received.len(), received[0].path.as_str()), (1, path));
        assert!(received[0].body == request, "{exporter} changed the bytes");
        collector
            .sample_becomes(&format!(r#"spanlight_exporter_sent_total{{exporter="{exporter}",signal="traces"}}"#), 50.0)
            .await;
    }
}

#[tokio::test]
async fn all_signals_find_their_way() {
    for exporter in ["otlp", "otlphttp"] {
        for (signal, service, request) in [
            ("metrics", "metrics.v1.MetricsService", metrics("requests", 3.0)),
            ("logs", "logs.v1.LogsService", logs("hello")),
        ] {
            let sink = Sink::start().await;
            let collector =
                Collector::with(&through(signal, &[], &[(exporter, &format!("{{endpoint: '{}'}}", sink.url()))])).await;
            let path = format!("/v1/{signal}");
            let answer = collector.post(&path, &[("content-type", "application/x-protobuf")], request.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let received = sink.until("a request", |received| received.first().cloned()).await;
            let grpc_path = format!("/opentelemetry.proto.collector.{service}/Export");
            assert_eq!(received.path, if exporter == "otlp" { grpc_path } else { path });
            assert!(received.body == request, "{exporter} changed {signal}");
        }
    }
}

#[tokio::test]
async fn requests_that_wait_together_go_out_as_one() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        let exporters = [(exporter, &*format!("{{endpoint: '{}'}}", sink.url()))];
        let batch = ("batch", "{send_batch_size: 6, timeout: 60s}");
        let collector = Collector::with(&traces_through(&[batch], &exporters)).await;
        let requests: Vec<Vec<u8>> =
            (1..=3).map(|trace| traces(vec![chat(trace, 2, 1), agent(trace, 1, 0, "researcher")])).collect();
        for request in &requests {
            collector.take_traces(request.clone()).await;
        }
        sink.spans(6).await;
        let received = sink.received();
        assert_eq!(received.len(), 1);
        assert!(received[0].body == requests.concat(), "{exporter} changed the bytes");
    }
}

#[tokio::test]
async fn bodies_are_packed_as_configured() {
    for (exporter, header) in [("otlp", "grpc-encoding"), ("otlphttp", "content-encoding")] {
        for (compression, encoding) in
            [("", Some("gzip")), ("gzip", Some("gzip")), ("zstd", Some("zstd")), ("none", None)]
        {
            let sink = Sink::start().await;
            let compression =
                if compression.is_empty() { String::new() } else { format!(", compression: {compression}") };
            let settings = format!("{{endpoint: '{}'{compression}}}", sink.url());
            let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
            let request = agents::request(50, 1, 0);
            collector.take_traces(request.clone()).await;
            let received = sink.until("a request", |received| received.first().cloned()).await;
            assert_eq!(received.headers.get(header).map(|value| value.to_str().unwrap()), encoding, "{exporter}");
            // The peer unpacks as the headers say.
            assert!(received.body == request, "{exporter}{compression}");
        }
    }
}

#[tokio::test]
async fn headers_are_sent_and_may_come_from_the_environment() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        let settings = format!(
            "{{endpoint: '{}', headers: {{authorization: 'Bearer ${{env:SINK_TOKEN}}', x-tenant: '${{env:SINK_TENANT:-a}}'}}}}",
            sink.url()
        );
        let config = traces_to(&[(exporter, &settings)]);
        let collector = Collector::with_environment(&config, &[("SINK_TOKEN", "s3cret")]).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        let received = sink.until("a request", |received| received.first().cloned()).await;
        assert_eq!(received.headers["authorization"], "Bearer s3cret");
        assert_eq!(received.headers["x-tenant"], "a");
        let agent = received.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("spanlight/"), "{agent}");
    }
}

#[tokio::test]
async fn an_endpoint_of_one_signal_is_used_as_it_is() {
    let sink = Sink::start().await;
    let settings = format!("{{traces_endpoint: '{}/api/otlp/traces?org=7'}}", sink.url());
    let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    let received = sink.until("a request", |received| received.first().cloned()).await;
    assert_eq!(received.path, "/api/otlp/traces");
}

#[tokio::test]
async fn json_says_the_same_as_protobuf() {
    let sink = Sink::start().await;
    let settings = format!("{{traces_endpoint: '{}/json', encoding: json}}", sink.url());
    let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
    let request = agents::request(20, 1, 0);
    collector.take_traces(request.clone()).await;
    let received = sink.until("a request", |received| received.first().cloned()).await;
    assert_eq!(received.headers["content-type"], "application/json");
    let decoded: ExportTraceServiceRequest = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(decoded, ExportTraceServiceRequest::decode(&*request).unwrap());
}

#[tokio::test]
async fn spans_that_stand_for_others_stay_here() {
    let sink = Sink::start().await;
    let settings = format!("{{endpoint: '{}'}}", sink.url());
    let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
    let mut sent = 0;
    for number in ["001", "002", "004"] {
        let body =
            std::fs::read(tools::file(&format!("tests/data/corpus/logfire_pending/{number}.traces.pb"))).unwrap();
        sent += spans_of(&body).len();
        collector.take_traces(body).await;
    }
    let received: Vec<String> = sink.spans(6).await.into_iter().map(|span| span.name).collect();
    assert_eq!((sent, received.len()), (9, 6), "{received:?}");
    let left_out = r#"spanlight_dropped_total{component="agent",pipeline="traces",reason="pending_span"}"#;
    collector.sample_becomes(left_out, 3.0).await;
}
