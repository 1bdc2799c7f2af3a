//! The catalogue: every name Spanlight knows, and what an event of that name is about.

use super::kind::{EventName, EventType, Scope, Status};

/// What an event of a name is about, unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// Its scope.
    pub scope: Scope,
    /// Its type.
    pub event_type: EventType,
    /// Its status.
    pub status: Status,
}

/// The entry of a name; custom events have none.
pub fn entry(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// The name of a component's life-cycle event, e.g. `agent.completed`. The system has only `system.progress`.
pub const fn lifecycle(scope: Scope, event_type: EventType) -> EventName {
    use EventType::{Canceled, Completed, Failed, Progress, Started};
    EventName::of(match (scope, event_type) {
        (Scope::Workflow, Started) => "workflow.started",
        (Scope::Workflow, Progress) => "workflow.progress",
        (Scope::Workflow, Completed) => "workflow.completed",
        (Scope::Workflow, Failed) => "workflow.failed",
        (Scope::Workflow, Canceled) => "workflow.canceled",
        (Scope::WorkflowStep, Started) => "step.started",
        (Scope::WorkflowStep, Progress) => "step.progress",
        (Scope::WorkflowStep, Completed) => "step.completed",
        (Scope::WorkflowStep, Failed) => "step.failed",
        (Scope::WorkflowStep, Canceled) => "step.canceled",
        (Scope::Agent, Started) => "agent.started",
        (Scope::Agent, Progress) => "agent.progress",
        (Scope::Agent, Completed) => "agent.completed",
        (Scope::Agent, Failed) => "agent.failed",
        (Scope::Agent, Canceled) => "agent.canceled",
        (Scope::LlmRequest, Started) => "llm.started",
        (Scope::LlmRequest, Progress) => "llm.progress",
        (Scope::LlmRequest, Completed) => "llm.completed",
        (Scope::LlmRequest, Failed) => "llm.failed",
        (Scope::LlmRequest, Canceled) => "llm.canceled",
        (Scope::Tool, Started) => "tool.started",
        (Scope::Tool, Progress) => "tool.progress",
        (Scope::Tool, Completed) => "tool.completed",
        (Scope::Tool, Failed) => "tool.failed",
        (Scope::Tool, Canceled) => "tool.canceled",
        (Scope::System, _) => "system.progress",
    })
}

/// The status of a component after an event of a type.
pub const fn status_after(event_type: EventType) -> Status {
    match event_type {
        EventType::Started | EventType::Progress => Status::Running,
        EventType::Completed => Status::Completed,
        EventType::Failed => Status::Failed,
        EventType::Canceled => Status::Canceled,
    }
}

const fn event(name: &'static str, scope: Scope, event_type: EventType) -> Entry {
    Entry { name, scope, event_type, status: status_after(event_type) }
}

const fn pending(name: &'static str, scope: Scope) -> Entry {
    Entry { name, scope, event_type: EventType::Progress, status: Status::Pending }
}

use EventType::{Canceled, Completed, Failed, Progress, Started};
use Scope::{Agent, LlmRequest, System, Tool, Workflow, WorkflowStep};

/// All names, by subject.
pub static CATALOGUE: &[Entry] = &[
    event("workflow.started", Workflow, Started),
    event("workflow.progress", Workflow, Progress),
    event("workflow.completed", Workflow, Completed),
    event("workflow.failed", Workflow, Failed),
    event("workflow.canceled", Workflow, Canceled),
    event("workflow.paused", Workflow, Progress),
    event("workflow.resumed", Workflow, Progress),
    event("step.started", WorkflowStep, Started),
    event("step.progress", WorkflowStep, Progress),
    event("step.completed", WorkflowStep, Completed),
    event("step.failed", WorkflowStep, Failed),
    event("step.canceled", WorkflowStep, Canceled),
    pending("task.queued", Workflow),
    event("agent.started", Agent, Started),
    event("agent.progress", Agent, Progress),
    event("agent.completed", Agent, Completed),
    event("agent.failed", Agent, Failed),
    event("agent.canceled", Agent, Canceled),
    event("agent.spawned", Agent, Progress),
    event("agent.activated", Agent, Progress),
    event("agent.deactivated", Agent, Progress),
    event("agent.optimized", Agent, Progress),
    event("agent.collaborated", Agent, Progress),
    event("agent.decided", Agent, Progress),
    event("agent.handed_off", Agent, Progress),
    event("llm.started", LlmRequest, Started),
    event("llm.progress", LlmRequest, Progress),
    event("llm.completed", LlmRequest, Completed),
    event("llm.failed", LlmRequest, Failed),
    event("llm.canceled", LlmRequest, Canceled),
    event("messages.recorded", LlmRequest, Progress),
    event("tool.started", Tool, Started),
    event("tool.progress", Tool, Progress),
    event("tool.completed", Tool, Completed),
    event("tool.failed", Tool, Failed),
    event("tool.canceled", Tool, Canceled),
    event("memory.accessed", Tool, Completed),
    event("knowledge.accessed", Tool, Completed),
    event("knowledge.updated", Tool, Completed),
    event("hypothesis.formed", Agent, Progress),
    event("review.decided", Agent, Completed),
    event("quality.checked", Agent, Completed),
    event("validation.completed", WorkflowStep, Completed),
    pending("hitl.escalated", System),
    event("hitl.resolved", System, Completed),
    event("budget.warning", System, Progress),
    event("budget.exceeded", System, Failed),
    event("pattern.discovered", System, Progress),
    event("improvement.applied", System, Progress),
    event("optimization.completed", System, Completed),
    event("feedback.received", System, Progress),
    event("workflow.saved", System, Progress),
    event("command.executed", System, Progress),
    event("performance.alert", System, Progress),
    event("error.recovered", System, Progress),
    event("health.checked", System, Progress),
    event("system.progress", System, Progress),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_the_form_and_stands_once() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            assert!(EventName::parse(entry.name).is_some(), "{}", entry.name);
            assert!(CATALOGUE[index + 1..].iter().all(|other| other.name != entry.name), "{}", entry.name);
        }
    }

    #[test]
    fn life_cycle_names_are_in_the_catalogue_with_their_scope_and_type() {
        for &scope in Scope::ALL.iter().filter(|scope| **scope != Scope::System) {
            for &event_type in EventType::ALL {
                let name = lifecycle(scope, event_type);
                let entry = entry(name.as_str()).unwrap();
                assert_eq!((entry.scope, entry.event_type), (scope, event_type));
            }
        }
    }

    #[test]
    fn every_name_is_documented_and_no_other() {
        let page = include_str!("../../docs/events.md");
        let list = page.split("## The catalogue").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
        let mut documented = Vec::new();
        for row in list.lines().filter(|line| line.starts_with("| `")) {
            let names = row.split('|').nth(1).unwrap_or_default();
            let mut subject = "";
            for name in names.split('`').map(str::trim).filter(|name| !name.is_empty()) {
                // Of those of one subject the first has it.
                subject = name.split_once('.').map(|(subject, _)| subject).filter(|s| !s.is_empty()).unwrap_or(subject);
                let verb = name.rsplit('.').next().unwrap_or_default();
                documented.push(format!("{subject}.{verb}"));
            }
        }
        let mut known: Vec<_> = CATALOGUE.iter().map(|entry| entry.name.to_owned()).collect();
        known.sort();
        documented.sort();
        assert_eq!(documented, known);
    }
}
