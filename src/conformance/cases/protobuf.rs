//! The binary form: whatever a writer of protobuf may write is read.

use bytes::Bytes;
use futures_util::FutureExt;

use crate::conformance::answer::Post;
use crate::conformance::call::Call;
use crate::conformance::case::Case;
use crate::conformance::case::Test::{Call as Invoke, Http, Post as Ask};
use crate::conformance::judge::{bad_data, done, done_or_failed, failed, taken, taken_or_refused};
use crate::conformance::samples::{SPAN, TRACE, now, put_usual, request, span};
use crate::otlp::Signal::{Metrics, Traces};
use crate::otlp::wire::{put_bytes, put_f64, put_fixed32, put_fixed64, put_message, put_u64, put_varint};

const EVOLUTION: &str = "future-versions-and-interoperability";
const ENCODING: &str = "protobuf-encoding";
const NEWER: &str = "a client of a later version of OTLP cannot talk to it";
const LOST: &str = "what some library writes in good order is refused or misread";
const SURVIVES: &str = "one request ends the telemetry of everybody";

/// Fields of every wire type that OTLP does not have, in every message down to a span's attribute.
fn unknown_fields() -> Bytes {
    let unknown = |out: &mut Vec<u8>| {
        put_u64(out, 900, u64::MAX);
        put_fixed64(out, 901, 1);
        put_fixed32(out, 902, 1);
        put_bytes(out, 903, b"of a later version");
        put_bytes(out, (1 << 29) - 1, b"");
    };
    let mut out = Vec::new();
    unknown(&mut out);
    put_message(&mut out, 1, |resource_spans| {
        unknown(resource_spans);
        put_message(resource_spans, 1, unknown);
        put_message(resource_spans, 2, |scope_spans| {
            unknown(scope_spans);
            put_message(scope_spans, 2, |span| {
                unknown(span);
                put_usual(span);
                put_message(span, 9, |attribute| {
                    put_bytes(attribute, 1, b"k");
                    unknown(attribute);
                    put_message(attribute, 2, unknown);
                });
            });
        });
    });
    out.into()
}

/// A group that OTLP does not have.
fn unknown_group() -> Bytes {
    span(|span| {
        put_usual(span);
        put_varint(span, 900 << 3 | 3);
        put_u64(span, 1, 1);
        put_varint(span, 900 << 3 | 4);
    })
}

/// A span from its last field to its first, as some writers do.
fn descending() -> Bytes {
    span(|span| {
        put_fixed32(span, 16, 1);
        put_message(span, 15, |status| {
            put_u64(status, 3, 1);
            put_bytes(status, 2, b"fine");
        });
        put_message(span, 9, |attribute| {
            put_message(attribute, 2, |value| put_bytes(value, 1, b"v"));
            put_bytes(attribute, 1, b"k");
        });
        put_fixed64(span, 8, now());
        put_fixed64(span, 7, now());
        put_u64(span, 6, 2);
        put_bytes(span, 5, b"conformance");
        put_bytes(span, 2, &SPAN);
        put_bytes(span, 1, &TRACE);
    })
}

/// A histogram whose numbers are one field, or a field each.
fn histogram(packed: bool) -> Bytes {
    let mut out = Vec::new();
    let point = |point: &mut Vec<u8>| {
        put_fixed64(point, 2, now());
        put_fixed64(point, 3, now());
        put_fixed64(point, 4, 3);
        put_f64(point, 5, 4.5);
        if packed {
            put_bytes(point, 6, &[1u64, 1, 1].map(u64::to_le_bytes).concat());
            put_bytes(point, 7, &[1f64, 2.0].map(f64::to_le_bytes).concat());
        } else {
            [1, 1, 1].iter().for_each(|count| put_fixed64(point, 6, *count));
            [1.0, 2.0].iter().for_each(|bound| put_f64(point, 7, *bound));
        }
    };
    put_message(&mut out, 1, |resource_metrics| {
        put_message(resource_metrics, 2, |scope_metrics| {
            put_message(scope_metrics, 2, |metric| {
                put_bytes(metric, 1, b"conformance.packed");
                put_message(metric, 9, |histogram| {
                    put_message(histogram, 1, point);
                    put_u64(histogram, 2, 2);
                });
            });
        });
    });
    out.into()
}

/// A span with an attribute of arrays within arrays.
fn nested(depth: usize) -> Bytes {
    let mut value = Vec::new();
    put_bytes(&mut value, 1, b"deep");
    for _ in 0..depth {
        let mut array = Vec::new();
        put_bytes(&mut array, 1, &value);
        value.clear();
        put_bytes(&mut value, 5, &array);
    }
    span(|span| {
        put_usual(span);
        put_message(span, 9, |attribute| {
            put_bytes(attribute, 1, b"k");
            put_bytes(attribute, 2, &value);
        });
    })
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::must(
        "http.wire.unknown-fields",
        EVOLUTION,
        "fields that are not known are skipped, in every message and of every wire type",
        NEWER,
        Ask(|| Post::protobuf(Traces, unknown_fields()), taken),
    ),
    Case::may(
        "http.wire.unknown-group",
        ENCODING,
        "a group, which proto3 has no more, is skipped like any field that is not known",
        "OTLP never had groups: no client is known that sends one",
        Ask(|| Post::protobuf(Traces, unknown_group()), taken),
    ),
    Case::must(
        "http.wire.descending",
        ENCODING,
        "fields are read in any order, from the last to the first",
        LOST,
        Ask(|| Post::protobuf(Traces, descending()), taken),
    ),
    Case::must(
        "http.wire.scalar-twice",
        ENCODING,
        "of a scalar field that comes twice the last counts",
        "requests that were put together from two are refused",
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_bytes(span, 5, b"first");
                        put_bytes(span, 1, &[0; 16]);
                        put_u64(span, 6, 3);
                        put_usual(span);
                        put_u64(span, 6, 2);
                    }),
                )
            },
            taken,
        ),
    ),
    Case::must(
        "http.wire.message-twice",
        ENCODING,
        "a singular message that comes twice is merged",
        "requests that were put together from two are refused",
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_message(span, 15, |status| put_bytes(status, 2, b"fine"));
                        put_message(span, 15, |status| put_u64(status, 3, 1));
                    }),
                )
            },
            taken,
        ),
    ),
    Case::must(
        "http.wire.oneof-twice",
        ENCODING,
        "of a value that is given twice the last counts",
        LOST,
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_message(span, 9, |attribute| {
                            put_bytes(attribute, 1, b"k");
                            put_message(attribute, 2, |value| {
                                put_u64(value, 3, 7);
                                put_bytes(value, 1, b"text");
                            });
                        });
                    }),
                )
            },
            taken,
        ),
    ),
    Case::must(
        "http.wire.packed",
        ENCODING,
        "repeated numbers are read where they are one field",
        LOST,
        Ask(|| Post::protobuf(Metrics, histogram(true)), taken),
    ),
    Case::must(
        "http.wire.unpacked",
        ENCODING,
        "repeated numbers are read where they are a field each",
        LOST,
        Ask(|| Post::protobuf(Metrics, histogram(false)), taken),
    ),
    Case::must(
        "http.wire.defaults-written",
        ENCODING,
        "values that are the default are read where they are written all the same",
        LOST,
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_bytes(span, 3, b"");
                        put_bytes(span, 4, b"");
                        put_u64(span, 6, 0);
                        put_u64(span, 10, 0);
                        put_fixed32(span, 16, 0);
                        put_message(span, 15, |_| ());
                    }),
                )
            },
            taken,
        ),
    ),
    Case::must(
        "http.wire.unknown-enum",
        EVOLUTION,
        "a value of an enum that is not known is taken: enums of proto3 are open",
        NEWER,
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_u64(span, 6, 4242);
                    }),
                )
            },
            taken,
        ),
    ),
    Case::should(
        "http.wire.long-varint",
        ENCODING,
        "a length that is written with more bytes than it needs is read",
        "writers that reserve room for a length are refused",
        Ask(
            || {
                let whole = request(Traces);
                // The one field of the request, its length in five bytes.
                let body = &whole[whole.iter().skip(1).position(|byte| *byte < 0x80).map_or(0, |at| at + 2)..];
                let len = body.len() as u32;
                let mut out = vec![0x0a];
                out.extend((0..4).map(|at| (len >> (7 * at)) as u8 | 0x80));
                out.push((len >> 28) as u8);
                out.extend_from_slice(body);
                Post::protobuf(Traces, out)
            },
            taken,
        ),
    ),
    Case::should(
        "http.wire.another-wire-type",
        ENCODING,
        "a field of another wire type is refused for good or skipped",
        "it is sent for ever",
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_u64(span, 5, 7);
                    }),
                )
            },
            taken_or_refused,
        ),
    ),
    Case::must(
        "http.wire.no-wire-type",
        "bad-data",
        "a tag of a wire type that there is none of is answered with 400",
        "it is sent for ever",
        Ask(|| Post::protobuf(Traces, &b"\x0f\x01"[..]), bad_data),
    ),
    Case::should(
        "http.wire.not-utf8",
        ENCODING,
        "a string that is not UTF-8 is answered with 400",
        "whoever reads it later fails, far from whoever wrote it",
        Ask(
            || {
                Post::protobuf(
                    Traces,
                    span(|span| {
                        put_usual(span);
                        put_bytes(span, 5, b"\xff\xfe");
                    }),
                )
            },
            bad_data,
        ),
    ),
    Case::should(
        "http.wire.nested",
        ENCODING,
        "values are read 32 arrays deep",
        LOST,
        Ask(|| Post::protobuf(Traces, nested(32)), taken),
    ),
    Case::should(
        "http.wire.nested-without-end",
        ENCODING,
        "a value 20,000 arrays deep ends neither the receiver nor other requests",
        SURVIVES,
        Http(|peer| {
            async {
                let deep = Post::protobuf(Traces, nested(20_000));
                taken_or_refused(&peer.post(&deep).await?)?;
                taken(&peer.post(&Post::protobuf(Traces, request(Traces))).await?)
            }
            .boxed()
        }),
    ),
];

/// The same rules where the message comes over gRPC.
pub const OVER_GRPC: &[Case] = &[
    Case::must(
        "grpc.wire.unknown-fields",
        EVOLUTION,
        "fields that are not known are skipped, in every message and of every wire type",
        NEWER,
        Invoke(|| Call::of(Traces, unknown_fields()), done),
    ),
    Case::must(
        "grpc.wire.descending",
        ENCODING,
        "fields are read in any order, from the last to the first",
        LOST,
        Invoke(|| Call::of(Traces, descending()), done),
    ),
    Case::must(
        "grpc.wire.truncated",
        "failures",
        "a message that ends within a value fails with a code that is not retried",
        "it is sent for ever",
        Invoke(
            || {
                let whole = request(Traces);
                Call::of(Traces, whole.slice(..whole.len() - 5))
            },
            failed,
        ),
    ),
    Case::must(
        "grpc.wire.no-protobuf",
        "failures",
        "bytes that are no protobuf fail with a code that is not retried",
        "it is sent for ever",
        Invoke(|| Call::of(Traces, &b"\xff\xff\xff\xff no protobuf"[..]), failed),
    ),
    Case::should(
        "grpc.wire.nested-without-end",
        ENCODING,
        "a value 20,000 arrays deep fails for good, if it does",
        SURVIVES,
        Invoke(|| Call::of(Traces, nested(20_000)), done_or_failed),
    ),
];
