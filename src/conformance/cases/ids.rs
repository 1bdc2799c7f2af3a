//! Spans without valid ids, and the form in which a receiver says what it left out.

use crate::conformance::answer::Post;
use crate::conformance::call::Call;
use crate::conformance::case::Case;
use crate::conformance::case::Test::{Call as Invoke, Post as Ask};
use crate::conformance::judge::{done_or_failed, partial, partial_has_its_form, partial_of, taken_or_refused};
use crate::conformance::samples::{SPAN, TRACE, span_json, with_ids};
use crate::otlp::Signal::Traces;

const PROTO: &str = "trace.proto";
const FOR_EVER: &str = "one bad span has its whole batch sent for ever";
const COUNT: &str = "a client reports the wrong number of lost items, or none, and nobody knows why";

/// The second of two spans is of no trace, as JSON.
fn half_bad_json() -> Post {
    let good = span_json("");
    let at = good.rfind("]}]}]}").unwrap_or(good.len());
    Post::json(
        Traces,
        format!(
            r#"{}, {{"traceId": "00000000000000000000000000000000", "spanId": "eee19b7ec3c1b174", "name": "conformance"}}{}"#,
            &good[..at],
            &good[at..]
        ),
    )
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::should(
        "http.ids.zero",
        PROTO,
        "a span whose trace id is all zeros is left out or refused for good, or taken",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, with_ids(&[0; 16], &SPAN)), taken_or_refused),
    ),
    Case::should(
        "http.ids.short",
        PROTO,
        "a span whose trace id is too short is left out or refused for good, or taken",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, with_ids(&TRACE[..5], &SPAN)), taken_or_refused),
    ),
    Case::should(
        "http.ids.missing",
        PROTO,
        "a span without a span id is left out or refused for good, or taken",
        FOR_EVER,
        Ask(|| Post::protobuf(Traces, with_ids(&TRACE, b"")), taken_or_refused),
    ),
    Case::must(
        "http.partial.form",
        "partial-success-1",
        "whoever leaves a span out says how many, and why",
        COUNT,
        Ask(
            || Post::protobuf(Traces, with_ids(&[0; 16], &SPAN)),
            |answer| {
                taken_or_refused(answer)?;
                partial_has_its_form(partial(answer))
            },
        ),
    ),
    Case::must(
        "http.partial.form-in-json",
        "partial-success-1",
        "whoever leaves a span out says how many, and why, in JSON, too",
        COUNT,
        Ask(half_bad_json, |answer| {
            taken_or_refused(answer)?;
            partial_has_its_form(partial(answer))
        }),
    ),
];

/// The same over gRPC.
pub const OVER_GRPC: &[Case] = &[
    Case::should(
        "grpc.ids.zero",
        PROTO,
        "a span whose trace id is all zeros is left out or fails for good, or is taken",
        FOR_EVER,
        Invoke(|| Call::of(Traces, with_ids(&[0; 16], &SPAN)), done_or_failed),
    ),
    Case::should(
        "grpc.ids.short",
        PROTO,
        "a span whose trace id is too short is left out or fails for good, or is taken",
        FOR_EVER,
        Invoke(|| Call::of(Traces, with_ids(&TRACE[..5], &SPAN)), done_or_failed),
    ),
    Case::must(
        "grpc.partial.form",
        "partial-success",
        "whoever leaves a span out says how many, and why",
        COUNT,
        Invoke(
            || Call::of(Traces, with_ids(&[0; 16], &SPAN)),
            |returned| {
                done_or_failed(returned)?;
                partial_has_its_form(returned.answered().and_then(partial_of))
            },
        ),
    ),
];
