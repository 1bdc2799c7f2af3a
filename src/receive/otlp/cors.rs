//! Cross-origin requests: which web pages may send telemetry from a browser. By default none may.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

use super::config::Cors;
use super::reply::{Answer, answer};

/// The answer to a preflight request, if it is one. Browsers do not say who they are in it, so `asks_who` lets them do
/// so in what follows.
pub fn preflight<B>(cors: Option<&Cors>, asks_who: bool, request: &Request<B>) -> Option<Answer> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks {
        return None;
    }
    let mut reply = answer(StatusCode::NO_CONTENT, "text/plain", "");
    if let Some((cors, origin)) = allowed(cors, request.headers()) {
        let headers = reply.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        let mut names = vec!["content-type", "content-encoding"];
        names.extend(asks_who.then_some("authorization"));
        names.extend(cors.allowed_headers.iter().map(String::as_str));
        if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if let Some(age) = cors.max_age {
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age.duration().as_secs()));
        }
    }
    Some(reply)
}

/// Lets the page that asked read the answer, if it may.
pub fn expose(cors: Option<&Cors>, request: &HeaderMap, reply: &mut Answer) {
    if let Some((_, origin)) = allowed(cors, request) {
        reply.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        reply.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// Whether the request comes from no web page, or from one that may send.
pub fn permits(cors: Option<&Cors>, request: &HeaderMap) -> bool {
    !request.contains_key(header::ORIGIN) || allowed(cors, request).is_some()
}

fn allowed<'c>(cors: Option<&'c Cors>, request: &HeaderMap) -> Option<(&'c Cors, HeaderValue)> {
    let cors = cors?;
    let origin = request.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    cors.allowed_origins.iter().any(|pattern| fits(pattern, text)).then(|| (cors, origin.clone()))
}

/// `*` stands for any part, once.
fn fits(pattern: &str, origin: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(origin),
        Some((before, after)) => {
            origin.len() >= before.len() + after.len() && origin.starts_with(before) && origin.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        assert!(fits("*", "https://a.example"));
        assert!(fits("https://*.example.com", "https://app.example.com"));
        assert!(!fits("https://*.example.com", "https://example.com.evil"));
        assert!(!fits("https://a.example", "http://a.example"));
    }
}
