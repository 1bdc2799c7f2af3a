//! What log records say of a call: one message each, or all of them in one.

use serde_json::Value;

use super::{Matter, Side, conventions, events};
use crate::dialect::{Spot, json};
use crate::otlp::view::LogRecord;

/// What was said in a call, piece by piece, as JSON in the form of the conventions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// What the model was told before the messages.
    pub instructions: Option<String>,
    /// What went in.
    pub messages: Vec<String>,
    /// What came out.
    pub response: Vec<String>,
}

impl Recorded {
    /// The message that a record of this name is; none where nobody wanted it to be recorded.
    pub(in crate::dialect) fn one(name: &str, record: &LogRecord<'_>) -> Option<Recorded> {
        let (side, message) = events::of_record(name, record)?;
        let mut recorded = Recorded::default();
        recorded.side(side).push(message.to_string());
        Some(recorded)
    }

    /// All messages of a record that has the details of a call.
    pub(in crate::dialect) fn all(spot: &Spot<'_, '_>) -> Option<Recorded> {
        let mut recorded = Recorded {
            instructions: conventions::system(spot).map(|matter| value_of(matter).to_string()),
            ..Recorded::default()
        };
        for side in [Side::Input, Side::Output] {
            match conventions::attributes(spot, side).map(value_of) {
                Some(Value::Array(messages)) => recorded.side(side).extend(messages.iter().map(Value::to_string)),
                Some(message) => recorded.side(side).push(message.to_string()),
                None => {}
            }
        }
        (recorded != Recorded::default()).then_some(recorded)
    }

    fn side(&mut self, side: Side) -> &mut Vec<String> {
        match side {
            Side::Input => &mut self.messages,
            Side::Output => &mut self.response,
        }
    }
}

fn value_of(matter: Matter<'_>) -> Value {
    match matter {
        Matter::Built(value) => value,
        Matter::Said(value) => json::parsed(value),
    }
}
