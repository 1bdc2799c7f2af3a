//! Events from outside: what an agent's own layer, or any program over HTTP, says of its work.
//!
//! Such an event goes on to the sinks as it is. On its way it opens and closes the node of its work, so that
//! what is in flight shows, and so that a span which arrives later tells nothing twice.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::cost::{Call as PricedCall, Price, Prices};
use super::names::Name;
use super::node::{Call, Labels, NodeIx, Outcome, State};
use super::run::{Run, RunKey};
use super::{Deriver, Output};
use crate::dialect::{Op, Usage};
use crate::event::catalogue::lifecycle;
use crate::event::{Event, EventId, EventType, Scope, SourceKind, SpanId, Timestamp};

impl Deriver {
    /// Takes an event from outside in and passes it on, unless it is a duplicate or came too late.
    pub fn event(&mut self, event: Event, now: Timestamp, out: &mut Output) {
        if event.is_expired(now) {
            self.counts.expired_events += 1;
            return;
        }
        if !self.seen.is_new(event.event_id) {
            self.counts.duplicate_events += 1;
            return;
        }
        self.counts.malformed_component_ids += u64::from(!event.component_id.is_well_formed());
        let is_new = self.absorb(&event, now, out);
        if !is_new {
            self.counts.duplicate_events += 1;
            return;
        }
        out.from_outside.push(out.events.len());
        out.events.push(event);
    }

    /// Brings the run up to date; whether the event says anything that was not known from the span itself.
    fn absorb(&mut self, event: &Event, now: Timestamp, out: &mut Output) -> bool {
        let Some(key) = run_key(event) else { return true };
        if !speaks_of_life(event) {
            // A sign of life of the run, even if not of one of its parts.
            if let Some(ix) = self.runs.find(&key) {
                self.runs.change(ix, |run| {
                    run.last_seen = now;
                    run.hear_of_people(event);
                });
                self.runs.schedule(ix, &self.limits);
            }
            return true;
        }
        let ix = self.runs.find_or_begin(key, now);
        let (names, prices) = (&mut self.names, &mut self.prices);
        // What a library of ours tells, it has looked through for loops itself.
        let looks_for_loops =
            self.wants_events && (event.source.kind != SourceKind::Layer || self.source == SourceKind::Layer);
        let is_new = self.runs.change(ix, |run| {
            (run.last_seen, run.closed, run.lost) = (now, false, false);
            let at = run.node_of_event(event);
            let told = run.node(at).told;
            let known = match event.event_type {
                EventType::Started => told.start,
                EventType::Progress => false,
                EventType::Completed | EventType::Failed | EventType::Canceled => told.end,
            };
            if known {
                return false;
            }
            run.describe(at, event, &mut |name| names.share(name));
            match event.event_type {
                EventType::Started | EventType::Progress => run.begin(at, event),
                EventType::Completed | EventType::Failed | EventType::Canceled => {
                    run.finish(at, event, now, prices);
                }
            }
            let repeated = looks_for_loops.then(|| run.repeated_by_events(at, event, now)).flatten();
            out.events.extend(repeated);
            true
        });
        self.runs.schedule(ix, &self.limits);
        self.keep_within_bounds(now, out);
        is_new.unwrap_or(true)
    }
}

/// Whether the event is about the beginning, progress or end of a piece of work, by its name.
fn speaks_of_life(event: &Event) -> bool {
    event.scope != Scope::System && event.name == lifecycle(event.scope, event.event_type)
}

/// By trace where there is one, else by what the event names; events that name nothing are of no run.
fn run_key(event: &Event) -> Option<RunKey> {
    let identity = &event.identity;
    event.trace_id.map(RunKey::Trace).or_else(|| {
        let named = identity.execution_id.as_ref().or(identity.workflow_id.as_ref()).or(identity.task_id.as_ref());
        named.map(|name| RunKey::Named(name.clone()))
    })
}

impl Run {
    /// The node that an event speaks of: its span's, or, without span ids, the open one of the same component,
    /// or a new one.
    fn node_of_event(&mut self, event: &Event) -> NodeIx {
        if let Some(span) = event.span_id {
            let at = self.find_or_expect(span);
            if let Some(parent) = event.parent_span_id
                && self.node(at).parent.is_none()
            {
                self.link(at, parent);
            }
            return at;
        }
        let name = own_name(event);
        let same = |run: &Run, at: &NodeIx| {
            let node = run.node(*at);
            node.scope() == Some(event.scope) && name.as_deref().is_none_or(|name| node.name.as_deref() == Some(name))
        };
        let open = self.open().find(|at| same(self, at));
        if let (Some(open), false) = (open, event.event_type == EventType::Started) {
            return open;
        }
        let parent = self.open_parent(event);
        let seed = format!("{}\0{}\0{}", event.scope, event.component_id, self.nodes.len());
        let id = SpanId::from_bytes(&xxh3_64(seed.as_bytes()).to_be_bytes());
        let at = match id {
            Some(id) => self.find_or_expect(id),
            None => 0,
        };
        if let Some(parent) = parent {
            let parent = self.node(parent).id;
            self.link(at, parent);
        }
        at
    }

    /// Where work without span ids hangs: calls below their agent, agents below their step, all below the
    /// workflow.
    fn open_parent(&self, event: &Event) -> Option<NodeIx> {
        let open = |scope: Scope, name: Option<&str>| {
            let fits = |at: &NodeIx| {
                let node = self.node(*at);
                node.scope() == Some(scope) && name.is_none_or(|name| node.name.as_deref() == Some(name))
            };
            self.open().find(fits)
        };
        let agent = event.dimensions.agent.as_deref();
        match event.scope {
            Scope::LlmRequest | Scope::Tool => agent
                .and_then(|agent| open(Scope::Agent, Some(agent)))
                .or_else(|| open(Scope::WorkflowStep, None))
                .or_else(|| open(Scope::Workflow, None)),
            Scope::Agent => open(Scope::WorkflowStep, None).or_else(|| open(Scope::Workflow, None)),
            Scope::WorkflowStep => open(Scope::Workflow, None),
            Scope::Workflow | Scope::System => None,
        }
    }

    /// Writes down what the event says of the work, where nothing better is known.
    fn describe(&mut self, at: NodeIx, event: &Event, share: &mut impl FnMut(&str) -> Name) {
        if self.service.is_none() {
            self.service = event.source.service.as_deref().map(&mut *share);
        }
        let (identity, dimensions) = (&event.identity, &event.dimensions);
        let to_whom = [&identity.conversation_id, &identity.session_id, &identity.user_id].map(Option::as_deref);
        let own = Labels {
            task: identity.task_id.clone(),
            feature: dimensions.feature.clone(),
            tags: (!event.tags.is_empty()).then(|| event.tags.as_slice().into()),
            ..Labels::default()
        };
        self.label(at, to_whom, Some(own));
        self.has_meaning = true;
        let node = self.node_mut(at);
        node.op = node.op.or(Some(default_op(event.scope)));
        let fill = |slot: &mut Option<Name>, value: Option<&str>, share: &mut dyn FnMut(&str) -> Name| {
            if let (None, Some(value)) = (&slot, value) {
                *slot = Some(share(value));
            }
        };
        fill(&mut node.name, own_name(event).as_deref(), share);
        fill(&mut node.agent, event.dimensions.agent.as_deref(), share);
        fill(&mut node.model, event.dimensions.model.as_deref(), share);
        fill(&mut node.provider, event.dimensions.provider.as_deref(), share);
    }

    fn begin(&mut self, at: NodeIx, event: &Event) {
        let node = self.node_mut(at);
        node.told.start |= event.event_type == EventType::Started;
        node.has_teller |= event.source.kind == SourceKind::Layer;
        match node.state {
            State::Expected => node.start = event.timestamp,
            State::GivenUp => node.outcome = Outcome::Completed,
            State::Open { .. } | State::Ended => return,
        }
        self.open_up(at);
    }

    fn finish(&mut self, at: NodeIx, event: &Event, now: Timestamp, prices: &mut Prices) {
        let node = self.node_mut(at);
        node.told = super::node::Told { start: true, end: true, ..node.told };
        if node.state == State::Ended {
            return;
        }
        let duration = event.performance.duration_ms.map(|ms| crate::duration::from_seconds(ms / 1000.0));
        if node.state == State::Expected {
            node.start = duration.map_or(event.timestamp, |duration| event.timestamp.minus(duration));
        }
        node.end = event.timestamp.max(node.start);
        node.outcome = match event.event_type {
            EventType::Failed => Outcome::Failed,
            EventType::Canceled => Outcome::Canceled,
            _ => Outcome::Completed,
        };
        if node.outcome == Outcome::Failed {
            node.error.clone_from(&event.message);
        }
        node.call = call_of(event, prices);
        self.advance(at, State::Ended);
        self.unsettled.push((now, at));
        if self.node(at).is_call() {
            self.spread(at);
        } else if self.node(at).told_usd().is_some() {
            self.count_only_here(at);
        }
    }

    /// A cost that an agent tells holds those that agents below it told.
    pub fn count_only_here(&mut self, at: NodeIx) {
        if self.node(at).below.priced {
            return;
        }
        for (below, _) in self.subtree(at).into_iter().skip(1) {
            if self.node(below).billed && self.node(below).told_usd().is_some() {
                self.overcounted.push(below);
            }
        }
    }

    /// Gives up on open work.
    pub fn lose(&mut self, at: NodeIx, now: Timestamp) -> Option<Event> {
        let last_seen = self.last_seen;
        let node = self.node_mut(at);
        node.outcome = Outcome::Lost;
        node.end = last_seen.max(node.start);
        self.advance(at, State::GivenUp);
        if self.node(at).is_agent_run() {
            self.unsettled.push((now, at));
        }
        let mut event = self.bare_event(at, EventType::Failed, now)?;
        // Sequence 1: should the work come back to life and fail in earnest, that is another event.
        if let Some(trace) = self.trace_of(at) {
            event.event_id = EventId::of_span_fact(trace, self.node(at).id, event.name.as_str(), 1);
        }
        event.message = Some("lost: it began, never ended, and nothing was heard of it since".into());
        Some(event)
    }
}

/// The work's own name, as the component id, a dimension or, of a step, the payload gives it.
fn own_name(event: &Event) -> Option<Cow<'_, str>> {
    use crate::event::ComponentId;
    match &event.component_id {
        ComponentId::Workflow(name) | ComponentId::Agent(name) | ComponentId::Tool { name, .. } => {
            Some(Cow::from(&**name))
        }
        ComponentId::Step { .. } | ComponentId::Llm { .. } | ComponentId::System(_) => match event.scope {
            Scope::WorkflowStep => Some(event.data.get("step_name")?.as_str()?.to_owned().into()),
            Scope::Agent => event.dimensions.agent.as_deref().map(Cow::from),
            Scope::Tool => event.dimensions.tool.as_deref().map(Cow::from),
            Scope::Workflow | Scope::LlmRequest | Scope::System => None,
        },
        ComponentId::Verbatim(text) => Some(Cow::from(&**text)),
    }
}

fn default_op(scope: Scope) -> Op {
    match scope {
        Scope::Workflow => Op::InvokeWorkflow,
        Scope::Agent => Op::InvokeAgent,
        Scope::LlmRequest => Op::Chat,
        Scope::Tool => Op::ExecuteTool,
        Scope::WorkflowStep | Scope::System => Op::Step,
    }
}

/// The tokens and the price of a call, or what an agent tells of the calls below it.
fn call_of(event: &Event, prices: &mut Prices) -> Option<Box<Call>> {
    let performance = &event.performance;
    let usage = Usage {
        input: performance.input_tokens,
        output: performance.output_tokens,
        cache_read: performance.cache_read_tokens,
        cache_write: performance.cache_write_tokens,
        reasoning: performance.reasoning_tokens,
        ..Usage::default()
    };
    let price = match (event.scope, performance.cost_usd) {
        (Scope::LlmRequest | Scope::Agent, reported_usd) if usage.is_known() || event.scope == Scope::LlmRequest => {
            let call = PricedCall {
                provider: event.dimensions.provider.as_deref(),
                response_model: event.dimensions.model.as_deref(),
                request_model: None,
                service_tier: None,
                at: event.timestamp,
                usage: &usage,
            };
            prices.price(&call, reported_usd)
        }
        (Scope::Agent, Some(reported_usd)) => Price::of_work(Some(reported_usd)),
        _ => return None,
    };
    Some(Box::new(Call {
        usage,
        price,
        request_model: None,
        // An event that tells of a call names the model that did it.
        model_answered: true,
        ttft_s: performance.ttft_ms.map(|ms| ms / 1000.0),
        error_type: None,
        running: None,
    }))
}
