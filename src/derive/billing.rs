//! Which calls count: every fact once, however many spans report it.
//!
//! Frameworks report a call that the SDK below them reports again. The deepest span with tokens bills; where no
//! span has tokens, the deepest counts as the call.

use super::node::{NodeIx, State};
use super::run::Run;
use crate::event::Scope;

impl Run {
    /// Whether a call of a model counts.
    pub fn call_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        if !node.is_call() || node.state != State::Ended || node.below.tokens || self.is_told_by_a_twin(at) {
            return false;
        }
        if node.has_tokens() {
            return true;
        }
        // Without tokens here or below: calls below tell it better, and so does a call above that has the
        // tokens of both.
        !node.below.call && !self.told_by_a_call_above(at)
    }

    /// Whether a call of a tool counts. Client and server of one call, and a framework above them, each report
    /// it: the outermost does.
    pub fn tool_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        if node.scope() != Some(Scope::Tool) || node.state != State::Ended || self.is_told_by_a_twin(at) {
            return false;
        }
        let above = self.parent_of_meaning(at).map(|above| self.node(above));
        !above.is_some_and(|above| above.scope() == Some(Scope::Tool) && above.name == node.name)
    }

    /// Whether a run of an agent counts. A framework and what instruments it each report it, one within the other; an
    /// agent that comes to call itself does so through a tool.
    pub fn agent_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        let is_between = |above: &NodeIx| !matches!(self.node(*above).scope(), Some(Scope::Tool));
        let agents = self.above(at).take_while(is_between).filter(|above| self.node(*above).is_agent_run());
        let nearest = agents.map(|above| &self.node(above).name).next();
        node.is_agent_run() && (node.name.is_none() || nearest != Some(&node.name))
    }

    fn told_by_a_call_above(&self, at: NodeIx) -> bool {
        let within_the_call =
            |above: &NodeIx| !matches!(self.node(*above).scope(), Some(Scope::Agent | Scope::Tool | Scope::Workflow));
        let mut above = self.above(at).take_while(within_the_call);
        above.any(|above| self.node(above).has_tokens() && !self.node(above).below.tokens)
    }
}
