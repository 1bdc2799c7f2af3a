//! Telemetry for one test, and what came of it.

use std::time::Duration;

use spanlight::Telemetry;
use spanlight::event::Event;
use tracing::subscriber::DefaultGuard;

/// Telemetry of the current thread.
pub struct Scene {
    pub telemetry: Telemetry,
    _default: DefaultGuard,
}

pub const PATIENCE: Duration = Duration::from_secs(10);

impl Scene {
    pub fn new() -> Scene {
        Scene::with(Telemetry::builder().service_name("test").build())
    }

    pub fn with(telemetry: Telemetry) -> Scene {
        let default = tracing::subscriber::set_default(telemetry.subscriber());
        Scene { telemetry, _default: default }
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.telemetry.flush(PATIENCE).unwrap();
        let page = self.telemetry.get_events(0);
        page.events.into_iter().map(|(_, record)| record.event().clone()).collect()
    }

    /// The events so far, each as its name and component.
    pub fn told(&self) -> Vec<String> {
        self.events().iter().map(|event| format!("{} {}", event.name, event.component_id)).collect()
    }
}

/// The one event of a name and a component.
pub fn find<'e>(events: &'e [Event], name: &str, component: &str) -> &'e Event {
    let fits = |event: &&Event| event.name == *name && event.component_id.to_string() == component;
    let found: Vec<&Event> = events.iter().filter(fits).collect();
    let shown = || events.iter().map(|event| event.to_json()).collect::<Vec<_>>().join("\n");
    assert_eq!(found.len(), 1, "{name} {component} in\n{}", shown());
    found[0]
}
