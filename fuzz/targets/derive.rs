//! Derivation: any sequence of spans, events and passing time, with much room or little. It never panics, never keeps
//! more than it may, and as long as it has room it tells nothing twice.
#![no_main]

use std::collections::HashSet;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlight::derive::cost::By;
use spanlight::derive::{Deriver, Limits, Output, Settings};
use spanlight::event::{EventId, Source, SourceKind, Timestamp, read_events};
use spanlight::otlp::{Batch, Signal};

const LITTLE_ROOM: usize = 8;

#[derive(Arbitrary, Debug)]
struct Story {
    roomy: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Spans(Vec<SpanPlan>),
    /// A request as it stands.
    Bytes(Vec<u8>),
    Event(EventPlan),
    Json(String),
    Wait(u16),
    Tick,
    Look,
}

#[derive(Arbitrary, Debug)]
struct SpanPlan {
    trace: u8,
    id: u8,
    parent: u8,
    start: i8,
    lasts: u16,
    status: u8,
    attributes: Vec<(u8, Text, i64)>,
}

#[derive(Arbitrary, Debug)]
struct EventPlan {
    name: u8,
    trace: u8,
    span: u8,
    parent: u8,
    agent: Text,
    duration_ms: f64,
    cost_usd: f64,
    tokens: u64,
}

/// Words that mean something, numbers, and anything.
#[derive(Arbitrary, Debug)]
enum Text {
    Word(u8),
    Any(String),
}

const KEYS: &[&str] = &[
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.agent.name",
    "gen_ai.tool.name",
    "gen_ai.conversation.id",
    "error.type",
    "feature",
    "task_id",
    "service.name",
];
const WORDS: &[&str] =
    &["chat", "invoke_agent", "execute_tool", "invoke_workflow", "embeddings", "openai", "gpt-4o", "a", "b", ""];
const NAMES: &[&str] = &[
    "workflow.started",
    "workflow.completed",
    "step.started",
    "step.failed",
    "agent.started",
    "agent.progress",
    "agent.completed",
    "agent.canceled",
    "llm.started",
    "llm.completed",
    "tool.started",
    "tool.failed",
    "review.decided",
    "task.queued",
];

impl Text {
    fn text(&self) -> &str {
        match self {
            Text::Word(at) => WORDS[usize::from(*at) % WORDS.len()],
            Text::Any(text) => text,
        }
    }
}

impl SpanPlan {
    fn span(&self, now: Timestamp) -> Span {
        let start = (now.as_unix_nanos()).saturating_add_signed(i64::from(self.start) * 1_000_000_000);
        let attribute = |(key, text, number): &(u8, Text, i64)| {
            let key = KEYS[usize::from(*key) % KEYS.len()];
            let value = match key.contains("tokens") {
                true => Value::IntValue(*number),
                false => Value::StringValue(text.text().to_owned()),
            };
            KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
        };
        Span {
            // Few ids, so that spans meet; 0 is none.
            trace_id: vec![self.trace % 4; 16],
            span_id: vec![self.id % 16; 8],
            parent_span_id: if self.parent.is_multiple_of(3) { Vec::new() } else { vec![self.parent % 16; 8] },
            name: "work".into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(u64::from(self.lasts) * 1_000_000),
            attributes: self.attributes.iter().map(attribute).collect(),
            status: Some(Status { code: i32::from(self.status % 3), ..Status::default() }),
            ..Span::default()
        }
    }
}

impl EventPlan {
    fn json(&self) -> String {
        let name = NAMES[usize::from(self.name) % NAMES.len()];
        let id = |byte: u8, len: usize| format!("{byte:02x}").repeat(len);
        let number = |number: f64| if number.is_finite() { format!("{number:e}") } else { "null".into() };
        format!(
            r#"{{"name":"{name}","trace_id":"{}","span_id":"{}","parent_span_id":"{}","agent":{:?},"performance":{{"duration_ms":{},"cost_usd":{},"input_tokens":{}}}}}"#,
            id(self.trace % 3 + 1, 16),
            id(self.span % 15 + 1, 8),
            id(self.parent % 15 + 1, 8),
            self.agent.text(),
            number(self.duration_ms),
            number(self.cost_usd),
            self.tokens,
        )
    }
}

fuzz_target!(|story: Story| {
    let room = if story.roomy { Limits::default().spans } else { LITTLE_ROOM };
    let limits = Limits { spans: room, ..Limits::default() };
    let mut deriver = Deriver::new(Settings { limits, ..Settings::default() });
    let mut now = Timestamp::from_unix_seconds(1.7e9);
    let mut told = HashSet::new();
    for step in &story.steps {
        let mut out = Output::default();
        take(&mut deriver, step, &mut now, &mut out);
        let (spans, runs) = deriver.in_memory();
        assert!(spans <= room && runs <= spans, "{runs} runs with {spans} spans");
        look_at(&out, story.roomy.then_some(&mut told));
    }
    let mut out = Output::default();
    deriver.finish(now, &mut out);
    look_at(&out, story.roomy.then_some(&mut told));
    look(&deriver);
});

fn take(deriver: &mut Deriver, step: &Step, now: &mut Timestamp, out: &mut Output) {
    let mut request = |bytes: Vec<u8>, out: &mut Output| {
        if let Ok(received) = Batch::read(Signal::Traces, bytes.into()) {
            deriver.spans(&received.batch, *now, out);
        }
    };
    match step {
        Step::Spans(plans) => {
            let spans = plans.iter().map(|plan| plan.span(*now)).collect();
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            request(ExportTraceServiceRequest { resource_spans }.encode_to_vec(), out);
        }
        Step::Bytes(bytes) => request(bytes.clone(), out),
        Step::Event(plan) => events(deriver, &plan.json(), *now, out),
        Step::Json(json) => events(deriver, json, *now, out),
        Step::Wait(tenths) => *now = now.plus(Duration::from_millis(u64::from(*tenths) * 100)),
        Step::Tick => deriver.tick(*now, out),
        Step::Look => look(deriver),
    }
}

fn events(deriver: &mut Deriver, json: &str, now: Timestamp, out: &mut Output) {
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    for event in read_events(json.as_bytes(), &source, now).into_iter().flatten().flatten() {
        deriver.event(event, now, out);
    }
}

/// What came of a step: events that can be written and read, and that were not `told` before.
fn look_at(out: &Output, mut told: Option<&mut HashSet<EventId>>) {
    for event in &out.events {
        if let Some(told) = &mut told {
            assert!(told.insert(event.event_id), "told twice: {event:?}");
        }
        let json = event.to_json();
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let read = read_events(json.as_bytes(), &source, event.observed_at);
        assert!(matches!(read.as_slice(), [Ok(_)]), "{json}: {read:?}");
    }
    assert!(out.from_outside.iter().all(|at| *at < out.events.len()));
}

fn look(deriver: &Deriver) {
    deriver.ledger(By::parse("model").expect("there is such a dimension"), None);
    for run in deriver.summaries(|_| true) {
        deriver.tree(&run.id).expect("a run that is listed can be shown");
        deriver.calls(&run.id).expect("a run that is listed has a ledger");
    }
    deriver.totals();
}
