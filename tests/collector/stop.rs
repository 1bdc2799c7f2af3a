//! Starting and stopping: what a person at a terminal sees.

use serde_json::json;
use tokio::net::UnixDatagram;

use super::receive::Raw;
use super::support::client::{self, post};
use super::support::collector::{Collector, Port};
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{agent, chat, traces};
use super::support::{PATIENCE, until};

#[tokio::test]
async fn the_banner_says_where_everything_is_and_what_to_paste() {
    let collector = Collector::start().await;
    let (grpc, http) = (collector.url(Port::Grpc).await, collector.url(Port::Http).await);
    assert!(grpc.starts_with("http://127.0.0.1:") && http.starts_with("http://127.0.0.1:"), "{grpc} {http}");
    collector.line(&format!("export OTEL_EXPORTER_OTLP_ENDPOINT={http}")).await;
    collector.line("export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf").await;
    collector.line("spanlight-data/agent-events.jsonl").await;
}

#[tokio::test]
async fn both_signals_drain_and_report() {
    for signal in ["INT", "TERM"] {
        let collector = Collector::start().await;
        collector.take_traces(traces(vec![chat(1, 2, 1), agent(1, 1, 0, "researcher")])).await;
        let (dir, path) = (collector.dir.path().to_owned(), collector.data("agent-events.jsonl"));
        collector.signal(signal).await;
        // The directory goes with the collector: what it wrote is read while it still exists.
        let keep = dir.join("kept.jsonl");
        collector.line("Everything was delivered.").await;
        std::fs::copy(&path, &keep).unwrap();
        let events = std::fs::read_to_string(&keep).unwrap();
        assert!(events.contains(r#""agent.completed""#), "{events}");
        let ended = collector.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stdout.contains("2 items taken over, 1 model call,"), "{ended:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_delivered_is_reported_and_fails() {
    let sink = Sink::start().await;
    sink.otherwise(Behaviour::Http(503, vec![]));
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         exporters: {{otlphttp: {{endpoint: '{}', retry_on_failure: {{initial_interval: 1s, max_interval: 1s}}}}}}\n\
         service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [otlphttp]}}}}}}\n",
        sink.url()
    );
    let collector = Collector::with(&config).await;
    collector.take_traces(traces(vec![chat(1, 2, 1), agent(1, 1, 0, "researcher")])).await;
    sink.until("a try", |received| (!received.is_empty()).then_some(())).await;
    collector.signal("TERM").await;
    collector.line("Stopping").await;
    // Draining has a deadline of its own; a second signal ends it.
    collector.signal("TERM").await;
    let ended = collector.ended().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("before everything was delivered"), "{ended:?}");
}

#[tokio::test]
async fn what_is_not_handed_over_when_it_stops_is_refused() {
    let collector = Collector::start().await;
    let head = "content-type: application/x-protobuf\r\ncontent-length: 4\r\nexpect: 100-continue\r\n";
    let mut late = Raw::begin(&collector, "/v1/traces", head).await;
    late.until("100 Continue").await;
    // Neither of these asks for anything, so neither is waited for.
    let silent = Raw::connect(&collector, Port::Grpc).await;
    let mut partial = Raw::connect(&collector, Port::Http).await;
    partial.write(b"POST /v1/tra").await;
    collector.signal("TERM").await;
    silent.end().await;
    partial.end().await;
    // An empty request, which would be taken at any other time.
    late.write(b"\x0a\x02\x12\x00").await;
    let answer = late.until("stopping").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
    let ended = collector.ended().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let set = format!("receivers.otlp.protocols.grpc.endpoint={}", taken.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let ended = super::support::collector::run_in(dir.path(), &["run", "--set", &set]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&taken.local_addr().unwrap().to_string()), "{ended:?}");
}

#[tokio::test]
async fn a_port_for_other_machines_needs_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let set = "receivers.otlp.protocols.grpc.endpoint=0.0.0.0:0";
    let ended = super::support::collector::run_in(dir.path(), &["run", "--set", set]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--insecure-bind"), "{ended:?}");
}

#[tokio::test]
async fn a_terminal_that_nobody_reads_holds_nothing_up() {
    let mut collector = Collector::start().await;
    let url = collector.url(Port::Web).await;
    let unread = collector.unread().await;
    let event =
        json!({"name": "agent.failed", "agent": "a", "message": "there is much to say ".repeat(25)}).to_string();
    let dropped = async || {
        let dropped = r#"spanlight_dropped_total{component="console",reason="unread"}"#;
        let metrics = client::get(&format!("{url}/metrics")).await.text();
        metrics.lines().find_map(|line| line.strip_prefix(dropped)).filter(|count| *count != " 0").map(|_| ())
    };
    // More and more, until a pipe and what waits for it hold no more.
    until("lines that were dropped", async || {
        let answer = post(&format!("{url}/v1/events"), &[], vec![event.clone(); 2000].join("\n").into()).await;
        assert_eq!(answer.json(), json!({"accepted": 2000}));
        dropped().await
    })
    .await;
    collector.signal("TERM").await;
    assert!(collector.gone().await.success());
    drop(unread);
}

#[tokio::test]
async fn systemd_is_told_that_it_is_ready_that_it_turns_and_that_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let told = async || {
        let mut buffer = [0; 64];
        let len = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let collector = Collector::start_in(&variables).await;
    assert_eq!(
        (told().await, told().await, told().await),
        ("READY=1".into(), "WATCHDOG=1".into(), "WATCHDOG=1".into())
    );
    assert!(collector.stop().await.status.success());
    let last = loop {
        let told = told().await;
        if told != "WATCHDOG=1" {
            break told;
        }
    };
    assert_eq!(last, "STOPPING=1");
}
