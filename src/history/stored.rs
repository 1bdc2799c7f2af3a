//! An event in the journal: its JSON, under a kind of its own.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use memchr::memmem;

use super::members::{self, Value};
use super::vocabulary::Told;
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

/// What an event is found by, where it stands: what it says is not looked into.
#[derive(Debug)]
pub struct Narrow<'a> {
    pub id: EventId,
    pub scope: Scope,
    pub event_type: EventType,
    pub status: Status,
    pub time: Timestamp,
    pub has_parent: bool,
    rest: Rest<'a>,
}

/// Where the rest of it stands.
#[derive(Debug)]
enum Rest<'a> {
    /// In memory; and how its execution is called, if that is called by its trace.
    Event(&'a Event, Option<Box<str>>),
    /// In its JSON.
    Json(Box<Members<'a>>),
}

/// A text that an event has, or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field {
    Name,
    Message,
    Agent,
    Feature,
    Model,
    Tool,
    Task,
    Conversation,
    Correlation,
    User,
    Service,
    Session,
    Dialect,
    Execution,
}

/// Members of an event's JSON, as they stand there.
#[derive(Debug, Default)]
struct Members<'a> {
    id: Option<EventId>,
    scope: Option<Scope>,
    event_type: Option<EventType>,
    status: Option<Status>,
    time: Option<Timestamp>,
    has_parent: bool,
    component_id: Option<Text<'a>>,
    trace_id: Option<Text<'a>>,
    texts: [Option<Text<'a>>; Field::NUMBER],
    tags: Vec<Text<'a>>,
    performance: Performance,
    data: Option<&'a str>,
}

/// A text in JSON, as it stands there where it can.
#[derive(Debug, Default, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Narrow<'a> {
    /// Of the JSON of an event as [`Event::to_json`] writes it; nothing if it lacks what every event has, or has values of
    /// another kind.
    pub fn read(json: &'a str) -> Option<Narrow<'a>> {
        let mut read = Box::<Members<'_>>::default();
        members::each(json, |name, value| read.take(name, value))?;
        read.text(Field::Name).filter(|name| !name.is_empty())?;
        let (id, scope, event_type, status) = (read.id?, read.scope?, read.event_type?, read.status?);
        let (time, has_parent) = (read.time?, read.has_parent);
        Some(Narrow { id, scope, event_type, status, time, has_parent, rest: Rest::Json(read) })
    }

    /// Of an event in memory: what its JSON says.
    pub fn of(event: &'a Event) -> Narrow<'a> {
        let trace_id = event.trace_id.filter(|_| event.identity.execution_id.is_none());
        Narrow {
            id: event.event_id,
            scope: event.scope,
            event_type: event.event_type,
            status: event.status,
            time: event.timestamp,
            has_parent: event.parent_span_id.is_some(),
            rest: Rest::Event(event, trace_id.map(|trace| trace.to_string().into())),
        }
    }

    /// One of its texts.
    pub fn text(&self, field: Field) -> Option<&str> {
        match &self.rest {
            Rest::Event(event, _) => field.of(event),
            Rest::Json(read) => read.text(field),
        }
    }

    /// The execution it belongs to: the one named, else the trace.
    pub fn execution(&self) -> Option<&str> {
        let trace = match &self.rest {
            Rest::Event(_, trace) => trace.as_deref(),
            Rest::Json(read) => read.trace_id.as_ref().map(Text::as_str),
        };
        self.text(Field::Execution).or(trace)
    }

    /// Which component it speaks of.
    pub fn component_id(&self) -> String {
        match &self.rest {
            Rest::Event(event, _) => event.component_id.to_string(),
            Rest::Json(read) => read.component_id.as_ref().map(Text::as_str).unwrap_or_default().to_owned(),
        }
    }

    /// Its tokens and its cost, and of an event in memory other figures besides.
    pub fn performance(&self) -> &Performance {
        match &self.rest {
            Rest::Event(event, _) => &event.performance,
            Rest::Json(read) => &read.performance,
        }
    }

    /// Its payload, as JSON.
    fn data(&self) -> Option<&str> {
        match &self.rest {
            Rest::Event(event, _) => (!event.data.is_empty()).then(|| event.data.as_json()),
            Rest::Json(read) => read.data,
        }
    }

    /// Appends what it says and names, as [`words::searchable`] has it of an event, but for what was told before: its words are
    /// there.
    pub fn push_searchable<'n>(&'n self, told: &mut Told<'n>, out: &mut String) {
        let begin = out.len();
        let mut push = |kind, text| {
            if told.is_new(kind, text) {
                words::push_text(out, text);
            }
        };
        for field in Field::SEARCHED {
            self.text(field).into_iter().for_each(|text| push(field as usize, text));
        }
        match &self.rest {
            Rest::Event(event, _) => event.tags.iter().for_each(|tag| push(Field::TAGS, tag)),
            Rest::Json(read) => read.tags.iter().for_each(|tag| push(Field::TAGS, tag.as_str())),
        }
        if let Some(data) = self.data().filter(|data| told.is_new(Field::DATA, data)) {
            words::push_json(out, data);
        }
        words::lower(out, begin);
    }

    /// Whether it tells of the beginning, progress or end of a piece of work, by its name.
    pub fn is_of_life(&self) -> bool {
        let of_life = catalogue::lifecycle(self.scope, self.event_type);
        self.scope != Scope::System && self.text(Field::Name) == Some(of_life.as_str())
    }

    /// Whether what it tells of makes no run by itself, as [`Meaning::is_work`](crate::dialect::Meaning::is_work) has it.
    pub fn is_no_work(&self) -> bool {
        match self.scope {
            Scope::Agent => self.says(r#""operation":"create_agent""#),
            Scope::WorkflowStep => self.text(Field::Dialect) == Some("mcp"),
            // What was said in a call may come without the call.
            Scope::LlmRequest => self.text(Field::Name) == Some("messages.recorded"),
            _ => false,
        }
    }

    /// Whether a member of the payload has this value, as both stand in JSON.
    pub fn says(&self, member: &str) -> bool {
        let is_there = |data: &&str| memmem::find(data.as_bytes(), member.as_bytes()).is_some();
        let Some(data) = self.data().filter(is_there) else { return false };
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

impl Field {
    const NUMBER: usize = Field::Execution as usize + 1;

    /// As a kind of texts, tags and payloads come behind the fields.
    const TAGS: usize = Field::NUMBER;
    const DATA: usize = Field::NUMBER + 1;

    /// Those that [`words::searchable`] looks through.
    const SEARCHED: [Field; 11] = [
        Field::Name,
        Field::Message,
        Field::Agent,
        Field::Feature,
        Field::Model,
        Field::Tool,
        Field::Task,
        Field::Conversation,
        Field::Correlation,
        Field::User,
        Field::Service,
    ];

    /// The member of an event's JSON.
    fn named(name: &str) -> Option<Field> {
        Some(match name {
            "name" => Field::Name,
            "message" => Field::Message,
            "agent" => Field::Agent,
            "feature" => Field::Feature,
            "model" => Field::Model,
            "tool" => Field::Tool,
            "task_id" => Field::Task,
            "conversation_id" => Field::Conversation,
            "correlation_id" => Field::Correlation,
            "user_id" => Field::User,
            "session_id" => Field::Session,
            "execution_id" => Field::Execution,
            _ => return None,
        })
    }

    fn of(self, event: &Event) -> Option<&str> {
        let (identity, dimensions) = (&event.identity, &event.dimensions);
        let text = match self {
            Field::Name => return Some(event.name.as_str()),
            Field::Dialect => return event.source.dialect.as_deref(),
            Field::Message => &event.message,
            Field::Agent => &dimensions.agent,
            Field::Feature => &dimensions.feature,
            Field::Model => &dimensions.model,
            Field::Tool => &dimensions.tool,
            Field::Task => &identity.task_id,
            Field::Conversation => &identity.conversation_id,
            Field::Correlation => &identity.correlation_id,
            Field::User => &identity.user_id,
            Field::Service => &event.source.service,
            Field::Session => &identity.session_id,
            Field::Execution => &identity.execution_id,
        };
        text.as_deref()
    }
}

impl<'a> Members<'a> {
    fn text(&self, field: Field) -> Option<&str> {
        self.texts[field as usize].as_ref().map(Text::as_str)
    }

    fn take(&mut self, name: &str, value: Value<'a>) -> Option<()> {
        match name {
            "event_id" => self.id = EventId::parse(&value.text()?),
            "scope" => self.scope = Scope::parse(&value.text()?),
            "type" => self.event_type = EventType::parse(&value.text()?),
            "status" => self.status = Status::parse(&value.text()?),
            "timestamp" => self.time = Timestamp::parse(&value.text()?),
            "component_id" => return take_text(&mut self.component_id, value),
            "trace_id" => return take_text(&mut self.trace_id, value),
            "parent_span_id" => self.has_parent = !value.is_null(),
            "tags" => self.tags = serde_json::from_str(value.raw).ok()?,
            "performance" => {
                return members::each(value.raw, |name, value| take_figure(&mut self.performance, name, value));
            }
            "data" => self.data = (!value.is_null()).then_some(value.raw),
            "source" => return members::each(value.raw, |name, value| self.take_source(name, value)),
            _ => return Field::named(name).map_or(Some(()), |field| self.take_text(field, value)),
        }
        Some(())
    }

    fn take_source(&mut self, name: &str, value: Value<'a>) -> Option<()> {
        match name {
            "dialect" => self.take_text(Field::Dialect, value),
            "service" => self.take_text(Field::Service, value),
            _ => Some(()),
        }
    }

    fn take_text(&mut self, field: Field, value: Value<'a>) -> Option<()> {
        take_text(&mut self.texts[field as usize], value)
    }
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether two texts say the same. Of what belongs to one run most are one in memory, and need not be read.
pub fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (std::ptr::eq(one, other) || one == other)
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

fn take_text<'a>(place: &mut Option<Text<'a>>, value: Value<'a>) -> Option<()> {
    *place = if value.is_null() { None } else { Some(Text(value.text()?)) };
    Some(())
}

/// A number, or that there is none; nothing if it is something else.
fn number<N: DeserializeOwned>(value: Value<'_>) -> Option<Option<N>> {
    serde_json::from_str(value.raw).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use std::sync::Arc;

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
            prop_assert_eq!(Some(read.scope.as_str()), text("scope"));
            prop_assert_eq!(Some(read.event_type.as_str()), text("type"));
            prop_assert_eq!(Some(read.status.as_str()), text("status"));
            prop_assert_eq!(Some(&*read.component_id()), text("component_id"));
            for name in [
                "name", "message", "execution_id", "conversation_id", "session_id", "user_id", "correlation_id", "task_id",
                "feature", "agent", "model", "tool",
            ] {
                prop_assert_eq!(read.text(Field::named(name).unwrap()), text(name), "{}", name);
            }
            prop_assert_eq!((read.id, read.time), (event.event_id, event.timestamp));
            prop_assert_eq!(read.has_parent, told["parent_span_id"].is_string());
            prop_assert_eq!(read.text(Field::Service), told["source"]["service"].as_str());
            prop_assert_eq!(read.text(Field::Dialect), told["source"]["dialect"].as_str());
            let (performance, figures) = (read.performance(), &told["performance"]);
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
            let (of, read) = (Narrow::of(&event), Narrow::read(&json).unwrap());
            let own = |event: &Narrow<'_>| (event.id, event.scope, event.event_type, event.status, event.time, event.has_parent);
            prop_assert_eq!(own(&of), own(&read));
            prop_assert_eq!(of.execution(), read.execution());
            prop_assert_eq!(of.component_id(), read.component_id());
            prop_assert_eq!(of.performance(), read.performance());
            for field in Field::SEARCHED.into_iter().chain([Field::Session, Field::Dialect, Field::Execution]) {
                prop_assert_eq!(of.text(field), read.text(field), "{:?}", field);
            }
            prop_assert_eq!(of.says(r#""billed":false"#), read.says(r#""billed":false"#));
            let mut said = [String::new(), String::new()];
            of.push_searchable(&mut Told::default(), &mut said[0]);
            read.push_searchable(&mut Told::default(), &mut said[1]);
            prop_assert_eq!(&said[0], &said[1]);
        }
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
