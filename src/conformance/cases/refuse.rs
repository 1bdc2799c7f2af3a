//! OTLP over HTTP: what has to be refused, and how, so that no client sends it for ever.

use http::{Method, header};

use crate::conformance::answer::{Answer, Post};
use crate::conformance::case::Test::Post as Ask;
use crate::conformance::case::{Case, Finding, Trouble, unmet};
use crate::conformance::judge::{
    bad_data, refused, status_is, with_a_bad_request, with_a_status, with_words, without_retry_after,
};
use crate::conformance::samples::{self, gzip, request};
use crate::otlp::Signal::Traces;

const FOR_EVER: &str = "a client cannot tell what is of no use from what would be taken later, and sends it again";
const WHY: &str = "whoever runs the client is not told what is wrong with it";

/// A request that ends within a value.
fn truncated() -> Post {
    let whole = request(Traces);
    Post::protobuf(Traces, whole.slice(..whole.len() - 5))
}

/// A document that does not end.
fn broken_json() -> Post {
    Post::json(Traces, r#"{"resourceSpans": [{"scopeSpans": "#)
}

fn method_not_allowed(answer: &Answer) -> Finding {
    status_is(answer, 405)
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::must(
        "http.bad-data.truncated",
        "bad-data",
        "protobuf that ends within a value is answered with 400",
        FOR_EVER,
        Ask(truncated, bad_data),
    ),
    Case::must(
        "http.bad-data.no-protobuf",
        "bad-data",
        "bytes that are no protobuf are answered with 400",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, &b"\xff\xff\xff\xff no protobuf"[..]), bad_data),
    ),
    Case::must(
        "http.bad-data.json-as-protobuf",
        "bad-data",
        "JSON that says it is protobuf is answered with 400",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, samples::json(Traces)), bad_data),
    ),
    Case::must(
        "http.bad-data.broken-json",
        "bad-data",
        "JSON that does not end is answered with 400",
        FOR_EVER,
        Ask(broken_json, bad_data),
    ),
    Case::must(
        "http.bad-data.protobuf-as-json",
        "bad-data",
        "protobuf that says it is JSON is answered with 400",
        FOR_EVER,
        Ask(|| Post::json(Traces, request(Traces)), bad_data),
    ),
    Case::must(
        "http.bad-data.another-type-in-json",
        "bad-data",
        "a number where spans stand is answered with 400",
        FOR_EVER,
        Ask(|| Post::json(Traces, r#"{"resourceSpans": [{"scopeSpans": [{"spans": 7}]}]}"#), bad_data),
    ),
    Case::must(
        "http.bad-data.ids-that-are-not-hexadecimal",
        "bad-data",
        "an id in JSON that is not hexadecimal is answered with 400",
        "spans are filed below an id that they do not have",
        Ask(
            || {
                Post::json(
                    Traces,
                    samples::bare_span_json(
                        r#""traceId": "this is no hexadecimal number!!!", "spanId": "eee19b7ec3c1b174""#,
                    ),
                )
            },
            bad_data,
        ),
    ),
    Case::must(
        "http.bad-data.broken-gzip",
        "bad-data",
        "a body that is no gzip although its header says so is answered with 400",
        FOR_EVER,
        Ask(
            || {
                let packed = gzip(&request(Traces));
                Post::protobuf(Traces, packed.slice(..packed.len() - 9)).with("content-encoding", "gzip")
            },
            bad_data,
        ),
    ),
    Case::must(
        "http.bad-data.status-in-protobuf",
        "failures-1",
        "the answer to bad protobuf is a google.rpc.Status in protobuf",
        WHY,
        Ask(truncated, with_a_status),
    ),
    Case::must(
        "http.bad-data.status-in-json",
        "failures-1",
        "the answer to bad JSON is a google.rpc.Status in JSON",
        WHY,
        Ask(broken_json, with_a_status),
    ),
    Case::should(
        "http.bad-data.words-in-protobuf",
        "failures-1",
        "the Status has a message for developers",
        WHY,
        Ask(truncated, with_words),
    ),
    Case::should(
        "http.bad-data.words-in-json",
        "failures-1",
        "the Status has a message for developers in JSON, too",
        WHY,
        Ask(broken_json, with_words),
    ),
    Case::should(
        "http.bad-data.details-in-protobuf",
        "bad-data",
        "the Status has a google.rpc.BadRequest in its details",
        WHY,
        Ask(truncated, with_a_bad_request),
    ),
    Case::should(
        "http.bad-data.details-in-json",
        "bad-data",
        "the Status has a google.rpc.BadRequest in its details in JSON, too",
        WHY,
        Ask(broken_json, with_a_bad_request),
    ),
    Case::should(
        "http.bad-data.no-retry-after",
        "otlphttp-throttling",
        "bad data is not told when to come back",
        "a client that honours it sends the same again",
        Ask(truncated, without_retry_after),
    ),
    Case::should(
        "http.type.unknown",
        "rfc9110-15.5.16",
        "a content type that is neither protobuf nor JSON is answered with 415",
        WHY,
        Ask(|| Post::protobuf(Traces, request(Traces)).typed("text/plain"), |answer| status_is(answer, 415)),
    ),
    Case::should(
        "http.type.unknown-is-not-retried",
        "failures-1",
        "a content type that is not known is refused for good",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, request(Traces)).typed("text/plain"), refused),
    ),
    Case::should(
        "http.type.missing",
        "rfc9110-8.3",
        "a request without a content type is refused for good",
        "bytes are taken for what they are not",
        Ask(|| Post::protobuf(Traces, request(Traces)).typed(""), refused),
    ),
    Case::should(
        "http.encoding.unknown",
        "rfc9110-8.4",
        "an encoding that is not known is refused for good",
        "bytes that nobody can unpack are taken for what they are not",
        Ask(|| Post::protobuf(Traces, request(Traces)).with("content-encoding", "conformance"), refused),
    ),
    Case::may(
        "http.encoding.unknown-is-415",
        "rfc9110-8.4",
        "the refusal of an encoding that is not known may be 415, which says so",
        WHY,
        Ask(
            || Post::protobuf(Traces, request(Traces)).with("content-encoding", "conformance"),
            |answer| status_is(answer, 415),
        ),
    ),
    Case::must(
        "http.encoding.unknown-has-a-status",
        "failures-1",
        "the refusal of an encoding that is not known is a google.rpc.Status",
        WHY,
        Ask(|| Post::protobuf(Traces, request(Traces)).with("content-encoding", "conformance"), with_a_status),
    ),
    Case::should(
        "http.path.unknown",
        "rfc9110-15.5.5",
        "a path that nothing is at is answered with 404",
        "a client with a wrong endpoint looks as if it worked",
        Ask(|| Post::protobuf(Traces, request(Traces)).to("/v1/conformance"), |answer| status_is(answer, 404)),
    ),
    Case::should(
        "http.method.get",
        "rfc9110-15.5.6",
        "GET is answered with 405",
        "whoever looks with a browser is misled",
        Ask(|| Post::protobuf(Traces, "").by(Method::GET), method_not_allowed),
    ),
    Case::should(
        "http.method.put",
        "rfc9110-15.5.6",
        "PUT is answered with 405",
        "requests that OTLP does not know have an effect",
        Ask(|| Post::protobuf(Traces, request(Traces)).by(Method::PUT), method_not_allowed),
    ),
    Case::must(
        "http.method.allow",
        "rfc9110-15.5.6",
        "a 405 says in Allow that there is POST",
        WHY,
        Ask(
            || Post::protobuf(Traces, request(Traces)).by(Method::PUT),
            |answer| match answer.status.as_u16() {
                405 if answer.header(header::ALLOW).contains("POST") => Ok(()),
                405 => unmet("Allow: POST", format!("{}, Allow: {}", answer.told(), answer.header(header::ALLOW))),
                _ => Err(Trouble::Moot("it answers with another status")),
            },
        ),
    ),
];
