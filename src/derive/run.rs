//! One run: the tree of its work, put together from spans that arrive in any order.
//!
//! A child that arrives before its parent hangs below a node that is only expected; the parent fills it in
//! later. So every walk up the tree goes as far as is known, and no span is ever looked for twice.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::names::Name;
use super::node::{Below, Labels, Node, NodeIx, State};
use crate::event::{Scope, SpanId, Timestamp, TraceId};

/// What makes spans and events one run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RunKey {
    /// They are of one trace.
    Trace(TraceId),
    /// They name one execution, workflow or task.
    Named(Arc<str>),
}

/// One run.
#[derive(Debug)]
pub struct Run {
    pub key: RunKey,
    pub nodes: Vec<Node>,
    /// The ids of the nodes, apart from them: looking one up reads eight bytes a node and not a node.
    ids: Vec<SpanId>,
    index: HashMap<SpanId, NodeIx, RandomState>,
    /// What most of its work belongs to.
    pub labels: Labels,
    pub service: Option<Name>,
    pub instance: Option<Name>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Whether it counts as ended, until more arrives.
    pub closed: bool,
    /// Whether its open work was given up on.
    pub lost: bool,
    /// When it wants to be looked at next.
    pub due: Option<Timestamp>,
    /// Ended nodes that have not entered the counters, by time of arrival.
    pub unsettled: Vec<(Timestamp, NodeIx)>,
    /// Spans whose events wait for their surroundings to arrive.
    pub held: Vec<super::emit::Held>,
    /// Calls that were billed before a deeper call turned up.
    pub overcounted: Vec<NodeIx>,
    /// Numbers for calls and steps without an agent or a workflow.
    pub next_call: u32,
    pub next_step: u32,
}

/// What a run allocates, empty, and handed from run to run.
#[derive(Debug)]
pub struct Room {
    nodes: Vec<Node>,
    ids: Vec<SpanId>,
    unsettled: Vec<(Timestamp, NodeIx)>,
}

/// What surrounds a node, as far up as is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'r> {
    /// The nearest agent, itself included.
    pub agent: Option<NodeIx>,
    /// The nearest tool, itself included.
    pub tool: Option<NodeIx>,
    /// The nearest workflow, itself included.
    pub workflow: Option<NodeIx>,
    /// The workflow around that one.
    pub outer_workflow: Option<NodeIx>,
    /// The outermost workflow.
    pub root_workflow: Option<NodeIx>,
    /// How many nodes are above.
    pub depth: u32,
    /// Whether the walk reached a root: nothing is still to arrive above.
    pub complete: bool,
    pub task: Option<&'r Name>,
    pub feature: Option<&'r Name>,
}

impl Run {
    /// Runs with more spans than this are looked up by hash instead of by a walk over the ids.
    const SMALL: usize = 32;
    /// Nobody nests deeper; whoever does gets a new root there.
    pub const DEEPEST: u32 = 1000;

    /// A run that was just heard of.
    pub fn new(key: RunKey, now: Timestamp, room: Room) -> Run {
        Run {
            key,
            nodes: room.nodes,
            ids: room.ids,
            index: HashMap::default(),
            labels: Labels::default(),
            service: None,
            instance: None,
            first_seen: now,
            last_seen: now,
            closed: false,
            lost: false,
            due: None,
            unsettled: room.unsettled,
            held: Vec::new(),
            overcounted: Vec::new(),
            next_call: 0,
            next_step: 0,
        }
    }

    /// What it allocated, for another run; of a large one nothing is worth keeping.
    pub fn into_room(mut self) -> Option<Room> {
        self.nodes.clear();
        self.ids.clear();
        self.unsettled.clear();
        let room = Room { nodes: self.nodes, ids: self.ids, unsettled: self.unsettled };
        (room.nodes.capacity() <= Run::SMALL).then_some(room)
    }

    /// The node of a span.
    pub fn find(&self, id: SpanId) -> Option<NodeIx> {
        if self.ids.len() <= Run::SMALL {
            return self.ids.iter().position(|known| *known == id).map(|at| at as NodeIx);
        }
        self.index.get(&id).copied()
    }

    /// The node of a span, expected from now on if it is new.
    pub fn find_or_expect(&mut self, id: SpanId) -> NodeIx {
        if let Some(known) = self.find(id) {
            return known;
        }
        let at = self.ids.len() as NodeIx;
        self.nodes.push(Node::expected(id));
        self.ids.push(id);
        match self.ids.len() {
            len if len <= Run::SMALL => {}
            len if len == Run::SMALL + 1 => {
                self.index = self.ids.iter().enumerate().map(|(at, id)| (*id, at as NodeIx)).collect();
            }
            _ => {
                self.index.insert(id, at);
            }
        }
        at
    }

    /// The node at a place.
    pub fn node(&self, at: NodeIx) -> &Node {
        &self.nodes[at as usize]
    }

    /// The node at a place.
    pub fn node_mut(&mut self, at: NodeIx) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    /// Hangs a node below its parent. A parent that would close a circle is none.
    pub fn link(&mut self, at: NodeIx, parent: SpanId) {
        if parent == self.node(at).id {
            return;
        }
        let parent = self.find_or_expect(parent);
        // Only a node that something hangs below can come to be above itself.
        let closes_a_circle = || self.above(parent).chain([parent]).any(|above| above == at);
        if closes_a_circle() {
            return;
        }
        self.node_mut(at).parent = Some(parent);
        let node = self.node(at);
        let below = Below { call: node.below.call || node.is_call(), tokens: node.below.tokens || node.has_tokens() };
        self.spread(at, below);
    }

    /// The nodes above, the nearest first.
    pub fn above(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let parent = |at: &NodeIx| self.node(*at).parent;
        std::iter::successors(parent(&at), parent.to_owned()).take(Run::DEEPEST as usize)
    }

    /// Tells the nodes above what hangs below them.
    pub fn spread(&mut self, at: NodeIx, below: Below) {
        let mut next = self.node(at).parent;
        for _ in 0..Run::DEEPEST {
            let Some(above) = next else { break };
            let node = self.node_mut(above);
            let merged = Below { call: node.below.call | below.call, tokens: node.below.tokens | below.tokens };
            if merged == node.below {
                break;
            }
            let has_new_tokens = merged.tokens && !node.below.tokens;
            node.below = merged;
            next = node.parent;
            if has_new_tokens && node.billed {
                self.overcounted.push(above);
            }
        }
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
                    found.root_workflow = Some(at);
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

    /// The root: the first node that has arrived and hangs below nothing.
    pub fn root(&self) -> Option<NodeIx> {
        let arrived = |node: &Node| node.parent.is_none() && node.state != State::Expected;
        self.nodes.iter().position(arrived).map(|at| at as NodeIx)
    }

    /// The nearest node above that has a meaning.
    pub fn parent_of_meaning(&self, at: NodeIx) -> Option<NodeIx> {
        self.above(at).find(|above| self.node(*above).op.is_some())
    }

    /// Whether any of it is ours.
    pub fn has_meaning(&self) -> bool {
        self.nodes.iter().any(|node| node.op.is_some())
    }

    /// Whether anything has begun and not ended.
    pub fn has_open_work(&self) -> bool {
        self.nodes.iter().any(|node| node.state == State::Open)
    }
}

impl Default for Room {
    fn default() -> Room {
        Room { nodes: Vec::with_capacity(8), ids: Vec::with_capacity(8), unsettled: Vec::new() }
    }
}

impl RunKey {
    /// How the run is called in URLs and on the screen: the trace id, or the name.
    pub fn id(&self) -> Arc<str> {
        match self {
            RunKey::Trace(trace) => trace.to_string().into(),
            RunKey::Named(name) => name.clone(),
        }
    }

    /// The trace, if it is one.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self {
            RunKey::Trace(trace) => Some(*trace),
            RunKey::Named(_) => None,
        }
    }
}
