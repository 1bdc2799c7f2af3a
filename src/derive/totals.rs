//! What an agent's or a workflow's end says of the work below it: how much of what, and what it cost.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::cost::Figures;
use super::held::Held;
use super::node::{Node, NodeIx};
use super::run::Run;
use crate::event::Scope;

/// What an agent's or a workflow's end says of the work below it.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub llm_calls: u64,
    pub tool_calls: u64,
    pub tokens: Option<u64>,
    pub cost_usd: Option<f64>,
}

impl Run {
    /// What counts below each agent and workflow whose end is to be told.
    pub fn totals(&self, ready: &[Held]) -> HashMap<NodeIx, Totals, RandomState> {
        let mut found = HashMap::default();
        let ends = ready.iter().map(|held| held.at).filter(|at| has_totals(self.node(*at)));
        let mut ends: Vec<(u32, NodeIx)> = ends.map(|at| (self.surroundings(at).depth, at)).collect();
        // The outermost first: one walk finds the sums of all within.
        ends.sort_unstable();
        for (_, at) in ends {
            if !found.contains_key(&at) {
                self.totals_within(at, &mut found);
            }
        }
        found
    }

    fn totals_within(&self, top: NodeIx, found: &mut HashMap<NodeIx, Totals, RandomState>) {
        let nodes = self.subtree(top);
        let mut sums = vec![Totals::default(); nodes.len()];
        for (place, (at, parent)) in nodes.iter().enumerate().skip(1).rev() {
            let below = std::mem::take(&mut sums[place]);
            sums[*parent].add(&below);
            if let Some(figures) = self.figures(*at) {
                sums[*parent].count(&figures);
            }
            if has_totals(self.node(*at)) {
                found.insert(*at, below);
            }
        }
        found.insert(top, std::mem::take(&mut sums[0]));
    }
}

impl Totals {
    fn count(&mut self, figures: &Figures) {
        self.add(&Totals {
            llm_calls: figures.llm_calls + figures.llm_failed,
            tool_calls: figures.tool_calls,
            tokens: figures.total_tokens(),
            cost_usd: figures.cost_usd,
        });
    }

    fn add(&mut self, other: &Totals) {
        self.llm_calls += other.llm_calls;
        self.tool_calls += other.tool_calls;
        self.tokens = other.tokens.map(|tokens| self.tokens.unwrap_or(0).saturating_add(tokens)).or(self.tokens);
        self.cost_usd = other.cost_usd.map(|usd| self.cost_usd.unwrap_or(0.0) + usd).or(self.cost_usd);
    }
}

/// Whether the end of such work says what was below it.
pub fn has_totals(node: &Node) -> bool {
    matches!(node.scope(), Some(Scope::Agent | Scope::Workflow))
}
