//! Delivering to receivers that come and go: how often and for how long it is tried, and that nothing is sent twice. What
//! a receiver's answers mean is in `exporters`.

use std::time::Duration;

use super::support::collector::Collector;
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Received, Sink};
use super::support::telemetry::{chat, traces};

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
