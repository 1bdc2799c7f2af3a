//! Messages that log records tell one by one: what was said in a call, as one event for each call and request.
//!
//! Instrumentations of the conventions up to 1.36 put what was said into log records, which come before or after the span of
//! the call, by another way. So it is an event of its own. It waits until the call has been told: by then it is known who
//! calls whom, and whether the span says the same.

use std::collections::VecDeque;
use std::time::Duration;

use super::logs::Told;
use super::names::Name;
use super::run::{Run, RunKey};
use super::spans::Emitter;
use super::{Deriver, Output};
use crate::dialect::Recorded;
use crate::event::{Data, Event, EventId, EventName, EventType, SpanId, Timestamp, TraceId};

/// What was said in calls that have not been told.
#[derive(Debug, Default)]
pub struct Unsaid {
    waiting: VecDeque<Said>,
    bytes: usize,
}

/// What records of one request tell of one call.
#[derive(Debug)]
struct Said {
    trace: TraceId,
    span: SpanId,
    /// Of its first record.
    id: SpanId,
    at: Timestamp,
    came: Timestamp,
    service: Option<Name>,
    dialect: &'static str,
    /// What went to the model, and what came from it, as JSON.
    instructions: Option<String>,
    messages: Option<String>,
    response: Option<String>,
}

impl Unsaid {
    /// How long a call is waited for.
    pub const PATIENCE: Duration = Duration::from_secs(10);
    const MOST: usize = 4096;
    const MOST_BYTES: usize = 8 << 20;

    fn push(&mut self, said: Said) {
        self.bytes += said.len();
        self.waiting.push_back(said);
    }

    fn is_too_much(&self) -> bool {
        self.waiting.len() > Unsaid::MOST || self.bytes > Unsaid::MOST_BYTES
    }

    /// What is not to wait any longer. Of too much, the older half goes, so that this is not asked for each that comes.
    fn take_ready(&mut self, is_ready: impl Fn(&Said) -> bool) -> Vec<Said> {
        let mut ready = Vec::new();
        let is_too_much = self.is_too_much();
        let waiting = std::mem::take(&mut self.waiting);
        let mut left = waiting.len();
        for said in waiting {
            let is_half = left <= Unsaid::MOST / 2 && self.bytes <= Unsaid::MOST_BYTES / 2;
            if is_ready(&said) || (is_too_much && !is_half) {
                self.bytes -= said.len();
                ready.push(said);
                left -= 1;
            } else {
                self.waiting.push_back(said);
            }
        }
        ready.sort_by_key(|said| said.at);
        ready
    }

    /// Somebody else tells of the work of a trace.
    pub fn forget(&mut self, trace: TraceId) {
        self.waiting.retain(|said| said.trace != trace);
        self.bytes = self.waiting.iter().map(Said::len).sum();
    }
}

impl Deriver {
    /// Takes in what records say of calls. A message that names no span is of no call.
    pub(super) fn messages(&mut self, told: &[Told<'_>], emitters: &[Emitter], now: Timestamp, out: &mut Output) {
        let of_call = |told: &Told<'_>| Some((told.report.trace?, told.report.span?));
        let mut told: Vec<&Told<'_>> = told.iter().filter(|told| told.recorded.is_some()).collect();
        if told.is_empty() {
            return;
        }
        told.sort_by_key(|told| of_call(told));
        for told in told.chunk_by(|one, other| of_call(one) == of_call(other)) {
            let said = of_call(told[0]).and_then(|call| Said::of(call, told, emitters, now));
            said.into_iter().for_each(|said| self.unsaid.push(said));
        }
        if self.unsaid.is_too_much() {
            self.say(now.minus(Unsaid::PATIENCE), now, out);
        }
    }

    /// Tells what was said in calls that have been told, and what came until a time without them.
    pub(super) fn say(&mut self, until: Timestamp, now: Timestamp, out: &mut Output) {
        if self.unsaid.waiting.is_empty() {
            return;
        }
        let runs = &self.runs;
        let run_of = |said: &Said| runs.find(&RunKey::Trace(said.trace)).and_then(|ix| runs.get(ix));
        let was_told =
            |said: &Said| run_of(said).is_some_and(|run| run.find(said.span).is_some_and(|at| run.node(at).told.end));
        let ready = self.unsaid.take_ready(|said| said.came <= until || was_told(said));
        let events: Vec<Event> = ready.iter().filter_map(|said| said.event(run_of(said), now)).collect();
        events.into_iter().for_each(|event| self.event(event, now, out));
    }
}

impl Said {
    const NAME: &'static str = "messages.recorded";

    fn of((trace, span): (TraceId, SpanId), told: &[&Told<'_>], emitters: &[Emitter], now: Timestamp) -> Option<Said> {
        let (first, last) = (told.first()?, told.last()?);
        let recorded = || told.iter().filter_map(|told| told.recorded.as_ref());
        let list = |of: fn(&Recorded) -> &Vec<String>| {
            let said: Vec<&str> = recorded().flat_map(of).map(String::as_str).collect();
            (!said.is_empty()).then(|| format!("[{}]", said.join(",")))
        };
        Some(Said {
            trace,
            span,
            id: first.id,
            at: last.report.at,
            came: now,
            service: emitters.get(first.emitter).and_then(|emitter| emitter.service.clone()),
            dialect: first.report.meaning.dialect,
            instructions: recorded().find_map(|recorded| recorded.instructions.clone()),
            messages: list(|recorded| &recorded.messages),
            response: list(|recorded| &recorded.response),
        })
    }

    /// As an event, but for what the span of the call has said itself.
    fn event(&self, run: Option<&Run>, now: Timestamp) -> Option<Event> {
        let name = EventName::parse(Said::NAME)?;
        let call = run.and_then(|run| Some((run, run.find(self.span)?)));
        let (said_input, said_output) = call.map_or((false, false), |(run, at)| {
            let told = run.node(at).told;
            (told.input, told.output)
        });
        let said = [
            ("system_instructions", self.instructions.as_ref().filter(|_| !said_input)),
            ("messages", self.messages.as_ref().filter(|_| !said_input)),
            ("response", self.response.as_ref().filter(|_| !said_output)),
        ];
        if said.iter().all(|(_, said)| said.is_none()) {
            return None;
        }
        let known = call.and_then(|(run, at)| run.bare_event_at(at, EventType::Progress, self.at, now));
        let mut event = known.unwrap_or_else(|| {
            let mut event = Event::named(name.clone(), self.at);
            event.observed_at = now;
            event.source.service = self.service.clone();
            event.source.dialect = Some(self.dialect.into());
            event
        });
        event.event_id = EventId::of_span_fact(self.trace, self.id, Said::NAME, 0);
        (event.name, event.trace_id, event.span_id) = (name, Some(self.trace), Some(self.span));
        event.data = Data::build(|data| {
            for (key, said) in said {
                said.into_iter().for_each(|said| data.raw(key, said.as_bytes()));
            }
        });
        Some(event)
    }

    /// About what it takes in memory.
    fn len(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        256 + text(&self.instructions) + text(&self.messages) + text(&self.response)
    }
}
