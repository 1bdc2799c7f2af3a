//! What an event is about: scope × type × status, and its name.

use std::borrow::Cow;
use std::fmt;

/// Declares an enum whose variants have one spelling on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// How it is spelled in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// The one that is spelled so.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// What kind of component an event speaks of.
    Scope {
        /// A whole run or a part of it that has steps.
        Workflow = "workflow",
        /// A step of a workflow.
        WorkflowStep = "workflow_step",
        /// An agent.
        Agent = "agent",
        /// A call of a model.
        LlmRequest = "llm_request",
        /// A call of a tool.
        Tool = "tool",
        /// Anything else: budgets, people, Spanlight itself.
        System = "system",
    }
}

words! {
    /// Where in its component's life an event stands.
    EventType {
        /// Work began.
        Started = "started",
        /// Work goes on.
        Progress = "progress",
        /// Work ended well.
        Completed = "completed",
        /// Work ended badly.
        Failed = "failed",
        /// Work was called off.
        Canceled = "canceled",
    }
}

words! {
    /// The state of the component after the event.
    Status {
        /// Not begun.
        Pending = "pending",
        /// At work.
        Running = "running",
        /// Ended well.
        Completed = "completed",
        /// Ended badly.
        Failed = "failed",
        /// Called off.
        Canceled = "canceled",
        /// Began, never ended, and nothing was heard of it since.
        Lost = "lost",
    }
}

words! {
    /// Through what an event came to Spanlight.
    SourceKind {
        /// The tracing layer, in process.
        Layer = "layer",
        /// OTLP.
        Otlp = "otlp",
        /// JSON over HTTP.
        Http = "http",
        /// A Redis stream.
        Redis = "redis",
        /// A Kafka topic.
        Kafka = "kafka",
        /// The in-process bus.
        Bus = "bus",
    }
}

/// The name of an event: lower case, at least two words with dots between, as in `agent.started`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventName(Cow<'static, str>);

impl EventName {
    /// A name of the catalogue.
    pub(crate) const fn of(name: &'static str) -> EventName {
        EventName(Cow::Borrowed(name))
    }

    /// A name from outside, unless it is not of the form.
    pub fn parse(name: &str) -> Option<EventName> {
        let word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        };
        let valid = name.len() <= 128 && name.contains('.') && name.split('.').all(word);
        if !valid {
            return None;
        }
        let known = super::catalogue::entry(name).map(|entry| Cow::Borrowed(entry.name));
        Some(EventName(known.unwrap_or_else(|| Cow::Owned(name.to_owned()))))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for EventName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}
