//! What every request has to get past: a page in a browser must not read a collector on the same machine.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::refuse;
use super::{Shared, State};
use crate::auth::{Principal, bearer};
use crate::listen::is_for_this_machine;

/// Refuses names that were rebound to this machine, and sets the headers that every answer has.
pub async fn guard(loopback: bool, request: Request, next: Next) -> Response {
    if loopback && !is_for_this_machine(&request) {
        let message = "this endpoint is for this machine: use http://127.0.0.1 or http://localhost\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    if !request.method().is_safe() && !is_of_this_origin(request.headers()) {
        return (StatusCode::FORBIDDEN, "pages of other origins may not send anything here\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
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
pub fn is_of_this_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    let Some(origin) = text(header::ORIGIN) else { return true };
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some() && authority == text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_origin() {
        let of = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:3010"))]);
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            is_of_this_origin(&headers)
        };
        assert!(of(None) && of(Some("http://localhost:3010")));
        assert!(!of(Some("null")) && !of(Some("http://localhost:3011")) && !of(Some("https://evil.example")));
    }
}
