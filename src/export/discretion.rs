//! What receivers say, as it may be written down: its beginning, and without what is secret, which some of them repeat to
//! whoever told them.

use http::{HeaderValue, Uri};

use super::Outcome;
use super::credentials::{Credentials, Header};

/// What is told to a receiver and to nobody else.
pub struct Discretion(Vec<String>);

impl Discretion {
    /// What is shorter is no secret, but part of many words.
    const LEAST: usize = 6;
    /// More of what a receiver has to say is not for people, in characters.
    const LONGEST_WORDS: usize = 400;

    /// Of the values of headers, whole and behind their scheme.
    pub fn new(headers: &[Header]) -> Discretion {
        Discretion(headers.iter().flat_map(|(_, value)| secrets(value)).collect())
    }

    /// Of what stands in the query of a URL as well.
    pub fn with_query(mut self, url: &Uri) -> Discretion {
        self.keep(url.query());
        self
    }

    /// Of the path of a URL as well, whole and its end, where that is all that a receiver asks for.
    pub fn with_path(mut self, url: &Uri) -> Discretion {
        self.keep(url.path().rsplit('/').find(|part| !part.is_empty()));
        self.keep(Some(url.path()));
        self
    }

    /// What comes of an attempt, in which `once` says this of us, and of another one where we have something better to say
    /// by then.
    pub async fn attempt<F>(&self, credentials: &Credentials, once: impl Fn(Option<Header>) -> F) -> Outcome
    where
        F: Future<Output = Outcome>,
    {
        let said = credentials.header();
        let outcome = self.applied(once(said.clone()).await, said.as_ref());
        let Some(other) = credentials.instead_of(said, &outcome).await else { return outcome };
        self.applied(once(Some(other.clone())).await, Some(&other))
    }

    /// What came of an attempt in which this was said of us.
    fn applied(&self, mut outcome: Outcome, said: Option<&Header>) -> Outcome {
        let why = outcome.why_mut();
        if !why.is_empty() {
            let said: Vec<String> = said.map(|(_, value)| secrets(value)).unwrap_or_default();
            // The longer ones first: they may have others in them.
            let mut all: Vec<&String> = self.0.iter().chain(&said).filter(|text| why.contains(*text)).collect();
            all.sort_by_key(|text| std::cmp::Reverse(text.len()));
            for secret in all {
                *why = why.replace(secret, "[hidden]");
            }
            *why = crate::console::cut(why, Discretion::LONGEST_WORDS);
        }
        outcome
    }

    fn keep(&mut self, text: Option<&str>) {
        self.0.extend(text.filter(|text| text.len() >= Discretion::LEAST).map(str::to_owned));
    }
}

/// A header's value, and what stands behind its scheme if it has one.
fn secrets(value: &HeaderValue) -> Vec<String> {
    let text = String::from_utf8_lossy(value.as_bytes());
    let behind = text.split_once(' ').map(|(_, behind)| behind.trim());
    let all = behind.into_iter().chain([&*text]).filter(|text| text.len() >= Discretion::LEAST);
    all.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Header {
        (http::header::AUTHORIZATION, value.parse().unwrap())
    }

    #[test]
    fn what_a_receiver_repeats_is_not_written_down() {
        let url: Uri = "http://host/services/T01/long-and-secret?key=abcdef".parse().unwrap();
        let discretion =
            Discretion::new(&[header("Bearer hush-token"), header("acme")]).with_query(&url).with_path(&url);
        let said = |why: &str| {
            let mut outcome = discretion.applied(Outcome::retry(why), Some(&header("Basic aHVzaC1o")));
            outcome.why_mut().clone()
        };
        assert_eq!(said("no such key: hush-token, acme"), "no such key: [hidden], acme");
        assert_eq!(said("Authorization: Bearer hush-token"), "Authorization: [hidden]");
        assert_eq!(said("aHVzaC1o"), "[hidden]");
        assert_eq!(said("Cannot POST /services/T01/long-and-secret?key=abcdef"), "Cannot POST [hidden]?[hidden]");
        assert_eq!(said("no hook long-and-secret"), "no hook [hidden]");
        let long = said(&format!("{} hush-token", "x".repeat(394)));
        assert!(long.ends_with(" [hid…") && long.chars().count() == 400, "{long}");
        assert_eq!(discretion.applied(Outcome::DONE, None), Outcome::DONE);
    }
}
