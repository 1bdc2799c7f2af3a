//! The plan: a configuration checked down to the last value, with nothing bound or opened yet.

use super::authenticators;
use super::components::{AgentConfig, Component, component};
use super::past::{HistoryConfig, JournalConfig};
use crate::archive;
use crate::config::{ComponentId, Config, Place, Problem, Section};
use crate::derive::cost::PriceSettings;
use crate::otlp::Signal;
use crate::web;

/// What is to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipelines, in the configuration's order.
    pub pipelines: Vec<Pipeline>,
    /// Components by section and id; only those that are used.
    pub components: Vec<(Section, ComponentId, Component)>,
    /// What calls cost.
    pub prices: PriceSettings,
    /// What does not stop anything, but is worth saying.
    pub warnings: Vec<Problem>,
}

/// One pipeline of components that exist and fit together.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its id.
    pub id: String,
    /// What it carries.
    pub signal: Signal,
    /// Receivers that feed it.
    pub receivers: Vec<ComponentId>,
    /// Whether the agent connector feeds it: with events as logs, with metrics as metrics.
    pub from_agent: bool,
    /// What changes it on its way.
    pub processors: Vec<ComponentId>,
    /// Exporters it ends in.
    pub exporters: Vec<ComponentId>,
    /// Whether it ends in the agent connector.
    pub to_agent: bool,
}

impl Pipeline {
    /// Whether it carries the events of the agent connector.
    fn carries_events(&self) -> bool {
        self.from_agent && self.signal == Signal::Logs
    }
}

impl Plan {
    /// How many spans may be in memory for its limit to be kept. Runs that took more would have every request refused for
    /// as long as nothing new pushes them out, and nothing new would come.
    pub fn spans_that_fit(&self) -> usize {
        /// What a span of a run takes, and of half of the memory, since there are queues and recent events as well.
        const BYTES: u64 = 1536;
        let limits = self.components.iter().filter_map(|(_, _, component)| match component {
            Component::MemoryLimiter(config) => config.limits().ok().map(|limits| limits.soft),
            _ => None,
        });
        limits.min().map_or(usize::MAX, |limit| (limit / 2 / BYTES) as usize)
    }

    /// A component that is used.
    pub fn component(&self, section: Section, id: &ComponentId) -> Option<&Component> {
        let mut components = self.components.iter();
        components.find(|(of, known, _)| *of == section && known == id).map(|(_, _, component)| component)
    }

    /// What the offsets of events are told from others by that are those of a log, if whoever listens is shown one.
    pub fn mirrored(&self) -> Option<String> {
        let shown = self.pipelines.iter().filter(|pipeline| {
            let is_socket = |id| matches!(self.component(Section::Exporters, id), Some(Component::WebSocket(_)));
            !pipeline.from_agent && pipeline.exporters.iter().any(is_socket)
        });
        let mut receivers = shown.flat_map(|pipeline| &pipeline.receivers);
        receivers.find_map(|id| match self.component(Section::Receivers, id) {
            Some(Component::RedisReceiver(config)) => config.epoch(),
            _ => None,
        })
    }

    /// The agent connector's configuration.
    pub fn agent(&self) -> Option<&AgentConfig> {
        self.components.iter().find_map(|(_, _, component)| match component {
            Component::Agent(config) => Some(config),
            _ => None,
        })
    }

    /// What WebSockets may do, if a pipeline says which events they get; else they get all.
    pub fn sockets(&self) -> Option<&web::SocketLimits> {
        self.components.iter().find_map(|(_, _, component)| match component {
            Component::WebSocket(config) => Some(config),
            _ => None,
        })
    }

    /// The journal extension's configuration: the usual one if nothing but history or the archive needs it.
    pub fn journal(&self) -> Option<JournalConfig> {
        let configured = self.components.iter().find_map(|(_, _, component)| match component {
            Component::Journal(config) => Some(config.clone()),
            _ => None,
        });
        let is_needed = self.history().is_some() || self.archive().is_some();
        configured.or_else(|| is_needed.then(JournalConfig::default))
    }

    /// The archive extension's configuration.
    pub fn archive(&self) -> Option<&archive::Config> {
        self.components.iter().find_map(|(_, _, component)| match component {
            Component::Archive(config) => Some(&**config),
            _ => None,
        })
    }

    /// The history exporter's configuration.
    pub fn history(&self) -> Option<&HistoryConfig> {
        self.components.iter().find_map(|(_, _, component)| match component {
            Component::History(config) => Some(config),
            _ => None,
        })
    }

    /// The web extension's configuration.
    pub fn web(&self) -> Option<&web::Config> {
        self.components.iter().find_map(|(_, _, component)| match component {
            Component::Web(config) => Some(config),
            _ => None,
        })
    }
}

/// Checks a configuration and makes a plan of it.
pub fn plan(config: &Config) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut components = Vec::new();
    for (section, id, node) in &config.components {
        let mut found = Vec::new();
        let component = component(*section, id, node, &mut found, &mut warnings);
        problems.extend(found.into_iter().filter(|problem| !config.is_explained(problem, node)));
        if is_used(config, *section, id) {
            components.extend(component.map(|component| (*section, id.clone(), component)));
        } else {
            let message = format!("`{id}` is configured but not used by any pipeline or in service.extensions");
            warnings.push(Problem { place: node.place, path: section.name().into(), message });
        }
    }
    let pipelines: Vec<Pipeline> = config.service.pipelines.iter().map(|p| pipeline(config, p)).collect();
    for (pipeline, source) in pipelines.iter().zip(&config.service.pipelines) {
        check(pipeline, source.place, &components, &mut problems);
    }
    check_agent(config, &pipelines, &mut problems, &mut warnings);
    check_sockets(config, &components, &mut problems);
    check_archives(config, &components, &mut problems);
    check_streams(config, &pipelines, &components, &mut problems);
    check_mirror(config, &pipelines, &components, &mut problems);
    check_topics(config, &pipelines, &components, &mut problems);
    authenticators::check(config, &components, &mut problems, &mut warnings);
    tell_of_content(config, &pipelines, &components, &mut warnings);
    let prices = prices(config, &components, &mut problems, &mut warnings);
    if problems.is_empty() { Ok(Plan { pipelines, components, prices, warnings }) } else { Err(problems) }
}

/// The prices that the agent connector is told of. A file that cannot be used is a problem of the configuration.
fn prices(
    config: &Config,
    components: &[(Section, ComponentId, Component)],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> PriceSettings {
    let agent = components.iter().find_map(|(section, id, component)| match component {
        Component::Agent(agent) => Some((config.component(*section, id)?, id, agent)),
        _ => None,
    });
    let Some((node, id, agent)) = agent else { return PriceSettings::default() };
    let place = node.get("prices").and_then(|prices| prices.get("overrides")).map_or(node.place, |node| node.place);
    let at_the_file = |message| Problem { place, path: format!("connectors.{id}.prices.overrides"), message };
    match agent.prices.load() {
        Ok(prices) => {
            let said = prices.overrides.iter().flat_map(|overrides| &overrides.warnings);
            warnings.extend(said.cloned().map(at_the_file));
            prices
        }
        Err(wrong) => {
            problems.extend(wrong.into_iter().map(at_the_file));
            PriceSettings::default()
        }
    }
}

fn is_used(config: &Config, section: Section, id: &ComponentId) -> bool {
    let service = &config.service;
    let mentions = |list: &[(ComponentId, Place)]| list.iter().any(|(mentioned, _)| mentioned == id);
    match section {
        Section::Receivers => service.pipelines.iter().any(|pipeline| mentions(&pipeline.receivers)),
        Section::Processors => service.pipelines.iter().any(|pipeline| mentions(&pipeline.processors)),
        Section::Exporters => service.pipelines.iter().any(|pipeline| mentions(&pipeline.exporters)),
        Section::Connectors => {
            service.pipelines.iter().any(|pipeline| mentions(&pipeline.receivers) || mentions(&pipeline.exporters))
        }
        Section::Extensions => mentions(&service.extensions),
    }
}

fn pipeline(config: &Config, source: &crate::config::Pipeline) -> Pipeline {
    let is_connector = |id: &ComponentId| config.component(Section::Connectors, id).is_some();
    let plain = |list: &[(ComponentId, Place)]| -> Vec<ComponentId> {
        list.iter().map(|(id, _)| id.clone()).filter(|id| !is_connector(id)).collect()
    };
    Pipeline {
        id: source.id.clone(),
        signal: source.signal,
        receivers: plain(&source.receivers),
        from_agent: source.receivers.iter().any(|(id, _)| is_connector(id)),
        processors: plain(&source.processors),
        exporters: plain(&source.exporters),
        to_agent: source.exporters.iter().any(|(id, _)| is_connector(id)),
    }
}

/// What cannot be in a pipeline of its kind.
fn check(
    pipeline: &Pipeline,
    place: Place,
    components: &[(Section, ComponentId, Component)],
    problems: &mut Vec<Problem>,
) {
    let mut problem = |message: String| {
        problems.push(Problem { place, path: format!("service.pipelines.{}", pipeline.id), message });
    };
    let find = |section: Section, id: &ComponentId| {
        components.iter().find(|(of, known, _)| *of == section && known == id).map(|(_, _, component)| component)
    };
    if pipeline.from_agent && pipeline.signal == Signal::Traces {
        problem("the connector `agent` gives events (logs) and metrics, not traces".into());
    }
    if pipeline.from_agent && pipeline.to_agent {
        problem("this pipeline leads from the connector `agent` back into it".into());
    }
    for id in &pipeline.receivers {
        let of_logs = pipeline.to_agent && pipeline.signal == Signal::Logs;
        if let (Some(Component::RedisReceiver(redis)), false) = (find(Section::Receivers, id), of_logs)
            && !redis.reads_telemetry()
        {
            problem(format!("`{id}` gives events, which belong into logs that end in the connector `agent`"));
        }
    }
    for id in &pipeline.exporters {
        if let (Some(Component::Prometheus(_)), Signal::Traces | Signal::Logs) =
            (find(Section::Exporters, id), pipeline.signal)
        {
            problem(format!("`{id}` takes metrics, not {}", pipeline.signal));
        }
        let of_events = pipeline.from_agent && pipeline.signal == Signal::Logs;
        let component = find(Section::Exporters, id);
        let takes_telemetry = matches!(component, Some(Component::Redis(redis)) if redis.takes_telemetry());
        if let (Some(Component::Redis(redis)), true) = (component, of_events)
            && !redis.takes_events()
        {
            problem(format!("`{id}` takes no events: name a `stream` or a `pubsub` channel there"));
        }
        if let (Some(Component::Webhook(_) | Component::Redis(_) | Component::History(_)), false) =
            (component, of_events || takes_telemetry)
        {
            let what =
                if matches!(component, Some(Component::Redis(_))) { ", and telemetry with `otlp.stream`" } else { "" };
            problem(format!(
                "`{id}` takes events: name it in a pipeline of logs whose receiver is the connector `agent`{what}"
            ));
        }
    }
    for id in &pipeline.exporters {
        let is_mirror =
            |id| matches!(find(Section::Receivers, id), Some(Component::RedisReceiver(it)) if it.epoch().is_some());
        let mirrors = pipeline.signal == Signal::Logs && matches!(&pipeline.receivers[..], [id] if is_mirror(id));
        let of_events = pipeline.from_agent && pipeline.signal == Signal::Logs;
        if let (Some(Component::WebSocket(_)), false) = (find(Section::Exporters, id), of_events != mirrors) {
            problem(format!(
                "`{id}` takes the events of the connector `agent`: `receivers: [agent]` in a pipeline of logs; or those of one \
                 receiver `redis` with `shared: false`"
            ));
        }
    }
    for id in &pipeline.processors {
        let of_events = pipeline.from_agent && pipeline.signal == Signal::Logs;
        if let (Some(Component::Attributes(_)), true) = (find(Section::Processors, id), of_events) {
            problem(format!("`{id}` changes telemetry; the events of the connector `agent` have no attributes"));
        }
    }
}

/// Content that does not go where telemetry goes, without anybody having said so.
fn tell_of_content(
    config: &Config,
    pipelines: &[Pipeline],
    components: &[(Section, ComponentId, Component)],
    warnings: &mut Vec<Problem>,
) {
    for (section, id, component) in components {
        let carries = |pipeline: &Pipeline| pipeline.signal != Signal::Metrics && pipeline.exporters.contains(id);
        let drops_unasked = match component {
            Component::Redis(redis) => redis.drops_unasked(),
            Component::Kafka(kafka) => kafka.drops_unasked(),
            Component::Archive(archive) => archive.drops_unasked(),
            _ => component.remote().is_some_and(|remote| remote.drops_unasked()),
        };
        let sends = matches!(component, Component::Archive(_))
            || (*section == Section::Exporters && pipelines.iter().any(carries));
        if !drops_unasked || !sends {
            continue;
        }
        let message = format!(
            "`{id}` sends beyond this machine, so prompts, answers, and what tools were given and gave are dropped; write \
             `content: keep` to send them, or `content: drop` not to be told"
        );
        let place = config.component(*section, id).map(|node| node.place).unwrap_or_default();
        warnings.push(Problem { place, path: section.name().into(), message });
    }
}

/// WebSockets are served by the web extension, all of them from one place.
fn check_sockets(config: &Config, components: &[(Section, ComponentId, Component)], problems: &mut Vec<Problem>) {
    let is_of = |wanted: fn(&Component) -> bool| components.iter().filter(move |(_, _, component)| wanted(component));
    let sockets: Vec<_> = is_of(|component| matches!(component, Component::WebSocket(_))).collect();
    let has_web = is_of(|component| matches!(component, Component::Web(_))).next().is_some();
    let mut problem = |id: &ComponentId, message: String| {
        let place = config.component(Section::Exporters, id).map(|node| node.place).unwrap_or_default();
        problems.push(Problem { place, path: format!("exporters.{id}"), message });
    };
    if let [_, (_, second, _), ..] = sockets.as_slice() {
        problem(second, format!("`{second}` is a second `websocket`; one serves all pipelines"));
    }
    if let ([(_, id, _), ..], false) = (sockets.as_slice(), has_web) {
        problem(id, format!("`{id}` needs the extension `web`, which serves it at /ws"));
    }
}

/// What several collectors show under the same offsets is numbered where it is read, and by nobody else.
fn check_mirror(
    config: &Config,
    pipelines: &[Pipeline],
    components: &[(Section, ComponentId, Component)],
    problems: &mut Vec<Problem>,
) {
    let sockets = components.iter().find(|(_, _, component)| matches!(component, Component::WebSocket(_)));
    let Some((_, socket, _)) = sockets else { return };
    let shown: Vec<&Pipeline> = pipelines.iter().filter(|pipeline| pipeline.exporters.contains(socket)).collect();
    if !shown.iter().any(|pipeline| !pipeline.from_agent) {
        return;
    }
    let place = config.component(Section::Exporters, socket).map(|node| node.place).unwrap_or_default();
    let mut problem = |message| problems.push(Problem { place, path: format!("exporters.{socket}"), message });
    if shown.len() > 1 {
        problem(format!(
            "`{socket}` shows a stream of Redis under the offsets that it has there, so it takes nothing else"
        ));
    }
    if components.iter().any(|(_, _, component)| matches!(component, Component::Journal(_) | Component::History(_))) {
        problem(format!(
            "`{socket}` shows a stream of Redis, which keeps the events; `journal` and `history` belong into a collector of \
             their own that reads it"
        ));
    }
}

/// The journal waits for one archive.
fn check_archives(config: &Config, components: &[(Section, ComponentId, Component)], problems: &mut Vec<Problem>) {
    let archives = components.iter().filter(|(_, _, component)| matches!(component, Component::Archive(_)));
    for (section, id, _) in archives.skip(1) {
        let place = config.component(*section, id).map(|node| node.place).unwrap_or_default();
        let message = format!("`{id}` is a second `archive`; storage itself can copy what is to be in two places");
        problems.push(Problem { place, path: format!("extensions.{id}"), message });
    }
}

/// What is read from the stream that it is written to would come again for ever.
fn check_streams(
    config: &Config,
    pipelines: &[Pipeline],
    components: &[(Section, ComponentId, Component)],
    problems: &mut Vec<Problem>,
) {
    let written = components.iter().filter_map(|(_, id, component)| match component {
        Component::Redis(redis) => redis.written_stream().map(|stream| (id, stream)),
        _ => None,
    });
    let written: Vec<_> = written.collect();
    for (_, reader, component) in components {
        let Component::RedisReceiver(redis) = component else { continue };
        let fed = pipelines.iter().filter(|pipeline| pipeline.receivers.contains(reader));
        let mut exporters = fed.flat_map(|pipeline| &pipeline.exporters);
        let comes_again = |id: &&ComponentId| {
            components.iter().any(|(of, known, component)| {
                let written = match component {
                    Component::Redis(writer) => writer.written_telemetry(),
                    _ => None,
                };
                *of == Section::Exporters && known == *id && written.is_some() && written == redis.read_telemetry()
            })
        };
        if let Some(writer) = exporters.find(comes_again) {
            let place = config.component(Section::Receivers, reader).map(|node| node.place).unwrap_or_default();
            let message =
                format!("what `{reader}` reads goes through a pipeline to `{writer}`, which writes it there again");
            problems.push(Problem { place, path: format!("receivers.{reader}"), message });
        }
        let into_agent = |of: &Pipeline| of.signal == Signal::Logs && of.to_agent && of.receivers.contains(reader);
        if redis.reads_events() && !pipelines.iter().any(into_agent) {
            let place = config.component(Section::Receivers, reader).map(|node| node.place).unwrap_or_default();
            let message = format!("`{reader}` gives events, which belong into logs that end in the connector `agent`");
            problems.push(Problem { place, path: format!("receivers.{reader}"), message });
        }
        if let Some((writer, stream)) = written.iter().find(|(_, stream)| redis.is_reading(stream)) {
            let place = config.component(Section::Receivers, reader).map(|node| node.place).unwrap_or_default();
            let message = format!("`{reader}` reads what the exporter `{writer}` writes: the stream {stream}");
            problems.push(Problem { place, path: format!("receivers.{reader}"), message });
        }
    }
}

/// What is read from the topic that it is written to would come again for ever; and events need somebody to take them.
fn check_topics(
    config: &Config,
    pipelines: &[Pipeline],
    components: &[(Section, ComponentId, Component)],
    problems: &mut Vec<Problem>,
) {
    let written = components.iter().flat_map(|(_, id, component)| {
        let Component::Kafka(kafka) = component else { return Vec::new() };
        let ending = pipelines.iter().filter(|pipeline| pipeline.exporters.contains(id));
        let signals = ending.map(|pipeline| (!pipeline.carries_events()).then_some(pipeline.signal));
        signals.filter_map(|signal| Some((id, kafka.written_topic(signal)?))).collect()
    });
    let written: Vec<_> = written.collect();
    for (_, reader, component) in components {
        let Component::KafkaReceiver(kafka) = component else { continue };
        let fed = || pipelines.iter().filter(|pipeline| pipeline.receivers.contains(reader));
        let place = config.component(Section::Receivers, reader).map(|node| node.place).unwrap_or_default();
        let mut problem = |message| problems.push(Problem { place, path: format!("receivers.{reader}"), message });
        let reads = |topic: &str| {
            kafka.is_reading(None, topic) || fed().any(|pipeline| kafka.is_reading(Some(pipeline.signal), topic))
        };
        if let Some((writer, topic)) = written.iter().find(|(_, topic)| reads(topic)) {
            problem(format!("`{reader}` reads what the exporter `{writer}` writes: the topic {topic}"));
        }
        if kafka.reads_events() && !fed().any(|pipeline| pipeline.signal == Signal::Logs && pipeline.to_agent) {
            problem(format!(
                "`{reader}` reads events, which belong into logs that end in the connector `agent`: name it there"
            ));
        }
    }
}

/// There is one core, so there is one connector.
fn check_agent(config: &Config, pipelines: &[Pipeline], problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    let connectors: Vec<_> =
        config.components.iter().filter(|(section, _, _)| *section == Section::Connectors).collect();
    if let [_, (_, second, node), ..] = connectors.as_slice() {
        let message = format!("`{second}` is a second `agent`; one serves all pipelines");
        problems.push(Problem { place: node.place, path: "connectors".into(), message });
    }
    let (fed, read) = (pipelines.iter().any(|p| p.to_agent), pipelines.iter().any(|p| p.from_agent));
    if let (Some((_, id, node)), true) = (connectors.first(), read && !fed) {
        let message = format!("`{id}` feeds a pipeline, but no pipeline ends in it: nothing will come");
        warnings.push(Problem { place: node.place, path: "connectors".into(), message });
    }
}
