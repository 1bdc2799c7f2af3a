//! Queues in front of exporters: what happens when one is full, slow or dead, to senders, to the other exporters
//! and at the end.

use std::time::Duration;

use super::support::collector::{Collector, Port};
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{agents, chat, traces};
use super::support::{client, until};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A peer that takes nothing.
async fn dead() -> Sink {
    let sink = Sink::start().await;
    sink.otherwise(Behaviour::Http(503, vec![]));
    sink
}

/// A collector that sends to a dead peer with these settings of its queue, and to another peer.
async fn collector(dead: &Sink, queue: &str, other: &Sink) -> Collector {
    let dead = format!(
        "{{endpoint: '{}', sending_queue: {{num_consumers: 1, {queue}}}, retry_on_failure: {{initial_interval: 600s, max_interval: 600s, max_elapsed_time: 0}}}}",
        dead.url()
    );
    let other = format!("{{endpoint: '{}'}}", other.url());
    Collector::with(&traces_to(&[("otlphttp/dead", &dead), ("otlphttp/other", &other)])).await
}

#[tokio::test]
async fn who_waits_for_the_result_acknowledges_what_was_delivered_and_nothing_else() {
    let (peer, other) = (Sink::start().await, Sink::start().await);
    let waits = format!(
        "{{endpoint: '{}', compression: none, sending_queue: {{num_consumers: 1, wait_for_result: true, patience: 300ms}}, retry_on_failure: {{initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 0}}}}",
        peer.url()
    );
    let others = format!("{{endpoint: '{}'}}", other.url());
    let collector = Collector::with(&traces_to(&[("otlphttp", &waits), ("otlphttp/other", &others)])).await;
    for number in 1..=20 {
        collector.take_traces(traces(vec![chat(number, 2, 0)])).await;
        assert_eq!(peer.spans(0).await.len(), usize::from(number), "it is there when it is acknowledged");
    }
    other.spans(20).await;
    peer.otherwise(Behaviour::Http(503, vec![]));
    let answer = collector.post("/v1/traces", &[PROTOBUF], traces(vec![chat(21, 2, 0)])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.text().contains("the queue of otlphttp is not delivered in time"), "{}", answer.text());
    peer.otherwise(Behaviour::Accept);
    // It is still on its way, and comes once more from a sender that tries again.
    collector.take_traces(traces(vec![chat(21, 2, 0)])).await;
    assert_eq!(peer.spans(0).await.len(), 22);
    assert_eq!(other.spans(21).await.len(), 21, "what was refused went nowhere else");
    assert!(collector.stop().await.status.success());
}

#[tokio::test]
async fn a_full_queue_refuses_senders_and_nothing_of_it_goes_anywhere() {
    for bound in ["queue_size: 2", "sizer: items, queue_size: 5", "sizer: bytes, queue_size: 500", "max_items: 5"] {
        let (dead, other) = (dead().await, Sink::start().await);
        let collector = collector(&dead, &format!("{bound}, patience: 20ms"), &other).await;
        let mut accepted = 0;
        let refused = loop {
            let spans = vec![chat(1 + accepted as u8, 2, 1), chat(1 + accepted as u8, 3, 1)];
            let answer = collector.post("/v1/traces", &[PROTOBUF], traces(spans)).await;
            if answer.status != 200 {
                break answer;
            }
            accepted += 1;
            assert!(accepted < 20, "{bound} is no bound");
        };
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{bound}");
        assert!(refused.text().contains("the queue of otlphttp/dead is full"), "{}", refused.text());
        let grpc = client::call(
            &collector.url(Port::Grpc).await,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            &traces(vec![chat(1, 2, 0)]),
        )
        .await;
        assert_eq!(grpc.code, 14, "{grpc:?}");
        // Everything that was accepted reached the other exporter, and nothing else did.
        let mut seen: Vec<u8> = other.spans(2 * accepted).await.iter().map(|span| span.trace_id[0]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (1..=accepted as u8).collect::<Vec<_>>());
        assert_eq!(other.spans(0).await.len(), 2 * accepted);
    }
}

#[tokio::test]
async fn a_queue_that_may_drop_loses_alone_and_counts_it() {
    let (dead, other) = (dead().await, Sink::start().await);
    let collector = collector(&dead, "queue_size: 2, on_full: drop", &other).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    // One is on its way; two wait; the rest is lost.
    dead.until("a try", |received| (!received.is_empty()).then_some(())).await;
    for trace in 2..=10 {
        collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
    }
    other.spans(10).await;
    let dropped = r#"spanlight_dropped_total{component="otlphttp/dead",reason="queue_full",signal="traces"}"#;
    collector.sample_becomes(dropped, 7.0).await;
    let waiting = r#"spanlight_queue_size{exporter="otlphttp/dead",signal="traces"}"#;
    assert_eq!(collector.sample(waiting).await, Some(2.0));
}

#[tokio::test]
async fn nobody_waits_for_an_exporter_that_has_failed_for_long() {
    let (dead, other) = (dead().await, Sink::start().await);
    let collector = collector(&dead, "queue_size: 1, patience: 20s, failing_after: 100ms", &other).await;
    // The first is on its way and failing, the second waits in the queue; all others find it full.
    for trace in 1..=10 {
        collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
    }
    other.spans(10).await;
    let dropped = r#"spanlight_dropped_total{component="otlphttp/dead",reason="queue_full",signal="traces"}"#;
    assert!(collector.sample(dropped).await >= Some(7.0));
}

#[tokio::test]
async fn many_senders_at_once_do_not_overfill_queues() {
    let (slow, other) = (Sink::start().await, Sink::start().await);
    for sink in [&slow, &other] {
        sink.otherwise(Behaviour::Hang(Duration::from_millis(20)));
    }
    let settings = |sink: &Sink| {
        format!("{{endpoint: '{}', sending_queue: {{num_consumers: 1, max_items: 100, patience: 10s}}}}", sink.url())
    };
    let exporters = [("otlphttp/slow", &*settings(&slow)), ("otlphttp/other", &*settings(&other))];
    let collector = Collector::with(&traces_to(&exporters)).await;
    let url = format!("{}/v1/traces", collector.url(Port::Http).await);
    let senders = (0..60).map(|seed| {
        let url = url.clone();
        tokio::spawn(async move {
            let request = agents::request(50, seed, 0);
            assert_eq!(client::post(&url, &[PROTOBUF], request.into()).await.status, 200);
        })
    });
    let senders: Vec<_> = senders.collect();
    let size = r#"spanlight_queue_size{exporter="otlphttp/slow",signal="traces"}"#;
    while !senders.iter().all(|sender| sender.is_finished()) {
        // A request for each thread may pass the check at the same moment.
        assert!(collector.sample(size).await <= Some(100.0 + 50.0 * 64.0_f64.min(threads())), "overfull");
    }
    for sender in senders {
        sender.await.unwrap();
    }
    slow.spans(3000).await;
    other.spans(3000).await;
}

fn threads() -> f64 {
    std::thread::available_parallelism().map_or(64.0, |threads| threads.get() as f64)
}

#[tokio::test]
async fn senders_wait_for_room_as_long_as_they_have_patience() {
    let (slow, other) = (Sink::start().await, Sink::start().await);
    slow.will([Behaviour::Hang(Duration::from_millis(500))]);
    let settings = |sink: &Sink| {
        format!("{{endpoint: '{}', sending_queue: {{num_consumers: 1, queue_size: 1, patience: 20s}}}}", sink.url())
    };
    let exporters = [("otlphttp/slow", &*settings(&slow)), ("otlphttp/other", &*settings(&other))];
    let collector = Collector::with(&traces_to(&exporters)).await;
    for trace in 1..=4 {
        collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
    }
    slow.spans(4).await;
    other.spans(4).await;
}

#[tokio::test]
async fn a_slow_exporter_does_not_stop_the_others() {
    let (slow, other) = (Sink::start().await, Sink::start().await);
    slow.otherwise(Behaviour::Hang(Duration::from_secs(600)));
    let slow_settings = format!("{{endpoint: '{}', timeout: 600s}}", slow.url());
    let other_settings = format!("{{endpoint: '{}'}}", other.url());
    let exporters = [("otlp/slow", slow_settings.as_str()), ("otlp/other", &other_settings)];
    let collector = Collector::with(&traces_to(&exporters)).await;
    for seed in 0..20 {
        collector.take_traces(agents::request(10, seed, 0)).await;
        other.spans(10 * (seed as usize + 1)).await;
    }
    let sent = r#"spanlight_exporter_sent_total{exporter="otlp/slow",signal="traces"}"#;
    assert_eq!(collector.sample(sent).await, Some(0.0));
}

#[tokio::test]
async fn stopping_delivers_what_waits() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        sink.will([Behaviour::Hang(Duration::from_millis(300))]);
        let settings = format!("{{endpoint: '{}', sending_queue: {{num_consumers: 1}}}}", sink.url());
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        for trace in 1..=20 {
            collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
        }
        let ended = collector.stop().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stdout.contains("Everything was delivered."), "{ended:?}");
        assert_eq!(sink.spans(20).await.len(), 20);
    }
}

#[tokio::test]
async fn stopping_tries_once_more_what_waited_for_a_later_attempt() {
    let sink = dead().await;
    let settings = format!(
        "{{endpoint: '{}', retry_on_failure: {{initial_interval: 600s, max_interval: 600s, max_elapsed_time: 0}}}}",
        sink.url()
    );
    let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    collector.line("trying again in").await;
    sink.otherwise(Behaviour::Accept);
    let ended = collector.stop().await;
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(sink.spans(1).await.len(), 1);
}

#[tokio::test]
async fn stopping_with_a_dead_peer_says_what_was_left_and_fails() {
    let (dead, other) = (dead().await, Sink::start().await);
    let collector = collector(&dead, "queue_size: 100", &other).await;
    for trace in 1..=3 {
        collector.take_traces(traces(vec![chat(trace, 2, 1), chat(trace, 3, 1)])).await;
    }
    other.spans(6).await;
    dead.until("a try", |received| (!received.is_empty()).then_some(())).await;
    until("the other exporter's count", async || {
        let sent = r#"spanlight_exporter_sent_total{exporter="otlphttp/other",signal="traces"}"#;
        (collector.sample(sent).await == Some(6.0)).then_some(())
    })
    .await;
    let ended = collector.stop().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("NOT delivered: 6 items of otlphttp/dead"), "{ended:?}");
    assert!(!ended.stdout.contains("otlphttp/other"), "{ended:?}");
    assert!(ended.stderr.contains("error: not everything was delivered"), "{ended:?}");
}
