//! What every request has to get past: a page in a browser must not read a collector on the same machine.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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
