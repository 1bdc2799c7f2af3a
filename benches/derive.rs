//! Derivation: runs, cost and metrics from spans, without and with events, per span and against reading the
//! same bytes with prost.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/agents.rs"]
mod agents;
#[path = "support/compare.rs"]
mod compare;

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use compare::{Contender, compare};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message;
use spanlight::derive::{Deriver, Output, Settings};
use spanlight::event::Timestamp;
use spanlight::measure::Measure;
use spanlight::otlp::{Batch, Signal};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A deriver in the state that it has after a while at 400,000 spans a second.
struct Rig {
    deriver: Deriver,
    measure: Measure,
    out: Output,
    now: Timestamp,
    json: Vec<u8>,
}

impl Rig {
    fn new(wants_events: bool) -> RefCell<Rig> {
        let now = Timestamp::parse("2026-09-21T14:00:00Z").expect("valid");
        let settings = Settings { wants_events, ..Settings::default() };
        RefCell::new(Rig {
            deriver: Deriver::new(settings),
            measure: Measure::new(now),
            out: Output::default(),
            now,
            json: Vec::new(),
        })
    }

    #[inline(never)]
    fn take(&mut self, batch: &Batch, write: bool) {
        self.now = self.now.plus(Duration::from_micros(2500));
        self.deriver.spans(batch, self.now, &mut self.out);
        self.deriver.tick(self.now, &mut self.out);
        for fact in self.out.facts.drain(..) {
            self.measure.fact(&fact, self.now);
        }
        self.json.clear();
        for event in self.out.events.drain(..) {
            if write {
                event.write_json(&mut self.json);
            }
        }
        black_box(&self.json);
    }
}

fn main() {
    match std::env::args().skip_while(|argument| argument != "--only").nth(1).as_deref() {
        Some("agents") => many_agents(),
        Some("prost") => over_and_over(|request, _| {
            black_box(ExportTraceServiceRequest::decode(&request.bytes()[..]).expect("valid"));
        }),
        Some("runs") => over_and_over(|request, rig| rig.take(request, false)),
        Some("events") => over_and_over(|request, rig| rig.take(request, true)),
        _ => {
            whole_requests();
            long_runs();
            many_agents();
        }
    }
}

/// One contender alone, for profilers, for counting instructions, and where others work on the machine as well: `-- --only
/// prost`, `runs` or `events`, and how many times.
fn over_and_over(take: impl Fn(&Batch, &mut Rig)) {
    const REQUESTS: u64 = 150;
    let wants_events = std::env::args().any(|argument| argument == "events");
    let rig = Rig::new(wants_events);
    let requests: Vec<Batch> = (0..REQUESTS)
        .map(|seed| Batch::read(Signal::Traces, agents::request(1000, seed, 0).into()).expect("valid").batch)
        .collect();
    // On Linux the nanoseconds that this process has run.
    let ran = || -> Option<f64> {
        std::fs::read_to_string("/proc/self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
    };
    let rounds: u64 = std::env::args().next_back().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    for round in 0..=rounds {
        let before = ran();
        requests.iter().for_each(|request| take(request, &mut rig.borrow_mut()));
        if let (Some(before), Some(after), 1..) = (before, ran(), round) {
            println!("{:.1} ns/span", (after - before) / (REQUESTS * 1000) as f64);
        }
    }
}

/// Requests that hold 100 runs each.
fn whole_requests() {
    const SPANS: usize = 1000;
    // Every request has traces of its own, as on the wire. By the time one comes again, its runs have left
    // memory, which holds 200 requests.
    const REQUESTS: usize = 500;
    let requests: Vec<Batch> = (0..REQUESTS as u64)
        .map(|seed| Batch::read(Signal::Traces, agents::request(SPANS, seed, 0).into()).expect("valid").batch)
        .collect();
    let bytes: Vec<Bytes> = requests.iter().map(|batch| batch.bytes().clone()).collect();
    let next = RefCell::new(0);
    let request = || {
        let mut next = next.borrow_mut();
        *next = (*next + 1) % REQUESTS;
        *next
    };
    let (plain, telling) = (Rig::new(false), Rig::new(true));
    // Memory grows until it holds what it may: only from then on is a request like any other.
    for request in &requests {
        plain.borrow_mut().take(request, false);
        telling.borrow_mut().take(request, true);
    }
    compare(
        "deriving from requests of 1000 spans",
        "span",
        vec![
            Contender::new("prost: decode and drop", SPANS, || {
                black_box(ExportTraceServiceRequest::decode(&bytes[request()][..]).expect("valid"));
            }),
            Contender::new("runs, cost and metrics", SPANS, || plain.borrow_mut().take(&requests[request()], false)),
            Contender::new("and events, as JSON", SPANS, || telling.borrow_mut().take(&requests[request()], true)),
        ],
    );
}

/// Requests of ten spans: runs of their own, and parts of one run that goes on and on.
fn long_runs() {
    const SPANS: usize = 10;
    const REQUESTS: u64 = 20_000;
    let requests = |in_one_trace: bool| -> Vec<Batch> {
        let request = |seed| {
            let bytes = agents::request(SPANS, seed, 0);
            if in_one_trace { Bytes::from(part_of_one_trace(&bytes, seed)) } else { bytes.into() }
        };
        (1..=REQUESTS).map(|seed| Batch::read(Signal::Traces, request(seed)).expect("valid").batch).collect()
    };
    let (short, long) = (requests(false), requests(true));
    compare(
        "deriving from requests of 10 spans, with events as JSON",
        "span",
        vec![in_turn("a run of its own each", SPANS, short), in_turn("all of one long run", SPANS, long)],
    );
}

/// Requests of ten spans with two agents, one of which hands the work on: runs of their own, and a run of 5,000 agents.
fn many_agents() {
    const SPANS: usize = 10;
    const REQUESTS: u64 = 2500;
    let all = |name: &'static str, in_one_trace: bool| {
        let request = |seed| {
            let bytes = passing_on(&agents::request(SPANS, seed, 0), seed);
            Bytes::from(if in_one_trace { part_of_one_trace(&bytes, seed) } else { bytes })
        };
        let read = |seed| Batch::read(Signal::Traces, request(seed)).expect("valid").batch;
        let requests: Vec<Batch> = (1..=REQUESTS).map(read).collect();
        Contender::new(name, SPANS * REQUESTS as usize, move || {
            let rig = Rig::new(true);
            requests.iter().for_each(|request| rig.borrow_mut().take(request, true));
        })
    };
    compare(
        "deriving from agents that pass work on, with events as JSON",
        "span",
        vec![all("two to a run", false), all("5,000 to a run", true)],
    );
}

/// Takes requests in turn, for the first time beforehand.
fn in_turn(name: &'static str, spans: usize, requests: Vec<Batch>) -> Contender<'static> {
    let rig = Rig::new(true);
    requests.iter().for_each(|request| rig.borrow_mut().take(request, true));
    let mut next = 0;
    Contender::new(name, spans, move || {
        next = (next + 1) % requests.len();
        rig.borrow_mut().take(&requests[next], true);
    })
}

/// The same spans with agents of names of their own, which hand the work on by tools.
fn passing_on(request: &[u8], number: u64) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(request).expect("valid");
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    let attributes = scopes.flat_map(|scope| &mut scope.spans).flat_map(|span| &mut span.attributes);
    for value in attributes.filter_map(|attribute| attribute.value.as_mut()) {
        let Some(any_value::Value::StringValue(text)) = &mut value.value else { continue };
        match text.as_str() {
            "planner" | "researcher" => *text = format!("{text} {number}"),
            "search_orders" => *text = format!("transfer_to_planner_{}", number + 1),
            _ => {}
        }
    }
    request.encode_to_vec()
}

/// The same spans under another trace id, below a root that never ends.
fn part_of_one_trace(request: &[u8], seed: u64) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(request).expect("valid");
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        let id = |id: &[u8]| [&(seed as u32).to_be_bytes(), &id[id.len().saturating_sub(4)..]].concat();
        span.trace_id = vec![7; 16];
        span.span_id = id(&span.span_id);
        span.parent_span_id = if span.parent_span_id.is_empty() { vec![7; 8] } else { id(&span.parent_span_id) };
    }
    request.encode_to_vec()
}
