//! A configuration as YAML again, the way it is in force; secrets are not shown.

use std::borrow::Cow;

use super::yaml::{Node, Value};

/// Keys whose values are nobody's business.
const SECRETS: &[&str] = &[
    "token",
    "tokens",
    "password",
    "secret",
    "secret_access_key",
    "session_token",
    "authorization",
    "api_key",
    "apikey",
    "x-api-key",
    "headers",
    "htpasswd",
];

/// How much of a value is shown.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// All of it, but for what a URL should not tell.
    All,
    /// Where something is, also where that is no URL, but not who we are there.
    Place,
    /// Nothing.
    Nothing,
}

impl Shown {
    /// Of what is below this key, where so much is shown of what is around it.
    fn below(self, key: &str) -> Shown {
        let key = key.to_lowercase();
        if self == Shown::Nothing || SECRETS.contains(&key.as_str()) {
            Shown::Nothing
        } else if key == "url" || key == "brokers" || key.ends_with("endpoint") {
            Shown::Place
        } else {
            Shown::All
        }
    }
}

/// The tree as YAML in block style.
pub fn print(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0, Shown::All);
    out
}

fn write_node(out: &mut String, node: &Node, level: usize, shown: Shown) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&"  ".repeat(level));
                out.push_str(&scalar(&key.text, false));
                out.push(':');
                write_value(out, &without_path(&key.text, value), level + 1, shown.below(&key.text));
            }
        }
        Value::List(items) => {
            for item in items {
                out.push_str(&"  ".repeat(level));
                out.push('-');
                write_value(out, item, level + 1, shown);
            }
        }
        Value::Scalar { text, quoted } => out.push_str(&value(text, *quoted, shown)),
    }
}

fn write_value(out: &mut String, node: &Node, level: usize, shown: Shown) {
    match &node.value {
        Value::Scalar { text, .. } if shown == Shown::Nothing && !text.is_empty() => out.push_str(" \"[hidden]\"\n"),
        Value::Scalar { text, .. } if text.is_empty() && node.is_null() => out.push('\n'),
        Value::Scalar { text, quoted } => {
            out.push(' ');
            out.push_str(&value(text, *quoted, shown));
            out.push('\n');
        }
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        _ => {
            out.push('\n');
            write_node(out, node, level, shown);
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

/// A URL, or another place, without who we are there, and without what is behind its path, where keys are given too.
fn without_credentials(text: &str, shown: Shown) -> Cow<'_, str> {
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (&text[..scheme.len() + 3], rest),
        _ if shown == Shown::Place => ("", text),
        _ => return Cow::Borrowed(text),
    };
    let (place, behind) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    // A name alone may be a token.
    let user = match userinfo.map(|user| user.split_once(':')) {
        Some(Some((user, _))) => format!("{user}:hidden@"),
        Some(None) => "hidden@".into(),
        None => String::new(),
    };
    let behind = if behind.len() > 1 { format!("{}[hidden]", &behind[..1]) } else { behind.to_owned() };
    Cow::Owned(format!("{scheme}{user}{host}{path}{behind}"))
}

/// A value, which no variable is to be replaced in again.
fn value(text: &str, quoted: bool, shown: Shown) -> String {
    let text = without_credentials(text, shown);
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
    fn who_we_are_is_hidden_in_urls_and_places() {
        let url = |text: &str| without_credentials(text, Shown::All).into_owned();
        assert_eq!(url("redis://:p@ss@host:6379/0"), "redis://:hidden@host:6379/0");
        assert_eq!(url("http://ada:x@host"), "http://ada:hidden@host");
        assert_eq!(url("http://token@host/a"), "http://hidden@host/a");
        assert_eq!(url("http://ada:x@host/a?key=x&y=z"), "http://ada:hidden@host/a?[hidden]");
        assert_eq!(url("http://host?token"), "http://host?[hidden]");
        assert_eq!(url("http://host/#token"), "http://host/#[hidden]");
        for text in ["http://host:4318/a@b:c", "host:4317", "a: b@c", "(https?://)?[^@]+@b", "http://host/?"] {
            assert_eq!(url(text), text);
        }
        let place = |text: &str| without_credentials(text, Shown::Place).into_owned();
        assert_eq!(place("ada:x@host:4317"), "ada:hidden@host:4317");
        assert_eq!(place("host:9?password=x"), "host:9?[hidden]");
        let printed = print(&parse("brokers: [a:x@b:1]\nendpoint: x@c:1\nvalues: [x@d]\n").unwrap());
        assert_eq!(printed, "brokers:\n  - a:hidden@b:1\nendpoint: hidden@c:1\nvalues:\n  - x@d\n");
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
