//! What is sent: requests of each signal that use every field, and the parts that cases are put together from.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::otlp::Signal;
use crate::otlp::json::from_json;
use crate::otlp::wire::{put_bytes, put_fixed64, put_message};

/// Every span's trace, where its id is not the point.
pub const TRACE: [u8; 16] = *b"\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c";
/// A span's id, where it is not the point.
pub const SPAN: [u8; 8] = *b"\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74";

/// A request of a signal that uses every field, as JSON.
pub fn json(signal: Signal) -> String {
    let text = match signal {
        Signal::Traces => include_str!("traces.json"),
        Signal::Metrics => include_str!("metrics.json"),
        Signal::Logs => include_str!("logs.json"),
    };
    text.replace("$NOW", &now().to_string())
}

/// The same as protobuf.
pub fn request(signal: Signal) -> Bytes {
    // The samples are read by the tests: they are in order.
    from_json(json(signal).as_bytes(), signal.schema()).unwrap_or_default().into()
}

/// A request of one span in JSON with the members that every span has, and these.
pub fn span_json(members: &str) -> String {
    let now = now();
    bare_span_json(&format!(
        r#""traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "conformance", "kind": 1,
        "startTimeUnixNano": "{now}", "endTimeUnixNano": "{now}"{}{members}"#,
        if members.is_empty() { "" } else { ", " }
    ))
}

/// A request of one span in JSON with only these members. `$NOW` among them is the time.
pub fn bare_span_json(members: &str) -> String {
    let members = members.replace("$NOW", &now().to_string());
    format!(
        r#"{{"resourceSpans": [{{"resource": {{"attributes": [
        {{"key": "service.name", "value": {{"stringValue": "otlp-conformance"}}}}]}},
        "scopeSpans": [{{"scope": {{"name": "conformance"}}, "spans": [{{{members}}}]}}]}}]}}"#
    )
}

/// A request of one span in JSON with an attribute of this value.
pub fn value_json(value: &str) -> String {
    span_json(&format!(r#""attributes": [{{"key": "k", "value": {value}}}]"#))
}

/// A request of metrics in JSON with one metric of these members.
pub fn metric_json(members: &str) -> String {
    let members = members.replace("$NOW", &now().to_string());
    format!(
        r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "conformance.form", {members}}}]}}]}}]}}"#
    )
}

/// A request of one span, of what `write` appends to the message.
pub fn span(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    put_message(&mut out, 1, |resource_spans| {
        put_message(resource_spans, 2, |scope_spans| put_message(scope_spans, 2, write));
    });
    out.into()
}

/// The fields that every span has.
pub fn put_usual(span: &mut Vec<u8>) {
    put_bytes(span, 1, &TRACE);
    put_bytes(span, 2, &SPAN);
    put_named(span);
}

/// The same without ids.
pub fn put_named(span: &mut Vec<u8>) {
    put_bytes(span, 5, b"conformance");
    put_fixed64(span, 7, now());
    put_fixed64(span, 8, now());
}

/// A request of two spans, the second with these ids.
pub fn with_ids(trace_id: &[u8], span_id: &[u8]) -> Bytes {
    let mut out = Vec::new();
    put_message(&mut out, 1, |resource_spans| {
        put_message(resource_spans, 2, |scope_spans| {
            put_message(scope_spans, 2, put_usual);
            put_message(scope_spans, 2, |span| {
                put_bytes(span, 1, trace_id);
                put_bytes(span, 2, span_id);
                put_named(span);
            });
        });
    });
    out.into()
}

/// A request of one span and, in a field that nobody knows, so many bytes.
pub fn padded(len: usize) -> Vec<u8> {
    let mut out = padding_head(len);
    out.resize(out.len() + len, 0);
    out
}

/// The same up to the bytes, which are zeros.
pub fn padding_head(len: usize) -> Vec<u8> {
    let mut out = span(put_usual).to_vec();
    crate::otlp::wire::put_varint(&mut out, PADDING << 3 | 2);
    crate::otlp::wire::put_varint(&mut out, len as u64);
    out
}

/// A field that is none of OTLP's.
const PADDING: u64 = 1000;

/// An archive of a request that is `len` bytes and a few when it is unpacked.
pub fn bomb(len: usize) -> Bytes {
    const PIECE: usize = 1 << 20;
    let zeros = vec![0; PIECE];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into memory does not fail.
    encoder.write_all(&padding_head(len)).unwrap_or_default();
    for _ in 0..len / PIECE {
        encoder.write_all(&zeros).unwrap_or_default();
    }
    encoder.finish().unwrap_or_default().into()
}

/// In gzip's format.
pub fn gzip(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap_or_default();
    encoder.finish().unwrap_or_default().into()
}

/// In zlib's format, which HTTP calls deflate.
pub fn deflate(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap_or_default();
    encoder.finish().unwrap_or_default().into()
}

/// In Zstandard's format.
pub fn zstd(data: &[u8]) -> Bytes {
    ::zstd::encode_all(data, 1).unwrap_or_default().into()
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Batch;

    #[test]
    fn samples_are_requests() {
        for (signal, items) in [(Signal::Traces, 2), (Signal::Metrics, 6), (Signal::Logs, 2)] {
            let received = Batch::read(signal, request(signal)).unwrap();
            assert_eq!((received.batch.items(), received.rejected), (items, 0), "{signal}");
        }
        for body in [
            span(put_usual),
            padded(1000).into(),
            from_json(span_json("").as_bytes(), Signal::Traces.schema()).unwrap().into(),
        ] {
            assert_eq!(Batch::read(Signal::Traces, body).unwrap().batch.items(), 1);
        }
        let mixed = Batch::read(Signal::Traces, with_ids(&[0; 16], &SPAN)).unwrap();
        assert_eq!((mixed.batch.items(), mixed.rejected), (1, 1));
    }
}
