//! The archive: what the journal holds comes to S3-compatible storage once, whatever is killed or away meanwhile, and can be
//! read there by others. The storage is moto, which looks at signatures; the other reader is DuckDB.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod front;
mod kill;
mod read;
mod storage;
#[path = "../collector/support/mod.rs"]
mod support;
mod upload;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};
use storage::Storage;
use support::client::post;
use support::collector::{Collector, Port};
use support::until;

/// A collector whose journal has segments of 134 KiB and room for eight, and archives them as it is told.
fn config(archive: &str) -> String {
    sized(archive, 0.001)
}

/// Likewise, with room for as many GiB.
fn sized(archive: &str, max_gib: f64) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\nconnectors: {{agent: }}\n\
         extensions:\n  web: {{endpoint: '127.0.0.1:0'}}\n  journal: {{retention: {{max_gib: {max_gib}}}}}\n  \
         archive: {{{archive}}}\n\
         service:\n  extensions: [web, journal, archive]\n  pipelines:\n    \
         logs: {{receivers: [otlp], exporters: [agent]}}\n"
    )
}

/// Says where a storage is, and who we are to it.
fn at(storage: &Storage) -> String {
    said(&storage.endpoint, &storage.key, &storage.secret)
}

fn said(endpoint: &str, key: &str, secret: &str) -> String {
    format!(
        "url: 's3://agents/of/team', endpoint: '{endpoint}', region: eu-central-1, access_key_id: '{key}', \
         secret_access_key: '{secret}'"
    )
}

/// Posts events with these numbers, which become their offsets since nothing more follows from them, each a second after the one before, beginning in the last minutes of a day.
async fn tell(collector: &Collector, numbers: Range<u64>) {
    const BEGIN: u64 = 23 * 3600 + 50 * 60;
    let web = collector.url(Port::Web).await;
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(20) {
        let event = |number: &u64| {
            let (day, second) = (20 + (BEGIN + number) / 86_400, (BEGIN + number) % 86_400);
            let time = format!("2026-11-{day}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
            let performance = json!({"input_tokens": number, "cost_usd": 0.25});
            let filler = format!("{number:x}").repeat(80);
            json!({"name": "llm.completed", "feature": "essays", "model": "gpt-4o", "timestamp": time, "execution_id": "run 7",
                   "performance": performance, "data": {"said": "„grüß' dich\"", "number": number, "filler": filler}})
            .to_string()
        };
        let lines: Vec<String> = some.iter().map(event).collect();
        assert_eq!(post(&format!("{web}/v1/events"), &[], lines.join("\n").into()).await.status, 200);
    }
    let last = format!("/api/v1/events?from={}", numbers.last().unwrap());
    until("the events", async || collector.json(&last).await["events"].get(0).map(drop)).await;
}

/// Up to which offset segments are sealed: what is below can be archived.
fn sealed(collector: &Collector) -> u64 {
    let names = std::fs::read_dir(collector.data("journal")).unwrap().map(|entry| entry.unwrap().path());
    let last = names.filter(|path| path.extension().is_some_and(|ending| ending == "log")).max().unwrap();
    let first = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    // A segment that was filled by one write is sealed before the next one is begun; its seal says where it ends.
    const TRAILER: usize = 24;
    let bytes = std::fs::read(&last).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    match bytes.len().checked_sub(TRAILER).filter(|at| bytes[*at..].starts_with(b"SPANSEAL")) {
        Some(trailer) => number(trailer - number(trailer + 8) as usize + 8),
        None => first,
    }
}

/// Waits until all that is sealed is archived, and the journal knows it; up to which offset.
async fn archived(collector: &Collector) -> u64 {
    until("the archive to have all", async || {
        let cursors = std::fs::read_to_string(collector.data("journal/cursors")).ok()?;
        let position = cursors.lines().find_map(|line| line.strip_suffix(" keeps archive"))?.parse().unwrap();
        (position == sealed(collector)).then_some(position)
    })
    .await
}

/// The offsets of an object, by its name.
fn offsets(name: &str) -> Range<u64> {
    let mut parts = name.strip_suffix(".parquet").unwrap().rsplit('-');
    let (end, start) = (parts.next().unwrap(), parts.next().unwrap());
    start.parse().unwrap()..end.parse().unwrap()
}

/// Fails unless objects have all offsets up to this one, none twice.
fn are_all(names: &[String], end: u64) {
    // A segment has an object for each of its days.
    let mut ranges: Vec<Range<u64>> = names.iter().map(|name| offsets(name)).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.dedup();
    let mut next = 0;
    for range in ranges {
        assert_eq!(range.start, next, "{names:?}");
        next = range.end;
    }
    assert_eq!(next, end, "{names:?}");
}

/// All files below a directory, by their paths in it.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A figure of the archive's own.
async fn figure(collector: &Collector, name: &str) -> f64 {
    collector.sample(&format!("spanlight_archive_{name}_total")).await.unwrap()
}

fn rows(answer: &Value) -> Vec<Value> {
    answer.as_array().unwrap().clone()
}
