//! The worker's half: commands of all threads, put in order, become spans, notes and events for the deriver.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Source;
use super::callsite::field;
use super::cancel::{Moment, is_result};
use super::closed::{Beside, Closed};
use super::command::{Command, Reader, Tag, Value, fields};
use super::lanes::{Buffers, Emitted};
use super::open::{End, OpenSpan};
use super::order::{Clock, Step, What, steps};
use super::set::Settable;
use super::tell::{Ids, Told, Writer};
use crate::event::Timestamp;
use crate::semconv::Key;

/// How much may wait, and how much is kept.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of commands about the lives of spans that may wait, of all threads together.
    pub life_bytes: usize,
    /// Bytes of content that may wait.
    pub content_bytes: usize,
    /// Spans that may be open at a time; of those that are beyond, the oldest are forgotten.
    pub open_spans: usize,
    /// How often an open span says that it lives.
    pub heartbeat: Duration,
}

/// Reads what the layer writes.
pub struct Follower {
    source: Arc<Source>,
    clock: Clock,
    pub(super) open: HashMap<u64, OpenSpan, RandomState>,
    /// The ids of spans that closed a short while ago, for what follows from them.
    closed: Closed,
    ids: Ids,
    pub(super) writer: Writer,
    /// Spans that began and were not told of yet.
    unheard_of: Vec<u64>,
    spare: Vec<Buffers>,
    /// What was written after the moment up to which the last pass was complete.
    late: Vec<Buffers>,
    /// Open spans that had to be forgotten.
    forgotten: u64,
    /// Ends that had found no room when that was last looked after.
    ends_dropped: u64,
    asks_again: bool,
    /// Spans that the registry did not know any more when the last pass ended.
    gone: Vec<u64>,
    pub(super) next_beat: u64,
    /// Spans with something that is still being merged.
    pub(super) pending: Vec<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { life_bytes: 16 << 20, content_bytes: 32 << 20, open_spans: 50_000, heartbeat: Duration::from_secs(10) }
    }
}

impl Follower {
    /// How long a span that was not entered may wait for it before it counts as begun: without an OpenTelemetry
    /// layer beside ours, and with one, whose ids are not to be had before.
    const UNENTERED: u64 = 50_000_000;
    const UNENTERED_WITH_OTEL: u64 = 1_000_000_000;
    /// How far spans that follow from one another are followed.
    const MOST_FOLLOWED: u32 = 64;
    /// How long a span may wait for what it is called.
    const UNNAMED: u64 = 40_000_000;

    /// Follows a source. `service` and `instance` go with every span.
    pub fn new(source: Arc<Source>, service: &str, instance: &str) -> Follower {
        let clock = Clock::new(source.lanes().now(), Timestamp::now());
        Follower {
            source,
            clock,
            open: HashMap::default(),
            closed: Closed::default(),
            ids: Ids::default(),
            writer: Writer::new(service, instance),
            unheard_of: Vec::new(),
            spare: Vec::new(),
            late: Vec::new(),
            forgotten: 0,
            ends_dropped: 0,
            asks_again: false,
            gone: Vec::new(),
            next_beat: 0,
            pending: Vec::new(),
        }
    }

    /// Spans that are open.
    pub fn open_spans(&self) -> usize {
        self.open.len()
    }

    /// Open spans that had to be forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Reads everything that was written before the call. What came of it is for the deriver, in order.
    /// With `all`, spans that wait for something are told of as they are.
    pub fn pass(&mut self, limits: &Limits, all: bool) -> Vec<Told> {
        let source = self.source.clone();
        let horizon = source.lanes().now();
        self.clock = self.clock.checked(horizon, Timestamp::now());
        let mut taken = std::mem::take(&mut self.late);
        let were_late = taken.len();
        taken.extend(source.lanes().take(&mut self.spare));
        let (mut told, mut late) = (Vec::new(), Vec::new());
        for Step { stamp, thread, what, .. } in steps(&mut taken, horizon, &mut late) {
            match what {
                What::Command(command) => self.follow(&command, Moment { stamp, thread }, limits, &mut told),
                What::Emitted(emitted) => self.emit(*emitted, &mut told),
            }
        }
        taken.into_iter().skip(were_late).for_each(|buffers| source.lanes().give_back(buffers, &mut self.spare));
        self.late = late;
        self.tell_pending(if all { u64::MAX } else { horizon }, &mut told);
        self.end_what_is_gone(horizon, all, &mut told);
        self.tell_spans(if all { u64::MAX } else { horizon }, &mut told);
        self.beat(horizon, limits.heartbeat, &mut told);
        told
    }

    /// Ends what is open, because the program ends: it was never heard to be over.
    pub fn finish(&mut self, told: &mut Vec<Told>) {
        let now = self.source.lanes().now();
        let mut open: Vec<(u64, u64)> = self.open.iter().map(|(id, span)| (span.began, *id)).collect();
        open.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id) in open {
            self.close(id, End { stamp: now, panicked: false, called_off: true }, told);
        }
        self.tell_spans(now, told);
    }

    fn follow(&mut self, command: &Command<'_>, at: Moment, limits: &Limits, told: &mut Vec<Told>) {
        let id = command.span;
        match command.tag {
            Tag::New => self.begin(command, limits, told),
            Tag::Enter => {
                let around =
                    self.open.get(&id).and_then(|span| self.open.get(&span.parent)).map(|span| span.life.clone());
                self.change(id, |span| span.life.enter(at, around.as_ref()));
            }
            Tag::Exit => self.change(id, |span| span.life.leave(at)),
            Tag::Close => {
                let [panicked, in_task] = [0, 1].map(|place| command.payload.get(place) == Some(&1));
                let called_off = self.open.get(&id).is_some_and(|span| span.life.was_called_off(at, in_task));
                self.close(id, End { stamp: at.stamp, panicked, called_off }, told);
            }
            Tag::Fields => self.record(id, command.payload),
            Tag::Set => self.change(id, |span| set(span, command.payload)),
            Tag::Follows => self.follow_from(id, command.payload),
            Tag::Error | Tag::Said => self.said(command),
            Tag::Ids => self.change(id, |span| span.take_ids(command.payload)),
            Tag::Chunk => self.chunk(command, told),
            Tag::Progress => self.progress(command),
        }
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut OpenSpan)) {
        if let Some(span) = self.open.get_mut(&id) {
            change(span);
        }
    }

    fn begin(&mut self, command: &Command<'_>, limits: &Limits, told: &mut Vec<Told>) {
        let source = self.source.clone();
        let mut reader = Reader(command.payload);
        let (Some(number), Some(parent)) = (reader.u32(), reader.u64()) else { return };
        let Some(callsite) = source.callsites.get(number) else { return };
        if self.open.contains_key(&command.span) {
            // Its end found no room: the registry gives an id again only when the span is gone.
            self.close(command.span, End::unseen(command.stamp), told);
        }
        let mut span = OpenSpan::new(callsite, parent, command.stamp, self.clock);
        for (index, value) in fields(reader.0) {
            if let Some(name) = callsite.field_name(index) {
                span.record(name, &value);
            }
        }
        self.change(parent, |parent| {
            parent.has_part = true;
            parent.life.say(false);
        });
        self.open.insert(command.span, span);
        self.unheard_of.push(command.span);
        if self.open.len() > limits.open_spans {
            self.forget_the_oldest(limits.open_spans);
        }
    }

    fn record(&mut self, id: u64, payload: &[u8]) {
        let Some(span) = self.open.get_mut(&id) else { return };
        let Some(callsite) = self.source.callsites.find(span.metadata) else { return };
        for (index, value) in fields(payload) {
            if let Some(name) = callsite.field_name(index) {
                span.record(name, &value);
                span.life.say(is_result(name));
            }
        }
    }

    /// A log event in the span: an error fails it, and what some crates log about their calls is said of it.
    fn said(&mut self, command: &Command<'_>) {
        let mut reader = Reader(command.payload);
        let Some(callsite) = reader.u32().and_then(|number| self.source.callsites.get(number)) else { return };
        let Some(span) = self.open.get_mut(&command.span) else { return };
        let mut texts: [Option<String>; 2] = [None, None];
        for (index, value) in fields(reader.0) {
            let Some(name) = callsite.field_name(index) else { continue };
            match (name, &value) {
                (field::ERROR | field::ERR | field::EXCEPTION_MESSAGE, Value::Text(text)) => {
                    texts[0] = Some((*text).into())
                }
                (field::MESSAGE, Value::Text(text)) => texts[1] = Some((*text).into()),
                _ => {
                    span.record(name, &value);
                    span.life.say(is_result(name));
                }
            }
        }
        span.life.say(false);
        let [error, message] = texts;
        match (command.tag, error, message) {
            (Tag::Error, Some(text), _) | (Tag::Error, None, Some(text)) => span.fail(text),
            // What it says may come with the content, or not at all.
            (Tag::Error, None, None) => span.fail_somehow(),
            (_, _, Some(text)) => span.note(text, command.stamp),
            _ => {}
        }
    }

    fn follow_from(&mut self, id: u64, payload: &[u8]) {
        let followed = Reader(payload).u64();
        self.change(id, |span| span.follows = span.follows.or(followed));
    }

    fn emit(&mut self, emitted: Emitted, told: &mut Vec<Told>) {
        self.change(emitted.span, |span| span.life.say(false));
        // Whatever it still waits for: what happens in it has to have something to happen in.
        self.tell_those_above(emitted.span);
        told.extend(self.writer.batch());
        let ids = self.open.get(&emitted.span).and_then(|span| span.ids);
        told.push(Told::Event { event: emitted.event, within: ids });
    }

    fn close(&mut self, id: u64, end: End, told: &mut Vec<Told>) {
        if !self.open.contains_key(&id) {
            return;
        }
        self.tell_pending_of(id, u64::MAX, told);
        self.name(id);
        let Some(span) = self.open.remove(&id) else { return };
        self.change(span.parent, |parent| parent.life.part_ended());
        if let Some(beside) = span.beside() {
            self.closed.remember(id, beside);
        }
        self.tell_those_above(span.parent);
        self.writer.put(&span, Some(end));
    }

    /// Gives a span its ids, and those above it theirs.
    fn name(&mut self, id: u64) {
        self.name_within(id, Follower::MOST_FOLLOWED);
    }

    /// The outermost first, one by one: lines are as long as the code makes them, and the stack is not.
    fn name_within(&mut self, id: u64, followed: u32) {
        let (mut line, mut at) = (Vec::new(), id);
        while let Some(span) = self.open.get(&at).filter(|span| !span.is_named()) {
            line.push(at);
            if line.len() > self.open.len() {
                break;
            }
            at = span.parent;
        }
        while let Some(id) = line.pop() {
            self.name_one(id, followed);
        }
    }

    fn name_one(&mut self, id: u64, followed: u32) {
        let Some(span) = self.open.get_mut(&id) else { return };
        let parent = span.parent;
        // Taken, because spans may follow from one another in a circle.
        let follows = span.follows.take().filter(|_| followed > 0);
        let above = self.open.get(&parent).and_then(|parent| parent.ids);
        let follows = follows.filter(|_| above.is_none()).and_then(|id| self.beside(id, followed - 1));
        let Some(span) = self.open.get_mut(&id) else { return };
        let own = match (span.ids, above, follows) {
            (Some(ids), _, _) => ids,
            (None, Some((trace, _)), _) => (trace, self.ids.span()),
            (None, None, Some(Beside { trace, parent, agent })) => {
                span.parent_id = parent;
                // Tools of an agent that has no span of its own follow from the calls that name it.
                if let Some(agent) = agent {
                    span.record_default(Key::GEN_AI_AGENT_NAME.name(), &Value::Text(&agent));
                }
                (trace, self.ids.span())
            }
            (None, None, None) => (self.ids.trace(), self.ids.span()),
        };
        span.ids = Some(own);
        span.parent_id = span.parent_id.or(above.map(|(_, id)| id));
        if above.is_none() {
            span.parent = 0;
        }
    }

    /// What a span hands on to what follows from it.
    fn beside(&mut self, id: u64, followed: u32) -> Option<Beside> {
        self.name_within(id, followed);
        self.open.get(&id).map_or_else(|| self.closed.find(id), OpenSpan::beside)
    }

    /// Ends spans whose own end found no room, because the registry knows them no more. It forgets a span a moment after
    /// the end was dropped, so it is asked once more in the next pass, and whenever somebody waits.
    fn end_what_is_gone(&mut self, now: u64, all: bool, told: &mut Vec<Told>) {
        let dropped = self.source.lanes().dropped().ends.load(std::sync::atomic::Ordering::Relaxed);
        let are_new = dropped != self.ends_dropped;
        if dropped == 0 || !(are_new || all || self.asks_again) {
            return;
        }
        self.asks_again = are_new;
        self.ends_dropped = dropped;
        // What was written since this pass began may have ended them: it is read first.
        for id in std::mem::take(&mut self.gone) {
            self.close(id, End::unseen(now), told);
        }
        self.gone = self.source.gone(self.open.keys().copied());
        self.asks_again |= !self.gone.is_empty();
    }

    /// Tells of spans that began, as far as they are ready for it.
    fn tell_spans(&mut self, now: u64, told: &mut Vec<Told>) {
        let patience =
            if self.source.otel.may_be_there() { Follower::UNENTERED_WITH_OTEL } else { Follower::UNENTERED };
        for id in std::mem::take(&mut self.unheard_of) {
            let Some(span) = self.open.get(&id).filter(|span| !span.is_told) else { continue };
            let age = now.saturating_sub(span.began);
            let has_begun = span.life.has_begun() || span.has_part || age > patience;
            if !has_begun || (span.awaits_its_name() && age < Follower::UNNAMED) {
                self.unheard_of.push(id);
                continue;
            }
            if !span.life.has_begun()
                && span.ids.is_none()
                && let Some(ids) = self.source.otel_ids(id)
            {
                self.change(id, |span| span.take_ids(&ids));
            }
            self.tell_those_above(id);
        }
        told.extend(self.writer.batch());
    }

    /// Tells of a span and of those above it, the outermost first, that they have begun.
    pub(super) fn tell_those_above(&mut self, id: u64) {
        let mut line = Vec::new();
        let mut at = id;
        while let Some(span) = self.open.get(&at).filter(|span| !span.is_told) {
            line.push(at);
            at = span.parent;
        }
        for id in line.into_iter().rev() {
            self.name(id);
            if let Some(span) = self.open.get_mut(&id) {
                span.is_told = true;
                self.writer.put(span, None);
            }
        }
    }

    fn forget_the_oldest(&mut self, bound: usize) {
        let above: HashSet<u64, RandomState> = self.open.values().map(|span| span.parent).collect();
        // What others hang below stays, or they would be torn apart.
        let leaves = self.open.iter().filter(|(id, _)| !above.contains(id));
        let mut began: Vec<(u64, u64)> = leaves.map(|(id, span)| (span.began, *id)).collect();
        if began.is_empty() {
            return;
        }
        // A tenth at a time, so that not every new span has to look at all of them.
        let leaving = self.open.len() - bound + bound / 10;
        let last = leaving.min(began.len() - 1);
        began.select_nth_unstable(last);
        for (_, id) in began.into_iter().take(leaving) {
            self.open.remove(&id);
            self.forgotten += 1;
        }
    }
}

fn set(span: &mut OpenSpan, payload: &[u8]) {
    for (number, value) in fields(payload) {
        if let Some(field) = Settable::of(number) {
            span.record(field.name(span.is_tool()), &value);
            span.life.say(field != Settable::ResponseModel);
        }
    }
}
