//! Loops: an agent that calls the same tool with the same arguments again and again, which is told once it has done so
//! three times, and then at 10, 30, 100 and so on.
//!
//! Arguments are not kept, only a hash of them. Calls count when they have ended, by spans and by events alike.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::emit::Teller;
use super::node::NodeIx;
use super::run::Run;
use crate::dialect::Matter;
use crate::event::{
    ComponentId, Data, Event, EventId, EventName, EventType, JsonObject, Scope, SpanId, Status, Timestamp, message,
};

/// The calls of tools of one run, by agent run, tool and arguments. Bounded: what a run calls beyond that, in so many
/// ways, is no loop that anybody could miss.
#[derive(Debug, Default)]
pub struct Loops {
    calls: HashMap<u64, Repeats, RandomState>,
    /// Of calls that events told to begin: what is made of their arguments.
    begun: HashMap<NodeIx, u64, RandomState>,
}

/// How often the same was called, and what the calls after the first took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Repeats {
    count: u32,
    wasted_micros: u64,
    wasted_usd: Option<f64>,
}

impl Loops {
    const MOST: usize = 4096;

    /// Whether no call of a tool was seen.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.begun.is_empty()
    }

    fn count(&mut self, call: u64, micros: u64, usd: impl FnOnce() -> Option<f64>) -> Option<Repeats> {
        if self.calls.len() >= Loops::MOST && !self.calls.contains_key(&call) {
            return None;
        }
        let repeats = self.calls.entry(call).or_default();
        repeats.count += 1;
        if repeats.count > 1 {
            repeats.wasted_micros = repeats.wasted_micros.saturating_add(micros);
            repeats.wasted_usd = usd().map(|usd| repeats.wasted_usd.unwrap_or(0.0) + usd).or(repeats.wasted_usd);
        }
        is_told_at(repeats.count).then_some(*repeats)
    }
}

/// Whether the diagnostic is told at a count: 3, 10, 30, 100 ….
fn is_told_at(count: u32) -> bool {
    let mut tens = count;
    while tens.is_multiple_of(10) && tens > 0 {
        tens /= 10;
    }
    count >= 3 && matches!(tens, 1 | 3)
}

impl Teller<'_> {
    /// The diagnostic of a call of a tool that has ended, if it is one too many.
    pub fn repeated(&self, loops: &mut Loops) -> Option<Event> {
        let (run, at) = (self.run, self.at());
        let input = self.content.input.as_ref().filter(|_| self.node().scope() == Some(Scope::Tool))?;
        let call = Call { run, at, arguments: hash_of(input) };
        let repeats = Some(loops).filter(|_| run.tool_counts(at)).and_then(|loops| call.count(loops))?;
        Some(call.diagnostic(repeats, self.event(EventType::Progress, self.node().end), |data| {
            input.put(data, "arguments");
        }))
    }
}

impl Run {
    /// An event tells of a call of a tool: the diagnostic, if it is one too many. Mostly the beginning has the arguments.
    pub fn repeated_by_events(&mut self, at: NodeIx, event: &Event, now: Timestamp) -> Option<Event> {
        if event.scope != Scope::Tool {
            return None;
        }
        let said = event.data.get("arguments").map(|arguments| arguments.to_string());
        let hash = said.as_ref().map(|said| xxh3_64(said.as_bytes()));
        let arguments = hash.or_else(|| self.loops.begun.get(&at).copied())?;
        if !event.is_end() {
            if self.loops.begun.len() < Loops::MOST {
                self.loops.begun.insert(at, arguments);
            }
            return None;
        }
        let mut loops = std::mem::take(&mut self.loops);
        loops.begun.remove(&at);
        let call = Call { run: self, at, arguments };
        let repeats = call.count(&mut loops);
        let told = repeats.and_then(|repeats| {
            let event = self.bare_event(at, EventType::Progress, now)?;
            Some(call.diagnostic(repeats, event, |data| {
                if let Some(said) = &said {
                    data.raw("arguments", said.as_bytes());
                }
            }))
        });
        self.loops = loops;
        told
    }
}

/// A call of a tool that has ended.
struct Call<'r> {
    run: &'r Run,
    at: NodeIx,
    /// What is made of its arguments.
    arguments: u64,
}

impl Call<'_> {
    /// Counts it; how often the same was called, if that is to be told.
    fn count(&self, loops: &mut Loops) -> Option<Repeats> {
        let node = self.run.node(self.at);
        loops.count(self.id(), node.duration_micros(), || self.run.cost(self.at))
    }

    /// The same for calls of one run of an agent that are the same.
    fn id(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(self.agent_run().map(|span| *span.as_bytes()).unwrap_or_default().as_slice());
        hash.update(self.run.node(self.at).name.as_deref().unwrap_or_default().as_bytes());
        hash.update(&self.arguments.to_be_bytes());
        hash.digest()
    }

    fn agent_run(&self) -> Option<SpanId> {
        self.run.surroundings(self.at).agent.map(|agent| self.run.node(agent).id)
    }

    /// The diagnostic. Its id is that of the run of the agent, the call and the count, in whatever order calls arrive.
    fn diagnostic(&self, repeats: Repeats, mut event: Event, put: impl FnOnce(&mut JsonObject<'_>)) -> Event {
        let tool = self.run.node(self.at).name.clone().unwrap_or_else(|| "tool".into());
        let times = repeats.count;
        if let Some(name) = EventName::parse("system.progress") {
            event.name = name;
        }
        (event.scope, event.status) = (Scope::System, Status::Running);
        event.component_id = ComponentId::System("tool_loop_detection".into());
        event.dimensions.tool = Some(tool.clone());
        if let (Some(trace), Some(span)) = (event.trace_id, self.agent_run().or(event.span_id)) {
            let sequence = (self.id() as u32).wrapping_add(times);
            event.event_id = EventId::of_span_fact(trace, span, event.name.as_str(), sequence);
        }
        event.message = Some(message(&format!("the tool {tool} was called {times} times with the same arguments")));
        event.data = Data::build(|data| {
            data.str("tool_name", &tool);
            put(data);
            data.u64("call_count", times.into());
            data.opt_str("agent", event.dimensions.agent.as_deref());
            data.f64("wasted_ms", repeats.wasted_micros as f64 / 1e3);
            data.opt_f64("wasted_usd", repeats.wasted_usd);
        });
        event
    }
}

fn hash_of(arguments: &Matter<'_>) -> u64 {
    match arguments {
        Matter::Said(said) if said.text().is_some() => {
            xxh3_64(said.text().map(|text| text.as_str()).unwrap_or_default().as_bytes())
        }
        _ => xxh3_64(Data::build(|data| arguments.put(data, "arguments")).as_json().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_told_at_three_and_at_powers() {
        let told: Vec<u32> = (0..2000).filter(|count| is_told_at(*count)).collect();
        assert_eq!(told, [3, 10, 30, 100, 300, 1000]);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut loops = Loops::default();
        for call in 0..10_000 {
            loops.count(call, 1, || None);
        }
        assert_eq!(loops.calls.len(), Loops::MOST);
        loops.count(0, 5, || Some(0.5));
        let expected = Repeats { count: 3, wasted_micros: 12, wasted_usd: Some(0.5) };
        assert_eq!(loops.count(0, 7, || None), Some(expected));
    }
}
