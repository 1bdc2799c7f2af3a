//! One span or piece of work within a run.

use std::sync::Arc;

use super::cost::Price;
use super::names::Name;
use super::running::Running;
use crate::dialect::{Aside, Hint, Op, USER, Usage};
use crate::event::{Decision, Scope, SpanId, Timestamp};

/// The place of a node in its run.
pub type NodeIx = u32;

/// A piece of work: a span, or what events from outside say of one. Spans that are none of ours are nodes
/// without an operation, because ours may hang below them.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: SpanId,
    pub parent: Option<NodeIx>,
    pub first_child: Option<NodeIx>,
    pub next_sibling: Option<NodeIx>,
    pub previous_sibling: Option<NodeIx>,
    pub state: State,
    /// Whether its span has arrived, and not only events that speak of it.
    pub has_span: bool,
    /// Whether its span has come before it ended.
    pub was_seen_open: bool,
    /// Whether its parent is in another process, which may report elsewhere.
    pub has_remote_parent: bool,
    /// Whether its parent is in the same process, by the word of its SDK.
    pub has_local_parent: bool,
    pub op: Option<Op>,
    pub outcome: Outcome,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Its own name: the workflow's, step's, agent's or tool's.
    pub name: Option<Name>,
    /// The agent that the span itself names.
    pub agent: Option<Name>,
    pub model: Option<Name>,
    pub provider: Option<Name>,
    pub dialect: Option<&'static str>,
    pub error: Option<Name>,
    pub call: Option<Box<Call>>,
    /// What it may turn out to be.
    pub hint: Option<Hint>,
    /// Whether its emitter never says of such work that it failed.
    pub is_silent: bool,
    /// Whether it is known by an id that its emitter gave it.
    pub has_call_id: bool,
    /// Whether its tokens are those of all calls that the one call below it stands for.
    pub tells_of_calls: bool,
    /// Whether what it is was made out from its surroundings, and not said by its emitter.
    pub inferred: bool,
    /// What happened with it besides.
    pub aside: Option<Box<Happened>>,
    /// What is made of the id of its call, if others have the same.
    pub shared_id: Option<u64>,
    /// Labels that differ from the run's.
    pub labels: Option<Box<Labels>>,
    pub below: Below,
    pub told: Told,
    /// Whether its emitter tells of it in events, which say more than its span.
    pub has_teller: bool,
    /// Of its time, how much it waited for somebody to allow it, in microseconds.
    pub waited_micros: u64,
    /// Whether it was looked at for the counters; whether it entered them; and as one that is billed.
    pub settled: bool,
    pub counted: bool,
    pub billed: bool,
    /// Whether its task was told of it.
    pub counted_for_task: bool,
    /// Its number among the calls of its agent or the steps of its workflow, once it has one.
    pub number: Option<u32>,
    pub next_call: u32,
    pub next_step: u32,
}

/// How far a node's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Only its children have arrived.
    Expected,
    /// It began and has not ended.
    Open {
        /// Its number among what was opened in the run.
        opening: u64,
    },
    /// It began, and nothing was heard of it for so long that nobody waits any more.
    GivenUp,
    /// It ended.
    Ended,
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Well.
    Completed,
    /// Badly.
    Failed,
    /// It was called off.
    Canceled,
    /// Nobody knows: it began, and nothing was heard of it since.
    Lost,
}

/// What is known of a call of a model, or of what other work reports of the calls below it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its tokens.
    pub usage: Usage,
    /// What is known of its price.
    pub price: Price,
    /// The model asked for.
    pub request_model: Option<Name>,
    /// Whether the node's model is the one that answered, and not only the one asked for.
    pub model_answered: bool,
    /// Seconds until the first piece of the answer.
    pub ttft_s: Option<f64>,
    /// The kind of error, for failed calls.
    pub error_type: Option<Name>,
    /// What its emitter told, if that adds up what the calls before took.
    pub running: Option<Box<Running>>,
}

/// To whom and to what a piece of work belongs, where it says so itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    pub conversation: Option<Name>,
    pub session: Option<Name>,
    pub user: Option<Name>,
    pub task: Option<Name>,
    pub feature: Option<Name>,
    pub tags: Option<Arc<[Name]>>,
}

/// What hangs below a node, at any depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// A call of a model.
    pub call: bool,
    /// A call of a model with tokens.
    pub tokens: bool,
    /// The same, whoever made it.
    pub used: bool,
    /// A call of a model whose price is known.
    pub priced: bool,
    /// A call of a model that no agent in between made.
    pub own_call: bool,
}

/// What happened with a piece of work besides its beginning and end.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// One agent passed the work on to another.
    HandedOff {
        /// Who did, if it is said.
        from: Option<Name>,
        /// To whom.
        to: Name,
    },
    /// The agent at work passed the work on to the one that works next.
    PassedOn,
    /// Somebody decided whether something may happen.
    Decided {
        /// Who.
        reviewer: &'static str,
        /// How.
        decision: Decision,
        /// About what.
        target: Option<Name>,
    },
}

/// Which of its events are out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub start: bool,
    pub end: bool,
    /// Whether they say what went in, and what came out.
    pub input: bool,
    pub output: bool,
}

impl Happened {
    /// The same, kept.
    pub fn keep(aside: &Aside<'_>, mut share: impl FnMut(&str) -> Name) -> Happened {
        match aside {
            Aside::HandedOff { from, to } => {
                Happened::HandedOff { from: from.as_deref().map(&mut share), to: share(to) }
            }
            Aside::PassedOn => Happened::PassedOn,
            Aside::Decided { reviewer, decision, target } => {
                Happened::Decided { reviewer, decision: *decision, target: target.as_deref().map(share) }
            }
        }
    }
}

impl Below {
    /// Either.
    pub fn or(self, other: Below) -> Below {
        Below {
            call: self.call | other.call,
            tokens: self.tokens | other.tokens,
            used: self.used | other.used,
            priced: self.priced | other.priced,
            own_call: self.own_call | other.own_call,
        }
    }
}

impl Node {
    /// A node of which only the id is known.
    pub fn expected(id: SpanId) -> Node {
        Node {
            id,
            parent: None,
            first_child: None,
            next_sibling: None,
            previous_sibling: None,
            state: State::Expected,
            has_span: false,
            was_seen_open: false,
            has_remote_parent: false,
            has_local_parent: false,
            op: None,
            outcome: Outcome::Completed,
            start: Timestamp::default(),
            end: Timestamp::default(),
            name: None,
            agent: None,
            model: None,
            provider: None,
            dialect: None,
            error: None,
            call: None,
            hint: None,
            inferred: false,
            is_silent: false,
            has_call_id: false,
            tells_of_calls: false,
            aside: None,
            shared_id: None,
            labels: None,
            below: Below::default(),
            told: Told::default(),
            has_teller: false,
            waited_micros: 0,
            settled: false,
            counted: false,
            billed: false,
            counted_for_task: false,
            number: None,
            next_call: 0,
            next_step: 0,
        }
    }

    /// The scope of its operation.
    pub fn scope(&self) -> Option<Scope> {
        self.op.map(Op::scope)
    }

    /// Whether it is a call of a model.
    pub fn is_call(&self) -> bool {
        self.scope() == Some(Scope::LlmRequest)
    }

    /// What it means for the nodes above it that this node, and what hangs below it, is there.
    pub fn below_inclusive(&self) -> Below {
        let is_priced = self.is_call() && self.call.as_ref().is_some_and(|call| call.price.usd().is_some());
        let (call, tokens) = (self.is_call(), self.has_tokens());
        let own = Below { call, tokens, used: tokens, priced: is_priced, own_call: call };
        let all = self.below.or(own);
        // What an agent or a tool calls within a call of a model is not that call told again.
        let is_apart = matches!(self.scope(), Some(Scope::Agent | Scope::Tool));
        Below {
            call: all.call && !is_apart,
            tokens: all.tokens && !is_apart,
            own_call: all.own_call && !self.makes_calls(),
            ..all
        }
    }

    /// Whether the calls below are those of an agent that this is, or may turn out to be.
    fn makes_calls(&self) -> bool {
        self.is_agent_run() || self.hint == Some(Hint::AgentIfItCalls)
    }

    /// Whether it is a call of a model whose tokens are known.
    pub fn has_tokens(&self) -> bool {
        self.is_call() && self.call.as_ref().is_some_and(|call| call.usage.is_known())
    }

    /// Whether it is a run of an agent; making one is none.
    pub fn is_agent_run(&self) -> bool {
        self.op == Some(Op::InvokeAgent)
    }

    /// Whether it is a call of a model that another one may be a part of: it took as many tokens, and all of its time.
    pub fn is_the_call_of(&self, part: &Node) -> bool {
        let tokens = |node: &Node| node.call.as_deref().map(|call| (call.usage.input, call.usage.output));
        let is_around = self.start <= part.start && part.end <= self.end;
        is_around
            && self.is_call()
            && part.is_call()
            && self.has_ended()
            && part.has_ended()
            && tokens(self) == tokens(part)
    }

    /// Whether it is a node of a graph of agents, by the hint of its emitter.
    pub fn is_of_a_graph(&self) -> bool {
        self.hint == Some(Hint::AgentIfItCalls) || (self.inferred && self.has_span)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// What a person decided who was waited for in this work, and after how many seconds.
    pub fn answer(&self) -> Option<(Decision, f64)> {
        match self.aside.as_deref()? {
            Happened::Decided { reviewer, decision, .. } if *reviewer == USER && self.op == Some(Op::ToolPhase) => {
                Some((*decision, self.duration_micros() as f64 / 1e6)).filter(|(_, waited)| *waited > 0.0)
            }
            _ => None,
        }
    }

    /// From start to end, in microseconds.
    pub fn duration_micros(&self) -> u64 {
        self.end.micros_since(self.start).saturating_sub(self.waited_micros)
    }
}

impl Outcome {
    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Failed => "failed",
            Outcome::Canceled => "canceled",
            Outcome::Lost => "lost",
        }
    }
}

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Labels::default()
    }
}
