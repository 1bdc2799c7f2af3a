//! Routes: how a batch goes from a receiver through its pipelines.

use std::collections::HashSet;
use std::sync::Arc;

use crate::blocking::off_worker;
use crate::connector::Connector;
use crate::event::{Event, Filter, Timestamp, TraceId};
use crate::export::prometheus::Prometheus;
use crate::export::{Inlet, Keeping, Load};
use crate::flow::{Acknowledged, Imported, Intake, Mirrored, SharedRecord, Told};
use crate::history::History;
use crate::merge::Merge;
use crate::otlp::{Batch, Signal};
use crate::process::Processor;
use crate::process::placeholders::Placeholders;

/// One pipeline, from behind its receivers to its ends.
pub struct Route {
    /// What it carries.
    pub signal: Signal,
    /// What changes it on its way.
    pub processors: Vec<Processor>,
    /// What exporters do not get of spans that stand for others.
    pub placeholders: Placeholders,
    /// Where it ends.
    pub exits: Vec<Exit>,
    /// The agent connector, if it feeds the pipeline with metrics of its own.
    pub fed_by: Option<Arc<Connector>>,
}

/// An end of a pipeline.
pub enum Exit {
    /// The agent connector.
    Agent(Arc<Connector>),
    /// An exporter.
    Pump(Inlet),
    /// An exporter of the events that fit.
    Filtered(Inlet, Arc<Filter>),
    /// Metrics for scraping.
    Prometheus(Arc<Prometheus>),
    /// Events for whoever listens.
    Live(Arc<Merge>),
}

/// What one receiver feeds.
pub struct Router {
    /// The pipelines that name it.
    pub routes: Vec<Arc<Route>>,
    /// Exporters of events, which fill up with whatever the agent connector makes of the input.
    pub event_pumps: Vec<Inlet>,
    /// What writes what is counted by hour and by day.
    pub bucket_pumps: Vec<Inlet>,
    /// The agent connector, for events that come as JSON.
    pub agent: Option<Arc<Connector>>,
    /// What knows events of long ago.
    pub history: Option<Arc<History>>,
}

/// A batch behind the processors of a pipeline.
struct Processed {
    batch: Batch,
    /// Without the spans that stand for others, if there are any.
    without: Option<Batch>,
}

impl Processed {
    fn for_exporters(&self) -> &Batch {
        self.without.as_ref().unwrap_or(&self.batch)
    }
}

impl Route {
    /// What its processors leave of a batch, if anything.
    fn process(&self, batch: Batch) -> Option<Processed> {
        let batch = match &self.fed_by {
            Some(agent) => agent.without_what_is_derived_here(batch),
            None => batch,
        };
        let batch = self.processors.iter().try_fold(batch, |batch, processor| processor.batch(batch))?;
        let without = self.placeholders.leave_out(&batch);
        Some(Processed { batch, without })
    }

    /// Begins to put a batch into those ends where it has to be before it counts as taken.
    fn keep(&self, processed: &Processed) -> impl Iterator<Item = Keeping> {
        let waited_for = self.exits.iter().filter_map(|exit| match exit {
            Exit::Pump(pump) if pump.is_waited_for() => Some(pump),
            _ => None,
        });
        waited_for.map(|pump| pump.keep(processed.for_exporters().clone()))
    }

    /// Sends a batch to all ends but those.
    fn push(&self, processed: &Processed) {
        let batch = &processed.batch;
        for exit in &self.exits {
            match exit {
                Exit::Agent(agent) if Connector::takes_long(batch.items()) => off_worker(|| agent.batch(batch)),
                Exit::Agent(agent) => agent.batch(batch),
                // It is there.
                Exit::Pump(pump) if pump.is_waited_for() => {}
                Exit::Pump(pump) => pump.send(Load::Batches(vec![processed.for_exporters().clone()])),
                // A plan has it only where there are events.
                Exit::Filtered(..) => {}
                Exit::Prometheus(prometheus) => prometheus.absorb(batch, Timestamp::now()),
                // It takes events only, which come another way.
                Exit::Live(_) => {}
            }
        }
    }

    /// What its processors leave of a part of a log.
    fn leaves_of(&self, part: &Mirrored) -> Mirrored {
        let leave = |(offset, record): &(u64, SharedRecord)| match self.processors.as_slice() {
            [] => Some((*offset, record.clone())),
            processors => Some((*offset, process_event(processors, record)?)),
        };
        Mirrored { events: part.events.iter().filter_map(leave).collect(), ..*part }
    }

    /// Sends events of the agent connector to all ends.
    pub fn push_events(&self, records: &[SharedRecord]) {
        let records: Vec<SharedRecord> = match self.processors.as_slice() {
            [] => records.to_vec(),
            processors => records.iter().filter_map(|record| process_event(processors, record)).collect(),
        };
        if records.is_empty() {
            return;
        }
        for exit in &self.exits {
            match exit {
                Exit::Pump(pump) => pump.send(Load::Events(records.clone())),
                Exit::Live(live) => live.publish(&records),
                Exit::Filtered(pump, filter) => {
                    let fit = records.iter().filter(|record| filter.matches(record.event())).cloned();
                    let fit: Vec<SharedRecord> = fit.collect();
                    if !fit.is_empty() {
                        pump.send(Load::Events(fit));
                    }
                }
                Exit::Agent(_) | Exit::Prometheus(_) => {}
            }
        }
    }

    /// Sends a batch that is scraped elsewhere to the exporters only.
    pub fn push_to_pumps(&self, batch: Batch) {
        let processed = self.processors.iter().try_fold(batch, |batch, processor| processor.batch(batch));
        if let Some(batch) = processed {
            self.pumps().for_each(|pump| pump.send(Load::Batches(vec![batch.clone()])));
        }
    }

    /// Whether it ends in metrics for scraping.
    pub fn is_scraped(&self) -> bool {
        self.exits.iter().any(|exit| matches!(exit, Exit::Prometheus(_)))
    }

    /// The exporters it ends in.
    pub fn pumps(&self) -> impl Iterator<Item = &Inlet> {
        self.exits.iter().filter_map(|exit| match exit {
            Exit::Pump(pump) | Exit::Filtered(pump, _) => Some(pump),
            Exit::Agent(_) | Exit::Prometheus(_) | Exit::Live(_) => None,
        })
    }

    fn ends_in_agent(&self) -> bool {
        self.exits.iter().any(|exit| matches!(exit, Exit::Agent(_)))
    }
}

fn process_event(processors: &[Processor], record: &SharedRecord) -> Option<SharedRecord> {
    let mut event: Event = processors.first()?.event(record.event())?;
    for processor in &processors[1..] {
        event = processor.event(&event)?;
    }
    // An event that came through unchanged keeps the JSON that others may have written already.
    let unchanged = event == *record.event();
    Some(if unchanged { record.clone() } else { Arc::new(crate::flow::Record::new(event)) })
}

impl Router {
    /// What tells and counts what the agent connector makes of the input, and is waited for.
    fn told_of(&self) -> impl Iterator<Item = &Inlet> {
        self.event_pumps.iter().filter(|pump| !pump.is_lossy()).chain(&self.bucket_pumps)
    }
}

impl Intake for Router {
    fn takes(&self, signal: Signal) -> bool {
        self.routes.iter().any(|route| route.signal == signal)
    }

    fn takes_events(&self) -> bool {
        self.agent.is_some()
    }

    fn batch(&self, batch: Batch) -> Acknowledged<'_> {
        Box::pin(async move {
            let routes = || self.routes.iter().filter(|route| route.signal == batch.signal());
            // Room first, everywhere: what is refused must not have gone anywhere.
            let for_events = if routes().any(|route| route.ends_in_agent()) { &self.event_pumps[..] } else { &[] };
            Inlet::room(|| routes().flat_map(|route| route.pumps()).chain(for_events)).await?;
            let mut processed: Vec<(&Arc<Route>, Processed)> = Vec::new();
            for route in routes() {
                processed.extend(route.process(batch.clone()).map(|batch| (route, batch)));
            }
            // What goes to the disk, or to a receiver that is waited for, goes first: only that can still fail.
            Keeping::all(processed.iter().flat_map(|(route, processed)| route.keep(processed)).collect()).await?;
            processed.iter().for_each(|(route, processed)| route.push(processed));
            Ok(())
        })
    }

    fn events(&self, events: Vec<Event>) -> Acknowledged<'_> {
        Box::pin(async move {
            Inlet::room(|| self.event_pumps.iter()).await?;
            match &self.agent {
                Some(agent) if Connector::takes_long(events.len()) => off_worker(|| agent.events(events)),
                Some(agent) => agent.events(events),
                None => {}
            }
            Ok(())
        })
    }

    fn import(&self, mut events: Vec<Event>) -> Imported<'_> {
        Box::pin(async move {
            let told = events.len();
            if let Some(history) = &self.history {
                let known = off_worker(|| history.known(&events));
                // What cannot be looked up is taken: it may be told twice, but it is not lost.
                let known = known.unwrap_or_else(|message| {
                    crate::report::error(&message);
                    HashSet::new()
                });
                events.retain(|event| !known.contains(&event.event_id));
            }
            let known = told - events.len();
            self.events(events).await.map(|()| known)
        })
    }

    fn is_in_progress(&self, trace: TraceId) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.read(|core| core.deriver.is_in_progress(trace)))
    }

    fn forget(&self, traces: &[TraceId]) {
        if let Some(agent) = &self.agent {
            agent.forget(traces);
        }
    }

    fn told(&self) -> Told {
        self.told_of().map(Inlet::told).collect()
    }

    fn is_delivered(&self, told: &Told) -> bool {
        self.told_of().zip(told).all(|(pump, told)| pump.is_delivered(*told))
    }

    fn mirror(&self, part: &Mirrored) {
        for route in &self.routes {
            for exit in &route.exits {
                if let Exit::Live(live) = exit {
                    live.mirror(&route.leaves_of(part));
                }
            }
        }
    }
}
