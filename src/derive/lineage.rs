//! Who hangs below whom in a run, and what that makes of each.
//!
//! Every walk is bounded by the depth or by the size of a subtree, never by the size of the run, because runs can
//! be long and are looked at with every request that brings a part of one.

use super::Name;
use super::node::{NodeIx, State};
use super::run::Run;
use crate::event::{Scope, SpanId};

/// What surrounds a node, as far up as is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'r> {
    /// The nearest agent, itself included.
    pub agent: Option<NodeIx>,
    /// The nearest tool, itself included.
    pub tool: Option<NodeIx>,
    /// The nearest workflow, itself included.
    pub workflow: Option<NodeIx>,
    /// The next workflow above that one.
    pub outer_workflow: Option<NodeIx>,
    /// How many nodes are above.
    pub depth: u32,
    /// Whether the walk reached a root: nothing is still to arrive above.
    pub complete: bool,
    pub task: Option<&'r Name>,
    pub feature: Option<&'r Name>,
}

impl Run {
    /// No walk goes up further than this, so that no input makes one endless.
    const DEEPEST: u32 = 1000;

    /// Hangs a node below its parent. A parent that would close a circle is none.
    pub fn link(&mut self, at: NodeIx, parent: SpanId) {
        if parent == self.node(at).id {
            return;
        }
        let parent = self.find_or_expect(parent);
        let before = self.node(at).parent;
        if before == Some(parent) || self.may_close_a_circle(at, parent) {
            return;
        }
        if let Some(before) = before {
            self.unlink(at, before);
        }
        let next = self.node_mut(parent).first_child.replace(at);
        if let Some(next) = next {
            self.node_mut(next).previous_sibling = Some(at);
        }
        let node = self.node_mut(at);
        (node.parent, node.previous_sibling, node.next_sibling) = (Some(parent), None, next);
        self.spread(at);
    }

    /// Whether a node would come to be above itself. Only one that something hangs below can; and where the walk up
    /// does not find an end, it might.
    fn may_close_a_circle(&self, at: NodeIx, parent: NodeIx) -> bool {
        let is_below_itself = || parent == at || self.above(parent).any(|above| above == at);
        let has_no_end = || self.above(parent).count() == Run::DEEPEST as usize;
        self.node(at).first_child.is_some() && (is_below_itself() || has_no_end())
    }

    /// Takes a node out from below its parent.
    pub fn unhang(&mut self, at: NodeIx) {
        if let Some(parent) = self.node_mut(at).parent.take() {
            self.unlink(at, parent);
        }
    }

    fn unlink(&mut self, at: NodeIx, parent: NodeIx) {
        let node = self.node_mut(at);
        let (previous, next) = (node.previous_sibling.take(), node.next_sibling.take());
        match previous {
            Some(previous) => self.node_mut(previous).next_sibling = next,
            None => self.node_mut(parent).first_child = next,
        }
        if let Some(next) = next {
            self.node_mut(next).previous_sibling = previous;
        }
    }

    /// The nodes above, the nearest first.
    pub fn above(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let parent = |at: &NodeIx| self.node(*at).parent;
        std::iter::successors(parent(&at), parent.to_owned()).take(Run::DEEPEST as usize)
    }

    /// The nodes right below.
    pub fn children(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        std::iter::successors(self.node(at).first_child, |at| self.node(*at).next_sibling)
    }

    /// A node and all below it, each after its parent, by where they hang and without a list of them.
    pub fn within(&self, top: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let beside = move |at: &NodeIx| if *at == top { None } else { self.node(*at).next_sibling };
        let parent = move |at: &NodeIx| if *at == top { None } else { self.node(*at).parent };
        let next = move |at: &NodeIx| {
            let deeper = self.node(*at).first_child;
            deeper.or_else(|| std::iter::successors(Some(*at), parent).find_map(|at| beside(&at)))
        };
        // A bound like that of every other walk, should a link be wrong.
        std::iter::successors(Some(top), next).take(self.nodes.len())
    }

    /// A node and all below it, each after its parent, with the place of its parent in this list.
    pub fn subtree(&self, top: NodeIx) -> Vec<(NodeIx, usize)> {
        let mut found = vec![(top, 0)];
        let mut next = 0;
        while let Some((at, _)) = found.get(next).copied() {
            found.extend(self.children(at).map(|child| (child, next)));
            next += 1;
        }
        found
    }

    /// Tells the nodes above what hangs below them. What was counted there and counts here instead is noted.
    pub fn spread(&mut self, at: NodeIx) {
        let mut below = self.node(at).below_inclusive();
        let mut next = self.node(at).parent;
        for _ in 0..Run::DEEPEST {
            let Some(above) = next else { break };
            let node = self.node_mut(above);
            let merged = node.below.or(below);
            if merged == node.below {
                break;
            }
            let counts_elsewhere = match node.is_call() {
                true => merged.tokens && !node.below.tokens,
                false => {
                    let is_by_rates = !node.is_reported();
                    (merged.priced && !node.below.priced) || (merged.used && !node.below.used && is_by_rates)
                }
            };
            node.below = merged;
            next = node.parent;
            below = node.below_inclusive();
            if counts_elsewhere && node.billed {
                self.overcounted.push(above);
            }
            self.promote(above);
        }
    }

    /// Whether nothing is still to arrive above a node: what [`Surroundings::complete`] is, at a part of the price.
    pub fn is_complete_above(&self, at: NodeIx) -> bool {
        let top = self.node(self.above(at).last().unwrap_or(at));
        top.parent.is_none() && top.state != State::Expected
    }

    /// What surrounds a node.
    pub fn surroundings(&self, at: NodeIx) -> Surroundings<'_> {
        let mut found = Surroundings::default();
        let mut next = Some(at);
        for _ in 0..Run::DEEPEST {
            let Some(at) = next else { break };
            let node = self.node(at);
            match node.scope() {
                Some(Scope::Agent) if node.is_agent_run() => {
                    found.agent.get_or_insert(at);
                }
                Some(Scope::Tool) => {
                    found.tool.get_or_insert(at);
                }
                Some(Scope::Workflow) => {
                    if found.workflow.is_some() {
                        found.outer_workflow.get_or_insert(at);
                    }
                    found.workflow.get_or_insert(at);
                }
                _ => {}
            }
            if let Some(labels) = &node.labels {
                found.task = found.task.or(labels.task.as_ref());
                found.feature = found.feature.or(labels.feature.as_ref());
            }
            next = node.parent;
            found.complete = next.is_none() && node.state != State::Expected;
            found.depth += 1;
        }
        found.depth -= 1;
        found.task = found.task.or(self.labels.task.as_ref());
        found.feature = found.feature.or(self.labels.feature.as_ref());
        found
    }

    /// The nearest node above that has a meaning.
    pub fn parent_of_meaning(&self, at: NodeIx) -> Option<NodeIx> {
        self.above(at).find(|above| self.node(*above).op.is_some())
    }

    /// The agent at work in a node: the one that the span names, else the nearest above.
    pub fn agent_name(&self, at: NodeIx, surroundings: &Surroundings<'_>) -> Option<&Name> {
        let named = self.node(at).agent.as_ref();
        named.or_else(|| surroundings.agent.and_then(|agent| self.node(agent).name.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::{Room, RunKey};
    use super::*;
    use crate::event::Timestamp;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_walks_see_all_below_after_what_they_hang_on(links in vec((1u8..12, 1u8..12), 0..40)) {
            let mut run = Run::new(RunKey::Named("r".into()), Timestamp::default(), Room::default());
            let id = |number| SpanId::from_bytes(&[0, 0, 0, 0, 0, 0, 0, number]).unwrap();
            for (at, parent) in links {
                let at = run.find_or_expect(id(at));
                run.link(at, id(parent));
            }
            for top in 0..run.nodes.len() as NodeIx {
                let mut walked: Vec<NodeIx> = run.within(top).collect();
                for (place, at) in walked.iter().enumerate().skip(1) {
                    prop_assert!(run.node(*at).parent.is_some_and(|parent| walked[..place].contains(&parent)));
                }
                let mut listed: Vec<NodeIx> = run.subtree(top).into_iter().map(|(at, _)| at).collect();
                walked.sort_unstable();
                listed.sort_unstable();
                prop_assert_eq!(walked, listed);
            }
        }
    }
}
