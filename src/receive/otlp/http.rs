//! OTLP over HTTP, and JSON events.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::body::{self, Encoding};
use super::reply::{Answer, answer};
use super::status;
use super::{Format, Rejection, Service, cors};
use crate::flow::Refused;
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
    let signal = service.paths.iter().find(|(known, _)| *known == path).map(|(_, signal)| *signal);
    if signal.is_none() && path != EVENTS {
        let known: Vec<&str> = service.paths.iter().map(|(path, _)| path.as_str()).chain([EVENTS]).collect();
        return plain(StatusCode::NOT_FOUND, &format!("there is no {path} here; there are {}\n", known.join(", ")));
    }
    if let Some(signal) = signal.filter(|signal| !service.intake.takes(*signal)) {
        return plain(StatusCode::NOT_FOUND, &format!("no pipeline of this collector takes {signal}\n"));
    }
    if request.method() != Method::POST {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} takes POST\n"));
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let encoding = text(request.headers(), header::CONTENT_ENCODING);
    let Some(encoding) = Encoding::parse(encoding) else {
        let message = format!("the encoding {encoding} is not known; known are {}\n", Encoding::ACCEPTED);
        let mut answer = plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message);
        answer.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
        return answer;
    };
    match signal {
        Some(signal) => telemetry(service, signal, encoding, request).await,
        None => take_events(service, encoding, request).await,
    }
}

async fn telemetry(service: &Service, signal: Signal, encoding: Encoding, request: Request<Incoming>) -> Answer {
    let content_type = text(request.headers(), header::CONTENT_TYPE);
    let format = match content_type.split(';').next().unwrap_or_default().trim() {
        PROTOBUF => Format::Protobuf,
        JSON => Format::Json,
        other => {
            let message = format!("the content type is {PROTOBUF} or {JSON}, not `{other}`\n");
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message);
        }
    };
    let taken = async {
        let mut held = service.gate.enter().map_err(Rejection::Overloaded)?;
        let body = body::read(request.into_body(), service.limit, &mut held).await?;
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
        let body = body::read(request.into_body(), service.limit, &mut held).await?;
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
    let message = rejection.message();
    let mut answer = match format {
        Format::Protobuf => answer(status, PROTOBUF, status::to_protobuf(rejection.code(), &message, None)),
        Format::Json => answer(status, JSON, status::to_json(rejection.code(), &message)),
    };
    if let Rejection::Overloaded(Refused { retry_after, .. }) = rejection {
        let seconds = retry_after.as_secs_f64().ceil().max(1.0) as u64;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn plain(status: StatusCode, message: &str) -> Answer {
    answer(status, "text/plain; charset=utf-8", message.to_owned())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}
