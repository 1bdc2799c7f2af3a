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

#[cfg(test)]
mod tests {
    use super::*;

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
