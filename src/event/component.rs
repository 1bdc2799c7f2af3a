//! Component ids: which workflow, step, agent, call or subsystem an event speaks of.

use std::fmt;
use std::sync::Arc;

use super::kind::Scope;

/// The id of a component in the format of its scope.
///
/// ```
/// use spanlight::event::{ComponentId, Scope};
///
/// let id = ComponentId::parse(Scope::LlmRequest, "researcher:llm:0");
/// assert_eq!(id, ComponentId::Llm { agent: "researcher".into(), number: 0 });
/// assert_eq!(id.to_string(), "researcher:llm:0");
/// assert!(!ComponentId::parse(Scope::LlmRequest, "call 7").is_well_formed());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ComponentId {
    /// `name`
    Workflow(Arc<str>),
    /// `workflow:step:N`
    Step {
        /// The workflow it belongs to.
        workflow: Arc<str>,
        /// Its number within the workflow, from 0.
        number: u32,
    },
    /// `name`
    Agent(Arc<str>),
    /// `agent:llm:N`
    Llm {
        /// The agent that calls.
        agent: Arc<str>,
        /// The call's number within the agent's run, from 0.
        number: u32,
    },
    /// `name` or `name:N`
    Tool {
        /// The tool.
        name: Arc<str>,
        /// The call's number, where several are told apart.
        number: Option<u32>,
    },
    /// `system:subsystem`; in every other scope work that was given no name of its own
    System(Arc<str>),
    /// An id from outside that does not fit its scope, kept as it came.
    Verbatim(Arc<str>),
}

impl ComponentId {
    /// The id that a text means in a scope; one that does not fit the scope's format is kept verbatim.
    pub fn parse(scope: Scope, text: &str) -> ComponentId {
        let system = || text.strip_prefix("system:").and_then(name).map(ComponentId::System);
        let parsed = match scope {
            Scope::Workflow | Scope::Agent if is_nameless(text) => system(),
            Scope::Workflow => name(text).map(ComponentId::Workflow),
            Scope::Agent => name(text).map(ComponentId::Agent),
            Scope::WorkflowStep => numbered(text, ":step:")
                .map(|(workflow, number)| ComponentId::Step { workflow, number })
                .or_else(system),
            Scope::LlmRequest => {
                numbered(text, ":llm:").map(|(agent, number)| ComponentId::Llm { agent, number }).or_else(system)
            }
            Scope::Tool => numbered(text, ":")
                .map(|(name, number)| ComponentId::Tool { name, number: Some(number) })
                .or_else(|| system().filter(|_| is_nameless(text)))
                .or_else(|| name(text).map(|name| ComponentId::Tool { name, number: None })),
            Scope::System => system(),
        };
        parsed.unwrap_or_else(|| ComponentId::Verbatim(text.into()))
    }

    /// The id in parts: what is before the name, the name, what is between it and the number, and that.
    pub(crate) fn parts(&self) -> (&'static str, &str, &'static str, Option<u32>) {
        match self {
            ComponentId::Workflow(name) | ComponentId::Agent(name) | ComponentId::Verbatim(name) => {
                ("", name, "", None)
            }
            ComponentId::Tool { name, number } => ("", name, if number.is_some() { ":" } else { "" }, *number),
            ComponentId::Step { workflow, number } => ("", workflow, ":step:", Some(*number)),
            ComponentId::Llm { agent, number } => ("", agent, ":llm:", Some(*number)),
            ComponentId::System(subsystem) => ("system:", subsystem, "", None),
        }
    }

    /// Whether it has the format of its scope.
    pub fn is_well_formed(&self) -> bool {
        !matches!(self, ComponentId::Verbatim(_))
    }
}

/// A name on its own: not empty, and without the separator of the numbered formats.
fn name(text: &str) -> Option<Arc<str>> {
    (!text.is_empty() && !text.contains(":step:") && !text.contains(":llm:")).then(|| text.into())
}

/// Whether it is what [`super::Event::named`] gives work without a name: the first part of an event's name.
fn is_nameless(text: &str) -> bool {
    text.strip_prefix("system:").is_some_and(|part| !part.is_empty() && !part.contains(':'))
}

fn numbered(text: &str, separator: &str) -> Option<(Arc<str>, u32)> {
    let (owner, number) = text.rsplit_once(separator)?;
    (!owner.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| number.parse().ok().map(|number| (owner.into(), number)))?
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, name, between, number) = self.parts();
        [before, name, between].into_iter().try_for_each(|part| f.write_str(part))?;
        number.map_or(Ok(()), |number| write!(f, "{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_survives_the_way_there_and_back() {
        for (scope, text) in [
            (Scope::Workflow, "data_pipeline"),
            (Scope::WorkflowStep, "pipeline:step:0"),
            (Scope::Agent, "researcher"),
            (Scope::Agent, "ns:researcher"),
            (Scope::LlmRequest, "ns:researcher:llm:12"),
            (Scope::Tool, "calculator"),
            (Scope::Tool, "web_scraper:0"),
            (Scope::Tool, "mcp:github:search"),
            (Scope::System, "system:tool_loop_detection"),
            (Scope::Workflow, "system:workflow"),
            (Scope::WorkflowStep, "system:step"),
            (Scope::Agent, "system:agent"),
            (Scope::LlmRequest, "system:llm"),
            (Scope::LlmRequest, "system:llm:0"),
            (Scope::Tool, "system:tool"),
        ] {
            let id = ComponentId::parse(scope, text);
            assert!(id.is_well_formed(), "{text}");
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn work_without_a_name_is_read_again_as_such() {
        for scope in Scope::ALL {
            for part in ["workflow", "step", "agent", "llm", "tool", "system", "custom"] {
                let id = ComponentId::System(part.into());
                assert_eq!(ComponentId::parse(*scope, &id.to_string()), id, "{scope}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_kept_verbatim() {
        for (scope, text) in [
            (Scope::WorkflowStep, "pipeline"),
            (Scope::WorkflowStep, "pipeline:step:x"),
            (Scope::LlmRequest, ":llm:0"),
            (Scope::System, "scheduler"),
            (Scope::Agent, ""),
        ] {
            let id = ComponentId::parse(scope, text);
            assert_eq!(id, ComponentId::Verbatim(text.into()));
            assert_eq!(id.to_string(), text);
        }
    }
}
