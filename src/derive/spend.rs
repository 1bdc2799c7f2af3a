//! What runs have cost so far, for whoever has to know at once and not when counters have settled.
//!
//! A [`Statement`] is all that a run costs, as the ledger has it at that moment, and takes the place of the one before.
//! So whatever changes the ledger changes what is stated, with no word of its own: a deeper call that turns up, a
//! parent that arrives late and brings another feature, runs that turn out to be one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Deriver;
use super::metrics::Meters;
use super::names::Name;
use super::node::NodeIx;
use super::run::Run;
use super::runs::RunIx;
use crate::event::Timestamp;

/// What one run has cost so far, and which of its calls go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Which run: the same number is never given to another one.
    pub run: u64,
    /// How the run is called.
    pub id: Name,
    /// What it cost, call by call.
    pub costs: Vec<Cost>,
    /// Calls of models that have begun and not ended.
    pub open: Vec<Whose>,
    /// Whether it leaves memory: this stays as it is.
    pub is_last: bool,
}

/// What one piece of work cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// When it ended.
    pub at: Timestamp,
    /// US dollars.
    pub usd: f64,
    /// Whose it is.
    pub whose: Whose,
}

/// To what and to whom a piece of work belongs, as far as is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whose {
    /// What it was for.
    pub feature: Option<Name>,
    /// The agent at work.
    pub agent: Option<Name>,
    /// The model.
    pub model: Option<Name>,
    /// Whose model it is.
    pub provider: Option<Name>,
    /// The tool below which it happened.
    pub tool: Option<Name>,
    /// For which user.
    pub user: Option<Name>,
    /// The tags of the nearest work that has any.
    pub tags: Option<Arc<[Name]>>,
}

/// What is to be stated.
#[derive(Debug, Default)]
pub struct Spending {
    /// The last statements of runs that left memory.
    last: Vec<Statement>,
    /// Long runs that have changed since they were stated.
    waiting: Vec<RunIx>,
    /// When each long run was stated.
    stated: HashMap<RunIx, Timestamp, RandomState>,
    /// Sessions that were stated of which only metrics tell.
    metered: HashSet<Name, RandomState>,
    metered_at: Timestamp,
}

impl Spending {
    /// Runs with more nodes are not looked through at every change.
    const LONG: usize = 200;
    /// But so rarely that it takes about a hundredth of the time.
    const PER_NODE: Duration = Duration::from_micros(10);
    /// How often sessions are stated of which only metrics tell.
    const METERS: Duration = Duration::from_secs(1);

    /// States a run that leaves memory.
    pub fn leave(&mut self, ix: RunIx, run: &Run, meters: &Meters) {
        self.last.push(Statement { is_last: true, ..run.statement(ix, meters) });
    }

    /// Whether a run is to be stated now; a long one has to wait for its turn.
    fn is_due(&mut self, ix: RunIx, run: &Run, now: Timestamp) -> bool {
        let nodes = run.nodes.len();
        if nodes <= Spending::LONG {
            return true;
        }
        let pause = Spending::PER_NODE * u32::try_from(nodes).unwrap_or(u32::MAX);
        let is_due = self.stated.get(&ix).is_none_or(|stated| stated.plus(pause) <= now);
        if is_due {
            self.stated.insert(ix, now);
        } else {
            self.waiting.push(ix);
        }
        is_due
    }
}

impl Deriver {
    /// States every run of which may have changed what it cost since it was stated last. Whoever asks for it has to do
    /// so after each portion of input; without [`Settings::states_spending`](super::Settings::states_spending) there is
    /// nothing to state.
    pub fn statements(&mut self, now: Timestamp, mut state: impl FnMut(Statement)) {
        let Some(spending) = &mut self.spending else { return };
        spending.last.drain(..).for_each(&mut state);
        let mut changed = self.runs.take_changed();
        changed.append(&mut spending.waiting);
        changed.sort_unstable();
        changed.dedup();
        for ix in changed {
            match self.runs.get(ix) {
                Some(run) if spending.is_due(ix, run, now) => state(run.statement(ix, &self.meters)),
                Some(_) => {}
                // Another run holds what it held, or it has been stated for the last time.
                None => {
                    spending.stated.remove(&ix);
                    state(Statement::nothing(ix.number(), "".into()));
                }
            }
        }
        if spending.metered_at.plus(Spending::METERS) <= now {
            spending.metered_at = now;
            state_meters(&self.meters, &mut spending.metered, state);
        }
    }
}

/// States the sessions of which only metrics tell, and takes back what others have come to tell of.
fn state_meters(meters: &Meters, metered: &mut HashSet<Name, RandomState>, mut state: impl FnMut(Statement)) {
    let mut statements: HashMap<&Name, Statement, RandomState> = HashMap::default();
    for (of, posting) in meters.postings() {
        let Some(usd) = posting.figures.cost_usd else { continue };
        let statement = statements.entry(of).or_insert_with(|| Statement::nothing(number_of(of), of.clone()));
        let whose = Whose { agent: posting.agent.cloned(), model: posting.model.cloned(), ..Whose::default() };
        statement.costs.push(Cost { at: posting.at, usd, whose });
    }
    let gone: Vec<Name> = metered.iter().filter(|of| !statements.contains_key(*of)).cloned().collect();
    for of in gone {
        metered.remove(&of);
        state(Statement::nothing(number_of(&of), of));
    }
    metered.extend(statements.keys().map(|of| (*of).clone()));
    statements.into_values().for_each(state);
}

/// A number for a session; the numbers of runs are below all of these.
fn number_of(session: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(session.as_bytes()) | 1 << 63
}

impl Statement {
    fn nothing(run: u64, id: Name) -> Statement {
        Statement { run, id, costs: Vec::new(), open: Vec::new(), is_last: false }
    }
}

impl Run {
    fn statement(&self, ix: RunIx, meters: &Meters) -> Statement {
        let mut statement = Statement::nothing(ix.number(), self.key.id());
        if meters.spans_tell_of(self) {
            return statement;
        }
        let nodes = 0..self.nodes.len() as NodeIx;
        statement.costs.extend(nodes.filter(|at| self.node(*at).call.is_some()).filter_map(|at| {
            let usd = self.figures(at)?.cost_usd?;
            Some(Cost { at: self.node(at).end, usd, whose: self.whose(at) })
        }));
        // A call below tells more of it, or has told of all of it.
        let is_call = |at: &NodeIx| self.node(*at).is_call() && !self.node(*at).below.call;
        statement.open.extend(self.open().filter(is_call).map(|at| self.whose(at)));
        statement
    }

    fn whose(&self, at: NodeIx) -> Whose {
        let node = self.node(at);
        let surroundings = self.surroundings(at);
        let mut labels = [at].into_iter().chain(self.above(at)).filter_map(|at| self.node(at).labels.as_deref());
        let (mut user, mut tags) = (None, None);
        labels.by_ref().for_each(|labels| {
            user = user.or(labels.user.as_ref());
            tags = tags.or(labels.tags.as_ref());
        });
        Whose {
            feature: surroundings.feature.cloned(),
            agent: self.agent_name(at, &surroundings).cloned(),
            model: node.model.clone(),
            provider: node.provider.clone(),
            tool: surroundings.tool.and_then(|tool| self.node(tool).name.clone()),
            user: user.or(self.labels.user.as_ref()).cloned(),
            tags: tags.cloned(),
        }
    }
}
