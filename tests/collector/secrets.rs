//! Whatever is secret is seen nowhere: not in what is written while everything goes wrong, not in what is printed, not in
//! what is answered.

use std::collections::BTreeSet;

use serde_json::json;

use super::support::client::{call_raw, frame, get_with, post};
use super::support::collector::{Collector, Port, run_with};
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{agent, traces};
use super::support::until;

/// What every secret begins with, and what one begins with behind its user as basic authentication says it.
const MARKS: [&str; 2] = ["hush-", "YWRhOmh1c2gt"];

/// Everything that has a secret, with a secret in it; nobody is behind any of the ports.
const CONFIG: &str = "
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '127.0.0.1:0', auth: {token: '${env:S_GRPC}'}}
      http: {endpoint: '127.0.0.1:0', auth: {authenticator: bearertokenauth}}
  redis: {url: 'redis://ada:hush-reader@127.0.0.1:9/0', stream: hidden-stream}
connectors: {agent: {}}
processors: {batch: {timeout: 1ms}}
exporters:
  debug: {level: debug}
  otlp: {endpoint: 'http://127.0.0.1:9', headers: {authorization: 'Bearer ${env:S_OTLP}'}, retry_on_failure: {max_elapsed_time: 1ms}}
  otlphttp: {endpoint: 'http://ada:hush-userinfo@127.0.0.1:9/hooks?key=hush-query', headers: {x-anything: 'hush-header'}, retry_on_failure: {max_elapsed_time: 1ms}}
  otlp/known: {endpoint: 'http://127.0.0.1:9', auth: {authenticator: bearertokenauth}, retry_on_failure: {max_elapsed_time: 1ms}}
  otlphttp/known: {endpoint: 'http://127.0.0.1:9', auth: {authenticator: basicauth}, retry_on_failure: {max_elapsed_time: 1ms}}
  webhook: {url: 'http://127.0.0.1:9/hush-path', secret: hush-webhook-secret, headers: {x-key: hush-webhook-header}, events: ['*'], retry_on_failure: {max_elapsed_time: 1ms}}
  redis/url: {url: 'redis://ada:hush-redis-url@127.0.0.1:9', stream: s, retry_on_failure: {max_elapsed_time: 1ms}}
  redis/key: {url: 'redis://127.0.0.1:9', username: ada, password: '${env:S_REDIS}', retry_on_failure: {max_elapsed_time: 1ms}}
extensions:
  web:
    endpoint: '127.0.0.1:0'
    auth: {token: hush-web-token, jwt: {algorithm: HS256, secret: 'hush-a-secret-of-thirty-two-bytes-and-more'}}
  bearertokenauth: {tokens: [hush-first, '${file:token.txt}']}
  basicauth: {client_auth: {username: ada, password: hush-basic-password}}
service:
  extensions: [web, bearertokenauth, basicauth]
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [agent, otlp, otlphttp, otlp/known, otlphttp/known, debug]}
    logs: {receivers: [otlp, redis], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [debug, webhook, redis/url, redis/key]}
";
const VARIABLES: &[(&str, &str)] =
    &[("S_GRPC", "hush-grpc"), ("S_OTLP", "hush-otlp"), ("S_REDIS", "hush-redis-password")];

/// The secrets that a text tells.
fn told(text: &str) -> BTreeSet<&str> {
    let found = MARKS.iter().flat_map(|mark| text.match_indices(mark));
    found.map(|(at, _)| &text[at..(at + 40).min(text.len())]).collect()
}

#[tokio::test]
async fn nothing_that_is_written_or_answered_tells_a_secret() {
    let config = CONFIG.replace("${file:token.txt}", "hush-second");
    let collector = Collector::with_environment(&config, VARIABLES).await;
    let (grpc, web) = (collector.url(Port::Grpc).await, collector.url(Port::Web).await);
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let message = traces(vec![agent(1, 1, 0, "scribe")]);
    let taken = call_raw(&grpc, path, &[("authorization", "Bearer hush-grpc")], frame(0, &message)).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    let (protobuf, json) = ("application/x-protobuf", "application/json");
    let known = ("authorization", "Bearer hush-second");
    let spans = collector.post("/v1/traces", &[("content-type", protobuf), known], message).await;
    assert_eq!(spans.status, 200, "{}", spans.text());
    // What goes wrong on the way in: tokens that are none, and bodies that are none, with a good token.
    let mut answers = vec![taken.message];
    for token in ["Bearer hush-wrong", "Basic hush-basic", "Bearer hush-eyJhbGciOiJIUzI1NiJ9.e30.x", "hush-nothing"] {
        let headers = [("authorization", token), ("content-type", json)];
        answers.push(collector.post("/v1/traces", &headers, "{}").await.text());
        answers.push(call_raw(&grpc, path, &headers[..1], frame(0, b"")).await.message);
        answers.push(get_with(&format!("{web}/api/v1/runs"), &headers[..1]).await.text());
        answers.push(post(&format!("{web}/v1/events"), &headers, "{}".into()).await.text());
    }
    for body in ["{", "[]", "{\"resourceSpans\": 1}"] {
        answers.push(collector.post("/v1/traces", &[("content-type", json), known], body).await.text());
        answers.push(collector.post("/v1/events", &[("content-type", json), known], body).await.text());
    }
    for exporter in ["otlp", "otlphttp", "otlp/known", "otlphttp/known", "webhook", "redis/url", "redis/key"] {
        collector.line(&format!(" {exporter}: ")).await;
    }
    let root = [("authorization", "Bearer hush-web-token")];
    until("what exporters gave up on", async || {
        let text = get_with(&format!("{web}/metrics"), &root).await.text();
        ["otlp", "otlphttp", "otlp/known", "otlphttp/known"]
            .iter()
            .all(|name| text.contains(&format!("spanlight_exporter_failed_total{{exporter=\"{name}\"")))
            .then_some(())
    })
    .await;
    let shown = [
        "/metrics",
        "/api/v1/health",
        "/readyz",
        "/healthz",
        "/",
        "/api/v1/now",
        "/api/v1/runs",
        "/api/v1/events",
        "/api/openapi.json",
    ];
    for path in shown {
        let answer = get_with(&format!("{web}{path}"), &root).await;
        answers.push(answer.text());
        answers.push(format!("{:?}", answer.headers));
    }
    for answer in &answers {
        assert_eq!(told(answer), BTreeSet::new(), "{answer}");
    }
    let ended = collector.stop().await;
    assert_eq!(told(&ended.stdout), BTreeSet::new());
    assert_eq!(told(&ended.stderr), BTreeSet::new());
    assert!(ended.stdout.contains("scribe") && ended.stderr.contains("WARN"), "there was nothing to see: {ended:?}");
}

#[tokio::test]
async fn nothing_that_is_said_of_a_configuration_tells_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.yaml"), CONFIG).unwrap();
    std::fs::write(dir.path().join("token.txt"), "hush-in-a-file\n").unwrap();
    for command in ["print", "check"] {
        let ended = run_with(dir.path(), &["config", command, "c.yaml"], VARIABLES).await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(told(&ended.stdout), BTreeSet::new(), "{}", ended.stdout);
        assert_eq!(told(&ended.stderr), BTreeSet::new());
    }
    // What is wrong with each of them is said without what it is.
    for change in [
        json!({"exporters.otlphttp.endpoint": "http://ada:hush-userinfo@host:port/"}),
        json!({"exporters.otlphttp.endpoint": "ftp://ada:hush-userinfo@host/?key=hush-query"}),
        json!({"exporters.otlp.endpoint": "ada:hush-userinfo@host:port"}),
        json!({"exporters.otlphttp.headers": "{x: \"hush-\\u0001\"}"}),
        json!({"exporters.webhook.url": "ftp://host/hush-path"}),
        json!({"exporters.webhook.secret": "[hush-a-list]"}),
        json!({"exporters.redis/url.url": "redis://ada:hush-redis-url@host:port"}),
        json!({"exporters.redis/url.url": "nats://ada:hush-redis-url@host"}),
        json!({"receivers.redis.url": "redis://ada:hush-reader@"}),
        json!({"extensions.web.auth.jwt.secret": "hush-short"}),
        json!({"extensions.web.auth.jwt": "{algorithm: RS256, secret: hush-not-for-it, public_key_file: c.yaml}"}),
        json!({"extensions.bearertokenauth.filename": "token.txt"}),
        json!({"extensions.bearertokenauth.tokens": "[\"hush-\\n\"]"}),
        json!({"extensions.basicauth.client_auth.password": "[hush-a-list]"}),
        json!({"extensions.basicauth.client_auth.password_file": "token.txt"}),
        json!({"extensions.basicauth.htpasswd": "{inline: 'ada:hush-inline'}"}),
        json!({"exporters.otlp.auth": "{authenticator: basicauth}"}),
    ] {
        let (path, value) = change.as_object().unwrap().iter().next().unwrap();
        let set = format!("{path}={}", value.as_str().unwrap());
        let ended = run_with(dir.path(), &["config", "check", "c.yaml", "--set", &set], VARIABLES).await;
        assert_eq!(ended.status.code(), Some(2), "{set}: {ended:?}");
        assert_eq!(told(&ended.stderr), BTreeSet::new(), "{set}: {}", ended.stderr);
    }
}

/// Some say what they were told, also to whoever reads what we write.
#[tokio::test]
async fn what_receivers_repeat_tells_no_secret() {
    let echo =
        "no: Bearer hush-said YWRhOmh1c2gtYmFzaWMtcGFzc3dvcmQ= hush-header /hooks/hush-path hush-path key=hush-query";
    let sink = Sink::start().await;
    sink.otherwise(Behaviour::Answer(401, vec![], echo.into()));
    let url = sink.url();
    let collector = Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}
connectors: {{agent: {{}}}}
extensions:
  web: {{endpoint: '127.0.0.1:0'}}
  bearertokenauth: {{token: hush-said}}
  basicauth: {{client_auth: {{username: ada, password: hush-basic-password}}}}
exporters:
  otlphttp/a: {{traces_endpoint: '{url}/v1/traces?key=hush-query', headers: {{x-a: hush-header}}, auth: {{authenticator: bearertokenauth}}}}
  otlphttp/b: {{traces_endpoint: '{url}/v1/traces?key=hush-query', headers: {{x-a: hush-header, x-b: Bearer hush-said}}, auth: {{authenticator: basicauth}}}}
  webhook: {{url: '{url}/hooks/hush-path?key=hush-query', headers: {{x-a: hush-header, x-b: Bearer hush-said}}, events: ['*'], auth: {{authenticator: basicauth}}}}
service:
  extensions: [web, bearertokenauth, basicauth]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent, otlphttp/a, otlphttp/b]}}
    logs: {{receivers: [agent], exporters: [webhook]}}
"
    ))
    .await;
    collector.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    let hidden_from = async |exporter: &str| {
        let line = collector.line(&format!("ERROR {exporter}: ")).await;
        assert!(line.contains("no: [hidden]"), "{line}");
        line
    };
    let (a, b, hook) = (hidden_from("otlphttp/a").await, hidden_from("otlphttp/b").await, hidden_from("webhook").await);
    // What was told to somebody else is not known to be secret where it is said.
    assert!(
        a.contains("YWRh") && a.contains("hush-path") && !told(&a).iter().any(|text| text.starts_with("hush-said")),
        "{a}"
    );
    assert!(!b.contains("YWRh") && !b.contains("hush-query") && !b.contains("hush-header"), "{b}");
    assert_eq!(told(&hook), BTreeSet::new());
}
