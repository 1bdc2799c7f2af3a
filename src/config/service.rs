//! The shape that all configurations share: sections of components, and the pipelines that use them.

use std::fmt;

use serde::Deserialize;

use super::yaml::{Node, Place};
use super::{Config, Problem, de};
use crate::nearest::nearest;
use crate::otlp::Signal;

/// A section of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// What takes telemetry in.
    Receivers,
    /// What changes it on its way.
    Processors,
    /// What ends one pipeline and begins others.
    Connectors,
    /// What sends it on.
    Exporters,
    /// What else runs.
    Extensions,
}

/// The id of a component: its type, and a name where there are several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ComponentId {
    /// The type.
    pub kind: String,
    /// The name behind the slash.
    pub name: Option<String>,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Service {
    /// Extensions in use.
    pub extensions: Vec<(ComponentId, Place)>,
    /// Pipelines in the document's order.
    pub pipelines: Vec<Pipeline>,
}

/// One pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its id, such as `traces` or `logs/events`.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// What it carries.
    pub signal: Signal,
    /// What feeds it: receivers and connectors.
    pub receivers: Vec<(ComponentId, Place)>,
    /// What changes it, in order.
    pub processors: Vec<(ComponentId, Place)>,
    /// Where it ends: exporters and connectors.
    pub exporters: Vec<(ComponentId, Place)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    #[serde(default)]
    receivers: Vec<String>,
    #[serde(default)]
    processors: Vec<String>,
    #[serde(default)]
    exporters: Vec<String>,
}

const TOP_LEVEL: &[&str] = &["receivers", "processors", "connectors", "exporters", "extensions", "service"];
const SERVICE: &[&str] = &["extensions", "pipelines", "telemetry"];

/// Reads the general shape.
pub fn read(tree: Node, unresolved: Vec<Place>, problems: &mut Vec<Problem>) -> Option<Config> {
    let Some(top) = tree.entries() else {
        problems.push(at(tree.place, "", format!("a configuration is a map, not {}", tree.kind())));
        return None;
    };
    for (key, _) in top.iter().filter(|(key, _)| !TOP_LEVEL.contains(&key.text.as_str())) {
        problems.push(unknown(key.place, "", &key.text, TOP_LEVEL));
    }
    let mut components = Vec::new();
    for section in Section::ALL {
        let Some(node) = tree.get(section.name()) else { continue };
        let Some(entries) = node.entries() else {
            problems.push(at(
                node.place,
                section.name(),
                format!("a map of components is expected, not {}", node.kind()),
            ));
            continue;
        };
        for (key, node) in entries {
            match ComponentId::parse(&key.text) {
                // A component is where its name stands, which may be a line above its settings.
                Some(id) => components.push((section, id, Node { place: key.place, ..node.clone() })),
                None => problems.push(at(key.place, section.name(), format!("`{}` is no TYPE or TYPE/NAME", key.text))),
            }
        }
    }
    let service = read_service(&tree, problems)?;
    let config = Config { tree, components, service, unresolved };
    check_references(&config, problems);
    Some(config)
}

fn read_service(tree: &Node, problems: &mut Vec<Problem>) -> Option<Service> {
    let Some(node) = tree.get("service") else {
        let message = "there is no `service`; it says which pipelines run".to_owned();
        problems.push(at(tree.place, "", message));
        return None;
    };
    let entries = node.entries().unwrap_or_default();
    for (key, _) in entries.iter().filter(|(key, _)| !SERVICE.contains(&key.text.as_str())) {
        problems.push(unknown(key.place, "service", &key.text, SERVICE));
    }
    let extensions = node.get("extensions").and_then(|node| {
        let ids = de::read::<Vec<String>>(node, "service.extensions", problems)?;
        Some(ids_with_places(ids, Some(node), problems))
    });
    let mut pipelines = Vec::new();
    for (key, node) in node.get("pipelines").and_then(Node::entries).unwrap_or_default() {
        let path = format!("service.pipelines.{}", key.text);
        let kind = key.text.split('/').next().unwrap_or_default();
        let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.name() == kind) else {
            problems.push(unknown(key.place, "service.pipelines", kind, &["traces", "metrics", "logs"]));
            continue;
        };
        let Some(raw) = de::read::<RawPipeline>(node, &path, problems) else { continue };
        for (list, ids) in [("receivers", &raw.receivers), ("exporters", &raw.exporters)] {
            if ids.is_empty() {
                problems.push(at(key.place, &path, format!("a pipeline needs at least one of `{list}`")));
            }
        }
        pipelines.push(Pipeline {
            id: key.text.clone(),
            place: key.place,
            signal,
            receivers: ids_with_places(raw.receivers, node.get("receivers"), problems),
            processors: ids_with_places(raw.processors, node.get("processors"), problems),
            exporters: ids_with_places(raw.exporters, node.get("exporters"), problems),
        });
    }
    if pipelines.is_empty() {
        problems.push(at(node.place, "service", "there are no `pipelines`, so nothing would run".to_owned()));
    }
    Some(Service { extensions: extensions.unwrap_or_default(), pipelines })
}

fn ids_with_places(ids: Vec<String>, list: Option<&Node>, problems: &mut Vec<Problem>) -> Vec<(ComponentId, Place)> {
    let place = |index: usize| match list.map(|node| (&node.value, node.place)) {
        Some((super::yaml::Value::List(items), place)) => items.get(index).map_or(place, |item| item.place),
        Some((_, place)) => place,
        None => Place::default(),
    };
    let mut found = Vec::new();
    for (index, text) in ids.iter().enumerate() {
        match ComponentId::parse(text) {
            Some(id) => found.push((id, place(index))),
            None => problems.push(at(place(index), "service", format!("`{text}` is no TYPE or TYPE/NAME"))),
        }
    }
    found
}

/// Whatever a pipeline names must be there, and whatever is there should be named.
fn check_references(config: &Config, problems: &mut Vec<Problem>) {
    let mut check = |ids: &[(ComponentId, Place)], sections: &[Section], path: &str| {
        for (id, place) in ids {
            if sections.iter().any(|section| config.component(*section, id).is_some()) {
                continue;
            }
            let known: Vec<String> = config
                .components
                .iter()
                .filter(|(section, _, _)| sections.contains(section))
                .map(|(_, id, _)| id.to_string())
                .collect();
            let text = id.to_string();
            let hint = nearest(&text, known.iter().map(String::as_str));
            let hint = hint.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
            let section = sections[0].name();
            problems.push(at(*place, path, format!("`{text}` is not among the {section} of this configuration{hint}")));
        }
    };
    check(&config.service.extensions, &[Section::Extensions], "service.extensions");
    for pipeline in &config.service.pipelines {
        let path = |list: &str| format!("service.pipelines.{}.{list}", pipeline.id);
        check(&pipeline.receivers, &[Section::Receivers, Section::Connectors], &path("receivers"));
        check(&pipeline.processors, &[Section::Processors], &path("processors"));
        check(&pipeline.exporters, &[Section::Exporters, Section::Connectors], &path("exporters"));
    }
}

fn at(place: Place, path: &str, message: String) -> Problem {
    Problem { place, path: path.to_owned(), message }
}

fn unknown(place: Place, path: &str, key: &str, known: &[&'static str]) -> Problem {
    let hint = match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    at(place, path, format!("unknown key `{key}`; {hint}"))
}

// === impl Section, ComponentId ===

impl Section {
    /// All of them, in the order in which telemetry passes.
    pub const ALL: [Section; 5] =
        [Section::Receivers, Section::Processors, Section::Connectors, Section::Exporters, Section::Extensions];

    /// Its key in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Section::Receivers => "receivers",
            Section::Processors => "processors",
            Section::Connectors => "connectors",
            Section::Exporters => "exporters",
            Section::Extensions => "extensions",
        }
    }
}

impl ComponentId {
    /// Of `type` or `type/name`.
    pub fn parse(text: &str) -> Option<ComponentId> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        let valid = !kind.is_empty() && name.is_none_or(|name| !name.is_empty());
        valid.then(|| ComponentId { kind: kind.to_owned(), name: name.map(str::to_owned) })
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}
