//! YAML as a tree that remembers where everything stands.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Problem;

/// Where something stands: line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a part of a document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A scalar. Quoted ones are text, whatever they look like.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the document's order.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// Its text.
    pub text: String,
}

/// Aliases are copies, so a small document could grow without end.
const MOST_NODES: usize = 100_000;

/// What is nested deeper than any configuration would take the stack with it.
const MOST_DEPTH: usize = 100;

/// Reads one document. An empty one is an empty map.
pub fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, depth: 0 };
    let mut document = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if document.is_some() => {
                return Err(problem(place(&span), "a configuration is one YAML document, this is a second one"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => document = Some(builder.node(event, &span)?),
        }
    }
    Ok(document.filter(|node| !node.is_null()).unwrap_or(Node::empty_map(Place { line: 1, column: 1 })))
}

struct Builder<'i> {
    parser: Parser<'i, saphyr_parser::StrInput<'i>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    depth: usize,
}

impl<'i> Builder<'i> {
    fn next(&mut self) -> Result<(Event<'i>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = Place { line: error.marker().line(), column: error.marker().col() + 1 };
                Err(problem(at, &format!("this is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'i>, span: &Span) -> Result<Node, Problem> {
        let place = place(span);
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(problem(place, "the document is too large, or its aliases make it so"));
        }
        if self.depth > MOST_DEPTH {
            return Err(problem(place, "this is nested too deep"));
        }
        self.depth += 1;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (anchor, Value::Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list()?),
            Event::MappingStart(anchor, _) => (anchor, self.map()?),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let node = known.ok_or_else(|| problem(place, "this alias names no anchor"))?;
                self.nodes += node.size();
                if self.depth + node.depth() > MOST_DEPTH {
                    return Err(problem(place, "with this alias it is nested too deep"));
                }
                self.depth -= 1;
                return Ok(node);
            }
            _ => return Err(problem(place, "a value is missing here")),
        };
        self.depth -= 1;
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, &span)?;
            let Value::Scalar { text, quoted } = key.value else {
                return Err(problem(key.place, "a key is text"));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span)?;
            let key = Key { place: key.place, text };
            if key.text == "<<" && !quoted {
                merged.extend(value.into_merged()?);
                continue;
            }
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == key.text) {
                let message =
                    format!("`{}` stands here a second time; the first is in line {}", key.text, first.place.line);
                return Err(problem(key.place, &message));
            }
            entries.push((key, value));
        }
        for (key, value) in merged {
            if !entries.iter().any(|(known, _)| known.text == key.text) {
                entries.push((key, value));
            }
        }
        Ok(Value::Map(entries))
    }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn problem(place: Place, message: &str) -> Problem {
    Problem { place, path: String::new(), message: message.to_owned() }
}

// === impl Node ===

impl Node {
    /// An unquoted scalar.
    pub fn scalar(text: &str) -> Node {
        Node { place: Place::default(), value: Value::Scalar { text: text.to_owned(), quoted: false } }
    }

    /// An empty map.
    pub fn empty_map(place: Place) -> Node {
        Node { place, value: Value::Map(Vec::new()) }
    }

    /// Whether it is null: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The entries of a map; a null is an empty one.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ if self.is_null() => Some(&[]),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// Whether it is a value that reads like one of these.
    pub fn is_one_of(&self, texts: &[&str]) -> bool {
        matches!(&self.value, Value::Scalar { text, .. } if texts.contains(&text.as_str()))
    }

    /// What kind of thing it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Whether something below stands at a place.
    pub fn holds(&self, place: Place) -> bool {
        match &self.value {
            Value::Scalar { .. } => false,
            Value::List(items) => items.iter().any(|item| item.place == place || item.holds(place)),
            Value::Map(entries) => entries.iter().any(|(_, node)| node.place == place || node.holds(place)),
        }
    }

    /// Removes the part at a path; whether there was one.
    pub fn remove(&mut self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        match &mut self.value {
            Value::Map(entries) => {
                let Some(at) = entries.iter().position(|(key, _)| key.text == *first) else { return false };
                if rest.is_empty() {
                    entries.remove(at);
                    return true;
                }
                entries[at].1.remove(rest)
            }
            Value::List(items) => {
                let Some(at) = first.parse::<usize>().ok().filter(|at| *at < items.len()) else { return false };
                if rest.is_empty() {
                    items.remove(at);
                    return true;
                }
                items[at].remove(rest)
            }
            Value::Scalar { .. } => false,
        }
    }

    fn into_merged(self) -> Result<Vec<(Key, Node)>, Problem> {
        match self.value {
            Value::Map(entries) => Ok(entries),
            Value::List(items) => {
                let maps: Result<Vec<_>, _> = items.into_iter().map(Node::into_merged).collect();
                Ok(maps?.into_iter().flatten().collect())
            }
            Value::Scalar { .. } => Err(problem(self.place, "`<<` merges a map or a list of maps")),
        }
    }

    /// How many levels there are, its own included.
    fn depth(&self) -> usize {
        let below = match &self.value {
            Value::Scalar { .. } => None,
            Value::List(items) => items.iter().map(Node::depth).max(),
            Value::Map(entries) => entries.iter().map(|(_, value)| value.depth()).max(),
        };
        1 + below.unwrap_or(0)
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| node.size()).sum::<usize>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_anchors_and_merges() {
        let text = "a: &x\n  b: 1\n  c: two\nd:\n  <<: *x\n  c: \"3\"\n";
        let node = parse(text).unwrap();
        let d = node.get("d").unwrap();
        assert_eq!(d.get("b").unwrap().value, Value::Scalar { text: "1".into(), quoted: false });
        assert_eq!(d.get("c").unwrap().value, Value::Scalar { text: "3".into(), quoted: true });
        assert_eq!(d.get("c").unwrap().place, Place { line: 6, column: 6 });
        assert_eq!(parse("").unwrap().entries(), Some(&[][..]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| parse(text).unwrap_err();
        assert_eq!(error("a: 1\na: 2\n").place.line, 2);
        assert!(error("a: 1\na: 2\n").message.contains("the first is in line 1"));
        assert_eq!(error("a: [1\nb: 2\n").place.line, 2);
        assert!(error("a: 1\n---\nb: 2\n").message.contains("second"));
        assert!(error("a: *nowhere\n").message.contains("anchor"));
    }

    #[test]
    fn nesting_has_an_end_also_through_aliases() {
        let nested = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(90, "x")).is_ok());
        assert!(parse(&nested(120, "x")).unwrap_err().message.contains("too deep"));
        assert!(parse(&nested(100_000, "x")).is_err());
        let text = format!("a: &a {}\nb: {}\n", nested(60, "x"), nested(60, "*a"));
        let error = parse(&text).unwrap_err();
        assert!(error.place.line == 2 && error.message.contains("too deep"), "{error}");
    }

    #[test]
    fn aliases_do_not_explode() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(parse(&text).unwrap_err().message.contains("too large"));
    }
}
