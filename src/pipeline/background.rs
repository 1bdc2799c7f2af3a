//! What runs beside the requests: time for open runs, memory, and metrics for exporters that are not scraped.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::build::Built;
use super::components::Component;
use super::plan::Plan;
use super::route::Route;
use crate::connector::Connector;
use crate::event::Timestamp;
use crate::flow::Gate;
use crate::measure::{own_resource, to_batch};
use crate::otlp::Signal;
use crate::process::memory_limiter::Limits;

/// Starts all of it.
pub fn spawn(tasks: &mut JoinSet<()>, plan: &Plan, agent: Option<&Arc<Connector>>, gate: &Arc<Gate>, built: &Built) {
    if let Some((limits, interval)) = memory_limits(plan) {
        tasks.spawn(limits.watch(interval, gate.clone()));
    }
    for prometheus in &built.prometheus {
        let prometheus = prometheus.clone();
        tasks.spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(60));
            loop {
                interval.tick().await;
                prometheus.expire(Timestamp::now());
            }
        });
    }
    let Some(agent) = agent else { return };
    tasks.spawn(tick(agent.clone()));
    let routes = metric_routes(&built.routes);
    if routes.iter().any(|route| route.pumps().next().is_some()) {
        let interval = plan.agent().map(|config| config.metrics_interval).unwrap_or_default();
        tasks.spawn(push_metrics(agent.clone(), routes, interval.0.0));
    }
}

/// Those of all memory limiters: the lowest limits, and the shortest interval.
fn memory_limits(plan: &Plan) -> Option<(Limits, Duration)> {
    let of = |component: &Component| match component {
        Component::MemoryLimiter(config) => Some((config.limits().ok()?, config.check_interval.0)),
        _ => None,
    };
    let all = plan.components.iter().filter_map(|(_, _, component)| of(component));
    all.reduce(|(limits, interval), (others, often)| (limits.and(others), interval.min(often)))
}

/// The routes that the agent connector feeds with metrics.
pub fn metric_routes(routes: &[(super::plan::Pipeline, Arc<Route>)]) -> Vec<Arc<Route>> {
    let of_metrics = |pipeline: &super::plan::Pipeline| pipeline.from_agent && pipeline.signal == Signal::Metrics;
    routes.iter().filter(|(pipeline, _)| of_metrics(pipeline)).map(|(_, route)| route.clone()).collect()
}

async fn tick(agent: Arc<Connector>) {
    let mut interval = tokio::time::interval(Connector::TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        agent.tick();
    }
}

async fn push_metrics(agent: Arc<Connector>, routes: Vec<Arc<Route>>, interval: Duration) {
    let mut interval = tokio::time::interval(interval.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        send_metrics(&agent, &routes);
    }
}

/// Sends the metrics as they stand to the exporters that are not scraped.
pub fn send_metrics(agent: &Connector, routes: &[Arc<Route>]) {
    let batch = to_batch(&agent.metrics(), &own_resource(), Timestamp::now());
    if !batch.is_empty() {
        routes.iter().for_each(|route| route.push_to_pumps(batch.clone()));
    }
}
