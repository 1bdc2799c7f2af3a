//! An event as JSON: snake_case, absent fields omitted.

use std::ops::Range;
use std::sync::Arc;

use super::json::{JsonObject, Member, member, push_quoted, push_str, push_text, push_u64, push_word};
use super::{Dimensions, Event, Identity, Performance, Priority, Source};

/// Writes events as JSON one behind the other. What an event has in common with the one before it, as those of one run have
/// most of what they belong to, is copied from there.
///
/// ```
/// use spanlight::event::{Event, EventWriter, Timestamp};
///
/// let events = [Event::agent_spawned("researcher"), Event::agent_spawned("critic")];
/// let mut lines = Vec::new();
/// let mut writer = EventWriter::new(&mut lines);
/// for event in &events {
///     writer.write(event);
///     writer.push(b"\n");
/// }
/// assert_eq!(lines, format!("{}\n{}\n", events[0].to_json(), events[1].to_json()).into_bytes());
/// ```
pub struct EventWriter<'o, 'e> {
    out: &'o mut Vec<u8>,
    last: Option<Written<'e>>,
}

/// An event that was written, and where parts of it stand.
struct Written<'e> {
    event: &'e Event,
    identity: Range<usize>,
    source: Range<usize>,
}

impl<'o, 'e> EventWriter<'o, 'e> {
    /// Most events are no longer, and so need not grow piece by piece.
    pub const USUAL: usize = 1024;

    /// Behind what is in a buffer.
    pub fn new(out: &'o mut Vec<u8>) -> EventWriter<'o, 'e> {
        EventWriter { out, last: None }
    }

    /// Appends what is written already.
    pub fn push(&mut self, written: &[u8]) {
        self.out.extend_from_slice(written);
    }

    /// How much is in the buffer.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Appends an event as one line of JSON, without a line end.
    pub fn write(&mut self, event: &'e Event) {
        self.out.reserve(EventWriter::USUAL);
        let mut object = JsonObject::begin(self.out);
        event.write_head(&mut object);
        let last = self.last.as_ref();
        let begins = object.len();
        match last.filter(|last| last.event.identity.is_same(&event.identity)) {
            Some(last) => object.again(last.identity.clone()),
            None => event.identity.members().into_iter().for_each(|(name, value)| write_name(&mut object, name, value)),
        }
        let identity = begins..object.len();
        event.dimensions.members().into_iter().for_each(|(name, value)| write_name(&mut object, name, value));
        event.write_figures(&mut object);
        let begins = object.len();
        match last.filter(|last| last.event.source.is_same(&event.source)) {
            Some(last) => object.again(last.source.clone()),
            None => event.source.write_json(object.member(member!("source"))),
        }
        let source = begins..object.len();
        object.end();
        self.last = Some(Written { event, identity, source });
    }
}

impl Event {
    /// The event as one line of JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the event as one line of JSON, without a line end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        EventWriter::new(out).write(self);
    }

    /// What it is, and when and where it happened.
    fn write_head(&self, object: &mut JsonObject<'_>) {
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
    }

    /// What there is to say and to count.
    fn write_figures(&self, object: &mut JsonObject<'_>) {
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
    }

    /// To whom and to what it belongs, by the names that JSON has for it.
    pub(super) fn belongings(&self) -> impl Iterator<Item = (Member, &Option<Arc<str>>)> {
        self.identity.members().into_iter().chain(self.dimensions.members())
    }
}

impl Identity {
    fn members(&self) -> [(Member, &Option<Arc<str>>); 8] {
        [
            (member!("workflow_id"), &self.workflow_id),
            (member!("parent_workflow_id"), &self.parent_workflow_id),
            (member!("execution_id"), &self.execution_id),
            (member!("conversation_id"), &self.conversation_id),
            (member!("session_id"), &self.session_id),
            (member!("user_id"), &self.user_id),
            (member!("correlation_id"), &self.correlation_id),
            (member!("task_id"), &self.task_id),
        ]
    }

    /// Whether all names of it lie where those of the other do.
    fn is_same(&self, other: &Identity) -> bool {
        self.members().into_iter().zip(other.members()).all(|((_, one), (_, other))| is_same(one, other))
    }
}

impl Dimensions {
    fn members(&self) -> [(Member, &Option<Arc<str>>); 5] {
        [
            (member!("feature"), &self.feature),
            (member!("agent"), &self.agent),
            (member!("model"), &self.model),
            (member!("provider"), &self.provider),
            (member!("tool"), &self.tool),
        ]
    }
}

fn is_same(one: &Option<Arc<str>>, other: &Option<Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

fn write_name(object: &mut JsonObject<'_>, name: Member, value: &Option<Arc<str>>) {
    if let Some(value) = value {
        push_str(object.member(name), value);
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
    /// Whether it says the same, as far as that is seen without reading it.
    fn is_same(&self, other: &Source) -> bool {
        self.kind == other.kind
            && self.dialect == other.dialect
            && is_same(&self.instance, &other.instance)
            && is_same(&self.service, &other.service)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behind_others_an_event_is_written_as_it_is_alone(which in prop::collection::vec((0..3usize, 0..3usize), 0..9)) {
            let name = |number: usize| Some(Arc::from(format!("name \"{number}\"")));
            let identities = [
                Identity::default(),
                Identity { execution_id: name(1), ..Identity::default() },
                Identity { workflow_id: name(2), execution_id: name(1), task_id: name(3), ..Identity::default() },
            ];
            let source = Event::agent_spawned("a").source;
            let sources = [source.clone(), Source { service: name(4), ..source.clone() }, Source { instance: name(4), ..source }];
            let event = |(identity, source): &(usize, usize)| {
                let (identity, source) = (identities[*identity].clone(), sources[*source].clone());
                Event { identity, source, ..Event::agent_spawned("a").with("attempt", 2) }
            };
            let events: Vec<Event> = which.iter().map(event).collect();
            let (mut together, mut alone) = (b"behind: ".to_vec(), b"behind: ".to_vec());
            let mut writer = EventWriter::new(&mut together);
            for event in &events {
                writer.write(event);
                writer.push(b"\n");
                alone.extend_from_slice(event.to_json().as_bytes());
                alone.push(b'\n');
            }
            prop_assert_eq!(String::from_utf8(together), String::from_utf8(alone));
        }
    }
}
