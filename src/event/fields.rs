//! The fields of an event from the members of its envelope.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::aliases::plain;
use super::envelope::{Envelope, Named, time};
use super::wrapped::in_snake_case;
use super::{
    ComponentId, Data, Dimensions, Event, EventId, EventType, Identity, NO_REASON, Priority, ReadError, Scope, Source,
    SpanId, Status, Timestamp, TraceId, catalogue, message, needs,
};
use crate::nearest::nearest;

impl Envelope {
    /// The event, and what else it says. `within` tells that it happens in work that is known.
    pub fn read(mut self, within: bool, source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
        let named = self.name()?;
        if self.is_written() {
            return self.read_written(&named, source, now);
        }
        let is_known = catalogue::entry(named.name.as_str()).is_some();
        if is_known && (named.alias || named.by != Some("name")) {
            self.payload = in_snake_case(std::mem::take(&mut self.payload));
        }
        let mut event = self.fields(&named, source, now)?;
        needs::rename(&mut self, &event);
        let outcome = self.outcome(&mut event, &named)?;
        self.read_names(&mut event, &named);
        needs::check(&self, &event, &named, within)?;
        event.component_id = self.component(&event);
        name_by_component(&mut event);
        self.message(&mut event, outcome.explains);
        event.data = self.data(&event, &named);
        let review = outcome.decision.map(|decision| event.review(decision));
        Ok(std::iter::once(event).chain(review).collect())
    }

    /// An event that Spanlight wrote: its payload was looked through when it was taken.
    fn read_written(mut self, named: &Named, source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
        let payload = std::mem::take(&mut self.payload);
        let mut event = self.fields(named, source, now)?;
        event.component_id = self.component(&event);
        self.message(&mut event, None);
        self.payload = payload;
        let review = self.decision_of_agent(&event);
        event.data = self.data(&event, named);
        let review = review.map(|decision| event.review(decision));
        Ok(std::iter::once(event).chain(review).collect())
    }

    fn fields(&self, named: &Named, source: &Source, now: Timestamp) -> Result<Event, ReadError> {
        let mut event = Event::named(named.name.clone(), now);
        event.timestamp = self.happened()?.unwrap_or(now);
        event.observed_at = self.time(&["observed_at"])?.unwrap_or(now);
        self.read_kind(&mut event, named)?;
        self.read_ids(&mut event)?;
        (event.identity, event.dimensions) = (self.identity(), self.dimensions());
        event.performance = self.performance()?;
        event.source = self.source(source);
        self.read_rest(&mut event)?;
        Ok(event)
    }

    /// When it happened: as the envelope says, else the payload.
    fn happened(&self) -> Result<Option<Timestamp>, ReadError> {
        const KEYS: &[&str] = &["timestamp", "time", "created_at", "ts", "occurred_at"];
        Ok(self.time(KEYS)?.or_else(|| time(self.payload.get("timestamp")?)))
    }

    fn read_kind(&self, event: &mut Event, named: &Named) -> Result<(), ReadError> {
        if let Some(scope) = self.outside("scope") {
            event.scope = scope_of(scope).ok_or_else(|| unknown("scope", scope, Scope::ALL))?;
        }
        let told = match named.by {
            Some("name") => self.outside("type"),
            Some(_) => None,
            None => self.outside("event_type").or(self.outside("type")),
        };
        if let Some(told) = told {
            event.event_type = type_of(told).ok_or_else(|| unknown("type", told, EventType::ALL))?;
            event.status = catalogue::status_after(event.event_type);
        }
        if let Some(status) = self.outside("status").and_then(status_of) {
            event.status = status;
        }
        Ok(())
    }

    fn read_ids(&self, event: &mut Event) -> Result<(), ReadError> {
        if let Some(id) = self.outside("event_id") {
            event.event_id = EventId::parse(id).unwrap_or_else(|| EventId::of_foreign(id));
        }
        if let Some(id) = self.outside("trace_id") {
            // Where traces are numbered by UUIDs, these are sixteen bytes as well.
            let digits = if id.len() == 36 { id.replace('-', "") } else { id.to_owned() };
            event.trace_id = Some(TraceId::from_hex(&digits).ok_or_else(|| not_hex("trace_id", id, 32))?);
        }
        for (key, slot) in [("span_id", &mut event.span_id), ("parent_span_id", &mut event.parent_span_id)] {
            if let Some(id) = self.outside(key) {
                *slot = Some(SpanId::from_hex(id).ok_or_else(|| not_hex(key, id, 16))?);
            }
        }
        Ok(())
    }

    fn identity(&self) -> Identity {
        Identity {
            workflow_id: self.text(&["workflow_id"]),
            parent_workflow_id: self.text(&["parent_workflow_id"]),
            execution_id: self.text(&["execution_id"]),
            conversation_id: self.text(&["conversation_id"]),
            session_id: self.text(&["session_id"]),
            user_id: self.text(&["user_id", "user"]),
            correlation_id: self.text(&["correlation_id"]),
            task_id: self.text(&["task_id"]),
        }
    }

    fn dimensions(&self) -> Dimensions {
        Dimensions {
            feature: self.text(&["feature"]),
            agent: self.text(&["agent", "agent_name", "source_agent", "agent_id", "primary_agent"]),
            model: self.text(&["model", "model_name"]),
            provider: self.text(&["provider"]),
            tool: self.text(&["tool", "tool_name"]),
        }
    }

    /// Who is at work where only a `name`, or whoever tells of it, says so.
    fn read_names(&self, event: &mut Event, named: &Named) {
        let name = || self.text(&["name"]).filter(|_| named.by != Some("name"));
        let dimensions = &mut event.dimensions;
        if event.scope == Scope::Tool && dimensions.tool.is_none() {
            dimensions.tool = self.text(&["tool_id", "function", "function_name"]).or_else(name);
        } else if event.scope == Scope::Agent && dimensions.agent.is_none() && self.outside("component_id").is_none() {
            let is_foreign = named.alias || named.by != Some("name");
            // Agents are made, and put away, by others.
            let is_made = ["spawned", "activated", "deactivated", "optimized"]
                .iter()
                .any(|verb| event.name.as_str().ends_with(verb));
            let teller = || self.outside("source").filter(|_| is_foreign && !is_made).map(Arc::from);
            dimensions.agent = name().or_else(teller);
        }
    }

    fn source(&self, source: &Source) -> Source {
        let member = |key: &str| {
            let text = self.around.get("source").and_then(|source| source.get(key)).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(Arc::from)
        };
        let named = self.outside("source").map(Arc::from);
        Source {
            kind: source.kind,
            dialect: member("dialect").map(|name: Arc<str>| name.to_string().into()).or_else(|| source.dialect.clone()),
            instance: member("instance").or_else(|| source.instance.clone()),
            service: member("service").or(named).or_else(|| source.service.clone()),
        }
    }

    fn read_rest(&self, event: &mut Event) -> Result<(), ReadError> {
        match self.around.get("priority") {
            Some(Value::String(word)) if !is_urgency(event) => event.priority = priority_of(word).unwrap_or_default(),
            Some(number @ Value::Number(_)) => {
                let priority = number.as_u64().and_then(|number| Priority::new(number.min(255) as u8));
                event.priority =
                    priority.ok_or_else(|| ReadError(format!("priority {number} is not 1 (most urgent) to 10")))?;
            }
            _ => {}
        }
        let ttl = ["ttl_s", "ttl", "ttl_seconds"].iter().find_map(|key| Some((*key, self.around.get(*key)?)));
        if let Some((key, value)) = ttl.filter(|(_, value)| !value.is_null()) {
            let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0);
            let seconds = seconds.ok_or_else(|| ReadError(format!("{key} {value} is no number of seconds")))?;
            // Larger numbers than a float holds exactly are written as integers.
            event.ttl_s = Some(value.as_u64().unwrap_or(seconds.ceil() as u64));
        }
        event.tags = match self.around.get("tags") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(tags)) => tags.iter().map(tag).collect::<Option<_>>().ok_or_else(not_tags)?,
            Some(Value::String(tags)) => {
                tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(Arc::from).collect()
            }
            Some(_) => return Err(not_tags()),
        };
        Ok(())
    }

    fn component(&self, event: &Event) -> ComponentId {
        if let Some(id) = self.text(&["component_id"]) {
            return ComponentId::parse(event.scope, &id);
        }
        let dimensions = &event.dimensions;
        let named = |name: &Option<Arc<str>>, make: fn(Arc<str>) -> ComponentId| name.clone().map(make);
        let component = match event.scope {
            Scope::Agent => named(&dimensions.agent, ComponentId::Agent),
            Scope::Tool => named(&dimensions.tool, |name| ComponentId::Tool { name, number: None }),
            Scope::LlmRequest => named(&dimensions.agent, |agent| ComponentId::Llm { agent, number: 0 }),
            Scope::Workflow => named(&self.text(&["workflow", "workflow_name", "workflow_id"]), ComponentId::Workflow),
            Scope::WorkflowStep => {
                named(&self.text(&["step_name", "department"]), |workflow| ComponentId::Step { workflow, number: 0 })
            }
            Scope::System => None,
        };
        // A name that holds a separator means what its text means, here as when the event is read again.
        let component = component.map(|made| ComponentId::parse(event.scope, &made.to_string()));
        component.unwrap_or_else(|| event.component_id.clone())
    }

    /// What people are told; failures always say something.
    fn message(&self, event: &mut Event, explains: Option<String>) {
        event.message = self.told().or_else(|| explains.map(|text| message(&text)));
        if event.message.is_none() && event.status == Status::Failed {
            event.message = self.text(&["error_code", "error_type"]).or_else(|| Some(NO_REASON.into()));
        }
    }

    pub fn told(&self) -> Option<Arc<str>> {
        let text = self.text(&["message", "error", "last_error", "error_message"]);
        let nested = || self.find(&["error"])?.get("message")?.as_str().filter(|text| !text.is_empty()).map(Arc::from);
        text.or_else(nested).map(|text| message(&text))
    }

    /// The payload, and what else stood around it and is no field of its own.
    fn data(&mut self, event: &Event, named: &Named) -> Data {
        for (key, value) in std::mem::take(&mut self.around) {
            if !FIELDS.contains(&key.as_str()) || says_more(&key, &value, event, named) {
                self.payload.entry(key).or_insert(value);
            }
        }
        Data::from_map(&self.payload)
    }
}

/// Whether a member that has a field holds what the field does not.
fn says_more(key: &str, value: &Value, event: &Event, named: &Named) -> bool {
    let word = value.as_str();
    match key {
        "name" => named.by != Some("name"),
        "priority" => word.is_some_and(|word| is_urgency(event) || priority_of(word).is_none()),
        "status" => word.is_some_and(|word| status_of(word).is_none()),
        // An object says more of an agent than its name, and an id that is no UUID is what its system knows it by.
        "agent" | "source_agent" | "user" => value.is_object(),
        "event_id" => word.is_some_and(|id| EventId::parse(id).is_none()),
        // Knowledge has a source of its own, which is meant by whoever names only one.
        "source" => word.is_some() && event.name.as_str().starts_with("knowledge."),
        _ => false,
    }
}

/// Members that are read into fields of their own and are not repeated in the payload.
const FIELDS: &[&str] = &[
    "event_id",
    "name",
    "event_type",
    "type",
    "scope",
    "status",
    "component_id",
    "timestamp",
    "time",
    "created_at",
    "ts",
    "occurred_at",
    "observed_at",
    "message",
    "trace_id",
    "span_id",
    "parent_span_id",
    "workflow_id",
    "parent_workflow_id",
    "execution_id",
    "conversation_id",
    "session_id",
    "user_id",
    "correlation_id",
    "task_id",
    "feature",
    "agent",
    "agent_name",
    "source_agent",
    "model",
    "provider",
    "tool",
    "priority",
    "ttl_s",
    "ttl",
    "ttl_seconds",
    "tags",
    "source",
];

/// The agent and the tool that the id of the component names whose life it is about, where nothing else does.
fn name_by_component(event: &mut Event) {
    if event.name != catalogue::lifecycle(event.scope, event.event_type) {
        return;
    }
    let dimensions = &mut event.dimensions;
    match &event.component_id {
        ComponentId::Llm { agent, .. } | ComponentId::Agent(agent) => {
            dimensions.agent.get_or_insert_with(|| agent.clone())
        }
        ComponentId::Tool { name, .. } => dimensions.tool.get_or_insert_with(|| name.clone()),
        _ => return,
    };
}

/// The urgency of an escalation is that of the person's answer, and not the event's own.
fn is_urgency(event: &Event) -> bool {
    event.name == *"hitl.escalated"
}

/// What words say of the scale from 1 (most urgent) to 10.
fn priority_of(word: &str) -> Option<Priority> {
    Priority::new(match plain(word).as_str() {
        "critical" | "urgent" | "highest" => 1,
        "high" => 3,
        "medium" | "normal" | "default" => 5,
        "low" => 7,
        "lowest" | "background" => 10,
        word => word.parse().ok()?,
    })
}

pub(super) fn status_of(text: &str) -> Option<Status> {
    let word = plain(text);
    Status::parse(if word == "cancelled" { "canceled" } else { &word })
}

pub(super) fn scope_of(text: &str) -> Option<Scope> {
    let word = plain(text);
    Scope::parse(match word.as_str() {
        "step" => "workflow_step",
        "llm" => "llm_request",
        word => word,
    })
}

pub(super) fn type_of(text: &str) -> Option<EventType> {
    let word = plain(text);
    EventType::parse(if word == "cancelled" { "canceled" } else { &word })
}

fn tag(tag: &Value) -> Option<Arc<str>> {
    match tag {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

fn not_tags() -> ReadError {
    ReadError("tags are a list of texts".into())
}

fn unknown<T: std::fmt::Display>(what: &str, value: &str, all: &[T]) -> ReadError {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    let meant = nearest(value, all.iter().map(String::as_str)).map(|word| format!("; did you mean {word}?"));
    ReadError(format!("`{value}` is no {what}; it is one of {}{}", all.join(", "), meant.unwrap_or_default()))
}

fn not_hex(key: &str, value: &str, digits: usize) -> ReadError {
    ReadError(format!("{key} `{value}` is not {digits} hexadecimal digits, not all zero"))
}

impl Event {
    /// Gives the fields that a member of the payload names and that have no value yet, so that an event made by hand
    /// means what it means when it is read. Whether the member can be at all.
    pub(super) fn take_own(&mut self, key: &str, value: &Value) -> bool {
        let payload = Map::from_iter([(key.to_owned(), value.clone())]);
        let member = Envelope { around: Map::new(), payload, figures: Map::new() };
        let Ok(figures) = member.performance() else { return false };
        self.identity.fill(member.identity());
        self.dimensions.fill(member.dimensions());
        self.performance.fill(figures);
        self.message = self.message.take().or_else(|| member.told());
        true
    }
}
