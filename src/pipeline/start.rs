//! Starting: from a plan to a running collector. All ports are bound before anything is taken.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::build::{Built, build};
use super::components::{AgentConfig, Component};
use super::doors::{Bound, Door};
use super::past::{self, JournalConfig};
use super::plan::{Pipeline, Plan};
use super::ports::Ports;
use super::reloads::{self, Reloads};
use super::route::{Route, Router};
use super::run::{Addresses, Running};
use super::{Options, background, endpoint};
use crate::archive::{self, Archive};
use crate::config::{ComponentId, Section};
use crate::connector::{BudgetFile, Connector, EventSink, LedgerFile};
use crate::export::Inlet;
use crate::flow::{Gate, SharedIntake};
use crate::health::Health;
use crate::history::History;
use crate::hub::Hub;
use crate::journal::{Journal, OpenError};
use crate::listen::{Limits, Serving};
use crate::merge::Merge;
use crate::otlp::Signal;
use crate::receive::otlp::{self, Service};
use crate::receive::{Events, kafka, redis};
use crate::recent::Recent;
use crate::web::{self, State};

/// Why nothing runs.
#[derive(Debug)]
pub enum StartError {
    /// A port cannot be had.
    Bind {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A port would be open to other machines, and nobody said that this is meant.
    Exposed {
        /// Which.
        address: String,
        /// Whose.
        port: String,
    },
    /// A component cannot be made.
    Component {
        /// Which.
        id: String,
        /// Why.
        message: String,
    },
}

/// Starts everything that the plan names.
pub async fn start(plan: Plan, options: &Options) -> Result<Running, StartError> {
    let health = Health::default();
    let gate = Arc::new(Gate::new());
    let receivers = bind_receivers(&plan, options).await?;
    let web = bind_web(&plan, options).await?;
    let ports = Ports::bind(&plan, options).await?;
    let recent_events = web.as_ref().map_or(0, |(config, _)| config.recent_events);
    let wants_hub = recent_events > 0 || plan.journal().is_some();
    let agent = agent(&plan, wants_hub);
    let Kept { budgets, ledger, journal, history, archive } = Kept::open(&plan, options, agent.as_ref(), &health)?;
    let hub = match plan.mirrored() {
        Some(epoch) => Arc::new(Hub::mirroring(recent_events, epoch)),
        None => past::hub(recent_events, journal.as_ref(), history.clone()),
    };
    let recent = Arc::new(Recent::new(web.as_ref().map_or(0, |(config, _)| config.recent_spans_mib << 20)));
    let sockets = plan.sockets().cloned().unwrap_or_default();
    let live = Merge::new(hub.clone(), sockets.merge_chunks.0, sockets.merge_progress.0);
    let mut built = build(&plan, options, agent.as_ref(), &live, &health)?;
    if let Some(agent) = &agent {
        agent.send_changes_to(built.bucket_pumps.iter().cloned().map(Inlet::into_change_sink).collect());
        let takes_all = wants_hub && plan.sockets().is_none();
        agent.send_events_to(event_sinks(&built.routes, takes_all.then_some(&live)));
        agent.keep_spans_in(recent.clone());
        agent.show(&health);
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(live.clone().run());
    archive.into_iter().for_each(|archive| drop(tasks.spawn(archive.run())));
    background::spawn(&mut tasks, &plan, agent.as_ref(), &gate, &built);
    budgets.iter().for_each(|budgets| drop(tasks.spawn(budgets.clone().keep_written())));
    ledger.iter().for_each(|ledger| drop(tasks.spawn(ledger.clone().keep_written())));
    let receivers_at = receivers.iter().map(|receiver| receiver.bound.at(receiver.transport)).collect();
    let web_at = web.as_ref().map(|(_, bound)| bound.at("http"));
    let addresses =
        Addresses { receivers: receivers_at, web: web_at, beside: ports.addresses(), files: built.files.clone() };
    let (reload, asked) = watch::channel(());
    let mut reloads = Reloads::new(asked, &health);
    for (id, credentials) in std::mem::take(&mut built.credentials) {
        reloads.add(&id.to_string(), reloads::USUAL, move || credentials.renew());
    }
    let serving = serve_receivers(receivers, &plan, &built, agent.as_ref(), &gate, (&health, &mut reloads))?;
    let stop_web = CancellationToken::new();
    let (scrape, unready) =
        (endpoint::scrape(agent.as_ref(), &health, &built), endpoint::unready(agent.as_ref(), &hub, &built));
    ports.serve(&mut tasks, &scrape, &unready, &stop_web, (&health, &mut reloads));
    if let Some((config, bound)) = web {
        let router = Arc::new(Router { history: history.clone(), ..router(&built, None, agent.as_ref()) });
        let events = Events::new("web", "http", router, gate.clone(), otlp::config::MAX_MESSAGE, &health);
        let auth = web_door(&config).auth(&plan, &mut reloads)?;
        let demo = addresses.web.and_then(|web| endpoint::demo(options, web, &addresses.receivers));
        let state = endpoint::state(agent.as_ref(), hub, recent, &health, (scrape, unready), events);
        let (allowed_hosts, receivers) = (config.allowed_hosts, addresses.receivers.clone());
        let state = State { auth, allowed_hosts, sockets, receivers, demo, history: history.clone(), ..state };
        let listener = bound.listener(Limits::default(), &health, &mut reloads).behind(gate.clone());
        tasks.spawn(web::serve(listener, Arc::new(state), stop_web.clone()));
    }
    endpoint::show_process(&health, &gate);
    let Built { pumps, routes, .. } = built;
    Ok(Running {
        addresses,
        agent,
        budgets,
        ledger,
        health,
        gate,
        serving,
        pumps,
        routes,
        live,
        journal,
        history,
        tasks,
        stop_web,
        reload,
        reloads,
        started: Instant::now(),
    })
}

fn web_door(config: &web::Config) -> Door<'_> {
    Door { name: "web", tls: config.tls.as_ref(), auth: config.auth.as_ref() }
}

/// What outlives the program, in the folder of data.
struct Kept {
    budgets: Option<Arc<BudgetFile>>,
    ledger: Option<Arc<LedgerFile>>,
    journal: Option<Arc<Journal>>,
    history: Option<Arc<History>>,
    archive: Option<Archive>,
}

impl Kept {
    fn open(
        plan: &Plan,
        options: &Options,
        agent: Option<&Arc<Connector>>,
        health: &Health,
    ) -> Result<Kept, StartError> {
        let file = |name: &str| options.data_dir.join(name);
        let budgets = agent.and_then(|agent| BudgetFile::read(agent, file(BudgetFile::NAME))).map(Arc::new);
        // Who keeps no events keeps no sums of them either.
        let keeps = agent.filter(|_| plan.journal().is_some());
        let ledger = keeps.map(|agent| Arc::new(LedgerFile::read(agent, file(LedgerFile::NAME))));
        let journal = plan.journal().map(|config| open_journal(&config, options, health)).transpose()?;
        let history = open_history(plan, journal.as_ref(), options, health)?;
        let archive = open_archive(plan, journal.as_ref(), options, health)?;
        Ok(Kept { budgets, ledger, journal, history, archive })
    }
}

/// The port of the web endpoint, if there is one.
async fn bind_web(plan: &Plan, options: &Options) -> Result<Option<(web::Config, Bound)>, StartError> {
    let Some(config) = plan.web() else { return Ok(None) };
    Ok(Some((config.clone(), web_door(config).bind(&config.endpoint, options).await?)))
}

fn open_journal(config: &JournalConfig, options: &Options, health: &Health) -> Result<Arc<Journal>, StartError> {
    let failed = |error: OpenError| StartError::Component {
        id: "journal".into(),
        message: format!("{error}; without `journal` in service.extensions events are kept in memory only"),
    };
    config.open(&options.data_dir, health).map_err(failed)
}

fn open_history(
    plan: &Plan,
    journal: Option<&Arc<Journal>>,
    options: &Options,
    health: &Health,
) -> Result<Option<Arc<History>>, StartError> {
    let (Some(config), Some(journal)) = (plan.history(), journal) else { return Ok(None) };
    let failed = |message| StartError::Component { id: "history".into(), message };
    config.open(&options.data_dir, journal, health).map(Some).map_err(failed)
}

fn open_archive(
    plan: &Plan,
    journal: Option<&Arc<Journal>>,
    options: &Options,
    health: &Health,
) -> Result<Option<Archive>, StartError> {
    let Some(journal) = journal else { return Ok(None) };
    let Some(config) = plan.archive() else {
        // What it did not come to is kept for nobody.
        archive::forget(journal);
        return Ok(None);
    };
    let failed = |message| StartError::Component { id: "archive".into(), message };
    Archive::new(config, options.data_dir.join("archive"), journal, health).map(Some).map_err(failed)
}

/// Receivers with ports, and those without because they read what is elsewhere.
fn serve_receivers(
    receivers: Vec<BoundReceiver>,
    plan: &Plan,
    built: &Built,
    agent: Option<&Arc<Connector>>,
    gate: &Arc<Gate>,
    (health, reloads): (&Health, &mut Reloads),
) -> Result<Vec<Serving>, StartError> {
    let mut serving = Vec::new();
    for receiver in receivers {
        let router = Arc::new(router(built, Some(&receiver.id), agent));
        serving.push(receiver.serve(router, gate.clone(), plan, (health, &mut *reloads))?);
    }
    for (_, id, component) in plan.components.iter().filter(|(section, _, _)| *section == Section::Receivers) {
        let intake = || -> SharedIntake { Arc::new(router(built, Some(id), agent)) };
        let read = match component {
            Component::RedisReceiver(config) => redis::serve(&id.to_string(), config, &intake(), gate, health),
            Component::KafkaReceiver(config) => kafka::serve(&id.to_string(), config, &intake(), gate, health),
            _ => continue,
        };
        serving.push(read.map_err(|message| StartError::Component { id: id.to_string(), message })?);
    }
    Ok(serving)
}

/// A receiver's bound port.
struct BoundReceiver {
    id: ComponentId,
    name: String,
    transport: &'static str,
    bound: Bound,
    config: Box<otlp::Config>,
}

impl BoundReceiver {
    fn serve(
        self,
        router: Arc<Router>,
        gate: Arc<Gate>,
        plan: &Plan,
        (health, reloads): (&Health, &mut Reloads),
    ) -> Result<Serving, StartError> {
        let protocols = &self.config.protocols;
        let (limit, streams) = match (self.transport, &protocols.grpc, &protocols.http) {
            ("grpc", Some(grpc), _) => (grpc.max_recv_msg_size_mib << 20, grpc.max_concurrent_streams),
            (_, _, Some(http)) => (http.max_request_body_size, Limits::default().streams),
            _ => (otlp::config::MAX_MESSAGE, Limits::default().streams),
        };
        let mut service = Service::new(&self.id.to_string(), self.transport, router, gate.clone(), limit, health);
        if let Some(http) = &protocols.http {
            service = service.with_http(http);
        }
        let auth = door(protocols, self.transport, &self.name).auth(plan, reloads)?;
        let limits = Limits { streams, ..Limits::default() };
        let listener = self.bound.listener(limits, health, reloads).behind(gate);
        Ok(otlp::serve(listener, service.with_auth(auth)))
    }
}

/// Who may come in by a protocol of a receiver.
fn door<'c>(protocols: &'c otlp::config::Protocols, transport: &str, name: &'c str) -> Door<'c> {
    let (tls, auth) = match (transport, &protocols.grpc, &protocols.http) {
        ("grpc", Some(grpc), _) => (grpc.tls.as_ref(), grpc.auth.as_ref()),
        (_, _, Some(http)) => (http.tls.as_ref(), http.auth.as_ref()),
        _ => (None, None),
    };
    Door { name, tls, auth }
}

async fn bind_receivers(plan: &Plan, options: &Options) -> Result<Vec<BoundReceiver>, StartError> {
    let mut bound_receivers = Vec::new();
    for (_, id, component) in plan.components.iter().filter(|(section, _, _)| *section == Section::Receivers) {
        let Component::OtlpReceiver(config) = component else { continue };
        let grpc = config.protocols.grpc.as_ref().map(|grpc| ("grpc", &grpc.endpoint));
        let http = config.protocols.http.as_ref().map(|http| ("http", &http.endpoint));
        for (transport, endpoint) in [grpc, http].into_iter().flatten() {
            let name = format!("{id}/{transport}");
            let bound = door(&config.protocols, transport, &name).bind(endpoint, options).await?;
            bound_receivers.push(BoundReceiver { id: id.clone(), name, transport, bound, config: config.clone() });
        }
    }
    Ok(bound_receivers)
}

/// The agent connector, if any pipeline or the web endpoint needs it. Events are built only if somebody wants
/// them.
fn agent(plan: &Plan, wants_hub: bool) -> Option<Arc<Connector>> {
    let has_web = plan.web().is_some();
    if !has_web && !plan.pipelines.iter().any(|pipeline| pipeline.to_agent) {
        return None;
    }
    let default = AgentConfig::default();
    let config = plan.agent().unwrap_or(&default);
    let read = |pipeline: &Pipeline| pipeline.from_agent && pipeline.signal == Signal::Logs;
    let wants_events = wants_hub || plan.pipelines.iter().any(read);
    let mut settings = config.settings(plan.prices.clone(), wants_events);
    settings.limits.spans = settings.limits.spans.min(plan.spans_that_fit());
    let connector = Connector::with_budgets(settings, config.budgets.clone(), "");
    connector.watch(config.alerts(), config.human_timeout.map(|span| span.0));
    Some(Arc::new(connector))
}

fn event_sinks(routes: &[(Pipeline, Arc<Route>)], live: Option<&Arc<Merge>>) -> Vec<EventSink> {
    let mut sinks: Vec<EventSink> = Vec::new();
    if let Some(live) = live.cloned() {
        sinks.push(Box::new(move |records| live.publish(records)));
    }
    for (_, route) in routes.iter().filter(|(pipeline, _)| pipeline.from_agent && pipeline.signal == Signal::Logs) {
        let route = route.clone();
        sinks.push(Box::new(move |records| route.push_events(records)));
    }
    sinks
}

/// What a receiver feeds; without one, only the agent connector.
fn router(built: &Built, receiver: Option<&ComponentId>, agent: Option<&Arc<Connector>>) -> Router {
    let routes = &built.routes;
    let feeds = |pipeline: &Pipeline| receiver.is_some_and(|id| pipeline.receivers.contains(id));
    let of_events = routes.iter().filter(|(pipeline, _)| pipeline.from_agent && pipeline.signal == Signal::Logs);
    Router {
        routes: routes.iter().filter(|(pipeline, _)| feeds(pipeline)).map(|(_, route)| route.clone()).collect(),
        bucket_pumps: built.bucket_pumps.clone(),
        event_pumps: of_events.flat_map(|(_, route)| route.pumps().cloned()).collect(),
        agent: agent.cloned(),
        history: None,
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "{address} is in use; another collector may be running. Choose another port in the configuration or \
                 with --set"
            ),
            StartError::Bind { address, error } => write!(f, "cannot listen on {address}: {error}"),
            StartError::Exposed { address, port } => write!(
                f,
                "{port}: {address} would be open to other machines without authentication: give it `auth`, or `tls` with a \
                 `client_ca_file`; if it is meant, add --insecure-bind"
            ),
            StartError::Component { id, message } => write!(f, "{id}: {message}"),
        }
    }
}

impl std::error::Error for StartError {}
