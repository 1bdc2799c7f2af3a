//! Events of the catalogue from code: what each of them needs is an argument, the rest is added by name.
//!
//! Those of the lives of work are in `life`, what can be added is in `with`.

use std::time::Duration;

use serde_json::Value;

use super::{
    ComponentId, Decision, Event, EventName, EventType, NO_REASON, Resolution, SourceKind, Status, Timestamp, Urgency,
};

/// Tasks, and people who are asked about them.
///
/// ```
/// use spanlight::event::{Event, Resolution, Urgency};
/// use std::time::Duration;
///
/// let asked = Event::hitl_escalated("t-17", 3, "the login test fails", Urgency::High).feature("checkout");
/// let answered = Event::hitl_resolved(Resolution::Approved, Duration::from_secs(90)).task("t-17").with("by", "mia");
/// assert_eq!(asked.message.as_deref(), Some("the login test fails"));
/// assert_eq!(answered.data.get("waited_ms"), Some(90_000.0.into()));
/// ```
impl Event {
    /// A task waits to be worked on; an estimate of its cost in US dollars is `est_cost`.
    pub fn task_queued(id: &str) -> Event {
        Event::now("task.queued").task(id)
    }

    /// A person is asked about a task that could not be done in so many attempts.
    pub fn hitl_escalated(task: &str, attempts: u64, last_error: &str, urgency: Urgency) -> Event {
        let event = Event::now("hitl.escalated").task(task).with("attempts", attempts);
        event.with("last_error", last_error).with("priority", urgency.as_str())
    }

    /// What came of asking a person, who took this long; `by` is who it was.
    pub fn hitl_resolved(resolution: Resolution, waited: Duration) -> Event {
        let event = Event::now("hitl.resolved").with("decision", resolution.as_str());
        event.with("waited_ms", waited.as_secs_f64() * 1e3)
    }
}

/// Agents, beside the lives of their work.
impl Event {
    /// An agent was made.
    pub fn agent_spawned(agent: &str) -> Event {
        Event::now("agent.spawned").agent(agent)
    }

    /// An agent was made ready to work.
    pub fn agent_activated(agent: &str) -> Event {
        Event::now("agent.activated").agent(agent)
    }

    /// An agent was put away.
    pub fn agent_deactivated(agent: &str) -> Event {
        Event::now("agent.deactivated").agent(agent)
    }

    /// An agent was made better.
    pub fn agent_optimized(agent: &str) -> Event {
        Event::now("agent.optimized").agent(agent)
    }

    /// Agents worked on something together, and came to one view or not.
    pub fn agent_collaborated(primary: &str, others: &[&str], consensus_reached: bool) -> Event {
        let event = Event::now("agent.collaborated").agent(primary).with("primary_agent", primary);
        event.with("collaborating_agents", others).with("consensus_reached", consensus_reached)
    }

    /// An agent made up its mind; what else it could have done is `alternatives`.
    pub fn agent_decided(agent: &str, decision: &str) -> Event {
        Event::now("agent.decided").agent(agent).with("decision", decision)
    }

    /// An agent gave its work to another.
    pub fn agent_handed_off(from: &str, to: &str) -> Event {
        Event::now("agent.handed_off").agent(from).with("from", from).with("to", to)
    }

    /// An agent supposes something.
    pub fn hypothesis_formed(agent: &str, hypothesis: &str) -> Event {
        Event::now("hypothesis.formed").agent(agent).with("hypothesis", hypothesis)
    }
}

/// Memory and knowledge, which are tools: [`Event::tool`] names the one that was used.
impl Event {
    /// A memory was looked into, and what was looked for was there or not; tiers have the names that you give them.
    /// What was looked for is `key`.
    pub fn memory_accessed(tier: &str, hit: bool) -> Event {
        Event::now("memory.accessed").with("tier", tier).with("hit", hit)
    }

    /// A source of knowledge was asked.
    pub fn knowledge_accessed(source: &str, query: &str) -> Event {
        Event::now("knowledge.accessed").with("source", source).with("query", query)
    }

    /// A source of knowledge has learned something.
    pub fn knowledge_updated(source: &str) -> Event {
        Event::now("knowledge.updated").with("source", source)
    }
}

/// Verdicts on work.
///
/// ```
/// use spanlight::event::{Decision, Event};
///
/// let event = Event::review_decided("critic", Decision::Rejected).with("target", "t-17");
/// assert_eq!(event.component_id.to_string(), "critic");
/// ```
impl Event {
    /// A reviewer decided on somebody's work; whose or what it was is `target`.
    ///
    /// The reviewer is not the event's agent: that is the one whose work it is about, the agent of the span around.
    pub fn review_decided(reviewer: &str, decision: Decision) -> Event {
        let event = Event::now("review.decided").of(reviewer, "");
        event.with("decision", decision.as_str()).with("reviewer", Some(reviewer).filter(|name| !name.is_empty()))
    }

    /// The quality of work was measured, on any scale.
    pub fn quality_checked(score: f64, passed: bool) -> Event {
        Event::now("quality.checked").with("score", score).with("passed", passed)
    }

    /// Work was tried out. Details, such as `browser_launched` or `screenshots`, go into `result`.
    pub fn validation_completed(passed: bool) -> Event {
        let mut event = Event::now("validation.completed").with("passed", passed);
        if !passed {
            (event.event_type, event.status) = (EventType::Failed, Status::Failed);
        }
        if passed { event } else { event.because("the validation failed") }
    }
}

/// Budgets, in US dollars.
///
/// ```
/// use spanlight::event::Event;
///
/// let event = Event::budget_warning("daily", 20.5, 25.0);
/// assert_eq!(event.data.get("remaining"), Some(4.5.into()));
/// ```
impl Event {
    /// Most of a budget is spent.
    pub fn budget_warning(budget: &str, current_spend: f64, limit: f64) -> Event {
        let event = Event::now("budget.warning").budget(budget, current_spend, limit);
        event.with("remaining", (limit - current_spend).clamp(0.0, f64::MAX))
    }

    /// More than a budget is spent; how many tasks have to wait for that is `tasks_blocked`.
    pub fn budget_exceeded(budget: &str, current_spend: f64, limit: f64) -> Event {
        let event = Event::now("budget.exceeded").budget(budget, current_spend, limit);
        event.because(&format!("the budget {budget} of {limit} US dollars is exceeded: {current_spend} are spent"))
    }

    fn budget(self, name: &str, current_spend: f64, limit: f64) -> Event {
        self.with("budget", name).with("current_spend", current_spend).with("limit", limit)
    }
}

/// The system as a whole. What exactly happened is [`Event::message`], for people, and the payload.
impl Event {
    /// Something that recurs was found.
    pub fn pattern_discovered() -> Event {
        Event::now("pattern.discovered")
    }

    /// Something was made better.
    pub fn improvement_applied() -> Event {
        Event::now("improvement.applied")
    }

    /// Making something better has ended.
    pub fn optimization_completed() -> Event {
        Event::now("optimization.completed")
    }

    /// A user says how good something was: a number, a word, or whatever your scale is. A text is `comment`.
    pub fn feedback_received(rating: impl Into<Value>) -> Event {
        Event::now("feedback.received").with("rating", rating)
    }

    /// A user saved a workflow.
    pub fn workflow_saved() -> Event {
        Event::now("workflow.saved")
    }

    /// A user's command was carried out.
    pub fn command_executed() -> Event {
        Event::now("command.executed")
    }

    /// Something is slower, or takes more, than it should.
    pub fn performance_alert() -> Event {
        Event::now("performance.alert")
    }

    /// Something works again.
    pub fn error_recovered() -> Event {
        Event::now("error.recovered")
    }

    /// Somebody looked whether all is well.
    pub fn health_checked() -> Event {
        Event::now("health.checked")
    }

    /// A part of the system says something, e.g. `rate_limiter`; its component is `system:rate_limiter`.
    pub fn system_progress(subsystem: &str) -> Event {
        let subsystem = subsystem.strip_prefix("system:").unwrap_or(subsystem);
        let event = Event::now("system.progress");
        if subsystem.is_empty() { event } else { event.of("system:", subsystem) }
    }
}

/// What the constructors are made of.
impl Event {
    pub(super) fn now(name: &'static str) -> Event {
        let mut event = Event::named(EventName::of(name), Timestamp::now());
        event.source.kind = SourceKind::Layer;
        event
    }

    /// Gives the component's id: its own name or its owner's, and what comes behind it. It means what it means when it
    /// is read; without a name the component stays what it is by the event's name.
    pub(super) fn of(mut self, owner: &str, rest: &str) -> Event {
        if !owner.is_empty() {
            self.component_id = ComponentId::parse(self.scope, &format!("{owner}{rest}"));
        }
        self
    }

    /// Says why it failed, which must never be left open.
    pub(super) fn because(self, error: &str) -> Event {
        self.message(if error.is_empty() { NO_REASON } else { error })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::from_str;

    use super::super::{Scope, catalogue, read_events};
    use super::*;

    /// Every constructor, and what the catalogue wants of it in the payload or in a field of its own.
    fn all(name: &str) -> Vec<(Event, &'static str, &'static [&'static str])> {
        let step: &[&str] = &["step_name"];
        let budget: &[&str] = &["budget", "current_spend", "limit"];
        vec![
            (Event::workflow_started(name), "workflow.started", &[]),
            (Event::workflow_progress(name), "workflow.progress", &[]),
            (Event::workflow_completed(name), "workflow.completed", &[]),
            (Event::workflow_failed(name, name), "workflow.failed", &["message"]),
            (Event::workflow_canceled(name), "workflow.canceled", &[]),
            (Event::workflow_paused(name), "workflow.paused", &[]),
            (Event::workflow_resumed(name), "workflow.resumed", &[]),
            (Event::step_started(name, 0, name), "step.started", step),
            (Event::step_progress(name, 1, name), "step.progress", step),
            (Event::step_completed(name, 2, name), "step.completed", step),
            (Event::step_failed(name, 3, name, name), "step.failed", &["step_name", "message"]),
            (Event::step_canceled(name, u32::MAX, name), "step.canceled", step),
            (Event::task_queued("t-1"), "task.queued", &["task_id"]),
            (Event::agent_started(name), "agent.started", &[]),
            (Event::agent_progress(name), "agent.progress", &[]),
            (Event::agent_completed(name), "agent.completed", &[]),
            (Event::agent_failed(name, name), "agent.failed", &["message"]),
            (Event::agent_canceled(name), "agent.canceled", &[]),
            (Event::agent_spawned(name), "agent.spawned", &[]),
            (Event::agent_activated(name), "agent.activated", &[]),
            (Event::agent_deactivated(name), "agent.deactivated", &[]),
            (Event::agent_optimized(name), "agent.optimized", &[]),
            (
                Event::agent_collaborated(name, &["medic", name], true),
                "agent.collaborated",
                &["primary_agent", "collaborating_agents", "consensus_reached"],
            ),
            (Event::agent_decided(name, name), "agent.decided", &["decision"]),
            (Event::agent_handed_off(name, name), "agent.handed_off", &["from", "to"]),
            (Event::llm_started(name, 0, "gpt-4o"), "llm.started", &["model"]),
            (Event::llm_progress(name, 1, name), "llm.progress", &["chunk"]),
            (Event::llm_completed(name, 2, "gpt-4o").tokens(5, 2), "llm.completed", &["model", "input_tokens"]),
            (Event::llm_failed(name, 3, "gpt-4o", name), "llm.failed", &["model", "message"]),
            (Event::llm_canceled(name, u32::MAX, "gpt-4o"), "llm.canceled", &["model"]),
            (Event::messages_recorded(name, 4).with("response", name), "messages.recorded", &["response"]),
            (Event::tool_started(name), "tool.started", &["tool_name"]),
            (Event::tool_progress(name), "tool.progress", &["tool_name"]),
            (Event::tool_completed(name), "tool.completed", &["tool_name"]),
            (Event::tool_failed(name, name), "tool.failed", &["tool_name", "message"]),
            (Event::tool_canceled(name), "tool.canceled", &["tool_name"]),
            (Event::memory_accessed(name, true), "memory.accessed", &["tier", "hit"]),
            (Event::knowledge_accessed(name, name), "knowledge.accessed", &["source", "query"]),
            (Event::knowledge_updated(name), "knowledge.updated", &["source"]),
            (Event::hypothesis_formed(name, name).confidence(0.5), "hypothesis.formed", &["hypothesis", "confidence"]),
            (Event::review_decided(name, Decision::Revise), "review.decided", &["decision"]),
            (Event::quality_checked(0.75, true).agent(name), "quality.checked", &["score", "passed"]),
            (Event::validation_completed(true), "validation.completed", &["passed"]),
            (
                Event::hitl_escalated("t-1", 3, name, Urgency::Medium),
                "hitl.escalated",
                &["task_id", "attempts", "last_error", "priority"],
            ),
            (
                Event::hitl_resolved(Resolution::TimedOut, Duration::from_millis(1500)),
                "hitl.resolved",
                &["decision", "waited_ms"],
            ),
            (
                Event::budget_warning(name, 20.1, 25.0),
                "budget.warning",
                &["budget", "current_spend", "limit", "remaining"],
            ),
            (Event::budget_exceeded(name, 25.1, 25.0), "budget.exceeded", budget),
            (Event::pattern_discovered(), "pattern.discovered", &[]),
            (Event::improvement_applied(), "improvement.applied", &[]),
            (Event::optimization_completed(), "optimization.completed", &[]),
            (Event::feedback_received(4), "feedback.received", &["rating"]),
            (Event::workflow_saved(), "workflow.saved", &[]),
            (Event::command_executed(), "command.executed", &[]),
            (Event::performance_alert(), "performance.alert", &[]),
            (Event::error_recovered(), "error.recovered", &[]),
            (Event::health_checked(), "health.checked", &[]),
            (Event::system_progress(name), "system.progress", &[]),
        ]
    }

    /// The same with everything that can be added.
    fn with_all(event: Event) -> Event {
        let event = event.agent("a").feature("f").task("t").model("m").provider("p").tool("x").user("u").session("s");
        let event = event.conversation("c").execution("e").workflow("w").correlation("k").tag("one").tag("two");
        let event = event.priority(super::super::Priority::new(1).unwrap()).ttl(Duration::from_millis(1001));
        let event =
            event.message("why").cost_usd(0.1).tokens(10, 2).duration(Duration::from_micros(1234)).success(true);
        event.confidence(0.9).with("list", vec![1, 2]).with("nested", serde_json::json!({"z": 1, "a": null}))
    }

    fn read_again(event: &Event) -> Event {
        read_events(event.to_json().as_bytes(), &event.source, event.observed_at).remove(0).unwrap().remove(0)
    }

    #[test]
    fn there_is_a_constructor_of_every_event_and_it_says_what_the_catalogue_says() {
        let all = all("scribe");
        assert_eq!(
            all.iter().map(|(_, name, _)| *name).collect::<std::collections::BTreeSet<_>>(),
            catalogue::CATALOGUE.iter().map(|entry| entry.name).collect()
        );
        for (event, name, required) in all {
            let entry = catalogue::entry(name).unwrap();
            assert_eq!(event.name, *name);
            assert_eq!((event.scope, event.event_type), (entry.scope, entry.event_type), "{name}");
            assert_eq!(event.status, entry.status, "{name}");
            let json: Value = from_str(&event.to_json()).unwrap();
            let places = [&json, &json["data"], &json["performance"]];
            for key in required {
                assert!(places.iter().any(|place| !place[*key].is_null()), "{name} has no {key}: {json}");
            }
            assert!(event.component_id.is_well_formed(), "{name}: {}", event.component_id);
        }
    }

    #[test]
    fn components_are_named_by_the_arguments() {
        let named = |name: &str| {
            let (event, ..) = all("scribe").into_iter().find(|(event, ..)| event.name == *name).unwrap();
            event.component_id.to_string()
        };
        assert_eq!(named("workflow.paused"), "scribe");
        assert_eq!(named("step.progress"), "scribe:step:1");
        assert_eq!(named("llm.failed"), "scribe:llm:3");
        assert_eq!(named("agent.handed_off"), "scribe");
        assert_eq!(named("system.progress"), "system:scribe");
        assert_eq!(named("task.queued"), "system:task");
        assert_eq!(Event::system_progress("system:loops").component_id, ComponentId::System("loops".into()));
        let numbered = Event::tool_progress("web_scraper:2");
        assert_eq!(numbered.component_id, ComponentId::Tool { name: "web_scraper".into(), number: Some(2) });
        assert_eq!(numbered.dimensions.tool.as_deref(), Some("web_scraper"));
    }

    #[test]
    fn whatever_work_is_called_its_event_is_the_same_when_it_is_read_again() {
        for name in ["scribe", "", " ", ":", "a:llm:", "a:llm:3", "b:step:1", "mcp:2", "system:x", "system:", "\0\"é"]
        {
            for (event, ..) in all(name) {
                assert_eq!(read_again(&event), event, "{name:?}");
            }
            for (event, ..) in all(name) {
                let event = with_all(event);
                assert_eq!(read_again(&event), event, "{name:?}");
            }
        }
    }

    #[test]
    fn a_failure_always_says_something() {
        for (event, ..) in all("") {
            assert!(event.status != super::super::Status::Failed || event.message.is_some(), "{}", event.name);
        }
        let long = Event::tool_failed("search", &"é".repeat(1000));
        assert_eq!(long.message.as_deref().map(str::len), Some(super::super::MAX_MESSAGE));
        assert_eq!(long.scope, Scope::Tool);
    }

    #[test]
    fn a_budget_is_never_overdrawn_by_what_remains_of_it() {
        let data = |event: Event| event.data.as_json().to_owned();
        assert_eq!(
            data(Event::budget_warning("d", 30.0, 25.0)),
            r#"{"budget":"d","current_spend":30.0,"limit":25.0,"remaining":0.0}"#
        );
        assert_eq!(data(Event::budget_warning("d", f64::NAN, 25.0)), r#"{"budget":"d","limit":25.0}"#);
    }

    proptest! {
        #[test]
        fn whatever_is_added_an_event_is_the_same_when_it_is_read_again(
            which in 0..catalogue::CATALOGUE.len(),
            name in "[a-z:]{0,8}|system:.{0,3}|.{0,4}",
            members in proptest::collection::vec((proptest::sample::select(MEMBERS), value()), 0..6),
            all_fields: bool,
            tags in proptest::collection::vec(".{0,3}", 0..3),
        ) {
            let wanted = catalogue::CATALOGUE[which].name;
            let mut event = all(&name).into_iter().find(|(_, name, _)| *name == wanted).unwrap().0;
            if all_fields {
                event = with_all(event);
            }
            let event = members.into_iter().fold(event, |event, (key, value)| event.with(key, value));
            let event = tags.into_iter().fold(event, |event, tag| event.tag(tag));
            prop_assert_eq!(read_again(&event), event);
        }
    }

    /// Names that mean something, where they are read from elsewhere.
    const MEMBERS: &[&str] = &[
        "agent",
        "agent_id",
        "confidence",
        "cost",
        "cost_usd",
        "decision",
        "description",
        "error",
        "event_id",
        "event_type",
        "function",
        "latency_ms",
        "message",
        "name",
        "offset",
        "passed",
        "payload",
        "priority",
        "result",
        "source",
        "status",
        "step",
        "success",
        "tags",
        "task_id",
        "timestamp",
        "tokens",
        "trace_id",
        "type",
        "usage",
        "user",
        "Some Key",
    ];

    fn value() -> impl Strategy<Value = Value> {
        let words = ["approved", "rejected", "failed", "agent.started", "event", "x", "", "2.5", "high"];
        prop_oneof![
            proptest::sample::select(words.to_vec()).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            (0u32..9).prop_map(Value::from),
            (0.0..1.0f64).prop_map(Value::from),
            Just(serde_json::json!({"id": "x", "type": "event", "event_type": "agent.started", "input_tokens": 3})),
            Just(serde_json::json!(["a", 1])),
        ]
    }
}
