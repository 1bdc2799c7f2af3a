//! What log records of agents mean: events by their names, read with the same tables as spans.
//!
//! Coding agents tell of their work in log events, some of them in nothing else.

use std::borrow::Cow;

use super::messages::Recorded;
use super::{Attributes, Dialect, Failure, Lexicon, Marks, Meaning, Op, Spot};
use super::{claude_code, codex, gemini_cli, otel_genai, qwen_code};
use crate::event::{SpanId, Timestamp, TraceId};
use crate::otlp::view::{AnyValue, LogRecord, Span};
use crate::semconv::Key;

/// The log events of one kind of emitter.
#[derive(Debug)]
pub struct LogDialect {
    /// The instrumentation scopes whose events are in it, whatever they are called; one that ends in `*` stands for
    /// all that begin so.
    pub scopes: &'static [&'static str],
    /// What the names of its events begin with. A name may come without it.
    pub prefix: &'static str,
    /// The events that tell of work, without the prefix.
    pub events: &'static [(&'static str, About)],
    /// How they are read.
    pub reading: Dialect,
    /// What a record tells that its name alone does not; nothing for records that tell of no work.
    pub refine: fn(&Spot<'_, '_>, About) -> Option<About>,
    /// What the agent is called, where nobody says it.
    pub agent: Option<&'static str>,
    /// Whether the span of a prompt's record is the agent's run.
    pub prompt_has_its_span: bool,
    /// Whether its names of tools are better than those of spans.
    pub names_tools: bool,
}

/// What a log event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A session began that looks like one that the agent has with itself.
    SessionBegins,
    /// A user asked for something.
    Prompt,
    /// A call of a model is on its way.
    CallBegins,
    /// A call of a model ended.
    Call,
    /// A call of a model failed.
    FailedCall,
    /// A tool ran, or was not allowed to.
    Tool,
    /// Somebody decided whether a tool may run.
    Decision,
    /// An agent that was called by another one ended.
    Agent,
    /// The session ended in order.
    SessionEnds,
    /// A result was judged.
    Evaluation,
    /// A message went to a model, or came from one.
    Message,
}

/// What one log record tells, borrowed from it.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What it tells of.
    pub about: About,
    /// When it ended, or happened.
    pub at: Timestamp,
    /// How long it took, in microseconds.
    pub micros: Option<u64>,
    /// The trace that the record names.
    pub trace: Option<TraceId>,
    /// The span that the record names.
    pub span: Option<SpanId>,
    /// The dialect it was understood in.
    pub dialect: &'static LogDialect,
    /// What it says.
    pub meaning: Meaning<'a>,
    /// Of a judgement: the score.
    pub score: Option<f64>,
    /// Of a judgement: in a word.
    pub label: Option<&'a str>,
}

/// All of them. One line adds one.
static LOG_DIALECTS: &[&LogDialect] =
    &[&claude_code::LOGS, &codex::LOGS, &gemini_cli::LOGS, &qwen_code::LOGS, &otel_genai::LOGS];

/// How each of them reads the attributes of a record.
pub(super) fn readings() -> impl Iterator<Item = &'static Dialect> + Clone {
    LOG_DIALECTS.iter().map(|dialect| &dialect.reading)
}

impl LogDialect {
    /// The dialect of the events of an instrumentation scope, if it is known by that.
    pub fn of_scope(scope: &str) -> Option<&'static LogDialect> {
        let fits = |known: &&str| match known.strip_suffix('*') {
            Some(beginning) => scope.starts_with(beginning),
            None => scope == *known,
        };
        LOG_DIALECTS.iter().copied().find(|dialect| dialect.scopes.iter().any(&fits))
    }

    /// What the agent of a dialect is called.
    pub fn agent_of(dialect: &str) -> Option<&'static str> {
        LOG_DIALECTS.iter().find(|known| known.reading.name == dialect)?.agent
    }

    /// What a record tells, if it tells of an agent's work. `of_scope` is the dialect of its scope.
    pub fn read<'a>(
        of_scope: Option<&'static LogDialect>,
        record: &LogRecord<'a>,
        lexicon: &Lexicon,
        attributes: &mut Attributes<'a>,
    ) -> Option<Report<'a>> {
        let name = event_name(record)?;
        let by_name = || LOG_DIALECTS.iter().copied().find(|dialect| name.starts_with(dialect.prefix));
        let dialect = of_scope.or_else(by_name)?;
        let bare = name.strip_prefix(dialect.prefix).unwrap_or(name);
        let (_, about) = dialect.events.iter().find(|(known, _)| *known == bare)?;
        attributes.clear();
        record.attributes().for_each(|attribute| attributes.take(lexicon, attribute));
        let at = time(record, attributes);
        // Tables read spans; of a record there is no more to a span than that it has ended.
        let mut span = Span::default();
        span.end_time_unix_nano = at.as_unix_nanos();
        let spot = Spot { instrumentation: "", span: &span, attributes, marks: Marks::default() };
        let about = (dialect.refine)(&spot, *about)?;
        let mut meaning = dialect.reading.mean(&spot, about.op());
        (dialect.reading.amend)(&spot, &mut meaning);
        if about == About::FailedCall && meaning.failure.is_none() {
            meaning.failure = Some(Failure::default());
        }
        meaning.agent_name = meaning.agent_name.or(dialect.agent.filter(|_| about == About::Prompt));
        let millis = attributes.amount(&[Key::PLAIN_DURATION_MS]);
        Some(Report {
            about,
            at,
            micros: millis.map(|millis| (millis * 1000.0) as u64),
            trace: TraceId::from_bytes(record.trace_id),
            span: SpanId::from_bytes(record.span_id),
            dialect,
            meaning,
            score: attributes.amount(&[Key::GEN_AI_EVALUATION_SCORE_VALUE]),
            label: attributes.text(&[Key::GEN_AI_EVALUATION_SCORE_LABEL]),
        })
    }
}

impl Report<'_> {
    /// What went to a model and came from it, as the record says that this is the report of, with its attributes.
    pub fn messages(&self, record: &LogRecord<'_>, attributes: &Attributes<'_>) -> Option<Recorded> {
        match self.about {
            About::Message => Recorded::one(event_name(record)?, record),
            // Coding agents say it in the events of the span.
            About::Call if self.dialect.agent.is_none() => {
                let span = Span::default();
                Recorded::all(&Spot { instrumentation: "", span: &span, attributes, marks: Marks::default() })
            }
            _ => None,
        }
    }
}

impl About {
    /// The operation that it tells of.
    fn op(self) -> Op {
        match self {
            About::SessionBegins | About::Prompt | About::Agent | About::SessionEnds => Op::InvokeAgent,
            About::CallBegins | About::Call | About::FailedCall | About::Message => Op::Chat,
            About::Tool | About::Decision => Op::ExecuteTool,
            About::Evaluation => Op::Evaluate,
        }
    }
}

impl<'a> Report<'a> {
    /// When the work began, as far as the record knows.
    pub fn began(&self) -> Timestamp {
        self.at.minus(std::time::Duration::from_micros(self.micros.unwrap_or(0)))
    }

    /// The session: what groups the user's prompts.
    pub fn session(&self) -> Option<&Cow<'a, str>> {
        self.meaning.session_id.as_ref().or(self.meaning.conversation_id.as_ref())
    }
}

/// The name of the event: some put the position in their source into the field for it, and the name into an attribute.
fn event_name<'a>(record: &LogRecord<'a>) -> Option<&'a str> {
    let named = record.attributes().find(|attribute| attribute.key == *Key::EVENT_NAME.name());
    let named = named.and_then(|attribute| attribute.value.text()).filter(|text| !text.is_empty());
    let name = named.unwrap_or(record.event_name);
    (!name.is_empty()).then(|| name.as_str())
}

/// When it happened: some leave the field for it empty, and put the time into an attribute.
fn time(record: &LogRecord<'_>, attributes: &Attributes<'_>) -> Timestamp {
    let said = || attributes.get(Key::EVENT_TIMESTAMP).and_then(AnyValue::text);
    match record.time_unix_nano {
        0 => said()
            .and_then(|text| Timestamp::parse(text.as_str()))
            .unwrap_or_else(|| Timestamp::from_unix_nanos(record.observed_time_unix_nano)),
        nanos => Timestamp::from_unix_nanos(nanos),
    }
}
