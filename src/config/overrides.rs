//! `--set path=value`: single values from the command line.

use super::yaml::{Key, Node, Place, Value, parse};

/// One value to set, wherever the configuration has it from.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    path: Vec<String>,
    value: Node,
}

impl Override {
    /// Of `receivers.otlp.protocols.http.endpoint=127.0.0.1:4318`. The value is YAML, so lists and maps can be
    /// set as well.
    pub fn parse(text: &str) -> Result<Override, String> {
        let invalid = || format!("`{text}` is not PATH=VALUE, such as extensions.web.endpoint=127.0.0.1:3011");
        let (path, value) = text.split_once('=').ok_or_else(invalid)?;
        let path: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(invalid());
        }
        let document = parse(&format!("value: {value}")).map_err(|problem| format!("`{text}`: {}", problem.message))?;
        let value = document.get("value").cloned().ok_or_else(invalid)?;
        Ok(Override { path, value: without_places(value) })
    }

    /// Sets the value; what is missing on the way there is made.
    pub fn apply(&self, tree: &mut Node) {
        let mut node = tree;
        for key in &self.path {
            if node.entries().is_none_or(<[_]>::is_empty) && !matches!(node.value, Value::Map(_)) {
                node.value = Value::Map(Vec::new());
            }
            let Value::Map(entries) = &mut node.value else { return };
            let at = entries.iter().position(|(known, _)| known.text == *key).unwrap_or_else(|| {
                let key = Key { place: Place::default(), text: key.clone() };
                entries.push((key, Node::empty_map(Place::default())));
                entries.len() - 1
            });
            node = &mut entries[at].1;
        }
        *node = self.value.clone();
    }
}

/// A value from the command line stands in no line of the file.
fn without_places(mut node: Node) -> Node {
    node.place = Place::default();
    match &mut node.value {
        Value::List(items) => *items = std::mem::take(items).into_iter().map(without_places).collect(),
        Value::Map(entries) => {
            for (key, value) in entries {
                key.place = Place::default();
                *value = without_places(value.clone());
            }
        }
        Value::Scalar { .. } => {}
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_and_made() {
        let mut tree = parse("a:\n  b: 1\nc:\n").unwrap();
        for text in ["a.b=2", "a.d.e=[1, 2]", "c.f=x:y", "g=true"] {
            Override::parse(text).unwrap().apply(&mut tree);
        }
        let printed = super::super::print(&tree);
        assert_eq!(printed, "a:\n  b: 2\n  d:\n    e:\n      - 1\n      - 2\nc:\n  f: x:y\ng: true\n");
        assert!(Override::parse("nonsense").unwrap_err().contains("PATH=VALUE"));
    }
}
