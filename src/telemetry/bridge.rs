//! Telemetry and a bus: what is derived is published, and what is published is telemetry, each once.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::emitter::Emitter;
use super::sink::left_of;
use crate::bus::Bus;
use crate::connector::EventSink;
use crate::event::SourceKind;
use crate::export::Left;
use crate::flow::SharedRecord;
use crate::health::Health;

/// The bus of telemetry, made when somebody asks for it: until then it costs nothing.
#[derive(Clone)]
pub struct Bridge {
    bus: Arc<OnceLock<Bus>>,
    emitter: Emitter,
    health: Arc<Health>,
    /// Whether it was made here, and hence ends with telemetry.
    is_own: bool,
}

impl Bridge {
    /// With a bus of the program's own, or none yet.
    pub fn new(bus: Option<Bus>, emitter: Emitter, health: Arc<Health>) -> Bridge {
        let bridge = Bridge { is_own: bus.is_none(), bus: Arc::default(), emitter, health };
        bus.into_iter().for_each(|bus| _ = bridge.bus.get_or_init(|| bridge.connect(bus)));
        bridge
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        self.bus.get_or_init(|| self.connect(Bus::new()))
    }

    /// What is published goes on from the publisher's thread, because that knows in which span it happens.
    fn connect(&self, bus: Bus) -> Bus {
        let emitter = self.emitter.clone();
        bus.tap(Box::new(move |event| emitter.emit(event.clone())));
        bus.show(&self.health);
        bus
    }

    /// Where derived events go.
    pub fn entrance(&self) -> EventSink {
        let bus = self.bus.clone();
        Box::new(move |records: &[SharedRecord]| {
            if let Some(bus) = bus.get() {
                // What was published comes back, and is there already.
                let derived = |record: &&SharedRecord| record.event().source.kind != SourceKind::Bus;
                bus.pass_on(records.iter().filter(derived));
            }
        })
    }

    /// Waits until its handlers have done everything; what they have left at the deadline.
    pub fn wait(&self, deadline: Instant) -> Vec<Left> {
        self.own().map(|bus| left_of(bus, deadline)).unwrap_or_default()
    }

    /// Ends the bus, if it ends with telemetry.
    pub fn end(&self, deadline: Instant) {
        if let Some(bus) = self.own() {
            bus.shutdown(deadline.saturating_duration_since(Instant::now()));
        }
    }

    fn own(&self) -> Option<&Bus> {
        self.bus.get().filter(|_| self.is_own)
    }
}
