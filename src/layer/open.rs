//! An open span, as the worker knows it, and as a span of OTLP: what the deriver reads is the same for spans of this
//! process and for those that come over the network.

use tracing::Metadata;

use super::callsite::{Callsite, field};
use super::cancel::Life;
use super::closed::Beside;
use super::command::Value;
use super::order::Clock;
use super::otel::RawIds;
use crate::event::{Scope, SpanId, Timestamp, TraceId};
use crate::otlp::wire::{put_bytes, put_f64, put_fixed64, put_message, put_u64};
use crate::semconv::{Key, spanlight};

/// A span that has begun and not ended.
#[derive(Debug)]
pub struct OpenSpan {
    pub metadata: &'static Metadata<'static>,
    /// What a configured pattern says that it is.
    scope: Option<Scope>,
    /// The registry's id of the nearest span above that is ours, or 0.
    pub parent: u64,
    /// Its ids, once they are known, and that of its parent.
    pub ids: Option<(TraceId, SpanId)>,
    pub parent_id: Option<SpanId>,
    /// The registry's id of the span that it follows from.
    pub follows: Option<u64>,
    /// Nanoseconds of the layer's clock, and what that clock says.
    pub began: u64,
    clock: Clock,
    fields: Vec<(&'static str, Owned)>,
    failure: Option<String>,
    /// What was logged in it by crates of which we know that it tells something.
    logged: Vec<(u64, String)>,
    pub life: Life,
    /// Whether the deriver has heard of it, and of all that is known of it.
    pub is_told: bool,
    /// Whether work within it has begun.
    pub has_part: bool,
    pub chunk: Option<Pending>,
    pub progress: Option<Pending>,
    /// How many notes of each kind it has made.
    pub progress_notes: u32,
    /// Whether a piece of an answer has come.
    pub has_answered: bool,
    pub heartbeats: u32,
    pub last_heartbeat: u64,
}

/// What is merged until it goes out.
#[derive(Debug)]
pub struct Pending {
    /// When the first of it was said.
    pub since: u64,
    /// Text for people, or the pieces of an answer.
    pub text: String,
    /// Members of JSON.
    pub data: String,
}

/// A value that is kept.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
}

/// A span that is kept for longer than this after its work, in nanoseconds, says when it was left last.
const LATE: u64 = 1_000_000;

/// How a span ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Nanoseconds of the layer's clock.
    pub stamp: u64,
    /// Whether a panic ended it.
    pub panicked: bool,
    /// Whether it was called off.
    pub called_off: bool,
}

impl End {
    /// Nobody saw it: it is over by now.
    pub fn unseen(stamp: u64) -> End {
        End { stamp, panicked: false, called_off: false }
    }
}

impl OpenSpan {
    /// More log events than this are not needed to know how an agent ended.
    const MOST_LOGGED: usize = 64;

    /// A span that was made just now.
    pub fn new(callsite: &Callsite, parent: u64, began: u64, clock: Clock) -> OpenSpan {
        OpenSpan {
            metadata: callsite.metadata,
            scope: callsite.scope,
            parent,
            ids: None,
            parent_id: None,
            follows: None,
            began,
            clock,
            fields: Vec::new(),
            failure: None,
            logged: Vec::new(),
            life: Life::default(),
            is_told: false,
            has_part: false,
            chunk: None,
            progress: None,
            progress_notes: 0,
            has_answered: false,
            heartbeats: 0,
            last_heartbeat: began,
        }
    }

    /// Records a field: the last value counts.
    pub fn record(&mut self, name: &'static str, value: &Value<'_>) {
        let value = Owned::of(value);
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
    }

    /// Records a field that is not there yet.
    pub fn record_default(&mut self, name: &'static str, value: &Value<'_>) {
        if !self.has(name) {
            self.record(name, value);
        }
    }

    /// An error was logged in it.
    pub fn fail(&mut self, message: String) {
        self.failure = Some(message);
    }

    /// An error was logged in it of which no text is known.
    pub fn fail_somehow(&mut self) {
        self.failure.get_or_insert_with(|| "an error was logged".to_owned());
    }

    /// Whether its ids are known, and that of what it hangs below.
    pub fn is_named(&self) -> bool {
        self.ids.is_some() && (self.parent_id.is_some() || self.parent == 0)
    }

    /// Something was logged in it that is no error.
    pub fn note(&mut self, text: String, stamp: u64) {
        if self.logged.len() < OpenSpan::MOST_LOGGED {
            self.logged.push((stamp, text));
        }
    }

    /// The ids that the OpenTelemetry layer gave it.
    pub fn take_ids(&mut self, ids: &[u8]) {
        if self.ids.is_none() && ids.len() == size_of::<RawIds>() {
            self.ids = TraceId::from_bytes(&ids[..16]).zip(SpanId::from_bytes(&ids[16..]));
        }
    }

    /// Whether it is a call of a tool.
    pub fn is_tool(&self) -> bool {
        self.text(Key::GEN_AI_OPERATION_NAME.name()) == Some("execute_tool")
            || [spanlight::SCOPE, "scope"].iter().any(|name| self.text(name) == Some("tool"))
            || self.scope == Some(Scope::Tool)
    }

    /// What it hands on to a span that follows from it.
    pub fn beside(&self) -> Option<Beside> {
        let agent = self.text(Key::GEN_AI_AGENT_NAME.name()).map(Box::from);
        Some(Beside { trace: self.ids?.0, parent: self.parent_id, agent })
    }

    /// Whether what it is called is declared and still to be recorded, as some crates do right after they made it.
    pub fn awaits_its_name(&self) -> bool {
        let name = match self.text(Key::GEN_AI_OPERATION_NAME.name()) {
            Some("execute_tool") => Key::GEN_AI_TOOL_NAME.name(),
            Some("invoke_agent") => Key::GEN_AI_AGENT_NAME.name(),
            Some(_) => Key::GEN_AI_REQUEST_MODEL.name(),
            None => return false,
        };
        !self.has(name) && self.metadata.fields().field(name).is_some()
    }

    /// What the wall clock said at a moment of the layer's clock.
    pub fn time(&self, stamp: u64) -> Timestamp {
        self.clock.time(stamp.max(self.began))
    }

    /// Appends it as a span of OTLP, with an end if it has ended.
    pub fn put(&self, out: &mut Vec<u8>, end: Option<End>) {
        let Some((trace, span)) = self.ids else { return };
        put_bytes(out, 1, trace.as_bytes());
        put_bytes(out, 2, span.as_bytes());
        if let Some(parent) = self.parent_id {
            put_bytes(out, 4, parent.as_bytes());
        }
        put_bytes(out, 5, self.text(field::OTEL_NAME).unwrap_or(self.metadata.name()).as_bytes());
        put_fixed64(out, 7, self.time(self.began).as_unix_nanos());
        if let Some(end) = end {
            put_fixed64(out, 8, self.time(end.stamp).as_unix_nanos());
        }
        for (name, value) in &self.fields {
            if !name.starts_with("otel.") {
                put_attribute(out, name, value);
            }
        }
        if let Some(scope) = self.scope {
            put_attribute(out, spanlight::SCOPE, &Owned::Text(scope.as_str().into()));
        }
        if let Some(left) = end.and_then(|end| self.life.left().filter(|left| end.stamp.saturating_sub(*left) > LATE)) {
            put_attribute(out, spanlight::LAST_EXIT_MS, &Owned::Double(left.saturating_sub(self.began) as f64 / 1e6));
        }
        for (stamp, text) in &self.logged {
            put_message(out, 11, |out| {
                put_fixed64(out, 1, self.time(*stamp).as_unix_nanos());
                put_bytes(out, 2, text.as_bytes());
            });
        }
        let status = self.status(end);
        if status.is_none() && end.is_some_and(|end| end.called_off) {
            put_attribute(out, spanlight::OUTCOME, &Owned::Text("canceled".into()));
        }
        if let Some((code, message)) = status {
            put_message(out, 15, |out| {
                put_bytes(out, 2, message.as_bytes());
                put_u64(out, 3, code);
            });
        }
    }

    /// The number of its status, and what went wrong. What the code says itself counts before what was logged.
    fn status(&self, end: Option<End>) -> Option<(u64, &str)> {
        const OK: u64 = 1;
        const ERROR: u64 = 2;
        let message = [field::OTEL_STATUS_DESCRIPTION, field::OTEL_STATUS_MESSAGE, field::ERROR, field::ERR];
        let message = message.iter().chain([&field::EXCEPTION_MESSAGE]).find_map(|name| self.text(name));
        let code = self.text(field::OTEL_STATUS_CODE);
        if code.is_some_and(|code| code.eq_ignore_ascii_case("ok")) {
            return Some((OK, ""));
        }
        if code.is_some_and(|code| code.eq_ignore_ascii_case("error")) || message.is_some() || self.failure.is_some() {
            return Some((ERROR, message.or(self.failure.as_deref()).unwrap_or_default()));
        }
        end.is_some_and(|end| end.panicked).then_some((ERROR, "panicked"))
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| *known == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(known, value)| match value {
            Owned::Text(text) if *known == name => Some(&**text),
            _ => None,
        })
    }
}

impl Owned {
    fn of(value: &Value<'_>) -> Owned {
        match value {
            Value::Bool(truth) => Owned::Bool(*truth),
            Value::Int(number) => Owned::Int(*number),
            Value::Uint(number) => Owned::Double(*number as f64),
            Value::Double(number) => Owned::Double(*number),
            Value::Text(text) => Owned::Text((*text).into()),
        }
    }
}

fn put_attribute(out: &mut Vec<u8>, name: &str, value: &Owned) {
    put_message(out, 9, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_message(out, 2, |out| match value {
            Owned::Text(text) => put_bytes(out, 1, text.as_bytes()),
            Owned::Bool(truth) => put_u64(out, 2, u64::from(*truth)),
            Owned::Int(number) => put_u64(out, 3, *number as u64),
            Owned::Double(number) => put_f64(out, 4, *number),
        });
    });
}
