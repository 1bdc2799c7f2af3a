//! Many clients at a time, and some that never finish what they began.

use futures_util::future::join_all;
use spanlight::otlp::Signal;

use super::{PROTOBUF, Raw, accepted};
use crate::support::client::call;
use crate::support::collector::{Collector, Port};
use crate::support::telemetry::{agent, chat, traces};

/// A run of two calls.
fn run(trace: u8) -> Vec<u8> {
    traces(vec![chat(trace, 2, 1), chat(trace, 3, 1), agent(trace, 1, 0, "writer")])
}

#[tokio::test]
async fn what_250_connections_send_at_a_time_is_counted_exactly() {
    let collector = Collector::start().await;
    let (grpc, http) = (collector.url(Port::Grpc).await, collector.url(Port::Http).await);
    let over_http =
        join_all(
            (1..=200).map(|trace| {
                let url = format!("{http}/v1/traces");
                async move {
                    crate::support::client::post(&url, &[("content-type", PROTOBUF)], run(trace).into()).await.status
                }
            }),
        );
    let over_grpc = join_all((201..=250).map(|trace| {
        let url = &grpc;
        async move { call(url, Signal::Traces.grpc_path(), &run(trace)).await.code }
    }));
    let (over_http, over_grpc) = tokio::join!(over_http, over_grpc);
    assert!(over_http.iter().all(|status| *status == 200), "{over_http:?}");
    assert!(over_grpc.iter().all(|code| *code == 0), "{over_grpc:?}");
    assert_eq!(collector.sample(&accepted("traces", "http")).await, Some(600.0));
    assert_eq!(collector.sample(&accepted("traces", "grpc")).await, Some(150.0));
    let ledger = collector.json("/api/v1/ledger?by=model").await;
    let totals = &ledger["totals"];
    assert_eq!((totals["llm_calls"].as_u64(), totals["agent_runs"].as_u64()), (Some(500), Some(250)), "{ledger}");
    assert_eq!(totals["input_tokens"], 500_000, "{ledger}");
    let runs = collector.json("/api/v1/runs?limit=1000").await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 250);
    collector.sample_becomes("spanlight_receiver_in_flight_bytes", 0.0).await;
}

#[tokio::test]
async fn connections_that_cannot_be_accepted_are_told_of_and_counted() {
    let collector = Collector::with_few_files(48).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(Raw::connect(&collector, Port::Http).await);
    }
    let line = collector.line("cannot accept connections").await;
    assert!(line.contains("otlp/http") && line.contains("ulimit"), "{line}");
    drop(clients);
    collector.take_traces(run(1)).await;
    let failed = collector.sample(r#"spanlight_listener_not_accepted_total{listener="otlp/http"}"#).await;
    assert!(failed >= Some(1.0), "{failed:?}");
}

#[tokio::test]
async fn clients_that_never_send_their_bodies_hold_nobody_up() {
    let collector = Collector::start().await;
    let head = "content-type: application/x-protobuf\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n";
    let stalled = join_all((0..100).map(|_| async {
        let mut client = Raw::begin(&collector, "/v1/traces", head).await;
        // The collector is waiting for the body now.
        client.until("100 Continue").await;
        client.write(b"\x0a").await;
        client
    }))
    .await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Raw::connect(&collector, Port::Http).await);
        silent.push(Raw::connect(&collector, Port::Grpc).await);
    }
    for trace in 1..20 {
        collector.take_traces(run(trace)).await;
        let answer = call(&collector.url(Port::Grpc).await, Signal::Traces.grpc_path(), &run(trace + 100)).await;
        assert_eq!(answer.code, 0, "{}", answer.message);
    }
    let ledger = collector.json("/api/v1/ledger").await;
    assert_eq!(ledger["totals"]["llm_calls"], 2 * 2 * 19, "{ledger}");
    drop((stalled, silent));
}
