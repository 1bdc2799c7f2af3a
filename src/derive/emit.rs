//! From nodes to events: what began and what ended, in the order in which it happened.
//!
//! A span's content is not kept with its node. Its bytes are, until its surroundings are known or a moment has
//! passed, and are read a second time when the events are built.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::held::Held;
use super::lineage::Surroundings;
use super::names::Name;
use super::node::{Node, NodeIx, Outcome, State, Told};
use super::run::Run;
use super::totals::{Totals, has_totals};
use crate::dialect::{Attributes, Content, Habits, Lexicon, Op, Usage};
use crate::event::catalogue::{lifecycle, status_after};
use crate::event::{
    ComponentId, Data, Dimensions, Event, EventId, EventName, EventType, Identity, JsonObject, NO_REASON, Performance,
    Priority, Scope, Source, Status, Timestamp,
};

/// A beginning or an end to tell. They are put in order before they become events, which are large. At the same
/// moment what is outside begins first and ends last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at: Timestamp,
    is_end: bool,
    depth: i64,
    teller: usize,
}

impl Run {
    /// Builds the events of the held spans whose surroundings are known, or which have waited for `patience`, in
    /// the order in which they happened.
    pub fn tell(
        &mut self,
        lexicon: &Lexicon,
        habits: &mut Habits,
        now: Timestamp,
        patience: Duration,
        out: &mut Vec<Event>,
    ) {
        if self.told_elsewhere {
            self.held.clear();
            self.undecided.clear();
        }
        let mut ready = self.take_ready(now, patience);
        if ready.is_empty() {
            return;
        }
        let waiting = self.held.len();
        for held in &ready {
            self.place_in_surroundings(held.at, now);
        }
        // Agents that were made up on the way, to be told of with the work that gave them away.
        ready.extend(self.held.drain(waiting..));
        self.number(&ready);
        if ready.iter().any(|held| self.hands_off(held.at)) {
            self.index_agents();
        }
        let totals = self.totals(&ready);
        let execution = self.key.id();
        let mut attributes = Attributes::with(std::mem::take(habits));
        let mut loops = std::mem::take(&mut self.loops);
        let mut tellers: Vec<Teller<'_>> = Vec::with_capacity(ready.len());
        let mut moments: Vec<Moment> = Vec::with_capacity(ready.len() * 2);
        let mut workflows = WorkflowIds::default();
        for held in &ready {
            let surroundings = self.surroundings(held.at);
            let (node, depth) = (self.node(held.at), i64::from(surroundings.depth));
            if !node.told.start {
                moments.push(Moment { at: span_start(node), is_end: false, depth, teller: tellers.len() });
            }
            if !node.told.end && node.state == State::Ended {
                moments.push(Moment { at: node.end, is_end: true, depth: -depth, teller: tellers.len() });
            }
            let content = node.op.map(|op| held.read(op, lexicon, &mut attributes)).unwrap_or_default();
            let workflows = workflows.of(self, &surroundings);
            tellers.push(Teller { run: self, held, surroundings, workflows, execution: &execution, content, now });
        }
        moments.sort_unstable();
        for moment in &moments {
            let teller = &tellers[moment.teller];
            if moment.is_end {
                teller.ways_within(out);
                out.push(teller.end(totals.get(&teller.held.at)));
                teller.besides(out);
                put(out, teller.repeated(&mut loops));
            } else {
                out.push(teller.start());
            }
        }
        let says = |teller: &Teller<'_>| (teller.content.input.is_some(), teller.content.output.is_some());
        let says: Vec<(bool, bool)> = tellers.iter().map(says).collect();
        *habits = attributes.into_habits();
        self.loops = loops;
        for (held, (input, output)) in ready.iter().zip(says) {
            let node = self.node_mut(held.at);
            let before = node.told;
            node.told = Told {
                start: true,
                end: before.end || node.state == State::Ended,
                input: before.input || input,
                output: before.output || output,
            };
        }
    }

    /// An event of a node of which there is no span to read.
    pub fn bare_event(&self, at: NodeIx, event_type: EventType, now: Timestamp) -> Option<Event> {
        self.bare_event_at(at, event_type, self.node(at).end, now)
    }

    /// The same, of another moment than its end.
    pub fn bare_event_at(&self, at: NodeIx, event_type: EventType, time: Timestamp, now: Timestamp) -> Option<Event> {
        self.node(at).scope()?;
        let held = Held::of_run(self, at, now);
        let content = Content::default();
        let (surroundings, execution) = (self.surroundings(at), &self.key.id());
        let workflows = WorkflowIds::default().of(self, &surroundings);
        let teller = Teller { run: self, held: &held, surroundings, workflows, execution, content, now };
        Some(teller.event(event_type, time))
    }

    /// Numbers calls within their agent and steps within their workflow, in the order in which they began.
    fn number(&mut self, ready: &[Held]) {
        let mut unnumbered: Vec<NodeIx> = ready.iter().map(|held| held.at).collect();
        unnumbered.retain(|at| self.node(*at).number.is_none());
        unnumbered.sort_by_key(|at| self.node(*at).start);
        for at in unnumbered {
            let surroundings = self.surroundings(at);
            let number = match (self.node(at).scope(), surroundings.agent, surroundings.workflow) {
                (Some(Scope::LlmRequest), Some(agent), _) => next(&mut self.node_mut(agent).next_call),
                (Some(Scope::LlmRequest), None, _) => next(&mut self.next_call),
                (Some(Scope::WorkflowStep), _, Some(workflow)) => next(&mut self.node_mut(workflow).next_step),
                (Some(Scope::WorkflowStep), _, None) => next(&mut self.next_step),
                _ => continue,
            };
            self.node_mut(at).number = Some(number);
        }
    }
}

/// Puts an event at the end, if there is one. An event is large, and `extend` would move it where there is none as well.
pub fn put(out: &mut Vec<Event>, event: Option<Event>) {
    if let Some(event) = event {
        out.push(event);
    }
}

fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter += 1;
    number
}

fn span_start(node: &Node) -> Timestamp {
    // A clock that ran backwards within a span must not let it end before it began.
    node.start.min(node.end)
}

/// The ids of workflows as events have them, written once for all of the work in a row that is of the same.
#[derive(Default)]
struct WorkflowIds([Option<(NodeIx, Name)>; 2]);

impl WorkflowIds {
    fn of(&mut self, run: &Run, surroundings: &Surroundings<'_>) -> [Option<Name>; 2] {
        let mut ids = [None, None];
        let wanted = [surroundings.workflow, surroundings.outer_workflow];
        for ((id, known), wanted) in ids.iter_mut().zip(&mut self.0).zip(wanted) {
            let Some(wanted) = wanted else { continue };
            if known.as_ref().is_none_or(|(at, _)| *at != wanted) {
                *known = Some((wanted, run.node(wanted).id.to_string().into()));
            }
            *id = known.as_ref().map(|(_, id)| id.clone());
        }
        ids
    }
}

/// Builds the events of one node.
pub struct Teller<'r> {
    pub run: &'r Run,
    held: &'r Held,
    pub surroundings: Surroundings<'r>,
    /// The ids of the nearest workflow and of the one around that.
    workflows: [Option<Name>; 2],
    execution: &'r Name,
    pub content: Content<'r>,
    now: Timestamp,
}

/// What one event says that others of the same work do not.
#[derive(Default)]
struct Said {
    message: Option<Arc<str>>,
    performance: Performance,
    data: Data,
}

impl Teller<'_> {
    fn start(&self) -> Event {
        let content = &self.content;
        let node = self.node();
        let data = Data::build(|data| {
            self.name_the_work(data);
            if let Some(system) = &content.system {
                system.put(data, "system_instructions");
            }
            if let Some(input) = &content.input {
                input.put(data, input_key(node));
            }
            data.opt_str("call_id", content.tool_call_id);
            if let Some(stream) = content.stream.filter(|_| node.is_call()) {
                data.bool("stream", stream);
            }
        });
        self.event_that_says(EventType::Started, span_start(node), Said { data, ..Said::default() })
    }

    fn end(&self, totals: Option<&Totals>) -> Event {
        let node = self.node();
        let event_type = match node.outcome {
            Outcome::Completed => EventType::Completed,
            Outcome::Failed | Outcome::Lost => EventType::Failed,
            Outcome::Canceled => EventType::Canceled,
        };
        let reason = || crate::event::message(node.error.as_deref().unwrap_or(NO_REASON));
        let said = Said {
            message: (node.outcome == Outcome::Failed).then(reason),
            performance: self.performance(totals),
            data: Data::build(|data| self.say_end(data, totals)),
        };
        self.event_that_says(event_type, node.end, said)
    }

    /// What an end says of the work.
    fn say_end(&self, data: &mut JsonObject<'_>, totals: Option<&Totals>) {
        let content = &self.content;
        let node = self.node();
        let promoted = self.run.promoted(self.held.at);
        self.name_the_work(data);
        if let Some(output) = &content.output {
            output.put(data, output_key(node));
        }
        data.opt_str("call_id", content.tool_call_id);
        data.opt_str("finish_reason", content.finish_reason.as_deref());
        data.opt_str("response_id", content.response_id);
        data.opt_f64("last_exit_ms", content.last_exit_ms);
        if let Some(totals) = totals.filter(|_| has_totals(node)) {
            data.u64("llm_calls", totals.llm_calls);
            data.u64("tool_calls", totals.tool_calls);
            data.opt_u64("total_tokens", totals.tokens.or_else(|| promoted?.usage.total()));
        }
        let does_not_count = match node.scope() {
            Some(Scope::Tool) => node.has_ended() && !self.run.tool_counts(self.held.at),
            Some(Scope::Agent) => !self.run.agent_counts(self.held.at),
            _ => false,
        };
        if does_not_count {
            data.bool("counted", false);
        }
        if promoted.is_some() {
            data.bool("usage_promoted", true);
        }
        if let Some(call) = node.call.as_deref().filter(|_| node.is_call() || promoted.is_some()) {
            if node.below.tokens {
                data.bool("billed", false);
            }
            match call.price.source() {
                Ok(source) => data.word("price_source", source.as_str()),
                Err(unpriced) => data.word("unpriced", unpriced.as_str()),
            }
        }
    }

    pub fn at(&self) -> NodeIx {
        self.held.at
    }

    pub fn node(&self) -> &Node {
        self.run.node(self.held.at)
    }

    /// An event of this name that happened with the work.
    pub fn event_named(&self, name: &'static str, scope: Scope, event_type: EventType) -> Option<Event> {
        let mut event = self.event(event_type, self.node().end);
        event.name = EventName::parse(name)?;
        (event.scope, event.status) = (scope, status_after(event_type));
        event.component_id = match self.run.agent_name(self.held.at, &self.surroundings).cloned() {
            Some(agent) if scope == Scope::Agent => ComponentId::Agent(agent),
            _ => self.component(scope),
        };
        if let Some(trace) = event.trace_id {
            event.event_id = EventId::of_span_fact(trace, self.node().id, name, 0);
        }
        Some(event)
    }

    /// What the catalogue wants in the payload to name the work.
    fn name_the_work(&self, data: &mut JsonObject<'_>) {
        let node = self.node();
        if node.inferred {
            data.bool("inferred", true);
        }
        let name = node.name.as_deref();
        match node.scope() {
            Some(Scope::WorkflowStep) => {
                data.opt_str("step_name", name);
                data.opt_str("step_type", node.op.filter(|op| *op != Op::Step).map(Op::as_str));
            }
            Some(Scope::Tool) => data.opt_str("tool_name", name),
            Some(Scope::LlmRequest) => node.op.into_iter().for_each(|op| data.word("operation", op.as_str())),
            Some(Scope::Agent) if !node.is_agent_run() => {
                node.op.into_iter().for_each(|op| data.word("operation", op.as_str()))
            }
            Some(Scope::Workflow | Scope::Agent | Scope::System) | None => {}
        }
    }

    fn performance(&self, totals: Option<&Totals>) -> Performance {
        let node = self.node();
        let mut performance = Performance {
            duration_ms: Some(node.duration_micros() as f64 / 1000.0),
            success: Some(node.outcome == Outcome::Completed),
            ..Performance::default()
        };
        if let Some(call) = node.call.as_deref().filter(|_| node.is_call()) {
            put_tokens(&mut performance, &call.usage);
            performance.ttft_ms = call.ttft_s.map(|seconds| seconds * 1000.0);
            // A call that a deeper call bills shows its tokens, and leaves the cost to the one that counts.
            performance.cost_usd = call.price.usd().filter(|_| !node.below.tokens);
        } else if has_totals(node) {
            if let Some(calls) = self.run.promoted(self.held.at) {
                put_tokens(&mut performance, &calls.usage);
            }
            let below = totals.and_then(|totals| totals.cost_usd);
            performance.cost_usd = below.or_else(|| self.run.figures(self.held.at)?.cost_usd);
        }
        performance
    }

    pub fn event(&self, event_type: EventType, timestamp: Timestamp) -> Event {
        self.event_that_says(event_type, timestamp, Said::default())
    }

    /// The same, with what it says. An event is large, so it is made at once instead of being filled in.
    fn event_that_says(&self, event_type: EventType, timestamp: Timestamp, said: Said) -> Event {
        let node = self.node();
        let scope = node.scope().unwrap_or(Scope::System);
        let name = lifecycle(scope, event_type);
        let trace_id = self.run.trace_of(self.held.at);
        let event_id = match trace_id {
            Some(trace) => EventId::of_span_fact(trace, node.id, name.as_str(), 0),
            None => EventId::new_random(),
        };
        let status = if node.outcome == Outcome::Lost { Status::Lost } else { status_after(event_type) };
        Event {
            event_id,
            name,
            scope,
            event_type,
            status,
            component_id: self.component(scope),
            timestamp,
            observed_at: self.now,
            message: said.message,
            trace_id,
            span_id: Some(node.id),
            parent_span_id: node.parent.map(|parent| self.run.node(parent).id),
            identity: self.identity(),
            dimensions: self.dimensions(scope),
            priority: Priority::default(),
            ttl_s: None,
            tags: Vec::new(),
            performance: said.performance,
            data: said.data,
            source: Source {
                kind: self.run.source,
                dialect: node.dialect.map(Cow::Borrowed),
                instance: self.held.instance.clone(),
                service: self.held.service.clone(),
            },
        }
    }

    fn component(&self, scope: Scope) -> ComponentId {
        let node = self.node();
        let own = || node.name.clone();
        let service = || self.held.service.clone();
        let number = node.number.unwrap_or(0);
        match scope {
            Scope::Workflow => ComponentId::Workflow(own().unwrap_or_else(|| "workflow".into())),
            Scope::WorkflowStep => {
                let workflow = self.surroundings.workflow.and_then(|at| self.run.node(at).name.clone());
                ComponentId::Step { workflow: workflow.or_else(service).unwrap_or_else(|| "workflow".into()), number }
            }
            Scope::Agent => ComponentId::Agent(own().unwrap_or_else(|| "agent".into())),
            Scope::LlmRequest => {
                let agent = self.run.agent_name(self.held.at, &self.surroundings).cloned();
                ComponentId::Llm { agent: agent.or_else(service).unwrap_or_else(|| "unknown".into()), number }
            }
            Scope::Tool => ComponentId::Tool { name: own().unwrap_or_else(|| "tool".into()), number: None },
            Scope::System => ComponentId::System("span".into()),
        }
    }

    fn identity(&self) -> Identity {
        let [workflow_id, parent_workflow_id] = self.workflows.clone();
        let labels = self.node().labels.as_deref();
        let label = |pick: fn(&super::node::Labels) -> &Option<Name>| {
            labels.and_then(|labels| pick(labels).clone()).or_else(|| pick(&self.run.labels).clone())
        };
        Identity {
            workflow_id,
            parent_workflow_id,
            execution_id: Some(self.execution.clone()),
            conversation_id: label(|labels| &labels.conversation),
            session_id: label(|labels| &labels.session),
            user_id: label(|labels| &labels.user),
            correlation_id: None,
            task_id: self.surroundings.task.cloned(),
        }
    }

    fn dimensions(&self, scope: Scope) -> Dimensions {
        let node = self.node();
        Dimensions {
            feature: self.surroundings.feature.cloned(),
            agent: self.run.agent_name(self.held.at, &self.surroundings).cloned(),
            model: node.model.clone(),
            provider: node.provider.clone(),
            tool: node.name.clone().filter(|_| scope == Scope::Tool),
        }
    }
}

fn put_tokens(performance: &mut Performance, usage: &Usage) {
    performance.input_tokens = usage.input;
    performance.output_tokens = usage.output;
    performance.cache_read_tokens = usage.cache_read;
    performance.cache_write_tokens = usage.cache_write;
    performance.reasoning_tokens = usage.reasoning;
}

fn input_key(node: &Node) -> &'static str {
    match node.scope() {
        Some(Scope::LlmRequest) => "messages",
        Some(Scope::Tool) => "arguments",
        _ => "input",
    }
}

fn output_key(node: &Node) -> &'static str {
    match node.scope() {
        Some(Scope::LlmRequest) => "response",
        Some(Scope::Tool) => "result",
        _ => "output",
    }
}
