//! What every request has to get past: a page in a browser must not read a collector on the same machine.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::refuse;
use super::{Shared, State};
use crate::auth::{Principal, bearer};
use crate::event::Timestamp;
use crate::listen::Names;

/// Headers of every answer that does not say otherwise: nothing is guessed, embedded, framed, run or kept.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses names that may have been rebound to here, and sets the headers that every answer has.
pub async fn guard(names: Names, mut request: Request, next: Next) -> Response {
    let mut response = match refusal(&names, &request) {
        Some(message) => (StatusCode::FORBIDDEN, message).into_response(),
        None => {
            name_host(&mut request);
            next.run(request).await
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refusal(names: &Names, request: &Request) -> Option<&'static str> {
    // Whether it lives tells a stranger nothing, and load balancers ask by names of their own.
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !is_probe && !names.admit(request) {
        return Some(
            "a web page could have this name: use an address or http://localhost, or add the name to `allowed_hosts` of the \
             extension `web`\n",
        );
    }
    let is_foreign = !request.method().is_safe() && !is_of_this_origin(request.headers(), request.uri());
    is_foreign.then_some("pages of other origins may not send anything here\n")
}

/// HTTP/2 has the host in the URI: whoever looks for it finds it where HTTP/1.1 has it.
fn name_host(request: &mut Request) {
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let (false, Some(host)) = (request.headers().contains_key(header::HOST), authority) {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Lets pass who is believed, and says to whoever answers who that is.
pub async fn somebody(state: Shared, mut request: Request, next: Next) -> Response {
    match principal(&state, request.headers()) {
        Ok(Some(principal)) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Ok(None) => unauthorized(&state, "this needs a token: `Authorization: Bearer …`"),
        Err(answer) => *answer,
    }
}

/// Lets pass who may see everything.
pub async fn sees_all(state: Shared, request: Request, next: Next) -> Response {
    match principal(&state, request.headers()) {
        Ok(Some(principal)) if principal.sees_all() => next.run(request).await,
        Ok(Some(_)) => {
            state.denied.add(1);
            refuse(StatusCode::FORBIDDEN, "this is of everybody's work, which this token may not see")
        }
        Ok(None) => unauthorized(&state, "this needs a token: `Authorization: Bearer …`"),
        Err(answer) => *answer,
    }
}

/// Lets pass who may send telemetry.
pub async fn may_send(state: Shared, request: Request, next: Next) -> Response {
    let Some(auth) = &state.auth else { return next.run(request).await };
    match bearer(request.headers()).map(|token| auth.may_send(token)) {
        Some(Ok(true)) => next.run(request).await,
        Some(Ok(false)) => {
            state.denied.add(1);
            refuse(StatusCode::FORBIDDEN, "sending takes the permission `write`, or `all` without `agents`")
        }
        Some(Err(denied)) => unauthorized(&state, &denied.to_string()),
        None => unauthorized(&state, "this needs a token: `Authorization: Bearer …`"),
    }
}

/// Who asks: everybody may see all where nobody is asked who they are; `None` has said nothing yet.
pub fn principal(state: &State, headers: &HeaderMap) -> Result<Option<Principal>, Box<Response>> {
    if state.auth.is_none() {
        return Ok(Some(Principal::default()));
    }
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    believe(state, bearer(headers)).map(Some).map_err(|denied| Box::new(unauthorized(state, &denied)))
}

/// Who has a token, or why that is nobody.
pub fn believe(state: &State, token: Option<&str>) -> Result<Principal, String> {
    match (&state.auth, token) {
        (None, _) => Ok(Principal::default()),
        (Some(auth), Some(token)) => auth.principal(token).map_err(|denied| denied.to_string()),
        (Some(_), None) => Err("there is no bearer token".into()),
    }
}

/// Comes once somebody is believed no more, which is never where that has no end.
pub async fn end_of_belief(until: Option<Timestamp>) {
    match until {
        Some(until) => tokio::time::sleep(Duration::from_micros(until.micros_since(Timestamp::now()))).await,
        None => std::future::pending().await,
    }
}

fn unauthorized(state: &State, message: &str) -> Response {
    state.denied.add(1);
    let mut answer = refuse(StatusCode::UNAUTHORIZED, message);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// Whether the request comes from a page of one of these origins.
pub fn is_of_origins(headers: &HeaderMap, origins: &[String]) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| origins.iter().any(|listed| listed.trim_end_matches('/') == origin))
}

/// Whether the request comes from no web page, or from one of our own. A body of plain text is sent without
/// asking first, so what a foreign page may not do has to be refused here.
pub fn is_of_this_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    let Some(origin) = text(header::ORIGIN) else { return true };
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes()));
    authority.is_some() && authority == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_origin() {
        let of = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:3010"))]);
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            let over_http1 = is_of_this_origin(&headers, &Uri::from_static("/"));
            headers.remove(header::HOST);
            let over_http2 = is_of_this_origin(&headers, &Uri::from_static("https://localhost:3010/"));
            assert_eq!(over_http1, over_http2, "{origin:?}");
            over_http1
        };
        assert!(of(None) && of(Some("http://localhost:3010")));
        assert!(!of(Some("null")) && !of(Some("http://localhost:3011")) && !of(Some("https://evil.example")));
    }
}
