//! Searching for text: what of an event is searched, and where a text begins in another.
//!
//! A text is found where a word of it begins a word: `time` is in `timed out` and in `read_timeout`'s second word, not in
//! `anytime`. So an index of words leads to all that can fit, and what fits does not depend on there being one. In scripts
//! that put no spaces between words every letter begins one.

use super::Event;

/// What an event says and names, in lower case: all texts but ids of spans, times and figures.
pub fn searchable(event: &Event) -> String {
    let (identity, dimensions) = (&event.identity, &event.dimensions);
    let said = [
        &event.message,
        &dimensions.agent,
        &dimensions.feature,
        &dimensions.model,
        &dimensions.tool,
        &identity.task_id,
        &identity.conversation_id,
        &identity.correlation_id,
        &identity.user_id,
        &event.source.service,
    ];
    let mut text = event.name.as_str().to_owned();
    said.into_iter().flatten().chain(&event.tags).for_each(|said| push_text(&mut text, said));
    if !event.data.is_empty() {
        push_json(&mut text, event.data.as_json());
    }
    lower(&mut text, 0);
    text
}

/// Appends a text, apart from what is there.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('\n');
    out.push_str(text);
}

/// Appends a payload, apart from what is there.
pub(crate) fn push_json(out: &mut String, data: &str) {
    out.push('\n');
    push_unescaped(out, data);
}

/// Turns into lower case what stands behind a place.
pub(crate) fn lower(text: &mut String, from: usize) {
    if text[from..].is_ascii() {
        text[from..].make_ascii_lowercase();
    } else {
        let lower = text[from..].to_lowercase();
        text.truncate(from);
        text.push_str(&lower);
    }
}

/// Whether a text mentions another; both are in lower case.
pub fn mentions(text: &str, wanted: &str) -> bool {
    let Some(first) = wanted.chars().next() else { return true };
    let mut from = 0;
    while let Some(at) = text[from..].find(wanted) {
        let before = text[..from + at].chars().next_back();
        if !is_of_word(first) || stands_alone(first) || before.is_none_or(|c| !is_of_word(c) || stands_alone(c)) {
            return true;
        }
        from += at + first.len_utf8();
    }
    false
}

/// The words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // Most texts are ASCII, of which nothing has to be decoded.
        let gap = rest.bytes().take_while(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric()).count();
        rest = &rest[gap..];
        if rest.bytes().next().is_some_and(|byte| !byte.is_ascii()) {
            rest = rest.trim_start_matches(|c| !is_of_word(c));
        }
        let first = rest.chars().next()?;
        let plain = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let end = match rest.as_bytes().get(plain) {
            _ if stands_alone(first) => first.len_utf8(),
            None => plain,
            Some(byte) if byte.is_ascii() => plain,
            Some(_) => {
                let ends = |c| !is_of_word(c) || stands_alone(c);
                rest[plain..].find(ends).map_or(rest.len(), |more| plain + more)
            }
        };
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some(word)
    })
}

/// Whether the last word of a text may be the beginning of a longer one.
pub fn is_open(text: &str) -> bool {
    text.chars().next_back().is_some_and(|last| is_of_word(last) && !stands_alone(last))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// Letters of scripts without spaces between words: Thai to Khmer, kana, ideographs and syllables of Hangul.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{31ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// JSON as text without its escapes: what they stand for would be hidden, and their letters stand before words.
fn push_unescaped(text: &mut String, json: &str) {
    let mut parts = json.split('\\');
    text.push_str(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        let mut letters = part.chars();
        match letters.next() {
            // A backslash that stands for itself has nothing between it and the next.
            None => {
                text.push('\\');
                text.push_str(parts.next().unwrap_or_default());
            }
            Some('u') if part.is_char_boundary(5.min(part.len())) => {
                let (digits, behind) = part[1..].split_at(4.min(part.len() - 1));
                let letter = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                text.push(letter.unwrap_or(' '));
                text.push_str(behind);
            }
            Some(letter) => {
                text.push(if letter.is_ascii_alphabetic() { '\n' } else { letter });
                text.push_str(letters.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Data, Event};

    #[test]
    fn a_text_is_found_where_words_begin() {
        for (text, wanted, is_found) in [
            ("the call timed out", "time", true),
            ("the call timed out", "timed out", true),
            ("anytime", "time", false),
            ("read_timeout", "time", true),
            ("ba a a", "a a", true),
            ("a-b", "-b", true),
            ("これは検索です", "検索", true),
            ("x検", "検", true),
            ("anything", "", true),
        ] {
            assert_eq!(mentions(text, wanted), is_found, "{wanted} in {text}");
        }
    }

    #[test]
    fn payloads_are_searched_as_the_text_that_they_are() {
        let mut event = Event::agent_started("Writer");
        event.data = Data::build(|data| data.str("input", "line\nBreak \\nothing \"quoted\" \u{1}Ünder"));
        let text = searchable(&event);
        for wanted in ["break", "\\nothing", "\"quoted\"", "ünder", "writer", "agent.started"] {
            assert!(mentions(&text, wanted), "{wanted} in {text}");
        }
        assert!(!mentions(&text, "nbreak"));
    }

    proptest! {
        /// An index of words leads to everything that mentions a text.
        #[test]
        fn what_is_mentioned_has_the_words(text in "[ab c検ß.-]{1,12}", from in 0..12usize, long in 1..5usize) {
            let wanted: String = text.chars().skip(from).take(long).collect();
            if wanted.is_empty() || !mentions(&text, &wanted) {
                return Ok(());
            }
            let there: Vec<&str> = words(&text).collect();
            let wanted_words: Vec<&str> = words(&wanted).collect();
            prop_assert!(!there.contains(&""));
            for (index, word) in wanted_words.iter().enumerate() {
                let may_go_on = index + 1 == wanted_words.len() && is_open(&wanted);
                let is_there = there.iter().any(|known| known == word || (may_go_on && known.starts_with(word)));
                prop_assert!(is_there, "{word} of {wanted} in {text}");
            }
        }
    }
}
