//! What the rules make of an answer. Each function is one expectation, and says so where it is not met.

use http::header;
use serde_json::Value;

use super::answer::{Answer, JSON, PROTOBUF};
use super::call::Returned;
use super::case::{Finding, Trouble, unmet};
use crate::export::otlp::code_name;
use crate::otlp::Signal;
use crate::otlp::wire::{Field, Wire, read_field, repeated};

/// What a receiver says that it left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Items that it left out.
    pub rejected: i64,
    /// Why.
    pub message: String,
}

// --- Over HTTP

/// It is a full success: 200, and nothing is left out.
pub fn taken(answer: &Answer) -> Finding {
    let expected = "HTTP 200, and nothing left out";
    if answer.status.as_u16() != 200 {
        return unmet(expected, answer.told());
    }
    match partial(answer) {
        Some(Partial { rejected, message }) if rejected > 0 => {
            unmet(expected, format!("HTTP 200, {rejected} left out: {message}"))
        }
        _ => Ok(()),
    }
}

/// It has the content type of the request.
pub fn of_the_same_type(answer: &Answer) -> Finding {
    if_taken(answer)?;
    type_fits(answer)
}

/// Of an answer that is no success, it is not asked how a success looks: there are cases for whether it is one.
fn if_taken(answer: &Answer) -> Finding {
    taken(answer).map_err(|_| Trouble::Moot("it is not taken"))
}

/// Likewise for refusals.
fn if_refused(answer: &Answer) -> Finding {
    if answer.status.as_u16() >= 400 { Ok(()) } else { Err(Trouble::Moot("it is not refused")) }
}

fn type_fits(answer: &Answer) -> Finding {
    let asked = if answer.asked.is_json() { JSON } else { PROTOBUF };
    if answer.content_type().eq_ignore_ascii_case(asked) {
        return Ok(());
    }
    unmet(format!("the content type of the request, {asked}"), answer.told())
}

/// Its body is the message that the signal's service returns.
pub fn with_the_response_message(answer: &Answer) -> Finding {
    if_taken(answer)?;
    let is_message = match answer.asked.is_json() {
        true => serde_json::from_slice::<Value>(&answer.body).is_ok_and(|json| json.is_object()),
        false => fields(&answer.body).is_some_and(|fields| fields.iter().all(|field| field.number == 1)),
    };
    if is_message { Ok(()) } else { unmet("a message of the export service", answer.told()) }
}

/// A full success says nothing of a partial one.
pub fn without_partial_success(answer: &Answer) -> Finding {
    if_taken(answer)?;
    match partial(answer) {
        None => Ok(()),
        Some(_) => unmet("no `partial_success`", format!("an empty one: {}", told_bytes(&answer.body))),
    }
}

/// It is 400, which is never sent again.
pub fn bad_data(answer: &Answer) -> Finding {
    if answer.status.as_u16() == 400 { Ok(()) } else { unmet("HTTP 400", answer.told()) }
}

/// A refusal comes with a `google.rpc.Status` in the form of the request.
pub fn with_a_status(answer: &Answer) -> Finding {
    if_refused(answer)?;
    type_fits(answer)?;
    if status_message(answer).is_some() { Ok(()) } else { unmet("a body that is a google.rpc.Status", answer.told()) }
}

/// The `google.rpc.Status` says in words what is wrong.
pub fn with_words(answer: &Answer) -> Finding {
    with_a_status(answer)?;
    match status_message(answer) {
        Some(message) if !message.is_empty() => Ok(()),
        _ => unmet("a google.rpc.Status with a message", answer.told()),
    }
}

/// The `google.rpc.Status` has a `BadRequest` among its details.
pub fn with_a_bad_request(answer: &Answer) -> Finding {
    with_a_status(answer)?;
    let name = "google.rpc.BadRequest";
    let has_it = match answer.asked.is_json() {
        true => serde_json::from_slice::<Value>(&answer.body).is_ok_and(|json| {
            let details = json["details"].as_array().into_iter().flatten();
            details.filter_map(|any| any["@type"].as_str()).any(|kind| kind.ends_with(name))
        }),
        false => repeated(&answer.body, 3).any(|any| repeated(any, 1).any(|kind| kind.ends_with(name.as_bytes()))),
    };
    if has_it { Ok(()) } else { unmet(format!("a {name} in `details`"), answer.told()) }
}

/// It is refused, and not in a way that has clients send the same again.
pub fn refused(answer: &Answer) -> Finding {
    let expected = "a refusal that is not retried";
    match answer.status.as_u16() {
        429 | 502 | 503 | 504 => unmet(expected, format!("{}, which clients retry", answer.told())),
        400..=599 => Ok(()),
        _ => unmet(expected, answer.told()),
    }
}

/// It is taken or refused for good; what it is not is retried for ever.
pub fn taken_or_refused(answer: &Answer) -> Finding {
    match answer.status.as_u16() {
        200 => Ok(()),
        500..=599 => unmet("HTTP 200, or a 4xx", answer.told()),
        _ => refused(answer),
    }
}

/// A refusal does not say when to come back.
pub fn without_retry_after(answer: &Answer) -> Finding {
    if_refused(answer)?;
    match answer.header(header::RETRY_AFTER) {
        "" => Ok(()),
        when => unmet("no Retry-After", format!("{}, Retry-After: {when}", answer.told())),
    }
}

/// It has this status.
pub fn status_is(answer: &Answer, status: u16) -> Finding {
    if answer.status.as_u16() == status { Ok(()) } else { unmet(format!("HTTP {status}"), answer.told()) }
}

/// What it says of a partial success, if it says anything.
pub fn partial(answer: &Answer) -> Option<Partial> {
    if !answer.asked.is_json() {
        return partial_of(&answer.body);
    }
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    let partial = json.get("partialSuccess").filter(|partial| !partial.is_null())?;
    let rejected = &partial[match answer.asked.signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    }];
    let rejected = rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    Some(Partial { rejected, message: partial["errorMessage"].as_str().unwrap_or_default().to_owned() })
}

fn status_message(answer: &Answer) -> Option<String> {
    if answer.asked.is_json() {
        let json: Value = serde_json::from_slice(&answer.body).ok()?;
        let message = json.as_object()?.get("message").map_or(Some(""), Value::as_str)?;
        return Some(message.to_owned());
    }
    let fits = |field: &Field<'_>| match (field.number, field.value) {
        (1, Wire::Varint(_)) | (3, Wire::Bytes(_)) => true,
        (2, Wire::Bytes(text)) => std::str::from_utf8(text).is_ok(),
        _ => false,
    };
    fields(&answer.body)?.iter().all(fits).then_some(())?;
    let message = repeated(&answer.body, 2).last().unwrap_or_default();
    Some(String::from_utf8_lossy(message).into_owned())
}

// --- Over gRPC

/// It is a full success: OK, and nothing is left out.
pub fn done(returned: &Returned) -> Finding {
    let expected = "OK, and nothing left out";
    if returned.code != Some(0) {
        return unmet(expected, returned.told());
    }
    match returned.answered().and_then(partial_of) {
        Some(Partial { rejected, message }) if rejected > 0 => {
            unmet(expected, format!("OK, {rejected} left out: {message}"))
        }
        _ => Ok(()),
    }
}

/// It returns one message, that of the signal's service, and then its status.
pub fn with_one_message(returned: &Returned) -> Finding {
    done(returned).map_err(|_| Trouble::Moot("it is not taken"))?;
    if returned.status.as_u16() != 200 || !returned.content_type.starts_with("application/grpc") {
        return unmet("HTTP 200 of application/grpc", format!("HTTP {} {}", returned.status, returned.content_type));
    }
    let is_message = |message| fields(message).is_some_and(|fields| fields.iter().all(|field| field.number == 1));
    if !returned.answered().is_some_and(is_message) {
        return unmet("one message of the export service", told_bytes(&returned.body));
    }
    if returned.in_trailers { Ok(()) } else { unmet("grpc-status behind the message", "it stands in the headers") }
}

/// A full success says nothing of a partial one.
pub fn done_without_partial_success(returned: &Returned) -> Finding {
    done(returned).map_err(|_| Trouble::Moot("it is not taken"))?;
    match returned.answered().and_then(partial_of) {
        None => Ok(()),
        Some(_) => unmet("no `partial_success`", format!("an empty one: {}", told_bytes(&returned.body))),
    }
}

/// It has this code.
pub fn code_is(returned: &Returned, code: u32) -> Finding {
    let name = code_name(code);
    if returned.code == Some(code) { Ok(()) } else { unmet(format!("{name} ({code})"), returned.told()) }
}

/// It failed, and not in a way that has clients send the same again.
pub fn failed(returned: &Returned) -> Finding {
    match returned.code {
        Some(0) => unmet("a code that is not retried", returned.told()),
        _ if returned.is_retryable() => {
            unmet("a code that is not retried", format!("{}, which clients retry", returned.told()))
        }
        _ => Ok(()),
    }
}

/// It is taken or failed for good.
pub fn done_or_failed(returned: &Returned) -> Finding {
    if returned.code == Some(0) { Ok(()) } else { failed(returned) }
}

// --- Both

/// The `partial_success` of a message of an export service.
pub fn partial_of(message: &[u8]) -> Option<Partial> {
    let mut partial = Partial::default();
    let encoded = repeated(message, 1).last()?;
    for field in fields(encoded)? {
        match (field.number, field.value) {
            (1, Wire::Varint(rejected)) => partial.rejected = rejected as i64,
            (2, Wire::Bytes(text)) => partial.message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    Some(partial)
}

/// Of a request in which one of two spans has no valid id, what is said to be left out has the form that it must have.
pub fn partial_has_its_form(partial: Option<Partial>) -> Finding {
    match partial {
        None => Err(Trouble::Moot("it takes spans with invalid ids without a word")),
        Some(Partial { rejected: 1.., message }) if !message.is_empty() => Ok(()),
        Some(Partial { rejected: 0, message }) if !message.is_empty() => Ok(()),
        Some(Partial { rejected: 0, .. }) => Err(Trouble::Moot("it takes spans with invalid ids without a word")),
        Some(Partial { rejected, .. }) => {
            unmet("how many were left out, and why", format!("{rejected}, and no message"))
        }
    }
}

/// The fields of a message, if it is one.
fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        fields.push(read_field(&mut message).ok()?);
    }
    Some(fields)
}

fn told_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => crate::console::cut(text, 120),
        _ => bytes.iter().take(40).map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end().to_owned(),
    }
}
