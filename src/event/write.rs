//! An event as JSON: snake_case, absent fields omitted.

use std::sync::Arc;

use super::json::{JsonObject, Member, member, push_quoted, push_str, push_text, push_u64, push_word};
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
        // Most are no longer, and so need not grow piece by piece.
        out.reserve(1024);
        let mut object = JsonObject::begin(out);
        push_quoted(object.member(member!("event_id")), |out| self.event_id.push_to(out));
        push_str(object.member(member!("name")), self.name.as_str());
        push_word(object.member(member!("scope")), self.scope.as_str());
        push_word(object.member(member!("type")), self.event_type.as_str());
        push_word(object.member(member!("status")), self.status.as_str());
        push_quoted(object.member(member!("component_id")), |out| write_component(out, self));
        for (name, time) in [(member!("timestamp"), self.timestamp), (member!("observed_at"), self.observed_at)] {
            push_quoted(object.member(name), |out| out.extend_from_slice(&time.to_rfc3339()));
        }
        if let Some(message) = &self.message {
            push_str(object.member(member!("message")), message);
        }
        if let Some(trace_id) = self.trace_id {
            push_quoted(object.member(member!("trace_id")), |out| trace_id.push_to(out));
        }
        for (name, id) in [(member!("span_id"), self.span_id), (member!("parent_span_id"), self.parent_span_id)] {
            if let Some(id) = id {
                push_quoted(object.member(name), |out| id.push_to(out));
            }
        }
        for (name, value) in self.belongings() {
            if let Some(value) = value {
                push_str(object.member(name), value);
            }
        }
        if self.priority != Priority::default() {
            object.u64("priority", u64::from(self.priority.get()));
        }
        object.opt_u64("ttl_s", self.ttl_s);
        if !self.tags.is_empty() {
            write_tags(object.member(member!("tags")), self);
        }
        if !self.performance.is_empty() {
            self.performance.write_json(object.member(member!("performance")));
        }
        if !self.data.is_empty() {
            object.member(member!("data")).extend_from_slice(self.data.as_json().as_bytes());
        }
        self.source.write_json(object.member(member!("source")));
        object.end();
    }

    /// To whom and to what it belongs, by the names that JSON has for it.
    pub(super) fn belongings(&self) -> [(Member, &Option<Arc<str>>); 13] {
        [
            (member!("workflow_id"), &self.identity.workflow_id),
            (member!("parent_workflow_id"), &self.identity.parent_workflow_id),
            (member!("execution_id"), &self.identity.execution_id),
            (member!("conversation_id"), &self.identity.conversation_id),
            (member!("session_id"), &self.identity.session_id),
            (member!("user_id"), &self.identity.user_id),
            (member!("correlation_id"), &self.identity.correlation_id),
            (member!("task_id"), &self.identity.task_id),
            (member!("feature"), &self.dimensions.feature),
            (member!("agent"), &self.dimensions.agent),
            (member!("model"), &self.dimensions.model),
            (member!("provider"), &self.dimensions.provider),
            (member!("tool"), &self.dimensions.tool),
        ]
    }
}

fn write_component(out: &mut Vec<u8>, event: &Event) {
    let (before, name, between, number) = event.component_id.parts();
    out.extend_from_slice(before.as_bytes());
    // Names of agents and tools come from outside and may hold anything.
    push_text(out, name);
    out.extend_from_slice(between.as_bytes());
    if let Some(number) = number {
        push_u64(out, number.into());
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
