//! What other systems call the events of the catalogue.

/// The catalogue's name for another system's, whatever its case and separators: `agent_started`,
/// `AGENT-STARTED` and `agentStarted` are one word.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    let word = plain(name);
    ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, canonical)| *canonical)
}

/// Lower case with underscores.
pub(super) fn plain(name: &str) -> String {
    let mut word = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        match letter {
            '-' | ' ' | '.' | ':' | '/' => word.push('_'),
            _ => {
                if letter.is_uppercase() && after_lower {
                    word.push('_');
                }
                word.extend(letter.to_lowercase());
            }
        }
        after_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    word
}

static ALIASES: &[(&str, &str)] = &[
    ("agent_activated", "agent.activated"),
    ("agent_canceled", "agent.canceled"),
    ("agent_cancelled", "agent.canceled"),
    ("agent_collaborated", "agent.collaborated"),
    ("agent_collaboration", "agent.collaborated"),
    ("agent_complete", "agent.completed"),
    ("agent_completed", "agent.completed"),
    ("agent_deactivated", "agent.deactivated"),
    ("agent_decided", "agent.decided"),
    ("agent_decision", "agent.decided"),
    ("agent_error", "agent.failed"),
    ("agent_execution_completed", "agent.completed"),
    ("agent_execution_started", "agent.started"),
    ("agent_failed", "agent.failed"),
    ("agent_handed_off", "agent.handed_off"),
    ("agent_optimized", "agent.optimized"),
    ("agent_progress", "agent.progress"),
    ("agent_spawned", "agent.spawned"),
    ("agent_start", "agent.started"),
    ("agent_started", "agent.started"),
    ("agent_thinking", "agent.progress"),
    ("budget_exceeded", "budget.exceeded"),
    ("budget_warning", "budget.warning"),
    ("command_executed", "command.executed"),
    ("cost_threshold_reached", "budget.warning"),
    ("department_complete", "step.completed"),
    ("department_start", "step.started"),
    ("error_recovered", "error.recovered"),
    ("error_recovery", "error.recovered"),
    ("feedback_received", "feedback.received"),
    ("health_check", "health.checked"),
    ("hitl_escalated", "hitl.escalated"),
    ("hitl_resolved", "hitl.resolved"),
    ("hypothesis_formation", "hypothesis.formed"),
    ("improvement_applied", "improvement.applied"),
    ("knowledge_access", "knowledge.accessed"),
    ("knowledge_updated", "knowledge.updated"),
    ("llm_call", "llm.completed"),
    ("llm_completed", "llm.completed"),
    ("llm_failed", "llm.failed"),
    ("llm_progress", "llm.progress"),
    ("llm_started", "llm.started"),
    ("memory_tier_access", "memory.accessed"),
    ("optimization_completed", "optimization.completed"),
    ("orchestration_complete", "workflow.completed"),
    ("orchestration_start", "workflow.started"),
    ("pattern_discovered", "pattern.discovered"),
    ("performance_alert", "performance.alert"),
    ("quality_check", "quality.checked"),
    ("review_decided", "review.decided"),
    ("review_status", "review.decided"),
    ("step_completed", "step.completed"),
    ("step_failed", "step.failed"),
    ("step_started", "step.started"),
    ("system_progress", "system.progress"),
    ("task_queued", "task.queued"),
    ("tool_call", "tool.started"),
    ("tool_completed", "tool.completed"),
    ("tool_failed", "tool.failed"),
    ("tool_progress", "tool.progress"),
    ("tool_result", "tool.completed"),
    ("tool_started", "tool.started"),
    ("tool_usage", "tool.completed"),
    ("validation_complete", "validation.completed"),
    ("validation_completed", "validation.completed"),
    ("workflow_canceled", "workflow.canceled"),
    ("workflow_completed", "workflow.completed"),
    ("workflow_failed", "workflow.failed"),
    ("workflow_paused", "workflow.paused"),
    ("workflow_progress", "workflow.progress"),
    ("workflow_resumed", "workflow.resumed"),
    ("workflow_saved", "workflow.saved"),
    ("workflow_started", "workflow.started"),
    ("workflow_step_canceled", "step.canceled"),
    ("workflow_step_completed", "step.completed"),
    ("workflow_step_failed", "step.failed"),
    ("workflow_step_progress", "step.progress"),
    ("workflow_step_started", "step.started"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::catalogue;

    #[test]
    fn every_alias_leads_to_the_catalogue_and_stands_once() {
        for (index, (alias, name)) in ALIASES.iter().enumerate() {
            assert!(catalogue::entry(name).is_some(), "{name}");
            assert_eq!(*alias, plain(alias));
            assert!(ALIASES[index + 1..].iter().all(|(other, _)| other != alias), "{alias}");
        }
    }

    #[test]
    fn case_and_separators_do_not_matter() {
        for name in ["agent_started", "AGENT_STARTED", "agent-started", "agentStarted", "AgentStarted"] {
            assert_eq!(canonical(name), Some("agent.started"), "{name}");
        }
        assert_eq!(canonical("something_else"), None);
    }
}
