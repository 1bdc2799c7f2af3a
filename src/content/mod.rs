//! Content: what people and models said, and what tools were given and gave. Where it stands in the telemetry of every
//! emitter, and how it is withheld.

mod emitter;
mod keys;
mod withhold;

use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer};
use sha2::{Digest, Sha256};

use crate::otlp::view::AnyValue;

pub use withhold::Withholding;

/// A class of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Prompts and completions.
    Messages,
    /// System prompts and tool definitions.
    Instructions,
    /// What tools were called with and what they returned.
    Tools,
}

/// What to do with content of a class.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It stays.
    #[default]
    Keep,
    /// Its SHA-256 takes its place, so that equal content can still be told.
    Hash,
    /// It goes.
    Drop,
}

/// Policies by class: in configurations one word for all, or one for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Prompts and completions.
    pub messages: Policy,
    /// System prompts and tool definitions.
    pub instructions: Policy,
    /// What tools were called with and what they returned.
    pub tools: Policy,
}

impl Classes {
    /// One policy for all.
    pub const fn all(policy: Policy) -> Classes {
        Classes { messages: policy, instructions: policy, tools: policy }
    }

    /// The policy for a class.
    pub fn of(self, class: Class) -> Policy {
        match class {
            Class::Messages => self.messages,
            Class::Instructions => self.instructions,
            Class::Tools => self.tools,
        }
    }

    /// Whether everything stays.
    pub fn keep_all(self) -> bool {
        self == Classes::all(Policy::Keep)
    }
}

/// The SHA-256 of a value's text, in hexadecimal.
pub fn hash(value: AnyValue<'_>) -> String {
    let mut digest = Sha256::new();
    match value {
        AnyValue::String(text) => digest.update(text.as_bytes()),
        AnyValue::Bytes(bytes) => digest.update(bytes),
        AnyValue::Int(number) => digest.update(number.to_string()),
        AnyValue::Bool(truth) => digest.update(truth.to_string()),
        other => digest.update(format!("{other:?}")),
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `drop`, or `{messages: drop, tools: hash}`.
impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Classes, D::Error> {
        struct Visitor;

        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Each {
            messages: Policy,
            instructions: Policy,
            tools: Policy,
        }

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Classes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("keep, hash or drop, or one of these for each of messages, instructions and tools")
            }

            fn visit_str<E: de::Error>(self, policy: &str) -> Result<Classes, E> {
                Policy::deserialize(policy.into_deserializer()).map(Classes::all)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Classes, A::Error> {
                let Each { messages, instructions, tools } =
                    Each::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Classes { messages, instructions, tools })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
