//! Events from JSON: native ones, and those of other systems in their own envelopes.
//!
//! A body is one object, an array of objects, or NDJSON. One bad event loses nothing but itself: the result
//! holds an event or an error for each, in order.

use std::fmt;

use serde_json::{Map, Value};

use super::envelope::Envelope;
use super::{Event, Source, Timestamp};

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
/// things at once, which makes two events. `within` tells that it happens in work that is known, which will say whose
/// and what work it is, as far as the event does not.
///
/// # Errors
/// The rest is no object, or lacks a member that an event of the name needs, or has one that cannot be what it says.
pub fn read_event(
    name: &str,
    rest: Value,
    within: bool,
    source: &Source,
    now: Timestamp,
) -> Result<Vec<Event>, ReadError> {
    let Value::Object(mut object) = rest else {
        return Err(ReadError(format!("the payload of `{name}` is an object, not {}", kind_of(&rest))));
    };
    let name = Value::String(name.to_owned());
    if ["name", "type", "event_type"].iter().any(|key| object.contains_key(*key)) {
        object = Map::from_iter([("event_type".to_owned(), name), ("payload".to_owned(), Value::Object(object))]);
    } else {
        object.insert("name".to_owned(), name);
    }
    Envelope::of(object).read(within, source, now)
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
        Value::Object(object) => Envelope::of(object).read(false, source, now),
        other => Err(ReadError(format!("an event is an object, not {}", kind_of(&other)))),
    }
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{SourceKind, Status};
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
            for called in ["x", "a:llm:", "a:llm:3", "b:step:1", "mcp:2", "system:x", "system:", "\\u0000"] {
                let keys = ["agent", "tool", "workflow", "step_name"].map(|key| format!(r#""{key}":"{called}""#));
                let event = one(&format!(r#"{{"name":"{name}",{}}}"#, keys.join(",")));
                assert_eq!(one(&event.to_json()), event, "{name} {called}");
            }
        }
    }

    #[test]
    fn what_is_empty_names_nobody() {
        let event = one(r#"{"name":"order.shipped","agent":{"id":"","name":"clerk"},"user":{"name":""},"source":""}"#);
        assert_eq!(event.dimensions.agent.as_deref(), Some("clerk"));
        assert_eq!((event.identity.user_id, event.source.service), (None, None));
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

    #[test]
    fn what_an_event_says_nothing_without_is_asked_for() {
        let error = |body: &str| read(body).remove(0).unwrap_err().to_string();
        for (body, said) in [
            (r#"{"name":"task.queued"}"#, "`task.queued` needs `task_id`; it has nothing but a name"),
            (r#"{"name":"tool.started","data":{"tool_nmae":"x"}}"#, "did you mean `tool_name` by `tool_nmae`?"),
            (r#"{"name":"step.started","data":{"step_name":""}}"#, "`step_name` is there, but empty"),
            (
                r#"{"event_type":"agent_started","payload":{"model":"m"}}"#,
                "`agent.started` needs `agent`; it has `model`",
            ),
            (r#"{"name":"agent.handed_off","from":"a"}"#, "needs `to`, an agent"),
            (r#"{"name":"agent.failed","agent":"a"}"#, "needs `message`, why it failed"),
            (r#"{"scope":"Tool","event_type":"Failed","component_id":"x"}"#, "needs `message`"),
            (r#"{"event_type":"budget_exceeded","payload":{"current_spend":3}}"#, "needs `limit`"),
            (r#"{"event_type":"validation_complete","payload":{"task_id":"t"}}"#, "needs `passed`"),
            (r#"{"name":"hitl.resolved","decision":"perhaps"}"#, "approved, rejected, timed_out, not `perhaps`"),
            (r#"{"name":"review.decided","decision":"pending"}"#, "approved, rejected, revise, not `pending`"),
            (r#"{"name":"agent.completed","agent":"a","cost_usd":"cheap"}"#, "cost_usd \"cheap\" is no number"),
            (r#"{"name":"a.b","tags":7}"#, "tags are a list of texts"),
            (r#"{"name":"a.b","ttl":"soon"}"#, "ttl \"soon\" is no number of seconds"),
            (r#"{"name":"a.b","scope":"workfow"}"#, "did you mean workflow?"),
        ] {
            let error = error(body);
            assert!(error.contains(said), "{body}: {error}");
        }
    }

    #[test]
    fn work_around_an_event_knows_whose_it_is() {
        let source = Source { kind: SourceKind::Layer, dialect: None, instance: None, service: None };
        let escalation = || serde_json::json!({"attempts": 2});
        let read =
            |within| read_event("hitl.escalated", escalation(), within, &source, Timestamp::from_unix_seconds(1e9));
        assert!(read(true).is_ok() && read(false).is_err());
        assert!(one(r#"{"name":"tool.completed","span_id":"0001020304050607"}"#).span_id.is_some());
    }

    #[test]
    fn times_of_all_clocks_are_read() {
        for time in ["1706092200", "1706092200.0", "1706092200000", "1706092200000000", "1706092200000000000"] {
            assert_eq!(one(&format!(r#"{{"name":"a.b","timestamp":{time}}}"#)).timestamp.as_seconds(), 1_706_092_200);
        }
        for time in [
            "2024-01-24T10:30:00Z",
            "2024-01-24T10:30:00",
            "2024-01-24 10:30:00.000",
            "1706092200",
            "2024-01-24T11:30:00+01:00",
        ] {
            assert_eq!(one(&format!(r#"{{"name":"a.b","timestamp":"{time}"}}"#)).timestamp.as_seconds(), 1_706_092_200);
        }
    }

    #[test]
    fn tokens_are_read_as_apis_report_them() {
        let read = |usage: &str| one(&format!(r#"{{"name":"llm.completed","data":{{"usage":{usage}}}}}"#)).performance;
        let beside = read(
            r#"{"input_tokens":10,"cache_read_input_tokens":90,"cache_creation_input_tokens":5,"output_tokens":3}"#,
        );
        assert_eq!(
            (beside.input_tokens, beside.cache_read_tokens, beside.cache_write_tokens),
            (Some(105), Some(90), Some(5))
        );
        let within = read(
            r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64},
            "completion_tokens_details":{"reasoning_tokens":8}}"#,
        );
        assert_eq!(
            (within.input_tokens, within.cache_read_tokens, within.reasoning_tokens),
            (Some(100), Some(64), Some(8))
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let words =
            ["agent_completed", "agent.failed", "review-status", "Tool", "Failed", "approved", "event", "", "1e9", "x"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::sample::select(words.to_vec()).prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        let keys = [
            "name",
            "event_type",
            "type",
            "scope",
            "status",
            "data",
            "payload",
            "event",
            "performance",
            "usage",
            "agent",
            "error",
            "source",
            "timestamp",
            "event_id",
            "observed_at",
            "tags",
            "ttl",
            "priority",
            "decision",
            "component_id",
            "executionTime",
            "result",
            "cost_usd",
            "trace_id",
        ];
        let key = prop_oneof![4 => proptest::sample::select(keys.to_vec()).prop_map(str::to_owned), 1 => ".{0,4}".prop_map(String::from)];
        leaf.prop_recursive(4, 48, 8, move |inner| {
            prop_oneof![
                1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                4 => proptest::collection::hash_map(key.clone(), inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn whatever_is_sent_is_refused_or_the_same_when_it_is_read_again(body in any_json()) {
            for event in read(&body.to_string()).into_iter().flatten().flatten() {
                prop_assert_eq!(&one(&event.to_json()), &event);
            }
        }
    }
}
