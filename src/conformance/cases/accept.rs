//! OTLP over HTTP: what has to be taken, and how that is answered.

use http::header;

use crate::conformance::answer::Post;
use crate::conformance::case::Test::Post as Ask;
use crate::conformance::case::{Case, unmet};
use crate::conformance::judge::{of_the_same_type, taken, with_the_response_message, without_partial_success};
use crate::conformance::samples::{self, deflate, gzip, request, span_json, zstd};
use crate::otlp::Signal::{Logs, Metrics, Traces};

const LOST: &str = "what a client sends in good order is lost";

/// The cases.
pub const CASES: &[Case] = &[
    Case::must(
        "http.protobuf.traces",
        "otlphttp-request",
        "a request of traces in protobuf is taken at /v1/traces",
        LOST,
        Ask(|| Post::protobuf(Traces, request(Traces)), taken),
    ),
    Case::must(
        "http.protobuf.metrics",
        "otlphttp-request",
        "a request of metrics in protobuf, of all five kinds, is taken at /v1/metrics",
        LOST,
        Ask(|| Post::protobuf(Metrics, request(Metrics)), taken),
    ),
    Case::must(
        "http.protobuf.logs",
        "otlphttp-request",
        "a request of logs in protobuf is taken at /v1/logs",
        LOST,
        Ask(|| Post::protobuf(Logs, request(Logs)), taken),
    ),
    Case::should(
        "http.json.traces",
        "otlphttp-connection",
        "a request of traces in JSON is taken at the path and port of protobuf",
        LOST,
        Ask(|| Post::json(Traces, samples::json(Traces)), taken),
    ),
    Case::should(
        "http.json.metrics",
        "otlphttp-connection",
        "a request of metrics in JSON, of all five kinds, is taken likewise",
        LOST,
        Ask(|| Post::json(Metrics, samples::json(Metrics)), taken),
    ),
    Case::should(
        "http.json.logs",
        "otlphttp-connection",
        "a request of logs in JSON is taken likewise",
        LOST,
        Ask(|| Post::json(Logs, samples::json(Logs)), taken),
    ),
    Case::must(
        "http.answer.type-of-protobuf",
        "otlphttp-response",
        "the answer to protobuf says application/x-protobuf",
        "clients choose a decoder by it, and miss what was left out",
        Ask(|| Post::protobuf(Traces, request(Traces)), of_the_same_type),
    ),
    Case::must(
        "http.answer.type-of-json",
        "otlphttp-response",
        "the answer to JSON says application/json",
        "clients choose a decoder by it, and miss what was left out",
        Ask(|| Post::json(Traces, span_json("")), of_the_same_type),
    ),
    Case::must(
        "http.answer.message-in-protobuf",
        "full-success-1",
        "the body of the answer to protobuf is the response message of the service",
        "a client that decodes it takes a success for a failure, and may send again",
        Ask(|| Post::protobuf(Traces, request(Traces)), with_the_response_message),
    ),
    Case::must(
        "http.answer.message-in-json",
        "full-success-1",
        "the body of the answer to JSON is the response message of the service, as JSON",
        "a client that decodes it takes a success for a failure, and may send again",
        Ask(|| Post::json(Traces, span_json("")), with_the_response_message),
    ),
    Case::must(
        "http.answer.no-partial-in-protobuf",
        "full-success-1",
        "a full success leaves partial_success unset",
        "a client that looks whether it is there reports items as left out that were taken",
        Ask(|| Post::protobuf(Traces, request(Traces)), without_partial_success),
    ),
    Case::must(
        "http.answer.no-partial-in-json",
        "full-success-1",
        "a full success leaves partialSuccess unset in JSON, too",
        "a client that looks whether it is there reports items as left out that were taken",
        Ask(|| Post::json(Traces, span_json("")), without_partial_success),
    ),
    Case::should(
        "http.answer.not-packed-unasked",
        "otlphttp-response",
        "the answer is not compressed for a client that did not ask for it",
        "the client cannot read what was left out",
        Ask(
            || Post::protobuf(Traces, request(Traces)),
            |answer| match answer.header(header::CONTENT_ENCODING) {
                "" | "identity" => taken(answer),
                encoding => unmet("no content-encoding", format!("{}, packed as {encoding}", answer.told())),
            },
        ),
    ),
    Case::should(
        "http.empty.protobuf",
        "full-success-1",
        "a request without any bytes is a success",
        "a client with nothing to say counts failures",
        Ask(|| Post::protobuf(Traces, ""), taken),
    ),
    Case::should(
        "http.empty.json",
        "full-success-1",
        "an empty object is a success",
        "a client with nothing to say counts failures",
        Ask(|| Post::json(Traces, "{}"), taken),
    ),
    Case::should(
        "http.empty.resource",
        "empty-telemetry-envelopes",
        "a resource without scopes is a success",
        "what a filter has emptied takes the rest of its batch with it",
        Ask(|| Post::protobuf(Traces, &b"\x0a\x00"[..]), taken),
    ),
    Case::should(
        "http.empty.scope",
        "empty-telemetry-envelopes",
        "a scope without spans is a success",
        "what a filter has emptied takes the rest of its batch with it",
        Ask(|| Post::protobuf(Traces, &b"\x0a\x02\x12\x00"[..]), taken),
    ),
    Case::should(
        "http.empty.scope-in-json",
        "empty-telemetry-envelopes",
        "a scope without spans is a success in JSON, too",
        "what a filter has emptied takes the rest of its batch with it",
        Ask(|| Post::json(Traces, r#"{"resourceSpans": [{"scopeSpans": [{}]}, {}]}"#), taken),
    ),
    Case::must(
        "http.encoding.gzip",
        "protocol-details",
        "protobuf in gzip is taken",
        "most exporters pack with gzip by default: all that they send is lost",
        Ask(|| Post::protobuf(Traces, gzip(&request(Traces))).with("content-encoding", "gzip"), taken),
    ),
    Case::must(
        "http.encoding.gzip-of-json",
        "protocol-details",
        "JSON in gzip is taken",
        "exporters of browsers and of JavaScript pack so: all that they send is lost",
        Ask(|| Post::json(Traces, gzip(span_json("").as_bytes())).with("content-encoding", "gzip"), taken),
    ),
    Case::should(
        "http.encoding.any-case",
        "rfc9110-8.4.1",
        "names of encodings are read in letters of any case",
        LOST,
        Ask(|| Post::protobuf(Traces, gzip(&request(Traces))).with("content-encoding", "GZIP"), taken),
    ),
    Case::may(
        "http.encoding.gzip-members",
        "rfc1952-2.2",
        "gzip in several members is read to its end",
        "some proxies pack piece by piece; the rest of a request is lost without a word",
        Ask(
            || {
                let body = request(Traces);
                let (first, rest) = body.split_at(body.len() / 2);
                let members = [gzip(first), gzip(rest)].concat();
                Post::protobuf(Traces, members).with("content-encoding", "gzip")
            },
            taken,
        ),
    ),
    Case::may(
        "http.encoding.identity",
        "protocol-details",
        "a header may say that the body is not compressed",
        "clients that say so are refused",
        Ask(|| Post::protobuf(Traces, request(Traces)).with("content-encoding", "identity"), taken),
    ),
    Case::may(
        "http.encoding.zstd",
        "protocol-details",
        "zstd is taken",
        "packing costs clients more than it has to",
        Ask(|| Post::protobuf(Traces, zstd(&request(Traces))).with("content-encoding", "zstd"), taken),
    ),
    Case::may(
        "http.encoding.deflate",
        "protocol-details",
        "deflate is taken",
        "clients that know nothing better send without packing",
        Ask(|| Post::protobuf(Traces, deflate(&request(Traces))).with("content-encoding", "deflate"), taken),
    ),
    Case::should(
        "http.type.any-case",
        "rfc9110-8.3.1",
        "content types are read in letters of any case",
        LOST,
        Ask(|| Post::protobuf(Traces, request(Traces)).typed("Application/X-Protobuf"), taken),
    ),
    Case::should(
        "http.type.parameters",
        "rfc9110-8.3.1",
        "a charset behind application/json changes nothing",
        "many HTTP libraries add one by themselves: all that they send is lost",
        Ask(|| Post::json(Traces, span_json("")).typed("application/json; charset=utf-8"), taken),
    ),
    Case::should(
        "http.headers.unknown",
        "rfc9110-5.1",
        "headers that nobody knows change nothing",
        "what proxies and tenants add gets telemetry refused",
        Ask(|| Post::protobuf(Traces, request(Traces)).with("x-conformance", "\u{7e}!#$"), taken),
    ),
];
