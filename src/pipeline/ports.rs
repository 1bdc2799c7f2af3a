//! Ports beside those of receivers and of the web endpoint: the extension `health_check`, and exporters of Prometheus
//! that have an endpoint of their own.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::components::Component;
use super::doors::{Bound, Door};
use super::plan::Plan;
use super::reloads::Reloads;
use super::start::StartError;
use crate::health::Health;
use crate::listen::Limits;
use crate::web::{self, HealthCheckConfig, Scrape, Unready};

/// Bound ports that do not serve yet.
#[derive(Default)]
pub struct Ports {
    health: Vec<(HealthCheckConfig, Bound)>,
    metrics: Vec<Bound>,
}

impl Ports {
    /// Binds all that a plan names.
    pub async fn bind(plan: &Plan, options: &Options) -> Result<Ports, StartError> {
        let mut ports = Ports::default();
        for (_, _, component) in &plan.components {
            match component {
                Component::HealthCheck(config) => {
                    let door = Door { name: "health_check", tls: config.tls.as_ref(), auth: None };
                    ports.health.push((config.clone(), door.bind(&config.endpoint, options).await?));
                }
                Component::Prometheus(config) => {
                    if let Some(endpoint) = &config.endpoint {
                        let door = Door { name: "prometheus", tls: config.tls.as_ref(), auth: None };
                        ports.metrics.push(door.bind(endpoint, options).await?);
                    }
                }
                _ => {}
            }
        }
        Ok(ports)
    }

    /// Where each can be reached: what it is, and its URL.
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        let url = |port: &Bound, path: &str| format!("{}{path}", port.at("http").url());
        let health = self.health.iter().map(|(config, port)| ("health", url(port, &config.path)));
        let metrics = self.metrics.iter().map(|port| ("metrics", url(port, "/metrics")));
        health.chain(metrics).collect()
    }

    /// Serves until told to stop.
    pub fn serve(
        self,
        tasks: &mut JoinSet<()>,
        scrape: &Scrape,
        unready: &Unready,
        stop: &CancellationToken,
        (health, reloads): (&Health, &mut Reloads),
    ) {
        for (config, port) in self.health {
            let listener = port.listener(Limits::default(), health, reloads);
            tasks.spawn(web::serve_health(listener, config, unready.clone(), stop.clone()));
        }
        for port in self.metrics {
            let listener = port.listener(Limits::default(), health, reloads);
            tasks.spawn(web::serve_metrics(listener, scrape.clone(), stop.clone()));
        }
    }
}
