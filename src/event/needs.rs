//! What an event of the catalogue says nothing without, and what other systems call it.

use serde_json::Value;

use super::envelope::{Envelope, Named};
use super::{Event, EventType, ReadError, catalogue};
use crate::nearest::nearest;

/// A member without which an event says nothing.
struct Need {
    /// What it is called in errors.
    key: &'static str,
    /// Members that will do in its place.
    or: &'static [&'static str],
    /// What it is, where its name does not say it.
    is: &'static str,
    /// Whether the work around the event knows it.
    by_place: bool,
}

const fn need(key: &'static str, or: &'static [&'static str], is: &'static str) -> Need {
    Need { key, or, is, by_place: false }
}

/// A need that the work around meets, or an id of the component.
const fn place(key: &'static str, or: &'static [&'static str], is: &'static str) -> Need {
    Need { key, or, is, by_place: true }
}

const AGENT: Need = place("agent", &["agent_name", "agent_id", "source_agent", "component_id"], "");

/// By name, or by what names begin with; the first that fits.
static NEEDS: &[(&str, &[Need])] = &[
    ("agent.collaborated", &[place("primary_agent", &["collaborating_agents", "agent", "source_agent"], "")]),
    ("agent.decided", &[AGENT, need("decision", &["choice"], "")]),
    ("agent.handed_off", &[place("from", &["agent", "source_agent"], ", an agent"), need("to", &[], ", an agent")]),
    ("agent.", &[AGENT]),
    ("budget.", &[need("limit", &["budget"], ", in US dollars, or the name of the `budget`")]),
    ("hitl.escalated", &[place("task_id", &[], "")]),
    ("hitl.resolved", &[need("decision", &[], ": approved, rejected or timed_out")]),
    ("hypothesis.formed", &[need("hypothesis", &["hypothesis_id"], "")]),
    ("knowledge.accessed", &[need("query", &["source"], ", or the `source` that was asked")]),
    ("memory.accessed", &[need("tier", &["key", "hit"], "")]),
    ("messages.recorded", &[need("messages", &["response"], ", or the `response` to them")]),
    ("quality.checked", &[need("score", &["passed", "quality"], ", or whether it `passed`")]),
    ("review.decided", &[need("decision", &[], ": approved, rejected or revise")]),
    ("step.", &[place("step_name", &["step_id", "component_id"], "")]),
    ("task.queued", &[place("task_id", &[], "")]),
    ("tool.", &[place("tool_name", &["tool", "component_id"], "")]),
    (
        "validation.completed",
        &[need(
            "passed",
            &["result", "test_passed", "test_executed", "browser_launched"],
            ", or a `result` that says whether it did",
        )],
    ),
];

fn needs(name: &str) -> &'static [Need] {
    let fits = |key: &str| if key.ends_with('.') { name.starts_with(key) } else { name == key };
    NEEDS.iter().find(|(key, _)| fits(key)).map_or(&[], |(_, needs)| needs)
}

/// What other systems call the members of the payload that the catalogue has a name for.
fn foreign(name: &str) -> &'static [(&'static str, &'static [&'static str])] {
    match name {
        "agent.collaborated" => &[
            ("collaborating_agents", &["agents", "participants", "collaborators"]),
            ("consensus_reached", &["consensus"]),
        ],
        "agent.handed_off" => &[("from", &["from_agent"]), ("to", &["to_agent", "target_agent", "target"])],
        "budget.warning" | "budget.exceeded" => &[
            ("limit", &["budget_limit", "limit_usd", "cost_limit"]),
            ("current_spend", &["current_cost", "spent", "spend"]),
        ],
        "feedback.received" => &[("rating", &["score", "stars"])],
        "hitl.resolved" => &[("by", &["resolved_by", "approved_by"]), ("waited_ms", &["wait_ms", "wait_time_ms"])],
        "hypothesis.formed" => &[("hypothesis", &["statement", "description"])],
        "memory.accessed" => &[("tier", &["memory_tier", "tier_accessed"]), ("hit", &["cache_hit"])],
        "quality.checked" => &[("score", &["quality_score", "overall_score"])],
        "review.decided" => &[("reviewer", &["reviewer_name", "reviewer_id", "reviewed_by"])],
        name if name.starts_with("step.") => &[("step_name", &["step", "department"])],
        name if name.starts_with("tool.") => &[("arguments", &["args", "parameters", "tool_input"])],
        _ => &[],
    }
}

/// Gives members of the payload the names of the catalogue.
pub(super) fn rename(envelope: &mut Envelope, event: &Event) {
    for (key, others) in foreign(event.name.as_str()) {
        if envelope.find(&[key]).is_some() {
            continue;
        }
        let Some(other) = others.iter().find(|other| envelope.find(&[other]).is_some()) else { continue };
        if let Some(value) = envelope.payload.remove(*other).or_else(|| envelope.around.remove(*other)) {
            envelope.payload.insert((*key).to_owned(), value);
        }
    }
}

/// # Errors
/// Something is missing: which member, and what is there instead.
pub(super) fn check(envelope: &Envelope, event: &Event, named: &Named, within: bool) -> Result<(), ReadError> {
    if named.loose {
        return Ok(());
    }
    let is_placed = within || event.span_id.is_some();
    for need in needs(event.name.as_str()) {
        let is_met = need.by_place && (is_placed || is_known(event, need.key));
        if !is_met && !is_given(envelope, need) {
            return Err(missing(envelope, event.name.as_str(), need));
        }
    }
    let says_failed = event.event_type == EventType::Failed
        && event.name == named.name
        && event.name == catalogue::lifecycle(event.scope, EventType::Failed);
    if says_failed && envelope.told().is_none() && envelope.find(&["error_code", "error_type", "error"]).is_none() {
        return Err(missing(envelope, event.name.as_str(), &need("message", &["error"], ", why it failed")));
    }
    Ok(())
}

/// Whether a field of the event says it, wherever it got that from.
fn is_known(event: &Event, key: &str) -> bool {
    match key {
        "agent" | "primary_agent" => event.dimensions.agent.is_some(),
        "tool_name" => event.dimensions.tool.is_some(),
        _ => false,
    }
}

fn is_given(envelope: &Envelope, need: &Need) -> bool {
    let keys = std::iter::once(&need.key).chain(need.or);
    keys.filter_map(|key| envelope.find(&[key])).any(|value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Array(values) => !values.is_empty(),
        _ => true,
    })
}

/// The most members that an error lists.
const MOST_LISTED: usize = 8;

fn missing(envelope: &Envelope, name: &str, need: &Need) -> ReadError {
    const OF_THE_ENVELOPE: &[&str] =
        &["name", "event_type", "type", "event_id", "timestamp", "observed_at", "scope", "status", "source"];
    let around = envelope.around.keys().filter(|key| !OF_THE_ENVELOPE.contains(&key.as_str()));
    let there: Vec<&str> = around.chain(envelope.payload.keys()).map(String::as_str).collect();
    let wanted = std::iter::once(&need.key).chain(need.or);
    let other = |there: &&&str| **there != need.key;
    let meant = wanted.filter_map(|key| nearest(key, there.iter().filter(other).copied())).next();
    let hint = match (envelope.find(&[need.key]), meant) {
        (Some(_), _) => format!("; `{}` is there, but empty", need.key),
        (None, Some(meant)) => format!("; did you mean `{}` by `{meant}`?", need.key),
        (None, None) if there.is_empty() => "; it has nothing but a name".to_owned(),
        (None, None) => {
            let listed: Vec<String> = there.iter().take(MOST_LISTED).map(|key| format!("`{key}`")).collect();
            let more = if there.len() > MOST_LISTED { " and more" } else { "" };
            format!("; it has {}{more}", listed.join(", "))
        }
    };
    ReadError(format!("`{name}` needs `{}`{}{hint}", need.key, need.is))
}
