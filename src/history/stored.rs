//! An event in the journal: its JSON, under a kind of its own.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::members::{self, Value};
use crate::event::{
    Event, EventId, EventType, Performance, Scope, Source, SourceKind, Status, Timestamp, catalogue, read_events, words,
};

/// The kind of records that are events.
pub const EVENT: u8 = 1;

/// The event that a payload is.
pub fn event_of(payload: &[u8]) -> Option<Event> {
    let unknown = Source { kind: SourceKind::Bus, dialect: None, instance: None, service: None };
    let events = read_events(payload, &unknown, Timestamp::now());
    events.into_iter().next()?.ok()?.into_iter().next()
}

/// What an event is found by, where it stands in its JSON, or in the event while that is in memory: what it says is not looked
/// into.
#[derive(Debug, Default, PartialEq)]
pub struct Narrow<'a> {
    pub id: Option<EventId>,
    pub name: Text<'a>,
    scope: Text<'a>,
    event_type: Text<'a>,
    status: Text<'a>,
    /// Of an event in memory only if that is a workflow or an agent, whose names runs have.
    pub component_id: Text<'a>,
    pub time: Option<Timestamp>,
    pub message: Option<Text<'a>>,
    /// Of an event in memory only if it has no execution.
    trace_id: Option<Text<'a>>,
    pub has_parent: bool,
    execution_id: Option<Text<'a>>,
    pub conversation_id: Option<Text<'a>>,
    pub session_id: Option<Text<'a>>,
    pub user_id: Option<Text<'a>>,
    pub correlation_id: Option<Text<'a>>,
    pub task_id: Option<Text<'a>>,
    pub feature: Option<Text<'a>>,
    pub agent: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    pub tool: Option<Text<'a>>,
    tags: Vec<Text<'a>>,
    /// Its tokens and its cost.
    pub performance: Performance,
    /// Its payload, as JSON.
    data: Option<&'a str>,
    /// The dialect that it was derived from.
    pub dialect: Option<Text<'a>>,
    /// The service that it came from.
    pub service: Option<Text<'a>>,
}

/// A text in JSON, as it stands there where it can.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Text<'a> {
        Text(text.into())
    }
}

impl<'a> Narrow<'a> {
    /// Of the JSON of an event as [`Event::to_json`] writes it; nothing if it lacks what every event has, or has values of
    /// another kind.
    pub fn read(json: &'a str) -> Option<Narrow<'a>> {
        let mut read = Narrow::default();
        members::each(json, |name, value| read.take(name, value))?;
        let of_every_event = [&read.name, &read.scope, &read.event_type, &read.status];
        let is_whole = of_every_event.iter().all(|text| !text.0.is_empty()) && read.id.is_some() && read.time.is_some();
        is_whole.then_some(read)
    }

    /// Of an event in memory: what its JSON says.
    pub fn of(event: &'a Event) -> Narrow<'a> {
        let said = |text: &'a Option<Arc<str>>| text.as_deref().map(Text::from);
        let (identity, dimensions) = (&event.identity, &event.dimensions);
        let component_id = match event.scope {
            Scope::Workflow | Scope::Agent => Text(event.component_id.to_string().into()),
            _ => Text::default(),
        };
        let trace_id = event.trace_id.filter(|_| identity.execution_id.is_none());
        Narrow {
            id: Some(event.event_id),
            name: event.name.as_str().into(),
            scope: event.scope.as_str().into(),
            event_type: event.event_type.as_str().into(),
            status: event.status.as_str().into(),
            component_id,
            time: Some(event.timestamp),
            message: said(&event.message),
            trace_id: trace_id.map(|trace| Text(trace.to_string().into())),
            has_parent: event.parent_span_id.is_some(),
            execution_id: said(&identity.execution_id),
            conversation_id: said(&identity.conversation_id),
            session_id: said(&identity.session_id),
            user_id: said(&identity.user_id),
            correlation_id: said(&identity.correlation_id),
            task_id: said(&identity.task_id),
            feature: said(&dimensions.feature),
            agent: said(&dimensions.agent),
            model: said(&dimensions.model),
            tool: said(&dimensions.tool),
            tags: event.tags.iter().map(|tag| Text::from(&**tag)).collect(),
            performance: event.performance.clone(),
            data: (!event.data.is_empty()).then(|| event.data.as_json()),
            dialect: event.source.dialect.as_deref().map(Text::from),
            service: said(&event.source.service),
        }
    }

    fn take(&mut self, name: &str, value: Value<'a>) -> Option<()> {
        let place = match name {
            "event_id" => {
                self.id = EventId::parse(&value.text()?);
                return Some(());
            }
            "name" => return take_text(&mut self.name, value),
            "scope" => return take_text(&mut self.scope, value),
            "type" => return take_text(&mut self.event_type, value),
            "status" => return take_text(&mut self.status, value),
            "component_id" => return take_text(&mut self.component_id, value),
            "timestamp" => {
                self.time = Timestamp::parse(&value.text()?);
                return Some(());
            }
            "message" => &mut self.message,
            "trace_id" => &mut self.trace_id,
            "parent_span_id" => {
                self.has_parent = !value.is_null();
                return Some(());
            }
            "execution_id" => &mut self.execution_id,
            "conversation_id" => &mut self.conversation_id,
            "session_id" => &mut self.session_id,
            "user_id" => &mut self.user_id,
            "correlation_id" => &mut self.correlation_id,
            "task_id" => &mut self.task_id,
            "feature" => &mut self.feature,
            "agent" => &mut self.agent,
            "model" => &mut self.model,
            "tool" => &mut self.tool,
            "tags" => {
                self.tags = serde_json::from_str(value.raw).ok()?;
                return Some(());
            }
            "performance" => {
                return members::each(value.raw, |name, value| take_figure(&mut self.performance, name, value));
            }
            "data" => {
                self.data = (!value.is_null()).then_some(value.raw);
                return Some(());
            }
            "source" => return members::each(value.raw, |name, value| self.take_source(name, value)),
            _ => return Some(()),
        };
        take_optional(place, value)
    }

    fn take_source(&mut self, name: &str, value: Value<'a>) -> Option<()> {
        match name {
            "dialect" => take_optional(&mut self.dialect, value),
            "service" => take_optional(&mut self.service, value),
            _ => Some(()),
        }
    }

    pub fn scope(&self) -> Option<Scope> {
        Scope::parse(self.scope.as_str())
    }

    pub fn event_type(&self) -> Option<EventType> {
        EventType::parse(self.event_type.as_str())
    }

    pub fn status(&self) -> Option<Status> {
        Status::parse(self.status.as_str())
    }

    /// The execution it belongs to: the one named, else the trace.
    pub fn execution(&self) -> Option<&str> {
        as_str(&self.execution_id).or(as_str(&self.trace_id))
    }

    /// Appends what it says and names, as [`words::searchable`] has it of an event; what the event `before` it says in the same
    /// place as well is left out, since its words are there.
    pub fn push_searchable(&self, before: Option<&Narrow<'_>>, out: &mut String) {
        let begin = out.len();
        let texts_before = before.map(Narrow::texts).unwrap_or_default();
        for (text, before) in self.texts().into_iter().zip(texts_before) {
            if let Some(text) = text.filter(|_| text != before) {
                words::push_text(out, text);
            }
        }
        self.tags.iter().for_each(|tag| words::push_text(out, tag.as_str()));
        if let Some(data) = self.data {
            words::push_json(out, data);
        }
        words::lower(out, begin);
    }

    fn texts(&self) -> [Option<&str>; 11] {
        [
            Some(self.name.as_str()),
            as_str(&self.message),
            as_str(&self.agent),
            as_str(&self.feature),
            as_str(&self.model),
            as_str(&self.tool),
            as_str(&self.task_id),
            as_str(&self.conversation_id),
            as_str(&self.correlation_id),
            as_str(&self.user_id),
            as_str(&self.service),
        ]
    }

    /// Whether it tells of the beginning, progress or end of a piece of work, by its name.
    pub fn is_of_life(&self) -> bool {
        let (Some(scope), Some(event_type)) = (self.scope(), self.event_type()) else { return false };
        scope != Scope::System && catalogue::lifecycle(scope, event_type).as_str() == self.name.as_str()
    }

    /// Whether what it tells of makes no run by itself, as [`Meaning::is_work`](crate::dialect::Meaning::is_work) has it.
    pub fn is_no_work(&self) -> bool {
        match self.scope() {
            Some(Scope::Agent) => self.says(r#""operation":"create_agent""#),
            Some(Scope::WorkflowStep) => as_str(&self.dialect) == Some("mcp"),
            _ => false,
        }
    }

    /// Whether a member of the payload has this value, as both stand in JSON.
    pub fn says(&self, member: &str) -> bool {
        let Some(data) = self.data.filter(|data| data.contains(member)) else { return false };
        let Some((wanted, wanted_value)) = member.split_once(':') else { return false };
        let wanted = wanted.trim_matches('"');
        let mut is_said = false;
        let is_read = members::each(data, |name, value| {
            is_said |= name == wanted && value.raw == wanted_value;
            Some(())
        });
        is_read.is_some() && is_said
    }
}

fn take_figure(figures: &mut Performance, name: &str, value: Value<'_>) -> Option<()> {
    let place = match name {
        "cost_usd" => {
            figures.cost_usd = number(value)?;
            return Some(());
        }
        "input_tokens" => &mut figures.input_tokens,
        "output_tokens" => &mut figures.output_tokens,
        "cache_read_tokens" => &mut figures.cache_read_tokens,
        "cache_write_tokens" => &mut figures.cache_write_tokens,
        "reasoning_tokens" => &mut figures.reasoning_tokens,
        _ => return Some(()),
    };
    *place = number(value)?;
    Some(())
}

fn take_text<'a>(place: &mut Text<'a>, value: Value<'a>) -> Option<()> {
    *place = Text(value.text()?);
    Some(())
}

fn take_optional<'a>(place: &mut Option<Text<'a>>, value: Value<'a>) -> Option<()> {
    *place = if value.is_null() { None } else { Some(Text(value.text()?)) };
    Some(())
}

/// A number, or that there is none; nothing if it is something else.
fn number<N: DeserializeOwned>(value: Value<'_>) -> Option<Option<N>> {
    serde_json::from_str(value.raw).ok()
}

/// What a text says, if there is one.
pub fn as_str<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
    text.as_ref().map(Text::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::event::{Data, SpanId, TraceId};

    fn some_event() -> impl Strategy<Value = Event> {
        let texts = || proptest::array::uniform10(proptest::option::of("[a\"\\\\\n{}:,\u{fc}\u{1}]{0,5}"));
        let counts = proptest::array::uniform5(proptest::option::of(any::<u64>()));
        (texts(), texts(), counts, proptest::option::of(0.0..1e6_f64)).prop_map(|(ids, said, counts, cost_usd)| {
            let text = |text: &Option<String>| text.as_deref().map(Arc::from);
            let mut event = Event::agent_started(said[0].as_deref().unwrap_or("writer"));
            event.identity.execution_id = text(&ids[0]);
            event.identity.conversation_id = text(&ids[1]);
            event.identity.session_id = text(&ids[2]);
            event.identity.user_id = text(&ids[3]);
            event.identity.correlation_id = text(&ids[4]);
            event.identity.task_id = text(&ids[5]);
            event.dimensions.feature = text(&ids[6]);
            event.dimensions.model = text(&ids[7]);
            event.dimensions.tool = text(&ids[8]);
            event.source.service = text(&ids[9]);
            event.message = text(&said[1]);
            event.tags.extend(text(&said[2]));
            event.data = Data::build(|data| {
                said[3].iter().for_each(|said| data.str("said", said));
                said[4].iter().for_each(|_| data.bool("billed", false));
            });
            let performance = &mut event.performance;
            performance.cost_usd = cost_usd;
            performance.input_tokens = counts[0];
            performance.output_tokens = counts[1];
            performance.cache_read_tokens = counts[2];
            performance.cache_write_tokens = counts[3];
            performance.reasoning_tokens = counts[4];
            event
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_json_says(event in some_event()) {
            let json = event.to_json();
            let read = Narrow::read(&json).unwrap();
            let told: Json = serde_json::from_str(&json).unwrap();
            let text = |name: &str| told[name].as_str();
            for (name, read) in [
                ("name", &read.name),
                ("scope", &read.scope),
                ("type", &read.event_type),
                ("status", &read.status),
                ("component_id", &read.component_id),
            ] {
                prop_assert_eq!(Some(read.as_str()), text(name), "{}", name);
            }
            for (name, read) in [
                ("message", &read.message),
                ("trace_id", &read.trace_id),
                ("execution_id", &read.execution_id),
                ("conversation_id", &read.conversation_id),
                ("session_id", &read.session_id),
                ("user_id", &read.user_id),
                ("correlation_id", &read.correlation_id),
                ("task_id", &read.task_id),
                ("feature", &read.feature),
                ("agent", &read.agent),
                ("model", &read.model),
                ("tool", &read.tool),
            ] {
                prop_assert_eq!(as_str(read), text(name), "{}", name);
            }
            prop_assert_eq!((read.id, read.time), (Some(event.event_id), Some(event.timestamp)));
            prop_assert_eq!(read.has_parent, told["parent_span_id"].is_string());
            prop_assert_eq!(as_str(&read.service), told["source"]["service"].as_str());
            prop_assert_eq!(as_str(&read.dialect), told["source"]["dialect"].as_str());
            prop_assert_eq!(read.tags.first().map(Text::as_str), told["tags"][0].as_str());
            let (performance, figures) = (&read.performance, &told["performance"]);
            prop_assert_eq!(performance.cost_usd, figures["cost_usd"].as_f64());
            for (name, read) in [
                ("input_tokens", performance.input_tokens),
                ("output_tokens", performance.output_tokens),
                ("cache_read_tokens", performance.cache_read_tokens),
                ("cache_write_tokens", performance.cache_write_tokens),
                ("reasoning_tokens", performance.reasoning_tokens),
            ] {
                prop_assert_eq!(read, figures[name].as_u64(), "{}", name);
            }
            prop_assert_eq!(read.says(r#""billed":false"#), told["data"]["billed"] == false);
            let (mut again, mut own) = (String::new(), String::new());
            read.push_searchable(Some(&read), &mut again);
            event.tags.iter().for_each(|tag| words::push_text(&mut own, tag));
            if !event.data.is_empty() {
                words::push_json(&mut own, event.data.as_json());
            }
            words::lower(&mut own, 0);
            prop_assert_eq!(again, own);
        }
    }

    proptest! {
        #[test]
        fn an_event_in_memory_says_what_its_json_does(event in some_event(), ids in proptest::array::uniform2(0_u8..3)) {
            let mut event = event;
            event.trace_id = TraceId::from_bytes(&[ids[0]; 16]);
            event.parent_span_id = SpanId::from_bytes(&[ids[1]; 8]);
            event.performance.duration_ms = None;
            let json = event.to_json();
            let (mut of, read) = (Narrow::of(&event), Narrow::read(&json).unwrap());
            prop_assert_eq!(of.execution(), read.execution());
            of.trace_id.clone_from(&read.trace_id);
            prop_assert_eq!(of, read);
        }
    }

    #[test]
    fn of_works_that_runs_are_not_called_by_no_name_is_made() {
        let event = Event::tool_started("search");
        assert_eq!(Narrow::of(&event).component_id.as_str(), "");
        assert_eq!(Narrow::read(&event.to_json()).unwrap().component_id.as_str(), event.component_id.to_string());
    }

    #[test]
    fn what_lacks_something_or_is_of_another_kind_is_nothing() {
        let whole = Event::agent_started("writer").to_json();
        assert!(Narrow::read(&whole).is_some());
        for name in ["event_id", "name", "scope", "type", "status", "timestamp"] {
            let of_another = whole.replace(&format!("\"{name}\":"), "\"other\":");
            assert!(Narrow::read(&of_another).is_none(), "without {name}");
            let null = whole.replace(&format!("\"{name}\":\""), &format!("\"{name}\":null,\"other\":\""));
            assert!(Narrow::read(&null).is_none(), "{name} is null");
        }
        let with = |member: &str| whole.replacen('{', &format!("{{{member},"), 1);
        for member in ["\"agent\":7", "\"tags\":\"a\"", "\"performance\":[]", "\"performance\":{\"input_tokens\":-1}"] {
            assert!(Narrow::read(&with(member)).is_none(), "{member}");
        }
        for member in ["\"agent\":null", "\"data\":null", "\"performance\":{\"cost_usd\":null}", "\"new\":[{}]"] {
            assert!(Narrow::read(&with(member)).is_some(), "{member}");
        }
    }
}
