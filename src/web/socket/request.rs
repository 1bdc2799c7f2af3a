//! What clients say over a WebSocket, as JSON.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::wants::{Key, topic};
use crate::event::{Filter, Timestamp};
use crate::nearest::nearest;

/// What a client says. A field that is not known is an error: whoever asks for less must not be given everything.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who it is, what it wants, where to go on, and how.
    Hello(Hello),
    /// Events that are wanted too, or what is wanted at all.
    Subscribe(Subscribe),
    /// Events that are wanted no more; all, if none are named.
    Unsubscribe(Named),
    /// Which of the events that are subscribed to are wanted.
    FilterUpdate(Narrow),
    /// The last events at once.
    GetRecent {
        /// How many.
        limit: Option<usize>,
        /// Of these names only.
        #[serde(default)]
        event_types: Vec<String>,
    },
    /// Whether anybody is there.
    Ping,
}

/// The first message.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hello {
    /// Who it is, where that is asked.
    pub token: Option<String>,
    /// The last offset that the client has seen.
    pub resume_from: Option<u64>,
    /// The epoch that this offset is of.
    pub epoch: Option<String>,
    /// How events are wrapped.
    pub envelope: Envelope,
    /// What is subscribed to.
    pub subscriptions: Option<Vec<String>>,
    /// Which of these events are wanted.
    pub filter: Option<Map<String, Value>>,
    /// Of these agents only.
    pub agent_filter: Option<Vec<String>>,
    /// Of events that say how confident an agent is, those that are at least so much.
    pub performance_threshold: Option<f64>,
}

/// A subscription.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subscribe {
    /// To one run.
    #[serde(alias = "executionId")]
    pub execution_id: Option<String>,
    /// To one conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: Option<String>,
    /// To a topic.
    pub subscription: Option<String>,
    /// To whatever fits, instead of all before.
    pub filter: Option<Map<String, Value>>,
    /// How many of the last events come first.
    pub replay: Option<usize>,
}

/// A subscription by its name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Named {
    /// That to one run.
    #[serde(alias = "executionId")]
    pub execution_id: Option<String>,
    /// That to one conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: Option<String>,
    /// That to a topic.
    pub subscription: Option<String>,
}

/// What narrows all subscriptions; what is not named stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Narrow {
    /// The fields of the API.
    pub filter: Option<Map<String, Value>>,
    /// Of these agents only; of none in particular, if the list is empty.
    pub agent_filter: Option<Vec<String>>,
    /// Of events that say how confident an agent is, those that are at least so much.
    pub performance_threshold: Option<f64>,
    /// What is subscribed to from now on.
    pub subscriptions: Option<Vec<String>>,
}

/// How events are wrapped.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `{"type":"event","offset","event"}`
    #[default]
    Event,
    /// The same, with another type.
    StreamEvent,
    /// `{"event_type","timestamp","payload"}`
    Bare,
}

/// Why something that a client said is not done.
#[derive(Debug)]
pub struct Complaint {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Complaint {
    /// A message that makes no sense.
    pub fn invalid(message: impl ToString) -> Complaint {
        Complaint { code: "invalid_message", message: message.to_string() }
    }

    /// A filter that is none.
    pub fn filter(message: impl ToString) -> Complaint {
        Complaint { code: "invalid_filter", message: message.to_string() }
    }
}

const TYPES: [&str; 6] = ["hello", "subscribe", "unsubscribe", "filter_update", "get_recent", "ping"];
/// What only a first message has, by which it is known without a type.
const OF_HELLO: [&str; 2] = ["token", "subscriptions"];

/// Reads what a client says. The type is given also where the rest is wrong.
pub fn parse(text: &str) -> Result<Request, (Option<&'static str>, Complaint)> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| (None, Complaint::invalid(error)))?;
    if let Value::Object(fields) = &mut value
        && !fields.contains_key("type")
        && OF_HELLO.iter().any(|key| fields.contains_key(*key))
    {
        fields.insert("type".into(), "hello".into());
    }
    let given = value["type"].as_str().unwrap_or_default();
    let Some(known) = TYPES.iter().copied().find(|known| *known == given) else {
        let hint = nearest(given, TYPES).map(|meant| format!("; did you mean `{meant}`?"));
        let message = format!("`type` is one of {}{}", TYPES.join(", "), hint.unwrap_or_default());
        return Err((None, Complaint { code: "unknown_type", message }));
    };
    // Clients of all kinds say when they ping.
    if known == "ping" {
        return Ok(Request::Ping);
    }
    serde_json::from_value(value).map_err(|error| (Some(known), Complaint::invalid(error)))
}

impl Subscribe {
    /// What it is to, if it is to one thing: a run, a conversation or a topic.
    pub fn key(&self) -> Result<Option<Key>, Complaint> {
        let named = Named {
            execution_id: self.execution_id.clone(),
            conversation_id: self.conversation_id.clone(),
            subscription: self.subscription.clone(),
        };
        match (named.key()?, &self.filter) {
            (Some(_), Some(_)) => {
                Err(Complaint::invalid("`filter` replaces all subscriptions; name nothing beside it"))
            }
            (key, _) => Ok(key),
        }
    }
}

impl Named {
    /// What it is to.
    pub fn key(&self) -> Result<Option<Key>, Complaint> {
        match (&self.execution_id, &self.conversation_id, &self.subscription) {
            (None, None, None) => Ok(None),
            (Some(id), None, None) => Ok(Some(Key::Execution(id.clone()))),
            (None, Some(id), None) => Ok(Some(Key::Conversation(id.clone()))),
            (None, None, Some(name)) => topic(name).map(|topic| Some(Key::Topic(topic))),
            _ => {
                Err(Complaint::invalid("name one of `execution_id`, `conversation_id` and `subscription` in a message"))
            }
        }
    }
}

impl Hello {
    /// Whether what it names is there, before anything is done of it.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        self.subscriptions.iter().flatten().try_for_each(|name| topic(name).map(drop)).map_err(|wrong| wrong.message)
    }
}

/// The filter of an object with the fields of the API, each with a value or a list of them.
pub fn filter(fields: &Map<String, Value>) -> Result<Filter, Complaint> {
    let mut pairs = Vec::new();
    for (field, value) in fields {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        // A list of nothing would take every event, which is not what it says.
        if values.is_empty() {
            return Err(Complaint::filter(format!("`{field}` is an empty list")));
        }
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(Complaint::filter(format!("`{field}` is no text, no number and no list of them"))),
            };
            pairs.push((field.as_str(), text));
        }
    }
    let pairs = pairs.iter().map(|(field, text)| (*field, text.as_str()));
    Filter::from_pairs(pairs, Timestamp::now()).map_err(Complaint::filter)
}
