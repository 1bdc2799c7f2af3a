//! OTLP/JSON: no text makes the transcoder panic, and what it accepts means to prost what it means to us, also
//! after another way there and back. The first byte chooses the signal.
#![no_main]

#[path = "../../tests/wire/oracle.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod oracle;

use libfuzzer_sys::fuzz_target;
use oracle::{judge, prost_value};
use spanlight::otlp::json::{from_json, to_json};
use spanlight::otlp::{Signal, normalise};

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % Signal::ALL.len()];
    let schema = signal.schema();
    let Ok(bytes) = from_json(text, schema) else { return };
    let judgement = judge(signal, &bytes);
    assert!(judgement.agrees(), "{judgement:?}");
    // What is nested too deep for protobuf was refused by both.
    let Some(value) = prost_value(signal, &bytes) else { return };
    // JSON may name a member twice, which is to protobuf a message in two parts.
    let normal = normalise(&bytes, schema);
    assert_eq!(prost_value(signal, &normal).as_ref(), Some(&value));
    let json = to_json(&normal, schema);
    let back = from_json(json.as_bytes(), schema).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(prost_value(signal, &back), Some(value), "{json}");
    assert_eq!(to_json(&back, schema), json);
});
