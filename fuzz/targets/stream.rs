//! Entries of streams of Redis: no fields make the reader panic, and every event that it takes can be written and read
//! again. Lines of an input are in turn names and values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanlight::event::{Source, SourceKind, Timestamp, read_events, read_stream_entry};

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let fields = lines.chunks_exact(2).filter_map(|pair| Some((std::str::from_utf8(pair[0]).ok()?, pair[1])));
    let source = Source { kind: SourceKind::Redis, dialect: None, instance: None, service: None };
    let now = Timestamp::from_unix_seconds(1.7e9);
    for event in read_stream_entry(fields, &source, now).into_iter().flatten() {
        let json = event.to_json();
        let again = read_events(json.as_bytes(), &source, now);
        let read = again.into_iter().next().expect("an event is one").unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(read.first(), Some(&event), "{json}");
    }
});
