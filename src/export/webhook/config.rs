//! What can be said of a webhook.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::config::types::{Secret, Span, is_this_machine};
use crate::content::{Classes, Policy};
use crate::event::{Filter, Timestamp};
use crate::export::credentials::Auth;
use crate::export::otlp::config;
use crate::export::pump::Settings;
use crate::export::queue::{OnFull, Portion, QueueConfig};
use crate::export::retry;
use crate::tls::Tls;

/// `webhook`: where to, of what, and signed with what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the events are posted to.
    pub url: String,
    /// What they are signed with; without it they are not.
    #[serde(default, deserialize_with = "not_empty")]
    pub secret: Option<Secret>,
    /// The names of the events that are told of; `agent.*` is all of a subject, `*` is all.
    #[serde(default = "of_budgets")]
    pub events: Vec<String>,
    /// Of these, only those that fit: the filters of the HTTP API.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, String>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Who we are.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// TLS.
    #[serde(default)]
    pub tls: Tls,
    /// How long one attempt may take.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    #[serde(default)]
    pub content: Option<Classes>,
    /// The queue in front.
    #[serde(default = "one_after_the_other", deserialize_with = "queue")]
    pub sending_queue: QueueConfig,
    /// What happens when an attempt fails.
    #[serde(default)]
    pub retry_on_failure: retry::Config,
}

/// A secret, if there is one, that not everybody knows.
fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let secret = Option::<Secret>::deserialize(deserializer)?;
    match secret.as_ref().is_some_and(|secret| secret.0.is_empty()) {
        true => Err(de::Error::custom("the secret is empty, so everybody knows it; leave it out not to sign")),
        false => Ok(secret),
    }
}

fn of_budgets() -> Vec<String> {
    vec!["budget.warning".into(), "budget.exceeded".into()]
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

/// In their order, and nobody waits for somebody who does not answer.
fn one_after_the_other() -> QueueConfig {
    QueueConfig { num_consumers: 1, on_full: OnFull::Drop, ..QueueConfig::default() }
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QueueConfig, D::Error> {
    one_after_the_other().but_as_said(deserializer)
}

impl Config {
    /// The most events in one request.
    const MOST_EVENTS: usize = 100;

    /// Checks everything.
    pub fn validate(&self) -> Result<(), String> {
        self.url()?;
        self.headers()?;
        self.filter()?;
        self.sending_queue.validate()?;
        self.retry_on_failure.validate()
    }

    /// Where to. The words of an error do not repeat it, because it may be all that a receiver asks for.
    pub(super) fn url(&self) -> Result<Uri, String> {
        config::url(&self.url).map_err(|_| "`url` is none; write https://host/path".into())
    }

    pub(super) fn headers(&self) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, String> {
        config::headers(&self.headers)
    }

    /// The events that are told of.
    pub fn filter(&self) -> Result<Filter, String> {
        let names = self.events.iter().map(|name| ("name", name.as_str()));
        let matching = self.matching.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        Filter::from_pairs(names.chain(matching), Timestamp::default()).map_err(|error| error.to_string())
    }

    /// Whether it sends beyond this machine without TLS.
    pub fn sends_in_the_clear(&self) -> bool {
        self.url().is_ok_and(|url| !is_here(&url) && url.scheme_str() != Some("https"))
    }

    /// How it is pumped.
    pub fn settings(&self) -> Settings {
        let unasked = if self.url().is_ok_and(|url| is_here(&url)) { Policy::Keep } else { Policy::Drop };
        Settings {
            queue: self.sending_queue,
            retry: self.retry_on_failure,
            timeout: self.timeout.0,
            portion: Portion { items: Config::MOST_EVENTS, ..Portion::USUAL },
            split: None,
            content: self.content.unwrap_or(Classes::all(unasked)),
        }
    }
}

fn is_here(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| is_this_machine(host.trim_matches(['[', ']'])))
}
