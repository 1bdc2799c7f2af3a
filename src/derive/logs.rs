//! What log records say of agents' work: those that are events of ours, and those in which agents tell of calls, tools
//! and prompts.

use xxhash_rust::xxh3::xxh3_64;

use super::held::Held;
use super::names::Name;
use super::node::NodeIx;
use super::partial::partial_span;
use super::run::{Run, RunKey};
use super::runs::RunIx;
use super::spans::{Arrival, Emitter, call_id, each_once, turn_id};
use super::{Deriver, Output};
use crate::dialect::{About, Aside, Attributes, LogDialect, Meaning, Op, Recorded, Report};
use crate::event::{Data, Decision, Event, EventId, EventName, Scope, SpanId, Timestamp, TraceId};
use crate::otlp::Batch;
use crate::otlp::records::to_event;
use crate::otlp::view::Span;

/// A report with where it came from.
pub(super) struct Told<'a> {
    pub report: Report<'a>,
    /// The place of its emitter in a list.
    pub emitter: usize,
    /// Tells it from all others, and finds it again when it comes twice.
    pub id: SpanId,
    /// What was said, as far as it tells that.
    pub recorded: Option<Recorded>,
}

impl Deriver {
    /// Takes the log records of a batch in.
    pub fn logs(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        let mut attributes = Attributes::new();
        let mut emitters: Vec<Emitter> = Vec::new();
        let mut told: Vec<Told<'_>> = Vec::new();
        for group in batch.groups() {
            let of_scope = LogDialect::of_scope(group.scope.name.as_str());
            let before = told.len();
            for record in group.log_records() {
                if let Some(event) = to_event(&group, &record, now) {
                    self.event(event, now, out);
                } else if let Some(span) = partial_span(&record) {
                    self.live_spans(&span, now, out);
                } else if let Some(report) = LogDialect::read(of_scope, &record, &self.lexicon, &mut attributes) {
                    let wanted = Some(&report).filter(|_| self.wants_events);
                    let recorded = wanted.and_then(|report| report.messages(&record, &attributes));
                    let id = id_of(record.raw());
                    told.push(Told { report, emitter: emitters.len(), id, recorded });
                }
            }
            if told.len() > before {
                emitters.push(self.emitter(&group));
            }
        }
        if told.is_empty() {
            return;
        }
        // Prompts first: what names none is of the last one before it.
        let is_later = |about| !matches!(about, About::Prompt | About::SessionBegins);
        told.sort_by_key(|told| (is_later(told.report.about), told.report.at));
        self.messages(&told, &emitters, now, out);
        let mut touched: Vec<RunIx> = Vec::new();
        for told in &told {
            if let Some(emitter) = emitters.get(told.emitter) {
                touched.extend(self.report(told, emitter, now, out));
            }
        }
        let touched = each_once(touched);
        for ix in &touched {
            self.runs.change(*ix, |run| {
                run.stand_in_for_missing(now);
                run.hang_what_waits();
            });
        }
        self.look_at(&touched, now, out);
    }

    /// Takes a report in; the run that it is of.
    fn report(&mut self, told: &Told<'_>, emitter: &Emitter, now: Timestamp, out: &mut Output) -> Option<RunIx> {
        let report = &told.report;
        let session = report.session().map(|session| self.names.share(session));
        match report.about {
            // They were told together.
            About::Message => return None,
            About::Evaluation => {
                self.evaluation(told, emitter, now, out);
                return None;
            }
            About::SessionBegins => {
                self.sessions.began(&session?, report.at);
                return None;
            }
            About::CallBegins => {
                self.sessions.find_or_begin(&session?).call_began = Some(report.began());
                return None;
            }
            About::SessionEnds => {
                self.session_ends(&session?, report.at);
                return None;
            }
            _ => {}
        }
        if report.dialect.agent.is_none() && self.meters.has_spans(&emitter.name()) {
            return None;
        }
        if report.about == About::Call {
            self.is_told(session.as_deref(), emitter);
        }
        let ix = match report.dialect.agent {
            Some(_) => self.run_of_report(report, session.as_ref(), now)?,
            None => self.run_of_events(emitter, now),
        };
        if session.as_ref().and_then(|session| self.sessions.find(session)).is_some_and(|session| session.is_own) {
            self.runs.change(ix, |run| {
                if !run.is_own_request() {
                    run.is_found_to_be_own_request();
                }
            });
        }
        if report.about == About::Prompt {
            return self.prompt(report, ix, session.as_ref(), now);
        }
        let began = session.as_ref().and_then(|session| self.sessions.find(session)?.call_began);
        let start = match (report.micros, began) {
            (None, Some(began)) if report.meaning.op == Op::Chat => began.min(report.at),
            _ => report.began(),
        };
        let place = self.runs.change(ix, |run| Place::of(told, run))?;
        self.enter(ix, &place, (start, report), emitter, now);
        if let (About::Decision, Some(call)) = (report.about, report.meaning.tool_call_id)
            && place.refuses(report)
        {
            // What was not allowed has no other record.
            let refused =
                Place { id: turn_id(call), parent: place.around, is_of_span: false, op: Op::ExecuteTool, around: None };
            self.enter(ix, &refused, (start, report), emitter, now);
        }
        Some(ix)
    }

    /// Makes a node of what a report tells, in its place.
    fn enter(
        &mut self,
        ix: RunIx,
        place: &Place,
        (start, report): (Timestamp, &Report<'_>),
        emitter: &Emitter,
        now: Timestamp,
    ) {
        let (names, prices, keys) = (&mut self.names, &mut self.prices, &self.dimension_keys);
        let wants_events = self.wants_events;
        self.runs.change(ix, |run| {
            let mut span = Span::default();
            (span.start_time_unix_nano, span.end_time_unix_nano) = (start.as_unix_nanos(), report.at.as_unix_nanos());
            let meaning = place.meaning(report);
            let arrival = Arrival {
                id: place.id,
                parent: place.parent,
                span: &span,
                goes_on: false,
                meaning: Some(&meaning),
                attributes: &Attributes::new(),
                emitter,
                now,
            };
            let at = arrival.take_in(run, names, prices, keys)?;
            if place.is_of_span {
                run.node_mut(at).has_span = false;
            }
            run.took_report(at, report, &meaning);
            if report.trace.is_none() && report.meaning.prompt_id.is_none() {
                run.is_placed_by_time(at);
            }
            // What spans may yet tell of is not told before them.
            if wants_events && run.node(at).op.is_some() && run.unless_spans_of.is_none() {
                let held = Held::of_run(run, at, now);
                run.held.push(held);
            }
            Some(())
        });
    }

    /// Spans or logs tell of the calls of this session: what its metrics say of them is the same once more.
    pub(super) fn is_told(&mut self, session: Option<&str>, emitter: &Emitter) {
        self.meters.is_told(&emitter.name());
        if let Some(session) = session {
            self.meters.is_told(session);
        }
    }

    /// The run of all calls that an emitter tells of in events, which count as long as it sends no spans.
    fn run_of_events(&mut self, emitter: &Emitter, now: Timestamp) -> RunIx {
        let name = emitter.name();
        let ix = self.runs.find_or_begin(RunKey::Named(format!("{name}/events").into()), now);
        self.runs.change(ix, |run| run.unless_spans_of = Some(name.into()));
        ix
    }

    /// The run that a report is of: by its trace and by its prompt, else that of the last prompt of the session.
    fn run_of_report(&mut self, report: &Report<'_>, session: Option<&Name>, now: Timestamp) -> Option<RunIx> {
        let trace = report.trace.map(RunKey::Trace);
        let prompt = report.meaning.prompt_id.as_deref().map(|prompt| RunKey::Named(self.names.share(prompt)));
        let key = match (trace, prompt) {
            (Some(trace), Some(prompt)) => return Some(self.runs.join(trace, prompt, now)),
            (Some(key), None) | (None, Some(key)) => key,
            (None, None) if report.about == About::Prompt => {
                RunKey::Named(format!("{}@{}", session?, report.at.as_micros()).into())
            }
            (None, None) => {
                let last = session.and_then(|session| self.sessions.find(session)?.prompt_at(report.at).cloned());
                if let (None, Some(session)) = (&last, session) {
                    self.sessions.find_or_begin(session).has_orphans = true;
                }
                last.or_else(|| session.cloned().map(RunKey::Named))?
            }
        };
        Some(self.runs.find_or_begin(key, now))
    }

    /// A prompt begins the run of the agent; the run that it is of, which others may be joined with by it.
    fn prompt(&mut self, report: &Report<'_>, ix: RunIx, session: Option<&Name>, now: Timestamp) -> Option<RunIx> {
        let agent = report.meaning.agent_name.map(|agent| self.names.share(agent))?;
        let key = self.runs.get(ix)?.key.clone();
        let id = report.span.filter(|_| report.dialect.prompt_has_its_span).unwrap_or_else(|| turn_id(&key.id()));
        self.runs.change(ix, |run| {
            (run.last_seen, run.closed) = (now, false);
            let label = |said: &Option<std::borrow::Cow<'_, str>>| said.as_deref().map(Name::from);
            let meaning = &report.meaning;
            run.labels.session = run.labels.session.take().or_else(|| label(&meaning.session_id));
            run.labels.conversation = run.labels.conversation.take().or_else(|| label(&meaning.conversation_id));
            run.labels.user = run.labels.user.take().or_else(|| label(&meaning.user_id));
            run.begin_turn(id, &agent, meaning.dialect, report.at, now);
        });
        if let Some(session) = session {
            if !self.sessions.find_or_begin(session).is_own {
                self.sessions.was_prompted(session, report.at);
            }
            self.prompted(session, report.at, &key, now);
        }
        self.runs.find(&key)
    }

    /// A user gave a prompt in a session: the one before it is over, and what was of none is of this one.
    pub(super) fn prompted(&mut self, session: &Name, at: Timestamp, key: &RunKey, now: Timestamp) {
        let before = self.sessions.find_or_begin(session).prompted(at, key);
        if let Some(before) =
            before.and_then(|key| self.runs.find(&key)).filter(|before| self.runs.find(key) != Some(*before))
        {
            self.runs.change(before, Run::turn_is_over);
            self.runs.schedule(before, &self.limits);
        }
        self.correct_places(session, at, key, now);
        let of_session = RunKey::Named(session.clone());
        let has_orphans = std::mem::take(&mut self.sessions.find_or_begin(session).has_orphans);
        if of_session != *key && has_orphans && self.runs.find(&of_session).is_some() {
            let joined = self.runs.join(key.clone(), of_session, now);
            self.runs.schedule(joined, &self.limits);
        }
    }

    /// What was taken to be of the prompt before or after, by its time, is of this one.
    fn correct_places(&mut self, session: &Name, at: Timestamp, key: &RunKey, now: Timestamp) {
        let (before, after) = self.sessions.find_or_begin(session).around(at, key);
        let until = after.as_ref().map(|(time, _)| *time);
        let Some(to) = self.runs.find(key) else { return };
        for neighbour in before.into_iter().chain(after.map(|(_, key)| key)) {
            let Some(from) = self.runs.find(&neighbour).filter(|from| *from != to) else { continue };
            let placed = self.runs.change(from, |run| run.give_up_placed(at, until)).unwrap_or_default();
            self.runs.change(to, |run| run.take_placed(placed, now));
        }
        self.runs.schedule(to, &self.limits);
    }

    /// The run of the prompt that a span is of, where its trace does not tell.
    pub(super) fn prompt_of_span(
        &mut self,
        meaning: &Meaning<'_>,
        span: &Span<'_>,
        parent: Option<SpanId>,
        now: Timestamp,
    ) -> Option<RunKey> {
        let session = meaning.session_id.as_ref().or(meaning.conversation_id.as_ref());
        let start = Timestamp::from_unix_nanos(span.start_time_unix_nano);
        if let Some(prompt) = &meaning.prompt_id {
            let key = RunKey::Named(self.names.share(prompt));
            if let Some(session) = session.map(|session| self.names.share(session)) {
                self.sessions.find_or_begin(&session).prompted(start, &key);
            }
            return Some(key);
        }
        let session = self.names.share(session.filter(|_| parent.is_none())?);
        if meaning.op == Op::InvokeAgent {
            let key = TraceId::from_bytes(span.trace_id).map(RunKey::Trace)?;
            self.prompted(&session, start, &key, now);
            return None;
        }
        // What the agent asks for itself has a trace of its own, and is no run.
        let last = self.sessions.find(&session).and_then(|known| known.prompt_at(start).cloned());
        self.sessions.find_or_begin(&session).has_orphans |= last.is_none();
        Some(last.unwrap_or(RunKey::Named(session)))
    }

    fn session_ends(&mut self, session: &Name, at: Timestamp) {
        let session = self.sessions.find_or_begin(session);
        session.ended = session.ended.max(Some(at));
        let prompts: Vec<RunKey> = session.prompts().cloned().collect();
        for ix in prompts.iter().filter_map(|key| self.runs.find(key)).collect::<Vec<_>>() {
            self.runs.change(ix, Run::turn_is_over);
            self.runs.schedule(ix, &self.limits);
        }
    }

    /// Whether the turn of a run is over, as far as its session tells.
    pub(super) fn look_at_session(&mut self, ix: RunIx) {
        let Some(run) = self.runs.get(ix) else { return };
        let Some((session, began)) = run.turn_of_session() else { return };
        let is_it = |key: &RunKey| self.runs.find(key) == Some(ix);
        if self.sessions.find(session).is_some_and(|session| session.is_past(began, is_it)) {
            self.runs.change(ix, Run::turn_is_over);
        }
    }

    /// A judgement of a result, as an event.
    fn evaluation(&mut self, told: &Told<'_>, emitter: &Emitter, now: Timestamp, out: &mut Output) {
        let report = &told.report;
        let Some(name) = EventName::parse("quality.checked") else { return };
        let mut event = Event::named(name, report.at);
        event.observed_at = now;
        (event.trace_id, event.span_id) = (report.trace, report.span);
        if let Some(trace) = report.trace {
            event.event_id = EventId::of_span_fact(trace, told.id, "quality.checked", 0);
        }
        event.source.service = emitter.service.clone();
        event.source.dialect = Some(report.meaning.dialect.into());
        event.data = Data::build(|data| {
            data.opt_f64("score", report.score);
            data.opt_str("label", report.label);
            if let Some(passed) = report.label.and_then(verdict) {
                data.bool("passed", passed);
            }
        });
        if let (Some(trace), Some(span)) = (report.trace, report.span) {
            self.place(&mut event, trace, span, now);
        }
        self.event(event, now, out);
    }
}

/// What a judge's word says, where it says yes or no.
fn verdict(label: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| label.eq_ignore_ascii_case(word));
    match () {
        () if is(&["pass", "passed", "true", "yes"]) => Some(true),
        () if is(&["fail", "failed", "false", "no"]) => Some(false),
        () => None,
    }
}

fn id_of(raw: &[u8]) -> SpanId {
    SpanId::from_bytes(&xxh3_64(raw).to_be_bytes()).unwrap_or(SpanId::FIRST)
}

/// Where what a report tells stands among the nodes of its run.
struct Place {
    id: SpanId,
    parent: Option<SpanId>,
    /// Whether it has the place of the span that the record names, which may still come.
    is_of_span: bool,
    op: Op,
    /// Below which a tool stands that did not run.
    around: Option<SpanId>,
}

impl Place {
    fn of(told: &Told<'_>, run: &mut Run) -> Place {
        let report = &told.report;
        let op = if report.about == About::Decision { Op::ToolPhase } else { report.meaning.op };
        let below = || {
            // An agent that was called by another one tells of its work with an id of its own.
            let agent = report.meaning.agent_id.filter(|_| report.span.is_none());
            agent.map(turn_id).or(report.span)
        };
        match (report.about, report.span) {
            // Its decisions and the ends of its agents are told from within the span of each.
            (About::Decision | About::Agent, Some(span)) if report.dialect.prompt_has_its_span => {
                Place { id: span, parent: run.parent_id(span), is_of_span: true, op, around: None }
            }
            (About::Agent, _) => match report.meaning.agent_id {
                Some(agent) => Place { id: turn_id(agent), parent: None, is_of_span: false, op, around: None },
                None => Place { id: told.id, parent: report.span, is_of_span: false, op, around: None },
            },
            _ => Place { id: told.id, parent: below(), is_of_span: false, op, around: below() },
        }
    }

    /// Whether the report is of a decision against something.
    fn refuses(&self, report: &Report<'_>) -> bool {
        let is_rejected = |aside: &Aside<'_>| matches!(aside, Aside::Decided { decision: Decision::Rejected, .. });
        report.meaning.aside.as_ref().is_some_and(is_rejected)
    }

    fn meaning<'a>(&self, report: &Report<'a>) -> Meaning<'a> {
        let mut meaning = report.meaning.clone();
        meaning.op = self.op;
        if self.op == Op::ToolPhase {
            // The tool has the name, and its own end.
            (meaning.tool_call_id, meaning.canceled, meaning.failure) = (None, false, None);
            (meaning.request_model, meaning.response_model, meaning.provider) = (None, None, None);
            meaning.step_name = Some("decision");
        } else if report.about == About::Decision {
            (meaning.canceled, meaning.failure, meaning.aside) = (true, None, None);
        }
        meaning
    }
}

impl Run {
    fn parent_id(&self, span: SpanId) -> Option<SpanId> {
        let parent = self.node(self.find(span)?).parent?;
        Some(self.node(parent).id)
    }

    /// Puts what a log record told in its place among the rest of the agent's work.
    fn took_report(&mut self, at: NodeIx, report: &Report<'_>, meaning: &Meaning<'_>) {
        let id = call_id(meaning);
        match report.about {
            About::Decision if self.node(at).scope() == Some(Scope::Tool) => {
                self.pair(at, id, true, report.dialect.names_tools);
            }
            About::Call | About::FailedCall | About::Tool => {
                self.pair(at, id, true, report.dialect.names_tools);
                if report.about == About::Tool
                    && meaning.aside.is_some()
                    && let Some(id) = id
                {
                    self.note_decision(id);
                }
            }
            About::Decision => {
                if let Some(id) = report.meaning.tool_call_id {
                    self.note_decision(xxh3_64(id.as_bytes()));
                }
            }
            About::Agent => {
                if let Some(name) = self.node(at).name.clone() {
                    self.say_agent(at, name);
                }
            }
            _ => {}
        }
        if self.node(at).op.is_none() {
            return;
        }
        if let Some(parent) = self.node(at).parent {
            self.begin_called_agent(parent, report);
        } else {
            self.hang(at);
        }
        if matches!(report.about, About::Call | About::FailedCall | About::Tool) {
            self.took_call(at, id);
        }
    }

    /// The agent that this is the work of, where no span and no other record has told of it.
    fn begin_called_agent(&mut self, at: NodeIx, report: &Report<'_>) {
        let known = self.node(at).op.is_some() || report.span.is_some();
        let (Some(name), false) = (report.meaning.agent_name, known) else { return };
        let node = self.node_mut(at);
        (node.op, node.inferred, node.dialect) = (Some(Op::InvokeAgent), true, Some(report.meaning.dialect));
        (node.name, node.agent) = (Some(name.into()), Some(name.into()));
        node.start = report.began();
        self.open_up(at);
        self.hang(at);
    }

    /// Where a part of the run has to do without an agent, because no prompt and no span told of it, something stands in.
    fn stand_in_for_missing(&mut self, now: Timestamp) {
        if !self.has_loose_work() || self.turn_agent().is_some() {
            return;
        }
        let work = self.nodes.iter().filter(|node| node.op.is_some());
        let Some(first) = work.min_by_key(|node| node.start) else { return };
        let (start, dialect) = (first.start, first.dialect);
        if let (Some(dialect), Some(agent)) = (dialect, dialect.and_then(LogDialect::agent_of)) {
            self.begin_turn(turn_id(&self.key.id()), &agent.into(), dialect, start, now);
        }
    }
}
