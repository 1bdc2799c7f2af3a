//! Receivers with TLS: one that shows a certificate, one that wants one as well, and what is said where they do not agree.

use super::command;
use crate::support::certificates::Authority;
use crate::support::collector::{Collector, Port};

/// A collector with the certificate of `server`; `more` is said of both ports.
async fn collector(authority: &Authority, more: &str) -> Collector {
    let (cert, key) = (authority.path("server.pem"), authority.path("server.key"));
    let port = format!("{{endpoint: '127.0.0.1:0', tls: {{cert_file: '{cert}', key_file: '{key}'{more}}}}}");
    Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{grpc: {port}, http: {port}}}}}}}
exporters: {{debug: {{level: off}}}}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [debug]}}
    metrics: {{receivers: [otlp], exporters: [debug]}}
    logs: {{receivers: [otlp], exporters: [debug]}}
"
    ))
    .await
}

/// Both receivers, by the name that certificates have.
async fn receivers(collector: &Collector) -> [String; 2] {
    let [http, grpc] = [collector.url(Port::Http).await, collector.url(Port::Grpc).await];
    [http, grpc.replace("https://", "grpcs://")].map(|url| url.replace("127.0.0.1", "localhost"))
}

fn authority() -> Authority {
    let authority = Authority::new();
    ["server", "us"].iter().for_each(|name| authority.issue(name));
    authority
}

const SOME: [&str; 4] = ["--only", "http.protobuf", "--only", "grpc.answer"];

#[tokio::test]
async fn a_receiver_that_is_trusted_is_tried() {
    let authority = authority();
    let collector = collector(&authority, "").await;
    let [http, grpc] = receivers(&collector).await;
    let ca = authority.path("ca.pem");
    for trust in [&["--ca-file", ca.as_str()][..], &["--insecure"]] {
        let ended = command(&[&[http.as_str(), &grpc], &SOME[..], trust].concat()).await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.stdout.contains("✓ MUST   http.protobuf.traces"), "{}", ended.stdout);
        assert!(ended.stdout.contains("✓ MUST   grpc.answer."), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn a_receiver_that_wants_to_know_us_is_shown_our_certificate() {
    let authority = authority();
    let collector = collector(&authority, &format!(", client_ca_file: '{}'", authority.path("ca.pem"))).await;
    let [ca, cert, key] = ["ca.pem", "us.pem", "us.key"].map(|name| authority.path(name));
    for receiver in receivers(&collector).await {
        let trusted = [receiver.as_str(), "--ca-file", &ca, SOME[0], SOME[1], SOME[2], SOME[3]];
        let ended = command(&[&trusted[..], &["--cert-file", &cert, "--key-file", &key]].concat()).await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let ended = command(&trusted).await;
        let said = format!("{receiver}: {ended:?}");
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{said}");
        assert!(ended.stderr.contains("--cert-file") && ended.stderr.contains("--key-file"), "{said}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_certificate_is_said_with_the_remedy() {
    let (authority, stranger) = (authority(), authority());
    let collector = collector(&authority, "").await;
    let (ca, theirs) = (authority.path("ca.pem"), stranger.path("ca.pem"));
    for receiver in receivers(&collector).await {
        let by_number = receiver.replace("localhost", "127.0.0.1");
        for (receiver, ca, says) in [
            (&receiver, &theirs, ["is not trusted", "--ca-file"]),
            (&by_number, &ca, ["127.0.0.1", "localhost"]),
            (&receiver, &authority.path("none.pem"), ["none.pem", "No such file"]),
            (&receiver, &authority.path("server.key"), ["server.key", "no certificate"]),
        ] {
            let ended = command(&[receiver.as_str(), "--ca-file", ca]).await;
            let said = format!("{receiver} {ca}: {ended:?}");
            assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{said}");
            assert!(says.iter().all(|text| ended.stderr.contains(text)), "{said}");
        }
    }
    let open = Collector::start().await;
    let [http, grpc] = [open.url(Port::Http).await, open.url(Port::Grpc).await];
    for receiver in [http.replace("http", "https"), grpc.replace("http", "grpcs")] {
        let ended = command(&[&receiver]).await;
        assert!(ended.status.code() == Some(2) && ended.stderr.contains("TLS"), "{ended:?}");
    }
}
