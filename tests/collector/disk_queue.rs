//! Queues on disk: what was acknowledged is delivered, whatever becomes of the process, the peer and the disk.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::support::client::Connection;
use super::support::collector::{Collector, Port};
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Received, Sink};
use super::support::telemetry::{span, text, traces};
use super::support::until;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const SIZE: &str = r#"spanlight_queue_size{exporter="otlphttp",signal="traces"}"#;

/// A request of one span that is told from others by its number, with an attribute of so many bytes.
fn sized(number: u64, bytes: usize) -> Vec<u8> {
    let mut one = span(1, 1, 0, &number.to_string(), vec![text("padding", &"x".repeat(bytes))]);
    one.trace_id[..8].copy_from_slice(&number.to_be_bytes());
    traces(vec![one])
}

fn numbered(number: u64) -> Vec<u8> {
    sized(number, 0)
}

/// The numbers of the spans that a peer took, in the order in which it did.
fn numbers(peer: &Sink) -> Vec<u64> {
    let taken = peer.received().into_iter().filter(|request| request.taken);
    taken.flat_map(|request| request.spans()).map(|span| span.name.parse().unwrap()).collect()
}

fn distinct(peer: &Sink) -> BTreeSet<u64> {
    numbers(peer).into_iter().collect()
}

/// Settings of an exporter whose queue is on disk, and that tries again at once.
fn on_disk(peer: &Sink, queue: &str) -> String {
    format!(
        "{{endpoint: '{}', compression: none, sending_queue: {{storage: disk, num_consumers: 1{queue}}}, retry_on_failure: {{initial_interval: 20ms, max_interval: 100ms}}}}",
        peer.url()
    )
}

/// A peer that takes nothing.
async fn dead() -> Sink {
    let sink = Sink::start().await;
    sink.otherwise(Behaviour::Http(503, vec![]));
    sink
}

/// Waits until a peer has taken all of these.
async fn arrive(peer: &Sink, all: &BTreeSet<u64>) {
    until("everything", async || all.is_subset(&distinct(peer)).then_some(())).await;
}

/// Senders that never pause. What was acknowledged to them is in the set.
fn load(url: &str, round: u64, acknowledged: &Arc<Mutex<BTreeSet<u64>>>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for sender in 0..3 {
        let (url, acknowledged) = (format!("{url}/v1/traces"), acknowledged.clone());
        senders.spawn(async move {
            let connection = Connection::new();
            for number in (round * 3 + sender) * 1_000_000.. {
                match connection.post(&url, &[PROTOBUF], numbered(number).into()).await {
                    Some(200) => drop(acknowledged.lock().unwrap().insert(number)),
                    Some(503) => {}
                    // It is gone.
                    None => return,
                    Some(other) => panic!("{other}"),
                }
            }
        });
    }
    senders
}

/// The segments of the exporter's queue.
fn segments(collector: &Collector) -> Vec<PathBuf> {
    let files = std::fs::read_dir(collector.data("queues/otlphttp/traces")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

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
    arrive(&peer, &(0..60).collect()).await;
    assert_eq!(numbers(&peer), (0..60).collect::<Vec<_>>());
    collector.sample_becomes(SIZE, 0.0).await;
    let ended = collector.stop().await;
    assert!(ended.stdout.contains("Everything was delivered."), "{ended:?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_however_often_the_process_is_killed() {
    let rounds = std::env::var("SPANLIGHT_TEST_KILLS").map_or(20, |rounds| rounds.parse().unwrap());
    let peer = dead().await;
    let mut collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..rounds {
        let url = collector.url(Port::Http).await;
        let senders = load(&url, round, &acknowledged);
        // Any moment will do; the peer comes and goes in between.
        let moment = Duration::from_millis(round * 7919 % 97);
        peer.otherwise(if round % 3 == 0 { Behaviour::Http(503, vec![]) } else { Behaviour::Accept });
        tokio::time::sleep(moment).await;
        peer.otherwise(if round % 3 == 1 { Behaviour::Http(503, vec![]) } else { Behaviour::Accept });
        tokio::time::sleep(moment / 2).await;
        collector = collector.killed_and_started_again().await;
        senders.join_all().await;
    }
    peer.otherwise(Behaviour::Accept);
    let acknowledged = acknowledged.lock().unwrap().clone();
    arrive(&peer, &acknowledged).await;
    let (taken, distinct) = (numbers(&peer).len(), distinct(&peer).len());
    println!("{rounds} kills, {} acknowledged, {} taken twice", acknowledged.len(), taken - distinct);
    assert!(acknowledged.len() as u64 > rounds, "there was no load");
    collector.sample_becomes(SIZE, 0.0).await;
}

#[tokio::test]
async fn stopping_under_load_loses_nothing_and_keeps_the_rest() {
    let peer = dead().await;
    let mut collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for (round, answer) in [Behaviour::Http(503, vec![]), Behaviour::Accept].into_iter().enumerate() {
        let url = collector.url(Port::Http).await;
        let senders = load(&url, round as u64, &acknowledged);
        until("a load", async || (acknowledged.lock().unwrap().len() > 100 * (round + 1)).then_some(())).await;
        peer.otherwise(answer);
        collector = collector.ended_and_started_again("TERM").await;
        senders.join_all().await;
    }
    peer.otherwise(Behaviour::Http(503, vec![]));
    collector.take_traces(numbered(7)).await;
    let kept = collector.stop().await;
    assert!(kept.status.success() && kept.stdout.contains("On disk: "), "{kept:?}");
    let acknowledged = acknowledged.lock().unwrap().clone();
    let missing = acknowledged.difference(&distinct(&peer)).count();
    assert!(missing == 0 || kept.stdout.contains(&format!("On disk: {} items", missing + 1)), "{missing} {kept:?}");
}

#[tokio::test]
async fn what_was_on_its_way_when_the_process_was_killed_is_sent_again_and_counted() {
    let peer = Sink::start().await;
    peer.otherwise(Behaviour::Hang(Duration::from_secs(600)));
    let mut collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    collector.take_traces(numbered(0)).await;
    peer.until("the first", |received| (!received.is_empty()).then_some(())).await;
    for number in 1..10 {
        collector.take_traces(numbered(number)).await;
    }
    peer.otherwise(Behaviour::Accept);
    collector = collector.killed_and_started_again().await;
    arrive(&peer, &(0..10).collect()).await;
    assert_eq!(numbers(&peer).len(), 11);
    let repeated = r#"spanlight_exporter_repeated_total{exporter="otlphttp",reason="unfinished",signal="traces"}"#;
    collector.sample_becomes(repeated, 1.0).await;
    let sent = r#"spanlight_exporter_sent_total{exporter="otlphttp",signal="traces"}"#;
    collector.sample_becomes(sent, 10.0).await;
    // Whatever was answered is settled, and is not sent after the next end, however that comes.
    collector = collector.killed_and_started_again().await;
    assert_eq!((collector.sample(SIZE).await, collector.sample(sent).await), (Some(0.0), Some(0.0)));
}

#[tokio::test]
async fn a_full_queue_refuses_before_anything_is_taken_and_goes_on_when_it_is_not() {
    let (peer, other) = (dead().await, Sink::start().await);
    let other_settings = format!("{{endpoint: '{}'}}", other.url());
    let exporters =
        [("otlphttp", &*on_disk(&peer, ", max_gib: 0.002, patience: 10ms")), ("otlphttp/other", &*other_settings)];
    let collector = Collector::with(&traces_to(&exporters)).await;
    let mut taken = 0;
    let refused = loop {
        let answer = collector.post("/v1/traces", &[PROTOBUF], sized(taken, 50_000)).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
        assert!(taken < 1000, "that is no bound");
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("the queue of otlphttp is full"), "{}", refused.text());
    assert!(taken > 20, "{taken}");
    arrive(&other, &(0..taken).collect()).await;
    let size: u64 = segments(&collector).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(size < (0.002 * f64::from(1 << 30)) as u64, "{size}");
    peer.otherwise(Behaviour::Accept);
    until("room", async || {
        (collector.post("/v1/traces", &[PROTOBUF], sized(taken, 50_000)).await.status == 200).then_some(())
    })
    .await;
    for sink in [&peer, &other] {
        arrive(sink, &(0..=taken).collect()).await;
        assert_eq!(numbers(sink).len(), taken as usize + 1);
    }
}

#[tokio::test]
async fn a_full_queue_that_may_drop_loses_alone_and_counts_it() {
    let (peer, other) = (dead().await, Sink::start().await);
    let other_settings = format!("{{endpoint: '{}'}}", other.url());
    let exporters =
        [("otlphttp", &*on_disk(&peer, ", queue_size: 10, on_full: drop")), ("otlphttp/other", &*other_settings)];
    let collector = Collector::with(&traces_to(&exporters)).await;
    for number in 0..25 {
        collector.take_traces(numbered(number)).await;
    }
    arrive(&other, &(0..25).collect()).await;
    let dropped = r#"spanlight_dropped_total{component="otlphttp",reason="queue_full",signal="traces"}"#;
    collector.sample_becomes(dropped, 15.0).await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_said_once_and_used_again_when_it_does() {
    for (on_full, refused) in [("wait", true), ("drop", false)] {
        let (peer, other) = (dead().await, Sink::start().await);
        let other_settings = format!("{{endpoint: '{}'}}", other.url());
        let exporters =
            [("otlphttp", &*on_disk(&peer, &format!(", on_full: {on_full}"))), ("otlphttp/other", &*other_settings)];
        let collector = Collector::with_small_files(&traces_to(&exporters), 64).await;
        collector.take_traces(sized(0, 20_000)).await;
        for number in 1..10 {
            let answer = collector.post("/v1/traces", &[PROTOBUF], sized(number, 20_000)).await;
            assert!(answer.status == 200 || (refused && answer.status == 503), "{}", answer.text());
        }
        let line = collector.line("otlphttp: its queue on disk takes nothing").await;
        assert!(line.contains("there is no room"), "{line}");
        // What was refused went nowhere, and what was not went to the other at least.
        let size = collector.sample(SIZE).await.unwrap() as usize;
        assert!((2..5).contains(&size), "{size}");
        let expected = if refused { size } else { 10 };
        until("the others", async || (numbers(&other).len() == expected).then_some(())).await;
        let dropped = r#"spanlight_dropped_total{component="otlphttp",reason="disk_full",signal="traces"}"#;
        let lost = if refused { 0 } else { 10 - size };
        assert_eq!(collector.sample(dropped).await, Some(lost as f64));
        collector.lift_limit_of_files().await;
        collector.take_traces(sized(10, 20_000)).await;
        collector.line("otlphttp: its queue can be written again").await;
        peer.otherwise(Behaviour::Accept);
        until("what was kept", async || (numbers(&peer).len() == size + 1).then_some(())).await;
        let unreadable = r#"spanlight_dropped_total{component="otlphttp",reason="unreadable",signal="traces"}"#;
        collector.sample_becomes(SIZE, 0.0).await;
        assert_eq!(collector.sample(unreadable).await, Some(0.0));
        let ended = collector.stop().await;
        assert_eq!(ended.stderr.matches("takes nothing").count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn damaged_segments_are_passed_over_said_and_counted() {
    let peer = dead().await;
    let mut collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ", max_gib: 0.002"))])).await;
    for number in 0..20 {
        collector.take_traces(sized(number, 20_000)).await;
    }
    collector.signal("TERM").await;
    assert!(collector.gone().await.success());
    let files = segments(&collector);
    assert!(files.len() > 3, "{files:?}");
    // A segment is gone, and a record in another one is hit.
    std::fs::remove_file(&files[1]).unwrap();
    let mut bytes = std::fs::read(&files[2]).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&files[2], bytes).unwrap();
    peer.otherwise(Behaviour::Accept);
    collector = collector.started_again().await;
    collector.line("its queue").await;
    collector.line("items of its queue are lost").await;
    collector.sample_becomes(SIZE, 0.0).await;
    let arrived = distinct(&peer).len();
    assert!((10..19).contains(&arrived), "{arrived}");
    let unreadable = r#"spanlight_dropped_total{component="otlphttp",reason="unreadable",signal="traces"}"#;
    assert_eq!(collector.sample(unreadable).await, Some((20 - arrived) as f64));
    collector.take_traces(numbered(20)).await;
    arrive(&peer, &[20].into()).await;
}

#[tokio::test]
async fn what_waits_on_disk_is_not_in_memory() {
    const MIB: usize = 1 << 20;
    let peer = dead().await;
    let collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    let memory = "spanlight_process_memory_bytes";
    for number in 0..5 {
        collector.take_traces(sized(number, MIB)).await;
    }
    let before = collector.sample(memory).await.unwrap();
    for number in 5..105 {
        collector.take_traces(sized(number, MIB)).await;
    }
    let grown = collector.sample(memory).await.unwrap() - before;
    assert!(grown < 40.0 * MIB as f64, "it takes {} MiB more", grown as usize / MIB);
    peer.otherwise(Behaviour::Accept);
    arrive(&peer, &(0..105).collect()).await;
}

#[tokio::test]
async fn what_one_queue_cannot_write_is_refused_and_counted_where_it_was_kept() {
    let (first, second) = (dead().await, dead().await);
    let settings = |peer: &Sink| on_disk(peer, ", max_gib: 0.002");
    let exporters = [("otlphttp", &*settings(&first)), ("otlphttp/second", &*settings(&second))];
    let collector = Collector::with(&traces_to(&exporters)).await;
    collector.take_traces(sized(0, 20_000)).await;
    // Its segment takes a few more, and another cannot be begun.
    let directory = collector.data("queues/otlphttp@second/traces");
    std::fs::remove_dir_all(&directory).unwrap();
    let refused = until("a refusal", async || {
        let answer = collector.post("/v1/traces", &[PROTOBUF], sized(1, 20_000)).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("the queue of otlphttp/second cannot be written"), "{}", refused.text());
    let repeated =
        r#"spanlight_exporter_repeated_total{exporter="otlphttp",reason="refused_elsewhere",signal="traces"}"#;
    assert_eq!(collector.sample(repeated).await, Some(1.0));
    std::fs::create_dir_all(&directory).unwrap();
    collector.take_traces(sized(2, 20_000)).await;
    first.otherwise(Behaviour::Accept);
    arrive(&first, &(0..3).collect()).await;
}

#[tokio::test]
async fn events_wait_on_disk_as_well() {
    let (logs, hook) = (dead().await, dead().await);
    let queue = "sending_queue: {storage: disk}, retry_on_failure: {initial_interval: 20ms, max_interval: 100ms}";
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         connectors: {{agent: {{}}}}\n\
         exporters:\n  otlphttp: {{endpoint: '{}', {queue}}}\n  webhook: {{url: '{}/hook', events: [agent.failed], {queue}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs: {{receivers: [agent], exporters: [otlphttp, webhook]}}\n",
        logs.url(),
        hook.url()
    );
    let mut collector = Collector::with(&config).await;
    let event = r#"{"name": "agent.failed", "agent": "a", "message": "said once"}"#;
    let url = format!("{}/v1/events", collector.url(Port::Web).await);
    assert_eq!(Connection::new().post(&url, &[], event.into()).await, Some(200));
    for exporter in ["otlphttp", "webhook"] {
        // Nobody waits until they are written.
        let written = format!(r#"spanlight_journal_appended_total{{journal="{exporter}/events"}}"#);
        collector.sample_becomes(&written, 1.0).await;
    }
    collector = collector.killed_and_started_again().await;
    for peer in [&logs, &hook] {
        peer.otherwise(Behaviour::Accept);
        let said = |body: &[u8]| body.windows(9).any(|words| words == b"said once");
        let one = |received: &[Received]| received.iter().any(|one| one.taken && said(&one.body)).then_some(());
        peer.until("the event", one).await;
    }
    drop(collector);
}

#[tokio::test]
async fn a_queue_that_nobody_empties_any_more_is_said() {
    let peer = dead().await;
    let collector = Collector::with(&traces_to(&[("otlphttp", &on_disk(&peer, ""))])).await;
    collector.take_traces(numbered(0)).await;
    let other = traces_to(&[("otlphttp/other", &on_disk(&peer, ""))]);
    std::fs::write(collector.dir.path().join("collector.yaml"), other).unwrap();
    let collector = collector.killed_and_started_again().await;
    let line = collector.line("is the queue of no exporter").await;
    assert!(line.contains("queues/otlphttp/traces"), "{line}");
}
