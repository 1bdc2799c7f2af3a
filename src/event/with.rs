//! What can be added to an event made by hand, one method each, so that one expression says it all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::figures::{LONGEST_MS, MOST_USD, is_possible};
use super::{ComponentId, Data, Dimensions, Event, Identity, Performance, Priority, Scope, Timestamp, message};

/// Methods that give a field and return the event. An empty text gives none, and so does a figure that cannot be:
/// what is not known is absent. Within a span of an agent's work, `Telemetry::emit` adds what is not given here.
///
/// ```
/// use spanlight::event::{Event, Priority};
/// use std::time::Duration;
///
/// let event = Event::agent_completed("scribe")
///     .task("t-17")
///     .feature("checkout")
///     .duration(Duration::from_millis(2500))
///     .cost_usd(0.12)
///     .with("quality_score", 0.9);
/// assert_eq!(event.performance.duration_ms, Some(2500.0));
/// assert_eq!(event.data.as_json(), r#"{"quality_score":0.9}"#);
/// ```
impl Event {
    /// When it happened, if that is not now.
    pub fn at(self, time: Timestamp) -> Event {
        Event { timestamp: time, observed_at: time, ..self }
    }

    /// The agent at work. It is also the component of an event that is about an agent and names none itself.
    pub fn agent(mut self, agent: &str) -> Event {
        self.dimensions.agent = text(agent);
        self.name_component(Scope::Agent, agent);
        self
    }

    /// What the work is for.
    pub fn feature(mut self, feature: &str) -> Event {
        self.dimensions.feature = text(feature);
        self
    }

    /// The id of the task worked on.
    pub fn task(mut self, id: &str) -> Event {
        self.identity.task_id = text(id);
        self
    }

    /// The model called.
    pub fn model(mut self, model: &str) -> Event {
        self.dimensions.model = text(model);
        self
    }

    /// Whose model it is, e.g. `openai`.
    pub fn provider(mut self, provider: &str) -> Event {
        self.dimensions.provider = text(provider);
        self
    }

    /// The tool called. It is also the component of an event that is about a tool and names none itself.
    pub fn tool(mut self, tool: &str) -> Event {
        self.dimensions.tool = text(tool);
        self.name_component(Scope::Tool, tool);
        self
    }

    /// The id of the user.
    pub fn user(mut self, id: &str) -> Event {
        self.identity.user_id = text(id);
        self
    }

    /// The id of the user's session.
    pub fn session(mut self, id: &str) -> Event {
        self.identity.session_id = text(id);
        self
    }

    /// The id of the conversation, which may be of several executions.
    pub fn conversation(mut self, id: &str) -> Event {
        self.identity.conversation_id = text(id);
        self
    }

    /// The id of the execution from end to end, if it is not the trace's.
    pub fn execution(mut self, id: &str) -> Event {
        self.identity.execution_id = text(id);
        self
    }

    /// The id of one run of a workflow, not the workflow's name.
    pub fn workflow(mut self, id: &str) -> Event {
        self.identity.workflow_id = text(id);
        self
    }

    /// An id that ties events of different executions together.
    pub fn correlation(mut self, id: &str) -> Event {
        self.identity.correlation_id = text(id);
        self
    }

    /// How urgent it is.
    pub fn priority(self, priority: Priority) -> Event {
        Event { priority, ..self }
    }

    /// After this time it is not worth delivering any more. Counted in whole seconds, begun ones included.
    pub fn ttl(mut self, ttl: Duration) -> Event {
        self.ttl_s = Some(ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)));
        self
    }

    /// One more label.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Event {
        self.tags.push(tag.into());
        self
    }

    /// Text for people, cut where it is longer than [`super::MAX_MESSAGE`] bytes. An empty one changes nothing.
    pub fn message(mut self, told: &str) -> Event {
        self.message = text(told).map(|told| message(&told)).or(self.message);
        self
    }

    /// What it cost, in US dollars, from 0 to a billion.
    pub fn cost_usd(mut self, usd: f64) -> Event {
        self.performance.cost_usd = Some(usd).filter(|usd| is_possible(*usd, MOST_USD));
        self
    }

    /// Tokens read, those of a cache included, and tokens written, reasoning included.
    pub fn tokens(mut self, input: u64, output: u64) -> Event {
        (self.performance.input_tokens, self.performance.output_tokens) = (Some(input), Some(output));
        self
    }

    /// How long the work took, up to ten years.
    pub fn duration(mut self, duration: Duration) -> Event {
        self.performance.duration_ms = Some(duration.as_secs_f64() * 1e3).filter(|ms| is_possible(*ms, LONGEST_MS));
        self
    }

    /// Whether it worked.
    pub fn success(mut self, success: bool) -> Event {
        self.performance.success = Some(success);
        self
    }

    /// How sure somebody is, from 0 to 1.
    pub fn confidence(mut self, confidence: f64) -> Event {
        self.performance.confidence = Some(confidence).filter(|share| is_possible(*share, 1.0));
        self
    }

    /// A member of the payload; one of the same name is replaced. Null is left out, so that an `Option` will do.
    ///
    /// A member that names a field of the event, such as `duration_ms` or `task_id`, gives this as well if nothing
    /// else did, exactly as it does in JSON; one that cannot be, such as a negative cost, is left out.
    ///
    /// ```
    /// use spanlight::event::Event;
    ///
    /// let event = Event::tool_completed("calculator").with("result", 5754).with("error_code", None::<&str>);
    /// assert_eq!(event.data.as_json(), r#"{"result":5754,"tool_name":"calculator"}"#);
    /// ```
    pub fn with(self, key: &str, value: impl Into<Value>) -> Event {
        self.put(key, value.into())
    }

    fn put(mut self, key: &str, value: Value) -> Event {
        if !value.is_null() && self.take_own(key, &value) {
            let mut data = self.data.to_map();
            data.insert(key.to_owned(), value);
            self.data = Data::from_map(&data);
        }
        self
    }

    /// Makes this the component if there is none with a name yet.
    fn name_component(&mut self, scope: Scope, name: &str) {
        if self.scope == scope && !name.is_empty() && matches!(self.component_id, ComponentId::System(_)) {
            self.component_id = ComponentId::parse(scope, name);
        }
    }
}

/// Gives the fields that have no value yet the value that they have in another one of the kind.
macro_rules! fill {
    ($kind:ident { $($field:ident),* $(,)? }) => {
        impl $kind {
            pub(super) fn fill(&mut self, other: $kind) {
                // Named in full, so that a new field is not forgotten here.
                let $kind { $($field),* } = other;
                $(self.$field = self.$field.take().or($field);)*
            }
        }
    };
}

fill!(Identity {
    workflow_id,
    parent_workflow_id,
    execution_id,
    conversation_id,
    session_id,
    user_id,
    correlation_id,
    task_id,
});
fill!(Dimensions { feature, agent, model, provider, tool });
fill!(Performance {
    duration_ms,
    cost_usd,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    reasoning_tokens,
    ttft_ms,
    success,
    confidence,
});

fn text(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_left_out() {
        let event = Event::agent_completed("scribe")
            .cost_usd(-1.0)
            .confidence(1.5)
            .duration(Duration::from_secs(u64::MAX))
            .feature("")
            .message("")
            .with("score", f64::NAN)
            .with("ttft_ms", -3)
            .with("note", None::<String>);
        assert!(event.performance.is_empty() && event.data.is_empty() && event.message.is_none(), "{event:?}");
        assert_eq!(event.dimensions.feature, None);
    }

    #[test]
    fn a_member_that_names_a_field_gives_it_unless_the_event_has_it() {
        let event = Event::agent_completed("scribe").cost_usd(0.5);
        let event = event.with("cost_usd", 0.9).with("task_id", 17).with("agent_name", "else").with("error", "late");
        assert_eq!((event.performance.cost_usd, event.identity.task_id.as_deref()), (Some(0.5), Some("17")));
        assert_eq!((event.dimensions.agent.as_deref(), event.message.as_deref()), (Some("scribe"), Some("late")));
        assert_eq!(event.data.get("task_id"), Some(17.into()));
    }

    #[test]
    fn who_is_at_work_names_the_component_only_where_nothing_else_does() {
        let named = |event: Event| event.component_id.to_string();
        assert_eq!(named(Event::quality_checked(0.9, true).agent("judge")), "judge");
        assert_eq!(named(Event::agent_started("scribe").agent("medic")), "scribe");
        assert_eq!(named(Event::memory_accessed("hot", true).agent("scribe").tool("redis")), "redis");
        assert_eq!(named(Event::health_checked().agent("scribe")), "system:health");
    }

    #[test]
    fn a_ttl_never_ends_before_its_time() {
        let ttl = |ttl| Event::health_checked().ttl(ttl).ttl_s;
        assert_eq!(ttl(Duration::from_millis(1)), Some(1));
        assert_eq!(ttl(Duration::from_secs(60)), Some(60));
        assert_eq!(ttl(Duration::MAX), Some(u64::MAX));
    }
}
