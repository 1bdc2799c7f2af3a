//! What people operate Spanlight with: dashboards for Grafana, and rules for Prometheus.
//!
//! No Grafana is needed: a real Prometheus scrapes a collector that has seen the recorded runs and the demonstration, and
//! every expression of every panel and rule has to find something there.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod dashboards;
mod expressions;
mod filled;
mod lint;
mod prometheus;
#[path = "../support/recorded.rs"]
mod recorded;
mod rules;
#[path = "../collector/support/mod.rs"]
mod support;

use filled::Filled;

/// One world for all that looks at it, because it takes a while to fill.
#[tokio::test]
async fn everything_that_is_shown_is_there() {
    let world = Filled::start().await;
    let mut wrong = Vec::new();
    for dashboard in dashboards::all() {
        dashboards::look_at(&dashboard, &world, &mut wrong).await;
    }
    rules::look_at(&world, &mut wrong).await;
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
