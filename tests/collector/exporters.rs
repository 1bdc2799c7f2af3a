//! The rules of OTLP for clients, tried on our exporters: each a case with what a receiver answers, and what becomes of
//! the request. The rules for receivers are in `conformance`.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::support::collector::Collector;
use super::support::config::traces_to;
use super::support::sink::{Behaviour, Sink};
use super::support::telemetry::{chat, span, traces};

/// Cases under way at a time.
const AT_ONCE: usize = 4;

/// A rule.
struct Rule {
    name: String,
    exporter: &'static str,
    /// Settings of the exporter beyond its endpoint.
    settings: &'static str,
    /// What the receiver answers to each attempt. What comes then it takes.
    answers: Vec<Behaviour>,
    becomes: Becomes,
}

/// What becomes of a request of two spans.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// It is sent again until it is taken.
    SentAgain,
    /// It is sent again, and no sooner.
    SentAgainAfter(Duration),
    /// It counts as delivered, and is not sent again.
    Delivered,
    /// It counts as delivered, and something is said of it.
    DeliveredWith(&'static str),
    /// So many of it count as left out, something is said, and it is not sent again.
    LeftOut(u32, &'static str),
    /// It counts as refused, and why is said; it is not sent again.
    Refused(&'static str),
    /// The same, because of who we are.
    NotBelieved(&'static str),
}

use Becomes::{Delivered, DeliveredWith, LeftOut, NotBelieved, Refused, SentAgain, SentAgainAfter};

/// Retries that a test has time for.
const QUICKLY: &str = "retry_on_failure: {initial_interval: 20ms, max_interval: 100ms}";
const IMPATIENTLY: &str = "timeout: 200ms, retry_on_failure: {initial_interval: 20ms, max_interval: 100ms}";
const AS_JSON: &str = "encoding: json, retry_on_failure: {initial_interval: 20ms, max_interval: 100ms}";

fn over_http(name: impl Into<String>, answer: Behaviour, becomes: Becomes) -> Rule {
    Rule { name: name.into(), exporter: "otlphttp", settings: QUICKLY, answers: vec![answer], becomes }
}

fn over_grpc(name: impl Into<String>, answer: Behaviour, becomes: Becomes) -> Rule {
    Rule { exporter: "otlp", ..over_http(name, answer, becomes) }
}

/// An answer of HTTP with a header.
fn answer(status: u16, name: &'static str, value: impl Into<String>) -> Behaviour {
    Behaviour::Answer(status, vec![(name, value.into())], Bytes::new())
}

/// A success whose body is this.
fn says(content_type: &str, body: impl Into<Bytes>) -> Behaviour {
    Behaviour::Answer(200, vec![("content-type", content_type.into())], body.into())
}

/// A `partial_success`.
fn partial(rejected_spans: i64, message: &str) -> Vec<u8> {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: message.into() });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

/// Over HTTP: which statuses are retried, and when.
fn statuses() -> Vec<Rule> {
    let second = Duration::from_secs(1);
    let mut rules = Vec::new();
    for status in [429, 502, 503, 504] {
        rules.push(over_http(format!("http.retried.{status}"), Behaviour::Http(status, vec![]), SentAgain));
    }
    for status in [400, 403, 404, 405, 408, 413, 415, 422, 500, 501, 505] {
        rules.push(over_http(format!("http.refused.{status}"), Behaviour::Http(status, vec![]), Refused("HTTP ")));
    }
    for status in [429, 503] {
        let later = answer(status, "retry-after", "1");
        rules.push(over_http(format!("http.retry-after.seconds-with-{status}"), later, SentAgainAfter(second)));
    }
    let tomorrow = httpdate::fmt_http_date(SystemTime::now() + 86_400 * second);
    rules.extend([
        over_http("http.retry-after.past", answer(503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), SentAgain),
        over_http("http.retry-after.unreadable", answer(503, "retry-after", "soon"), SentAgain),
        over_http(
            "http.retry-after.none-for-what-is-refused",
            answer(400, "retry-after", tomorrow),
            Refused("HTTP 400"),
        ),
        over_http("http.refused.401", Behaviour::Http(401, vec![]), NotBelieved("HTTP 401")),
        over_http("http.success.202", Behaviour::Http(202, vec![]), Delivered),
        over_http("http.success.204", Behaviour::Http(204, vec![]), Delivered),
    ]);
    rules
}

/// Over HTTP: what a receiver says in its answers.
fn bodies() -> Vec<Rule> {
    let json = |body: &'static str| says("application/json", body);
    let protobuf = |body: Vec<u8>| says("application/x-protobuf", body);
    let as_json = |rule: Rule| Rule { settings: AS_JSON, ..rule };
    let no_more = r#"{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}"#;
    let number = r#"{"partialSuccess": {"rejectedSpans": 1, "errorMessage": "too old"}}"#;
    vec![
        over_http("http.partial.protobuf", protobuf(partial(1, "too\u{1b}[2Jold")), LeftOut(1, "too [2Jold")),
        as_json(over_http("http.partial.json", json(no_more), LeftOut(1, "too old"))),
        as_json(over_http("http.partial.json-with-a-number", json(number), LeftOut(1, "too old"))),
        over_http("http.partial.in-another-form-than-asked", json(no_more), LeftOut(1, "too old")),
        over_http("http.partial.warning", protobuf(partial(0, "use gzip")), DeliveredWith("says: use gzip")),
        over_http("http.partial.more-than-there-was", protobuf(partial(1_000_000, "no")), LeftOut(2, "no")),
        over_http("http.partial.less-than-nothing", protobuf(partial(-5, "")), Delivered),
        over_http("http.partial.empty", protobuf(partial(0, "")), Delivered),
        over_http("http.answer.no-protobuf", protobuf(vec![0xff; 40]), Delivered),
        over_http("http.answer.another-type", says("text/html", "\n<!doctype html><title>x</title>"), Delivered),
        as_json(over_http("http.answer.no-json", json("{\"partialSuccess\": "), Delivered)),
        over_http(
            "http.refused.with-words",
            Behaviour::Answer(
                400,
                vec![("content-type", "application/json".into())],
                r#"{"code": 3, "message": "no such tenant"}"#.into(),
            ),
            Refused("HTTP 400 Bad Request no such tenant"),
        ),
    ]
}

/// Over gRPC: which codes are retried, and when.
fn codes() -> Vec<Rule> {
    let second = Duration::from_secs(1);
    let mut rules = Vec::new();
    for code in [1, 4, 10, 11, 14, 15] {
        rules.push(over_grpc(format!("grpc.retried.{code}"), Behaviour::Grpc(code, String::new()), SentAgain));
    }
    // RESOURCE_EXHAUSTED without a word on when to come back is for good, too.
    for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 99] {
        rules.push(over_grpc(format!("grpc.refused.{code}"), Behaviour::Grpc(code, String::new()), Refused("")));
    }
    for code in [8, 14] {
        let later = Behaviour::Grpc(code, retry_info(second));
        rules.push(over_grpc(format!("grpc.retry-info.with-{code}"), later, SentAgainAfter(second)));
    }
    let no_status = Behaviour::Answer(200, vec![("content-type", "application/grpc".into())], Bytes::new());
    let page = Behaviour::Answer(200, vec![("content-type", "text/html".into())], "<!doctype html>".into());
    rules.extend([
        over_grpc("grpc.retry-info.at-once", Behaviour::Grpc(8, retry_info(Duration::ZERO)), SentAgain),
        over_grpc(
            "grpc.retry-info.not-for-what-is-refused",
            Behaviour::Grpc(3, retry_info(second)),
            Refused("INVALID"),
        ),
        over_grpc("grpc.retry-info.unreadable", Behaviour::Grpc(8, "AAAA!".into()), Refused("RESOURCE_EXHAUSTED")),
        over_grpc("grpc.partial", Behaviour::AcceptWith(partial(1, "too old")), LeftOut(1, "too old")),
        over_grpc(
            "grpc.partial.warning",
            Behaviour::AcceptWith(partial(0, "use gzip")),
            DeliveredWith("says: use gzip"),
        ),
        over_grpc(
            "grpc.partial.more-than-there-was",
            Behaviour::AcceptWith(partial(1_000_000, "no")),
            LeftOut(2, "no"),
        ),
        over_grpc("grpc.partial.empty", Behaviour::AcceptWith(partial(0, "")), Delivered),
        over_grpc("grpc.refused.16", Behaviour::Grpc(16, String::new()), NotBelieved("UNAUTHENTICATED")),
        over_grpc("grpc.refused.http-401", Behaviour::Http(401, vec![]), NotBelieved("instead of")),
        over_grpc("grpc.answer.no-protobuf", Behaviour::AcceptWith(vec![0xff; 40]), Delivered),
        over_grpc("grpc.answer.no-status", no_status, Refused("no grpc-status")),
        over_grpc("grpc.answer.another-type", page, Refused("no grpc-status")),
    ]);
    // What stands between an exporter and its receiver speaks HTTP.
    for status in [429, 502, 503, 504] {
        rules.push(over_grpc(format!("grpc.retried.http-{status}"), Behaviour::Http(status, vec![]), SentAgain));
    }
    for status in [307, 400, 403, 404, 500] {
        rules.push(over_grpc(
            format!("grpc.refused.http-{status}"),
            Behaviour::Http(status, vec![]),
            Refused("instead of"),
        ));
    }
    rules
}

/// Over both: connections that break, and answers that do not end.
fn connections() -> Vec<Rule> {
    let both = |name: &str, settings: &'static str, answers: &[Behaviour], becomes: Becomes| {
        ["otlp", "otlphttp"].map(|exporter| Rule {
            name: format!("{exporter}.{name}"),
            exporter,
            settings,
            answers: answers.to_vec(),
            becomes,
        })
    };
    [
        both("connection.breaks", QUICKLY, &[Behaviour::Break, Behaviour::Break], SentAgain),
        both("connection.breaks-within-the-answer", QUICKLY, &[Behaviour::BreakWithin], SentAgain),
        both("answer.none-in-time", IMPATIENTLY, &[Behaviour::Hang(Duration::from_secs(600))], SentAgain),
        both("answer.half-in-time", IMPATIENTLY, &[Behaviour::Stall], SentAgain),
        both("answer.without-end", QUICKLY, &[Behaviour::Endless], Refused("larger than 4 MiB")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A `google.rpc.Status` with a `RetryInfo`, as it stands in `grpc-status-details-bin`.
fn retry_info(delay: Duration) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        delay: Option<Delay>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let delay = Delay { seconds: delay.as_secs() as i64, nanos: delay.subsec_nanos() as i32 };
    let value = RetryInfo { delay: Some(delay) }.encode_to_vec();
    let details = vec![Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value }];
    STANDARD_NO_PAD.encode(Status { code: 8, details }.encode_to_vec())
}

/// Whether a rule is kept.
async fn is_kept(rule: Rule) {
    let Rule { exporter, settings, answers, becomes, .. } = rule;
    let sink = Sink::start().await;
    sink.will(answers.clone());
    let exporter_settings = format!("{{endpoint: '{}', {settings}}}", sink.url());
    let collector = Collector::with(&traces_to(&[(exporter, &exporter_settings)])).await;
    let request = traces(vec![chat(1, 2, 1), span(1, 1, 0, "root", vec![])]);
    collector.take_traces(request.clone()).await;
    let (attempts, sent, refused, line) = match becomes {
        SentAgain | SentAgainAfter(_) => (answers.len() + 1, 2, 0, None),
        Delivered => (1, 2, 0, None),
        DeliveredWith(line) => (1, 2, 0, Some(line)),
        LeftOut(count, line) => (1, 2 - count, count, Some(line)),
        Refused(line) | NotBelieved(line) => (1, 0, 2, Some(line)),
    };
    let counter = |name: &str| format!(r#"spanlight_exporter_{name}_total{{exporter="{exporter}",signal="traces"}}"#);
    let reason = if matches!(becomes, NotBelieved(_)) { "unauthenticated" } else { "rejected" };
    let rejected =
        format!(r#"spanlight_exporter_failed_total{{exporter="{exporter}",reason="{reason}",signal="traces"}}"#);
    collector.sample_becomes(&rejected, refused.into()).await;
    collector.sample_becomes(&counter("sent"), sent.into()).await;
    assert_eq!(collector.sample(&counter("retried")).await, Some((attempts - 1) as f64));
    if let Some(line) = line {
        collector.line(line).await;
    }
    let received = sink.received();
    assert_eq!(received.len(), attempts);
    // Json differs from what was taken, but not from one attempt to the next.
    assert!(received.iter().all(|attempt| attempt.body == received[0].body));
    if let SentAgainAfter(delay) = becomes {
        let waited = received[1].at - received[0].at;
        assert!(waited >= delay, "came back after {waited:?}");
    }
}

#[tokio::test]
async fn our_exporters_keep_every_rule() {
    let rules: Vec<Rule> = [statuses(), bodies(), codes(), connections()].into_iter().flatten().collect();
    assert!(rules.len() > 80);
    let tried = rules.into_iter().map(|rule| async {
        let name = rule.name.clone();
        // Another one may break as well: all are told.
        tokio::task::spawn_local(is_kept(rule)).await.err().map(|error| format!("{name}: {error}"))
    });
    let tried = futures_util::stream::iter(tried).buffer_unordered(AT_ONCE).collect::<Vec<Option<String>>>();
    let broken: Vec<String> = tokio::task::LocalSet::new().run_until(tried).await.into_iter().flatten().collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn a_date_to_come_back_at_is_waited_for() {
    // A date has no fractions: of three seconds two are left at least, and one when the request has come.
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    let rule = over_http("", answer(503, "retry-after", date), SentAgainAfter(Duration::from_secs(1)));
    is_kept(rule).await;
}

#[tokio::test]
async fn a_redirection_is_not_followed_with_credentials_or_without() {
    for status in [301, 302, 303, 307, 308] {
        let (sink, elsewhere) = (Sink::start().await, Sink::start().await);
        sink.will([answer(status, "location", format!("{}/v1/traces", elsewhere.url()))]);
        let settings = format!("{{endpoint: '{}', headers: {{authorization: 'Bearer s3cret'}}}}", sink.url());
        let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        collector.line(&format!("refused for good: HTTP {status}")).await;
        assert_eq!((sink.received().len(), elsewhere.received().len()), (1, 0));
    }
}

#[tokio::test]
async fn after_a_goodbye_a_new_connection_is_made_and_nothing_is_sent_twice() {
    for exporter in ["otlp", "otlphttp"] {
        let sink = Sink::start().await;
        sink.will([Behaviour::Goodbye, Behaviour::Goodbye, Behaviour::Accept, Behaviour::Break]);
        let settings = format!("{{endpoint: '{}', {QUICKLY}}}", sink.url());
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        for trace in 1..=4 {
            collector.take_traces(traces(vec![chat(trace, 2, 0)])).await;
            sink.spans(usize::from(trace)).await;
        }
        let taken = sink.spans(4).await;
        assert_eq!(taken.iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [1, 2, 3, 4], "{exporter}");
    }
}
