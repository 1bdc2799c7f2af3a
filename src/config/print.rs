//! A configuration as YAML again, the way it is in force; secrets are not shown.

use std::borrow::Cow;

use super::yaml::{Node, Value};

/// Keys whose values are nobody's business.
const SECRETS: &[&str] = &[
    "token",
    "tokens",
    "password",
    "secret",
    "authorization",
    "api_key",
    "apikey",
    "x-api-key",
    "headers",
    "htpasswd",
];

/// The tree as YAML in block style.
pub fn print(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0, false);
    out
}

fn write_node(out: &mut String, node: &Node, level: usize, secret: bool) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&"  ".repeat(level));
                out.push_str(&scalar(&key.text, false));
                out.push(':');
                let hidden = secret || SECRETS.contains(&key.text.to_lowercase().as_str());
                write_value(out, &without_path(&key.text, value), level + 1, hidden);
            }
        }
        Value::List(items) => {
            for item in items {
                out.push_str(&"  ".repeat(level));
                out.push('-');
                write_value(out, item, level + 1, secret);
            }
        }
        Value::Scalar { text, quoted } => out.push_str(&value(text, *quoted)),
    }
}

fn write_value(out: &mut String, node: &Node, level: usize, secret: bool) {
    match &node.value {
        Value::Scalar { text, .. } if secret && !text.is_empty() => out.push_str(" \"[hidden]\"\n"),
        Value::Scalar { text, .. } if text.is_empty() && node.is_null() => out.push('\n'),
        Value::Scalar { text, quoted } => {
            out.push(' ');
            out.push_str(&value(text, *quoted));
            out.push('\n');
        }
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        _ => {
            out.push('\n');
            write_node(out, node, level, secret);
        }
    }
}

/// The URL of a webhook without its path, which is all that some receivers ask for.
fn without_path<'n>(key: &str, node: &'n Node) -> Cow<'n, Node> {
    let hidden = |text: &str| {
        let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
        let (host, _) = rest.split_once('/').filter(|(_, path)| key == "url" && !path.is_empty())?;
        Some(format!("{scheme}://{host}/[hidden]"))
    };
    match &node.value {
        Value::Scalar { text, .. } => match hidden(text) {
            Some(text) => Cow::Owned(Node { value: Value::Scalar { text, quoted: true }, ..node.clone() }),
            None => Cow::Borrowed(node),
        },
        _ => Cow::Borrowed(node),
    }
}

/// A URL without its password, and without the values in its query, where keys are given too.
fn without_password(text: &str) -> Cow<'_, str> {
    match text.split_once('?').filter(|(before, query)| before.contains("://") && query.contains('=')) {
        Some((before, _)) => Cow::Owned(format!("{}?[hidden]", without_userinfo(before))),
        None => without_userinfo(text),
    }
}

fn without_userinfo(text: &str) -> Cow<'_, str> {
    let parts = || {
        let (scheme, rest) = text.split_once("://")?;
        let (userinfo, host) = rest[..rest.find('/').unwrap_or(rest.len())].rsplit_once('@')?;
        let (user, _) = userinfo.split_once(':')?;
        Some(format!("{scheme}://{user}:hidden@{host}{}", &rest[userinfo.len() + 1 + host.len()..]))
    };
    parts().map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A value, which no variable is to be replaced in again.
fn value(text: &str, quoted: bool) -> String {
    let text = without_password(text);
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        escaped.push(letter);
        if letter == '$' && matches!(letters.peek(), Some('$' | '{')) {
            escaped.push('$');
        }
    }
    scalar(&escaped, quoted)
}

/// Quoted where it was quoted, or where it would be something else without.
fn scalar(text: &str, quoted: bool) -> String {
    let plain = !text.is_empty()
        && !text.starts_with([
            '-', '?', ':', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '#', '[', ']', '{', '}', ',', ' ',
        ])
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(['\n', '\t']);
    if plain && !quoted { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    #[test]
    fn what_is_printed_reads_back_and_hides_secrets() {
        let text = "a:\n  b: [1, \"2\", 'x: y']\n  c: {}\n  e:\n  d: -x\nauth: {token: abc, headers: {x: y}}\n";
        let printed = print(&parse(text).unwrap());
        assert!(!printed.contains("abc") && !printed.contains("y\n"), "{printed}");
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }

    #[test]
    fn passwords_in_urls_are_hidden() {
        assert_eq!(without_password("redis://:p@ss@host:6379/0"), "redis://:hidden@host:6379/0");
        assert_eq!(without_password("http://ada:x@host"), "http://ada:hidden@host");
        assert_eq!(without_password("http://ada:x@host/a?key=x&y=z"), "http://ada:hidden@host/a?[hidden]");
        for text in ["http://host:4318/a@b:c", "http://ada@host", "host:4317", "a: b@c"] {
            assert_eq!(without_password(text), text);
        }
    }

    #[test]
    fn a_dollar_sign_that_was_escaped_stays_one() {
        let mut tree = parse("a: \"$${x}\"\nb: $$$$1\nc: a$b\n").unwrap();
        super::super::env::substitute(&mut tree, &|_| None, &mut Vec::new());
        assert_eq!(print(&tree), "a: \"$${x}\"\nb: $$$1\nc: a$b\n");
        let mut again = parse(&print(&tree)).unwrap();
        super::super::env::substitute(&mut again, &|_| None, &mut Vec::new());
        assert_eq!(print(&again), print(&tree));
    }
}
