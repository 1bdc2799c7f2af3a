//! What exporters say of themselves to receivers that ask, and what becomes of what is not believed.

use std::path::Path;

use super::support::collector::{Collector, Port, run_in};
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{agent, traces};
use super::support::until;

/// A gateway that takes telemetry from whoever has a token of this file.
async fn gateway(tokens: &Path) -> Collector {
    let auth = "auth: {authenticator: bearertokenauth}";
    let config = format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0', {auth}}}, http: {{endpoint: '127.0.0.1:0', {auth}}}}}}}
extensions: {{web: {{endpoint: '127.0.0.1:0'}}, bearertokenauth: {{filename: '{}'}}}}
exporters: {{debug: {{level: off}}}}
service: {{extensions: [web, bearertokenauth], pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}}}
",
        tokens.display()
    );
    Collector::with(&config).await
}

fn counter(name: &str, exporter: &str) -> String {
    format!(r#"spanlight_exporter_{name}_total{{exporter="{exporter}",signal="traces"}}"#)
}

fn refused(exporter: &str) -> String {
    format!(r#"spanlight_exporter_failed_total{{exporter="{exporter}",reason="unauthenticated",signal="traces"}}"#)
}

#[tokio::test]
async fn a_token_of_a_file_goes_along_and_a_new_one_as_soon_as_the_old_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (known, ours) = (folder.path().join("known"), folder.path().join("ours"));
    std::fs::write(&known, "first\nsecond\n").unwrap();
    std::fs::write(&ours, "hush-wrong\n").unwrap();
    let gateway = gateway(&known).await;
    let (grpc, http) = (gateway.url(Port::Grpc).await, gateway.url(Port::Http).await);
    let sender = Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}
extensions: {{web: {{endpoint: '127.0.0.1:0'}}, bearertokenauth/out: {{filename: '{}'}}}}
exporters:
  otlp: {{endpoint: '{grpc}', auth: {{authenticator: bearertokenauth/out}}}}
  otlphttp: {{endpoint: '{http}', auth: {{authenticator: bearertokenauth/out}}}}
service:
  extensions: [web, bearertokenauth/out]
  pipelines: {{traces: {{receivers: [otlp], exporters: [otlp, otlphttp]}}}}
",
        ours.display()
    ))
    .await;
    let exporters = ["otlp", "otlphttp"];
    sender.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    for exporter in exporters {
        sender.sample_becomes(&refused(exporter), 1.0).await;
        let said = sender.line(&format!("ERROR {exporter}: ")).await;
        assert!(said.contains("does not believe who we are") && !said.contains("hush"), "{said}");
        assert_eq!(sender.sample(&counter("retried", exporter)).await, Some(0.0), "it is refused for good");
    }
    // Nobody is told: the file is looked at again when what it said is refused.
    std::fs::write(&ours, "second\n").unwrap();
    sender.take_traces(traces(vec![agent(2, 1, 0, "scribe")])).await;
    for exporter in exporters {
        sender.sample_becomes(&counter("sent", exporter), 1.0).await;
    }
    std::fs::write(&known, "third\n").unwrap();
    gateway.signal("HUP").await;
    gateway.line("INFO otlp/grpc: ").await;
    gateway.line("INFO otlp/http: ").await;
    std::fs::write(&ours, "third\n").unwrap();
    sender.take_traces(traces(vec![agent(3, 1, 0, "scribe")])).await;
    for exporter in exporters {
        sender.sample_becomes(&counter("sent", exporter), 2.0).await;
        assert_eq!(sender.sample(&refused(exporter)).await, Some(1.0));
    }
}

#[tokio::test]
async fn what_is_said_goes_beside_other_headers_and_changes_with_its_file() {
    let (sink, folder) = (Sink::start().await, tempfile::tempdir().unwrap());
    let password = folder.path().join("password");
    std::fs::write(&password, "open sesame").unwrap();
    let collector = Collector::with_environment(
        &format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}
connectors: {{agent: {{}}}}
extensions:
  web: {{endpoint: '127.0.0.1:0'}}
  basicauth: {{client_auth: {{username: ada, password_file: '{password}'}}}}
  bearertokenauth: {{tokens: ['${{env:TOKEN}}', unused], scheme: Api-Key, header: X-Who}}
exporters:
  otlp: {{endpoint: '{url}', headers: {{x-tenant: a}}, auth: {{authenticator: basicauth}}}}
  otlphttp: {{endpoint: '{url}', headers: {{authorization: Bearer x}}, auth: {{authenticator: bearertokenauth}}}}
  webhook: {{url: '{url}/hook', events: [agent.completed], auth: {{authenticator: basicauth}}}}
service:
  extensions: [web, basicauth, bearertokenauth]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent, otlp, otlphttp]}}
    logs: {{receivers: [agent], exporters: [webhook]}}
",
            url = sink.url(),
            password = password.display(),
        ),
        &[("TOKEN", "t0ken")],
    )
    .await;
    let request = |path: &'static str, at: usize| {
        let sink = &sink;
        async move {
            sink.until(path, |received| received.iter().filter(|one| one.path.ends_with(path)).nth(at).cloned()).await
        }
    };
    collector.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    let basic = "Basic YWRhOm9wZW4gc2VzYW1l";
    let over_grpc = request("TraceService/Export", 0).await.headers;
    assert_eq!((&over_grpc["authorization"], &over_grpc["x-tenant"]), (&basic.parse().unwrap(), &"a".parse().unwrap()));
    let over_http = request("/v1/traces", 0).await.headers;
    assert_eq!(over_http["x-who"], "Api-Key t0ken");
    assert_eq!(over_http["authorization"], "Bearer x");
    assert_eq!(request("/hook", 0).await.headers["authorization"], basic);

    std::fs::write(&password, "closed sesame\n").unwrap();
    collector.signal("HUP").await;
    collector.line("INFO basicauth: ").await;
    sink.will([Behaviour::Http(401, vec![]), Behaviour::Http(401, vec![]), Behaviour::Http(401, vec![])]);
    collector.take_traces(traces(vec![agent(2, 1, 0, "scribe")])).await;
    assert_eq!(request("TraceService/Export", 1).await.headers["authorization"], "Basic YWRhOmNsb3NlZCBzZXNhbWU=");
    let failed = r#"spanlight_exporter_failed_total{exporter="webhook",reason="unauthenticated",signal="events"}"#;
    until("all three refusals", async || {
        let webhook = collector.sample(failed).await;
        let refused = [collector.sample(&refused("otlp")).await, collector.sample(&refused("otlphttp")).await, webhook];
        (refused == [Some(1.0); 3]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_said_is_an_error_that_says_what_to_do() {
    let config = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
extensions:
  bearertokenauth: {token: hush}
  bearertokenauth/key: {token: hush, scheme: Api-Key}
  bearertokenauth/unused: {token: hush}
  basicauth: {client_auth: {username: ada, password: hush}}
exporters: {otlp: {endpoint: 'localhost:4317'}, otlphttp: {endpoint: 'http://localhost:4318'}}
service:
  extensions: [bearertokenauth, bearertokenauth/key, basicauth]
  pipelines: {traces: {receivers: [otlp], exporters: [otlp, otlphttp]}}
";
    let check = async |change: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.yaml"), config).unwrap();
        run_in(dir.path(), &["config", "check", "c.yaml", "--set", change]).await
    };
    for (change, problem) in [
        ("exporters.otlp.auth={authenticator: nobody}", "exporters.otlp: `auth.authenticator` names `nobody`"),
        ("exporters.otlp.auth={authenticator: nobody}", "add one to `extensions`"),
        ("exporters.otlp.auth={authenticator: bearertokenauth/unused}", "in service.extensions; name one there"),
        ("exporters.otlp.auth={token: hush}", "unknown key `token`"),
        (
            "exporters.otlp={endpoint: 'a:1', headers: {Authorization: hush}, auth: {authenticator: basicauth}}",
            "so does `headers`",
        ),
        ("receivers.otlp.protocols.http.auth={authenticator: basicauth}", "which is for exporters"),
        ("receivers.otlp.protocols.http.auth={authenticator: bearertokenauth/key}", "give them another"),
        ("extensions.basicauth={htpasswd: {inline: 'ada:hush'}}", "`basicauth` is for exporters"),
        (
            "extensions.basicauth.client_auth={username: ada, password_file: /no/such}",
            "extensions.basicauth: /no/such: ",
        ),
        ("extensions.bearertokenauth.token=\"a\\nhush\"", "characters that no header may have"),
        ("extensions.bearertokenauth.header=a b", "`header` is no name of a header"),
    ] {
        let ended = check(change).await;
        assert_eq!(ended.status.code(), Some(2), "{change}: {ended:?}");
        assert!(ended.stderr.contains(problem) && !ended.stderr.contains("hush"), "{change}: {}", ended.stderr);
    }
    let in_the_clear =
        "exporters.otlphttp={endpoint: 'http://example.com', content: keep, auth: {authenticator: basicauth}}";
    let ended = check(in_the_clear).await;
    assert!(ended.status.success() && ended.stdout.contains("without TLS, where others can read it"), "{ended:?}");
    let over_tls =
        "exporters.otlphttp={endpoint: 'https://example.com', content: keep, auth: {authenticator: basicauth}}";
    let ended = check(over_tls).await;
    assert!(ended.status.success() && !ended.stdout.contains("TLS"), "{ended:?}");
}
