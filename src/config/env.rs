//! `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in values.
//!
//! Substitution happens on the parsed tree, value by value, so that what a variable holds can never become
//! structure. A value that is nothing but one substitution is read as if it stood there unquoted.

use super::Problem;
use super::yaml::{Node, Value};

/// Replaces every reference in the tree; what cannot be replaced becomes a problem.
pub fn substitute(node: &mut Node, lookup: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| substitute(item, lookup, problems)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| substitute(value, lookup, problems)),
        Value::Scalar { text, quoted } if text.contains('$') => {
            let whole = text.starts_with("${") && closing_brace(text) == Some(text.len() - 1);
            match expand(text, lookup) {
                Ok(expanded) => {
                    *quoted &= !whole;
                    *text = expanded;
                }
                Err(message) => problems.push(Problem { place: node.place, path: String::new(), message }),
            }
        }
        Value::Scalar { .. } => {}
    }
}

/// The text with every reference replaced; `$$` is a dollar sign.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if rest.starts_with("${") {
            let end = closing_brace(rest).ok_or_else(|| format!("`{rest}` lacks its closing brace"))?;
            out.push_str(&resolve(&rest[2..end], lookup)?);
            rest = &rest[end + 1..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The place of the brace that closes the one in `${` at the front.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn resolve(reference: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    let reference = reference.strip_prefix("env:").unwrap_or(reference);
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if name.contains(':') {
        return Err(format!("`${{{reference}}}` is neither ${{env:NAME}} nor ${{file:PATH}}"));
    }
    match (lookup(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => expand(default, lookup),
        (None, None) => Err(format!("the environment has no {name}; set it, or write ${{env:{name}:-a default}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    fn substituted(text: &str) -> (Node, Vec<Problem>) {
        let lookup = |name: &str| (name == "PORT").then(|| "4317".to_owned());
        let mut node = parse(text).unwrap();
        let mut problems = Vec::new();
        substitute(&mut node, &lookup, &mut problems);
        (node, problems)
    }

    #[test]
    fn variables_defaults_and_dollars() {
        let value = |text: &str| match substituted(&format!("a: {text}")).0.get("a").unwrap().value.clone() {
            Value::Scalar { text, quoted } => (text, quoted),
            other => panic!("{other:?}"),
        };
        assert_eq!(value("host:${env:PORT}"), ("host:4317".into(), false));
        assert_eq!(value("\"${env:PORT}\""), ("4317".into(), false));
        assert_eq!(value("${env:NONE:-x}"), ("x".into(), false));
        assert_eq!(value("${env:NONE:-${env:PORT}}0"), ("43170".into(), false));
        assert_eq!(value("${PORT}"), ("4317".into(), false));
        assert_eq!(value("a$$b$c"), ("a$b$c".into(), false));
    }

    #[test]
    fn what_a_variable_holds_never_becomes_structure() {
        let mut node = parse("a: ${env:EVIL}").unwrap();
        substitute(&mut node, &|_| Some("{b: 1}".into()), &mut Vec::new());
        assert_eq!(node.get("a").unwrap().kind(), "a value");
    }

    #[test]
    fn a_missing_variable_is_a_problem_with_a_remedy() {
        let (_, problems) = substituted("x: 1\na: ${env:NONE}");
        assert_eq!(problems[0].place.line, 2);
        assert!(problems[0].message.contains("${env:NONE:-a default}"));
    }
}
