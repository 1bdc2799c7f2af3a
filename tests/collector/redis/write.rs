//! Events in a stream and on channels.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::Value;

use super::{Kind, Server, on_both, post, run, writing};
use crate::support::PATIENCE;
use crate::support::collector::run as command;

on_both!(streams_are_trimmed, events_are_published);

async fn streams_are_trimmed(kind: Kind) {
    let server = Server::start(kind).await;
    let collector = writing(&format!("{{url: '{}', stream: events, stream_max_length: 100}}", server.url())).await;
    for round in 0..10 {
        let events: Vec<Value> =
            (0..60).flat_map(|task| run(0, 0, "a", "f", &format!("{round}-{task}"), 0.0)).collect();
        post(&collector, &events).await;
    }
    collector.sample_becomes(r#"spanlight_exporter_sent_total{exporter="redis",signal="events"}"#, 1200.0).await;
    // Trimming takes whole nodes of a hundred entries.
    let length: u64 = server.ask(&["XLEN", "events"]).await;
    assert!((100..=200).contains(&length), "{length}");
    let last: Vec<(String, BTreeMap<String, String>)> =
        server.ask(&["XREVRANGE", "events", "+", "-", "COUNT", "1"]).await;
    let fields = &last[0].1;
    let event: Value = serde_json::from_str(&fields["event"]).unwrap();
    for field in ["name", "event_id", "timestamp", "execution_id", "agent"] {
        assert_eq!(event[field], *fields[field], "{field}");
    }
}

async fn events_are_published(kind: Kind) {
    let server = Server::start(kind).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut listening = client.get_async_pubsub().await.unwrap();
    listening.psubscribe("live*").await.unwrap();
    let exporter = format!("{{url: '{}', pubsub: live, pubsub_by_execution: true, buckets: false}}", server.url());
    let collector = writing(&exporter).await;
    post(&collector, &run(0, 0, "a", "f", "t1", 0.0)).await;
    let heard: Vec<redis::Msg> =
        tokio::time::timeout(PATIENCE, listening.on_message().take(4).collect()).await.unwrap();
    let heard: Vec<(String, String)> = heard
        .iter()
        .map(|message| {
            let event: Value = serde_json::from_str(&message.get_payload::<String>().unwrap()).unwrap();
            (message.get_channel_name().to_owned(), event["name"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ("live", "agent.started"),
        ("live:t1", "agent.started"),
        ("live", "agent.completed"),
        ("live:t1", "agent.completed"),
    ];
    assert_eq!(heard, expected.map(|(channel, name)| (channel.to_owned(), name.to_owned())));
    assert!(collector.stop().await.status.success());
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0, "nothing was to be written");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_secrets_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    let check = async |redis: &str, pipelines: &str| {
        let config = format!(
            "receivers: {{otlp: {{protocols: {{http: }}}}, redis: {{stream: s}}}}\nconnectors: {{agent: }}\n\
             exporters: {{redis: {redis}}}\nservice:\n  pipelines:\n    {pipelines}\n"
        );
        std::fs::write(&path, config).unwrap();
        let [checked, printed] = ["check", "print"].map(|verb| ["config", verb, path.to_str().unwrap()]);
        let (checked, printed) = (command(&checked).await, command(&printed).await);
        let said = format!("{}{}{}{}", checked.stdout, checked.stderr, printed.stdout, printed.stderr);
        assert!(!said.contains("hush"), "{said}");
        said
    };
    let good =
        "logs: {receivers: [redis], exporters: [agent]}\n    logs/events: {receivers: [agent], exporters: [redis]}";
    for (redis, pipelines, expected) in [
        ("{url: 'rediss://ada:hush@cache/1', stream: s, password: hush}", good, "rediss://ada:hidden@cache/1"),
        ("{url: 'http://:hush@cache'}", good, "`http://` is no scheme of Redis; write redis://"),
        ("{url: 'redis://cache', tls: {ca_file: ca.pem}}", good, "`tls` is for rediss://"),
        ("{url: 'rediss://cache', tls: {ca_file: no.pem}}", good, "no.pem"),
        (
            "{buckets: false}",
            good,
            "there is nothing to write; name a `stream` or a `pubsub` channel, or `otlp.stream`",
        ),
        ("{buckets: false, otlp: {stream: s}}", good, "`redis` takes no events: name a `stream`"),
        ("{otlp: {stream: s, partitions: 0}}", good, "`otlp.partitions` is between 1 and 256"),
        (
            "{otlp: {stream: s}, sending_queue: {num_consumers: 4, wait_for_result: true}}",
            good,
            "goes with `num_consumers: 1`",
        ),
        ("{strem: s}", good, "did you mean `stream`?"),
        ("{stream: s, stream_max_length: 0}", good, "`stream_max_length` is 1 or more"),
        ("{url: 'redis://cache', stream: s}", good, "`redis` sends beyond this machine, so prompts"),
        ("{}", "traces: {receivers: [otlp], exporters: [redis]}", "`redis` takes events"),
        ("{}", "traces: {receivers: [redis], exporters: [agent]}", "`redis` gives events, which belong into logs"),
    ] {
        let said = check(redis, pipelines).await;
        assert!(said.contains(expected), "{redis}: {said}");
    }
}

#[tokio::test]
async fn what_does_not_fit_in_a_fleet_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    let live = "logs: {receivers: [redis], exporters: [agent, websocket]}";
    for (receiver, pipelines, expected) in [
        ("{stream: s, shared: false}", live, "good"),
        ("{stream: s}", live, "or those of one receiver `redis` with `shared: false`"),
        ("{streams: [s, t], shared: false}", live, "`shared: false` is of one `stream`"),
        ("{otlp: {stream: t, session_timeout: 10ms}}", live, "`otlp.session_timeout` is 1s or more"),
        ("{otlp: {stream: o}}", "traces: {receivers: [redis], exporters: [redis]}", "which writes it there again"),
        ("{otlp: {stream: p}}", "traces: {receivers: [redis], exporters: [redis]}", "good"),
        (
            "{otlp: {stream: p}, stream: s}",
            "traces: {receivers: [redis], exporters: [agent]}",
            "`redis` gives events, which belong into logs that end in the connector `agent`",
        ),
        (
            "{stream: s, shared: false}",
            &format!("{live}\n    logs/own: {{receivers: [agent], exporters: [websocket]}}"),
            "so it takes nothing else",
        ),
        (
            "{stream: s, shared: false}",
            &format!("{live}\n    logs/own: {{receivers: [agent], exporters: [history]}}"),
            "belong into a collector of their own that reads it",
        ),
    ] {
        let config = format!(
            "receivers: {{redis: {receiver}}}\nconnectors: {{agent: }}\nextensions: {{web: }}\n\
             exporters: {{websocket: , history: , redis: {{otlp: {{stream: o}}, content: drop}}}}\n\
             service:\n  extensions: [web]\n  pipelines:\n    {pipelines}\n"
        );
        std::fs::write(&path, config).unwrap();
        let checked = command(&["config", "check", path.to_str().unwrap()]).await;
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert!(said.contains(expected), "{receiver}: {said}");
    }
}
