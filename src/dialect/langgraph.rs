//! LangGraph, and the agents of LangChain. No span calls them agents: nodes of a graph that call a model are, and
//! what `create_agent` made, whose name is in the metadata of everything in it.

use serde::Deserialize;

use super::lenient::Word;
use super::{Hint, Meaning, Op};
use crate::event::Scope;

/// What the metadata of a run of LangChain says of its place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata<'a> {
    /// The node of the graph that it is, or is in.
    #[serde(borrow, rename = "langgraph_node")]
    pub node: Word<'a>,
    /// The agent that it belongs to.
    #[serde(borrow, rename = "lc_agent_name")]
    pub agent: Word<'a>,
    /// What part of LangChain it is of.
    #[serde(borrow, rename = "ls_integration")]
    pub integration: Word<'a>,
    /// The conversation.
    #[serde(borrow)]
    pub thread_id: Word<'a>,
    /// The conversation, under another name.
    #[serde(borrow)]
    pub conversation_id: Word<'a>,
    /// The session.
    #[serde(borrow)]
    pub session_id: Word<'a>,
    /// The user.
    #[serde(borrow)]
    pub user_id: Word<'a>,
}

/// Nodes that agents are made of: whoever has them is the agent, and not they.
const PARTS: &[&str] = &["agent", "model", "call_model", "llm", "tools", "__start__", "__end__"];

/// The name of a graph that nobody named.
const UNNAMED_GRAPH: &str = "LangGraph";

impl<'a> Metadata<'a> {
    /// Adds what it says to the meaning of a run of this name.
    pub(super) fn add_to(self, name: &'a str, meaning: &mut Meaning<'a>) {
        if !matches!(meaning.op.scope(), Scope::LlmRequest | Scope::Tool) {
            self.place(name, meaning);
        }
        if meaning.agent_name.is_none() {
            meaning.agent_name = self.agent.borrowed(name);
        }
        self.say_whose(meaning);
    }

    /// Adds in which conversation and for whom it was, as far as nobody said so.
    pub(super) fn say_whose(self, meaning: &mut Meaning<'a>) {
        let conversation = self.thread_id.text.or(self.conversation_id.text);
        meaning.conversation_id = meaning.conversation_id.take().or(conversation);
        let session = self.session_id.text.or_else(|| meaning.conversation_id.clone());
        meaning.session_id = meaning.session_id.take().or(session);
        meaning.user_id = meaning.user_id.take().or(self.user_id.text);
    }

    /// Makes out what a chain may be.
    fn place(&self, name: &'a str, meaning: &mut Meaning<'a>) {
        let is_of_graph = self.node.text.is_some() || self.agent.text.is_some();
        let is_graph = !is_of_graph && (self.integration.is("langgraph") || name == UNNAMED_GRAPH);
        if is_graph {
            // One whose nodes are the parts of an agent is an agent.
            (meaning.op, meaning.hint) = (Op::InvokeWorkflow, Some(Hint::AgentIfItCalls));
            return;
        }
        // What is called an agent by somebody, if only because of its name, stays a guess until it calls a model.
        let is_said = meaning.op == Op::InvokeAgent && !PARTS.contains(&name);
        let is_agent = match &self.agent.text {
            Some(agent) => agent == name,
            None => is_said || (self.node.is(name) && !PARTS.contains(&name)),
        };
        if is_agent {
            (meaning.op, meaning.hint, meaning.agent_name) = (Op::Step, Some(Hint::AgentIfItCalls), Some(name));
        } else if meaning.op == Op::InvokeAgent {
            meaning.op = Op::Step;
        }
    }
}
