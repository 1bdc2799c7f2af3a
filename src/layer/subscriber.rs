//! The layer itself: what happens to spans and log events becomes commands.

use std::any::Any;
use std::sync::Arc;

use tracing::field::Visit;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry, SpanRef};

use super::Source;
use super::callsite::Callsite;
use super::command::Tag;
use super::lanes::Lane;
use super::recent::{Recent, Word};
use super::visit::{Fields, Scratch};

/// A `tracing_subscriber` layer that derives domain events and metrics from the spans of an agent.
///
/// It composes with any registry and any other layers, and does next to nothing for spans that are none of its own.
/// Get one from [`crate::layer()`] or [`crate::Telemetry::layer`].
pub struct AgentLayer {
    source: Arc<Source>,
    /// What reads the source; it lives as long as the layer does.
    reader: Arc<dyn Any + Send + Sync>,
    /// What the spans are that each thread made last.
    made: Recent,
    /// The same for spans that other threads made, of which a thread does not hear when an id is used again.
    met: Recent,
}

impl AgentLayer {
    /// A layer that writes into a source, which something reads.
    pub(crate) fn new(source: Arc<Source>, reader: Arc<dyn Any + Send + Sync>) -> AgentLayer {
        AgentLayer { source, reader, made: Recent::new(), met: Recent::new() }
    }

    /// What reads it, if that is a `T`.
    pub(crate) fn reader<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.reader.clone().downcast().ok()
    }

    /// Where it writes.
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The layer of the subscriber that a span or the current thread reports to, if it has one.
    pub(crate) fn of(dispatch: &Dispatch) -> Option<&AgentLayer> {
        dispatch.downcast_ref::<AgentLayer>()
    }

    /// The nearest span that is ours, from a span of the registry on upwards.
    pub(crate) fn nearest(&self, dispatch: &Dispatch, id: &Id) -> Option<u64> {
        if self.made.recall(id.into_u64()).is_some_and(|word| word.callsite().is_some()) {
            return Some(id.into_u64());
        }
        let registry = dispatch.downcast_ref::<Registry>()?;
        self.ours(registry.span(id))
    }

    /// What a span of ours is. Mostly its own thread asks, which remembers.
    #[inline]
    fn recall<S: Subscriber + for<'r> LookupSpan<'r>>(&self, id: &Id, context: &Context<'_, S>) -> Option<Word> {
        let word = self.made.recall(id.into_u64()).unwrap_or_else(|| self.look_up(id, context));
        word.callsite().map(|_| word)
    }

    #[cold]
    fn look_up<S: Subscriber + for<'r> LookupSpan<'r>>(&self, id: &Id, context: &Context<'_, S>) -> Word {
        let callsite = context.metadata(id).and_then(|metadata| self.source.callsites.find(metadata));
        let word = Word::of(callsite.map(|callsite| callsite.number)).elsewhere();
        if self.met.recall(id.into_u64()).is_some_and(Word::has_asked) { word.asked() } else { word }
    }

    /// The ids of the OpenTelemetry layer, the first time that this thread asks.
    #[inline]
    fn push_ids(&self, id: &Id, word: Word) {
        if word.has_asked() {
            return;
        }
        let memory = if word.is_from_elsewhere() { &self.met } else { &self.made };
        memory.remember(id.into_u64(), word.asked());
        if let Some(ids) = self.source.subscriber().and_then(|dispatch| self.source.ask_otel(id, &dispatch)) {
            self.source.lanes.push(Lane::Life, Tag::Ids, id.into_u64(), &ids);
        }
    }

    /// Writes a command with fields down. `head` is repeated where the content travels apart.
    fn say(&self, tag: Tag, callsite: &Callsite, span: u64, head: &[u8], record: impl FnOnce(&mut dyn Visit)) {
        let mut scratch = Scratch::take();
        let content_head = if tag == Tag::New { &[][..] } else { head };
        scratch.facts.extend_from_slice(head);
        scratch.content.extend_from_slice(content_head);
        let mut fields = Fields::of(callsite, scratch);
        record(&mut fields);
        let scratch = fields.done();
        if scratch.facts.len() > head.len() || matches!(tag, Tag::New | Tag::Error) {
            self.source.lanes.push(Lane::Life, tag, span, &scratch.facts);
        }
        if scratch.content.len() > content_head.len() {
            let tag = if tag == Tag::New { Tag::Fields } else { tag };
            self.source.lanes.push(Lane::Content, tag, span, &scratch.content);
        }
        scratch.put_back();
    }

    /// The nearest span that is ours, from a span on upwards.
    fn ours<'r, R: LookupSpan<'r>>(&self, mut span: Option<SpanRef<'r, R>>) -> Option<u64> {
        while let Some(at) = span {
            if self.source.callsites.find(at.metadata()).is_some() {
                return Some(at.id().into_u64());
            }
            span = at.parent();
        }
        None
    }
}

impl<S> Layer<S> for AgentLayer
where
    S: Subscriber + for<'r> LookupSpan<'r>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer is part of one subscriber; a second registration would be another handle of the same.
        self.source.dispatch.get_or_init(|| dispatch.downgrade());
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.source.callsites.find(metadata);
        Interest::always()
    }

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let callsite = self.source.callsites.find(attributes.metadata());
        self.made.remember(id.into_u64(), Word::of(callsite.map(|callsite| callsite.number)));
        let Some(callsite) = callsite else { return };
        let parent = match attributes.parent() {
            Some(parent) => self.ours(context.span(parent)),
            None if attributes.is_contextual() => self.ours(context.lookup_current()),
            None => None,
        };
        if let Some(parent) = parent
            && let Some(word) = self.made.recall(parent).filter(|word| word.callsite().is_some())
        {
            // The OpenTelemetry layer is about to start it, if it was not entered yet: now it has ids.
            self.push_ids(&Id::from_u64(parent), word);
        }
        let mut head = [0; 12];
        head[..4].copy_from_slice(&callsite.number.to_le_bytes());
        head[4..].copy_from_slice(&parent.unwrap_or(0).to_le_bytes());
        self.say(Tag::New, callsite, id.into_u64(), &head, |fields| attributes.record(fields));
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(number) = self.recall(id, &context).and_then(Word::callsite) else { return };
        let Some(callsite) = self.source.callsites.get(number) else { return };
        let mut fields = Fields::of(callsite, Scratch::take());
        values.record(&mut fields);
        let scratch = fields.done();
        for (lane, payload) in [(Lane::Life, &scratch.facts), (Lane::Content, &scratch.content)] {
            if !payload.is_empty() {
                self.source.lanes.push(lane, Tag::Fields, id.into_u64(), payload);
            }
        }
        scratch.put_back();
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        // The one that is followed may be closed already, so only the follower is looked at.
        if context.metadata(id).is_some_and(|metadata| self.source.callsites.find(metadata).is_some()) {
            self.source.lanes.push(Lane::Life, Tag::Follows, id.into_u64(), &follows.into_u64().to_le_bytes());
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(callsite) = self.source.callsites.find(event.metadata()) else { return };
        let Some(span) = context.event_span(event) else { return };
        if self.source.callsites.find(span.metadata()).is_none() {
            return;
        }
        let tag = if *event.metadata().level() == tracing::Level::ERROR { Tag::Error } else { Tag::Said };
        let head = callsite.number.to_le_bytes();
        self.say(tag, callsite, span.id().into_u64(), &head, |fields| event.record(fields));
    }

    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(word) = self.recall(id, &context) {
            self.push_ids(id, word);
            self.source.lanes.push(Lane::Life, Tag::Enter, id.into_u64(), &[]);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if self.recall(id, &context).is_some() {
            self.source.lanes.push(Lane::Life, Tag::Exit, id.into_u64(), &[]);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(word) = self.recall(&id, &context) {
            self.push_ids(&id, word);
            let panics = std::thread::panicking();
            let in_task = tokio::task::try_id().is_some();
            self.source.lanes.push(Lane::Life, Tag::Close, id.into_u64(), &[u8::from(panics), u8::from(in_task)]);
        }
    }
}
