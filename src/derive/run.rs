//! One run: the tree of its work, put together from spans that arrive in any order.
//!
//! A child that arrives before its parent hangs below a node that is only expected; the parent fills it in
//! later. So every walk up the tree goes as far as is known, and no span is ever looked for twice.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::names::Name;
use super::node::{Labels, Node, NodeIx, State};
use super::turn::Turn;
use super::twins::CallIds;
use crate::event::{SourceKind, SpanId, Timestamp, TraceId};

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
    /// Through what its spans came.
    pub source: SourceKind,
    pub service: Option<Name>,
    pub instance: Option<Name>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Whether it counts as ended, until more arrives.
    pub closed: bool,
    /// Its place in the order in which runs closed.
    pub closing: u64,
    /// Whether its open work was given up on.
    pub lost: bool,
    /// When it wants to be looked at next.
    pub due: Option<Timestamp>,
    /// Ended nodes that have not entered the counters, by time of arrival.
    pub unsettled: Vec<(Timestamp, NodeIx)>,
    /// Those that wait longer, because what is above them has not arrived.
    pub waiting: Vec<(Timestamp, NodeIx)>,
    /// Work that may be a task, or a part of one, when the run is over.
    pub task_work: Vec<NodeIx>,
    /// What was told to be work on a task, and to have cost so many US dollars.
    pub told_tasks: Vec<(NodeIx, f64)>,
    /// What tools were called with.
    pub loops: super::loops::Loops,
    /// When agents waited for people.
    pub waits: Vec<super::waits::HumanWait>,
    pub people: super::waits::People,
    /// The ids under which its calls are known.
    pub call_ids: CallIds,
    /// What else is known of the work of a coding agent.
    pub turn: Option<Box<Turn>>,
    /// The emitter whose spans tell of the same, if it sends any.
    pub unless_spans_of: Option<Name>,
    /// The traces of the nodes that are of another one than the run is called by.
    pub other_traces: HashMap<NodeIx, TraceId, RandomState>,
    /// What else the run is called by.
    pub aliases: Vec<RunKey>,
    /// Its agents by name, once they are many and somebody has looked for one.
    pub called: Option<Box<super::called::Called>>,
    /// Spans of which it is open what they are, and whose events wait for that, by time of arrival.
    pub undecided: Vec<super::held::Held>,
    /// Spans whose events wait for their surroundings to arrive, by time of arrival.
    pub held: Vec<super::held::Held>,
    /// How many of these were looked at, in vain.
    pub looked_at: usize,
    /// Whether a node has arrived since with which the surroundings of others may be complete.
    pub gap_closed: bool,
    /// The same since work was last moved into the counters.
    pub gap_closed_for_counters: bool,
    /// What has begun and not ended, in the order in which it began.
    open: BTreeMap<u64, NodeIx>,
    next_opening: u64,
    root: Option<NodeIx>,
    /// Whether another run tells of all of it.
    pub told_elsewhere: bool,
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
    task_work: Vec<NodeIx>,
    call_ids: CallIds,
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
            source: SourceKind::Otlp,
            service: None,
            instance: None,
            first_seen: now,
            last_seen: now,
            closed: false,
            closing: 0,
            lost: false,
            due: None,
            unsettled: room.unsettled,
            waiting: Vec::new(),
            task_work: room.task_work,
            told_tasks: Vec::new(),
            loops: Default::default(),
            waits: Vec::new(),
            people: Default::default(),
            call_ids: room.call_ids,
            turn: None,
            unless_spans_of: None,
            other_traces: HashMap::default(),
            aliases: Vec::new(),
            called: None,
            undecided: Vec::new(),
            held: Vec::new(),
            looked_at: 0,
            gap_closed: false,
            gap_closed_for_counters: false,
            open: BTreeMap::new(),
            next_opening: 0,
            root: None,
            told_elsewhere: false,
            has_meaning: false,
            overcounted: Vec::new(),
            next_call: 0,
            next_step: 0,
        }
    }

    /// What it allocated, for another run; of a large one nothing is worth keeping.
    pub fn take_room(&mut self) -> Option<Room> {
        let mut room = Room {
            nodes: take(&mut self.nodes),
            ids: take(&mut self.ids),
            unsettled: take(&mut self.unsettled),
            task_work: take(&mut self.task_work),
            call_ids: take(&mut self.call_ids),
        };
        room.nodes.clear();
        room.ids.clear();
        room.unsettled.clear();
        room.task_work.clear();
        room.call_ids.clear();
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
        match (before, state) {
            (State::Open { .. }, State::Open { .. }) => {}
            (State::Open { opening }, _) => drop(self.open.remove(&opening)),
            (_, State::Open { opening }) => drop(self.open.insert(opening, at)),
            _ => {}
        }
        if before != State::Expected {
            return;
        }
        self.note_agent(at);
        // Of several the earliest, whichever arrived first.
        let began = |at: NodeIx| (self.node(at).start, self.node(at).id);
        if self.is_root(at) && self.root().is_none_or(|root| began(at) < began(root)) {
            self.root = Some(at);
        }
        if self.node(at).first_child.is_some() && self.is_complete_above(at) {
            (self.gap_closed, self.gap_closed_for_counters) = (true, true);
        }
    }

    /// Lets work begin, unless it has.
    pub fn open_up(&mut self, at: NodeIx) {
        if matches!(self.node(at).state, State::Open { .. }) {
            return;
        }
        let opening = self.next_opening;
        self.next_opening += 1;
        self.advance(at, State::Open { opening });
    }

    /// The root: of the nodes that hang below nothing that will arrive, the one that began first.
    pub fn root(&self) -> Option<NodeIx> {
        self.root.filter(|root| self.is_root(*root))
    }

    /// Makes a node the root: what was known before may hang below it now.
    pub fn reroot(&mut self, at: NodeIx) {
        self.root = Some(at);
    }

    fn is_root(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        let is_expected = |parent: NodeIx| self.node(parent).state == State::Expected;
        node.parent.is_none_or(|parent| node.has_remote_parent && is_expected(parent))
    }

    /// What has begun and not ended, what began last first.
    pub fn open(&self) -> impl Iterator<Item = NodeIx> {
        self.open.values().rev().copied()
    }

    /// Whether anything has begun and not ended.
    pub fn has_open_work(&self) -> bool {
        !self.open.is_empty()
    }

    /// Writes down to whom a piece of work belongs (the conversation, the session and the user), and to what. What most of
    /// a run belongs to is kept with the run, the rest with the node; what it is for and the task differ within runs, and
    /// are always the node's, which `own` has.
    pub fn label(&mut self, at: NodeIx, to_whom: [Option<&str>; 3], own: Option<Labels>) {
        let of_run = [&mut self.labels.conversation, &mut self.labels.session, &mut self.labels.user];
        let is_common = |(said, of_run): (&Option<&str>, &Option<Name>)| said.is_none() || *said == of_run.as_deref();
        if own.is_none() && to_whom.iter().zip(of_run.iter().map(|label| &**label)).all(is_common) {
            return;
        }
        let mut own = own.unwrap_or_default();
        let of_node = [&mut own.conversation, &mut own.session, &mut own.user];
        for ((said, of_run), of_node) in to_whom.into_iter().zip(of_run).zip(of_node) {
            match (said, &of_run) {
                (Some(said), None) => *of_run = Some(said.into()),
                (Some(said), Some(common)) if **common != *said => *of_node = Some(said.into()),
                _ => {}
            }
        }
        if own.is_empty() {
            return;
        }
        if own.task.is_some() {
            self.task_work.push(at);
        }
        let known = self.node_mut(at).labels.get_or_insert_default();
        known.tags = own.tags.or(known.tags.take());
        for (known, own) in [
            (&mut known.conversation, own.conversation),
            (&mut known.session, own.session),
            (&mut known.user, own.user),
            (&mut known.task, own.task),
            (&mut known.feature, own.feature),
        ] {
            if own.is_some() {
                *known = own;
            }
        }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room {
            nodes: Vec::with_capacity(8),
            ids: Vec::with_capacity(8),
            unsettled: Vec::new(),
            task_work: Vec::new(),
            call_ids: CallIds::default(),
        }
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
