//! Ports beside those of receivers and of the web endpoint: the extension `health_check`, and exporters of Prometheus
//! that have an endpoint of their own.

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::components::Component;
use super::plan::Plan;
use super::start::{StartError, bind};
use crate::health::Health;
use crate::listen::{Limits, Listener};
use crate::web::{self, HealthCheckConfig, Scrape, Unready};

/// Bound ports that do not serve yet.
#[derive(Default)]
pub struct Ports {
    health: Vec<(HealthCheckConfig, TcpListener)>,
    metrics: Vec<TcpListener>,
}

impl Ports {
    /// Binds all that a plan names.
    pub async fn bind(plan: &Plan, options: &Options) -> Result<Ports, StartError> {
        let mut ports = Ports::default();
        for (_, _, component) in &plan.components {
            match component {
                Component::HealthCheck(config) => {
                    ports.health.push((config.clone(), bind(&config.endpoint, options).await?));
                }
                Component::Prometheus(config) => {
                    if let Some(endpoint) = &config.endpoint {
                        ports.metrics.push(bind(endpoint, options).await?);
                    }
                }
                _ => {}
            }
        }
        Ok(ports)
    }

    /// Where each can be reached: what it is, and its URL.
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        let url = |port: &TcpListener, path: &str| Some(format!("http://{}{path}", port.local_addr().ok()?));
        let health = self.health.iter().filter_map(|(config, port)| Some(("health", url(port, &config.path)?)));
        let metrics = self.metrics.iter().filter_map(|port| Some(("metrics", url(port, "/metrics")?)));
        health.chain(metrics).collect()
    }

    /// Serves until told to stop.
    pub fn serve(
        self,
        tasks: &mut JoinSet<()>,
        scrape: &Scrape,
        unready: &Unready,
        stop: &CancellationToken,
        health: &Health,
    ) {
        for (config, port) in self.health {
            let listener = Listener::new(port, "health_check", Limits::default(), health);
            tasks.spawn(web::serve_health(listener, config, unready.clone(), stop.clone()));
        }
        for port in self.metrics {
            let listener = Listener::new(port, "prometheus", Limits::default(), health);
            tasks.spawn(web::serve_metrics(listener, scrape.clone(), stop.clone()));
        }
    }
}
