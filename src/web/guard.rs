//! What every request has to get past: a page in a browser must not read a collector on the same machine.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses names that were rebound to this machine, and sets the headers that every answer has.
pub async fn guard(loopback: bool, request: Request, next: Next) -> Response {
    if loopback && !names_this_machine(request.headers()) {
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

/// Whether the `Host` header is a loopback name. HTTP/1.0 clients may send none.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Whether the request comes from no web page, or from one of our own. A body of plain text is sent without
/// asking first, so what a foreign page may not do has to be refused here.
fn is_of_this_origin(headers: &HeaderMap) -> bool {
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

    #[test]
    fn only_loopback_names() {
        let allowed = |host: &str| {
            names_this_machine(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())]))
        };
        for host in ["localhost:3010", "127.0.0.1:3010", "127.0.0.1", "[::1]:3010", "LOCALHOST", "a.localhost:1"] {
            assert!(allowed(host), "{host}");
        }
        for host in ["evil.example:3010", "127.0.0.1.evil.example", "192.168.1.2:3010", "localhost.evil"] {
            assert!(!allowed(host), "{host}");
        }
        assert!(names_this_machine(&HeaderMap::new()));
    }
}
