//! Derivation per dialect: what a span of each recorded scenario costs, against reading the same bytes with prost.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/compare.rs"]
mod compare;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use compare::{Contender, compare};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanlight::derive::{Deriver, Output, Settings};
use spanlight::event::Timestamp;
use spanlight::otlp::json::from_json;
use spanlight::otlp::{Batch, Signal};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How often a scenario is repeated under other trace ids, so that no span comes twice while it is in memory.
const COPIES: usize = 500;

fn main() {
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let corpus = std::fs::read_dir("tests/data/corpus").expect("run from the root of the project");
    let mut scenarios: Vec<_> = corpus.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    scenarios.sort();
    for scenario in scenarios.iter().filter(|path| path.to_string_lossy().contains(&chosen)) {
        let requests = traces(scenario);
        let spans: usize = requests.iter().map(|bytes| batch(bytes.clone()).items()).sum();
        if spans > 0 {
            time(&scenario.file_name().unwrap().to_string_lossy(), &requests, spans);
        }
    }
}

fn time(name: &str, requests: &[Vec<u8>], spans: usize) {
    let copies: Vec<Vec<Batch>> = (0..COPIES).map(|copy| under_other_ids(requests, copy as u64)).collect();
    let mut next = (0..COPIES).cycle();
    let mut deriver = Deriver::new(Settings::default());
    let mut out = Output::default();
    let (mut now, mut json) = (Timestamp::parse("2026-11-21T12:00:00Z").unwrap(), Vec::new());
    let mut derive = |batches: &[Batch]| {
        json.clear();
        for batch in batches {
            now = now.plus(Duration::from_millis(20));
            deriver.spans(batch, now, &mut out);
            deriver.tick(now, &mut out);
        }
        out.facts.clear();
        out.events.drain(..).for_each(|event| event.write_json(&mut json));
        black_box(&json);
    };
    // The first calls read the price table.
    copies.iter().take(COPIES / 2).for_each(|batches| derive(batches));
    compare(
        name,
        "span",
        vec![
            Contender::new("prost: decode and drop", spans, || {
                for bytes in requests {
                    black_box(ExportTraceServiceRequest::decode(&bytes[..]).expect("valid"));
                }
            }),
            Contender::new("runs, cost, and events as JSON", spans, || derive(&copies[next.next().unwrap()])),
        ],
    );
}

/// The requests of traces, as protobuf.
fn traces(scenario: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(scenario).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let body = std::fs::read(path).ok()?;
        match name.split_once(".traces.")?.1 {
            "pb" => Some(body),
            "otlp.json" => from_json(&body, Signal::Traces.schema()).ok(),
            _ => None,
        }
    };
    files.iter().filter_map(read).collect()
}

/// The same requests with every trace id replaced.
fn under_other_ids(requests: &[Vec<u8>], copy: u64) -> Vec<Batch> {
    let ids: BTreeSet<Vec<u8>> = requests.iter().flat_map(|bytes| trace_ids(bytes)).collect();
    let rewrite = |bytes: &Vec<u8>| {
        let mut bytes = bytes.clone();
        for id in &ids {
            let other: Vec<u8> = id[..8].iter().copied().chain(copy.to_be_bytes()).collect();
            let mut from = 0;
            while let Some(at) = bytes[from..].windows(16).position(|window| window == id) {
                bytes[from + at..from + at + 16].copy_from_slice(&other);
                from += at + 16;
            }
        }
        batch(bytes)
    };
    requests.iter().map(rewrite).collect()
}

fn trace_ids(bytes: &[u8]) -> Vec<Vec<u8>> {
    let request = ExportTraceServiceRequest::decode(bytes).expect("valid");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| span.trace_id).filter(|id| id.len() == 16).collect()
}

fn batch(bytes: Vec<u8>) -> Batch {
    Batch::read(Signal::Traces, bytes.into()).expect("valid").batch
}
