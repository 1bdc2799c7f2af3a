//! Entering the counters: facts of work that has ended, once each.
//!
//! Counters must not go down, and what a span counts for may change while spans above and below it arrive. So a
//! node enters them when its run has closed, or five seconds after it arrived, whichever is first.

use std::time::Duration;

use super::cost::{Figures, Posting, Price, Unpriced};
use super::names::Name;
use super::node::{NodeIx, Outcome, State};
use super::run::Run;
use crate::dialect::{Op, Usage};
use crate::event::{Scope, SpanId, Timestamp, TraceId};

/// How long a node waits for what may change it.
pub const SETTLE: Duration = Duration::from_secs(5);

/// A piece of work that has entered the counters.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What was done.
    pub kind: FactKind,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its own name: the workflow's, step's, agent's or tool's.
    pub name: Option<Name>,
    /// The agent at work.
    pub agent: Option<Name>,
    /// The tool that ran or below which it happened.
    pub tool: Option<Name>,
    /// What it was for.
    pub feature: Option<Name>,
    /// The task worked on.
    pub task: Option<Name>,
    /// Whether nothing that means anything is above it.
    pub is_root: bool,
    /// What all calls below it cost, where it is a root.
    pub cost_below: Option<f64>,
    /// The span, for exemplars.
    pub span: Option<(TraceId, SpanId)>,
}

/// What a fact is about.
#[derive(Clone, Debug)]
pub enum FactKind {
    /// A run of a workflow.
    Workflow,
    /// A step.
    Step,
    /// A run of an agent.
    AgentRun {
        /// What its emitter says it cost, where no call below it has a price.
        reported_usd: Option<f64>,
    },
    /// A call of a tool.
    ToolCall,
    /// A call of a model that counts.
    Call(Box<CallFact>),
    /// A call that was counted before a deeper one turned up: this much too much.
    Overcounted {
        /// US dollars.
        usd: f64,
    },
}

/// A call of a model.
#[derive(Clone, Debug)]
pub struct CallFact {
    /// What was asked of it.
    pub op: Op,
    /// Whose model it is.
    pub provider: Option<Name>,
    /// The model asked for.
    pub request_model: Option<Name>,
    /// The model that answered, where the emitter says which.
    pub response_model: Option<Name>,
    /// The model that the call is put down to: the one that answered, else the one asked for.
    pub model: Option<Name>,
    /// Its tokens.
    pub usage: Usage,
    /// Its price, or why it has none.
    pub price: Result<Price, Unpriced>,
    /// Seconds until the first piece of the answer.
    pub ttft_s: Option<f64>,
    /// The kind of error, for failed calls.
    pub error_type: Option<Name>,
}

impl Run {
    /// Moves into the counters what arrived before `until`.
    pub fn settle(&mut self, until: Timestamp, out: &mut Vec<Fact>) {
        let ready = self.unsettled.partition_point(|(arrived, _)| *arrived <= until);
        let ready: Vec<NodeIx> = self.unsettled.drain(..ready).map(|(_, at)| at).collect();
        for at in ready {
            self.settle_node(at, out);
        }
        for at in std::mem::take(&mut self.overcounted) {
            let node = self.node_mut(at);
            if !std::mem::take(&mut node.billed) {
                continue;
            }
            let price = node.call.as_ref().and_then(|call| call.price.as_ref().ok());
            if let Some(usd) = price.map(|price| price.usd) {
                out.push(self.fact(at, FactKind::Overcounted { usd }));
            }
        }
    }

    fn settle_node(&mut self, at: NodeIx, out: &mut Vec<Fact>) {
        if std::mem::replace(&mut self.node_mut(at).settled, true) {
            return;
        }
        let node = self.node(at);
        let kind = match node.scope() {
            Some(Scope::Workflow) => FactKind::Workflow,
            Some(Scope::WorkflowStep) => FactKind::Step,
            Some(Scope::Agent) if node.is_agent_run() => FactKind::AgentRun { reported_usd: self.reported_cost(at) },
            Some(Scope::Tool) if self.tool_counts(at) => FactKind::ToolCall,
            Some(Scope::LlmRequest) if self.call_counts(at) => match self.call_fact(at) {
                Some(fact) => {
                    self.node_mut(at).billed = true;
                    FactKind::Call(Box::new(fact))
                }
                None => return,
            },
            _ => return,
        };
        let fact = self.fact(at, kind);
        out.push(fact);
    }

    fn call_fact(&self, at: NodeIx) -> Option<CallFact> {
        let node = self.node(at);
        let call = node.call.as_deref()?;
        Some(CallFact {
            op: node.op?,
            provider: node.provider.clone(),
            request_model: call.request_model.clone(),
            response_model: node.model.clone().filter(|_| call.model_answered),
            model: node.model.clone(),
            usage: call.usage,
            price: call.price.clone(),
            ttft_s: call.ttft_s,
            error_type: call.error_type.clone(),
        })
    }

    fn fact(&self, at: NodeIx, kind: FactKind) -> Fact {
        let node = self.node(at);
        let surroundings = self.surroundings(at);
        let is_root =
            matches!(kind, FactKind::Workflow | FactKind::AgentRun { .. }) && self.parent_of_meaning(at).is_none();
        Fact {
            outcome: node.outcome,
            start: node.start,
            end: node.end,
            name: node.name.clone(),
            agent: self.agent_name(at, &surroundings),
            tool: surroundings.tool.and_then(|tool| self.node(tool).name.clone()),
            cost_below: if is_root { self.cost(at) } else { None },
            is_root,
            feature: surroundings.feature.cloned(),
            task: surroundings.task.cloned(),
            span: self.key.trace_id().map(|trace| (trace, node.id)),
            kind,
        }
    }

    /// What a piece of work has cost with all below it, as far as prices are known.
    fn cost(&self, top: NodeIx) -> Option<f64> {
        let usd = |at: NodeIx| {
            let call = self.node(at).call.as_deref()?;
            let counts = if self.node(at).is_call() { self.call_counts(at) } else { self.reported_cost(at).is_some() };
            call.price.as_ref().ok().filter(|_| counts).map(|price| price.usd)
        };
        let costs = self.subtree(top).into_iter().filter_map(|(at, _)| usd(at));
        costs.fold(None, |sum, usd| Some(sum.unwrap_or(0.0) + usd))
    }

    /// The figures of all work that counts.
    pub fn postings(&self) -> impl Iterator<Item = Posting> {
        (0..self.nodes.len() as NodeIx).filter_map(|at| self.posting(at))
    }

    /// The figures of all of it together.
    pub fn sum(&self) -> Figures {
        let mut sum = Figures::default();
        (0..self.nodes.len() as NodeIx).filter_map(|at| self.figures(at)).for_each(|figures| sum.add(&figures));
        sum
    }

    /// The figures of one node, if it counts, and whose they are.
    pub fn posting(&self, at: NodeIx) -> Option<Posting> {
        let (node, figures) = (self.node(at), self.figures(at)?);
        let surroundings = self.surroundings(at);
        Some(Posting {
            at: node.end,
            model: node.model.clone(),
            agent: self.agent_name(at, &surroundings),
            tool: surroundings.tool.and_then(|tool| self.node(tool).name.clone()),
            feature: surroundings.feature.cloned(),
            figures,
        })
    }

    /// The figures of one node, if it counts.
    pub fn figures(&self, at: NodeIx) -> Option<Figures> {
        let node = self.node(at);
        let mut figures = Figures::default();
        let failed = node.outcome != Outcome::Completed;
        match node.scope()? {
            Scope::LlmRequest if self.call_counts(at) => self.post_call(at, failed, &mut figures),
            Scope::Tool if self.tool_counts(at) => (figures.tool_calls, figures.tool_failed) = (1, u64::from(failed)),
            Scope::Agent if node.is_agent_run() && matches!(node.state, State::Ended | State::GivenUp) => {
                (figures.agent_runs, figures.agent_failed) = (1, u64::from(failed));
                figures.cost_usd = self.reported_cost(at);
            }
            _ => return None,
        }
        Some(figures)
    }

    /// The cost that an agent's own end reports, which counts only where no call below it has a price.
    fn reported_cost(&self, at: NodeIx) -> Option<f64> {
        let reported = self.node(at).call.as_ref()?.price.as_ref().ok()?.usd;
        let is_priced = |call: NodeIx| {
            let price = self.node(call).call.as_ref().map(|call| &call.price);
            matches!(price, Some(Ok(_))) && self.call_counts(call)
        };
        let priced_below = self.subtree(at).into_iter().any(|(call, _)| is_priced(call));
        (!priced_below).then_some(reported)
    }

    fn post_call(&self, at: NodeIx, failed: bool, figures: &mut Figures) {
        let node = self.node(at);
        let Some(call) = node.call.as_deref() else { return };
        if node.op == Some(Op::Embeddings) {
            figures.embedding_calls = u64::from(!failed);
            figures.embedding_tokens = call.usage.input;
        } else {
            (figures.llm_calls, figures.llm_failed) = (u64::from(!failed), u64::from(failed));
            figures.input_tokens = call.usage.input;
            figures.output_tokens = call.usage.output;
            figures.cache_read_tokens = call.usage.cache_read;
            figures.cache_write_tokens = call.usage.cache_write;
            figures.reasoning_tokens = call.usage.reasoning;
        }
        match &call.price {
            Ok(price) => figures.cost_usd = Some(price.usd),
            // A call that failed before any token costs nothing that anyone could know.
            Err(Unpriced::NoUsage) if failed => {}
            Err(_) => figures.unpriced_calls = 1,
        }
    }
}
