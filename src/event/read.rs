//! Events from JSON: native ones, and those of other systems in their own envelopes.
//!
//! A body is one object, an array of objects, or NDJSON. One bad event loses nothing but itself: the result
//! holds an event or an error for each, in order.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::aliases::{canonical, plain};
use super::wrapped::{in_snake_case, unwrapped};
use super::{
    ComponentId, Data, Decision, Dimensions, Event, EventId, EventName, EventType, Identity, NO_REASON, Priority,
    Scope, Source, SpanId, Status, Timestamp, TraceId, catalogue, message,
};

/// Why one event of a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(pub(super) String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// Reads a body of events. `source` says how it came, `now` is when.
///
/// ```
/// use spanlight::event::{Source, SourceKind, Timestamp, read_events};
///
/// let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
/// let body = br#"{"event_type":"task_queued","timestamp":1697123395.1,"payload":{"task_id":"t_1"}}
/// {"name":"agent.started","agent":"scribe"}"#;
/// let events = read_events(body, &source, Timestamp::now());
/// let names: Vec<_> = events.iter().map(|event| event.as_ref().unwrap()[0].name.to_string()).collect();
/// assert_eq!(names, ["task.queued", "agent.started"]);
/// ```
pub fn read_events(body: &[u8], source: &Source, now: Timestamp) -> Vec<Result<Vec<Event>, ReadError>> {
    let trimmed = body.trim_ascii();
    if trimmed.is_empty() {
        return Vec::new();
    }
    match serde_json::from_slice::<Value>(trimmed) {
        Ok(Value::Array(values)) => values.into_iter().map(|value| read_value(value, source, now)).collect(),
        Ok(value) => vec![read_value(value, source, now)],
        Err(error) if trimmed[0] == b'[' => vec![Err(ReadError(format!("the array is not JSON: {error}")))],
        Err(_) => lines(trimmed).map(|line| read_line(line, source, now)).collect(),
    }
}

/// Reads one event of a name from the rest of its members, in any of the forms that [`read_events`] takes. Some say two
/// things at once, which makes two events.
///
/// # Errors
/// The rest is no object, or one of its members cannot be what the name says.
pub fn read_event(name: &str, rest: Value, source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
    let Value::Object(mut object) = rest else {
        return Err(ReadError(format!("the payload of `{name}` is an object, not {}", kind_of(&rest))));
    };
    let name = Value::String(name.to_owned());
    if ["name", "type", "event_type"].iter().any(|key| object.contains_key(*key)) {
        object = Map::from_iter([("event_type".to_owned(), name), ("payload".to_owned(), Value::Object(object))]);
    } else {
        object.insert("name".to_owned(), name);
    }
    Envelope::of(object).read(source, now)
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn read_line(line: &[u8], source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
    let value = serde_json::from_slice(line).map_err(|error| ReadError(format!("not JSON: {error}")))?;
    read_value(value, source, now)
}

pub(super) fn read_value(value: Value, source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
    match value {
        Value::Object(object) => Envelope::of(object).read(source, now),
        other => Err(ReadError(format!("an event is an object, not {}", kind_of(&other)))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// An event's members, whatever the envelope: those around the payload, the payload, and the figures. Keys are
/// in snake_case.
pub(super) struct Envelope {
    around: Map<String, Value>,
    payload: Map<String, Value>,
    figures: Map<String, Value>,
}

impl Envelope {
    fn of(object: Map<String, Value>) -> Envelope {
        let mut around = unwrapped(in_snake_case(object));
        let mut take = |keys: &[&str]| {
            keys.iter().find_map(|key| match around.get(*key) {
                Some(Value::Object(_)) => match around.remove(*key) {
                    Some(Value::Object(map)) => Some(map),
                    _ => None,
                },
                _ => None,
            })
        };
        let payload = take(&["payload", "data"]).unwrap_or_default();
        let figures = take(&["performance", "performance_metrics"]).unwrap_or_default();
        Envelope { around, payload, figures }
    }

    fn read(mut self, source: &Source, now: Timestamp) -> Result<Vec<Event>, ReadError> {
        let name = self.name()?;
        let timestamp = self.time(&["timestamp", "time", "created_at"])?.unwrap_or(now);
        let mut event = Event::named(name, timestamp);
        event.observed_at = self.time(&["observed_at"])?.unwrap_or(now);
        self.read_kind(&mut event)?;
        self.read_ids(&mut event)?;
        (event.identity, event.dimensions) = (self.identity(), self.dimensions());
        event.performance = self.performance()?;
        event.source = self.source(source);
        self.read_rest(&mut event)?;
        let decision = self.agent_status(&mut event);
        event.component_id = self.component(&event);
        self.message(&mut event);
        // A priority in words, as escalations have it, is not the event's own number and stays in the payload.
        let in_words = |key: &str, value: &Value| key == "priority" && value.is_string();
        self.around.retain(|key, value| in_words(key, value) || !ENVELOPE_KEYS.contains(&key.as_str()));
        for (key, value) in std::mem::take(&mut self.around) {
            self.payload.entry(key).or_insert(value);
        }
        event.data = Data::from_map(&self.payload);
        let review = decision.map(|decision| review_of(&event, decision));
        Ok(std::iter::once(event).chain(review).collect())
    }

    /// `name`, else another system's `event_type` or `type`, else scope and type together.
    fn name(&self) -> Result<EventName, ReadError> {
        let text = |key| self.around.get(key).and_then(Value::as_str);
        if let (None, Some(scope), Some(event_type)) =
            (text("name"), text("scope").and_then(scope_of), text("event_type").or(text("type")).and_then(type_of))
        {
            return Ok(catalogue::lifecycle(scope, event_type));
        }
        let Some(name) = text("name").or(text("event_type")).or(text("type")) else {
            return Err(ReadError("an event needs a `name`, such as `agent.started`".into()));
        };
        if let Some(name) = EventName::parse(name) {
            return Ok(name);
        }
        let canonical = canonical(name).map(str::to_owned).unwrap_or_else(|| format!("custom.{}", plain(name)));
        EventName::parse(&canonical).ok_or_else(|| {
            ReadError(format!("`{name}` is no event name; use lower case with a dot, such as `order.shipped`"))
        })
    }

    fn read_kind(&self, event: &mut Event) -> Result<(), ReadError> {
        let text = |key| self.around.get(key).and_then(Value::as_str);
        if let Some(scope) = text("scope") {
            event.scope = scope_of(scope).ok_or_else(|| unknown("scope", scope, Scope::ALL))?;
        }
        if text("name").is_some()
            && let Some(event_type) = text("type")
        {
            event.event_type = type_of(event_type).ok_or_else(|| unknown("type", event_type, EventType::ALL))?;
            event.status = catalogue::status_after(event.event_type);
        }
        if let Some(status) = text("status").and_then(|status| Status::parse(&plain(status))) {
            event.status = status;
        }
        Ok(())
    }

    fn read_ids(&self, event: &mut Event) -> Result<(), ReadError> {
        let text = |key| self.around.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(id) = text("event_id") {
            event.event_id = EventId::parse(id).ok_or_else(|| ReadError(format!("event_id `{id}` is no UUID")))?;
        }
        if let Some(id) = text("trace_id") {
            let parsed = TraceId::from_hex(id);
            event.trace_id = Some(parsed.ok_or_else(|| not_hex("trace_id", id, 32))?);
        }
        for (key, slot) in [("span_id", &mut event.span_id), ("parent_span_id", &mut event.parent_span_id)] {
            if let Some(id) = text(key) {
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
            user_id: self.text(&["user_id"]),
            correlation_id: self.text(&["correlation_id"]),
            task_id: self.text(&["task_id"]),
        }
    }

    fn dimensions(&self) -> Dimensions {
        Dimensions {
            feature: self.text(&["feature"]),
            agent: self.text(&["agent", "agent_name", "source_agent", "agent_id", "primary_agent"]),
            model: self.text(&["model"]),
            provider: self.text(&["provider"]),
            tool: self.text(&["tool", "tool_name"]),
        }
    }

    fn source(&self, source: &Source) -> Source {
        let member = |key: &str| {
            let text = self.around.get("source").and_then(|source| source.get(key)).and_then(Value::as_str);
            text.map(Arc::from)
        };
        let named = self.around.get("source").and_then(Value::as_str).map(Arc::from);
        Source {
            kind: source.kind,
            dialect: member("dialect").map(|name: Arc<str>| name.to_string().into()).or_else(|| source.dialect.clone()),
            instance: member("instance").or_else(|| source.instance.clone()),
            service: member("service").or(named).or_else(|| source.service.clone()),
        }
    }

    fn read_rest(&self, event: &mut Event) -> Result<(), ReadError> {
        if let Some(value) = self.around.get("priority").filter(|value| value.is_number()) {
            let priority = value.as_u64().and_then(|number| Priority::new(number.min(255) as u8));
            event.priority =
                priority.ok_or_else(|| ReadError(format!("priority {value} is not 1 (most urgent) to 10")))?;
        }
        event.ttl_s = ["ttl_s", "ttl"].iter().find_map(|key| self.around.get(*key)?.as_u64());
        if let Some(Value::Array(tags)) = self.around.get("tags") {
            event.tags = tags.iter().filter_map(Value::as_str).map(Arc::from).collect();
        }
        Ok(())
    }

    /// An `agent.completed` of other systems says in its payload how it really ended.
    fn agent_status(&self, event: &mut Event) -> Option<Decision> {
        if event.name != *"agent.completed" {
            return None;
        }
        let status = self.payload.get("status").or_else(|| self.around.get("status")).and_then(Value::as_str)?;
        let failed = event.performance.success == Some(false);
        match plain(status).as_str() {
            "approved" => return Some(Decision::Approved),
            "rejected" => return Some(Decision::Rejected),
            "failed" | "failure" | "error" => event.fail(),
            "canceled" | "cancelled" => {
                event.name = catalogue::lifecycle(Scope::Agent, EventType::Canceled);
                (event.event_type, event.status) = (EventType::Canceled, Status::Canceled);
            }
            _ if failed => event.fail(),
            _ => event.status = Status::Completed,
        }
        None
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

    fn message(&self, event: &mut Event) {
        event.message = self.told();
        if event.message.is_none() && event.status == Status::Failed {
            event.message = Some(NO_REASON.into());
        }
    }

    fn told(&self) -> Option<Arc<str>> {
        self.text(&["message", "error", "last_error", "error_message"]).map(|text| message(&text))
    }

    /// The first of the members of these names, wherever it stands.
    pub(super) fn find(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().find_map(|key| {
            let members = [&self.around, &self.figures, &self.payload];
            members.into_iter().find_map(|map| map.get(*key)).filter(|value| !value.is_null())
        })
    }

    fn text(&self, keys: &[&str]) -> Option<Arc<str>> {
        keys.iter().find_map(|key| match self.find(&[key])? {
            Value::String(text) if !text.is_empty() => Some(text.as_str().into()),
            Value::Number(number) => Some(number.to_string().into()),
            // Some name an agent by an object of its own.
            Value::Object(object) => ["id", "name"].iter().find_map(|key| object.get(*key)?.as_str()).map(Arc::from),
            _ => None,
        })
    }

    fn time(&self, keys: &[&str]) -> Result<Option<Timestamp>, ReadError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((key, self.around.get(*key)?))) else {
            return Ok(None);
        };
        let time = match value {
            Value::String(text) => Timestamp::parse(text),
            Value::Number(number) => number.as_f64().map(seconds_or_millis),
            _ => None,
        };
        let bad = || ReadError(format!("{key} {value} is no time; write RFC 3339 or seconds since 1970"));
        time.filter(|time| time.is_writable()).map(Some).ok_or_else(bad)
    }
}

/// Members that are read into fields of their own and are not repeated in the payload.
const ENVELOPE_KEYS: &[&str] = &[
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
    "tags",
    "source",
];

/// Numbers too large for seconds are milliseconds, as JavaScript's clock counts.
fn seconds_or_millis(number: f64) -> Timestamp {
    Timestamp::from_unix_seconds(if number > 1e11 { number / 1000.0 } else { number })
}

fn review_of(event: &Event, decision: Decision) -> Event {
    let mut review = Event::named(EventName::of("review.decided"), event.timestamp);
    review.event_id = EventId::of_implied(event.event_id, review.name.as_str());
    review.observed_at = event.observed_at;
    review.component_id = event.component_id.clone();
    review.identity = event.identity.clone();
    review.dimensions = event.dimensions.clone();
    review.source = event.source.clone();
    review.data = Data::build(|object| {
        object.str("decision", decision.as_str());
        object.opt_str("reviewer", event.dimensions.agent.as_deref());
        object.opt_str("target", event.identity.task_id.as_deref());
    });
    review
}

fn scope_of(text: &str) -> Option<Scope> {
    let word = plain(text);
    Scope::parse(match word.as_str() {
        "step" => "workflow_step",
        "llm" => "llm_request",
        word => word,
    })
}

fn type_of(text: &str) -> Option<EventType> {
    let word = plain(text);
    EventType::parse(if word == "cancelled" { "canceled" } else { &word })
}

fn unknown<T: fmt::Display>(what: &str, value: &str, all: &[T]) -> ReadError {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    ReadError(format!("`{value}` is no {what}; it is one of {}", all.join(", ")))
}

fn not_hex(key: &str, value: &str, digits: usize) -> ReadError {
    ReadError(format!("{key} `{value}` is not {digits} hexadecimal digits, not all zero"))
}

impl Event {
    /// Turns a completed event into a failed one of the same component.
    pub(crate) fn fail(&mut self) {
        self.name = catalogue::lifecycle(self.scope, EventType::Failed);
        (self.event_type, self.status) = (EventType::Failed, Status::Failed);
    }

    /// Gives the fields that a member of the payload names and that have no value yet, so that an event made by hand
    /// means what it means when it is read. Whether the member can be at all.
    pub(super) fn take_own(&mut self, key: &str, value: &Value) -> bool {
        if value.is_object() || value.is_array() {
            return true;
        }
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

#[cfg(test)]
mod tests {
    use super::super::SourceKind;
    use super::*;

    fn read(body: &str) -> Vec<Result<Vec<Event>, ReadError>> {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        read_events(body.as_bytes(), &source, Timestamp::from_unix_seconds(1e9))
    }

    fn one(body: &str) -> Event {
        read(body).remove(0).unwrap().remove(0)
    }

    #[test]
    fn a_native_event_survives_the_way_there_and_back() {
        let json = r#"{"event_id":"018f0000-0000-7000-8000-000000000001","name":"tool.failed","scope":"tool","type":"failed","status":"failed","component_id":"search:2","timestamp":"2026-11-21T06:28:00.000001Z","observed_at":"2026-11-21T06:28:01.000000Z","message":"timed out","trace_id":"000102030405060708090a0b0c0d0e0f","span_id":"0001020304050607","parent_span_id":"0001020304050608","workflow_id":"w","execution_id":"e","conversation_id":"c","session_id":"s","user_id":"u","correlation_id":"k","task_id":"t","feature":"f","agent":"a","model":"m","provider":"p","tool":"search","priority":1,"ttl_s":60,"tags":["x","y"],"performance":{"duration_ms":12.5,"cost_usd":0.001,"input_tokens":5,"success":false},"data":{"error_code":"TIMEOUT"},"source":{"kind":"http","dialect":"d","instance":"i","service":"s"}}"#;
        assert_eq!(one(json).to_json(), json);
    }

    #[test]
    fn the_three_forms_of_a_body() {
        assert_eq!(read(r#"{"name":"a.b"}"#).len(), 1);
        assert_eq!(read("{\n \"name\": \"a.b\"\n}").len(), 1);
        assert_eq!(read(r#"[{"name":"a.b"},{"name":"a.c"}]"#).len(), 2);
        let lines = read("{\"name\":\"a.b\"}\n\nnonsense\n{\"name\":\"a.c\"}\n");
        assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(read("").is_empty());
    }

    #[test]
    fn a_critic_that_completes_with_a_verdict_gives_two_events() {
        let body = r#"{"event_type":"agent_completed","timestamp":1697123398.567,
            "payload":{"agent":"critic","task_id":"t_1","status":"rejected","duration_ms":2500,"cost_usd":0.12}}"#;
        let events = read(body).remove(0).unwrap();
        assert_eq!(events.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["agent.completed", "review.decided"]);
        assert_eq!(events[0].performance.cost_usd, Some(0.12));
        assert_eq!(events[0].timestamp.to_string(), "2023-10-12T15:09:58.567000Z");
        assert_eq!(events[1].data.get("decision"), Some("rejected".into()));
        // Read again, as from a file, it implies the same verdict: the same id, so nobody counts it twice.
        assert_eq!(read(&events[0].to_json()).remove(0).unwrap(), events);
    }

    #[test]
    fn other_envelopes() {
        let failed = one(r#"{"event_type":"agent_completed","payload":{"agent":"medic","status":"failed"}}"#);
        assert_eq!((failed.name.as_str(), failed.status), ("agent.failed", Status::Failed));
        assert!(failed.message.is_some());
        let camel = one(r#"{"type":"agent-start","executionId":"x-1","agentName":"Story Head","agentId":"story-1"}"#);
        assert_eq!(camel.name.as_str(), "agent.started");
        assert_eq!(camel.identity.execution_id.as_deref(), Some("x-1"));
        assert_eq!(camel.dimensions.agent.as_deref(), Some("Story Head"));
        assert_eq!(camel.data.get("agent_id"), Some("story-1".into()));
        let bus = one(r#"{"type":"PATTERN_DISCOVERED","data":{"pattern":"x"},"source":"engine","priority":3,"ttl":9}"#);
        assert_eq!((bus.name.as_str(), bus.priority.get(), bus.ttl_s), ("pattern.discovered", 3, Some(9)));
        assert_eq!(bus.source.service.as_deref(), Some("engine"));
        let runtime = one(r#"{"scope":"WorkflowStep","event_type":"Started","component_id":"pipe:step:0"}"#);
        assert_eq!((runtime.name.as_str(), runtime.component_id.to_string()), ("step.started", "pipe:step:0".into()));
        let escalated = one(r#"{"event_type":"hitl_escalated","task_id":"t_1","priority":"high"}"#);
        assert_eq!(escalated.data.get("priority"), Some("high".into()));
        assert_eq!(one(&escalated.to_json()).data, escalated.data);
        assert_eq!(one(r#"{"type":"MY_OWN"}"#).name.as_str(), "custom.my_own");
    }

    #[test]
    fn whatever_work_is_called_its_event_is_the_same_when_it_is_read_again() {
        for name in ["agent.started", "tool.started", "llm.started", "workflow.started", "step.started"] {
            for called in ["x", "", "a:llm:", "a:llm:3", "b:step:1", "mcp:2", "system:x", "system:", "\\u0000"] {
                let keys = ["agent", "tool", "workflow", "step_name"].map(|key| format!(r#""{key}":"{called}""#));
                let event = one(&format!(r#"{{"name":"{name}",{}}}"#, keys.join(",")));
                assert_eq!(one(&event.to_json()), event, "{name} {called}");
            }
        }
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        let error = |body: &str| read(body).remove(0).unwrap_err().to_string();
        assert!(error("{}").contains("needs a `name`"));
        assert!(error("[1]").contains("not a number"));
        assert!(error(r#"{"name":"a.b","priority":11}"#).contains("1 (most urgent) to 10"));
        assert!(error(r#"{"name":"a.b","trace_id":"zz"}"#).contains("32 hexadecimal digits"));
        assert!(error(r#"{"name":"a.b","timestamp":"yesterday"}"#).contains("RFC 3339"));
        assert!(error(r#"{"name":"a.b","timestamp":1e300}"#).contains("RFC 3339"));
        assert!(error(r#"{"name":"a.b","scope":"robot"}"#).contains("workflow_step"));
    }
}
