//! Queues on disk: what was acknowledged is delivered, whatever becomes of the process, the peer and the disk.


use super::support::collector::{Collector, Port};
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{span, traces};
use super::support::{client, until};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A request of one span that is told from others by its number.
fn numbered(number: u64) -> Vec<u8> {
    let mut one = span(1, 1, 0, &number.to_string(), Vec::new());
    one.trace_id[..8].copy_from_slice(&number.to_be_bytes());
    traces(vec![one])
}

/// The numbers of the spans that a peer took, in the order in which it did.
fn numbers(peer: &Sink) -> Vec<u64> {
    let taken = peer.received().into_iter().filter(|request| request.taken);
    taken.flat_map(|request| request.spans()).map(|span| span.name.parse().unwrap()).collect()
}

/// Settings of an exporter whose queue is on disk, and that tries again at once.
fn on_disk(peer: &Sink, queue: &str) -> String {
    format!(
        "{{endpoint: '{}', sending_queue: {{storage: disk, num_consumers: 1{queue}}}, retry_on_failure: {{initial_interval: 20ms, max_interval: 100ms}}}}",
        peer.url()
    )
}

async fn dead() -> Sink {
    let sink = Sink::start().await;
    sink.otherwise(Behaviour::Http(503, vec![]));
    sink
}

async fn all_of(peer: &Sink, count: u64) -> Vec<u64> {
    peer.until(&format!("{count} spans"), |_| {
        let mut seen = numbers(peer);
        seen.sort_unstable();
        seen.dedup();
        (seen.len() as u64 >= count).then_some(())
    })
    .await;
    numbers(peer)
}

const SIZE: &str = r#"spanlight_queue_size{exporter="otlphttp",signal="traces"}"#;

#[tokio::test]
async fn what_a_dead_peer_did_not_take_is_delivered_in_order_after_restarts() {
    let peer = dead().await;
    let mut collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    for number in 0..30 {
        collector.take_traces(numbered(number)).await;
    }
    collector = collector.ended_and_started_again("TERM").await;
    assert_eq!(collector.sample(SIZE).await, Some(30.0));
    for number in 30..60 {
        collector.take_traces(numbered(number)).await;
    }
    collector = collector.killed_and_started_again().await;
    assert_eq!(collector.sample(SIZE).await, Some(60.0));
    peer.otherwise(Behaviour::Accept);
    assert_eq!(all_of(&peer, 60).await, (0..60).collect::<Vec<_>>());
    collector.sample_becomes(SIZE, 0.0).await;
    let ended = collector.stop().await;
    assert!(ended.stdout.contains("Everything was delivered."), "{ended:?}");
}
