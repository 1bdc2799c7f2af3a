//! What happened with a piece of work besides its beginning and end: handoffs, decisions, looking into memory and
//! knowledge.

use serde::Deserialize;

use super::emit::{Teller, put};
use super::names::Name;
use super::node::{Happened, NodeIx, Outcome};
use super::run::Run;
use crate::dialect::{Matter, Op, USER};
use crate::event::{ComponentId, Data, Event, EventId, EventType, Scope};
use crate::otlp::view::AnyValue;

impl Teller<'_> {
    /// The events of it, after that of the end. Most work has none, and events are large: none is moved on the way.
    pub fn besides(&self, out: &mut Vec<Event>) {
        let node = self.node();
        let told = match node.aside.as_deref() {
            Some(Happened::HandedOff { from, to }) => self.handed_off(from.clone(), to, false),
            Some(Happened::Decided { reviewer, decision, target }) => {
                self.said("review.decided", Scope::Agent, EventType::Completed, |data| {
                    data.str("decision", decision.as_str());
                    data.str("reviewer", reviewer);
                    let tool = self.surroundings.tool.and_then(|tool| self.run.node(tool).name.as_deref());
                    data.opt_str("target", target.as_deref().or(tool).or(node.name.as_deref()));
                })
            }
            Some(Happened::PassedOn) | None => None,
        };
        put(out, told);
        put(out, self.answered());
        put(out, self.inferred_handoff());
        put(out, self.looked_up());
        self.late_ways(out);
    }

    /// What came of asking a person, where the span is the time that it took.
    fn answered(&self) -> Option<Event> {
        let (decision, waited) = self.node().answer()?;
        self.said("hitl.resolved", Scope::System, EventType::Completed, |data| {
            data.str("decision", decision.as_str());
            data.f64("waited_ms", waited * 1000.0);
            data.str("by", USER);
        })
    }

    /// The ways that the work took from agent to agent, when all of it is through: nobody reports them.
    pub fn ways_within(&self, out: &mut Vec<Event>) {
        self.ways_through(self.run.agents_of_graph(self.at(), usize::MAX), |_| true, out);
        out.extend(
            self.run.passed_on(self.at(), usize::MAX).into_iter().filter_map(|(from, to)| self.taken_over(from, to)),
        );
    }

    /// Those that have become known after the work around them was told of.
    fn late_ways(&self, out: &mut Vec<Event>) {
        let node = self.node();
        let passes_on = matches!(node.aside.as_deref(), Some(Happened::PassedOn));
        let agent = if passes_on { node.parent } else { Some(self.at()).filter(|_| node.is_agent_run()) };
        let is_told = |above: &NodeIx| self.run.node(*above).told.end;
        let above = agent.and_then(|agent| self.run.node(agent).parent).filter(is_told);
        let taken_over = above.map(|above| self.run.passed_on(above, MOST_LATE)).unwrap_or_default();
        let taken_over = taken_over.into_iter().filter(|(from, to)| [Some(*from), Some(*to)].contains(&agent));
        out.extend(taken_over.filter_map(|(from, to)| self.taken_over(from, to)));
        self.late_ways_through_graphs(out);
    }

    /// The same of graphs, where an agent came late, or a step that joins it to the graph.
    fn late_ways_through_graphs(&self, out: &mut Vec<Event>) {
        let (run, at) = (self.run, self.at());
        let is_told = |above: &NodeIx| run.node(*above).told.end;
        let mut graphs = run.above(at).take(STEPS_TO_AGENT).filter(is_told).peekable();
        if graphs.peek().is_none() || run.agent_within(at, STEPS_TO_AGENT).is_none() {
            return;
        }
        let is_here = |step: NodeIx| step == at || run.above(at).any(|above| above == step);
        graphs.for_each(|graph| self.ways_through(run.agents_of_graph(graph, MOST_LATE), is_here, out));
    }

    fn taken_over(&self, from: NodeIx, to: NodeIx) -> Option<Event> {
        let name = |at: NodeIx| self.run.node(at).name.as_ref();
        self.way(to, name(from)?, name(to)?)
    }

    /// The ways through a graph, of which these are the nodes, that begin or end with such of them.
    fn ways_through(
        &self,
        mut nodes: Vec<(NodeIx, Name)>,
        is_asked_for: impl Fn(NodeIx) -> bool,
        out: &mut Vec<Event>,
    ) {
        if nodes.len() < 2 {
            return;
        }
        nodes.sort_by_key(|(at, _)| (self.run.node(*at).start, self.run.node(*at).id));
        let mut by_end: Vec<usize> = (0..nodes.len()).collect();
        by_end.sort_by_key(|place| self.run.node(nodes[*place].0).end);
        for (place, (at, to)) in nodes.iter().enumerate() {
            let start = self.run.node(*at).start;
            // What ends before this one begins began before it too, but for what takes no time.
            let ended = by_end.partition_point(|before| self.run.node(nodes[*before].0).end <= start);
            let Some(last) = by_end[..ended].iter().rev().find(|before| **before < place) else { continue };
            let (last, from) = &nodes[*last];
            let is_way = from != to && (is_asked_for(*at) || is_asked_for(*last));
            out.extend(is_way.then(|| self.way(*at, from, to)).flatten());
        }
    }

    fn way(&self, at: NodeIx, from: &Name, to: &Name) -> Option<Event> {
        let mut event = self.said("agent.handed_off", Scope::Agent, EventType::Progress, |data| {
            data.str("from", from);
            data.str("to", to);
            data.bool("inferred", true);
        })?;
        let node = self.run.node(at);
        (event.timestamp, event.span_id) = (node.start, Some(node.id));
        (event.component_id, event.dimensions.agent) = (ComponentId::Agent(from.clone()), Some(from.clone()));
        if let Some(trace) = event.trace_id {
            event.event_id = EventId::of_span_fact(trace, node.id, event.name.as_str(), 0);
        }
        Some(event)
    }

    /// A tool whose call passes the work on to another agent, by its name. One that failed did not, and one that several spans
    /// report did once.
    fn inferred_handoff(&self) -> Option<Event> {
        let node = self.node();
        let passed_on = node.outcome == Outcome::Completed && node.aside.is_none();
        if !passed_on || !self.run.tool_counts(self.at()) {
            return None;
        }
        let to = handed_to(node.name.as_deref()?, self.content.input.as_ref())?;
        // Of agents in a graph the way through it tells, also where the tool came before its agent was known.
        let agent = self.run.node(self.surroundings.agent?);
        if agent.is_of_a_graph() && agent.parent.is_some() {
            return None;
        }
        let known = self.run.agent_called(&to);
        self.handed_off(None, &known.unwrap_or_else(|| to.into()), true)
    }

    fn handed_off(&self, from: Option<Name>, to: &Name, inferred: bool) -> Option<Event> {
        let at_work = || self.surroundings.agent.and_then(|at| self.run.node(at).name.clone());
        // Where nobody knows who was at work, as within a graph, the way through it tells.
        let from = from.or_else(|| self.node().agent.clone()).or_else(at_work)?;
        self.said("agent.handed_off", Scope::Agent, EventType::Progress, |data| {
            data.str("from", &from);
            data.str("to", to);
            if inferred {
                data.bool("inferred", true);
            }
        })
    }

    /// Work that looks into memory or knowledge is told of as such too.
    fn looked_up(&self) -> Option<Event> {
        let node = self.node();
        let name = match node.op? {
            Op::Memory => "memory.accessed",
            Op::Retrieval => "knowledge.accessed",
            _ => return None,
        };
        let (event_type, key) = match node.outcome {
            Outcome::Completed => (EventType::Completed, if node.op == Some(Op::Memory) { "tier" } else { "source" }),
            _ => return None,
        };
        self.said(name, Scope::Tool, event_type, |data| {
            data.opt_str(key, node.name.as_deref());
            if let Some(query) = self.content.input.as_ref().and_then(Matter::said).and_then(AnyValue::text) {
                data.str("query", query.as_str());
            }
        })
    }

    fn said(
        &self,
        name: &'static str,
        scope: Scope,
        event_type: EventType,
        write: impl FnOnce(&mut crate::event::JsonObject<'_>),
    ) -> Option<Event> {
        let mut event = self.event_named(name, scope, event_type)?;
        event.data = Data::build(write);
        Some(event)
    }
}

/// What the names of tools begin with that go on with the agent to whom they pass the work.
const NAMED: &[&str] = &["transfer_to_", "handoff_to_", "hand_off_to_", "transfer_back_to_", "delegate_to_"];
/// Tools that are told to whom.
const GENERAL: &[&str] =
    &["transfer_to_agent", "handoff_to_agent", "handoff", "hand_off", "delegate_to_agent", "transfer"];

/// Of how many nodes beside it work is looked at that comes after the work around it was told of. Each looks at all.
const MOST_LATE: usize = 1000;

/// How many steps there may be from a node of a graph to the agent in it, which a function may call.
const STEPS_TO_AGENT: usize = 4;

/// To whom a tool of this name passes the work: the name has it, or an argument.
fn handed_to(tool: &str, arguments: Option<&Matter<'_>>) -> Option<String> {
    #[derive(Deserialize)]
    struct Arguments {
        #[serde(alias = "agent", alias = "to_agent", alias = "to", alias = "target", alias = "target_agent")]
        #[serde(alias = "recipient", alias = "assistant", alias = "agentName")]
        agent_name: String,
    }
    if GENERAL.contains(&tool) {
        let said = match arguments? {
            Matter::Said(said) => serde_json::from_str::<Arguments>(said.text()?.as_str()),
            Matter::Built(built) => Arguments::deserialize(built),
        };
        return Some(said.ok()?.agent_name).filter(|name| !name.is_empty());
    }
    let name = NAMED.iter().find_map(|beginning| tool.strip_prefix(beginning))?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

impl Run {
    /// Whether it passes the work on, and it is still to be heard by whom.
    pub fn lacks_who_hands_off(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        self.hands_off(at) && node.agent.is_none() && !self.is_complete_above(at)
    }

    /// Whether it is a tool that passes the work on.
    pub fn hands_off(&self, at: NodeIx) -> bool {
        let hands_off = |name: &str| GENERAL.contains(&name) || NAMED.iter().any(|begin| name.starts_with(begin));
        let node = self.node(at);
        node.scope() == Some(Scope::Tool) && node.name.as_deref().is_some_and(hands_off)
    }

    /// The nodes of a graph, right below the span of the graph, in which an agent is at work, with the agent. Of `most`
    /// of the latest.
    fn agents_of_graph(&self, graph: NodeIx, most: usize) -> Vec<(NodeIx, Name)> {
        let agent_in = |at: NodeIx| self.agent_within(at, STEPS_TO_AGENT).and_then(|at| self.node(at).name.clone());
        let nodes = self.children(graph).take(most).filter(|at| self.node(*at).is_of_a_graph());
        nodes.filter_map(|at| Some((at, agent_in(at)?))).collect()
    }

    /// The agent at work in a step, or in one of the steps of which it consists.
    fn agent_within(&self, at: NodeIx, steps: usize) -> Option<NodeIx> {
        if self.node(at).is_agent_run() {
            return Some(at);
        }
        let is_step = self.node(at).scope() == Some(Scope::WorkflowStep);
        if steps == 0 || !is_step { None } else { self.children(at).find_map(|at| self.agent_within(at, steps - 1)) }
    }

    /// The agents that took over right below a node, and from whom: those that began when the one before had ended with
    /// passing the work on. Of `most` of the latest.
    fn passed_on(&self, top: NodeIx, most: usize) -> Vec<(NodeIx, NodeIx)> {
        let agents = || self.children(top).take(most).filter(|at| self.node(*at).is_agent_run());
        let passes_on = |agent: &NodeIx| {
            let is_passed_on = |at: NodeIx| matches!(self.node(at).aside.as_deref(), Some(Happened::PassedOn));
            self.children(*agent).any(is_passed_on)
        };
        let from: Vec<NodeIx> = agents().filter(passes_on).collect();
        if from.is_empty() {
            return Vec::new();
        }
        let mut by_start: Vec<NodeIx> = agents().collect();
        by_start.sort_by_key(|at| self.node(*at).start);
        let next = |agent: NodeIx| {
            let end = self.node(agent).end;
            by_start.get(by_start.partition_point(|at| self.node(*at).start < end)).copied()
        };
        from.into_iter().filter_map(|from| Some((from, next(from)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_passes_work_on_by_its_name_or_an_argument() {
        for (tool, to) in [
            ("transfer_to_billing", Some("billing")),
            ("transfer_to_agent", None),
            ("transfer_back_to_supervisor", Some("supervisor")),
            ("transfer_to_", None),
            ("transfer_money", None),
            ("search", None),
        ] {
            assert_eq!(handed_to(tool, None).as_deref(), to, "{tool}");
        }
    }
}
