//! The web endpoint: the page, the HTTP API, metrics for Prometheus, health, and the stream of events.

mod api;
mod budgets;
mod columns;
mod demo;
mod documents;
mod etag;
mod explain;
mod guard;
mod health;
mod json;
mod page;
mod ports;
mod retold;
mod socket;
mod span;
mod stored;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Auth};
use crate::config::types::Listen;
use crate::connector::Connector;
use crate::health::Count;
use crate::history::History;
use crate::hub::Hub;
use crate::listen::{Listener, Names, Port};
use crate::measure::Family;
use crate::recent::Recent;
use crate::tls;
pub use demo::Demo;
pub use ports::{HealthCheckConfig, serve_health, serve_metrics};
pub use socket::Limits as SocketLimits;
use socket::Sockets;
#[cfg(fuzzing)]
pub use socket::fuzzing;

/// The extension `web`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen.
    pub endpoint: Listen,
    /// How many events are kept in memory for whoever comes late; 0 keeps none, and then none are built for it.
    pub recent_events: usize,
    /// How many MiB of spans are kept in memory as they came, so that one can be seen whole.
    pub recent_spans_mib: usize,
    /// Who may read; without it, everybody who can connect.
    pub auth: Option<auth::Config>,
    /// TLS.
    pub tls: Option<tls::Server>,
    /// Names by which it may be asked besides those that no web page can have.
    pub allowed_hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        let address: SocketAddr = ([127, 0, 0, 1], 3010).into();
        let endpoint = Listen { text: address.to_string(), address };
        Config {
            endpoint,
            recent_events: 10_000,
            recent_spans_mib: 16,
            auth: None,
            tls: None,
            allowed_hosts: Vec::new(),
        }
    }
}

/// What the endpoint serves from. The pipeline puts it together.
pub struct State {
    /// Runs, cost and metrics.
    pub connector: Arc<Connector>,
    /// Recent events.
    pub hub: Arc<Hub>,
    /// Events and runs on disk.
    pub history: Option<Arc<History>>,
    /// Recent spans as they came.
    pub recent: Arc<Recent>,
    /// Writes all metrics as a scraper with this `Accept` header wants them: the content type and the text.
    pub scrape: Scrape,
    /// Our own counters as they stand.
    pub counters: Counters,
    /// Where telemetry is taken.
    pub receivers: Vec<Port>,
    /// What the page plays if nothing has come yet; not for other machines.
    pub demo: Option<Demo>,
    /// Why the pipelines do not move, if they do not.
    pub unready: Unready,
    /// Answers a `POST` of events.
    pub post_events: PostEvents,
    /// Who may read; without it, everybody who can connect.
    pub auth: Option<Arc<Auth>>,
    /// Names by which the endpoint may be asked besides those that no web page can have.
    pub allowed_hosts: Vec<String>,
    /// What WebSockets may do.
    pub sockets: SocketLimits,
    /// Requests of those who are not believed, or ask for what they may not see.
    pub denied: Count,
}

/// All metrics for an `Accept` header: the content type, and the text in pieces that are written as they are taken.
pub type Scrape = Arc<dyn Fn(&str) -> (&'static str, Box<dyn Iterator<Item = Bytes> + Send>) + Send + Sync>;

/// Says why the pipelines do not move, if they do not.
pub type Unready = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Our own counters as they stand.
pub type Counters = Box<dyn Fn() -> Vec<Family> + Send + Sync>;

/// Answers a `POST` of events.
pub type PostEvents = Box<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// State as handlers share it.
type Shared = axum::extract::State<Arc<State>>;

/// How long an answer under way may take once told to stop.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves until told to stop.
pub async fn serve(listener: Listener, state: Arc<State>, stop: CancellationToken) {
    let names = match (listener.is_loopback(), &state.auth) {
        (true, _) => Names::of_this_machine(&state.allowed_hosts),
        (false, None) => Names::not_public(&state.allowed_hosts),
        // A page that got here by a name of its own has no token.
        (false, Some(_)) => Names::any(),
    };
    let sockets = Sockets::new(state.clone(), stop.clone());
    let router = routes(sockets.clone())
        .merge(tagged(of_runs()).layer(middleware::from_fn_with_state(state.clone(), guard::somebody)))
        .merge(tagged(of_everything()).layer(middleware::from_fn_with_state(state.clone(), guard::sees_all)))
        .merge(of_senders().layer(middleware::from_fn_with_state(state.clone(), guard::may_send)))
        .fallback(api::not_found)
        .layer(middleware::from_fn(move |request, next| guard::guard(names.clone(), request, next)))
        .with_state(state);
    let serving = listener.serve(TowerToHyperService::new(router));
    stop.cancelled().await;
    // A stream has no end of its own.
    serving.stop(GOODBYE).await;
    sockets.ended().await;
}

/// Answers of these have tags.
fn tagged(routes: Router<Arc<State>>) -> Router<Arc<State>> {
    routes.layer(middleware::from_fn(etag::tag))
}

/// What tells nothing of anybody's work, and what asks by itself who is there.
fn routes(sockets: Sockets) -> Router<Arc<State>> {
    let opening = sockets.clone();
    let at_root = move |state, headers: HeaderMap, uri, query, upgrade| async move {
        match headers.contains_key(header::UPGRADE) {
            true => socket::open(opening, state, headers, uri, query, upgrade).await,
            false => page::root(headers).await,
        }
    };
    let open = move |state, headers, uri, query, upgrade| socket::open(sockets, state, headers, uri, query, upgrade);
    Router::new()
        .route("/", get(at_root))
        .route("/runs", get(page::page))
        .route("/runs/{id}", get(page::page))
        .route("/cost", get(page::page))
        .route("/health", get(page::page))
        .route("/assets/{*path}", get(page::asset))
        .route("/ws", get(open))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/openapi.json", get(documents::openapi))
        .route("/api/asyncapi.json", get(documents::asyncapi))
}

/// What shows everybody their own.
fn of_runs() -> Router<Arc<State>> {
    Router::new()
        .route("/api/v1/now", get(api::now))
        .route("/api/v1/runs", get(api::runs))
        .route("/api/v1/runs/{id}", get(api::run))
        .route("/api/v1/runs/{id}/events", get(api::run_events))
        .route("/api/v1/runs/{id}/spans/{span}", get(span::span))
        .route("/api/v1/runs/{id}/ledger", get(api::run_ledger))
        .route("/api/v1/ledger", get(api::ledger))
        .route("/api/v1/events", get(api::events))
        .route("/api/v1/stream", get(stream::stream))
}

/// What takes telemetry.
fn of_senders() -> Router<Arc<State>> {
    Router::new().route("/v1/events", post(api::post_events))
}

/// What is added up over everybody, or changes it.
fn of_everything() -> Router<Arc<State>> {
    Router::new()
        .route("/metrics", get(api::metrics_text))
        .route("/api/v1/demo", post(demo::demo))
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/budgets", get(budgets::budgets))
        .route("/api/v1/budgets/{name}/verdict", get(budgets::verdict))
        .route("/api/v1/metrics", get(api::summary))
}
