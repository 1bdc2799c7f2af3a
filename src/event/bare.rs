//! An event in the plainest envelope, `{event_type, timestamp, payload}`, for clients that know no other.

use serde_json::{Map, Value};

use super::aliases::plain;
use super::json::{JsonObject, push_f64};
use super::{Event, EventType, Scope, catalogue};

impl Event {
    /// The event as `{event_type, timestamp, payload}`: its name in lower case with underscores, seconds since 1970, and
    /// everything else that it says in one flat object. An agent's end is `agent_completed` with a `status`, whether it
    /// was a good one or not. Ids of the event and of spans are left out.
    ///
    /// ```
    /// use spanlight::event::{Event, Timestamp};
    ///
    /// let event = Event::agent_failed("scribe", "no tests").task("t_1").at(Timestamp::from_unix_seconds(1697123398.5));
    /// let json = r#"{"event_type":"agent_completed","timestamp":1697123398.5,"payload":{"agent":"scribe","message":"no tests","status":"failed","task_id":"t_1"}}"#;
    /// assert_eq!(event.to_bare_json(), json);
    /// ```
    pub fn to_bare_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        let mut object = JsonObject::begin(&mut out);
        object.str("event_type", &self.bare_name());
        push_f64(object.key("timestamp"), self.timestamp.as_micros() as f64 / 1e6);
        object.raw("payload", Value::Object(self.bare_payload()).to_string().as_bytes());
        object.end();
        String::from_utf8(out).unwrap_or_default()
    }

    fn bare_name(&self) -> String {
        match self.name.as_str() {
            "validation.completed" => "validation_complete".to_owned(),
            _ if self.is_end_of_agent() => "agent_completed".to_owned(),
            name => plain(name.strip_prefix("custom.").unwrap_or(name)),
        }
    }

    fn bare_payload(&self) -> Map<String, Value> {
        let mut payload = self.data.to_map();
        let belongings = self.belongings().map(|(member, value)| (member.name(), value));
        let texts = [("message", &self.message)].into_iter().chain(belongings);
        for (key, value) in texts.filter_map(|(key, value)| Some((key, value.as_deref()?))) {
            payload.entry(key).or_insert_with(|| value.into());
        }
        let mut figures = Vec::new();
        self.performance.write_json(&mut figures);
        let figures: Map<String, Value> = serde_json::from_slice(&figures).unwrap_or_default();
        figures.into_iter().for_each(|(key, value)| {
            payload.entry(key).or_insert(value);
        });
        if self.is_end_of_agent() {
            let status = if self.event_type == EventType::Completed { "success" } else { self.event_type.as_str() };
            payload.entry("status").or_insert_with(|| status.into());
        }
        payload
    }

    fn is_end_of_agent(&self) -> bool {
        self.scope == Scope::Agent && self.is_end() && self.name == catalogue::lifecycle(Scope::Agent, self.event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, SourceKind, Timestamp, read_events};
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let at = Timestamp::from_unix_seconds(1_697_123_398.5);
        let source = Source { kind: SourceKind::Layer, dialect: None, instance: None, service: None };
        for event in [
            Event::task_queued("t_1").feature("checkout").with("est_cost", 0.45),
            Event::agent_started("scribe").task("t_1").model("gpt-4o").with("tools", vec!["read", "write"]),
            Event::agent_completed("scribe").task("t_1").cost_usd(0.12).with("status", "success"),
            Event::agent_failed("scribe", "no tests").with("status", "failed"),
            Event::agent_canceled("scribe").with("status", "canceled"),
            Event::validation_completed(true).task("t_1"),
            Event::budget_warning("daily", 20.5, 25.0),
            Event::tool_completed("calculator").with("result", 5754),
        ] {
            let event = event.at(at);
            let mut again = read_events(event.to_bare_json().as_bytes(), &source, at).remove(0).unwrap();
            assert_eq!(again.len(), 1);
            let again = Event { event_id: event.event_id, ..again.remove(0) };
            assert_eq!((again.name.as_str(), again.status, again.timestamp), (event.name.as_str(), event.status, at));
            assert_eq!((&again.identity, &again.performance), (&event.identity, &event.performance));
            assert_eq!(again.component_id, event.component_id);
        }
    }

    #[test]
    fn custom_events_keep_the_name_that_they_were_sent_with() {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let sent = r#"{"event_type":"my_own","timestamp":1700000000,"payload":{"x":1}}"#;
        let event = read_events(sent.as_bytes(), &source, Timestamp::now()).remove(0).unwrap().remove(0);
        assert_eq!(event.to_bare_json(), sent);
    }
}
