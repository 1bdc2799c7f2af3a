//! One run: the tree of its work, put together from spans that arrive in any order.
//!
//! A child that arrives before its parent hangs below a node that is only expected; the parent fills it in
//! later. So every walk up the tree goes as far as is known, and no span is ever looked for twice.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::names::Name;
use super::node::{Labels, Node, NodeIx, State};
use crate::event::{SpanId, Timestamp, TraceId};

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
    /// Spans whose events wait for their surroundings to arrive, by time of arrival.
    pub held: Vec<super::emit::Held>,
    /// How many of these were looked at, in vain.
    pub looked_at: usize,
    /// Whether a node has arrived since with which the surroundings of others may be complete.
    pub gap_closed: bool,
    /// What has begun and not ended.
    open: Vec<NodeIx>,
    root: Option<NodeIx>,
    /// Whether any of it is ours.
    pub has_meaning: bool,
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

impl Run {
    /// Runs with more spans than this are looked up by hash instead of by a walk over the ids.
    const SMALL: usize = 32;

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
            looked_at: 0,
            gap_closed: false,
            open: Vec::new(),
            root: None,
            has_meaning: false,
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

    /// Brings a node's life forward, once it hangs where it belongs.
    pub fn advance(&mut self, at: NodeIx, state: State) {
        let before = std::mem::replace(&mut self.node_mut(at).state, state);
        match (before == State::Open, state == State::Open) {
            (false, true) => self.open.push(at),
            (true, false) => self.open.retain(|open| *open != at),
            _ => {}
        }
        if before != State::Expected {
            return;
        }
        if self.node(at).parent.is_none() && self.root().is_none() {
            self.root = Some(at);
        }
        if self.node(at).first_child.is_some() && !self.held.is_empty() && self.surroundings(at).complete {
            self.gap_closed = true;
        }
    }

    /// The root: the first node that has arrived and hangs below nothing.
    pub fn root(&self) -> Option<NodeIx> {
        self.root.filter(|root| self.node(*root).parent.is_none())
    }

    /// What has begun and not ended, in the order in which it began.
    pub fn open(&self) -> &[NodeIx] {
        &self.open
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
