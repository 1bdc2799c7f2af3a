//! What goes on this moment: the runs that are not over, each with its open work.

use super::Deriver;
use super::names::Name;
use super::node::NodeIx;
use super::read::RunSummary;
use super::run::Run;
use crate::dialect::Op;
use crate::event::{Scope, SpanId, Timestamp};

/// A run that is not over.
#[derive(Clone, Debug)]
pub struct RunningRun {
    /// The run as in a list.
    pub summary: RunSummary,
    /// When anything was last heard of it.
    pub last_seen: Timestamp,
    /// What has begun and not ended, in the order in which it began; empty where its emitter tells of work only when it
    /// is over.
    pub open: Vec<OpenWork>,
}

/// A piece of work that has begun and not ended.
#[derive(Clone, Debug)]
pub struct OpenWork {
    /// Its span.
    pub span_id: SpanId,
    /// Its scope.
    pub scope: Scope,
    /// Its operation.
    pub operation: &'static str,
    /// What it is called.
    pub name: Option<Name>,
    /// The agent at work.
    pub agent: Option<Name>,
    /// The run of that agent; the work itself, if it is one.
    pub agent_span_id: Option<SpanId>,
    /// The model called.
    pub model: Option<Name>,
    /// When it began.
    pub started_at: Timestamp,
}

impl Deriver {
    /// The runs that are not over and that `accept` wants told of, the latest first, and how many there are beyond the
    /// first `most`.
    pub fn now(&self, most: usize, accept: impl Fn(&RunSummary) -> bool) -> (Vec<RunningRun>, usize) {
        let mut running: Vec<&Run> = self.shown_runs().filter(|run| run.is_running()).collect();
        running.sort_by_key(|run| std::cmp::Reverse((run.first_seen, run.key.id())));
        let mut accepted = running.into_iter().filter(|run| accept(&run.summary()));
        let told = accepted.by_ref().take(most).map(Run::now).collect();
        (told, accepted.count())
    }
}

impl Run {
    /// Pieces of open work that are told of a run.
    const MOST_OPEN: usize = 200;

    fn now(&self) -> RunningRun {
        let mut open: Vec<NodeIx> = self.open().filter(|at| self.node(*at).op.is_some()).take(Run::MOST_OPEN).collect();
        open.sort_by_key(|at| (self.node(*at).start, *at));
        RunningRun {
            summary: self.summary(),
            last_seen: self.last_seen,
            open: open.into_iter().map(|at| self.open_work(at)).collect(),
        }
    }

    fn open_work(&self, at: NodeIx) -> OpenWork {
        let (node, surroundings) = (self.node(at), self.surroundings(at));
        OpenWork {
            span_id: node.id,
            scope: node.scope().unwrap_or(Scope::System),
            operation: node.op.map(Op::as_str).unwrap_or_default(),
            name: node.name.clone(),
            agent: self.agent_name(at, &surroundings).cloned(),
            agent_span_id: surroundings.agent.map(|agent| self.node(agent).id),
            model: node.model.clone(),
            started_at: node.start,
        }
    }
}
