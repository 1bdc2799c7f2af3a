//! What is said from within open work: its progress, that it still lives, and events that happen in it.

use super::node::{NodeIx, State};
use super::run::{Run, RunKey};
use super::{Deriver, Output};
use crate::event::catalogue::lifecycle;
use crate::event::{
    ComponentId, Data, Event, EventId, EventName, EventType, Scope, SpanId, Status, Timestamp, TraceId,
};

/// A sign of life of an open span.
#[derive(Clone, Debug)]
pub struct Note {
    /// What it says.
    pub kind: NoteKind,
    /// When.
    pub at: Timestamp,
    /// Its number among those of its kind in the span.
    pub sequence: u32,
    /// Text for people.
    pub message: Option<std::sync::Arc<str>>,
    /// What else there is to say.
    pub data: Data,
}

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The work has come further: `llm.progress`, `tool.progress` and so on.
    Progress,
    /// The work goes on: `system.progress` of `system:heartbeat`.
    Heartbeat,
}

impl Deriver {
    /// Tells of an open span what it says of itself. Nobody asks any more how a span goes on that is gone.
    pub fn note(&mut self, trace: TraceId, span: SpanId, note: Note, now: Timestamp, out: &mut Output) {
        let Some(ix) = self.runs.find(&RunKey::Trace(trace)) else { return };
        let event = self.runs.change(ix, |run| {
            run.last_seen = now;
            run.open_node(span).and_then(|at| run.note(at, note, trace, now))
        });
        out.events.extend(event.flatten().filter(|_| self.wants_events));
    }

    /// Says in an event within which work it happened, as far as it does not say so itself.
    pub fn place(&self, event: &mut Event, trace: TraceId, span: SpanId, now: Timestamp) {
        let run = self.runs.find(&RunKey::Trace(trace)).and_then(|ix| self.runs.get(ix));
        let around = run.and_then(|run| {
            let at = run.find(span)?;
            run.bare_event_at(at, EventType::Progress, event.timestamp, now)
        });
        event.trace_id.get_or_insert(trace);
        // A beginning or an end is one of another component than the span around it.
        if event.scope != Scope::System && event.name == lifecycle(event.scope, event.event_type) {
            event.parent_span_id.get_or_insert(span);
        } else {
            event.span_id.get_or_insert(span);
        }
        let Some(around) = around else { return };
        let (own, its) = (&mut event.identity, around.identity);
        for (own, its) in [
            (&mut own.workflow_id, its.workflow_id),
            (&mut own.parent_workflow_id, its.parent_workflow_id),
            (&mut own.execution_id, its.execution_id),
            (&mut own.conversation_id, its.conversation_id),
            (&mut own.session_id, its.session_id),
            (&mut own.user_id, its.user_id),
            (&mut own.task_id, its.task_id),
            (&mut event.dimensions.feature, around.dimensions.feature),
            (&mut event.dimensions.agent, around.dimensions.agent),
        ] {
            if own.is_none() {
                *own = its;
            }
        }
        if event.source.service.is_none() {
            event.source.service = around.source.service;
            event.source.instance = around.source.instance;
        }
    }
}

impl Run {
    fn open_node(&self, span: SpanId) -> Option<NodeIx> {
        self.find(span).filter(|at| matches!(self.node(*at).state, State::Open { .. }))
    }

    fn note(&self, at: NodeIx, note: Note, trace: TraceId, now: Timestamp) -> Option<Event> {
        let mut event = self.bare_event_at(at, EventType::Progress, note.at, now)?;
        if note.kind == NoteKind::Heartbeat {
            (event.scope, event.status) = (Scope::System, Status::Running);
            event.name = EventName::parse("system.progress")?;
            event.component_id = ComponentId::System("heartbeat".into());
        }
        let span = self.node(at).id;
        event.event_id = EventId::of_span_fact(trace, span, event.name.as_str(), note.sequence);
        (event.message, event.data) = (note.message, note.data);
        Some(event)
    }
}
