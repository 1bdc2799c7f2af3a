//! Receivers that ask who sends: by tokens, by JWTs, by the Collector's own authenticator.

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use serde_json::json;

use super::{JSON, PROTOBUF, refused};
use crate::auth::{SECRET, token};
use crate::support::client::{Answer, call_raw, frame, get_with, post, send};
use crate::support::collector::{Collector, Port, run_in};
use crate::support::telemetry::{agent, traces};

const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Receivers with this as `auth`, beside these extensions.
async fn asking(auth: &str, extensions: &str, names: &str) -> Collector {
    let config = format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0', auth: {auth}}}, http: {{endpoint: '127.0.0.1:0', auth: {auth},
    cors: {{allowed_origins: ['https://app.example']}}}}}}}}
connectors: {{agent: {{}}}}
extensions:
  web: {{endpoint: '127.0.0.1:0'}}
{extensions}
service:
  extensions: [web{names}]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent]}}
    logs: {{receivers: [otlp], exporters: [agent]}}
"
    );
    Collector::with_environment(&config, &[("JWT_SECRET", SECRET)]).await
}

/// What somebody with this token is answered on each of the ways in: `grpc-status`, and the statuses of HTTP.
async fn answers(collector: &Collector, token: Option<&str>) -> (u16, [u16; 2]) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let with = |kind: &'static str| -> Vec<(&str, &str)> {
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        bearer.chain((!kind.is_empty()).then_some(("content-type", kind))).collect()
    };
    let message = traces(vec![agent(1, 1, 0, "scribe")]);
    let grpc = call_raw(&collector.url(Port::Grpc).await, GRPC, &with(""), frame(0, &message)).await;
    let spans = collector.post("/v1/traces", &with(PROTOBUF), message).await;
    let event = json!({"name": "agent.started", "agent": "a"}).to_string();
    let events = collector.post("/v1/events", &with(JSON), event).await;
    (grpc.code, [spans.status, events.status])
}

#[tokio::test]
async fn only_who_is_believed_may_send() {
    let jwt = "{algorithm: HS256, secret: '${env:JWT_SECRET}', audience: spanlight}";
    let collector = asking(&format!("{{token: sesame, jwt: {jwt}}}"), "", "").await;
    assert_eq!(answers(&collector, Some("sesame")).await, (0, [200, 200]));
    let writer = token(json!({"sub": "ci", "permissions": ["write"]}));
    assert_eq!(answers(&collector, Some(&writer)).await, (0, [200, 200]));
    let all = token(json!({"sub": "ops", "permissions": "all"}));
    assert_eq!(answers(&collector, Some(&all)).await, (0, [200, 200]));
    // Who may read their own could otherwise write that of others.
    for claims in [json!({"sub": "dana"}), json!({"sub": "ops", "permissions": "all", "agents": ["writer"]})] {
        assert_eq!(answers(&collector, Some(&token(claims))).await, (7, [403, 403]));
    }
    let expired = token(json!({"sub": "ci", "permissions": ["write"], "exp": -60}));
    for stranger in [None, Some(""), Some("wrong"), Some(expired.as_str())] {
        assert_eq!(answers(&collector, stranger).await, (16, [401, 401]), "{stranger:?}");
    }
    for (reason, times) in [("forbidden", 2.0), ("unauthenticated", 4.0)] {
        for (signal, transport) in [("traces", "grpc"), ("traces", "http"), ("events", "http")] {
            collector.sample_becomes(&refused(reason, signal, transport), times).await;
        }
    }
}

#[tokio::test]
async fn a_stranger_is_told_what_is_missing_and_learns_nothing_else() {
    let collector = asking("{token: sesame}", "", "").await;
    for path in ["/v1/traces", "/v1/events", "/v1/nothing"] {
        let answer = collector.post(path, &[("content-type", JSON)], "not even JSON").await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{path}");
        assert!(answer.json()["message"].as_str().unwrap().contains("token"), "{}", answer.text());
    }
    let grpc = collector.url(Port::Grpc).await;
    assert_eq!(call_raw(&grpc, "/no.Such/Method", &[], frame(0, b"")).await.code, 16);
    // Load balancers say nothing of who they are.
    assert_eq!(call_raw(&grpc, HEALTH, &[], frame(0, b"")).await.code, 0);
    // Browsers ask before they say who they are.
    let ask = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let url = collector.url(Port::Http).await + "/v1/traces";
    let answer: Answer = send(Method::OPTIONS, &url, &ask, Full::new(Bytes::new()).boxed_unsync()).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"), "{answer:?}");
    // The demonstration has no token, so it is not offered.
    let demo = post(&(collector.url(Port::Web).await + "/api/v1/demo"), &[], Bytes::new()).await;
    assert_eq!(demo.status, 404, "{}", demo.text());
}

#[tokio::test]
async fn the_collectors_authenticator_is_taken_as_it_is() {
    let named = "{authenticator: bearertokenauth}";
    let collector = asking(named, "  bearertokenauth: {scheme: Bearer, token: sesame}", ", bearertokenauth").await;
    assert_eq!(answers(&collector, Some("sesame")).await, (0, [200, 200]));
    assert_eq!(answers(&collector, Some("open")).await, (16, [401, 401]));
    drop(collector);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "one\ntwo\n").unwrap();
    let named = "{authenticator: bearertokenauth/file}";
    let extension = format!("  bearertokenauth/file: {{filename: '{}'}}", file.display());
    let collector = asking(named, &extension, ", bearertokenauth/file").await;
    assert_eq!(answers(&collector, Some("two")).await, (0, [200, 200]));
    std::fs::write(&file, "three\n").unwrap();
    collector.signal("HUP").await;
    collector.line("INFO otlp/grpc: ").await;
    collector.line("INFO otlp/http: ").await;
    assert_eq!(answers(&collector, Some("three")).await, (0, [200, 200]));
    assert_eq!(answers(&collector, Some("two")).await, (16, [401, 401]));
}

#[tokio::test]
async fn a_port_that_asks_may_be_open_to_others_and_each_port_asks_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let open = "receivers.otlp.protocols.http.endpoint=0.0.0.0:0";
    let asks = "receivers.otlp.protocols.grpc.auth={token: sesame}";
    let ended = run_in(dir.path(), &["run", "--set", open, "--set", asks]).await;
    assert!(ended.stderr.contains("otlp/http: 0.0.0.0:0 would be open"), "the other one asks: {ended:?}");

    let changes = ["receivers.otlp.protocols.grpc.endpoint=0.0.0.0:0", asks];
    let collector =
        Collector::with_changes(include_str!("../../../collector-config/default.yaml"), &changes, &[]).await;
    let grpc = collector.url(Port::Grpc).await;
    let message = traces(vec![agent(1, 1, 0, "scribe")]);
    assert_eq!(call_raw(&grpc, GRPC, &[], frame(0, &message)).await.code, 16);
    // What comes over HTTP to the port of gRPC is asked as well.
    let spans = post(&format!("{grpc}/v1/traces"), &[("content-type", PROTOBUF)], message.into()).await;
    assert_eq!(spans.status, 401);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get_with(&(collector.url(Port::Web).await + path), &[]).await.status, 200);
    }
}
