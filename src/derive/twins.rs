//! Spans that report one call under one id: several instrumentations of a program each tell of it.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::node::NodeIx;
use super::run::Run;

/// The ids of calls in a run, and under each one of the nodes that have it.
#[derive(Debug, Default)]
pub struct CallIds {
    few: Vec<(u64, NodeIx)>,
    /// All of them, once there are more than a walk is good for.
    many: HashMap<u64, NodeIx, RandomState>,
}

impl CallIds {
    /// More than this are looked up by hash.
    const FEW: usize = 32;

    /// Writes an id down; another node that has it already.
    fn note(&mut self, id: u64, at: NodeIx) -> Option<NodeIx> {
        if self.few.len() < CallIds::FEW {
            let known = self.few.iter().find(|(known, _)| *known == id).map(|(_, at)| *at);
            if known.is_none() {
                self.few.push((id, at));
            }
            return known;
        }
        if self.many.is_empty() {
            self.many = self.few.iter().copied().collect();
        }
        match self.many.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => Some(*known.get()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(at);
                None
            }
        }
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }
}

impl Run {
    /// Writes down under which id a call of a model or of a tool is known.
    pub fn note_call_id(&mut self, at: NodeIx, id: &str) {
        let Some(scope) = self.node(at).scope() else { return };
        let Some(known) = self.call_ids.note(xxh3_64_with_seed(id.as_bytes(), scope as u64), at) else { return };
        // An open span comes again when it has ended.
        if known == at || self.node(at).twin.is_some() {
            return;
        }
        let next = self.node_mut(known).twin.replace(at).unwrap_or(known);
        self.node_mut(at).twin = Some(next);
    }

    /// Those that report the same call under its id, as far as they were open at the same time: there are models that
    /// give the first call of every answer the same id.
    pub fn twins(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let next = move |twin: &NodeIx| self.node(*twin).twin.filter(|next| *next != at);
        let same_time = move |twin: &NodeIx| {
            let (one, other) = (self.node(at), self.node(*twin));
            one.start <= other.end && other.start <= one.end
        };
        std::iter::successors(next(&at), next).filter(same_time)
    }

    /// Whether another span of the same call counts for it: of calls of models the one that tells most of its tokens,
    /// then the one that began last, because it was nearer to the model; of tools the one that began first.
    pub fn is_told_by_a_twin(&self, at: NodeIx) -> bool {
        let rank = |at: NodeIx| {
            let node = self.node(at);
            let details = node.call.as_deref().filter(|_| node.is_call()).map_or(0, |call| call.usage.details());
            let nearness = node.is_call().then_some(Reverse(node.start));
            (Reverse((node.has_tokens(), details)), nearness, node.start, node.id)
        };
        let counts = |twin: &NodeIx| {
            let node = self.node(*twin);
            node.has_ended() && node.op.is_some() && !(node.is_call() && node.below.tokens)
        };
        self.twins(at).filter(counts).any(|twin| rank(twin) < rank(at))
    }
}
