//! Answers on the wire: partial success, and `google.rpc.Status` for what was not taken.

use std::time::Duration;

use crate::event::JsonObject;
use crate::otlp::Signal;
use crate::otlp::wire::{put_bytes, put_message, put_u64};

/// What an export service answers when it took the request: how many items it left out, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Items left out.
    pub rejected: usize,
    /// Why.
    pub message: String,
}

impl Partial {
    /// `Export…ServiceResponse` in protobuf. Of a full success it is empty.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.rejected > 0 {
            put_message(&mut out, 1, |out| {
                put_u64(out, 1, self.rejected as u64);
                put_bytes(out, 2, self.message.as_bytes());
            });
        }
        out
    }

    /// The same in JSON.
    pub fn to_json(&self, signal: Signal) -> Vec<u8> {
        let mut out = Vec::new();
        let mut response = JsonObject::begin(&mut out);
        if self.rejected > 0 {
            let rejected = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            let mut partial = JsonObject::begin(response.key("partialSuccess"));
            partial.display(rejected, self.rejected);
            partial.str("errorMessage", &self.message);
            partial.end();
        }
        response.end();
        out
    }
}

/// The codes of `google.rpc.Code` that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is malformed: it must not be repeated.
    InvalidArgument = 3,
    /// The body did not come.
    DeadlineExceeded = 4,
    /// There is no such service, says the health check.
    NotFound = 5,
    /// Who sent it may not.
    PermissionDenied = 7,
    /// Too large; or, with a delay, too much at the moment.
    ResourceExhausted = 8,
    /// There is no such method or encoding.
    Unimplemented = 12,
    /// Not now: the request should be repeated.
    Unavailable = 14,
    /// Who sent it did not say who they are, or is not believed.
    Unauthenticated = 16,
}

/// What a `google.rpc.Status` says beside its code and its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail<'m> {
    /// `google.rpc.RetryInfo`: when it should be tried again.
    RetryInfo(Duration),
    /// `google.rpc.BadRequest`: what is wrong with the request, and where.
    BadRequest(&'m str),
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// `google.rpc.Status` in protobuf.
pub fn to_protobuf(code: Code, message: &str, detail: Option<Detail<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, 1, code as u64);
    put_bytes(&mut out, 2, message.as_bytes());
    match detail {
        None => {}
        Some(Detail::RetryInfo(delay)) => put_message(&mut out, 3, |any| {
            put_bytes(any, 1, RETRY_INFO.as_bytes());
            put_message(any, 2, |retry_info| {
                put_message(retry_info, 1, |duration| {
                    put_u64(duration, 1, delay.as_secs());
                    put_u64(duration, 2, u64::from(delay.subsec_nanos()));
                });
            });
        }),
        Some(Detail::BadRequest(description)) => put_message(&mut out, 3, |any| {
            put_bytes(any, 1, BAD_REQUEST.as_bytes());
            put_message(any, 2, |bad_request| {
                put_message(bad_request, 1, |violation| put_bytes(violation, 2, description.as_bytes()));
            });
        }),
    }
    out
}

/// `google.rpc.Status` in JSON.
pub fn to_json(code: Code, message: &str, detail: Option<Detail<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut status = JsonObject::begin(&mut out);
    status.u64("code", code as u64);
    status.str("message", message);
    if let Some(detail) = detail {
        let details = status.key("details");
        details.push(b'[');
        let mut any = JsonObject::begin(details);
        match detail {
            Detail::RetryInfo(delay) => {
                any.str("@type", RETRY_INFO);
                any.str("retryDelay", &format!("{}s", delay.as_secs_f64()));
            }
            Detail::BadRequest(description) => {
                any.str("@type", BAD_REQUEST);
                let violations = any.key("fieldViolations");
                violations.push(b'[');
                let mut violation = JsonObject::begin(violations);
                violation.str("description", description);
                violation.end();
                violations.push(b']');
            }
        }
        any.end();
        details.push(b']');
    }
    status.end();
    out
}
