//! The agents of a run by what their names say: tools that pass work on are named after agents, in small letters and with
//! underscores.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::names::Name;
use super::node::{Node, NodeIx};
use super::run::Run;

/// The names of agents, found by their letters.
#[derive(Debug, Default)]
pub struct Called(HashMap<String, Name, RandomState>);

impl Run {
    /// In runs with more nodes than this agents are not looked for by a walk over all of them.
    const FEW: usize = 64;

    /// From now on finds agents by their names without a walk over all nodes, if there are many.
    pub fn index_agents(&mut self) {
        if self.called.is_none() && self.nodes.len() > Run::FEW {
            self.called = Some(Box::default());
            (0..self.nodes.len() as NodeIx).for_each(|at| self.note_agent(at));
        }
    }

    /// Writes the name of an agent down, if any are.
    pub fn note_agent(&mut self, at: NodeIx) {
        let Some(called) = &mut self.called else { return };
        if let Some(name) = name_of_agent(&self.nodes[at as usize]) {
            called.0.entry(letters(name).collect()).or_insert_with(|| name.clone());
        }
    }

    /// The agent of this run whose name says the same, however it is written.
    pub fn agent_called(&self, name: &str) -> Option<Name> {
        if let Some(called) = &self.called {
            return called.0.get(&letters(name).collect::<String>()).cloned();
        }
        let says_the_same = |other: &&Name| letters(other).eq(letters(name));
        self.nodes.iter().filter_map(name_of_agent).find(says_the_same).cloned()
    }
}

fn name_of_agent(node: &Node) -> Option<&Name> {
    node.name.as_ref().filter(|_| node.is_agent_run())
}

fn letters(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
}
