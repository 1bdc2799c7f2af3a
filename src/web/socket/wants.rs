//! Which events a client wants: what it subscribed to, and what narrows that.

use super::request::Complaint;
use crate::event::{Event, EventType, Filter, Scope, Status};
use crate::nearest::nearest;

/// What a client wants.
#[derive(Debug, Default)]
pub struct Wants {
    subscriptions: Vec<Key>,
    /// What must fit in any case, as far as the client narrows it.
    filter: Filter,
    agents: Vec<String>,
    least_confidence: Option<f64>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// To one run.
    Execution(String),
    /// To one conversation.
    Conversation(String),
    /// To one kind of events.
    Topic(Topic),
}

/// A kind of events by its name.
#[derive(Clone, Copy)]
pub struct Topic {
    /// What clients call it.
    pub name: &'static str,
    takes: fn(&Event) -> bool,
}

/// Everything.
pub const ALL_EVENTS: Topic = Topic { name: "all_events", takes: |_| true };
/// How agents fare; whoever subscribes to it is also sent summaries.
pub const AGENT_PERFORMANCE: Topic = Topic {
    name: "agent_performance",
    takes: |event| event.scope == Scope::Agent && is_over(event.event_type) || event.name == *"performance.alert",
};

/// All topics.
pub const TOPICS: [Topic; 12] = [
    ALL_EVENTS,
    Topic { name: "agent_activity", takes: |event| event.scope == Scope::Agent },
    AGENT_PERFORMANCE,
    Topic { name: "workflows", takes: |event| matches!(event.scope, Scope::Workflow | Scope::WorkflowStep) },
    Topic { name: "llm_calls", takes: |event| event.scope == Scope::LlmRequest },
    Topic { name: "tool_usage", takes: |event| event.scope == Scope::Tool },
    Topic { name: "collaboration", takes: |event| is_of(event, &["agent.collaborated", "agent.handed_off"]) },
    Topic { name: "decisions", takes: |event| is_of(event, &["agent.decided", "review.decided"]) },
    Topic { name: "memory", takes: |event| begins(event, &["memory.", "knowledge.", "hypothesis."]) },
    Topic { name: "human", takes: |event| begins(event, &["hitl."]) || event.name == *"review.decided" },
    Topic { name: "budgets", takes: |event| begins(event, &["budget."]) },
    Topic { name: "errors", takes: |event| matches!(event.status, Status::Failed | Status::Lost) },
];

fn is_over(event_type: EventType) -> bool {
    matches!(event_type, EventType::Completed | EventType::Failed | EventType::Canceled)
}

fn is_of(event: &Event, names: &[&str]) -> bool {
    names.contains(&event.name.as_str())
}

fn begins(event: &Event, subjects: &[&str]) -> bool {
    subjects.iter().any(|subject| event.name.as_str().starts_with(subject))
}

/// The topic of a name.
pub fn topic(name: &str) -> Result<Topic, Complaint> {
    TOPICS.into_iter().find(|topic| topic.name == name).ok_or_else(|| {
        let names = TOPICS.map(|topic| topic.name);
        let hint = nearest(name, names).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        let message = format!("`{name}` is no subscription; there are {}{hint}", names.join(", "));
        Complaint { code: "unknown_subscription", message }
    })
}

impl Wants {
    /// Everything.
    pub fn all() -> Wants {
        Wants { subscriptions: vec![Key::Topic(ALL_EVENTS)], ..Wants::default() }
    }

    /// Whether there is anything that is wanted.
    pub fn is_nothing(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Whether this one is.
    pub fn takes(&self, event: &Event) -> bool {
        self.subscriptions.iter().any(|key| key.takes(event)) && self.narrowly(event)
    }

    /// Whether what narrows subscriptions lets it pass.
    fn narrowly(&self, event: &Event) -> bool {
        let confidence = event.performance.confidence.filter(|_| self.least_confidence.is_some());
        let of_agent = |agent: &str| self.agents.iter().any(|wanted| wanted == agent);
        confidence.is_none_or(|confidence| Some(confidence) >= self.least_confidence)
            && (self.agents.is_empty() || event.dimensions.agent.as_deref().is_some_and(of_agent))
            && self.filter.matches(event)
    }

    /// Whether a subscription would take it; of those that there are none does.
    pub fn takes_too(&self, key: &Key, event: &Event) -> bool {
        key.takes(event) && !self.subscriptions.iter().any(|key| key.takes(event)) && self.narrowly(event)
    }

    /// One subscription more.
    pub fn add(&mut self, key: Key) {
        if !self.subscriptions.contains(&key) {
            self.subscriptions.push(key);
        }
    }

    /// One subscription less; whether there was one.
    pub fn remove(&mut self, key: &Key) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|known| known != key);
        self.subscriptions.len() < before
    }

    /// No subscriptions.
    pub fn clear(&mut self) {
        self.subscriptions.clear();
    }

    /// These topics, and nothing else.
    pub fn set_topics(&mut self, names: &[String]) -> Result<(), Complaint> {
        let topics: Result<Vec<Key>, Complaint> = names.iter().map(|name| topic(name).map(Key::Topic)).collect();
        self.subscriptions = topics?;
        Ok(())
    }

    /// Narrows what is subscribed to; what is not given stays.
    pub fn narrow(&mut self, filter: Option<Filter>, agents: Option<Vec<String>>, least_confidence: Option<f64>) {
        self.filter = filter.unwrap_or_else(|| std::mem::take(&mut self.filter));
        self.agents = agents.unwrap_or_else(|| std::mem::take(&mut self.agents));
        self.least_confidence = least_confidence.or(self.least_confidence);
    }

    /// Whether summaries of performance are wanted.
    pub fn summaries(&self) -> bool {
        self.subscriptions.contains(&Key::Topic(AGENT_PERFORMANCE))
    }

    /// The names of what is subscribed to.
    pub fn topics(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.subscriptions.iter().filter_map(|key| match key {
            Key::Topic(topic) => Some(topic.name),
            _ => None,
        })
    }

    /// Of which agents alone, if of some.
    pub fn agents(&self) -> &[String] {
        &self.agents
    }

    /// How confident agents must be, if that matters.
    pub fn least_confidence(&self) -> Option<f64> {
        self.least_confidence
    }
}

impl Key {
    fn takes(&self, event: &Event) -> bool {
        match self {
            Key::Execution(id) => event.execution_id().is_some_and(|execution| execution == *id),
            Key::Conversation(id) => event.identity.conversation_id.as_deref() == Some(id),
            Key::Topic(topic) => (topic.takes)(event),
        }
    }

    /// The field and the value that it is subscribed to by.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Key::Execution(id) => ("execution_id", id),
            Key::Conversation(id) => ("conversation_id", id),
            Key::Topic(topic) => ("subscription", topic.name),
        }
    }
}

impl PartialEq for Topic {
    fn eq(&self, other: &Topic) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(agent: &str, confidence: Option<f64>) -> Event {
        let event = Event::agent_completed(agent).execution("run").conversation("talk");
        confidence.into_iter().fold(event, Event::confidence)
    }

    #[test]
    fn subscriptions_add_up_and_everything_narrows_them() {
        let mut wants = Wants::default();
        let event = event("writer", Some(0.7));
        assert!(wants.is_nothing() && !wants.takes(&event));
        wants.add(Key::Topic(topic("tool_usage").unwrap()));
        assert!(!wants.takes(&event));
        let run = Key::Execution("run".into());
        assert!(wants.takes_too(&run, &event));
        wants.add(run.clone());
        assert!(wants.takes(&event) && !wants.takes_too(&Key::Conversation("talk".into()), &event));
        wants.narrow(None, Some(vec!["critic".into()]), None);
        assert!(!wants.takes(&event));
        wants.narrow(None, Some(Vec::new()), Some(0.8));
        assert!(!wants.takes(&event) && wants.takes(&self::event("writer", None)));
        wants.narrow(None, None, Some(0.7));
        assert!(wants.takes(&event));
        assert!(wants.remove(&run) && !wants.remove(&run) && !wants.takes(&event));
    }

    #[test]
    fn every_topic_has_a_name_of_its_own_and_a_wrong_one_is_met_with_the_nearest() {
        let names: std::collections::BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
        assert_eq!(names.len(), TOPICS.len());
        assert!(topic("all_event").unwrap_err().message.contains("did you mean `all_events`?"));
    }
}
