//! Entering the counters: facts of work that has ended, once each.
//!
//! Counters must not go down, and what a span counts for may change while spans above and below it arrive. So a
//! node enters them five seconds after it arrived if all above it is known by then, and otherwise when it is, when its
//! run has closed, or after some minutes, whichever is first.

use super::cost::{By, CallCost, Figures, LeftOut, Posting, Price, Reason, ReportBuilder};
use super::names::Name;
use super::node::{Happened, NodeIx, Outcome, State};
use super::run::Run;
use super::runs::Limits;
use crate::dialect::{Op, Usage};
use crate::event::{Decision, Scope, SpanId, Timestamp, TraceId};

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
        /// What its emitter says it cost, where no call below it has a price, and neither have tokens that it tells.
        reported_usd: Option<f64>,
        /// When it waited for people, who were asked within it.
        waited: Vec<(Timestamp, Timestamp)>,
    },
    /// A time, that of the fact, in which a run of an agent waited for people: it became known after the run was counted.
    Waited,
    /// A call of a tool.
    ToolCall,
    /// A call of a model that counts.
    Call(Box<CallFact>),
    /// The calls of an agent that nobody else tells of, of which it tells the tokens.
    Promoted {
        /// What they took together.
        calls: Box<CallFact>,
        /// What of their cost counts: nothing where an agent above tells it.
        usd: Option<f64>,
    },
    /// Work on a task, told when its run is over: its fact has the task, or is one itself.
    TaskWork {
        /// What it cost with all below it, as far as prices are known.
        usd: Option<f64>,
        /// Whether nothing is above it, so that the task is done if it went well.
        ends_it: bool,
    },
    /// Work on a task that was told before has cost more, or less, than was known then.
    TaskCost {
        /// US dollars.
        usd: f64,
    },
    /// A decision that was told with a span.
    Decision {
        /// Who decided.
        reviewer: &'static str,
        /// How.
        decision: Decision,
        /// Of a person: the seconds until then, if they were measured.
        waited_s: Option<f64>,
    },
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
    /// What is known of its price.
    pub price: Price,
    /// Seconds until the first piece of the answer.
    pub ttft_s: Option<f64>,
    /// The kind of error, for failed calls.
    pub error_type: Option<Name>,
}

/// Less is only rounding.
const LEAST_USD: f64 = 1e-12;

impl Run {
    /// Moves into the counters what has waited long enough: a few seconds, or, where not all is known of what it hangs
    /// below, until it is or until nobody waits any more.
    pub fn settle(&mut self, now: Timestamp, limits: &Limits, out: &mut Vec<Fact>) {
        let arrived_by = |list: &[(Timestamp, NodeIx)], time: Timestamp| list.partition_point(|(at, _)| *at <= time);
        let due = arrived_by(&self.unsettled, now.minus(limits.settled));
        if due == 0 && self.waiting.is_empty() && self.overcounted.is_empty() {
            return;
        }
        let due: Vec<(Timestamp, NodeIx)> = self.unsettled.drain(..due).collect();
        let expired = arrived_by(&self.waiting, now.minus(limits.settle));
        let mut ready: Vec<NodeIx> = self.waiting.drain(..expired).map(|(_, at)| at).collect();
        if std::mem::take(&mut self.gap_closed_for_counters) {
            let mut waiting = std::mem::take(&mut self.waiting);
            ready.extend(waiting.extract_if(.., |(_, at)| self.is_complete_above(*at)).map(|(_, at)| at));
            self.waiting = waiting;
        }
        for (arrived, at) in due {
            match self.is_complete_above(at) {
                true => ready.push(at),
                false => self.waiting.push((arrived, at)),
            }
        }
        ready.into_iter().for_each(|at| self.settle_node(at, now, out));
        self.settle_overcounted(out);
    }

    /// Moves everything into the counters, and into the tasks that it is of: the run is over.
    pub fn settle_all(&mut self, now: Timestamp, out: &mut Vec<Fact>) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut unsettled = std::mem::take(&mut self.unsettled);
        waiting.iter().chain(&unsettled).for_each(|(_, at)| self.settle_node(*at, now, out));
        // What was inferred on the way.
        let inferred = std::mem::take(&mut self.unsettled);
        inferred.iter().for_each(|(_, at)| self.settle_node(*at, now, out));
        self.settle_overcounted(out);
        self.settle_task_costs(out);
        let mut task_work = std::mem::take(&mut self.task_work);
        task_work.drain(..).for_each(|at| self.settle_task(at, out));
        unsettled.clear();
        // What these have allocated is used again.
        (self.unsettled, self.task_work) = (unsettled, task_work);
    }

    /// What has no work above it is a task, or one more run of the one it names; what names a task that the work above
    /// it does not is a part of that task.
    fn settle_task(&mut self, at: NodeIx, out: &mut Vec<Fact>) {
        let node = self.node(at);
        if node.counted_for_task || !matches!(node.state, State::Ended | State::GivenUp) {
            return;
        }
        let is_root = self.parent_of_meaning(at).is_none();
        let is_work = node.scope() == Some(Scope::Workflow) || node.is_agent_run();
        let own = node.labels.as_ref().and_then(|labels| labels.task.as_ref());
        let above = node.parent.and_then(|parent| self.surroundings(parent).task);
        if (is_root && is_work) || (own.is_some() && own != above) {
            self.node_mut(at).counted_for_task = true;
            let usd = self.cost(at);
            self.told_tasks.push((at, usd.unwrap_or(0.0)));
            let kind = FactKind::TaskWork { usd, ends_it: is_root && is_work };
            let fact = self.fact(at, kind);
            out.push(fact);
        }
    }

    /// What tasks have cost that were told of when not all of their work had arrived.
    fn settle_task_costs(&mut self, out: &mut Vec<Fact>) {
        let mut told = std::mem::take(&mut self.told_tasks);
        for (at, told) in &mut told {
            let usd = self.cost(*at).unwrap_or(0.0);
            let more = usd - std::mem::replace(told, usd);
            if more.abs() > LEAST_USD {
                out.push(self.fact(*at, FactKind::TaskCost { usd: more }));
            }
        }
        self.told_tasks = told;
    }

    fn settle_overcounted(&mut self, out: &mut Vec<Fact>) {
        for at in std::mem::take(&mut self.overcounted) {
            let node = self.node_mut(at);
            if !std::mem::take(&mut node.billed) {
                continue;
            }
            if let Some(usd) = node.call.as_ref().and_then(|call| call.price.usd()) {
                out.push(self.fact(at, FactKind::Overcounted { usd }));
            }
        }
    }

    fn settle_node(&mut self, at: NodeIx, now: Timestamp, out: &mut Vec<Fact>) {
        if std::mem::replace(&mut self.node_mut(at).settled, true) {
            return;
        }
        self.place_in_surroundings(at, now);
        if let Some(Happened::Decided { reviewer, decision, .. }) = self.node(at).aside.as_deref() {
            let waited_s = self.node(at).answer().map(|(_, waited)| waited);
            out.push(self.fact(at, FactKind::Decision { reviewer, decision: *decision, waited_s }));
            self.settle_wait(at, out);
        }
        let node = self.node(at);
        let kind = match node.scope() {
            Some(Scope::Workflow) => FactKind::Workflow,
            Some(Scope::WorkflowStep) => FactKind::Step,
            Some(Scope::Agent) if self.agent_counts(at) => {
                let usd = self.told_cost(at);
                self.node_mut(at).billed = usd.is_some();
                let promoted = self.promoted(at).and_then(|_| self.call_fact(at));
                let reported_usd = usd.filter(|_| promoted.is_none());
                out.extend(promoted.map(|calls| self.fact(at, FactKind::Promoted { calls, usd })));
                FactKind::AgentRun { reported_usd, waited: self.waits_within(at) }
            }
            // One that tells more may come when another one was counted for the call.
            Some(Scope::Tool | Scope::LlmRequest) if self.is_counted_as_a_twin(at) => return,
            Some(Scope::Tool) if self.tool_counts(at) => FactKind::ToolCall,
            Some(Scope::LlmRequest) if self.call_counts(at) => match self.call_fact(at) {
                Some(fact) => {
                    self.node_mut(at).billed = true;
                    FactKind::Call(fact)
                }
                None => return,
            },
            _ => return,
        };
        self.node_mut(at).counted = true;
        if matches!(kind, FactKind::Workflow | FactKind::AgentRun { .. }) {
            self.task_work.push(at);
        }
        let fact = self.fact(at, kind);
        out.push(fact);
    }

    fn call_fact(&self, at: NodeIx) -> Option<Box<CallFact>> {
        let node = self.node(at);
        let (call, op) = (node.call.as_deref()?, node.op?);
        Some(Box::new(CallFact {
            op,
            provider: node.provider.clone(),
            request_model: call.request_model.clone(),
            response_model: node.model.clone().filter(|_| call.model_answered),
            model: node.model.clone(),
            usage: call.usage,
            price: call.price.clone(),
            ttft_s: call.ttft_s,
            error_type: call.error_type.clone(),
        }))
    }

    pub fn fact(&self, at: NodeIx, kind: FactKind) -> Fact {
        let node = self.node(at);
        let surroundings = self.surroundings(at);
        Fact {
            outcome: node.outcome,
            start: node.start.plus(std::time::Duration::from_micros(node.waited_micros)).min(node.end),
            end: node.end,
            name: node.name.clone(),
            agent: self.agent_name(at, &surroundings).cloned(),
            tool: surroundings.tool.and_then(|tool| self.node(tool).name.clone()),
            feature: surroundings.feature.cloned(),
            task: surroundings.task.cloned(),
            span: self.trace_of(at).map(|trace| (trace, node.id)),
            kind,
        }
    }

    /// What a piece of work has cost with all below it, as far as prices are known.
    pub fn cost(&self, top: NodeIx) -> Option<f64> {
        let usd = |at: NodeIx| {
            let call = self.node(at).call.as_deref()?;
            let counts = if self.node(at).is_call() { self.call_counts(at) } else { self.told_cost(at).is_some() };
            call.price.usd().filter(|_| counts)
        };
        self.within(top).filter_map(usd).fold(None, |sum, usd| Some(sum.unwrap_or(0.0) + usd))
    }

    /// The figures of all work that counts.
    pub fn postings(&self) -> impl Iterator<Item = Posting<'_>> {
        (0..self.nodes.len() as NodeIx).filter_map(|at| self.posting(at))
    }

    /// Adds the figures of its work to a report, since a time or since ever.
    pub fn add_to(&self, report: &mut ReportBuilder, by: By, since: Option<Timestamp>) {
        let id = self.key.id();
        for posting in self.postings().filter(|posting| since.is_none_or(|since| posting.at >= since)) {
            report.add(&posting, by, &id);
        }
    }

    /// The figures of all of it together.
    pub fn sum(&self) -> Figures {
        let mut sum = Figures::default();
        (0..self.nodes.len() as NodeIx).filter_map(|at| self.figures(at)).for_each(|figures| sum.add(&figures));
        sum
    }

    /// The figures of one node, if it counts, and whose they are.
    pub fn posting(&self, at: NodeIx) -> Option<Posting<'_>> {
        let (node, figures, left_out) = (self.node(at), self.figures(at), self.left_out(at));
        if figures.is_none() && left_out.is_none() {
            return None;
        }
        let surroundings = self.surroundings(at);
        let is_of_calls = |figures: &Figures| match node.is_call() {
            true => true,
            false => figures.total_tokens().is_some() && (figures.cost_usd.is_some() || figures.unpriced_calls > 0),
        };
        let call = node.call.as_deref().filter(|_| figures.as_ref().is_some_and(is_of_calls));
        Some(Posting {
            at: node.end,
            model: node.model.as_ref(),
            agent: self.agent_name(at, &surroundings),
            tool: surroundings.tool.and_then(|tool| self.node(tool).name.as_ref()),
            feature: surroundings.feature,
            figures: figures.unwrap_or_default(),
            call: call.map(|call| CallCost {
                usage: &call.usage,
                price: &call.price,
                provider: node.provider.as_ref(),
                model: node.model.as_ref(),
            }),
            left_out,
        })
    }

    /// What a node reports that does not count, and why.
    pub fn left_out(&self, at: NodeIx) -> Option<LeftOut> {
        let node = self.node(at);
        let call = node.call.as_deref().filter(|_| matches!(node.state, State::Ended | State::GivenUp))?;
        let (usage, price) = (&call.usage, &call.price);
        let tokens = usage.total();
        let left_out = |reason, tokens: Option<u64>, usd: Option<f64>| {
            (tokens.is_some() || usd.is_some()).then_some(LeftOut { reason, tokens, usd })
        };
        if !node.is_call() {
            let usd = price.reported_usd.filter(|_| self.told_cost(at).is_none());
            return left_out(Reason::SumOfCalls, tokens.filter(|_| self.promoted(at).is_none()), usd);
        }
        match self.call_counts(at) {
            true if price.reported_usd == Some(0.0) && !price.reported_counts => {
                left_out(Reason::ReportedZero, None, price.reported_usd)
            }
            true => None,
            false if node.below.call => left_out(Reason::CallBelow, tokens, price.reported_usd),
            false => left_out(Reason::CallAbove, tokens, price.reported_usd),
        }
    }

    /// The figures of one node, if it counts.
    pub fn figures(&self, at: NodeIx) -> Option<Figures> {
        let node = self.node(at);
        let mut figures = Figures::default();
        let failed = node.outcome != Outcome::Completed || self.failed_with(at).is_some();
        match node.scope()? {
            Scope::LlmRequest if self.call_counts(at) => self.post_call(at, failed, &mut figures),
            Scope::Tool if self.tool_counts(at) => {
                // One that was not allowed, or called off, did not fail.
                let failed = failed && node.outcome != Outcome::Canceled;
                (figures.tool_calls, figures.tool_failed) = (1, u64::from(failed));
            }
            Scope::Agent if matches!(node.state, State::Ended | State::GivenUp) && self.agent_counts(at) => {
                (figures.agent_runs, figures.agent_failed) = (1, u64::from(failed));
                if let Some(call) = self.promoted(at) {
                    figures.enter_tokens(&call.usage);
                    figures.enter(&call.price, failed && !call.usage.is_known());
                }
                figures.cost_usd = self.told_cost(at);
            }
            _ => return None,
        }
        Some(figures)
    }

    fn post_call(&self, at: NodeIx, failed: bool, figures: &mut Figures) {
        let node = self.node(at);
        let Some(call) = node.call.as_deref() else { return };
        if node.op == Some(Op::Embeddings) {
            (figures.embedding_calls, figures.llm_failed) = (u64::from(!failed), u64::from(failed));
            figures.embedding_tokens = call.usage.input;
        } else {
            (figures.llm_calls, figures.llm_failed) = (u64::from(!failed), u64::from(failed));
            figures.enter_tokens(&call.usage);
        }
        figures.enter(&call.price, failed && !call.usage.is_known());
    }
}
