//! WebSockets: no message and no URL makes the reader panic, and what cannot be read is complained of in words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanlight::web::fuzzing::{message, opening};

fuzz_target!(|text: &str| {
    let complained = [message(text), opening("/ws", text), opening("/", text)];
    for complaint in complained.into_iter().filter_map(Result::err) {
        assert!(!complaint.is_empty(), "refused without a word");
    }
});
