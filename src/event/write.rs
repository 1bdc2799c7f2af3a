//! An event as JSON: snake_case, absent fields omitted.

use std::sync::Arc;

use super::json::{JsonObject, push_str};
use super::{Event, Performance, Priority, Source};

impl Event {
    /// The event as one line of JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(768);
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the event as one line of JSON, without a line end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = JsonObject::begin(out);
        object.quoted("event_id", |out| self.event_id.push_to(out));
        object.str("name", self.name.as_str());
        object.word("scope", self.scope.as_str());
        object.word("type", self.event_type.as_str());
        object.word("status", self.status.as_str());
        write_component(&mut object, self);
        object.quoted("timestamp", |out| out.extend_from_slice(&self.timestamp.to_rfc3339()));
        object.quoted("observed_at", |out| out.extend_from_slice(&self.observed_at.to_rfc3339()));
        object.opt_str("message", self.message.as_deref());
        if let Some(trace_id) = self.trace_id {
            object.quoted("trace_id", |out| trace_id.push_to(out));
        }
        for (key, id) in [("span_id", self.span_id), ("parent_span_id", self.parent_span_id)] {
            if let Some(id) = id {
                object.quoted(key, |out| id.push_to(out));
            }
        }
        for (key, value) in self.belongings() {
            object.opt_str(key, value.as_deref());
        }
        if self.priority != Priority::default() {
            object.u64("priority", u64::from(self.priority.get()));
        }
        object.opt_u64("ttl_s", self.ttl_s);
        if !self.tags.is_empty() {
            write_tags(object.key("tags"), self);
        }
        if !self.performance.is_empty() {
            self.performance.write_json(object.key("performance"));
        }
        if !self.data.is_empty() {
            object.raw("data", self.data.as_json().as_bytes());
        }
        self.source.write_json(object.key("source"));
        object.end();
    }

    /// To whom and to what it belongs, by the names that JSON has for it.
    pub(super) fn belongings(&self) -> [(&'static str, &Option<Arc<str>>); 13] {
        [
            ("workflow_id", &self.identity.workflow_id),
            ("parent_workflow_id", &self.identity.parent_workflow_id),
            ("execution_id", &self.identity.execution_id),
            ("conversation_id", &self.identity.conversation_id),
            ("session_id", &self.identity.session_id),
            ("user_id", &self.identity.user_id),
            ("correlation_id", &self.identity.correlation_id),
            ("task_id", &self.identity.task_id),
            ("feature", &self.dimensions.feature),
            ("agent", &self.dimensions.agent),
            ("model", &self.dimensions.model),
            ("provider", &self.dimensions.provider),
            ("tool", &self.dimensions.tool),
        ]
    }
}

fn write_component(object: &mut JsonObject<'_>, event: &Event) {
    // Names of agents and tools come from outside and may hold anything.
    match event.component_id.name() {
        Some(name) => object.str("component_id", name),
        None => object.str("component_id", &event.component_id.to_string()),
    }
}

fn write_tags(out: &mut Vec<u8>, event: &Event) {
    out.push(b'[');
    for (index, tag) in event.tags.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_str(out, tag);
    }
    out.push(b']');
}

impl Performance {
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = JsonObject::begin(out);
        object.opt_f64("duration_ms", self.duration_ms);
        object.opt_f64("cost_usd", self.cost_usd);
        object.opt_u64("input_tokens", self.input_tokens);
        object.opt_u64("output_tokens", self.output_tokens);
        object.opt_u64("cache_read_tokens", self.cache_read_tokens);
        object.opt_u64("cache_write_tokens", self.cache_write_tokens);
        object.opt_u64("reasoning_tokens", self.reasoning_tokens);
        object.opt_f64("ttft_ms", self.ttft_ms);
        if let Some(success) = self.success {
            object.bool("success", success);
        }
        object.opt_f64("confidence", self.confidence);
        object.end();
    }
}

impl Source {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = JsonObject::begin(out);
        object.word("kind", self.kind.as_str());
        object.opt_str("dialect", self.dialect.as_deref());
        object.opt_str("instance", self.instance.as_deref());
        object.opt_str("service", self.service.as_deref());
        object.end();
    }
}

impl serde::Serialize for Event {
    /// For APIs built on serde; [`Event::write_json`] is the fast way.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = serde_json::value::RawValue::from_string(self.to_json()).map_err(serde::ser::Error::custom)?;
        json.serialize(serializer)
    }
}
