//! How a conversation opens: by the path and the query of its URL, for clients that say nothing themselves.

use serde_json::{Map, Value};

use super::request::{self, Envelope, Hello};
use crate::event::Filter;
use crate::nearest::nearest;
use crate::web::api::Query;

/// What a URL says.
#[derive(Debug, Default)]
pub struct Opening {
    /// What a `hello` would say, if the URL says anything.
    pub hello: Option<Hello>,
    /// Whether the client is told where it is before it is sent events.
    pub is_greeted: bool,
}

impl Opening {
    /// The fields of a URL besides those of filters.
    const FIELDS: [&str; 4] = ["envelope", "resume_from", "epoch", "subscription"];

    /// At `/` there are events and nothing else, which is what the simplest clients expect; at `/ws` the query says what
    /// is wanted, as a `hello` would.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Opening, String> {
        let (is_bare, mut query) = (path == "/", Query::parse(query));
        if query.is_empty() && !is_bare {
            return Ok(Opening { hello: None, is_greeted: true });
        }
        let envelope = query.take("envelope").map(|word| {
            let known = serde_json::from_value(Value::String(word.clone()));
            known.map_err(|_| format!("`envelope={word}` is none; there are event, stream_event and bare"))
        });
        let resume_from = query
            .take("resume_from")
            .map(|offset| offset.parse().map_err(|_| format!("`resume_from={offset}` is no offset")));
        let epoch = query.take("epoch");
        let subscriptions = query.take("subscription").map(|names| names.split(',').map(str::to_owned).collect());
        let hello = Hello {
            envelope: envelope.transpose()?.unwrap_or(if is_bare { Envelope::Bare } else { Envelope::Event }),
            resume_from: resume_from.transpose()?,
            epoch,
            subscriptions,
            filter: Some(filter(&query)?),
            ..Hello::default()
        };
        hello.check()?;
        Ok(Opening { hello: Some(hello), is_greeted: !is_bare })
    }
}

/// The rest of a query is a filter.
fn filter(query: &Query) -> Result<Map<String, Value>, String> {
    let mut fields: Map<String, Value> = Map::new();
    for (field, value) in query.pairs() {
        if !Filter::FIELDS.contains(&field) {
            let known = Filter::FIELDS.iter().copied().chain(Opening::FIELDS);
            let hint = nearest(field, known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            return Err(format!("`{field}` is no parameter{hint}"));
        }
        if let Value::Array(values) = fields.entry(field).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(value.into());
        }
    }
    request::filter(&fields).map_err(|complaint| complaint.message)?;
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_a_hello_would() {
        let opening =
            Opening::parse("/ws", Some("agent=writer&agent=critic&envelope=stream_event&resume_from=7")).unwrap();
        let hello = opening.hello.unwrap();
        assert!(opening.is_greeted);
        assert_eq!((hello.envelope, hello.resume_from), (Envelope::StreamEvent, Some(7)));
        assert_eq!(Value::Object(hello.filter.unwrap()), serde_json::json!({"agent": ["writer", "critic"]}));
        let simplest = Opening::parse("/", None).unwrap();
        assert_eq!((simplest.hello.unwrap().envelope, simplest.is_greeted), (Envelope::Bare, false));
        assert!(Opening::parse("/ws", None).unwrap().hello.is_none());
        for (query, said) in [
            ("agnet=x", "did you mean `agent`?"),
            ("resume_form=1", "did you mean `resume_from`?"),
            ("envelope=box", "stream_event"),
            ("resume_from=-1", "no offset"),
            ("scope=tools", "did you mean `tool`?"),
            ("subscription=all_event", "did you mean `all_events`?"),
        ] {
            let error = Opening::parse("/ws", Some(query)).unwrap_err();
            assert!(error.contains(said), "{query}: {error}");
        }
    }
}
