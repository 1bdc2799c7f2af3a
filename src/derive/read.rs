//! What people ask of runs: a list of them, one as a tree, and how its cost was made.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Deriver;
use super::cost::{Figures, LeftOut, Price};
use super::names::Name;
use super::node::{Node, NodeIx, Outcome, State};
use super::run::{Run, RunKey};
use crate::dialect::{Op, Usage};
use crate::event::{Scope, SpanId, Timestamp, TraceId};

/// A run in a list.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// The trace id, or what the run's events name.
    pub id: Arc<str>,
    /// What it is called: its root, else its first agent, else its service.
    pub name: Arc<str>,
    /// How it stands.
    pub status: RunStatus,
    /// When its first work began.
    pub started_at: Timestamp,
    /// When its last work ended, unless it goes on.
    pub ended_at: Option<Timestamp>,
    /// `service.name` of its emitter.
    pub service: Option<Name>,
    /// The dialect of its telemetry.
    pub dialect: Option<&'static str>,
    /// The conversation it belongs to.
    pub conversation_id: Option<Name>,
    /// The session it belongs to.
    pub session_id: Option<Name>,
    /// The user it was done for.
    pub user_id: Option<Name>,
    /// What it was for.
    pub feature: Option<Name>,
    /// The task worked on.
    pub task_id: Option<Name>,
    /// Its agents, in the order in which they began.
    pub agents: Vec<Name>,
    /// Its figures.
    pub figures: Figures,
    /// What went wrong, if it failed.
    pub error: Option<Name>,
    /// Whether the figures may still change.
    pub provisional: bool,
    /// Spans whose parent has not arrived.
    pub orphans: usize,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Work goes on, or is still to be heard of.
    Running,
    /// Its root ended well.
    Completed,
    /// Its root failed.
    Failed,
    /// It was called off.
    Canceled,
    /// Nobody knows.
    Lost,
}

/// One run as a tree.
#[derive(Clone, Debug)]
pub struct RunTree {
    /// The run as in a list.
    pub summary: RunSummary,
    /// The outermost pieces of work, in the order in which they began.
    pub roots: Vec<TreeNode>,
}

/// A piece of work in a tree. Spans that are none of ours are left out, and their children move up.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// Its span.
    pub span_id: SpanId,
    /// Its scope.
    pub scope: Scope,
    /// Its operation.
    pub operation: &'static str,
    /// What it is called.
    pub name: Option<Name>,
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, unless it goes on.
    pub ended_at: Option<Timestamp>,
    /// Whether what it is was made out from its surroundings, and not said by its emitter.
    pub inferred: bool,
    /// The agent at work.
    pub agent: Option<Name>,
    /// The model called.
    pub model: Option<Name>,
    /// Its own tokens.
    pub usage: Option<Usage>,
    /// What it cost together with everything below.
    pub cost_usd: Option<f64>,
    /// Whether its tokens and cost count here, and not at a call above or below.
    pub counts: bool,
    /// What went wrong.
    pub error: Option<Name>,
    /// The work below, in the order in which it began.
    pub children: Vec<TreeNode>,
}

/// How the cost of one call was made, or what other work reports beside the calls below it.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Its span.
    pub span_id: SpanId,
    /// Its operation.
    pub operation: &'static str,
    /// The agent that called.
    pub agent: Option<Name>,
    /// Whose model it is.
    pub provider: Option<Name>,
    /// The model that answered.
    pub model: Option<Name>,
    /// Its tokens.
    pub usage: Usage,
    /// Whether it counts; if not, a call above or below it does.
    pub counts: bool,
    /// What is known of its price.
    pub price: Price,
    /// What it reports and does not count, with the reason.
    pub left_out: Option<LeftOut>,
}

impl Deriver {
    /// The runs in memory, the latest first.
    pub fn summaries(&self, accept: impl Fn(&RunSummary) -> bool) -> Vec<RunSummary> {
        let mut summaries: Vec<RunSummary> = self.shown_runs().map(Run::summary).filter(accept).collect();
        summaries.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
        summaries
    }

    /// One run as a tree.
    pub fn tree(&self, id: &str) -> Option<RunTree> {
        self.run_called(id).map(Run::tree)
    }

    /// The traces of a run.
    pub fn traces_of(&self, id: &str) -> Option<Vec<TraceId>> {
        let run = self.run_called(id)?;
        let keys = run.aliases.iter().chain([&run.key]).filter_map(RunKey::trace_id);
        Some(keys.chain(run.other_traces.values().copied()).collect())
    }

    /// How the cost of a run was made, call by call.
    pub fn calls(&self, id: &str) -> Option<Vec<CallRecord>> {
        let run = self.run_called(id)?;
        Some((0..run.nodes.len() as NodeIx).filter_map(|at| run.call_record(at)).collect())
    }

    /// Agents at work, with the number of their open runs.
    pub fn in_flight(&self) -> Vec<(Name, u64)> {
        let mut agents: BTreeMap<Name, u64> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| !run.closed) {
            for node in run.open().map(|at| run.node(at)).filter(|node| node.is_agent_run()) {
                if let Some(name) = &node.name {
                    *agents.entry(name.clone()).or_default() += 1;
                }
            }
        }
        agents.into_iter().collect()
    }

    /// The runs in memory that people care for.
    pub fn shown_runs(&self) -> impl Iterator<Item = &Run> {
        self.counted_runs().filter(|run| run.has_meaning && !run.is_own_request())
    }

    fn run_called(&self, id: &str) -> Option<&Run> {
        let by_trace = TraceId::from_hex(id).and_then(|trace| self.runs.find(&RunKey::Trace(trace)));
        let ix = by_trace.or_else(|| self.runs.find(&RunKey::Named(id.into())))?;
        self.runs.get(ix).filter(|run| run.has_meaning)
    }
}

impl Run {
    /// The run as in a list.
    pub fn summary(&self) -> RunSummary {
        let with_meaning = || self.nodes.iter().filter(|node| node.op.is_some() && node.state != State::Expected);
        let mut agents: Vec<&Node> = with_meaning().filter(|node| node.is_agent_run()).collect();
        agents.sort_by_key(|node| node.start);
        let mut seen: HashSet<&Name> = HashSet::new();
        let names = agents.iter().filter_map(|node| node.name.as_ref()).filter(|name| seen.insert(name));
        let names: Vec<Name> = names.cloned().collect();
        let status = self.status();
        let outermost = self.outermost();
        let name = outermost.and_then(|at| self.node(at).name.clone()).or_else(|| names.first().cloned());
        let surroundings = outermost.map(|at| self.surroundings(at)).unwrap_or_default();
        let orphans = self.nodes.iter().filter(|node| node.state == State::Expected).count();
        RunSummary {
            id: self.key.id(),
            name: name.or_else(|| self.service.clone()).unwrap_or_else(|| "run".into()),
            status,
            started_at: with_meaning().map(|node| node.start).min().unwrap_or(self.first_seen),
            ended_at: (status != RunStatus::Running).then(|| with_meaning().map(|node| node.end).max()).flatten(),
            service: self.service.clone(),
            dialect: with_meaning().find_map(|node| node.dialect),
            conversation_id: self.labels.conversation.clone(),
            session_id: self.labels.session.clone(),
            user_id: self.labels.user.clone(),
            feature: surroundings.feature.cloned().or_else(|| self.first_label(|labels| &labels.feature)),
            task_id: surroundings.task.cloned().or_else(|| self.first_label(|labels| &labels.task)),
            agents: names,
            figures: self.sum(),
            error: self.error(status),
            provisional: !self.closed,
            orphans,
        }
    }

    /// The root decides, also where something below it never ended; until it has ended the run goes on, and a run that is given
    /// up is lost. A root that is none of ours decides only if it failed: else the last of the work below it does.
    pub fn status(&self) -> RunStatus {
        if self.is_running() {
            return RunStatus::Running;
        }
        let root = self.root().map(|root| self.node(root)).filter(|root| root.state == State::Ended);
        match root {
            Some(root) if root.op.is_some() || root.outcome == Outcome::Failed => self.status_of(root),
            _ if self.lost => RunStatus::Lost,
            Some(root) => self.status_of(self.last_outermost().map_or(root, |last| self.node(last))),
            None if self.misses_a_part() => RunStatus::Lost,
            // Its root was never heard of, but nothing that was known of it is missing.
            None => self.outermost().map_or(RunStatus::Lost, |at| self.status_of(self.node(at))),
        }
    }

    /// Whether work goes on, or is still to be heard of.
    pub fn is_running(&self) -> bool {
        let root_ended = || self.root().is_some_and(|root| self.node(root).has_ended());
        !self.lost && (if root_ended() { self.has_open_work() } else { !self.closed })
    }

    fn status_of(&self, node: &Node) -> RunStatus {
        match (node.state, node.outcome) {
            (_, Outcome::Lost) => RunStatus::Lost,
            (State::Ended, Outcome::Completed) => RunStatus::Completed,
            (State::Ended, Outcome::Failed) => RunStatus::Failed,
            (State::Ended, Outcome::Canceled) => RunStatus::Canceled,
            _ => RunStatus::Running,
        }
    }

    fn error(&self, status: RunStatus) -> Option<Name> {
        if status != RunStatus::Failed {
            return None;
        }
        let root = self.root().and_then(|root| self.node(root).error.clone());
        root.or_else(|| self.nodes.iter().rev().find_map(|node| node.error.clone()))
    }

    fn first_label(&self, pick: fn(&super::node::Labels) -> &Option<Name>) -> Option<Name> {
        self.nodes.iter().find_map(|node| pick(node.labels.as_deref()?).clone())
    }

    /// The first piece of work that means something and hangs below nothing that does.
    fn outermost(&self) -> Option<NodeIx> {
        let meaningful = |at: &NodeIx| self.node(*at).op.is_some() && self.parent_of_meaning(*at).is_none();
        (0..self.nodes.len() as NodeIx).filter(meaningful).min_by_key(|at| self.node(*at).start)
    }

    /// Whether a span never came that the same process should have sent.
    fn misses_a_part(&self) -> bool {
        let is_missing = |parent: NodeIx| self.node(parent).state == State::Expected;
        self.nodes.iter().any(|node| node.has_local_parent && node.parent.is_some_and(is_missing))
    }

    /// Of the pieces of work that hang below nothing with a meaning, the one that ended last.
    fn last_outermost(&self) -> Option<NodeIx> {
        let has_ended = |at: &NodeIx| self.node(*at).op.is_some() && self.node(*at).has_ended();
        let ended = (0..self.nodes.len() as NodeIx).filter(has_ended);
        let outermost = ended.filter(|at| self.parent_of_meaning(*at).is_none());
        outermost.max_by_key(|at| (self.node(*at).end, self.node(*at).id))
    }

    fn tree(&self) -> RunTree {
        let mut children: Vec<Vec<NodeIx>> = vec![Vec::new(); self.nodes.len()];
        let mut roots = Vec::new();
        for at in (0..self.nodes.len() as NodeIx).filter(|at| self.node(*at).op.is_some()) {
            match self.parent_of_meaning(at) {
                Some(parent) => children[parent as usize].push(at),
                None => roots.push(at),
            }
        }
        let mut builder = TreeBuilder { run: self, children };
        RunTree { summary: self.summary(), roots: builder.nodes(roots, 0) }
    }

    fn call_record(&self, at: NodeIx) -> Option<CallRecord> {
        let node = self.node(at);
        let call = node.call.as_deref()?;
        // What adds up other calls comes to nothing of its own.
        let is_priced = node.is_call() || self.promoted(at).is_some();
        Some(CallRecord {
            span_id: node.id,
            operation: node.op.map(Op::as_str).unwrap_or_default(),
            agent: self.agent_name(at, &self.surroundings(at)).cloned(),
            provider: node.provider.clone(),
            model: node.model.clone(),
            usage: call.usage,
            counts: self.figures(at).is_some_and(|figures| figures.cost_usd.is_some()) || self.call_counts(at),
            price: if is_priced { call.price.clone() } else { Price::of_work(call.price.reported_usd) },
            left_out: self.left_out(at),
        })
    }
}

struct TreeBuilder<'r> {
    run: &'r Run,
    children: Vec<Vec<NodeIx>>,
}

impl TreeBuilder<'_> {
    /// Below this level everything hangs from one node, so that hostile nesting cannot exhaust the stack.
    const DEEPEST: u32 = 200;

    fn nodes(&mut self, mut places: Vec<NodeIx>, level: u32) -> Vec<TreeNode> {
        places.sort_by_key(|at| (self.run.node(*at).start, *at));
        places.into_iter().map(|at| self.node(at, level)).collect()
    }

    fn node(&mut self, at: NodeIx, level: u32) -> TreeNode {
        let mut below = std::mem::take(&mut self.children[at as usize]);
        if level == TreeBuilder::DEEPEST {
            let mut next = 0;
            while next < below.len() {
                let deeper = std::mem::take(&mut self.children[below[next] as usize]);
                below.extend(deeper);
                next += 1;
            }
        }
        let children = self.nodes(below, level + 1);
        let node = self.run.node(at);
        let own = self.run.figures(at).and_then(|figures| figures.cost_usd);
        let costs = children.iter().filter_map(|child| child.cost_usd).chain(own);
        let is_open = matches!(node.state, State::Expected | State::Open { .. });
        TreeNode {
            span_id: node.id,
            scope: node.scope().unwrap_or(Scope::System),
            operation: node.op.map(Op::as_str).unwrap_or_default(),
            name: node.name.clone(),
            status: self.run.status_of(node),
            started_at: node.start,
            ended_at: (!is_open).then_some(node.end),
            inferred: node.inferred,
            agent: self.run.agent_name(at, &self.run.surroundings(at)).cloned(),
            model: node.model.clone(),
            usage: node
                .call
                .as_deref()
                .filter(|_| node.is_call() || self.run.promoted(at).is_some())
                .map(|call| call.usage),
            cost_usd: costs.fold(None, |sum: Option<f64>, usd| Some(sum.unwrap_or(0.0) + usd)),
            counts: self.run.figures(at).is_some(),
            error: node.error.clone(),
            children,
        }
    }
}

impl RunStatus {
    /// The words for all of them.
    pub const WORDS: &'static [&'static str] = &["running", "completed", "failed", "canceled", "lost"];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Canceled => "canceled",
            RunStatus::Lost => "lost",
        }
    }
}
