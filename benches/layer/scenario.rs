//! The scenarios: who looks at the spans, and what the spans are.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use fastrace::collector::{Config, Reporter, SpanRecord};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use spanlight::Builder;
use spanlight::{SpanExt, Telemetry, Usage};
use tracing::field::Empty;
use tracing::{Subscriber, info_span};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::burst::{self, Measured};

/// One line of the table.
pub struct Scenario {
    pub name: &'static str,
    /// What it is compared with.
    pub unit: &'static str,
    pub forms: &'static [Form],
    pub run: fn(Form) -> Measured,
}

/// How a span gets its five fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Recorded one by one on a span that declares them.
    Recorded,
    /// Given when it is made.
    Attached,
}

const IDLE: &str = "registry and an idle layer";
const OURS: &str = "ours: an agent's spans";

const BOTH: &[Form] = &[Form::Recorded, Form::Attached];
const ATTACHED: &[Form] = &[Form::Attached];

pub const SCENARIOS: &[Scenario] = &[
    scenario("no subscriber", BOTH, |form| burst::run(agent(form), || {})),
    scenario(IDLE, BOTH, |form| {
        seen_by(registry().with(Idle));
        burst::run(agent(form), || {})
    }),
    scenario(OURS, BOTH, |form| ours(Telemetry::builder(), agent(form))),
    scenario("ours: spans of others", BOTH, |form| ours(Telemetry::builder(), foreign(form))),
    scenario("ours: llm_span! and record_usage", ATTACHED, |_| ours(Telemetry::builder(), macros)),
    scenario("tracing-opentelemetry, batch, null exporter", BOTH, |form| {
        let provider = provider();
        seen_by(registry().with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"))));
        burst::run(agent(form), || provider.force_flush().expect("flushed"))
    }),
    scenario("ours, then tracing-opentelemetry: an agent's", BOTH, |form| both(true, agent(form))),
    scenario("tracing-opentelemetry, then ours: an agent's", BOTH, |form| both(false, agent(form))),
    scenario("ours, then tracing-opentelemetry: others'", BOTH, |form| both(true, foreign(form))),
    scenario("fastrace, no-op reporter", BOTH, fastrace),
    beside_ours("a sink that hangs", ATTACHED, |form| {
        ours(Telemetry::builder().sink(1000, |_| std::thread::park()), agent(form))
    }),
    beside_ours("a sink that panics", ATTACHED, |form| {
        std::panic::set_hook(Box::new(|_| {}));
        ours(Telemetry::builder().sink(1000, |_| panic!("a sink")), agent(form))
    }),
    beside_ours("OTLP to where nobody listens", ATTACHED, |form| {
        ours(Telemetry::builder().otlp("http://127.0.0.1:1"), agent(form))
    }),
    beside_ours("a file on a full disk", ATTACHED, |form| ours(Telemetry::builder().file("/dev/full"), agent(form))),
];

const fn scenario(name: &'static str, forms: &'static [Form], run: fn(Form) -> Measured) -> Scenario {
    Scenario { name, unit: IDLE, forms, run }
}

/// The same against ours without any sink: what is behind it must not be felt.
const fn beside_ours(name: &'static str, forms: &'static [Form], run: fn(Form) -> Measured) -> Scenario {
    Scenario { name, unit: OURS, forms, run }
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Form::Recorded => "rec",
            Form::Attached => "att",
        }
    }

    pub fn parse(name: &str) -> Form {
        BOTH.iter().copied().find(|form| form.name() == name).expect("a form")
    }
}

/// A layer that does nothing.
struct Idle;

impl<S: Subscriber> Layer<S> for Idle {}

fn seen_by(subscriber: impl Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
}

/// With telemetry of ours and nothing beside it.
fn ours(builder: Builder, work: impl FnMut(i64)) -> Measured {
    let telemetry = builder.build();
    seen_by(registry().with(telemetry.layer()));
    let measured = burst::run(work, || until_derived(&telemetry));
    concluded(&telemetry, measured)
}

/// Beside the layer of OpenTelemetry.
fn both(ours_first: bool, work: impl FnMut(i64)) -> Measured {
    let (telemetry, provider) = (Telemetry::builder().build(), provider());
    let tracer = provider.tracer("bench");
    if ours_first {
        seen_by(registry().with(telemetry.layer()).with(tracing_opentelemetry::layer().with_tracer(tracer)));
    } else {
        seen_by(registry().with(tracing_opentelemetry::layer().with_tracer(tracer)).with(telemetry.layer()));
    }
    let measured = burst::run(work, || {
        provider.force_flush().expect("flushed");
        until_derived(&telemetry);
    });
    concluded(&telemetry, measured)
}

/// Exporters that cannot get rid of anything are not waited for.
fn until_derived(telemetry: &Telemetry) {
    while telemetry.flush(Duration::from_millis(20)).is_err_and(|unflushed| unflushed.pending.is_empty()) {}
}

fn concluded(telemetry: &Telemetry, measured: Measured) -> Measured {
    let events = telemetry.get_events(0).next;
    let report = telemetry.shutdown(Duration::from_millis(50));
    let dropped = report.dropped.iter().map(|(_, count)| count).sum();
    Measured { dropped, events: events as f64 / measured.spans as f64, ..measured }
}

/// A call of a model, with the fields that SDKs give it.
fn agent(form: Form) -> fn(i64) {
    match form {
        Form::Recorded => |number| {
            let span = info_span!(
                "chat",
                gen_ai.operation.name = Empty,
                gen_ai.request.model = Empty,
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
                gen_ai.response.id = Empty,
            );
            let entered = span.enter();
            span.record("gen_ai.operation.name", "chat");
            span.record("gen_ai.request.model", black_box("gpt-4o"));
            span.record("gen_ai.usage.input_tokens", black_box(number));
            span.record("gen_ai.usage.output_tokens", black_box(95));
            span.record("gen_ai.response.id", black_box("chatcmpl-5f1c2ab09"));
            drop(entered);
        },
        Form::Attached => |number| {
            let span = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = black_box("gpt-4o"),
                gen_ai.usage.input_tokens = black_box(number),
                gen_ai.usage.output_tokens = black_box(95),
                gen_ai.response.id = black_box("chatcmpl-5f1c2ab09"),
            );
            let entered = span.enter();
            drop(entered);
        },
    }
}

/// The same shape, of no interest to us.
fn foreign(form: Form) -> fn(i64) {
    match form {
        Form::Recorded => |number| {
            let span = info_span!(
                "query",
                db.operation.name = Empty,
                db.collection.name = Empty,
                db.rows.read = Empty,
                db.rows.written = Empty,
                db.query.id = Empty,
            );
            let entered = span.enter();
            span.record("db.operation.name", "read");
            span.record("db.collection.name", black_box("orders"));
            span.record("db.rows.read", black_box(number));
            span.record("db.rows.written", black_box(95));
            span.record("db.query.id", black_box("query-5f1c2ab09ff7"));
            drop(entered);
        },
        Form::Attached => |number| {
            let span = info_span!(
                "query",
                db.operation.name = "read",
                db.collection.name = black_box("orders"),
                db.rows.read = black_box(number),
                db.rows.written = black_box(95),
                db.query.id = black_box("query-5f1c2ab09ff7"),
            );
            let entered = span.enter();
            drop(entered);
        },
    }
}

/// What code writes that knows this library: more declared fields, and a name that is formatted.
fn macros(number: i64) {
    let span = spanlight::llm_span!(black_box("gpt-4o"), provider = "openai");
    let entered = span.enter();
    span.record_usage(Usage::new(black_box(number as u64), 95));
    drop(entered);
}

fn provider() -> SdkTracerProvider {
    SdkTracerProvider::builder().with_batch_exporter(Null).build()
}

#[derive(Debug)]
struct Null;

impl SpanExporter for Null {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

impl Reporter for Null {
    fn report(&mut self, _: Vec<SpanRecord>) {}
}

/// Local spans below one root. Their queue takes 10,240 spans and properties that were added later, and is handed
/// over as it would be at the end of a request.
fn fastrace(form: Form) -> Measured {
    use fastrace::prelude::{LocalSpan, Span, SpanContext};
    fastrace::set_reporter(Null, Config::default());
    let root = Span::root("bench", SpanContext::random());
    let mut within = None;
    let work = move |number: i64| {
        if number % 500 == 0 {
            drop(within.take());
            within = Some(root.set_local_parent());
        }
        let span = LocalSpan::enter_with_local_parent("chat");
        let text = |text: &'static str| Cow::Borrowed(black_box(text));
        let count = |count: i64| Cow::Owned::<str>(black_box(count).to_string());
        let id = || Cow::Owned::<str>(black_box("chatcmpl-5f1c2ab09").to_owned());
        if form == Form::Attached {
            drop(span.with_properties(|| {
                [
                    ("gen_ai.operation.name", text("chat")),
                    ("gen_ai.request.model", text("gpt-4o")),
                    ("gen_ai.usage.input_tokens", count(number)),
                    ("gen_ai.usage.output_tokens", count(95)),
                    ("gen_ai.response.id", id()),
                ]
            }));
        } else {
            LocalSpan::add_property(|| ("gen_ai.operation.name", text("chat")));
            LocalSpan::add_property(|| ("gen_ai.request.model", text("gpt-4o")));
            LocalSpan::add_property(|| ("gen_ai.usage.input_tokens", count(number)));
            LocalSpan::add_property(|| ("gen_ai.usage.output_tokens", count(95)));
            LocalSpan::add_property(|| ("gen_ai.response.id", id()));
            drop(span);
        }
    };
    burst::run(work, fastrace::flush)
}
