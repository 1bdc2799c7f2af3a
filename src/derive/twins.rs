//! Spans that report one call under one id: several instrumentations of a program each tell of it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::node::NodeIx;
use super::run::Run;
use crate::event::Timestamp;

/// The ids of calls in a run, and under each one of the nodes that have it.
#[derive(Debug, Default)]
pub struct CallIds {
    few: Vec<(u64, NodeIx)>,
    /// All of them, once there are more than a walk is good for.
    many: HashMap<u64, NodeIx, RandomState>,
    /// Under each id that several have, all of these.
    shared: HashMap<u64, Sharers, RandomState>,
    /// Whether there are calls of models without an id, too.
    are_not_all: bool,
}

/// The nodes that have one id. They may be many: there are models that give the first call of every answer the same.
#[derive(Debug, Default)]
struct Sharers {
    by_start: BTreeSet<(Timestamp, NodeIx)>,
    /// How long the longest of them took, so that those that were open at a time are found without a walk over all.
    longest: Duration,
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

    /// All of them, each with every node that has it.
    fn all(&self) -> impl Iterator<Item = (u64, NodeIx)> + '_ {
        let few = self.few.iter().copied().filter(|_| self.many.is_empty());
        let first = few.chain(self.many.iter().map(|(id, at)| (*id, *at)));
        let shared = self.shared.iter().flat_map(|(id, all)| all.by_start.iter().map(|(_, at)| (*id, *at)));
        first.filter(|(id, _)| !self.shared.contains_key(id)).chain(shared)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
        self.shared.clear();
        self.are_not_all = false;
    }
}

impl Run {
    /// Writes down under which id a call of a model or of a tool is known.
    pub fn note_call_id(&mut self, at: NodeIx, id: &str) {
        let Some(scope) = self.node(at).scope() else { return };
        self.note_known_call(at, xxh3_64_with_seed(id.as_bytes(), scope as u64));
    }

    /// The same of what is made of its scope and id.
    pub fn note_known_call(&mut self, at: NodeIx, id: u64) {
        self.node_mut(at).has_call_id = true;
        let Some(known) = self.call_ids.note(id, at) else { return };
        // An open span comes again when it has ended.
        if known == at && !self.call_ids.shared.contains_key(&id) {
            return;
        }
        for at in [known, at] {
            let (start, end) = (self.node(at).start, self.node(at).end);
            let sharers = self.call_ids.shared.entry(id).or_default();
            sharers.by_start.insert((start, at));
            sharers.longest = sharers.longest.max(Duration::from_micros(end.micros_since(start)));
            self.node_mut(at).shared_id = Some(id);
        }
    }

    /// Takes a call that a framework reports without an id, and one beside it within the same time and of as many tokens that an
    /// instrumentation below the framework gives an id, for one. Calls that only look the same have ids both, or none.
    pub fn join_alike(&mut self, at: NodeIx) {
        // Siblings come the latest first.
        const MOST: usize = 256;
        let node = self.node(at);
        let Some(parent) = node.parent.filter(|_| node.has_tokens()) else { return };
        // In most runs all calls have ids, or none.
        let has_call_id = node.has_call_id;
        self.call_ids.are_not_all |= !has_call_id;
        if self.call_ids.is_empty() || !self.call_ids.are_not_all {
            return;
        }
        let node = self.node(at);
        let alike = |other: &NodeIx| {
            let other = self.node(*other);
            let (known, unknown) = if node.has_call_id { (node, other) } else { (other, node) };
            known.has_call_id && !unknown.has_call_id && unknown.is_the_call_of(known)
        };
        let Some(other) = self.children(parent).take(MOST).find(alike) else { return };
        let (known, unknown) = if node.has_call_id { (at, other) } else { (other, at) };
        let id = self.call_ids.all().find(|(_, at)| *at == known).map(|(id, _)| id);
        id.into_iter().for_each(|id| self.note_known_call(unknown, id));
    }

    /// All calls that have an id, with what is made of it.
    pub fn known_calls(&self) -> Vec<(NodeIx, u64)> {
        self.call_ids.all().map(|(id, at)| (at, id)).collect()
    }

    /// Whether another span of the same call has entered the counters, and not for a deeper call that takes it back.
    pub fn is_counted_as_a_twin(&self, at: NodeIx) -> bool {
        let counts = |twin: NodeIx| {
            let node = self.node(twin);
            node.counted && !(node.is_call() && node.below.tokens)
        };
        self.twins(at).any(counts)
    }

    /// Those that report the same call under its id, as far as they were open at the same time: there are models that
    /// give the first call of every answer the same id.
    pub fn twins(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let node = self.node(at);
        let sharers = node.shared_id.and_then(|id| self.call_ids.shared.get(&id));
        let may_overlap = sharers.into_iter().flat_map(|sharers| {
            let first = node.start.minus(sharers.longest);
            sharers.by_start.range((first, 0)..=(node.end.max(first), NodeIx::MAX))
        });
        let others = may_overlap.map(|(_, twin)| *twin).filter(move |twin| *twin != at);
        others.filter(move |twin| node.start <= self.node(*twin).end && self.node(*twin).start <= node.end)
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
