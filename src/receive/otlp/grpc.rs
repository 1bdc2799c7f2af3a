//! OTLP over gRPC: unary calls of the three export services, and the standard health check.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::body::Encoding;
use super::reply::{Answer, Reply};
use super::status::{self, Code, Detail};
use super::{Export, Format, Rejection, Service};
use crate::listen::Deadline;
use crate::otlp::Signal;
use crate::otlp::wire::repeated;

/// Bytes in front of every message: one flag and its length.
pub const PREFIX: usize = 5;

/// The standard health service, so that load balancers can ask.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// The largest health check that is read.
const HEALTH_LIMIT: usize = 4 << 10;
/// `HealthCheckResponse { status: SERVING }`.
const SERVING: &[u8] = &[0x08, 0x01];

/// Serves one call.
pub async fn serve(service: &Service, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path == HEALTH_CHECK {
        return health(request.into_body()).await;
    }
    if let Err(stranger) = service.admit(request.headers(), service.grpc_reception(path)) {
        let code = if stranger.is_known { Code::PermissionDenied } else { Code::Unauthenticated };
        return failure(code, &stranger.why, None);
    }
    let unimplemented = |message: &str| {
        service.grpc_reception(path).unsupported.add(1);
        failure(Code::Unimplemented, message, None)
    };
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path) else {
        return unimplemented(&format!("there is no method {path}"));
    };
    if !service.intake.takes(signal) {
        return unimplemented(&format!("no pipeline of this collector takes {signal}"));
    }
    let encoding = request.headers().get("grpc-encoding").map_or("", |value| value.to_str().unwrap_or("?"));
    let Some(encoding) = Encoding::parse(encoding) else {
        return unimplemented(&format!("the encoding {encoding} is not known; known are {}", Encoding::ACCEPTED));
    };
    let export = Export { signal, format: Format::Protobuf, encoding, is_framed: true };
    match service.export(export, request.into_body()).await {
        Ok(partial) => success(&partial.to_protobuf()),
        Err(rejection) => {
            rejection.count(service.reception(signal));
            failure(rejection.code(), &rejection.message(), rejection.detail())
        }
    }
}

/// Answers whether a service is well: those that there are, and the collector as a whole, whose name is empty.
async fn health(body: Incoming) -> Answer {
    let whole = tokio::time::timeout_at(Deadline::begin().next(0), Limited::new(body, HEALTH_LIMIT).collect()).await;
    let Ok(Ok(body)) = whole else {
        return failure(Code::InvalidArgument, "the call has no message of a health check", None);
    };
    let message = match unframe(body.to_bytes(), Encoding::Identity) {
        Ok((message, _)) => message,
        Err(rejection) => return failure(rejection.code(), &rejection.message(), rejection.detail()),
    };
    // `HealthCheckRequest { string service = 1 }`
    let name = repeated(&message, 1).last().unwrap_or_default();
    let is_known = |signal: Signal| {
        let service = signal.grpc_path().trim_start_matches('/').split('/').next();
        service.is_some_and(|service| service.as_bytes() == name)
    };
    if name.is_empty() || Signal::ALL.into_iter().any(is_known) {
        return success(SERVING);
    }
    let message = format!("there is no service {}", String::from_utf8_lossy(name));
    failure(Code::NotFound, &message, None)
}

/// The one message of a unary call, and how it is compressed.
pub fn unframe(mut body: Bytes, encoding: Encoding) -> Result<(Bytes, Encoding), Rejection> {
    let malformed = |message: &str| Rejection::Malformed(message.to_owned());
    if body.len() < PREFIX {
        return Err(malformed("the call has no message"));
    }
    let flag = body.get_u8();
    let len = body.get_u32() as usize;
    let encoding = match (flag, encoding) {
        (0, _) => Encoding::Identity,
        (1, Encoding::Identity) => return Err(malformed("a compressed message without a grpc-encoding")),
        (1, encoding) => encoding,
        _ => return Err(malformed("the flag in front of the message is neither 0 nor 1")),
    };
    match body.len().cmp(&len) {
        std::cmp::Ordering::Less => Err(malformed("the message is shorter than its prefix says")),
        std::cmp::Ordering::Greater => Err(malformed("a unary call has one message, more follows")),
        std::cmp::Ordering::Equal => Ok((body, encoding)),
    }
}

fn success(message: &[u8]) -> Answer {
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut answer = Response::new(Reply::data(framed).with_trailers(trailers));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// An answer of trailers only, in the headers. The details repeat the status for clients that look there, and
/// hold the `RetryInfo` without which OTLP exporters do not repeat a `RESOURCE_EXHAUSTED`.
fn failure(code: Code, message: &str, detail: Option<Detail<'_>>) -> Answer {
    let mut answer = Response::new(Reply::default());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code as u16));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip,zstd,identity"));
    let details = STANDARD_NO_PAD.encode(status::to_protobuf(code, message, detail));
    let values = [("grpc-message", percent_encode(message)), ("grpc-status-details-bin", details)];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    answer
}

/// Printable ASCII but for `%` stays, as gRPC asks of `grpc-message`.
fn percent_encode(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_and_nothing_else() {
        let framed = |flag: u8, len: u32, message: &[u8]| {
            let mut body = vec![flag];
            body.extend(len.to_be_bytes());
            body.extend(message);
            unframe(body.into(), Encoding::Gzip)
        };
        assert!(matches!(framed(0, 2, b"ab"), Ok((message, Encoding::Identity)) if &message[..] == b"ab"));
        assert!(matches!(framed(1, 2, b"ab"), Ok((_, Encoding::Gzip))));
        assert!(framed(2, 2, b"ab").is_err());
        assert!(framed(0, 3, b"ab").is_err());
        assert!(framed(0, 1, b"ab").is_err());
        assert!(unframe(Bytes::from_static(b"\0\0"), Encoding::Identity).is_err());
    }

    #[test]
    fn messages_survive_as_headers() {
        assert_eq!(percent_encode("50% größer\n"), "50%25 gr%C3%B6%C3%9Fer%0A");
    }
}
