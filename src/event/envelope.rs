//! The members of an event in whatever envelope they came, and what is to be found under their names.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::aliases::{self, plain};
use super::fields::{scope_of, type_of};
use super::wrapped::{in_snake_case, unwrapped};
use super::{EventName, ReadError, Timestamp, catalogue};

/// An event's members: those around the payload, the payload, and the figures. Keys are in snake_case.
pub(super) struct Envelope {
    pub around: Map<String, Value>,
    pub payload: Map<String, Value>,
    pub figures: Map<String, Value>,
}

/// What an event is called, and how far it was meant so.
pub(super) struct Named {
    pub name: EventName,
    /// The member that said so; none if scope and type did together.
    pub by: Option<&'static str>,
    /// Whether it is not the catalogue's own name.
    pub alias: bool,
    /// Whether it is another system's name for something of which that system need not say what Spanlight wants.
    pub loose: bool,
}

impl Envelope {
    pub fn of(object: Map<String, Value>) -> Envelope {
        let mut around = unwrapped(in_snake_case(object));
        let mut take = |keys: &[&str]| {
            let key = keys.iter().find(|key| around.get(**key).is_some_and(Value::is_object))?;
            match around.remove(*key) {
                Some(Value::Object(map)) => Some(map),
                _ => None,
            }
        };
        let payload = take(&["payload", "data"]).unwrap_or_default();
        let figures = take(&["performance", "performance_metrics"]).unwrap_or_default();
        Envelope { around, payload, figures: in_snake_case(figures) }
    }

    /// Whether Spanlight wrote it itself: then it was taken once, and means what it says and nothing else.
    pub fn is_written(&self) -> bool {
        ["name", "event_id", "scope", "observed_at"]
            .iter()
            .all(|key| self.around.get(*key).is_some_and(Value::is_string))
    }

    /// `name`, else another system's `event_type` or `type`, else scope and type together.
    pub fn name(&self) -> Result<Named, ReadError> {
        let text = |key| self.around.get(key).and_then(Value::as_str);
        if self.is_written()
            && let Some(name) = text("name").and_then(EventName::parse)
        {
            return Ok(Named { name, by: Some("name"), alias: false, loose: false });
        }
        if let (None, Some(scope), Some(event_type)) =
            (text("name"), text("scope").and_then(scope_of), text("event_type").or(text("type")).and_then(type_of))
        {
            return Ok(Named { name: catalogue::lifecycle(scope, event_type), by: None, alias: false, loose: false });
        }
        let given: Vec<(&'static str, &str)> =
            ["name", "event_type", "type"].into_iter().filter_map(|key| Some((key, text(key)?))).collect();
        // `name` may well be that of the agent, where another member names the event.
        let means = |(_, word): &&(&str, &str)| EventName::parse(word).is_some() || aliases::canonical(word).is_some();
        let Some(&(by, word)) = given.iter().find(means).or(given.first()) else {
            return Err(ReadError("an event needs a `name`, such as `agent.started`".into()));
        };
        let dotted = EventName::parse(word);
        let known = dotted.clone().filter(|name| catalogue::entry(name.as_str()).is_some());
        let known = known.or_else(|| aliases::canonical(word).map(EventName::of)).or(dotted);
        let name = known.or_else(|| EventName::parse(&format!("custom.{}", plain(word)))).ok_or_else(|| {
            ReadError(format!("`{word}` is no event name; use lower case with a dot, such as `order.shipped`"))
        })?;
        let alias = name != *word;
        let loose = (alias || by != "name") && aliases::is_loose(word);
        Ok(Named { name, by: Some(by), alias, loose })
    }

    /// The first of the members of these names, wherever it stands.
    pub fn find(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().find_map(|key| self.all(key).next())
    }

    /// What there is of a name: around the payload, among the figures, in the payload.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &Value> {
        [&self.around, &self.figures, &self.payload]
            .into_iter()
            .filter_map(move |map| map.get(key))
            .filter(|value| !value.is_null())
    }

    /// The first of them that is text, or can be written as such.
    pub fn text(&self, keys: &[&str]) -> Option<Arc<str>> {
        let text = |value: &Value| match value {
            Value::String(text) if !text.is_empty() => Some(text.as_str().into()),
            Value::Number(number) => Some(number.to_string().into()),
            // Some name an agent, or a user, by an object of its own.
            Value::Object(object) => {
                let mut texts = ["id", "name"].iter().filter_map(|key| object.get(*key)?.as_str());
                texts.find(|text| !text.is_empty()).map(Arc::from)
            }
            _ => None,
        };
        keys.iter().find_map(|key| self.all(key).find_map(text))
    }

    /// The text of a member around the payload.
    pub fn outside(&self, key: &str) -> Option<&str> {
        self.around.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The first of the members around the payload that is there, as a time.
    pub fn time(&self, keys: &[&str]) -> Result<Option<Timestamp>, ReadError> {
        let member = |key: &&str| {
            Some((*key, self.around.get(*key).filter(|value| !value.is_null())?)).map(|(k, v)| (k.to_owned(), v))
        };
        let Some((key, value)) = keys.iter().find_map(member) else { return Ok(None) };
        let bad = || ReadError(format!("{key} {value} is no time; write RFC 3339 or seconds since 1970"));
        time(value).map(Some).ok_or_else(bad)
    }
}

/// RFC 3339, in UTC where it does not say where, or a number since 1970.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let time = match value {
        Value::String(text) => {
            let number = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(since_1970);
            Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z"))).or_else(number)
        }
        Value::Number(number) => number.as_f64().map(since_1970),
        _ => None,
    };
    time.filter(|time| time.is_writable())
}

/// In seconds, or, where these would be of another millennium, in milli-, micro- or nanoseconds, as other clocks count.
fn since_1970(number: f64) -> Timestamp {
    Timestamp::from_unix_seconds(match number {
        number if number > 1e17 => number / 1e9,
        number if number > 1e14 => number / 1e6,
        number if number > 1e11 => number / 1e3,
        seconds => seconds,
    })
}
