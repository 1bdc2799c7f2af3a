//! The wire module against prost: the same values or the same rejection, on arbitrary and on mutated input.
#![allow(clippy::unwrap_used, clippy::panic)]

mod arbitrary;
mod oracle;
mod scramble;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use spanlight::otlp::edit::Edit;
use spanlight::otlp::json::{from_json, to_json};
use spanlight::otlp::{Batch, Limit, Signal, check, normalise, wire};

use arbitrary::{logs, metrics, traces};
use oracle::{Judgement, judge, prost_value};
use scramble::scramble;

/// Requests of all signals, as an encoder would write them.
fn requests() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop_oneof![
        traces().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        logs().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
        metrics().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_prost_writes_is_read_alike((signal, bytes) in requests()) {
        prop_assert_eq!(judge(signal, &bytes), Judgement::SameValues);
    }

    #[test]
    fn fields_in_any_order_unknown_unpacked_and_in_parts_are_read_alike((signal, bytes) in requests(), seed: u64) {
        let scrambled = scramble(&bytes, signal.schema(), seed);
        prop_assert_eq!(prost_value(signal, &scrambled), prost_value(signal, &bytes), "the scrambler keeps the values");
        prop_assert_eq!(judge(signal, &scrambled), Judgement::SameValues);
    }

    #[test]
    fn mutated_requests_get_the_same_verdict(
        (signal, mut bytes) in requests(),
        mutations in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0u8..4), 1..4),
    ) {
        for (at, byte, how) in mutations {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        let judgement = judge(signal, &bytes);
            prop_assert!(judgement.agrees(), "{judgement:?}");
    }

    #[test]
    fn arbitrary_bytes_get_the_same_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            let judgement = judge(signal, &bytes);
            prop_assert!(judgement.agrees(), "{judgement:?}");
        }
    }

    #[test]
    fn normalising_keeps_the_values((signal, bytes) in requests(), seed: u64) {
        let scrambled = scramble(&bytes, signal.schema(), seed);
        let normal = normalise(&scrambled, signal.schema());
        prop_assert_eq!(prost_value(signal, &normal), prost_value(signal, &bytes));
        prop_assert!(!check(&normal, signal.schema()).unwrap().to_normalise);
    }

    #[test]
    fn merging_is_concatenation((signal, bytes) in requests(), times in 1usize..4) {
        let batch = Batch::read(signal, bytes.into()).unwrap().batch;
        let merged = Batch::merge(&vec![batch.clone(); times]).unwrap();
        prop_assert_eq!(merged.items(), batch.items() * times);
        prop_assert_eq!(&merged.bytes()[..], &batch.bytes().repeat(times)[..]);
        let read_again = Batch::read(signal, merged.bytes().clone()).unwrap();
        prop_assert_eq!(read_again.batch.items(), merged.items());
    }

    #[test]
    fn splitting_keeps_every_record_in_order((signal, bytes) in requests(), max_bytes in 40usize..2000, max_items in 1usize..10) {
        let batch = Batch::read(signal, bytes.into()).unwrap().batch;
        let limit = Limit { bytes: max_bytes, items: max_items };
        let pieces = batch.split(limit);
        let records = |batch: &Batch| -> Vec<(Vec<u8>, String, Vec<u8>)> {
            let groups = batch.groups();
            groups.flat_map(|g| g.records().map(move |r| (g.resource.raw().to_vec(), g.scope.name.to_string(), r.to_vec())))
                .collect()
        };
        let after: Vec<_> = pieces.iter().flat_map(&records).collect();
        prop_assert_eq!(after, records(&batch));
        prop_assert_eq!(pieces.iter().map(Batch::items).sum::<usize>(), batch.items());
        for piece in &pieces {
            let counted = check(piece.bytes(), signal.schema()).unwrap().items;
            prop_assert_eq!(counted, piece.items());
            let single = records(piece).len() <= 1;
            prop_assert!(single || piece.items() <= max_items, "{} items in one piece", piece.items());
            prop_assert!(single || piece.bytes().len() <= max_bytes, "{} bytes in one piece", piece.bytes().len());
        }
    }

    #[test]
    fn an_edit_that_keeps_everything_copies_nothing((signal, bytes) in requests()) {
        let batch = Batch::read(signal, bytes.into()).unwrap().batch;
        prop_assert!(batch.edit(|_, _| Edit::Keep).is_none());
    }

    #[test]
    fn an_edit_touches_nothing_but_its_records((signal, bytes) in requests(), seed: u64) {
        let scrambled = scramble(&bytes, signal.schema(), seed);
        let batch = Batch::read(signal, scrambled.into()).unwrap().batch;
        let records: Vec<Vec<u8>> = batch.groups().flat_map(|g| g.records().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
        let mut index = 0;
        // Every second record is replaced by itself: the result must be the very same bytes.
        let edited = batch.edit(|_, record| {
            index += 1;
            if index % 2 == 0 { Edit::Replace(record.to_vec()) } else { Edit::Keep }
        });
        if records.len() > 1 {
            let edited = edited.unwrap();
            prop_assert_eq!(prost_value(signal, edited.bytes()), prost_value(signal, batch.bytes()));
        }
        let mut index = 0;
        let thinned = batch.edit(|_, _| {
            index += 1;
            if index % 2 == 0 { Edit::Drop } else { Edit::Keep }
        }).unwrap_or(batch);
        let left: Vec<Vec<u8>> = thinned.groups().flat_map(|g| g.records().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
        let expected: Vec<Vec<u8>> = records.into_iter().step_by(2).collect();
        prop_assert_eq!(left, expected);
        prop_assert_eq!(check(thinned.bytes(), signal.schema()).unwrap().items, thinned.items());
    }

    #[test]
    fn json_there_and_back_keeps_the_values((signal, bytes) in requests()) {
        let json = to_json(&bytes, signal.schema());
        let back = from_json(json.as_bytes(), signal.schema()).unwrap();
        prop_assert_eq!(prost_value(signal, &back), prost_value(signal, &bytes));
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&json).unwrap()).unwrap();
        let back = from_json(pretty.as_bytes(), signal.schema()).unwrap();
        prop_assert_eq!(prost_value(signal, &back), prost_value(signal, &bytes), "pretty-printed");
    }

    #[test]
    fn json_that_the_sdk_writes_is_understood(request in traces()) {
        let json = serde_json::to_vec(&request).unwrap();
        let ours = from_json(&json, Signal::Traces.schema()).unwrap();
        prop_assert_eq!(prost_value(Signal::Traces, &ours), prost_value(Signal::Traces, &request.encode_to_vec()));
    }

    #[test]
    fn no_text_makes_the_transcoder_panic(text in "[\\[\\]{}\",:a-zA-Z0-9 .-]{0,60}") {
        for signal in Signal::ALL {
            if let Ok(bytes) = from_json(text.as_bytes(), signal.schema()) {
                let judgement = judge(signal, &bytes);
            prop_assert!(judgement.agrees(), "{judgement:?}");
            }
        }
    }
}

#[test]
fn nesting_is_bounded_as_prost_bounds_it() {
    for depth in 80..110 {
        let mut value = vec![];
        for _ in 0..depth {
            let mut outer = Vec::new();
            // An AnyValue in an ArrayValue and an ArrayValue in an AnyValue, in turn.
            wire::put_bytes(&mut outer, 1, &value);
            value = outer;
        }
        judge_depth(&value);
    }
}

fn judge_depth(resource_spans: &[u8]) {
    let mut bytes = Vec::new();
    wire::put_message(&mut bytes, 1, |out| {
        wire::put_message(out, 1, |out| {
            wire::put_message(out, 1, |out| wire::put_message(out, 2, |out| nest(out, resource_spans.len() / 2)))
        })
    });
    assert!(judge(Signal::Traces, &bytes).agrees());
}

/// `levels` arrays within one another.
fn nest(out: &mut Vec<u8>, levels: usize) {
    if levels > 0 {
        wire::put_message(out, 5, |out| wire::put_message(out, 1, |out| nest(out, levels - 1)));
    }
}

#[test]
fn deep_nesting_and_long_lists_take_linear_time() {
    // Megabytes of empty nested messages: a quadratic reader would not come back within the test's patience.
    let mut bytes = Vec::new();
    wire::put_message(&mut bytes, 1, |out| {
        wire::put_message(out, 1, |out| {
            for _ in 0..500_000 {
                wire::put_bytes(out, 1, &[]);
            }
        })
    });
    let received = Batch::read(Signal::Traces, bytes.into()).unwrap();
    assert_eq!(received.batch.items(), 0);
}

#[test]
fn spans_with_invalid_ids_are_left_out_and_counted() {
    let mut request = arbitrary::one_span();
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    let mut bad = spans[0].clone();
    bad.trace_id = vec![0; 16];
    spans.push(bad.clone());
    bad.trace_id = vec![1; 5];
    spans.push(bad);
    let received = Batch::read(Signal::Traces, Bytes::from(request.encode_to_vec())).unwrap();
    assert_eq!((received.batch.items(), received.rejected), (1, 2));
    assert_eq!(
        prost_value(Signal::Traces, received.batch.bytes()),
        prost_value(Signal::Traces, &arbitrary::one_span().encode_to_vec())
    );
}

#[test]
fn json_errors_name_the_place() {
    let place = |json: &str| from_json(json.as_bytes(), Signal::Traces.schema()).unwrap_err().to_string();
    let error = place(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"traceId":"xyz"}]}]}]}"#);
    assert!(error.starts_with("resourceSpans[0].scopeSpans[0].spans[1].traceId: invalid value: string \"xyz\", expected hexadecimal digits"), "{error}");
    let error = place(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#);
    assert!(error.contains("spans[0].kind") && error.contains("an integer, or the name of a kind"), "{error}");
    let json = |kind: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"kind":{kind}}}]}}]}}]}}"#);
    let read = |kind: &str| from_json(json(kind).as_bytes(), Signal::Traces.schema()).unwrap();
    assert_eq!(read(r#""SPAN_KIND_SERVER""#), read("2"));
    let error = place(r#"{"resourceSpans":{}}"#);
    assert!(error.contains("expected an array"), "{error}");
    let error = place("{\n\"resourceSpans\": [");
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn json_forms_that_the_mapping_allows() {
    let json = br#"{"resource_spans":[{"resource":null,"scopeSpans":[{"spans":[{
        "traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"0102030405060708","unknown":{"a":[1,{"b":null}]},
        "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000000001,"kind":3,"flags":257,
        "attributes":[{"key":"i","value":{"intValue":"-9223372036854775808"}},{"key":"j","value":{"intValue":1e3}},
            {"key":"d","value":{"doubleValue":"NaN"}},{"key":"e","value":{"doubleValue":3}},
            {"key":"b","value":{"bytesValue":"-_8"}},{"key":"n","value":null}],"status":{"code":2}}]}]}]}"#;
    let bytes = from_json(json, Signal::Traces.schema()).unwrap();
    let batch = Batch::read(Signal::Traces, bytes.into()).unwrap().batch;
    let span = batch.groups().next().unwrap().spans().next().unwrap();
    assert_eq!(span.trace_id, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_700_000_000_000_000_000, 1_700_000_000_000_000_001)
    );
    let attributes: Vec<String> = span.attributes().map(|a| format!("{}={:?}", a.key, a.value)).collect();
    assert_eq!(
        attributes,
        [
            "i=Int(-9223372036854775808)",
            "j=Int(1000)",
            "d=Double(NaN)",
            "e=Double(3.0)",
            "b=Bytes([251, 255])",
            "n=Empty",
        ]
    );
}
