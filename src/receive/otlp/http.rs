//! OTLP over HTTP, and JSON events.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::body::Encoding;
use super::reply::{Answer, answer};
use super::status::{self, Code, Detail};
use super::{Export, Format, Rejection, Service, cors};
use crate::listen::is_for_this_machine;
use crate::otlp::Signal;

/// The path of JSON events.
pub const EVENTS: &str = "/v1/events";
const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

/// Serves one request.
pub async fn serve(service: &Service, request: Request<Incoming>) -> Answer {
    if let Some(answer) = cors::preflight(service.cors.as_ref(), service.auth.is_some(), &request) {
        return answer;
    }
    let headers = request.headers().clone();
    let mut answer = route(service, request).await;
    cors::expose(service.cors.as_ref(), &headers, &mut answer);
    answer
}

async fn route(service: &Service, request: Request<Incoming>) -> Answer {
    // Browsers send telemetry too: of pages that may, and to a server of this name.
    if !cors::permits(service.cors.as_ref(), request.headers()) {
        return forbid(service, &request, "this web page may not send telemetry; see `cors` of the receiver");
    }
    if service.loopback && !is_for_this_machine(&request) {
        let message = "this port is for this machine: use http://127.0.0.1 or http://localhost, also as the Host \
                       that a proxy sends, or listen beyond loopback";
        return forbid(service, &request, message);
    }
    let path = request.uri().path().to_owned();
    if let Err(stranger) = service.admit(request.headers(), service.http_reception(&path)) {
        let format = Format::parse(text(request.headers(), header::CONTENT_TYPE));
        if stranger.is_known {
            return decline(StatusCode::FORBIDDEN, format, &stranger.why);
        }
        let mut answer = decline(StatusCode::UNAUTHORIZED, format, &stranger.why);
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    let content_type = text(request.headers(), header::CONTENT_TYPE);
    let format = Format::parse(content_type);
    let signal = service.signal_of(&path);
    let unsupported = &service.http_reception(&path).unsupported;
    if signal.is_none() && path != EVENTS {
        unsupported.add(1);
        let known: Vec<&str> = service.paths.iter().map(|(path, _)| path.as_str()).chain([EVENTS]).collect();
        let message = format!("there is no {path} here; there are {}", known.join(", "));
        return decline(StatusCode::NOT_FOUND, format, &message);
    }
    if let Some(signal) = signal.filter(|signal| !service.intake.takes(*signal)) {
        unsupported.add(1);
        return decline(StatusCode::NOT_FOUND, format, &format!("no pipeline of this collector takes {signal}"));
    }
    if request.method() != Method::POST {
        unsupported.add(1);
        let mut answer = decline(StatusCode::METHOD_NOT_ALLOWED, format, &format!("{path} takes POST"));
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    match (signal, format) {
        (Some(signal), Some(format)) => telemetry(service, signal, format, request).await,
        (Some(_), None) => {
            unsupported.add(1);
            let message = format!("the content type is {PROTOBUF} or {JSON}, not `{content_type}`");
            decline(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, &message)
        }
        (None, _) => service.events.post(request).await,
    }
}

fn forbid(service: &Service, request: &Request<Incoming>, message: &str) -> Answer {
    service.http_reception(request.uri().path()).forbidden.add(1);
    decline(StatusCode::FORBIDDEN, Format::parse(text(request.headers(), header::CONTENT_TYPE)), message)
}

async fn telemetry(service: &Service, signal: Signal, format: Format, request: Request<Incoming>) -> Answer {
    let encoding = match encoding(request.headers(), Some(format)) {
        Ok(encoding) => encoding,
        Err(answer) => {
            service.reception(signal).unsupported.add(1);
            return *answer;
        }
    };
    let export = Export { signal, format, encoding, is_framed: false };
    match (service.export(export, request.into_body()).await, format) {
        (Ok(partial), Format::Protobuf) => answer(StatusCode::OK, PROTOBUF, partial.to_protobuf()),
        (Ok(partial), Format::Json) => answer(StatusCode::OK, JSON, partial.to_json(signal)),
        (Err(rejection), format) => {
            rejection.count(service.reception(signal));
            refuse(&rejection, format)
        }
    }
}

/// How the body is compressed, or the answer to what we cannot unpack.
pub fn encoding(headers: &HeaderMap, format: Option<Format>) -> Result<Encoding, Box<Answer>> {
    let name = text(headers, header::CONTENT_ENCODING);
    Encoding::parse(name).ok_or_else(|| {
        let message = format!("the encoding {name} is not known; known are {}", Encoding::ACCEPTED);
        let mut answer = decline(StatusCode::UNSUPPORTED_MEDIA_TYPE, format, &message);
        answer.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
        Box::new(answer)
    })
}

/// The answer to what was not taken.
pub fn refuse(rejection: &Rejection, format: Format) -> Answer {
    let status = match rejection {
        Rejection::Malformed(_) => StatusCode::BAD_REQUEST,
        Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        // A 408 would fit a slow body, but OTLP clients drop what it answers.
        Rejection::TooSlow | Rejection::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answer = status_of(status, format, rejection.code(), &rejection.message(), rejection.detail());
    if let Some(delay) = rejection.retry_after() {
        let seconds = delay.as_secs_f64().ceil().max(1.0) as u64;
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// Refuses what no body can mend. OTLP wants a `google.rpc.Status` with every refusal; who sends neither of its
/// formats is more likely a person.
pub fn decline(status: StatusCode, format: Option<Format>, message: &str) -> Answer {
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        _ => Code::Unimplemented,
    };
    match format {
        Some(format) => status_of(status, format, code, message, None),
        None => {
            let mut answer = answer(status, "text/plain; charset=utf-8", format!("{message}\n"));
            // The message may hold what was asked for.
            answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            answer
        }
    }
}

fn status_of(status: StatusCode, format: Format, code: Code, message: &str, detail: Option<Detail<'_>>) -> Answer {
    match format {
        Format::Protobuf => answer(status, PROTOBUF, status::to_protobuf(code, message, detail)),
        Format::Json => answer(status, JSON, status::to_json(code, message, detail)),
    }
}

impl Format {
    /// Of a `content-type`. Media types know no case, and parameters such as a charset change nothing.
    pub fn parse(content_type: &str) -> Option<Format> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        let of_json = is(JSON).then_some(Format::Json);
        if is(PROTOBUF) { Some(Format::Protobuf) } else { of_json }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_repeated_is_answered_so() {
        let asked_back = |rejection: Rejection| {
            let answer = refuse(&rejection, Format::Protobuf);
            (answer.status().as_u16(), answer.headers().get(header::RETRY_AFTER).is_some())
        };
        assert_eq!(asked_back(Rejection::TooSlow), (503, true));
        assert_eq!(asked_back(Rejection::TooLarge { limit: 1 }), (413, false));
        assert_eq!(asked_back(Rejection::Malformed(String::new())), (400, false));
    }
}
