//! The wire module against prost: the same values or the same rejection. The first byte chooses the signal.
#![no_main]

#[path = "../../tests/wire/oracle.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod oracle;

use libfuzzer_sys::fuzz_target;
use spanlight::otlp::Signal;

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % Signal::ALL.len()];
    let judgement = oracle::judge(signal, bytes);
    assert!(judgement.agrees(), "{judgement:?}");
});
