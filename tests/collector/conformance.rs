//! The rules of OTLP, tried on our own receiver, which keeps them all, and on crude ones, which break each of them.

mod crude;
mod secure;

use std::collections::{BTreeMap, BTreeSet};

use spanlight::conformance::{self, Case, Outcome, Peer, Protocol, Report, Target, Tls};

use super::support::collector::{Collector, Ended, Port, run};
use crude::{Crude, Manner};

/// What OTLP leaves to receivers, and ours leaves to others: nobody sends it.
const NOT_OFFERED: [&str; 2] = ["http.encoding.deflate", "http.wire.unknown-group"];

async fn peer(protocol: Protocol, url: &str) -> Peer {
    let target = Target { protocol, url: url.parse().unwrap(), headers: Vec::new(), tls: Tls::default() };
    Peer::reach(target).await.unwrap()
}

async fn tried(protocol: Protocol, url: &str, cases: &[Case]) -> Report {
    conformance::run(&peer(protocol, url).await, cases, |_| ()).await
}

/// The names of cases that were not seen to be kept.
fn broken(report: &Report) -> BTreeSet<&'static str> {
    let is_broken = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::NotOffered(_));
    report.tried.iter().filter(|tried| is_broken(&tried.outcome)).map(|tried| tried.case.name).collect()
}

#[tokio::test]
async fn our_receiver_keeps_every_rule() {
    let collector = Collector::start().await;
    for (protocol, port) in [(Protocol::Http, Port::Http), (Protocol::Grpc, Port::Grpc)] {
        let report = tried(protocol, &collector.url(port).await, &conformance::all()).await;
        let unkept = report.tried.iter().filter(|tried| tried.outcome != Outcome::Passed);
        let unkept = unkept.filter(|tried| !NOT_OFFERED.contains(&tried.case.name));
        let unkept: Vec<String> = unkept.map(|tried| format!("{}: {:?}", tried.case.name, tried.outcome)).collect();
        assert!(unkept.is_empty(), "{}", unkept.join("\n"));
        assert!(report.tried.len() > 30 && report.is_clean());
    }
    assert_eq!(collector.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn every_case_is_broken_by_some_receiver() {
    let mut unbroken: BTreeMap<&str, Protocol> =
        conformance::all().iter().map(|case| (case.name, case.protocol())).collect();
    for manner in Manner::ALL {
        let crude = Crude::start(manner).await;
        // Large bodies take their time. Whether they are taken or not, one receiver of each kind is enough.
        let is_large = |case: &Case| case.name.contains(".size.");
        let is_plain = matches!(manner, Manner::Takes | Manner::Refuses);
        let cases: Vec<Case> = conformance::all().into_iter().filter(|case| is_plain || !is_large(case)).collect();
        for protocol in [Protocol::Http, Protocol::Grpc] {
            let report = tried(protocol, &crude.url(), &cases).await;
            let broken = broken(&report);
            assert!(!broken.is_empty(), "{manner:?} breaks no rule");
            unbroken.retain(|name, _| !broken.contains(name));
        }
    }
    assert!(unbroken.is_empty(), "no receiver breaks {unbroken:#?}");
}

#[tokio::test]
async fn whoever_takes_everything_breaks_the_rules_of_what_is_to_be_refused() {
    let crude = Crude::start(Manner::Takes).await;
    let broken = broken(&tried(Protocol::Http, &crude.url(), &conformance::all()).await);
    for name in ["http.bad-data.truncated", "http.encoding.unknown", "http.size.limited", "http.wire.no-wire-type"] {
        assert!(broken.contains(name), "{name} in {broken:?}");
    }
    for group in ["http.protobuf.", "http.json.", "http.answer.", "http.empty.", "http.ids."] {
        let of_group: Vec<_> = broken.iter().filter(|name| name.starts_with(group)).collect();
        assert!(of_group.is_empty(), "{of_group:?}");
    }
}

/// Runs the command on a receiver.
async fn command(args: &[&str]) -> Ended {
    run(&[&["conformance"], args].concat()).await
}

#[tokio::test]
async fn the_command_ends_well_where_every_rule_is_kept() {
    let collector = Collector::start().await;
    let (http, grpc) = (collector.url(Port::Http).await, collector.url(Port::Grpc).await);
    let grpc = grpc.replace("http://", "grpc://");
    let ended = command(&[&http, &grpc, "--only", "json.ids", "--only", "grpc.service"]).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for line in [
        "✓ MUST   http.json.ids-upper-case: ids are hexadecimal in capitals as well\n",
        "✓ MUST   grpc.service.unknown: ",
        "\nMUST 3 of 3, SHOULD 1 of 1, MAY 0 of 0; 0 skipped\n",
    ] {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
    let ended = command(&[&http, "--only", "http.encoding", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let receiver = &json["receivers"][0];
    assert_eq!((&receiver["otlp"], &receiver["passed"]), (&"1.11".into(), &true.into()), "{receiver}");
    let cases = receiver["cases"].as_array().unwrap();
    let gzip = cases.iter().find(|case| case["name"] == "http.encoding.gzip").unwrap();
    assert_eq!((&gzip["level"], &gzip["outcome"]), (&"MUST".into(), &"passed".into()));
    let deflate = cases.iter().find(|case| case["name"] == "http.encoding.deflate").unwrap();
    assert_eq!((&deflate["level"], &deflate["outcome"]), (&"MAY".into(), &"not offered".into()));
}

#[tokio::test]
async fn the_command_says_what_came_instead() {
    let crude = Crude::start(Manner::Busy).await;
    let ended = command(&[&crude.url(), "--only", "http.protobuf.traces", "--header", "x-tenant=a"]).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(1), "error: 1 rule not kept\n"), "{ended:?}");
    let said = "\n    expected  HTTP 200, and nothing left out\n    came      HTTP 503 Service Unavailable, ";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    assert!(ended.stdout.contains("\n    see       otlphttp-request\n"), "{}", ended.stdout);
}

#[tokio::test]
async fn the_command_says_where_there_is_no_receiver() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let web = Collector::start().await;
    let web = web.url(Port::Web).await;
    for (receiver, says) in [
        (format!("http://{free}"), "cannot reach http://"),
        (format!("grpc://{free}"), "Connection refused"),
        (web.clone(), "takes no OTLP over http"),
        ("ftp://host".into(), "write http://host:4318, grpc://host:4317 or just a host"),
    ] {
        let ended = command(&[&receiver]).await;
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let ended = command(&[&web, "--only", "nothing"]).await;
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("no case"), "{ended:?}");
}
