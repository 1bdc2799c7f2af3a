//! Cutting what is too long, and saying so where it was cut.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, MapAccess};
use serde_json::value::RawValue;

use super::json::JsonObject;
use super::{Data, push_str};

/// The beginning of a text of more than `most` bytes, and a note of how much is missing; nothing if it is short enough.
///
/// ```
/// use spanlight::event::cut;
///
/// assert_eq!(cut("naïve", 3).as_deref(), Some("na…[cut: 2 of 6 bytes]"));
/// assert_eq!(cut("naïve", 6), None);
/// ```
pub fn cut(text: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| cut_at(text, text.floor_char_boundary(most)))
}

fn cut_at(text: &str, at: usize) -> String {
    format!("{}…[cut: {at} of {} bytes]", &text[..at], text.len())
}

/// What text takes more as JSON, whatever is in it.
const QUOTES: usize = 2;

impl Data {
    /// The payload with every member cut that takes more than `most` bytes as JSON, and how many these are; nothing if
    /// none does. What is cut becomes text: half a list is none.
    pub fn cut(&self, most: usize) -> Option<(Data, usize)> {
        if self.as_json().len() <= most {
            return None;
        }
        let Members(members) = serde_json::Deserializer::from_str(self.as_json()).deserialize_map(Collect).ok()?;
        let is_long = |value: &RawValue| value.get().len() > most.saturating_add(QUOTES);
        let cut = members.iter().filter(|(_, value)| is_long(value)).count();
        if cut == 0 {
            return None;
        }
        let data = Data::build(|data| {
            for (key, value) in &members {
                let json = value.get();
                let out = key_of(data, key);
                match is_long(value) {
                    true => {
                        let text = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
                        push_str(out, &cut_at(&text, fitting(&text, most)));
                    }
                    false => out.extend_from_slice(json.as_bytes()),
                }
            }
        });
        Some((data, cut))
    }
}

/// Writes a key that others have chosen.
fn key_of<'d>(data: &'d mut JsonObject<'_>, key: &str) -> &'d mut Vec<u8> {
    let mut escaped = Vec::with_capacity(key.len() + 2);
    push_str(&mut escaped, key);
    let escaped = String::from_utf8_lossy(&escaped);
    data.key(escaped.get(1..escaped.len() - 1).unwrap_or_default())
}

/// How much of the beginning of a text takes at most so many bytes as JSON.
fn fitting(text: &str, most: usize) -> usize {
    let mut taken = 0;
    let fits = |letter: char| {
        taken += match letter {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            letter if letter < ' ' => 6,
            letter => letter.len_utf8(),
        };
        taken > most
    };
    text.find(fits).unwrap_or(text.len())
}

/// The members of an object, their values as they stand.
struct Members(Vec<(String, Box<RawValue>)>);

struct Collect;

impl<'de> de::Visitor<'de> for Collect {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_cut_is_text_that_says_so_and_the_rest_stays() {
        let messages: Vec<Value> = (0..100).map(|n| json!({"role": "user", "content": format!("\"{n}\"\n")})).collect();
        let data = Data::from_map(json!({"messages": messages, "n": 7, "operation": "chat"}).as_object().unwrap());
        let (short, cut) = data.cut(200).unwrap();
        assert_eq!((cut, short.get("n"), short.get("operation")), (1, Some(7.into()), Some("chat".into())));
        let text = short.get("messages").unwrap().as_str().unwrap().to_owned();
        assert!(text.starts_with(r#"[{"content":"\"0\"\n","role":"user"},"#), "{text}");
        let whole = Value::from(messages).to_string().len();
        assert!(text.contains("…[cut: ") && text.ends_with(&format!(" of {whole} bytes]")), "{text}");
        assert!(short.as_json().len() < 300, "{}", short.as_json());
        assert_eq!(data.cut(1 << 20), None);
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_fits_and_can_be_read(text: String, key: String, most in 0usize..60) {
            let data = Data::from_map(json!({ key.clone(): text.clone() }).as_object().unwrap());
            if let Some((short, cut)) = data.cut(most) {
                prop_assert_eq!(cut, 1);
                let found = short.get(&key).unwrap();
                let (kept, _) = found.as_str().unwrap().rsplit_once("…[cut: ").unwrap();
                prop_assert!(text.starts_with(kept));
                prop_assert!(Value::from(kept).to_string().len() <= most + 2);
            }
        }
    }
}
