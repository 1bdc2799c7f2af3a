//! OTLP over HTTP, and JSON events.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::body::{self, Encoding};
use super::reply::{Answer, answer};
use super::status::{self, Code};
use super::{Format, Rejection, Service, cors};
use crate::otlp::Signal;
use crate::receive::events;

/// The path of JSON events.
const EVENTS: &str = "/v1/events";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Serves one request.
pub async fn serve(service: &Service, request: Request<Incoming>) -> Answer {
    if let Some(answer) = cors::preflight(service.cors.as_ref(), &request) {
        return answer;
    }
    let headers = request.headers().clone();
    let mut answer = route(service, request).await;
    cors::expose(service.cors.as_ref(), &headers, &mut answer);
    answer
}

async fn route(service: &Service, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let content_type = text(request.headers(), header::CONTENT_TYPE);
    let format = Format::parse(content_type);
    let signal = service.paths.iter().find(|(known, _)| *known == path).map(|(_, signal)| *signal);
    if signal.is_none() && path != EVENTS {
        let known: Vec<&str> = service.paths.iter().map(|(path, _)| path.as_str()).chain([EVENTS]).collect();
        let message = format!("there is no {path} here; there are {}", known.join(", "));
        return decline(StatusCode::NOT_FOUND, format, &message);
    }
    if !signal.map_or_else(|| service.intake.takes_events(), |signal| service.intake.takes(signal)) {
        let message = format!("no pipeline of this collector takes {}", signal.map_or("events", Signal::name));
        return decline(StatusCode::NOT_FOUND, format, &message);
    }
    if request.method() != Method::POST {
        let mut answer = decline(StatusCode::METHOD_NOT_ALLOWED, format, &format!("{path} takes POST"));
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let encoding = text(request.headers(), header::CONTENT_ENCODING);
    let Some(encoding) = Encoding::parse(encoding) else {
        let message = format!("the encoding {encoding} is not known; known are {}", Encoding::ACCEPTED);
        let mut answer = decline(StatusCode::UNSUPPORTED_MEDIA_TYPE, format, &message);
        answer.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
        return answer;
    };
    match (signal, format) {
        (Some(signal), Some(format)) => telemetry(service, signal, format, encoding, request).await,
        (Some(_), None) => {
            let message = format!("the content type is {PROTOBUF} or {JSON}, not `{content_type}`");
            decline(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, &message)
        }
        // Events may come as any type, so a browser would not ask before it sends them for a foreign page.
        (None, _) if !cors::permits(service.cors.as_ref(), request.headers()) => {
            decline(StatusCode::FORBIDDEN, format, "this web page may not send events; see `cors` of the receiver")
        }
        (None, _) => take_events(service, encoding, request).await,
    }
}

async fn telemetry(
    service: &Service,
    signal: Signal,
    format: Format,
    encoding: Encoding,
    request: Request<Incoming>,
) -> Answer {
    let taken = async {
        let mut held = service.gate.enter().map_err(Rejection::Overloaded)?;
        let body = body::read(request.into_body(), service.limit, 0, &mut held).await?;
        let body = body::unpack(body, encoding, service.limit, &mut held).await?;
        service.export(signal, body, format).await
    };
    match (taken.await, format) {
        (Ok(partial), Format::Protobuf) => answer(StatusCode::OK, PROTOBUF, partial.to_protobuf()),
        (Ok(partial), Format::Json) => answer(StatusCode::OK, JSON, partial.to_json(signal)),
        (Err(rejection), format) => {
            service.count(Some(signal), &rejection);
            refuse(&rejection, format)
        }
    }
}

async fn take_events(service: &Service, encoding: Encoding, request: Request<Incoming>) -> Answer {
    let taken = async {
        let mut held = service.gate.enter().map_err(Rejection::Overloaded)?;
        let body = body::read(request.into_body(), service.limit, 0, &mut held).await?;
        let body = body::unpack(body, encoding, service.limit, &mut held).await?;
        events::take(&body, &service.intake, &service.events).await.map_err(Rejection::Overloaded)
    };
    match taken.await {
        Ok(outcome) => answer(outcome.status(), JSON, outcome.to_json()),
        Err(rejection) => {
            service.count(None, &rejection);
            refuse(&rejection, Format::Json)
        }
    }
}

fn refuse(rejection: &Rejection, format: Format) -> Answer {
    let status = match rejection {
        Rejection::Malformed(_) => StatusCode::BAD_REQUEST,
        Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Rejection::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut answer = status_of(status, format, rejection.code(), &rejection.message());
    if let Rejection::Overloaded(refused) = rejection {
        answer.headers_mut().insert(header::RETRY_AFTER, refused.retry_after_seconds().into());
    }
    answer
}

/// Refuses what no body can mend. OTLP wants a `google.rpc.Status` with every refusal; who sends neither of its
/// formats is more likely a person.
fn decline(status: StatusCode, format: Option<Format>, message: &str) -> Answer {
    match format {
        Some(format) => status_of(status, format, Code::Unimplemented, message),
        None => answer(status, "text/plain; charset=utf-8", format!("{message}\n")),
    }
}

fn status_of(status: StatusCode, format: Format, code: Code, message: &str) -> Answer {
    match format {
        Format::Protobuf => answer(status, PROTOBUF, status::to_protobuf(code, message, None)),
        Format::Json => answer(status, JSON, status::to_json(code, message)),
    }
}

impl Format {
    /// Of a `content-type`. Media types know no case, and parameters such as a charset change nothing.
    fn parse(content_type: &str) -> Option<Format> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        let of_json = is(JSON).then_some(Format::Json);
        if is(PROTOBUF) { Some(Format::Protobuf) } else { of_json }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}
