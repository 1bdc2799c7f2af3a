//! The documents of the API for programs: OpenAPI of what is asked over HTTP, AsyncAPI of what is said over WebSockets.

use axum::http::header;
use axum::response::IntoResponse;

/// `GET /api/openapi.json`
pub async fn openapi() -> impl IntoResponse {
    json(include_str!("documents/openapi.json"))
}

/// `GET /api/asyncapi.json`
pub async fn asyncapi() -> impl IntoResponse {
    json(include_str!("documents/asyncapi.json"))
}

fn json(document: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
