//! JSON events: no body makes the reader panic, and every event that it takes is the same when it is written and
//! read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanlight::event::{Event, Source, SourceKind, Timestamp, read_events};

fuzz_target!(|data: &[u8]| {
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let now = Timestamp::from_unix_seconds(1.7e9);
    let read = |body: &[u8]| read_events(body, &source, now);
    for taken in read(data).into_iter().flatten() {
        for event in &taken {
            let json = event.to_json();
            let again: Vec<Vec<Event>> = read(json.as_bytes())
                .into_iter()
                .map(|read| read.unwrap_or_else(|error| panic!("{error}: {json}")))
                .collect();
            let [again] = again.as_slice() else { panic!("one event became {}: {json}", again.len()) };
            assert_eq!(again.first(), Some(event), "{json}");
            // An event that says two things says the same two again: their ids tell that they are known.
            assert!(again.iter().all(|event| taken.contains(event)), "{json} became {again:?} of {taken:?}");
        }
    }
});
