//! Servers with TLS, users and slots; and programs that write by themselves.

use std::time::Duration;

use spanlight::Telemetry;

use super::{Kind, Server, on_both, post, reading, run, writing};
use crate::support::certificates::Authority;
use crate::support::collector::Collector;
use crate::support::until;

on_both!(a_cluster_takes_all_of_it, users_have_passwords, the_environment_is_enough, a_program_writes_by_itself);

async fn users_have_passwords(kind: Kind) {
    let server = Server::start(kind).await;
    let rights = ["~metrics:*", "~*events*", "&live", "+@all", "-@admin"];
    server.ask::<()>(&[&["ACL", "SETUSER", "ada", "on", ">hush"], &rights[..]].concat()).await;
    let config = |password: &str| {
        format!("{{url: 'redis://127.0.0.1:{}', username: ada, password: '{password}', stream: events}}", server.port)
    };
    let collector = writing(&config("wrong")).await;
    post(&collector, &run(0, 0, "a", "f", "t", 0.0)).await;
    let said = collector.line("WARN redis: ").await;
    assert!(said.contains("authentication failed") && !said.contains("wrong,"), "{said}");
    drop(collector);
    let collector = writing(&config("${env:SECRET:-hush}")).await;
    post(&collector, &run(0, 0, "a", "f", "t", 0.0)).await;
    server.becomes(&["XLEN", "events"], 2).await;
    assert!(collector.stop().await.status.success());
}

async fn a_cluster_takes_all_of_it(kind: Kind) {
    let mut server = Server::absent(kind, &["--cluster-enabled", "yes"]);
    server.up().await;
    server.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    until("a cluster", async || {
        let info: String = server.ask(&["CLUSTER", "INFO"]).await;
        info.contains("cluster_state:ok").then_some(())
    })
    .await;
    let exporter = format!("{{url: '{}', stream: events, pubsub: live, pubsub_by_execution: true}}", server.url());
    let collector = writing(&exporter).await;
    let now = jiff::Timestamp::now().as_second();
    post(&collector, &run(now - 100, 0, "a", "f", "t", 0.5)).await;
    server.becomes(&["XLEN", "events"], 2).await;
    assert!(collector.stop().await.status.success());
    hours_and_days_are_there(&server).await;
    let reader = reading(&format!("{{url: '{}', stream: events, start: all}}", server.url())).await;
    reader.events(2).await;
}

async fn the_environment_is_enough(kind: Kind) {
    let server = Server::start(kind).await;
    let collector = Collector::start_in(&[("REDIS_URL", &server.url())]).await;
    post(&collector, &run(jiff::Timestamp::now().as_second() - 100, 0, "a", "f", "t", 0.5)).await;
    server.becomes(&["XLEN", "spanlight:events"], 2).await;
    assert!(collector.stop().await.status.success());
    hours_and_days_are_there(&server).await;
}

async fn a_program_writes_by_itself(kind: Kind) {
    let server = Server::start(kind).await;
    let telemetry = Telemetry::builder().redis(server.url()).build();
    tracing::subscriber::with_default(telemetry.subscriber(), || {
        let _agent = spanlight::agent_span!("scribe", feature = "articles").entered();
    });
    let telemetry = tokio::task::spawn_blocking(move || {
        telemetry.flush(Duration::from_secs(20)).unwrap();
        telemetry
    });
    let telemetry = telemetry.await.unwrap();
    assert_eq!(server.ask::<u64>(&["XLEN", "spanlight:events"]).await, 2);
    hours_and_days_are_there(&server).await;
    tokio::task::spawn_blocking(move || drop(telemetry)).await.unwrap();
}

/// One of each; two of each where the run went on across an hour or a day.
async fn hours_and_days_are_there(server: &Server) {
    for kind in ["metrics:hourly:*", "metrics:daily:*"] {
        let buckets: Vec<String> = server.ask(&["KEYS", kind]).await;
        assert!(matches!(buckets.len(), 1 | 2), "{buckets:?}");
        let mut runs = 0;
        for bucket in &buckets {
            runs += server.ask::<Option<u64>>(&["HGET", bucket, "runs"]).await.unwrap_or(0);
        }
        assert_eq!(runs, 1, "{buckets:?}");
    }
}

/// The wheel that has Valkey has it without TLS.
#[tokio::test]
async fn tls_with_an_authority_of_ones_own_and_a_certificate_of_the_client() {
    let authority = Authority::new();
    authority.issue("server");
    authority.issue("client");
    let file = |name: &str| authority.path(name);
    let tls_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = tls_port.to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let arguments = ["--tls-port", &port, "--tls-ca-cert-file", &ca, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let mut server = Server::absent(Kind::Redis, &arguments);
    server.up().await;
    let url = format!("rediss://localhost:{tls_port}");
    let (client, client_key) = (file("client.pem"), file("client.key"));
    let ours = format!("cert_file: '{client}', key_file: '{client_key}'");
    for (tls, refused) in [
        (format!("ca_file: '{ca}', {ours}"), None),
        (format!("insecure_skip_verify: true, {ours}"), None),
        (format!("ca_file: '{ca}'"), Some("certificate required")),
        (format!("ca_file: '{client}', {ours}"), Some("UnknownIssuer")),
    ] {
        let collector = writing(&format!("{{url: '{url}', tls: {{{tls}}}, stream: events}}")).await;
        post(&collector, &run(0, 0, "a", "f", "t", 0.0)).await;
        match refused {
            None => server.becomes(&["XLEN", "events"], 2).await,
            Some(why) => {
                let said = collector.line("WARN redis: ").await.to_lowercase();
                assert!(said.contains(&why.to_lowercase()) || said.contains("certificate"), "{said}");
                assert_eq!(server.ask::<u64>(&["XLEN", "events"]).await, 0);
            }
        }
        drop(collector);
        server.ask::<u64>(&["DEL", "events"]).await;
    }
}
