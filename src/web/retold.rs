//! A run that has left memory, told to a deriver again by its events: so it is shown as it was, as far as they tell. Spans
//! that mean nothing are not among them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::derive::{CallRecord, Deriver, Output, RunTree, Settings, TreeNode};
use crate::dialect::Op;
use crate::event::{Event, EventType, Filter, Scope, SpanId, Timestamp};
use crate::history::StoredRun;
use crate::hub::Hub;

/// What derives runs, and knows one.
pub struct Retold {
    id: String,
    deriver: Deriver,
    /// What only spans tell a deriver.
    steps: HashMap<SpanId, Step>,
}

/// What a step is called, and what it does.
struct Step {
    name: Option<String>,
    op: Option<Op>,
}

impl Retold {
    /// A run of the events that a hub and what is behind it have.
    pub fn of(hub: &Hub, id: &str) -> Retold {
        let events = life_of(hub, id);
        let told = events.iter().filter_map(|event| Some((event.span_id?, event.performance.cost_usd?)));
        let told: HashMap<SpanId, f64> = told.collect();
        let by_rates = tell(&events, &HashSet::new());
        // What calls came to by the rates is shown with these, unless they are others by now.
        let is_other = |call: &CallRecord| {
            let told = told.get(&call.span_id);
            told.is_some_and(|told| call.price.usd().is_none_or(|usd| (usd - told).abs() > told.abs() * 1e-9))
        };
        let calls = by_rates.calls(id).unwrap_or_default();
        let others: HashSet<SpanId> = calls.iter().filter(|call| is_other(call)).map(|call| call.span_id).collect();
        let deriver = if others.is_empty() { by_rates } else { tell(&events, &others) };
        Retold { id: id.to_owned(), deriver, steps: events.iter().filter_map(step).collect() }
    }

    /// The run as a tree.
    pub fn tree(&self, run: &StoredRun) -> RunTree {
        let summary = run.summary();
        let Some(mut tree) = self.deriver.tree(&self.id) else { return RunTree { summary, roots: Vec::new() } };
        (tree.summary.dialect, tree.summary.provisional) = (summary.dialect, false);
        tree.roots.iter_mut().for_each(|node| self.name_steps(node));
        tree
    }

    /// How its cost was made.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.deriver.calls(&self.id).unwrap_or_default()
    }

    fn name_steps(&self, node: &mut TreeNode) {
        if let Some(Step { name, op }) = self.steps.get(&node.span_id) {
            node.name = name.as_deref().map(Into::into).or(node.name.take());
            node.operation = op.map_or(node.operation, Op::as_str);
        }
        node.children.iter_mut().for_each(|node| self.name_steps(node));
    }
}

/// All beginnings and ends of a run, within bounds.
fn life_of(hub: &Hub, id: &str) -> Vec<Event> {
    const MOST: usize = 100_000;
    const AT_ONCE: usize = 5000;
    const PATIENCE: Duration = Duration::from_secs(5);
    let types = ["started", "completed", "failed", "canceled"].map(|kind| ("type", kind));
    let pairs = types.into_iter().chain([("execution", id)]);
    let Ok(filter) = Filter::from_pairs(pairs, Timestamp::default()) else { return Vec::new() };
    let (begun, mut next, mut events) = (Instant::now(), 0, Vec::new());
    while events.len() < MOST && next < hub.head() && begun.elapsed() < PATIENCE {
        let page = hub.read(next, AT_ONCE, &filter);
        events.extend(page.events.iter().map(|(_, record)| record.event().clone()));
        if page.next == next {
            break;
        }
        next = page.next;
    }
    events
}

/// Tells events to a deriver. Of costs it is told those that emitters reported, and those of `others`.
fn tell(events: &[Event], others: &HashSet<SpanId>) -> Deriver {
    let mut deriver = Deriver::new(Settings { wants_events: false, ..Settings::default() });
    let (mut out, mut last) = (Output::default(), Timestamp::default());
    let is_call = |event: &&Event| event.scope == Scope::LlmRequest;
    let has_costs = events.iter().filter(is_call).any(|event| event.performance.cost_usd.is_some());
    for event in events {
        let mut event = event.clone();
        // The times of events are those at which they are told: nothing goes on after the last.
        last = last.max(event.timestamp);
        let is_reported = if event.scope == Scope::LlmRequest || event.data.get("usage_promoted").is_some() {
            event.data.get("price_source").is_none_or(|source| source == "reported")
                || event.span_id.is_none_or(|span| others.contains(&span))
        } else {
            // It is what the calls below come to, if they have costs.
            !has_costs
        };
        if !is_reported {
            event.performance.cost_usd = None;
        }
        deriver.event(event, last, &mut out);
    }
    deriver.finish(last, &mut out);
    deriver
}

fn step(event: &Event) -> Option<(SpanId, Step)> {
    if event.scope != Scope::WorkflowStep || event.event_type == EventType::Progress {
        return None;
    }
    let data = event.data.to_map();
    let name = data.get("step_name").and_then(|name| name.as_str()).map(str::to_owned);
    let op = data.get("step_type").and_then(|kind| kind.as_str()).map(Op::of_operation_name);
    Some((event.span_id?, Step { name, op }))
}
