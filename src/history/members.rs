//! The members of a JSON object, as they stand there.

use std::borrow::Cow;

use memchr::memchr2;

/// A value of a member, as it stands in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// The whole of it, with the quotes of a text.
    pub raw: &'a str,
    /// Whether it is a text in which something is escaped.
    is_escaped: bool,
}

/// Hands on the members of an object, whose values are not looked into, and names as they stand there. Nothing if it is no
/// object, or if `take` says so.
///
/// Values are delimited, not checked: of what was written as JSON this reads what a parser reads, and some of what is none
/// as well.
pub fn each<'a>(json: &'a str, mut take: impl FnMut(&'a str, Value<'a>) -> Option<()>) -> Option<()> {
    let mut scan = Scan { json, at: 0 };
    scan.expect(b'{')?;
    if !scan.skip(b'}') {
        loop {
            scan.skip_space();
            let (name, _) = scan.quoted()?;
            scan.expect(b':')?;
            take(name, scan.value()?)?;
            if !scan.skip(b',') {
                break;
            }
        }
        scan.expect(b'}')?;
    }
    scan.skip_space();
    (scan.at == json.len()).then_some(())
}

impl<'a> Value<'a> {
    /// The text that it is; nothing if it is something else.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if self.is_escaped {
            return serde_json::from_str(self.raw).ok().map(Cow::Owned);
        }
        self.raw.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }

    /// Whether it says that there is none.
    pub fn is_null(self) -> bool {
        self.raw == "null"
    }
}

/// Where in JSON we are.
struct Scan<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn byte(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether this comes next; if so we are behind it.
    fn skip(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let is_next = self.byte() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.skip(wanted).then_some(())
    }

    /// A text without its quotes, and whether something in it is escaped.
    fn quoted(&mut self) -> Option<(&'a str, bool)> {
        (self.byte()? == b'"').then_some(())?;
        let begin = self.at + 1;
        let (mut end, mut is_escaped) = (begin, false);
        loop {
            end += memchr2(b'"', b'\\', self.json.as_bytes().get(end..)?)?;
            if self.json.as_bytes()[end] == b'"' {
                break;
            }
            is_escaped = true;
            end += 2;
        }
        self.at = end + 1;
        Some((self.json.get(begin..end)?, is_escaped))
    }

    fn value(&mut self) -> Option<Value<'a>> {
        self.skip_space();
        let begin = self.at;
        let mut is_escaped = false;
        match self.byte()? {
            b'"' => is_escaped = self.quoted()?.1,
            b'{' | b'[' => self.nested()?,
            _ => {
                let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                self.at += self.json.as_bytes()[begin..].iter().take_while(|byte| is_of_it(byte)).count();
            }
        }
        let raw = self.json.get(begin..self.at).filter(|raw| !raw.is_empty())?;
        Some(Value { raw, is_escaped })
    }

    /// An object or a list, however deep.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.byte()? {
                b'"' => {
                    self.quoted()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn read(json: &str) -> Option<Vec<(String, String, Option<String>)>> {
        let mut members = Vec::new();
        each(json, |name, value| {
            members.push((name.to_owned(), value.raw.to_owned(), value.text().map(Cow::into_owned)));
            Some(())
        })?;
        Some(members)
    }

    #[test]
    fn members_are_as_they_stand_there() {
        let json = " {\"a\" : [1,{\"b\":\"]\\\"\"}] ,\"t\\\"\":\"x\\ny\",\n\"n\":-1.5e+3,\"z\":null} ";
        let told = read(json).unwrap();
        let told: Vec<_> = told.iter().map(|(name, raw, text)| (&**name, &**raw, text.as_deref())).collect();
        let expected = [
            ("a", r#"[1,{"b":"]\""}]"#, None),
            (r#"t\""#, r#""x\ny""#, Some("x\ny")),
            ("n", "-1.5e+3", None),
            ("z", "null", None),
        ];
        assert_eq!(told, expected);
        assert_eq!(read("{}"), Some(vec![]));
    }

    #[test]
    fn what_is_cut_or_no_object_is_nothing() {
        let json = r#"{"a":[{"b":"\\"}],"c":"d","e":12}"#;
        assert!(read(json).is_some());
        for end in 0..json.len() {
            assert_eq!(read(&json[..end]), None, "{end}");
        }
        for json in ["[]", "1", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}}", "{a:1}", "{\"a\":1 2}"] {
            assert_eq!(read(json), None, "{json}");
        }
        assert!(read(&format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))).is_some());
    }

    fn some_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[a\"\\\\{}\\[\\]\\n\u{fc}]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("[a-c]{1,3}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_that_a_parser_reads(
            members in proptest::collection::btree_map("[a-z]{1,3}", some_json(), 0..5),
            pretty in any::<bool>(),
        ) {
            let json = if pretty { serde_json::to_string_pretty(&members) } else { serde_json::to_string(&members) }.unwrap();
            let parsed: std::collections::HashMap<String, &RawValue> = serde_json::from_str(&json).unwrap();
            let told = read(&json).unwrap();
            prop_assert_eq!(told.len(), parsed.len());
            for (name, raw, text) in told {
                prop_assert_eq!(&raw, parsed[&name].get());
                prop_assert_eq!(text.as_deref(), members[&name].as_str());
            }
        }

        #[test]
        fn what_is_no_json_harms_nobody(text in "[{}\\[\\]\",:\\\\a1 \u{fc}]{0,40}") {
            read(&text);
        }
    }
}
