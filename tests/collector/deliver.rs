//! Delivering to receivers that misbehave: what is tried again and when, what is given up, and what is counted.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::support::collector::Collector;
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Received, Sink};
use super::support::telemetry::{chat, span, traces};

/// Retries that a test has time for.
const QUICKLY: &str = "retry_on_failure: {initial_interval: 20ms, max_interval: 100ms}";

/// A collector that sends to a peer, with more settings of the exporter.
async fn sending_to(exporter: &str, sink: &Sink, settings: &str) -> Collector {
    let settings = format!("{{endpoint: '{}', {settings}}}", sink.url());
    Collector::with(&traces_to(&[(exporter, &settings)])).await
}

/// The sample of a counter of the exporter.
fn counter(exporter: &str, name: &str) -> String {
    format!(r#"spanlight_exporter_{name}_total{{exporter="{exporter}",signal="traces"}}"#)
}

/// The sample of what the exporter gave up for a reason.
fn failed(exporter: &str, reason: &str) -> String {
    format!(r#"spanlight_exporter_failed_total{{exporter="{exporter}",reason="{reason}",signal="traces"}}"#)
}

/// Waits until so many requests came, and gives them.
async fn requests(sink: &Sink, count: usize) -> Vec<Received> {
    sink.until(&format!("{count} requests"), |received| (received.len() >= count).then(|| received.to_vec())).await
}

/// A `google.rpc.Status` with a `RetryInfo`, as it stands in `grpc-status-details-bin`.
fn retry_info(delay: Duration) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        delay: Option<Delay>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let delay = Delay { seconds: delay.as_secs() as i64, nanos: delay.subsec_nanos() as i32 };
    let value = RetryInfo { delay: Some(delay) }.encode_to_vec();
    let details = vec![Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value }];
    STANDARD_NO_PAD.encode(Status { code: 8, details }.encode_to_vec())
}

#[tokio::test]
async fn what_may_pass_is_tried_again_until_it_is_taken() {
    let statuses = [429, 502, 503, 504].map(|status| Behaviour::Http(status, vec![]));
    let codes = [1, 4, 10, 11, 14, 15].map(|code| Behaviour::Grpc(code, String::new())).into_iter();
    let codes = codes.chain([Behaviour::Grpc(8, retry_info(Duration::from_millis(10)))]);
    for (exporter, script) in [("otlphttp", statuses.to_vec()), ("otlp", codes.collect())] {
        let sink = Sink::start().await;
        sink.will(script.clone());
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        let request = traces(vec![chat(1, 2, 0)]);
        collector.take_traces(request.clone()).await;
        let received = requests(&sink, script.len() + 1).await;
        assert!(received.iter().all(|received| received.body == request), "{exporter}");
        collector.sample_becomes(&counter(exporter, "sent"), 1.0).await;
        assert_eq!(collector.sample(&counter(exporter, "retried")).await, Some(script.len() as f64));
        assert_eq!(collector.sample(&failed(exporter, "rejected")).await, Some(0.0));
        assert_eq!(sink.received().len(), script.len() + 1);
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_once_and_counted() {
    let statuses = [400, 401, 403, 404, 413, 500, 501].map(|status| Behaviour::Http(status, vec![]));
    // RESOURCE_EXHAUSTED without a word on when to come back is for good, too.
    let codes = [2, 3, 5, 6, 7, 8, 9, 12, 13, 16].map(|code| Behaviour::Grpc(code, String::new()));
    for (exporter, script) in [("otlphttp", statuses.to_vec()), ("otlp", codes.to_vec())] {
        let sink = Sink::start().await;
        sink.will(script.clone());
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        for trace in 1..=script.len() {
            collector.take_traces(traces(vec![chat(trace as u8, 2, 1), span(trace as u8, 1, 0, "root", vec![])])).await;
            collector.sample_becomes(&failed(exporter, "rejected"), 2.0 * trace as f64).await;
        }
        collector.take_traces(traces(vec![chat(99, 2, 0)])).await;
        let taken = sink.spans(1).await;
        assert_eq!(taken[0].trace_id, [99; 16]);
        assert_eq!(sink.received().len(), script.len() + 1, "{exporter}");
        assert_eq!(collector.sample(&counter(exporter, "retried")).await, Some(0.0));
        collector.line("2 items were refused for good").await;
    }
}

#[tokio::test]
async fn the_receivers_word_on_when_to_come_back_counts() {
    let later = Duration::from_millis(1000);
    for (exporter, behaviour) in [
        ("otlphttp", Behaviour::Http(503, vec![("retry-after", "1")])),
        ("otlphttp", Behaviour::Http(429, vec![("retry-after", "1")])),
        ("otlp", Behaviour::Grpc(8, retry_info(later))),
        ("otlp", Behaviour::Grpc(14, retry_info(later))),
    ] {
        let sink = Sink::start().await;
        sink.will([behaviour.clone()]);
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        let received = requests(&sink, 2).await;
        let waited = received[1].at - received[0].at;
        assert!(waited >= later, "{behaviour:?}: came back after {waited:?}");
    }
}

#[tokio::test]
async fn delays_grow() {
    let sink = Sink::start().await;
    sink.will(vec![Behaviour::Http(503, vec![]); 3]);
    let growing = "retry_on_failure: {initial_interval: 100ms, multiplier: 2, randomization_factor: 0}";
    let collector = sending_to("otlphttp", &sink, growing).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    let received = requests(&sink, 4).await;
    let waited: Vec<Duration> = received.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (waited, least) in waited.iter().zip([100, 200, 400]) {
        assert!(*waited >= Duration::from_millis(least), "{waited:?} is less than {least} ms");
    }
}

#[tokio::test]
async fn a_receiver_that_comes_up_later_gets_it_all() {
    for exporter in ["otlp", "otlphttp"] {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = format!("{{endpoint: 'http://{address}', {QUICKLY}}}");
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        collector.line("cannot connect").await;
        let sink = Sink::at(&address.to_string()).await;
        sink.spans(1).await;
        collector.sample_becomes(&counter(exporter, "sent"), 1.0).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        sink.will([Behaviour::Accept, Behaviour::Break, Behaviour::Break]);
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        for trace in 1..=2 {
            collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
            sink.spans(usize::from(trace)).await;
        }
        let taken = sink.spans(2).await;
        assert_eq!(taken.iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [1, 2]);
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_asked_again() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        sink.will([Behaviour::Hang(Duration::from_secs(600))]);
        let collector = sending_to(exporter, &sink, &format!("timeout: 200ms, {QUICKLY}")).await;
        let request = traces(vec![chat(1, 2, 0)]);
        collector.take_traces(request.clone()).await;
        let received = requests(&sink, 2).await;
        assert!(received[1].body == request, "{exporter}");
        collector.sample_becomes(&counter(exporter, "sent"), 1.0).await;
        collector.line("no answer within 200 ms").await;
    }
}

#[tokio::test]
async fn what_a_receiver_leaves_out_is_counted_and_not_sent_again() {
    let message = "one\u{1b}[2J is too old".to_owned();
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: message });
    let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        sink.will([Behaviour::AcceptWith(answer.clone())]);
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        collector.take_traces(traces(vec![chat(1, 2, 1), chat(1, 3, 1), span(1, 1, 0, "root", vec![])])).await;
        collector.sample_becomes(&counter(exporter, "sent"), 2.0).await;
        assert_eq!(collector.sample(&failed(exporter, "rejected")).await, Some(1.0));
        assert_eq!(sink.received().len(), 1);
        let line = collector.line("left out 1 items").await;
        assert!(line.ends_with("one [2J is too old"), "{line:?}");
    }
}

#[tokio::test]
async fn what_fails_for_too_long_is_given_up_and_counted() {
    for retries in [
        "retry_on_failure: {initial_interval: 20ms, max_elapsed_time: 100ms}",
        "retry_on_failure: {enabled: false}",
        // What could only be tried after that time is not waited for.
        "retry_on_failure: {initial_interval: 200s, max_interval: 200s, max_elapsed_time: 100s}",
    ] {
        let sink = Sink::start().await;
        sink.otherwise(Behaviour::Http(503, vec![]));
        let collector = sending_to("otlphttp", &sink, retries).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        collector.sample_becomes(&failed("otlphttp", "gave_up"), 1.0).await;
        collector.line("gave up on 1 items: HTTP 503 Service Unavailable").await;
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_never_sent_again() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        let trouble = match exporter {
            "otlp" => Behaviour::Grpc(14, String::new()),
            _ => Behaviour::Http(503, vec![]),
        };
        sink.will((0..60).map(|number| match number % 4 {
            0 => trouble.clone(),
            2 => Behaviour::Break,
            _ => Behaviour::Accept,
        }));
        let collector = sending_to(exporter, &sink, QUICKLY).await;
        for trace in 1..=30 {
            collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
        }
        sink.spans(30).await;
        let ended = collector.stop().await;
        assert!(ended.status.success(), "{ended:?}");
        let mut taken: Vec<u8> = sink.spans(30).await.iter().map(|span| span.trace_id[0]).collect();
        taken.sort_unstable();
        assert_eq!(taken, (1..=30).collect::<Vec<u8>>(), "{exporter}");
    }
}

#[tokio::test]
async fn whatever_delay_a_receiver_names_the_exporter_lives_and_does_not_storm() {
    for asked in ["18446744073709551615", "0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let sink = Sink::start().await;
        sink.otherwise(Behaviour::Http(503, vec![("retry-after", asked)]));
        let settings = format!("{{endpoint: '{}', retry_on_failure: {{max_elapsed_time: 0}}}}", sink.url());
        let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        let retried = r#"spanlight_exporter_retried_total{exporter="otlphttp",signal="traces"}"#;
        collector.sample_becomes(retried, 1.0).await;
        assert_eq!(sink.received().len(), 1, "{asked}: the next attempt comes after the exporter's own delay");
        assert_eq!(collector.get("/readyz").await.status, 200, "{asked}");
        let crashed = r#"spanlight_dropped_total{component="otlphttp",reason="crashed",signal="traces"}"#;
        assert_eq!(collector.sample(crashed).await, Some(0.0));
    }
}
