//! Small ports beside the web endpoint, as the OpenTelemetry Collector has them: health for load balancers, and metrics
//! for scrapers that expect an exporter's own.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::json::object;
use super::{GOODBYE, Scrape, Unready, api, guard};
use crate::config::types::Listen;
use crate::event::Timestamp;
use crate::listen::{Listener, Names};
use crate::tls;

/// The extension `health_check`. Keys are those of the OpenTelemetry Collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheckConfig {
    /// Where to listen.
    pub endpoint: Listen,
    /// The path that answers.
    pub path: String,
    /// What it answers, instead of JSON.
    pub response_body: Option<ResponseBody>,
    /// TLS.
    pub tls: Option<tls::Server>,
}

/// What a health check answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseBody {
    /// While the pipelines move.
    pub healthy: String,
    /// While they do not.
    pub unhealthy: String,
}

impl Default for HealthCheckConfig {
    fn default() -> HealthCheckConfig {
        let endpoint = Listen { text: "127.0.0.1:13133".into(), address: ([127, 0, 0, 1], 13133).into() };
        HealthCheckConfig { endpoint, path: "/".into(), response_body: None, tls: None }
    }
}

impl HealthCheckConfig {
    /// Checks the path.
    pub fn validate(&self) -> Result<(), String> {
        self.tls.as_ref().map_or(Ok(()), tls::Server::validate)?;
        match self.path.starts_with('/') && !self.path.contains(['{', '}', '*']) {
            true => Ok(()),
            false => Err(format!("`path` is a path such as /health, not `{}`", self.path)),
        }
    }
}

/// Answers whether the pipelines move, until told to stop.
pub async fn serve_health(listener: Listener, config: HealthCheckConfig, unready: Unready, stop: CancellationToken) {
    let since = Timestamp::now();
    let path = config.path.clone();
    let answer = move || async move { health(&config, since, unready()) };
    serve(listener, Router::new().route(&path, get(answer)), stop).await;
}

/// Shows all metrics to scrapers, until told to stop.
pub async fn serve_metrics(listener: Listener, scrape: Scrape, stop: CancellationToken) {
    let answer = move |headers: HeaderMap| async move { api::scraped(&scrape, &headers) };
    serve(listener, Router::new().route("/metrics", get(answer)), stop).await;
}

async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    // Others ask by whatever name this machine has for them, and there is nothing to be read that is anybody's.
    let names = if listener.is_loopback() { Names::of_this_machine(&[]) } else { Names::any() };
    let router = router.layer(middleware::from_fn(move |request, next| guard::guard(names.clone(), request, next)));
    let serving = listener.serve(TowerToHyperService::new(router));
    stop.cancelled().await;
    serving.stop(GOODBYE).await;
}

/// The Collector's words, because programs look for them; the reason is ours.
fn health(config: &HealthCheckConfig, since: Timestamp, unready: Option<String>) -> Response {
    let (code, status) = match unready {
        None => (StatusCode::OK, "Server available"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "Server not available"),
    };
    if let Some(body) = &config.response_body {
        let body = if unready.is_none() { &body.healthy } else { &body.unhealthy };
        return (code, body.clone()).into_response();
    }
    let json = object(|object| {
        object.str("status", status);
        object.display("upSince", since);
        object.opt_str("reason", unready.as_deref());
    });
    (code, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}
