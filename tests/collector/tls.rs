//! TLS on every port: who comes in, who does not, and certificates that change while it runs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use http_body_util::Full;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;

use super::support::certificates::{Authority, send};
use super::support::client::{Answer, frame};
use super::support::collector::{Collector, Port, run, run_in};
use super::support::telemetry::{agent, traces};
use super::support::{PATIENCE, until};

const GRPC_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const FAILED: &str = "spanlight_listener_handshakes_failed_total";

/// All ports with the certificate of `server`; `more` is said of each.
fn config(authority: &Authority, more: &str) -> String {
    let tls = format!(
        "tls: {{cert_file: '{}', key_file: '{}'{more}}}",
        authority.path("server.pem"),
        authority.path("server.key")
    );
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0', {tls}}}, http: {{endpoint: '127.0.0.1:0', {tls}}}}}}}
exporters: {{prometheus: {{endpoint: '127.0.0.1:0', {tls}}}}}
extensions:
  web: {{endpoint: '127.0.0.1:0', {tls}}}
  health_check: {{endpoint: '127.0.0.1:0', {tls}}}
service:
  extensions: [web, health_check]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent]}}
    logs: {{receivers: [otlp], exporters: [agent]}}
    metrics: {{receivers: [agent], exporters: [prometheus]}}
connectors: {{agent: {{}}}}
"
    )
}

/// The URL of a port by the name that certificates have.
async fn url(collector: &Collector, port: Port) -> String {
    by_name(&collector.url(port).await)
}

fn by_name(url: &str) -> String {
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    url.replace("127.0.0.1", "localhost")
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

/// One span, over gRPC or as a POST.
fn span(url: &str, is_grpc: bool) -> Request<Full<Bytes>> {
    let message = traces(vec![agent(1, 1, 0, "scribe")]);
    let (path, kind, body) = match is_grpc {
        true => (GRPC_TRACES, "application/grpc", frame(0, &message)),
        false => ("/v1/traces", "application/x-protobuf", message.into()),
    };
    Request::post(format!("{url}{path}")).header("content-type", kind).body(Full::new(body)).unwrap()
}

/// A sample of the metrics of the web endpoint.
async fn sample(collector: &Collector, client: &ClientConfig, series: &str) -> Option<f64> {
    let metrics = get(&(url(collector, Port::Web).await + "/metrics"));
    let text = send(client.clone(), false, metrics).await.unwrap().text();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn every_port_speaks_it() {
    let authority = Authority::new();
    authority.issue("server");
    let collector = Collector::with(&config(&authority, "")).await;
    let client = || authority.client(None);
    let (grpc, web) = (url(&collector, Port::Grpc).await, url(&collector, Port::Web).await);
    let taken = send(client(), true, span(&grpc, true)).await.unwrap();
    assert_eq!((taken.status, taken.header("grpc-status")), (200, None), "{taken:?}");
    let http = url(&collector, Port::Http).await;
    for http2 in [false, true] {
        assert_eq!(send(client(), http2, span(&http, false)).await.unwrap().status, 200);
        let runs = send(client(), http2, get(&format!("{web}/api/v1/runs"))).await.unwrap();
        assert_eq!(runs.json()["runs"][0]["name"], "scribe", "{}", runs.text());
        // A page of ours may post, whichever version its browser speaks.
        for (origin, status) in [(web.as_str(), 200), ("https://evil.example", 403)] {
            let event = r#"{"name":"agent.started","agent":"a"}"#;
            let post = Request::post(format!("{web}/v1/events")).header("origin", origin);
            let post = post.body(Full::new(event.into())).unwrap();
            assert_eq!(send(client(), http2, post).await.unwrap().status, status, "{http2} {origin}");
        }
    }
    for title in ["  health ", "  metrics "] {
        let lines = collector.written();
        let line = lines.iter().rfind(|line| line.starts_with(title)).unwrap();
        let beside = send(client(), false, get(&by_name(line.split_whitespace().nth(1).unwrap()))).await.unwrap();
        assert_eq!(beside.status, 200, "{beside:?}");
    }
    let health = send(client(), false, get(&format!("{web}/api/v1/health"))).await.unwrap().json();
    assert_eq!((&health["receivers"][0]["tls"], &health["receivers"][0]["auth"]), (&true.into(), &false.into()));

    let address = web.replace("https://", "wss://");
    let (mut socket, _) = client_async(format!("{address}/ws"), connect(client(), &web).await).await.unwrap();
    let first = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(first.to_text().unwrap().contains("connection_established"), "{first}");
}

#[tokio::test]
async fn who_has_no_certificate_does_not_come_in_where_one_is_asked_for() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for name in ["server", "client"] {
        authority.issue(name);
    }
    stranger.issue("client");
    let asking = config(&authority, &format!(", client_ca_file: '{}'", authority.path("ca.pem")));
    // Those who come in are known, so that it may be open to other machines.
    let collector = Collector::with(&asking.replacen("127.0.0.1:0", "0.0.0.0:0", 2)).await;
    let (grpc, http) = (url(&collector, Port::Grpc).await, url(&collector, Port::Http).await);
    let known = authority.client(Some("client"));
    assert_eq!(send(known.clone(), true, span(&grpc, true)).await.unwrap().status, 200);
    assert_eq!(send(known.clone(), false, span(&http, false)).await.unwrap().status, 200);
    let mut unknown = authority.client(None);
    assert!(send(unknown.clone(), false, span(&http, false)).await.is_err());
    assert!(send(unknown.clone(), true, span(&grpc, true)).await.is_err());
    unknown.client_auth_cert_resolver = stranger.client(Some("client")).client_auth_cert_resolver;
    assert!(send(unknown, false, span(&http, false)).await.is_err());
    for (listener, times) in [("otlp/http", 2.0), ("otlp/grpc", 1.0)] {
        let series = format!("{FAILED}{{listener=\"{listener}\",reason=\"certificate\"}}");
        until(&series, async || (sample(&collector, &known, &series).await == Some(times)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_in_force_at_once_and_a_broken_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    old.issue("server");
    new.issue("server");
    let collector = Collector::with(&config(&old, "")).await;
    let web = url(&collector, Port::Web).await;
    let health = || get(&format!("{web}/healthz"));
    // One that is open stays so, whatever becomes of the files.
    let mut open = connect(old.client(None), &web).await;

    std::fs::write(old.path("server.pem"), "no certificate").unwrap();
    collector.signal("HUP").await;
    let said = collector.line("WARN web: ").await;
    assert!(said.contains("server.pem") && said.contains("stays in force"), "{said}");
    assert_eq!(send(old.client(None), false, health()).await.unwrap().status, 200);
    let failed = "spanlight_reloads_total{component=\"web\",outcome=\"failed\"}";
    until(failed, async || (sample(&collector, &old.client(None), failed).await >= Some(1.0)).then_some(())).await;

    // A certificate without its key is a step on the way.
    std::fs::copy(new.path("server.pem"), old.path("server.pem")).unwrap();
    collector.signal("HUP").await;
    until("the mismatch", async || (sample(&collector, &old.client(None), failed).await >= Some(2.0)).then_some(()))
        .await;
    std::fs::copy(new.path("server.key"), old.path("server.key")).unwrap();
    collector.signal("HUP").await;
    collector.line("INFO web: ").await;
    assert_eq!(send(new.client(None), false, health()).await.unwrap().status, 200);
    assert!(send(old.client(None), false, health()).await.unwrap_err().contains("UnknownIssuer"));

    open.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, open.read_to_end(&mut answer)).await.unwrap().unwrap_or_default();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn files_are_looked_at_without_being_told() {
    let (old, new) = (Authority::new(), Authority::new());
    old.issue("server");
    new.issue("server");
    let _collector = Collector::with(&config(&old, ", reload_interval: 1s")).await;
    let web = url(&_collector, Port::Web).await;
    std::fs::copy(new.path("server.key"), old.path("server.key")).unwrap();
    std::fs::copy(new.path("server.pem"), old.path("server.pem")).unwrap();
    until("the new certificate", async || {
        send(new.client(None), false, get(&format!("{web}/healthz"))).await.ok().map(|answer| answer.status)
    })
    .await;
}

async fn plain(address: &str, first: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let mut answer = Vec::new();
    // It may end with a reset.
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap_or_default();
    answer
}

#[tokio::test]
async fn whoever_speaks_another_language_is_told_so() {
    let authority = Authority::new();
    authority.issue("server");
    let collector = Collector::with(&config(&authority, ", min_version: \"1.3\"")).await;
    let http = url(&collector, Port::Http).await;
    let address = http.strip_prefix("https://").unwrap();
    let answer = String::from_utf8(plain(address, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("use https instead of it\n"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let answer = plain(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert_eq!(&answer[..9], b"\0\0\0\x04\0\0\0\0\0", "empty settings come first");
    assert_eq!((usize::from(answer[11]), answer[12]), (answer.len() - 18, 7), "and then the farewell: {answer:?}");
    assert!(answer.ends_with(b"this port speaks TLS"));

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let old = old.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let refused = send(old, false, get(&http)).await.unwrap_err();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    let unknown = send(Authority::new().client(None), false, get(&http)).await.unwrap_err();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    drop(TcpStream::connect(address).await.unwrap());
    plain(address, b"\x16\x03\x01\x00\x05hello").await;
    for (reason, times) in
        [("no_tls", 2.0), ("incompatible", 1.0), ("alert", 1.0), ("broken_off", 1.0), ("invalid", 1.0)]
    {
        let series = format!("{FAILED}{{listener=\"otlp/http\",reason=\"{reason}\"}}");
        let client = authority.client(None);
        until(&series, async || (sample(&collector, &client, &series).await == Some(times)).then_some(())).await;
    }

    let collector = Collector::start().await;
    let refused = send(authority.client(None), false, get(&collector.url(Port::Http).await.replace("http", "https")));
    assert!(refused.await.unwrap_err().contains("InvalidContentType"), "what is not TLS is known by its first byte");
}

#[tokio::test]
async fn commands_reach_a_collector_with_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for name in ["server", "client"] {
        authority.issue(name);
    }
    let asking = config(&authority, &format!(", client_ca_file: '{}'", authority.path("ca.pem")));
    let collector = Collector::with(&asking).await;
    let known = authority.client(Some("client"));
    let http = url(&collector, Port::Http).await;
    assert_eq!(send(known, false, span(&http, false)).await.unwrap().status, 200);
    let web = url(&collector, Port::Web).await;
    let (ca, cert, key) = (authority.path("ca.pem"), authority.path("client.pem"), authority.path("client.key"));
    let ours = ["--cert-file", &cert, "--key-file", &key];
    for command in [&["runs"][..], &["report"], &["health"], &["export"]] {
        let ended = run(&[command, &["--url", &web, "--ca-file", &ca], &ours].concat()).await;
        assert!(ended.status.success(), "{command:?}: {ended:?}");
    }
    let ended = run(&["runs", "--url", &web, "--ca-file", &ca]).await;
    // TLS 1.3 says no once the client believes that it is connected, so what it finds first is not certain.
    assert!(ended.status.code() == Some(1) && ended.stderr.contains("cannot reach"), "{ended:?}");
    assert!(ended.stderr.contains("--cert-file and --key-file tell it"), "{ended:?}");
    let ended = run(&[&["runs", "--url", &web, "--ca-file", &stranger.path("ca.pem")][..], &ours].concat()).await;
    assert!(ended.stderr.contains("UnknownIssuer; whoever issued it is not trusted; --ca-file"), "{ended:?}");
    let ended = run(&["runs", "--url", &web, "--ca-file", "/nowhere.pem"]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("/nowhere.pem: "), "{ended:?}");
}

/// Exporters look at their files for every connection that they make.
#[tokio::test]
async fn one_collector_sends_to_another_once_it_trusts_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for name in ["server", "client"] {
        authority.issue(name);
    }
    stranger.issue("client");
    let asking = config(&authority, &format!(", client_ca_file: '{}'", authority.path("ca.pem")));
    let gateway = Collector::with(&asking).await;
    let ours = Authority::new();
    let take = |from: &Authority| {
        for name in ["client.pem", "client.key"] {
            std::fs::copy(from.path(name), ours.path(name)).unwrap();
        }
    };
    std::fs::copy(stranger.path("ca.pem"), ours.path("ca.pem")).unwrap();
    take(&stranger);
    let tls = format!(
        "{{ca_file: '{}', cert_file: '{}', key_file: '{}'}}",
        ours.path("ca.pem"),
        ours.path("client.pem"),
        ours.path("client.key")
    );
    let retry = "retry_on_failure: {initial_interval: 100ms, max_interval: 100ms}";
    let (http, grpc) = (url(&gateway, Port::Http).await, url(&gateway, Port::Grpc).await);
    let sending = super::support::config::traces_to(&[
        ("otlphttp", &format!("{{endpoint: '{http}', tls: {tls}, {retry}}}")),
        ("otlp", &format!("{{endpoint: '{grpc}', tls: {tls}, {retry}}}")),
    ]);
    let agent_side = Collector::with(&sending).await;
    agent_side.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    for exporter in ["otlphttp", "otlp"] {
        let said = agent_side.line(&format!("WARN {exporter}: ")).await;
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
    std::fs::copy(authority.path("ca.pem"), ours.path("ca.pem")).unwrap();
    take(&authority);
    let arrived: Answer = until("both", async || {
        let known = authority.client(Some("client"));
        let metrics = send(known, false, get(&(url(&gateway, Port::Web).await + "/metrics"))).await.ok()?;
        let taken = |transport: &str| {
            let series = format!("receiver=\"otlp\",signal=\"traces\",transport=\"{transport}\"}} 1");
            metrics.text().contains(&format!("spanlight_receiver_accepted_total{{{series}"))
        };
        (taken("http") && taken("grpc")).then_some(metrics)
    })
    .await;
    assert_eq!(arrived.status, 200);
}

/// What asks for certificates, and has a list of revoked ones: neither that of `client` nor that of `other` yet.
fn with_list(authority: &Authority) -> String {
    ["server", "client", "other"].iter().for_each(|name| authority.issue(name));
    authority.revoke(&[], false);
    let (ca, crl) = (authority.path("ca.pem"), authority.path("crl.pem"));
    config(authority, &format!(", client_ca_file: '{ca}', client_crl_file: '{crl}'"))
}

#[tokio::test]
async fn who_was_revoked_comes_in_no_more_once_the_list_says_so() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let crl = authority.path("crl.pem");
    let asking = with_list(&authority);
    let collector = Collector::with(&asking).await;
    let web = url(&collector, Port::Web).await;
    let come = async |name: &str| send(authority.client(Some(name)), false, get(&format!("{web}/healthz"))).await;
    assert_eq!((come("client").await.unwrap().status, come("other").await.unwrap().status), (200, 200));

    authority.revoke(&["client"], false);
    collector.signal("HUP").await;
    collector.line("INFO web: ").await;
    // TLS 1.3 says no once the client believes that it is connected, so what it finds first is not certain.
    assert!(come("client").await.is_err());
    let said = collector.line("WARN web: ").await;
    assert!(said.contains("127.0.0.1 was refused: its certificate was revoked"), "{said}");
    assert_eq!(come("other").await.unwrap().status, 200);

    // A list in whose place there should be another says nothing of who was revoked since.
    let reloads = "spanlight_reloads_total{component=\"web\",outcome=\"failed\"}";
    let other = authority.client(Some("other"));
    for (no_list, failures, word) in [("expired", 1.0, "has expired"), ("nothing", 2.0, "there is no list")] {
        match no_list {
            "expired" => authority.revoke(&[], true),
            text => std::fs::write(&crl, text).unwrap(),
        }
        collector.signal("HUP").await;
        until(word, async || (sample(&collector, &other, reloads).await >= Some(failures)).then_some(())).await;
        let said = collector.line(word).await;
        assert!(said.contains("crl.pem") && said.contains("stays in force"), "{said}");
        assert!(come("client").await.is_err() && come("other").await.unwrap().status == 200);
    }

    // A list of somebody else says nothing of anybody here, who are not let in unknown.
    stranger.revoke(&[], false);
    let revoked = format!("{FAILED}{{listener=\"web\",reason=\"revoked\"}}");
    assert!(sample(&collector, &other, &revoked).await >= Some(3.0));
    std::fs::copy(stranger.path("crl.pem"), &crl).unwrap();
    collector.signal("HUP").await;
    until("another's list", async || come("other").await.is_err().then_some(())).await;
    collector.line("`tls.client_crl_file` has no list of an authority of its certificate").await;

    authority.revoke(&[], true);
    let check = async |config: &str| {
        std::fs::write(collector.dir.path().join("c.yaml"), config).unwrap();
        let ended = run_in(collector.dir.path(), &["config", "check", "c.yaml"]).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        ended.stderr
    };
    let said = check(&asking).await;
    assert!(said.contains("crl.pem: a list in it has expired: its issuer promised another by 2020-01-02"), "{said}");
    let said = check(&config(&authority, &format!(", client_crl_file: '{crl}'"))).await;
    assert!(said.contains("`tls.client_ca_file` have revoked, and needs it"), "{said}");
}

#[tokio::test]
async fn exporters_send_to_nobody_whose_certificate_was_revoked() {
    let authority = Authority::new();
    authority.issue("server");
    let gateway = Collector::with(&config(&authority, "")).await;
    authority.revoke(&["server"], false);
    let (ca, crl) = (authority.path("ca.pem"), authority.path("crl.pem"));
    let settings = format!(
        "{{endpoint: '{}', tls: {{ca_file: '{ca}', crl_file: '{crl}'}}, \
         retry_on_failure: {{initial_interval: 100ms, max_interval: 100ms}}}}",
        url(&gateway, Port::Grpc).await
    );
    let sender = Collector::with(&super::support::config::traces_to(&[("otlp", &settings)])).await;
    sender.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    let said = sender.line("WARN otlp: ").await;
    assert!(said.contains("Revoked"), "{said}");
    // Its administrator finds out that it was another one.
    for file in ["index.txt", "ca.cnf"] {
        std::fs::remove_file(authority.path(file)).unwrap();
    }
    authority.revoke(&[], false);
    sender.sample_becomes("spanlight_exporter_sent_total{exporter=\"otlp\",signal=\"traces\"}", 1.0).await;
}

type Stream = TlsStream<TcpStream>;

/// A connection to an `https://` address.
async fn connect(client: ClientConfig, url: &str) -> Stream {
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// What comes over a connection until there is as much as this.
async fn answer(stream: &mut Stream, until: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(until) && stream.read_buf(&mut text).await.unwrap_or(0) > 0 {}
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn who_is_revoked_meanwhile_has_to_go_and_nobody_else() {
    const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const EVENT: &str = r#"{"name":"agent.started","agent":"a"}"#;
    let authority = Authority::new();
    let collector = Collector::with(&with_list(&authority)).await;
    let web = url(&collector, Port::Web).await;
    let (client, other) = (|| authority.client(Some("client")), || authority.client(Some("other")));
    let (mut idle, mut busy) = (connect(client(), &web).await, connect(client(), &web).await);
    let mut others = connect(other(), &web).await;
    for stream in [&mut idle, &mut others] {
        stream.write_all(ASK).await.unwrap();
        assert!(answer(stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    }
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", EVENT.len());
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.write_all(&EVENT.as_bytes()[..10]).await.unwrap();
    let mut sockets = Vec::new();
    for who in [client(), other()] {
        let address = web.replace("https://", "wss://");
        let (mut socket, _) = client_async(format!("{address}/ws"), connect(who, &web).await).await.unwrap();
        let first = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert!(first.to_text().unwrap().contains("connection_established"), "{first}");
        sockets.push(socket);
    }

    authority.revoke(&["client"], false);
    collector.signal("HUP").await;
    let said = collector.line("a connection of ").await;
    assert!(said.contains("WARN web: ") && said.contains("127.0.0.1 ends: its certificate was revoked"), "{said}");
    busy.write_all(&EVENT.as_bytes()[10..]).await.unwrap();
    let answered = answer(&mut busy, "never").await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "what is under way gets its answer: {answered}");
    assert_eq!(answer(&mut idle, "never").await, "");
    let revoked = "spanlight_listener_revoked_total{listener=\"web\"}";
    until(revoked, async || (sample(&collector, &other(), revoked).await == Some(3.0)).then_some(())).await;
    let ended = async { while let Some(Ok(_)) = sockets[0].next().await {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();

    others.write_all(ASK).await.unwrap();
    assert!(answer(&mut others, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    let event = Request::post(format!("{web}/v1/events")).body(Full::new(EVENT.into())).unwrap();
    assert_eq!(send(other(), false, event).await.unwrap().status, 200);
    let heard =
        async { while !sockets[1].next().await.unwrap().unwrap().to_text().unwrap().contains("agent.started") {} };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}
