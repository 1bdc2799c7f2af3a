//! From a part of the tree to a typed configuration, with the place of everything that does not fit.
//!
//! All problems are found in one go: unknown keys are noted and passed over, and a value of the wrong type is
//! noted, taken out, and the rest is read again.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::Problem;
use super::yaml::{Key, Node, Place, Value};
use crate::nearest::nearest;

/// Reads the configuration at `path`. On any problem there is no configuration, and the problems say why.
pub fn read<T: DeserializeOwned>(node: &Node, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let before = problems.len();
    let mut tree = if node.is_null() { Node::empty_map(node.place) } else { node.clone() };
    loop {
        let unknown = RefCell::new(Vec::new());
        let step = Step { parent: None, key: "" };
        let result = T::deserialize(Reader { node: &tree, at: &step, unknown: &unknown });
        let first_pass = problems.len() == before;
        if first_pass {
            problems.extend(unknown.into_inner().into_iter().map(|problem: Problem| problem.below(path)));
        }
        match result {
            Ok(value) if problems.len() == before => return Some(value),
            Ok(_) => return None,
            Err(error) => {
                let place = error.place.unwrap_or(node.place);
                let problem = Problem { place, path: error.path.join("."), message: error.message };
                let problem = problem.below(path);
                // A key that was taken out because of its value is not missing as well.
                let taken_out = !first_pass && problem.message.starts_with("missing field");
                if !taken_out {
                    problems.push(problem);
                }
                if !tree.remove(&error.path) {
                    return None;
                }
            }
        }
    }
}

/// The way from the top of the configuration to where the reader is.
struct Step<'a> {
    parent: Option<&'a Step<'a>>,
    key: &'a str,
}

impl Step<'_> {
    fn path(&self) -> Vec<String> {
        let mut path = self.parent.map(Step::path).unwrap_or_default();
        path.extend((!self.key.is_empty()).then(|| self.key.to_owned()));
        path
    }
}

/// A value that does not fit.
#[derive(Debug)]
struct Misfit {
    place: Option<Place>,
    path: Vec<String>,
    message: String,
}

impl Misfit {
    fn at(mut self, node: &Node, step: &Step<'_>) -> Misfit {
        if self.place.is_none() {
            self.place = Some(node.place);
            self.path = step.path();
        }
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Misfit {
        Misfit { place: None, path: Vec::new(), message: message.to_string() }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Misfit {
        let hint = nearest(variant, expected.iter().copied());
        let hint = hint.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        Misfit::custom(format_args!("`{variant}` is not one of {}{hint}", expected.join(", ")))
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    at: &'a Step<'a>,
    unknown: &'a RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    fn text(&self) -> Result<&'a str, Misfit> {
        match &self.node.value {
            Value::Scalar { text, .. } => Ok(text),
            _ => Err(self.misfit(format!("a single value is expected here, not {}", self.node.kind()))),
        }
    }

    fn misfit(&self, message: String) -> Misfit {
        Misfit { place: None, path: Vec::new(), message }.at(self.node, self.at)
    }

    fn number<T: std::str::FromStr>(&self, what: &str) -> Result<T, Misfit> {
        let text = self.text()?;
        text.parse().map_err(|_| self.misfit(format!("`{text}` is not {what}")))
    }

    fn in_place<T>(&self, result: Result<T, Misfit>) -> Result<T, Misfit> {
        result.map_err(|misfit| misfit.at(self.node, self.at))
    }
}

macro_rules! deserialize_numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            let number = self.number::<$type>($what)?;
            self.in_place(visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Misfit;

    /// By what the value looks like, as YAML's core schema has it.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Scalar { text, quoted } => self.in_place(match (text.as_str(), *quoted) {
                (text, true) => visitor.visit_str(text),
                ("" | "~" | "null", _) => visitor.visit_unit(),
                ("true", _) => visitor.visit_bool(true),
                ("false", _) => visitor.visit_bool(false),
                (text, _) => match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                        visitor.visit_f64(number)
                    }
                    _ => visitor.visit_str(text),
                },
            }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.text()? {
            "true" => self.in_place(visitor.visit_bool(true)),
            "false" => self.in_place(visitor.visit_bool(false)),
            text => Err(self.misfit(format!("`{text}` is neither true nor false"))),
        }
    }

    deserialize_numbers! {
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number from 0 up";
        deserialize_u32 visit_u32 u32, "a whole number from 0 up";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let text = self.text()?;
        self.in_place(visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        let result = visitor.visit_newtype_struct(self);
        self.in_place(result)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            _ if self.node.is_null() => &[],
            _ => return Err(self.misfit(format!("a list is expected here, not {}", self.node.kind()))),
        };
        let result = visitor.visit_seq(Items { items: items.iter().enumerate(), reader: self });
        self.in_place(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let Some(entries) = self.node.entries() else {
            return Err(self.misfit(format!("a map is expected here, not {}", self.node.kind())));
        };
        let result = visitor.visit_map(Entries { entries: entries.iter(), value: None, known: None, reader: self });
        self.in_place(result)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let Some(entries) = self.node.entries() else {
            return Err(self.misfit(format!("a map is expected here, not {}", self.node.kind())));
        };
        for (key, _) in entries.iter().filter(|(key, _)| !fields.contains(&key.text.as_str())) {
            let hint = match nearest(&key.text, fields.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None if fields.is_empty() => "nothing can be set here".to_owned(),
                None => format!("known are {}", fields.join(", ")),
            };
            let message = format!("unknown key `{}`; {hint}", key.text);
            self.unknown.borrow_mut().push(Problem { place: key.place, path: self.at.path().join("."), message });
        }
        let entries = Entries { entries: entries.iter(), value: None, known: Some(fields), reader: self };
        let result = visitor.visit_map(entries);
        self.in_place(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let text: StrDeserializer<'_, Misfit> = self.text()?.into_deserializer();
        self.in_place(visitor.visit_enum(text))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    reader: Reader<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let step = Step { parent: Some(self.reader.at), key: &index.to_string() };
        seed.deserialize(Reader { node, at: &step, unknown: self.reader.unknown }).map(Some)
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a (Key, Node)>,
    known: Option<&'static [&'static str]>,
    reader: Reader<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let known = self.known;
        let is_known = |(key, _): &&(Key, Node)| known.is_none_or(|known| known.contains(&key.text.as_str()));
        self.value = self.entries.by_ref().find(is_known);
        let Some((key, _)) = self.value else { return Ok(None) };
        let text: StrDeserializer<'_, Misfit> = key.text.as_str().into_deserializer();
        seed.deserialize(text).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, node)) = self.value.take() else { return Err(de::Error::custom("a key without a value")) };
        let step = Step { parent: Some(self.reader.at), key: &key.text };
        let reader = Reader { node, at: &step, unknown: self.reader.unknown };
        seed.deserialize(reader).map_err(|misfit| misfit.at(node, &step))
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        endpoint: String,
        #[serde(default)]
        size: u32,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<u32>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        mode: Mode,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Safe,
    }

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let sample = read::<Sample>(&parse(text).unwrap(), "receivers.x", &mut problems);
        assert!(sample.is_none());
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_fits_is_read() {
        let text = "endpoint: 4317\nsize: 5\ninner: {mode: fast}\nlist: [1, 2]";
        let sample: Sample = read(&parse(text).unwrap(), "", &mut Vec::new()).unwrap();
        let inner = Some(Inner { mode: Mode::Fast });
        assert_eq!(sample, Sample { endpoint: "4317".into(), size: 5, inner, list: vec![1, 2] });
    }

    #[test]
    fn every_problem_is_found_with_its_place() {
        let found = problems("endpiont: a\nendpoint: b\nsize: many\ninner: {mode: fsat, more: 1}\nlist: [1, x, y]\n");
        assert_eq!(
            found,
            [
                "line 1: receivers.x: unknown key `endpiont`; did you mean `endpoint`?",
                "line 3: receivers.x.size: `many` is not a whole number from 0 up",
                "line 4: receivers.x.inner.mode: `fsat` is not one of fast, safe; did you mean `fast`?",
                "line 5: receivers.x.list.1: `x` is not a whole number from 0 up",
                "line 5: receivers.x.list.1: `y` is not a whole number from 0 up",
            ]
        );
        assert_eq!(problems("size: 1"), ["line 1: receivers.x: missing field `endpoint`"]);
        assert_eq!(problems("[1]"), ["line 1: receivers.x: a map is expected here, not a list"]);
    }
}
