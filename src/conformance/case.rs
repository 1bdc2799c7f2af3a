//! What a case is: a rule, how binding it is, and how it is tried.

use futures_util::future::BoxFuture;

use super::answer::{Answer, Post};
use super::call::{Call, Returned};
use super::peer::Peer;
use crate::otlp::Signal;

/// One rule, and how it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is called: the protocol, the group and the rule, such as `http.json.ids-upper-case`.
    pub name: &'static str,
    /// How binding the rule is.
    pub level: Level,
    /// Where it stands: a section of the specification of OTLP, or a document that it builds on.
    pub section: &'static str,
    /// The rule, in our words.
    pub rule: &'static str,
    /// What becomes of telemetry where it is broken.
    pub matters: &'static str,
    pub(super) test: Test,
}

/// How binding a rule is, in the words of RFC 2119.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whoever breaks it does not speak OTLP.
    Must,
    /// There may be reasons to break it, which are not known here.
    Should,
    /// It may be offered. That it is not is no failure.
    May,
}

/// The two protocols that OTLP is spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over HTTP.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

/// The case that asks whether JSON is taken at all.
const ASKS_FOR_JSON: &str = "http.json.traces";

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is kept.
    Passed,
    /// The rule is broken.
    Failed(Unmet),
    /// What may be offered is not.
    NotOffered(Unmet),
    /// The case has no meaning for this receiver.
    Skipped(String),
}

/// What was expected of a receiver, and what came instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// What the rule asks for.
    pub expected: String,
    /// What the receiver did.
    pub came: String,
}

/// Why a rule is not seen to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not.
    Unmet(Unmet),
    /// The receiver gave no occasion to see it.
    Moot(&'static str),
}

/// What a look at an answer comes to.
pub type Finding = Result<(), Trouble>;

/// How a rule is tried.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// One request over HTTP, and what its answer has to be.
    Post(fn() -> Post, fn(&Answer) -> Finding),
    /// One call over gRPC, and what has to be returned.
    Call(fn() -> Call, fn(&Returned) -> Finding),
    /// More than one request over HTTP, or one that no client makes who behaves.
    Http(for<'p> fn(&'p Peer) -> BoxFuture<'p, Finding>),
    /// The same over gRPC.
    Grpc(for<'p> fn(&'p Peer) -> BoxFuture<'p, Finding>),
}

impl Case {
    pub(super) const fn must(
        name: &'static str,
        section: &'static str,
        rule: &'static str,
        matters: &'static str,
        test: Test,
    ) -> Case {
        Case { name, level: Level::Must, section, rule, matters, test }
    }

    pub(super) const fn should(
        name: &'static str,
        section: &'static str,
        rule: &'static str,
        matters: &'static str,
        test: Test,
    ) -> Case {
        Case { name, level: Level::Should, section, rule, matters, test }
    }

    pub(super) const fn may(
        name: &'static str,
        section: &'static str,
        rule: &'static str,
        matters: &'static str,
        test: Test,
    ) -> Case {
        Case { name, level: Level::May, section, rule, matters, test }
    }

    /// Over which protocol it is tried.
    pub fn protocol(&self) -> Protocol {
        match self.test {
            Test::Post(..) | Test::Http(_) => Protocol::Http,
            Test::Call(..) | Test::Grpc(_) => Protocol::Grpc,
        }
    }

    /// Tries it.
    pub(super) async fn attempt(&self, peer: &Peer) -> Outcome {
        if let Some(why) = self.lacking(peer) {
            return Outcome::Skipped(why);
        }
        let finding = match self.test {
            Test::Post(request, judge) => peer.post(&request()).await.and_then(|answer| judge(&answer)),
            Test::Call(call, judge) => peer.call(&call()).await.and_then(|returned| judge(&returned)),
            Test::Http(talk) | Test::Grpc(talk) => talk(peer).await,
        };
        match (finding, self.level) {
            (Ok(()), _) => Outcome::Passed,
            (Err(Trouble::Moot(why)), _) => Outcome::Skipped(why.into()),
            (Err(Trouble::Unmet(unmet)), Level::May) => Outcome::NotOffered(unmet),
            (Err(Trouble::Unmet(unmet)), _) => Outcome::Failed(unmet),
        }
    }

    /// What the receiver would have to take for the case to mean anything. That it takes something at all is asked by
    /// cases of their own.
    fn lacking(&self, peer: &Peer) -> Option<String> {
        let (signal, is_json) = match self.test {
            Test::Post(request, _) => {
                let request = request();
                (request.signal, request.is_json())
            }
            Test::Call(call, _) => (call().signal, false),
            Test::Http(_) | Test::Grpc(_) => (Signal::Traces, false),
        };
        if !peer.takes(signal) {
            return Some(format!("it takes no {signal}"));
        }
        (is_json && !peer.takes_json() && self.name != ASKS_FOR_JSON).then(|| "it takes no JSON".into())
    }
}

impl Level {
    /// As RFC 2119 writes it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
        }
    }
}

impl Protocol {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        }
    }
}

/// The rule is not kept.
pub fn unmet<T>(expected: impl Into<String>, came: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Unmet(Unmet { expected: expected.into(), came: came.into() }))
}
