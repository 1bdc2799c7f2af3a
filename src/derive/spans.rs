//! From spans to nodes: every span of a batch finds its run and its place in it.

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::cost::{Call as PricedCall, Price, Prices};
use super::held::Held;
use super::metrics::emitter_of;
use super::names::{Name, Names};
use super::node::{Call, Happened, Labels, NodeIx, Outcome, State};
use super::run::{Run, RunKey};
use super::running::Running;
use super::runs::RunIx;
use super::{Deriver, Output};
use crate::dialect::{self, Attributes, Content, Marks, Meaning, Op, Spot};
use crate::event::{Scope, SourceKind, SpanId, Timestamp, TraceId};
use crate::otlp::view::{AnyValue, Group, Span, StatusCode};
use crate::otlp::{Batch, Cursor};
use crate::semconv::{Key, resource};

/// What the resource and scope of a group of spans say of all of them.
pub(super) struct Emitter {
    source: SourceKind,
    instrumentation: Name,
    /// What its scope and resource are signs of.
    marks: Marks,
    pub service: Option<Name>,
    pub instance: Option<Name>,
    task: Option<Name>,
    feature: Option<Name>,
}

/// The keys under which a configuration finds the dimensions that no convention has a name for.
#[derive(Clone, Debug)]
pub struct DimensionKeys {
    pub feature: Vec<Key>,
    pub task: Vec<Key>,
    pub tags: Vec<Key>,
}

impl Deriver {
    /// How many spans are best taken in before what came of them is used: it and their nodes stay in the caches then.
    const PORTION: usize = 256;

    /// Takes the spans of a batch in: what began and ended with them goes to `out`.
    pub fn spans(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        let mut cursor = batch.cursor();
        while self.some_spans(&mut cursor, now, out) {}
    }

    /// The same of as many spans behind a place in a batch as are best taken in at a time; whether there may be more.
    pub fn some_spans(&mut self, cursor: &mut Cursor<'_>, now: Timestamp, out: &mut Output) -> bool {
        self.take_spans(cursor, Ended::All, now, out)
    }

    /// The same of spans seen while they live: one without an end goes on, and may come again with more attributes
    /// until it has ended.
    pub fn live_spans(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        let mut cursor = batch.cursor();
        while self.take_spans(&mut cursor, Ended::WithAnEnd, now, out) {}
    }

    fn take_spans(&mut self, cursor: &mut Cursor<'_>, ended: Ended, now: Timestamp, out: &mut Output) -> bool {
        let mut attributes = Attributes::with(std::mem::take(&mut self.habits));
        let mut touched: Vec<RunIx> = Vec::new();
        let mut last: Option<(TraceId, RunIx)> = None;
        let (batch, mut room) = (cursor.batch(), Deriver::PORTION);
        while room > 0
            && let Some(group) = cursor.enter()
        {
            let emitter = self.emitter(&group);
            let mut tells_of_calls = false;
            for record in cursor.by_ref().take(room) {
                room -= 1;
                attributes.clear();
                let span =
                    Span::read_with(record, |name, attribute| attributes.take_of(name, &self.lexicon, attribute));
                let (Some(trace), Some(id)) = (TraceId::from_bytes(span.trace_id), SpanId::from_bytes(span.span_id))
                else {
                    self.counts.invalid_ids += 1;
                    continue;
                };
                let pending = dialect::pending(&span, &attributes);
                let (id, parent) = match pending {
                    Some(pending) => (pending.span, pending.parent),
                    None => (id, SpanId::from_bytes(span.parent_span_id)),
                };
                let goes_on = pending.is_some() || (ended == Ended::WithAnEnd && span.end_time_unix_nano == 0);
                let spot = Spot::new(&emitter.instrumentation, emitter.marks, &span, &attributes, &self.lexicon);
                let content = || Content::may_be_in(&spot).then(|| batch.bytes().slice_ref(record));
                let (span, attributes, emitter) = (&span, &attributes, &emitter);
                let ix = dialect::read(&spot, |meaning| {
                    tells_of_calls |= meaning.is_some_and(|meaning| meaning.op.scope() == Scope::LlmRequest);
                    let arrival = Arrival { id, parent, span, goes_on, meaning, attributes, emitter, now };
                    self.take_span(&arrival, trace, last, content)
                });
                last = Some((trace, ix));
                if touched.last() != Some(&ix) {
                    touched.push(ix);
                }
            }
            if tells_of_calls {
                self.meters.sends_spans(&emitter.name());
            }
        }
        self.habits = attributes.into_habits();
        self.look_at(&each_once(touched), now, out);
        room == 0
    }

    /// Takes a span into its run, which may be that of the one before; the run.
    fn take_span(
        &mut self,
        arrival: &Arrival<'_, '_>,
        trace: TraceId,
        last: Option<(TraceId, RunIx)>,
        content: impl FnOnce() -> Option<Bytes>,
    ) -> RunIx {
        let Arrival { id, parent, span, goes_on, meaning, emitter, now, .. } = *arrival;
        self.counts.spans += 1;
        let of_coding_agent = meaning.filter(|meaning| meaning.coding_agent);
        let of_prompt = of_coding_agent.and_then(|meaning| self.prompt_of_span(meaning, span, parent, now));
        if let Some(call) = of_coding_agent.filter(|meaning| meaning.op.scope() == Scope::LlmRequest) {
            let session = call.session_id.as_deref().or(call.conversation_id.as_deref());
            self.is_told(session, emitter);
        }
        let ix = match (last, of_prompt) {
            (_, Some(prompt)) => self.runs.join(RunKey::Trace(trace), prompt, now),
            // It may have been joined with another one since.
            (Some((last_trace, ix)), None) if last_trace == trace && self.runs.get(ix).is_some() => ix,
            _ => self.runs.find_or_begin(RunKey::Trace(trace), now),
        };
        let wants_events = self.wants_events;
        let (names, prices, keys) = (&mut self.names, &mut self.prices, &self.dimension_keys);
        let taken = self.runs.change(ix, |run| {
            let at = arrival.take_in(run, names, prices, keys)?;
            if let Some(meaning) = of_coding_agent {
                run.say_trace(at, trace);
                arrival.take_place(run, at, meaning, names);
            }
            if wants_events && run.node(at).op.is_some() {
                run.forget_held(at);
                run.held.push(emitter.hold(at, now, content()));
            }
            Some(())
        });
        let is_new = taken.flatten().is_some();
        if is_new && !goes_on {
            self.leave_out_what_is_told_apart(ix, meaning, span, parent);
        }
        if !is_new && !goes_on && !self.was_seen_open(ix, id) {
            self.counts.duplicate_spans += 1;
        }
        ix
    }

    /// Tells what can be told of runs that something has come to.
    pub(super) fn look_at(&mut self, touched: &[RunIx], now: Timestamp, out: &mut Output) {
        for ix in touched {
            self.tell(*ix, now, self.limits.hold, out);
            self.runs.schedule(*ix, &self.limits);
        }
        self.keep_within_bounds(now, out);
    }

    /// Whether a span came while it was open: then its end may be told by its last record and by itself.
    fn was_seen_open(&self, ix: RunIx, id: SpanId) -> bool {
        let run = self.runs.get(ix);
        run.and_then(|run| Some(run.node(run.find(id)?).was_seen_open)).unwrap_or(false)
    }

    pub(super) fn emitter(&mut self, group: &Group<'_>) -> Emitter {
        let mut emitter = Emitter {
            source: self.source,
            instrumentation: self.names.share(group.scope.name.as_str()),
            marks: self.lexicon.marks_of_scope(group.scope.name.as_str()),
            service: None,
            instance: None,
            task: None,
            feature: None,
        };
        let mut best = [usize::MAX; 2];
        for attribute in group.resource.attributes() {
            let text = attribute.value.text().map(|text| text.as_str()).filter(|text| !text.is_empty());
            if let Some(text) = text {
                emitter.marks = emitter.marks.and(self.lexicon.marks_of_resource(attribute.key.as_str(), text));
            }
            match (attribute.key.as_str(), text) {
                (resource::SERVICE_NAME, Some(text)) => emitter.service = Some(self.names.share(text)),
                (resource::SERVICE_INSTANCE_ID, Some(text)) => emitter.instance = Some(self.names.share(text)),
                (key, _) => {
                    let (Some(key), Some(value)) = (self.lexicon.find(key.as_bytes()), as_label(attribute.value))
                    else {
                        continue;
                    };
                    let keys = &self.dimension_keys;
                    let dimensions = [(&keys.feature, &mut emitter.feature), (&keys.task, &mut emitter.task)];
                    for (best, (keys, dimension)) in best.iter_mut().zip(dimensions) {
                        // The first of the keys that is there, in the order of the configuration.
                        if let Some(rank) = keys.iter().position(|known| *known == key).filter(|rank| rank < best) {
                            (*best, *dimension) = (rank, Some(self.names.share(&value)));
                        }
                    }
                }
            }
        }
        emitter
    }
}

/// Runs in order, of which some stood there several times.
pub(super) fn each_once(mut runs: Vec<RunIx>) -> Vec<RunIx> {
    runs.sort_unstable();
    runs.dedup();
    runs
}

impl Emitter {
    /// What tells it from others.
    pub fn name(&self) -> String {
        emitter_of(self.service.as_deref().unwrap_or_default(), self.instance.as_deref().unwrap_or_default())
    }

    fn hold(&self, at: NodeIx, now: Timestamp, content: Option<Bytes>) -> Held {
        Held {
            at,
            since: now,
            content,
            instrumentation: self.instrumentation.clone(),
            marks: self.marks,
            service: self.service.clone(),
            instance: self.instance.clone(),
            waits_above: false,
        }
    }
}

/// Which spans of a batch have ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All, as in OTLP, whatever their end is said to be.
    All,
    /// Those that have an end.
    WithAnEnd,
}

/// The flags of a span that say where its parent is: that it is known, and that it is in another process.
const WHERE_PARENT_IS: u32 = 0x300;
const REMOTE: u32 = 0x300;
const LOCAL: u32 = 0x100;

/// One span on its way into its run, or what a log record tells in place of one.
pub(super) struct Arrival<'a, 'b> {
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub span: &'b Span<'a>,
    /// Whether it has not ended.
    pub goes_on: bool,
    pub meaning: Option<&'b Meaning<'a>>,
    pub attributes: &'b Attributes<'a>,
    pub emitter: &'b Emitter,
    pub now: Timestamp,
}

impl Arrival<'_, '_> {
    /// Fills in the span's node; nothing if the span was here already.
    pub fn take_in(
        &self,
        run: &mut Run,
        names: &mut Names,
        prices: &mut Prices,
        keys: &DimensionKeys,
    ) -> Option<NodeIx> {
        let at = run.find_or_expect(self.id);
        if run.node(at).has_span {
            return None;
        }
        run.node_mut(at).has_span = !self.goes_on;
        (run.last_seen, run.closed, run.lost) = (self.now, false, false);
        run.source = self.emitter.source;
        if run.service.is_none() {
            run.service = self.emitter.service.clone();
            run.instance = self.emitter.instance.clone();
        }
        let node = run.node_mut(at);
        node.has_remote_parent = self.span.flags & WHERE_PARENT_IS == REMOTE;
        node.has_local_parent = self.span.flags & WHERE_PARENT_IS == LOCAL;
        // It may have been given up as lost.
        node.outcome = Outcome::Completed;
        node.start = Timestamp::from_unix_nanos(self.span.start_time_unix_nano);
        node.end = Timestamp::from_unix_nanos(self.span.end_time_unix_nano).max(node.start);
        match self.meaning {
            Some(meaning) => {
                self.give_meaning(run, at, meaning, names, prices);
                let belongs_to = [&meaning.conversation_id, &meaning.session_id, &meaning.user_id];
                self.label(run, at, belongs_to.map(Option::as_deref), names, keys);
                if !self.goes_on {
                    run.unsettled.push((self.now, at));
                }
            }
            None => self.surround(run, at, names, keys),
        }
        if let Some(parent) = self.parent {
            run.link(at, parent);
        }
        run.node_mut(at).was_seen_open |= self.goes_on;
        if self.goes_on {
            // What has ended by an event does not begin again.
            if run.node(at).state != State::Ended {
                run.open_up(at);
            }
            return Some(at);
        }
        run.advance(at, State::Ended);
        run.promote(at);
        if run.node(at).is_call() {
            run.spread(at);
            run.complete_details(at);
            run.take_apart(at, prices);
            run.join_alike(at);
        } else if run.node(at).tells_of_calls {
            run.tell_of_calls(at);
        } else if run.node(at).told_usd().is_some() {
            run.count_only_here(at);
        }
        Some(at)
    }

    /// What a span that is none of ours says of the work around which it is: whose it is, and whether it failed.
    fn surround(&self, run: &mut Run, at: NodeIx, names: &mut Names, keys: &DimensionKeys) {
        if self.span.status_code == StatusCode::Error {
            let node = run.node_mut(at);
            let message = self.span.status_message.as_str();
            node.outcome = Outcome::Failed;
            node.error = (!message.is_empty()).then(|| crate::event::message(message));
        }
        if !self.attributes.is_empty() {
            let belongs_to = dialect::belongs_to(self.attributes);
            self.label(run, at, belongs_to.each_ref().map(Option::as_deref), names, keys);
        }
    }

    /// Puts it in its place among the work of a coding agent.
    fn take_place(&self, run: &mut Run, at: NodeIx, meaning: &Meaning<'_>, names: &mut Names) {
        let is_root = self.parent.is_none() && meaning.op != Op::InvokeAgent;
        if is_root && let (Some(prompt), Some(agent)) = (&meaning.prompt_id, meaning.agent_name) {
            // Nothing but their prompt holds them together.
            let start = run.node(at).start;
            run.begin_turn(turn_id(prompt), &names.share(agent), meaning.dialect, start, self.now);
        }
        run.took_span(at, call_id(meaning), is_root);
        if meaning.own_request && !run.is_own_request() {
            run.is_found_to_be_own_request();
        }
    }

    fn give_meaning(&self, run: &mut Run, at: NodeIx, meaning: &Meaning<'_>, names: &mut Names, prices: &mut Prices) {
        run.has_meaning |= meaning.is_work();
        let node = run.node_mut(at);
        node.op = Some(meaning.op);
        node.dialect = Some(meaning.dialect);
        node.name = self.own_name(meaning).map(|name| names.share(name));
        node.agent = meaning.agent_name.map(|name| names.share(name));
        (node.hint, node.inferred) = (meaning.hint, false);
        (node.is_silent, node.tells_of_calls) = (meaning.is_silent, meaning.tells_of_calls);
        node.aside = meaning.aside.as_ref().map(|aside| Box::new(Happened::keep(aside, |name| names.share(name))));
        node.provider = meaning.provider.as_deref().map(|name| names.share(name));
        node.model = meaning.model().map(|name| names.share(name));
        if meaning.canceled {
            node.outcome = Outcome::Canceled;
        } else if let Some(failure) = &meaning.failure {
            node.outcome = Outcome::Failed;
            node.error = match (failure.error_type, failure.message) {
                (Some(kind), Some(message)) if !message.contains(last_word(kind)) => {
                    Some(crate::event::message(&format!("{kind}: {message}")))
                }
                (_, Some(message)) => Some(crate::event::message(message)),
                (kind, None) => kind.map(|kind| names.share(kind)),
            };
        }
        // Until it has ended, nothing has tokens or a price.
        if !self.goes_on {
            let tells_alone = node.is_agent_run() && !node.below.used;
            node.call = self.call(tells_alone, meaning, names, prices).map(Box::new);
        }
        if let Some(id) = meaning.call_id() {
            run.note_call_id(at, id);
        }
        if run.node(at).answer().is_some() {
            run.may_have_waited(at);
        }
    }

    /// The tokens and the price of a call. What other work reports is the sum of the calls below it, or stands for them
    /// where they report nothing themselves.
    fn call(&self, tells_alone: bool, meaning: &Meaning<'_>, names: &mut Names, prices: &mut Prices) -> Option<Call> {
        let (usage, reported_usd) = (meaning.usage, meaning.reported_usd);
        let may_stand_for_calls = (tells_alone || meaning.tells_of_calls) && usage.is_known();
        let price = if meaning.op.scope() == Scope::LlmRequest || may_stand_for_calls {
            let at = self.span.end_time_unix_nano.max(self.span.start_time_unix_nano);
            let call = PricedCall {
                provider: meaning.provider.as_deref(),
                response_model: meaning.response_model,
                request_model: meaning.request_model,
                service_tier: meaning.service_tier,
                at: Timestamp::from_unix_nanos(at),
                usage: &usage,
            };
            prices.price(&call, reported_usd)
        } else if usage.is_known() || reported_usd.is_some() {
            Price::of_work(reported_usd)
        } else {
            return None;
        };
        Some(Call {
            usage,
            price,
            request_model: meaning.request_model.map(|name| names.share(name)),
            model_answered: meaning.response_model.is_some(),
            ttft_s: meaning.ttft_s,
            error_type: meaning.failure.as_ref().and_then(|failure| failure.error_type).map(|kind| names.share(kind)),
            running: meaning.running_total.map(|goes_on| Box::new(Running { told: usage, goes_on })),
        })
    }

    /// What the work is called: by an attribute, else by what follows the operation in the span's name.
    fn own_name<'m>(&'m self, meaning: &Meaning<'m>) -> Option<&'m str> {
        let attribute = match meaning.op.scope() {
            Scope::Workflow => meaning.workflow_name,
            Scope::WorkflowStep => meaning.step_name,
            Scope::Agent => meaning.agent_name,
            Scope::Tool => meaning.tool_name,
            Scope::LlmRequest | Scope::System => return meaning.step_name.filter(|_| meaning.hint.is_some()),
        };
        if attribute.is_some() {
            return attribute;
        }
        let span_name = self.span.name.as_str();
        let (first_word, rest) = span_name.split_once(' ').unwrap_or((span_name, ""));
        let after_operation = Some(rest.trim()).filter(|_| first_word == meaning.op.as_str());
        let by_name = after_operation.filter(|rest| !rest.is_empty()).unwrap_or(span_name);
        Some(by_name).filter(|name| !name.is_empty())
    }

    fn label(&self, run: &mut Run, at: NodeIx, belongs_to: [Option<&str>; 3], names: &mut Names, keys: &DimensionKeys) {
        let emitter = self.emitter;
        if !self.attributes.has_dimensions() && emitter.feature.is_none() && emitter.task.is_none() {
            run.label(at, belongs_to, None);
            return;
        }
        if run.labels.feature.is_none() && run.labels.task.is_none() {
            run.labels.feature = emitter.feature.clone();
            run.labels.task = emitter.task.clone();
        }
        let of_emitter = |said: &Option<Name>, of_run: &Option<Name>| said.clone().filter(|_| said != of_run);
        let feature = label_of(self.attributes, &keys.feature).map(|feature| names.share(&feature));
        let feature = feature.or_else(|| of_emitter(&emitter.feature, &run.labels.feature));
        let task = label_of(self.attributes, &keys.task);
        let task = task.or_else(|| of_emitter(&emitter.task, &run.labels.task));
        let tags = tags_of(self.attributes, &keys.tags, names);
        run.label(at, belongs_to, Some(Labels { task, feature, tags, ..Labels::default() }));
    }
}

/// The kind of an error without the module that it is of, which messages leave out.
fn last_word(kind: &str) -> &str {
    kind.rsplit(['.', ':']).next().filter(|word| !word.is_empty()).unwrap_or(kind)
}

/// The id of the node that stands for the agent's run for a prompt.
pub(super) fn turn_id(prompt: &str) -> SpanId {
    SpanId::from_bytes(&xxh3_64(prompt.as_bytes()).to_be_bytes()).unwrap_or(SpanId::FIRST)
}

/// What a call is known by.
pub(super) fn call_id(meaning: &Meaning<'_>) -> Option<u64> {
    meaning.call_id().map(|id| xxh3_64(id.as_bytes()))
}

fn label_of(attributes: &Attributes<'_>, keys: &[Key]) -> Option<Arc<str>> {
    keys.iter().find_map(|key| as_label(attributes.get(*key)?))
}

/// The tags under the first of the keys that is there: a list of texts, also as JSON, or one text with commas.
fn tags_of(attributes: &Attributes<'_>, keys: &[Key], names: &mut Names) -> Option<Arc<[Name]>> {
    let value = keys.iter().find_map(|key| attributes.get(*key))?;
    let mut share = |tag: &str| names.share(tag.trim());
    let tags: Arc<[Name]> = match value {
        AnyValue::Array(values) => values.values().filter_map(AnyValue::text).map(|tag| share(tag.as_str())).collect(),
        AnyValue::String(text) => match serde_json::from_str::<Vec<String>>(text.as_str()) {
            Ok(tags) => tags.iter().map(|tag| share(tag)).collect(),
            Err(_) => text.as_str().split(',').map(share).collect(),
        },
        _ => return None,
    };
    (!tags.is_empty()).then_some(tags)
}

fn as_label(value: AnyValue<'_>) -> Option<Arc<str>> {
    match value {
        AnyValue::String(text) if !text.is_empty() => Some(text.as_str().into()),
        AnyValue::Int(number) => Some(number.to_string().into()),
        _ => None,
    }
}
