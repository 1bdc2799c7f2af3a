//! The textual form: what protobuf's mapping to JSON allows a writer, with OTLP's own exceptions.

use crate::conformance::answer::Post;
use crate::conformance::case::Case;
use crate::conformance::case::Test::Post as Ask;
use crate::conformance::judge::taken;
use crate::conformance::samples::{bare_span_json, metric_json, span_json, value_json};
use crate::otlp::Signal::{Metrics, Traces};

const OTLP: &str = "json-protobuf-encoding";
const MAPPING: &str = "protobuf-json-mapping";
const LOST: &str = "what some library writes in good order is refused";
const NEWER: &str = "a client of a later version of OTLP cannot talk to it";

/// A request of traces in JSON.
fn traces(body: String) -> Post {
    Post::json(Traces, body)
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::must(
        "http.json.ids-lower-case",
        OTLP,
        "ids are hexadecimal",
        LOST,
        Ask(|| traces(span_json(r#""parentSpanId": "abcdef0123456789""#)), taken),
    ),
    Case::must(
        "http.json.ids-upper-case",
        OTLP,
        "ids are hexadecimal in capitals as well",
        LOST,
        Ask(
            || {
                traces(bare_span_json(
                    r#""traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "conformance""#,
                ))
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.ids-mixed-case",
        OTLP,
        "ids are hexadecimal in letters of both cases",
        LOST,
        Ask(
            || {
                traces(bare_span_json(
                    r#""traceId": "5b8EfFf798038103D269b633813Fc60c", "spanId": "eEe19B7ec3c1b174", "name": "conformance""#,
                ))
            },
            taken,
        ),
    ),
    Case::should(
        "http.json.ids-empty",
        OTLP,
        "a root's parentSpanId may be an empty string",
        LOST,
        Ask(|| traces(span_json(r#""parentSpanId": """#)), taken),
    ),
    Case::must(
        "http.json.long-as-string",
        OTLP,
        "64-bit integers are strings",
        LOST,
        Ask(|| traces(value_json(r#"{"intValue": "-9223372036854775808"}"#)), taken),
    ),
    Case::must(
        "http.json.long-as-number",
        OTLP,
        "64-bit integers are numbers as well",
        LOST,
        Ask(|| traces(value_json(r#"{"intValue": -42}"#)), taken),
    ),
    Case::must(
        "http.json.time-as-number",
        OTLP,
        "times are numbers as well",
        LOST,
        Ask(
            || {
                traces(bare_span_json(
                    r#""traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "conformance", "startTimeUnixNano": $NOW, "endTimeUnixNano": $NOW"#,
                ))
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.int-as-string",
        MAPPING,
        "32-bit integers are strings as well",
        LOST,
        Ask(|| traces(span_json(r#""droppedAttributesCount": "3""#)), taken),
    ),
    Case::should(
        "http.json.int-with-exponent",
        MAPPING,
        "an integer may be written with an exponent or a point, as 1e2 or 3.0",
        LOST,
        Ask(|| traces(span_json(r#""droppedAttributesCount": 1e2, "droppedEventsCount": 3.0"#)), taken),
    ),
    Case::must(
        "http.json.enum-as-number",
        OTLP,
        "enums are integers",
        LOST,
        Ask(|| traces(span_json(r#""status": {"code": 2, "message": "no"}"#)), taken),
    ),
    Case::must(
        "http.json.enum-unknown",
        "future-versions-and-interoperability",
        "an integer of an enum that is not known is taken",
        NEWER,
        Ask(|| traces(span_json(r#""status": {"code": 4242}"#)), taken),
    ),
    Case::may(
        "http.json.enum-as-name",
        OTLP,
        "names of enums, which clients must not send, are read all the same",
        "what generators of JSON from protobuf write is refused",
        Ask(|| traces(span_json(r#""status": {"code": "STATUS_CODE_ERROR"}"#)), taken),
    ),
    Case::must(
        "http.json.unknown-members",
        OTLP,
        "members that are not known are ignored, whatever their value and wherever they stand",
        NEWER,
        Ask(
            || {
                let unknown = r#""later": {"a": [1, {"b": null}], "c": "d"}, "later2": 7"#;
                let span = span_json(&format!(
                    r#"{unknown}, "attributes": [{{"key": "k", "value": {{"stringValue": "v", {unknown}}}, {unknown}}}]"#
                ));
                traces(format!("{{{unknown}, {}", &span[1..]))
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.snake-case",
        OTLP,
        "names with underscores, which are not valid, get no request refused: they are unknown",
        "a request is refused for a member that means nothing",
        Ask(|| traces(span_json(r#""dropped_attributes_count": 3, "trace_state": "a=b""#)), taken),
    ),
    Case::must(
        "http.json.null",
        MAPPING,
        "null stands for what is absent, in every kind of field",
        LOST,
        Ask(
            || {
                traces(span_json(
                    r#""traceState": null, "attributes": null, "status": null, "flags": null, "parentSpanId": null"#,
                ))
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.bytes",
        MAPPING,
        "bytes are base64",
        LOST,
        Ask(|| traces(value_json(r#"{"bytesValue": "AP+/AQ=="}"#)), taken),
    ),
    Case::should(
        "http.json.bytes-for-urls",
        MAPPING,
        "bytes are base64 in the alphabet for URLs and without padding as well",
        LOST,
        Ask(|| traces(value_json(r#"{"bytesValue": "AP-_AQ"}"#)), taken),
    ),
    Case::must(
        "http.json.value-empty",
        "common.proto",
        "a value may be empty",
        "an attribute without a value takes its whole batch with it",
        Ask(|| traces(value_json("{}")), taken),
    ),
    Case::must(
        "http.json.doubles",
        MAPPING,
        "doubles are numbers of any form",
        LOST,
        Ask(
            || {
                traces(value_json(
                    r#"{"arrayValue": {"values": [{"doubleValue": -1.5e-7}, {"doubleValue": 3}, {"doubleValue": 1E300}]}}"#,
                ))
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.doubles-special",
        MAPPING,
        "the doubles that are no numbers are NaN, Infinity and -Infinity as strings",
        "a histogram with such a bound takes its whole batch with it",
        Ask(
            || {
                Post::json(
                    Metrics,
                    metric_json(
                        r#""gauge": {"dataPoints": [
                        {"timeUnixNano": "$NOW", "asDouble": "NaN", "attributes": [{"key": "k", "value": {"stringValue": "a"}}]},
                        {"timeUnixNano": "$NOW", "asDouble": "Infinity", "attributes": [{"key": "k", "value": {"stringValue": "b"}}]},
                        {"timeUnixNano": "$NOW", "asDouble": "-Infinity", "attributes": [{"key": "k", "value": {"stringValue": "c"}}]}]}"#,
                    ),
                )
            },
            taken,
        ),
    ),
    Case::must(
        "http.json.double-as-string",
        MAPPING,
        "doubles are strings as well",
        LOST,
        Ask(|| traces(value_json(r#"{"doubleValue": "1.5"}"#)), taken),
    ),
    Case::must(
        "http.json.escapes",
        "rfc8259-7",
        "text has escapes of every kind, pairs of surrogates among them",
        LOST,
        Ask(|| traces(value_json(r#"{"stringValue": "\u00e9 \ud83d\ude00 \\ \/ \"\n\t\b\f\r \u0000 é 😀"}"#)), taken),
    ),
    Case::must(
        "http.json.whitespace",
        "rfc8259-2",
        "whitespace may stand between any two tokens",
        LOST,
        // There are neither colons nor commas in what the text says.
        Ask(|| traces(span_json("").replace(':', "\r\n :\t").replace(',', " ,\n")), taken),
    ),
    Case::must(
        "http.json.any-order",
        "rfc8259-4",
        "members come in any order",
        LOST,
        Ask(
            || {
                traces(r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "conformance", "spanId": "eee19b7ec3c1b174", "attributes": [{"value": {"stringValue": "v"}, "key": "k"}], "traceId": "5b8efff798038103d269b633813fc60c"}], "scope": {"version": "1", "name": "conformance"}}], "resource": {"attributes": []}}]}"#.into())
            },
            taken,
        ),
    ),
];
