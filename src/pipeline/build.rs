//! Building: exporters behind their pumps, processors, and the routes between receivers and both.

use std::path::Path;
use std::sync::Arc;

use super::components::Component;
use super::plan::{Pipeline, Plan};
use super::queues::Queues;
use super::route::{Exit, Route};
use super::{Options, StartError};
use crate::config::{ComponentId, Section};
use crate::connector::Connector;
use crate::export::credentials::Credentials;
use crate::export::debug::DebugExporter;
use crate::export::otlp::Remote;
use crate::export::prometheus::Prometheus;
use crate::export::pump::Settings;
use crate::export::queue::Portion;
use crate::export::webhook::WebhookExporter;
use crate::export::{Exporter, Inlet, Pump, kafka, local, redis};
use crate::health::Health;
use crate::merge::Merge;
use crate::otlp::{Limit, Signal};
use crate::process::placeholders::Placeholders;
use crate::process::{Kind, Processor, attributes, batch, filter, redaction};

/// What a plan's pipelines become.
pub struct Built {
    /// The pipelines with their routes, in the plan's order.
    pub routes: Vec<(Pipeline, Arc<Route>)>,
    /// The running exporters.
    pub pumps: Vec<Pump>,
    /// Those that are scraped.
    pub prometheus: Vec<Arc<Prometheus>>,
    /// Files that are written, for the banner.
    pub files: Vec<std::path::PathBuf>,
    /// What is told how much has changed by hour and by day.
    pub bucket_pumps: Vec<Inlet>,
    /// What exporters say of themselves, by the extension that knows it.
    pub credentials: Vec<(ComponentId, Credentials)>,
}

/// Builds the pipelines of a plan.
pub fn build(
    plan: &Plan,
    options: &Options,
    agent: Option<&Arc<Connector>>,
    live: &Arc<Merge>,
    health: &Health,
) -> Result<Built, StartError> {
    let mut builder = Builder {
        plan,
        options,
        live,
        health,
        inlets: Vec::new(),
        queues: Queues::below(&options.data_dir),
        built: Built::empty(),
        scraped: Vec::new(),
        redis: Vec::new(),
    };
    for pipeline in &plan.pipelines {
        let route = builder.route(pipeline, agent)?;
        builder.built.routes.push((pipeline.clone(), Arc::new(route)));
    }
    builder.queues.tell_of_others();
    Ok(builder.built)
}

struct Builder<'p> {
    plan: &'p Plan,
    options: &'p Options,
    /// Where events go for whoever listens.
    live: &'p Arc<Merge>,
    health: &'p Health,
    /// Pumps by exporter and by what they carry.
    inlets: Vec<(ComponentId, &'static str, Inlet)>,
    queues: Queues<'p>,
    scraped: Vec<(ComponentId, Arc<Prometheus>)>,
    /// Exporters that run already, with what takes their events.
    redis: Vec<(ComponentId, Option<Inlet>)>,
    built: Built,
}

impl Builder<'_> {
    fn route(&mut self, pipeline: &Pipeline, agent: Option<&Arc<Connector>>) -> Result<Route, StartError> {
        let mut processors = Vec::new();
        let mut batching = None;
        for id in &pipeline.processors {
            match self.plan.component(Section::Processors, id) {
                Some(Component::Batch(config)) => batching = Some(*config),
                Some(component) => processors.extend(self.processor(id, component, pipeline)?),
                None => {}
            }
        }
        let mut exits = Vec::new();
        if let (true, Some(agent)) = (pipeline.to_agent, agent) {
            exits.push(Exit::Agent(agent.clone()));
        }
        for id in &pipeline.exporters {
            exits.extend(self.exit(id, pipeline, batching, agent)?);
        }
        let is_fed = (pipeline.from_agent || pipeline.to_agent) && pipeline.signal == Signal::Metrics;
        Ok(Route {
            signal: pipeline.signal,
            processors,
            placeholders: Placeholders::new(&pipeline.id.to_string(), self.health),
            exits,
            fed_by: agent.filter(|_| is_fed).cloned(),
        })
    }

    fn processor(
        &self,
        id: &ComponentId,
        component: &Component,
        pipeline: &Pipeline,
    ) -> Result<Option<Processor>, StartError> {
        let failed = |message| StartError::Component { id: id.to_string(), message };
        let kind = match component {
            Component::Filter(config) => Kind::Filter(Box::new(filter::Filter::new(config).map_err(failed)?)),
            Component::Attributes(config) => {
                Kind::Attributes(Box::new(attributes::Attributes::new(config).map_err(failed)?))
            }
            Component::Redaction(config) => {
                Kind::Redaction(redaction::Redaction::new(config, &id.to_string(), self.health).map_err(failed)?)
            }
            // The gate in front of the receivers does its work.
            _ => return Ok(None),
        };
        Ok(Some(Processor::new(kind, &id.to_string(), &pipeline.id, self.health)))
    }

    fn exit(
        &mut self,
        id: &ComponentId,
        pipeline: &Pipeline,
        batching: Option<batch::Config>,
        agent: Option<&Arc<Connector>>,
    ) -> Result<Option<Exit>, StartError> {
        let Some(component) = self.plan.component(Section::Exporters, id) else { return Ok(None) };
        if let Component::History(_) = component {
            // It reads the journal, which everything goes into that is shown.
            return Ok(None);
        }
        if let Component::WebSocket(_) = component {
            return Ok(Some(Exit::Live(self.live.clone())));
        }
        if let Component::Prometheus(config) = component {
            let known = self.scraped.iter().find(|(known, _)| known == id).map(|(_, prometheus)| prometheus.clone());
            let prometheus = known.unwrap_or_else(|| {
                let prometheus = Arc::new(Prometheus::new(config.clone()));
                self.scraped.push((id.clone(), prometheus.clone()));
                self.built.prometheus.push(prometheus.clone());
                prometheus
            });
            return Ok(Some(Exit::Prometheus(prometheus)));
        }
        if let (Component::Redis(config), Some(agent), true) = (component, agent, pipeline.from_agent) {
            return Ok(self.redis(id, config, agent)?.map(Exit::Pump));
        }
        let carries = match component {
            // One file or console has one writer, whatever it is given.
            Component::File(_) | Component::Debug(_) => "all",
            _ if pipeline.from_agent && pipeline.signal == Signal::Logs => "events",
            _ => pipeline.signal.name(),
        };
        let failed = |message| StartError::Component { id: id.to_string(), message };
        let filter = match component {
            Component::Webhook(config) => Some(Arc::new(config.filter().map_err(failed)?)),
            _ => None,
        };
        let exit = |inlet| match &filter {
            Some(filter) => Exit::Filtered(inlet, filter.clone()),
            None => Exit::Pump(inlet),
        };
        let known = self.inlets.iter().find(|(known, of, _)| known == id && *of == carries);
        if let Some((_, _, inlet)) = known {
            return Ok(Some(exit(inlet.clone())));
        }
        let credentials = self.credentials(component).map_err(failed)?;
        let (settings, exporters) =
            exporter(id, component, &credentials, &self.options.data_dir, batching).map_err(failed)?;
        if let Some(Exporter::File(file)) = exporters.first() {
            self.built.files.push(file.path().to_owned());
        }
        let name = id.to_string();
        let queue = self.queues.open(&name, carries, &settings, self.health).map_err(failed)?;
        let pump = Pump::with_queue(queue, &name, carries, settings, exporters, self.health);
        let inlet = pump.inlet();
        self.built.pumps.push(pump);
        self.inlets.push((id.clone(), carries, inlet.clone()));
        Ok(Some(exit(inlet)))
    }

    /// What an exporter says of itself: the same as all others that name the same extension.
    fn credentials(&mut self, exporter: &Component) -> Result<Credentials, String> {
        let Some((id, credentials)) = self.plan.credentials(exporter)? else { return Ok(Credentials::default()) };
        if let Some((_, known)) = self.built.credentials.iter().find(|(known, _)| known == id) {
            return Ok(known.clone());
        }
        self.built.credentials.push((id.clone(), credentials.clone()));
        Ok(credentials)
    }

    /// Runs an exporter of Redis, once for however many pipelines end in it.
    fn redis(
        &mut self,
        id: &ComponentId,
        config: &redis::Config,
        agent: &Connector,
    ) -> Result<Option<Inlet>, StartError> {
        if let Some((_, inlet)) = self.redis.iter().find(|(known, _)| known == id) {
            return Ok(inlet.clone());
        }
        let failed = |message| StartError::Component { id: id.to_string(), message };
        let keep_buckets = || agent.keep_buckets();
        let redis::Started { pumps, events, changes } =
            redis::start(&id.to_string(), config, keep_buckets, self.health).map_err(failed)?;
        self.built.pumps.extend(pumps);
        self.built.bucket_pumps.extend(changes);
        self.redis.push((id.clone(), events.clone()));
        Ok(events)
    }
}

/// An exporter and how it is pumped: as many of it as attempts may be under way at a time.
fn exporter(
    id: &ComponentId,
    component: &Component,
    credentials: &Credentials,
    data_dir: &Path,
    batching: Option<batch::Config>,
) -> Result<(Settings, Vec<Exporter>), String> {
    match component {
        Component::File(config) => {
            let (settings, exporter) = local::file(config, data_dir);
            Ok((settings, vec![Exporter::File(exporter)]))
        }
        Component::Webhook(config) => {
            let one = || WebhookExporter::new(config, credentials).map(Exporter::Webhook);
            let exporters = (0..config.sending_queue.num_consumers).map(|_| one()).collect::<Result<_, _>>()?;
            Ok((config.settings(), exporters))
        }
        Component::Kafka(config) => Ok((batched(config.settings(), batching), kafka::exporters(config)?)),
        Component::Redis(config) => {
            let (settings, exporters) = redis::telemetry(&id.to_string(), config)?;
            Ok((batched(settings, batching), exporters))
        }
        Component::Debug(config) => {
            let exporter = DebugExporter::new(config)?;
            Ok((local::debug(), vec![Exporter::Debug(exporter)]))
        }
        _ => match component.remote() {
            Some(receiver) => remote(&receiver, credentials, batching),
            None => Err("this component is no exporter".into()),
        },
    }
}

fn remote(
    remote: &Remote,
    credentials: &Credentials,
    batching: Option<batch::Config>,
) -> Result<(Settings, Vec<Exporter>), String> {
    let (settings, exporters) = remote.exporters(Portion::USUAL, None, credentials)?;
    Ok((batched(settings, batching), exporters))
}

/// As the processor `batch` wants it.
fn batched(mut settings: Settings, batching: Option<batch::Config>) -> Settings {
    let Some(batch) = batching else { return settings };
    (settings.portion.enough, settings.portion.wait) = (batch.send_batch_size, batch.timeout.0);
    settings.portion.items = batch.send_batch_size.max(1);
    if batch.send_batch_max_size > 0 {
        settings.portion.items = batch.send_batch_max_size;
        settings.split = Some(Limit { bytes: usize::MAX, items: batch.send_batch_max_size });
    }
    settings
}

impl Built {
    fn empty() -> Built {
        Built {
            routes: Vec::new(),
            pumps: Vec::new(),
            prometheus: Vec::new(),
            files: Vec::new(),
            bucket_pumps: Vec::new(),
            credentials: Vec::new(),
        }
    }
}
