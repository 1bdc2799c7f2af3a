//! What other systems call the events of the catalogue.

use super::catalogue::CATALOGUE;

/// The catalogue's name for another system's, whatever its case and separators: `agent_started`,
/// `AGENT-STARTED` and `agentStarted` are one word.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    let word = word(name);
    let own = || CATALOGUE.iter().map(|entry| entry.name).find(|name| is_written(name, &word));
    ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, canonical)| *canonical).or_else(own)
}

/// Whether this is a name for something of which the system that calls it so need not say what Spanlight wants.
pub(super) fn is_loose(name: &str) -> bool {
    LOOSE.contains(&word(name).as_str())
}

fn word(name: &str) -> String {
    plain(name).replace("cancelled", "canceled")
}

fn is_written(name: &str, word: &str) -> bool {
    name.len() == word.len() && name.bytes().zip(word.bytes()).all(|(a, b)| a == b || a == b'.' && b == b'_')
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

/// Names that are not the catalogue's own, in lower case with underscores.
static ALIASES: &[(&str, &str)] = &[
    ("agent_collaboration", "agent.collaborated"),
    ("agent_complete", "agent.completed"),
    ("agent_decision", "agent.decided"),
    ("agent_error", "agent.failed"),
    ("agent_execution_canceled", "agent.canceled"),
    ("agent_execution_completed", "agent.completed"),
    ("agent_execution_failed", "agent.failed"),
    ("agent_execution_started", "agent.started"),
    ("agent_handoff", "agent.handed_off"),
    ("agent_start", "agent.started"),
    ("agent_thinking", "agent.progress"),
    ("cost_threshold_reached", "budget.warning"),
    ("department_complete", "step.completed"),
    ("department_start", "step.started"),
    ("error_recovery", "error.recovered"),
    ("health_check", "health.checked"),
    ("hypothesis_formation", "hypothesis.formed"),
    ("knowledge_access", "knowledge.accessed"),
    ("llm_call", "llm.completed"),
    ("llm_request_canceled", "llm.canceled"),
    ("llm_request_completed", "llm.completed"),
    ("llm_request_failed", "llm.failed"),
    ("llm_request_progress", "llm.progress"),
    ("llm_request_started", "llm.started"),
    ("memory_tier_access", "memory.accessed"),
    ("orchestration_complete", "workflow.completed"),
    ("orchestration_start", "workflow.started"),
    ("quality_check", "quality.checked"),
    ("review_status", "review.decided"),
    ("tool_call", "tool.started"),
    ("tool_result", "tool.completed"),
    ("tool_usage", "tool.completed"),
    ("validation_complete", "validation.completed"),
    ("workflow_step_canceled", "step.canceled"),
    ("workflow_step_completed", "step.completed"),
    ("workflow_step_failed", "step.failed"),
    ("workflow_step_progress", "step.progress"),
    ("workflow_step_started", "step.started"),
];

/// What these say beside their names is nowhere written down, so nothing of it can be asked for.
static LOOSE: &[&str] = &[
    "agent_collaboration",
    "agent_decision",
    "agent_error",
    "cost_threshold_reached",
    "hypothesis_formation",
    "knowledge_access",
    "memory_tier_access",
    "quality_check",
    "workflow_failed",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::catalogue;

    #[test]
    fn every_alias_leads_to_the_catalogue_and_stands_once() {
        for (index, (alias, name)) in ALIASES.iter().enumerate() {
            assert!(catalogue::entry(name).is_some(), "{name}");
            assert_eq!(*alias, word(alias));
            assert!(catalogue::CATALOGUE.iter().all(|entry| !is_written(entry.name, alias)), "{alias} is its own name");
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

    #[test]
    fn every_name_is_known_in_every_spelling() {
        let own = CATALOGUE.iter().map(|entry| (entry.name, entry.name));
        for (word, name) in ALIASES.iter().copied().chain(own) {
            let word = word.replace('.', "_");
            let mut camel = String::new();
            for part in word.split('_') {
                let (first, rest) = part.split_at(1);
                camel.push_str(&first.to_uppercase());
                camel.push_str(rest);
            }
            for spelled in [word.to_uppercase(), word.replace('_', "-"), word.replace('_', "."), camel, word] {
                assert_eq!(canonical(&spelled), Some(name), "{spelled}");
            }
        }
        assert!(LOOSE.iter().all(|word| canonical(word).is_some()));
    }
}
