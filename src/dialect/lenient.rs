//! Values in JSON that somebody else wrote: what is not as expected is left out, and the rest is read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A text, or a number as text; nothing if it is something else.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word<'a> {
    pub text: Option<Cow<'a, str>>,
}

impl<'a> Word<'a> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text.as_deref() == Some(text)
    }

    /// It as a part of what was read, or of the `name` that it is too.
    pub(super) fn borrowed(&self, name: &'a str) -> Option<&'a str> {
        match self.text.as_ref()? {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(text) => (text == name).then_some(name),
        }
    }
}

impl<'a> From<Option<&'a str>> for Word<'a> {
    fn from(text: Option<&'a str>) -> Word<'a> {
        Word { text: text.map(Cow::Borrowed) }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<'a>, D::Error> {
        deserializer.deserialize_any(OneWord).map(|text| Word { text })
    }
}

struct OneWord;

impl<'de> Visitor<'de> for OneWord {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then_some(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// JSON, or what Python writes for a dict that it was asked to print.
pub(super) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&of_python(text)?).ok())
}

/// The JSON of a Python literal. What is none, such as the print of an object, comes out as no JSON either.
fn of_python(text: &str) -> Option<String> {
    let mut json = String::with_capacity(text.len());
    let mut rest = text.trim().chars().peekable();
    while let Some(at) = rest.next() {
        match at {
            '\'' | '"' => json.push_str(&serde_json::to_string(&string(at, &mut rest)?).ok()?),
            '(' => json.push('['),
            ')' => json.push(']'),
            letter if letter.is_ascii_alphabetic() => {
                let mut word = String::from(letter);
                while let Some(more) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                    word.push(more);
                }
                json.push_str(match word.as_str() {
                    "None" => "null",
                    "True" => "true",
                    "False" => "false",
                    _ => return None,
                });
            }
            other => json.push(other),
        }
    }
    Some(json)
}

/// The rest of a string that began with this quote.
fn string(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut string = String::new();
    loop {
        match rest.next()? {
            end if end == quote => return Some(string),
            '\\' => match rest.next()? {
                'n' => string.push('\n'),
                't' => string.push('\t'),
                'r' => string.push('\r'),
                escaped @ ('\\' | '\'' | '"') => string.push(escaped),
                other => string.extend(['\\', other]),
            },
            other => string.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_prints_is_read_as_json() {
        for (text, value) in [
            ("{'a': 1, 'b': None}", json!({"a": 1, "b": null})),
            (r#"{"a": 'it\'s', 'b': "it's"}"#, json!({"a": "it's", "b": "it's"})),
            ("{'a': True, 'b': (1, 2), 'c': {'d': -0.5}}", json!({"a": true, "b": [1, 2], "c": {"d": -0.5}})),
            (r#"{"a": [1]}"#, json!({"a": [1]})),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in ["{'a': Usage(b=1)}", "{'a", "nothing", "{'a': <object>}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
