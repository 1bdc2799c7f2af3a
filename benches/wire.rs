//! The wire: the check at the door, a walk over every attribute, and merging, against prost on the same bytes.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/agents.rs"]
mod agents;
#[path = "support/compare.rs"]
mod compare;

use std::hint::black_box;

use bytes::Bytes;
use compare::{Contender, compare};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanlight::otlp::view::{AnyValue, Span};
use spanlight::otlp::{Batch, Signal, check};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    const SPANS: usize = 1000;
    let bytes = Bytes::from(agents::request(SPANS, 1, 0));
    println!("{} bytes/span", bytes.len() / SPANS);
    let batch = Batch::read(Signal::Traces, bytes.clone()).expect("valid").batch;
    compare(
        "reading 1000 spans",
        "span",
        vec![
            Contender::new("prost: decode and drop", SPANS, || {
                black_box(ExportTraceServiceRequest::decode(black_box(&bytes[..])).expect("valid"));
            }),
            Contender::new("check at the door", SPANS, || {
                black_box(check(black_box(&bytes), Signal::Traces.schema()).expect("valid"));
            }),
            Contender::new("view walk, every attribute, tokens summed", SPANS, || {
                black_box(walk(black_box(&batch)));
            }),
        ],
    );
    let small: Vec<Batch> = (0..100)
        .map(|seed| Batch::read(Signal::Traces, agents::request(10, seed, 0).into()).expect("valid").batch)
        .collect();
    compare(
        "merging 100 requests of 10 spans",
        "span",
        vec![
            Contender::new("prost: decode, extend, encode", SPANS, || {
                let mut merged = ExportTraceServiceRequest::default();
                for batch in &small {
                    let request = ExportTraceServiceRequest::decode(&batch.bytes()[..]).expect("valid");
                    merged.resource_spans.extend(request.resource_spans);
                }
                black_box(merged.encode_to_vec());
            }),
            Contender::new("concatenation", SPANS, || {
                black_box(Batch::merge(black_box(&small)));
            }),
        ],
    );
}

fn walk(batch: &Batch) -> (u64, usize) {
    let (mut tokens, mut attributes) = (0, 0);
    for group in batch.groups() {
        for record in group.records() {
            Span::read_with(record, |_, attribute| {
                attributes += 1;
                if let AnyValue::Int(number) = attribute.value
                    && attribute.key.as_bytes().starts_with(b"gen_ai.usage.")
                {
                    tokens += number as u64;
                }
            });
        }
    }
    (tokens, attributes)
}
