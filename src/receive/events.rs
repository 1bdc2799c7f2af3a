//! JSON events over HTTP: one, an array, or NDJSON, native or in another system's envelope.

use http::StatusCode;

use crate::event::{JsonObject, Source, SourceKind, Timestamp, push_str, read_events};
use crate::flow::{Refused, SharedIntake};
use crate::health::Reception;

/// What became of the events of a request.
#[derive(Debug, Default)]
pub struct Outcome {
    accepted: usize,
    rejected: Vec<(usize, String)>,
}

/// Takes the events of a body over. One bad event loses nothing but itself.
pub async fn take(body: &[u8], intake: &SharedIntake, reception: &Reception) -> Result<Outcome, Refused> {
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let mut outcome = Outcome::default();
    let mut events = Vec::new();
    for (index, read) in read_events(body, &source, Timestamp::now()).into_iter().enumerate() {
        match read {
            Ok(read) => {
                outcome.accepted += 1;
                events.extend(read);
            }
            Err(error) => outcome.rejected.push((index, error.to_string())),
        }
    }
    if !events.is_empty() {
        intake.events(events).await?;
    }
    reception.accepted.add(outcome.accepted);
    reception.invalid.add(outcome.rejected.len());
    Ok(outcome)
}

impl Outcome {
    /// 400 only if none was good.
    pub fn status(&self) -> StatusCode {
        if self.accepted == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }

    /// How many were taken, and what is wrong with each of the others.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = JsonObject::begin(&mut out);
        object.u64("accepted", self.accepted as u64);
        if !self.rejected.is_empty() || self.accepted == 0 {
            let list = object.key("rejected");
            list.push(b'[');
            for (position, (index, error)) in self.rejected.iter().enumerate() {
                if position > 0 {
                    list.push(b',');
                }
                let mut entry = JsonObject::begin(list);
                entry.u64("index", *index as u64);
                push_str(entry.key("error"), error);
                entry.end();
            }
            list.push(b']');
        }
        object.end();
        out
    }
}
