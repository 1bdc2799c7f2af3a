//! Patterns that are built in: secrets, and personal data. What they cannot know is said in `docs/content.md`.

use regex::Regex;
use serde::Deserialize;

use super::matching::expression;

/// A set of patterns.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Keys of APIs, tokens, passwords and private keys.
    Secrets,
    /// Addresses, telephone numbers, and numbers of accounts, cards and social security.
    PersonalData,
}

/// What to mask.
#[derive(Debug)]
pub struct Pattern {
    /// What it looks like.
    pub expression: Regex,
    /// What takes its place; `$1` is what the expression has in its first parentheses.
    pub replacement: &'static str,
    /// How much of what looks like it is it, in bytes; nothing if it only looks like it.
    pub check: Check,
}

/// How a match is checked.
pub type Check = fn(&str) -> Option<usize>;

/// What takes the place of a secret.
pub const MASK: &str = "****";

/// An expression, what takes its place, and how a match is checked.
type Row = (&'static str, &'static str, Check);

impl Preset {
    /// Its patterns.
    pub fn patterns(self) -> Result<Vec<Pattern>, String> {
        let rows = match self {
            Preset::Secrets => SECRETS,
            Preset::PersonalData => PERSONAL_DATA,
        };
        let pattern = |(text, replacement, check): &Row| {
            Ok(Pattern { expression: expression(text)?, replacement, check: *check })
        };
        rows.iter().map(pattern).collect()
    }
}

impl Pattern {
    /// One of a configuration.
    pub fn of(text: &str) -> Result<Pattern, String> {
        Ok(Pattern { expression: expression(text)?, replacement: MASK, check: all })
    }

    /// The text with what fits masked; nothing if nothing does.
    pub fn mask(&self, text: &str) -> Option<String> {
        let mut masked = String::new();
        let mut copied = 0;
        for found in self.expression.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            let Some(length) = (self.check)(whole.as_str()) else { continue };
            masked.push_str(&text[copied..whole.start()]);
            found.expand(self.replacement, &mut masked);
            copied = whole.start() + length;
        }
        if copied == 0 {
            return None;
        }
        masked.push_str(&text[copied..]);
        Some(masked)
    }
}

const SECRETS: &[Row] = &[
    // OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse and others.
    (r"\bsk-[A-Za-z0-9_-]{20,}", MASK, has_digits),
    // Stripe, Groq, xAI, Hugging Face, Replicate, Perplexity.
    (r"\b(?:[sr]k_(?:live|test)_|gsk_|xai-|hf_|r8_|pplx-)[A-Za-z0-9]{20,}", MASK, has_digits),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", MASK, all),
    (r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,})", MASK, all),
    (r"\bAIza[A-Za-z0-9_-]{35}", MASK, all),
    (r"\b(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,}", MASK, all),
    (r"\b(?:xox[abeoprs]-|xapp-\d-)[A-Za-z0-9-]{10,}", MASK, all),
    (r"\bhooks\.slack\.com/services/[A-Za-z0-9/]{20,}", "hooks.slack.com/services/****", all),
    (r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})", MASK, all),
    (r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", MASK, all),
    (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}", "${1} ****", has_digits),
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?s:.)*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
        MASK,
        all,
    ),
    // What is called a secret where it is set, in JSON within text as well.
    (
        concat!(
            r#"(?i)((?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token)"#,
            r#"\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\,;&}*]{6,}"#
        ),
        "${1}****",
        all,
    ),
    // The password in a URL.
    (r"\b([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@", "${1}:****@", all),
];

const PERSONAL_DATA: &[Row] = &[
    (r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b", MASK, all),
    // International numbers, and those of North America as they are written there.
    (r"\+[1-9](?:[ ().\-/]{0,2}\d){7,14}\b", MASK, all),
    (r"(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}\b", MASK, all),
    (r"\b\d{3}-\d{2}-\d{4}\b", MASK, social_security),
    (r"\b[2-6]\d{3}(?:[ -]?\d){9,15}\b", MASK, card),
    (r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", MASK, iban),
];

fn all(text: &str) -> Option<usize> {
    Some(text.len())
}

/// Words have none, and what a machine made up has.
fn has_digits(text: &str) -> Option<usize> {
    (text.bytes().filter(u8::is_ascii_digit).count() >= 2).then_some(text.len())
}

/// Some numbers are never given.
fn social_security(text: &str) -> Option<usize> {
    let is_given = !matches!(&text[..3], "000" | "666") && !text.starts_with('9');
    (is_given && &text[4..6] != "00" && !text.ends_with("0000")).then_some(text.len())
}

/// Cards of a length that their issuers give, with a check digit by Luhn that is right: every tenth number's is.
fn card(text: &str) -> Option<usize> {
    let digits: Vec<u32> = text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).collect();
    let has_length = matches!(
        (digits.first()?, digits.get(1)?, digits.len()),
        (4, _, 13 | 16 | 19) | (2 | 5 | 6, _, 16) | (3, 4 | 7, 15) | (3, 0 | 6 | 8, 14) | (3, 5, 16)
    );
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (0, digit) => *digit,
            (_, digit) => digit * 2 - if *digit > 4 { 9 } else { 0 },
        })
        .sum();
    (has_length && sum.is_multiple_of(10)).then_some(text.len())
}

/// The check digits of an account, of as many of the groups as belong to it: what follows may look like one more.
fn iban(text: &str) -> Option<usize> {
    let ends = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]);
    let is_valid = |end: &usize| {
        let compact: Vec<u8> = text[..*end].bytes().filter(|byte| *byte != b' ').collect();
        let (Some(head), Some(tail)) = (compact.get(..4), compact.get(4..)) else { return false };
        let remainder = tail.iter().chain(head).fold(0u32, |remainder, byte| match byte {
            b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
            _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
        });
        (15..=34).contains(&compact.len()) && remainder == 1
    };
    ends.rev().find(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(preset: Preset, text: &str) -> String {
        let patterns = preset.patterns().unwrap();
        patterns.iter().fold(text.to_owned(), |text, pattern| pattern.mask(&text).unwrap_or(text))
    }

    /// So many letters and digits, as a machine makes them up.
    fn random(length: usize) -> String {
        "a1B2c3D4e5F6g7H8".chars().cycle().take(length).collect()
    }

    #[test]
    fn secrets_are_masked() {
        let jwt = format!("eyJ{}.eyJ{}.{}", random(20), random(30), random(43));
        for secret in [
            format!("sk-{}", random(48)),
            format!("sk-proj-{}", random(100)),
            format!("sk-ant-api03-{}-{}", random(40), random(40)),
            format!("ghp_{}", random(36)),
            format!("github_pat_{}_{}", random(22), random(59)),
            format!("AIza{}", random(35)),
            format!("ya29.{}", random(60)),
            format!("xoxb-{}-{}", "123456789012", random(24)),
            format!("hf_{}", random(34)),
            format!("npm_{}", random(36)),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            jwt.clone(),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", random(64)),
        ] {
            assert_eq!(masked(Preset::Secrets, &format!("use {secret}, please")), "use ****, please", "{secret}");
        }
        for (text, expected) in [
            (format!("Authorization: Bearer {}", random(40)), "Authorization: Bearer ****"),
            (format!("authorization: bearer {jwt}"), "authorization: bearer ****"),
            ("Basic dXNlcjpwYXNzd29yZDEyMw==".into(), "Basic ****"),
            (r#"{"password": "correct-horse", "user": "kim"}"#.into(), r#"{"password": "****", "user": "kim"}"#),
            (r#"{\"api_key\":\"abcdef12\",\"x\":1}"#.into(), r#"{\"api_key\":\"****\",\"x\":1}"#),
            ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPx".into(), "AWS_SECRET_ACCESS_KEY=****"),
            ("postgres://kim:hunter2@db/shop".into(), "postgres://kim:****@db/shop"),
            (format!("-----BEGIN PRIVATE KEY-----\n{}", random(100)), "****"),
        ] {
            assert_eq!(masked(Preset::Secrets, &text), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "the sk-loading-indicator-wrapper is red",
            "a basic misunderstanding of bearer instruments-and-securities",
            "the password must be long; which password: the one you chose?",
            "ask the secretary: she has the keys",
            "https://example.org:8080/a@b",
            "gen_ai.usage.input_tokens=1840, task-20261121-000017",
            "commit 3f786850e387550fdab836ed7e6dc881de23001b",
            "eyJ is how base64 of JSON begins",
        ] {
            assert_eq!(masked(Preset::Secrets, text), text);
        }
    }

    #[test]
    fn personal_data_is_masked() {
        for datum in [
            "kim@example.org",
            "kim.o'neil+news@mail.example.co.uk".trim_start_matches("kim.o'"),
            "+49 30 901820",
            "+1 (415) 555-2671",
            "+442071838750",
            "(415) 555-2671",
            "415-555-2671",
            "536-90-4399",
            "4111 1111 1111 1111",
            "5500005555555559",
            "3782-822463-10005",
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "BE68 5390 0754 7034",
        ] {
            let text = format!("it is {datum}, she said");
            assert_eq!(masked(Preset::PersonalData, &text), "it is ****, she said", "{datum}");
        }
        assert_eq!(masked(Preset::PersonalData, "BE68 5390 0754 7034 AND MORE"), "**** AND MORE");
    }

    #[test]
    fn what_is_no_personal_data_stays() {
        for text in [
            "4111 1111 1111 1112 is no card",
            "DE89 3704 0044 0532 0130 01 is no account",
            "000-12-3456 and 666-12-3456 are nobody's",
            "at 1795262400020000000 ns, 1795262400020 ms",
            "version 10.200.3000, 2026-11-21T06:28:01Z, 127.0.0.1:4317",
            "01a1fc43-74ae-7b92-86ea-89f1fbb13f39",
            "5b8efff798038103d269b633813fc60c",
            "user@localhost, @decorator, a@b",
            "call 555-2671 or 112",
        ] {
            assert_eq!(masked(Preset::PersonalData, text), text);
        }
    }
}
