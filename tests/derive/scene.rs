//! A deriver, a clock, and spans to send through it.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlight::derive::cost::{By, Figures};
use spanlight::derive::{Deriver, Fact, FactKind, Limits, Output, Settings};
use spanlight::event::{Event, Source, SourceKind, Timestamp, read_events};
use spanlight::measure::{Measure, Summary};
use spanlight::otlp::{Batch, Signal};

/// When every scene begins.
pub const BEGINNING: &str = "2026-11-21T12:00:00Z";

/// A deriver with a clock of its own.
pub struct Scene {
    pub deriver: Deriver,
    pub now: Timestamp,
    pub out: Output,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Scene {
        Scene::of(Settings { limits, ..Settings::default() })
    }

    pub fn of(settings: Settings) -> Scene {
        Scene { deriver: Deriver::new(settings), now: Timestamp::parse(BEGINNING).unwrap(), out: Output::default() }
    }

    /// Spans arrive in one request.
    pub fn arrive(&mut self, spans: &[Span]) -> &mut Scene {
        self.arrive_in("", spans)
    }

    /// Spans of an instrumentation scope arrive.
    pub fn arrive_in(&mut self, instrumentation: &str, spans: &[Span]) -> &mut Scene {
        self.deriver.spans(&batch_of(instrumentation, spans), self.now, &mut self.out);
        self
    }

    /// An event arrives.
    pub fn event(&mut self, event: Event) -> &mut Scene {
        self.deriver.event(event, self.now, &mut self.out);
        self
    }

    /// An event arrives as JSON.
    pub fn json(&mut self, json: &str) -> &mut Scene {
        for event in self.read(json) {
            self.event(event);
        }
        self
    }

    /// What an event as JSON means.
    pub fn read(&self, json: &str) -> Vec<Event> {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        read_events(json.as_bytes(), &source, self.now).remove(0).unwrap()
    }

    /// Time passes.
    pub fn pass(&mut self, millis: u64) -> &mut Scene {
        self.now = self.now.plus(Duration::from_millis(millis));
        self.deriver.tick(self.now, &mut self.out);
        self
    }

    /// The program stops.
    pub fn finish(&mut self) -> &mut Scene {
        self.deriver.finish(self.now, &mut self.out);
        self
    }

    pub fn totals(&self) -> Figures {
        rounded(self.deriver.ledger(By::Model, None).totals)
    }

    /// The names of the events that came out since the last time, in order.
    pub fn names(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out.events).iter().map(|event| event.name.as_str().to_owned()).collect()
    }

    /// How many events of each name came out.
    pub fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for event in &self.out.events {
            *tally.entry(event.name.as_str().to_owned()).or_default() += 1;
        }
        tally
    }

    /// The summary of the last day, of all facts and events that came out.
    pub fn summary(&self) -> Summary {
        self.measured().summary(Duration::from_secs(24 * 3600), self.now)
    }

    /// What counted all facts and events that came out.
    pub fn measured(&self) -> Measure {
        let mut measure = Measure::new(self.now);
        for index in &self.out.from_outside {
            measure.event(&self.out.events[*index], self.now);
        }
        self.out.facts.iter().for_each(|fact| measure.fact(fact, self.now));
        measure
    }

    /// What the facts that came out add up to.
    pub fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        self.out.facts.iter().for_each(|fact| counted.add(fact));
        counted
    }
}

/// Facts, added up as counters would.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    pub workflows: usize,
    pub agents: BTreeMap<String, usize>,
    pub tools: BTreeMap<String, usize>,
    /// Calls by agent.
    pub calls: BTreeMap<String, usize>,
    pub input_tokens: u64,
    /// Nanodollars, so that sums do not depend on their order.
    pub cost: i64,
    pub overcounted: i64,
    /// By reviewer and decision.
    pub decisions: BTreeMap<(&'static str, &'static str), usize>,
}

impl Counted {
    fn add(&mut self, fact: &Fact) {
        let agent = fact.agent.as_deref().unwrap_or("-").to_owned();
        match &fact.kind {
            FactKind::Workflow => self.workflows += 1,
            FactKind::Step | FactKind::TaskWork { .. } | FactKind::TaskCost { .. } | FactKind::Waited => {}
            FactKind::AgentRun { .. } => *self.agents.entry(agent).or_default() += 1,
            FactKind::ToolCall => {
                *self.tools.entry(fact.name.as_deref().unwrap_or("-").to_owned()).or_default() += 1;
            }
            FactKind::Call(call) => {
                *self.calls.entry(agent).or_default() += 1;
                self.input_tokens += call.usage.input.unwrap_or(0);
                self.cost += call.price.usd().map_or(0, nanodollars);
            }
            FactKind::Promoted { calls, usd } => {
                self.input_tokens += calls.usage.input.unwrap_or(0);
                self.cost += usd.map_or(0, nanodollars);
            }
            FactKind::Decision { reviewer, decision, .. } => {
                *self.decisions.entry((reviewer, decision.as_str())).or_default() += 1;
            }
            FactKind::Overcounted { usd } => self.overcounted += nanodollars(*usd),
        }
    }
}

/// The figures without what depends on the order in which fractions were added up.
pub fn rounded(figures: Figures) -> Figures {
    let cost_usd = figures.cost_usd.map(|usd| (usd * 1e9).round() / 1e9);
    Figures { cost_usd, ..figures }
}

/// US dollars as a number that can be compared.
pub fn nanodollars(usd: f64) -> i64 {
    (usd * 1e9).round() as i64
}

/// A batch of spans.
pub fn batch(spans: &[Span]) -> Batch {
    batch_of("", spans)
}

fn batch_of(instrumentation: &str, spans: &[Span]) -> Batch {
    let scope = InstrumentationScope { name: instrumentation.into(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: spans.to_vec(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    Batch::read(Signal::Traces, bytes.into()).unwrap().batch
}

/// A span of trace 1 that took from `start` to `end`, in milliseconds after the beginning.
pub fn span(id: u64, parent: u64, (start, end): (u64, u64), name: &str, attributes: Vec<KeyValue>) -> Span {
    let beginning = Timestamp::parse(BEGINNING).unwrap().as_micros() as u64 * 1000;
    Span {
        trace_id: vec![1; 16],
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
        name: name.into(),
        start_time_unix_nano: beginning + start * 1_000_000,
        end_time_unix_nano: beginning + end * 1_000_000,
        attributes,
        ..Span::default()
    }
}

pub fn workflow(id: u64, parent: u64, time: (u64, u64)) -> Span {
    let attributes = vec![text("gen_ai.operation.name", "invoke_workflow"), text("gen_ai.workflow.name", "support")];
    span(id, parent, time, "invoke_workflow support", attributes)
}

pub fn agent(id: u64, parent: u64, time: (u64, u64), name: &str) -> Span {
    let attributes = vec![text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", name)];
    span(id, parent, time, &format!("invoke_agent {name}"), attributes)
}

pub fn tool(id: u64, parent: u64, time: (u64, u64), name: &str) -> Span {
    let attributes = vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", name)];
    span(id, parent, time, &format!("execute_tool {name}"), attributes)
}

/// A call of gpt-4o: 2.50 dollars a million in, 10 out.
pub fn chat(id: u64, parent: u64, time: (u64, u64), input: i64, output: i64) -> Span {
    let mut attributes = bare_chat(id, parent, time).attributes;
    attributes.push(int("gen_ai.usage.input_tokens", input));
    attributes.push(int("gen_ai.usage.output_tokens", output));
    span(id, parent, time, "chat gpt-4o", attributes)
}

/// The same, whose span says nothing of tokens.
pub fn bare_chat(id: u64, parent: u64, time: (u64, u64)) -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o"),
    ];
    span(id, parent, time, "chat gpt-4o", attributes)
}

/// The span, failed.
pub fn failed(mut span: Span, kind: &str, message: &str) -> Span {
    span.status = Some(Status { code: 2, message: message.into() });
    span.attributes.push(text("error.type", kind));
    span
}

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
