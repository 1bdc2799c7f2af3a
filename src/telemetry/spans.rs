//! Spans of the OpenTelemetry SDK on their way out: they wait in a bounded queue, and leave it as one OTLP request.
//!
//! A program ends its spans wherever it happens to be, also on the only thread of its runtime. So nothing here waits:
//! a span that finds no room is dropped and counted, and whoever is asked to flush tells the one that takes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;

use crate::health::{Count, DROPPED, Health};
use crate::otlp::{Batch, Signal};

/// The queue. A clone is the same queue: one goes to the tracer provider, another to whoever takes spans out of it.
/// It belongs to one provider, because all spans in it have that provider's resource.
#[derive(Clone, Debug)]
pub struct Spans(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    /// Spans in the queue, and those that are just being put there.
    waiting: AtomicUsize,
    entrance: Sender<SpanData>,
    exit: Mutex<Receiver<SpanData>>,
    resource: Mutex<Arc<ResourceAttributesWithSchema>>,
    closed: AtomicBool,
    queue_full: Count,
    shutdown: Count,
}

impl Spans {
    /// How many spans may wait unless said otherwise.
    pub const MOST: usize = 16_384;
    /// With so many waiting spans they are better taken out soon.
    const ENOUGH: usize = 512;

    /// A queue for at most so many spans. What is dropped is shown as this component's.
    pub fn new(component: &str, most: usize, health: &Health) -> Spans {
        let (entrance, exit) = channel();
        let signal = Signal::Traces.name();
        let dropped =
            |reason| health.counter(DROPPED, &[("component", component), ("signal", signal), ("reason", reason)]);
        Spans(Arc::new(Shared {
            most,
            waiting: AtomicUsize::new(0),
            entrance,
            exit: Mutex::new(exit),
            resource: Mutex::default(),
            closed: AtomicBool::new(false),
            queue_full: dropped("queue_full"),
            shutdown: dropped("shutdown"),
        }))
    }

    /// Takes out all that waits, as one batch; nothing if nothing does. The work of encoding is the caller's, outside
    /// of every lock that a program's own threads may meet.
    pub fn take(&self) -> Option<Batch> {
        let shared = &*self.0;
        // No more than were there to begin with: a program that goes on ending spans must not keep us here.
        let most = shared.waiting.load(Relaxed);
        let exit = shared.exit.lock().unwrap_or_else(PoisonError::into_inner);
        let spans: Vec<SpanData> = exit.try_iter().take(most).collect();
        drop(exit);
        if spans.is_empty() {
            return None;
        }
        let items = spans.len();
        shared.waiting.fetch_sub(items, Relaxed);
        let resource = shared.resource.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &resource) };
        Some(Batch::encoded(Signal::Traces, request.encode_to_vec(), items))
    }

    /// How many spans wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Relaxed)
    }

    /// Whether so many wait that they are better taken out soon.
    pub fn are_many(&self) -> bool {
        self.waiting() >= Spans::ENOUGH
    }

    /// Whether the provider has ended, so that no more spans come.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Relaxed)
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let shared = &*self.0;
        // Such a span is recorded for others on this machine; its sampler decided that it does not leave.
        if !span.span_context.is_sampled() {
            return;
        }
        if self.is_closed() {
            return shared.shutdown.add(1);
        }
        let before = shared.waiting.fetch_add(1, Relaxed);
        // The other end lives as long as this one, so that nothing is ever sent in vain.
        if before >= shared.most || shared.entrance.send(span).is_err() {
            shared.waiting.fetch_sub(1, Relaxed);
            shared.queue_full.add(1);
        }
    }

    /// Whoever takes the spans out does so all the time, and flushing what it took is not the SDK's business.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Takes no more spans. Those in the queue stay for whoever takes them out.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.closed.store(true, Relaxed);
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        let resource = Arc::new(ResourceAttributesWithSchema::from(resource));
        *self.0.resource.lock().unwrap_or_else(PoisonError::into_inner) = resource;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::view::AnyValue;
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    fn dropped(spans: &Spans) -> u64 {
        spans.0.queue_full.get() + spans.0.shutdown.get()
    }

    fn provider(spans: &Spans) -> SdkTracerProvider {
        let attributes = [KeyValue::new("service.name", "shop"), KeyValue::new("service.instance.id", "1")];
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        SdkTracerProvider::builder().with_resource(resource).with_span_processor(spans.clone()).build()
    }

    /// What is in a batch: resource, scope, name and attributes of each span; and its ids.
    fn shown(batch: &Batch) -> (Vec<String>, Vec<[Vec<u8>; 3]>) {
        let received = Batch::read(Signal::Traces, batch.bytes().clone()).unwrap();
        assert_eq!((received.batch.items(), received.rejected), (batch.items(), 0));
        let (mut lines, mut ids) = (Vec::new(), Vec::new());
        for group in batch.groups() {
            let service = group.resource.get("service.name").and_then(AnyValue::text).unwrap();
            for span in group.spans() {
                let text = |value: AnyValue| value.text().map_or_else(|| format!("{value:?}"), |text| text.to_string());
                let kept = |key: &str| key.starts_with("gen_ai.");
                let attributes: Vec<String> = span
                    .attributes()
                    .filter(|attribute| kept(&attribute.key.to_string()))
                    .map(|attribute| format!("{}={}", attribute.key, text(attribute.value)))
                    .collect();
                lines.push(format!("{service} {} {} {}", group.scope.name, span.name, attributes.join(" ")));
                ids.push([span.trace_id.to_vec(), span.span_id.to_vec(), span.parent_span_id.to_vec()]);
            }
        }
        (lines, ids)
    }

    #[test]
    fn spans_of_a_program_come_out_as_they_were_traced() {
        let spans = Spans::new("opentelemetry", Spans::MOST, &Health::default());
        let provider = provider(&spans);
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("agent"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let outer = tracing::info_span!("invoke_agent support");
            let _outer = outer.enter();
            let _inner = tracing::info_span!("chat", gen_ai.request.model = "gpt-4o").entered();
        });
        provider.tracer("tools").start("execute_tool search");
        assert_eq!(spans.waiting(), 3);
        let (lines, ids) = shown(&spans.take().unwrap());
        let expected = [
            "shop agent chat gen_ai.request.model=gpt-4o",
            "shop agent invoke_agent support ",
            "shop tools execute_tool search ",
        ];
        assert_eq!(lines, expected);
        let [[trace, _, parent], [outer_trace, outer, none], [other_trace, ..]] = &ids[..] else { panic!("{ids:?}") };
        assert_eq!((trace, parent, none.len()), (outer_trace, outer, 0));
        assert_ne!(trace, other_trace);
        assert!(spans.take().is_none());
        assert_eq!((spans.waiting(), dropped(&spans)), (0, 0));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        const THREADS: usize = 4;
        const EACH: usize = 5000;
        let health = Health::default();
        let spans = Spans::new("opentelemetry", 100, &health);
        let provider = provider(&spans);
        let mut taken = 0;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| scope.spawn(|| (0..EACH).for_each(|_| drop(provider.tracer("agent").start("span")))))
                .collect();
            while threads.iter().any(|thread| !thread.is_finished()) {
                let batch = spans.take();
                let items = batch.as_ref().map_or(0, Batch::items);
                assert!(items <= 100 + THREADS, "{items}");
                taken += items;
            }
        });
        taken += spans.take().map_or(0, |batch| batch.items());
        assert_eq!(THREADS * EACH, taken + dropped(&spans) as usize);
        (0..300).for_each(|_| drop(provider.tracer("agent").start("span")));
        let left = spans.take().map_or(0, |batch| batch.items());
        assert_eq!(left, 100);
        let shown = health.families();
        assert!(shown.iter().any(|family| *family.name == *DROPPED.name), "{shown:?}");
    }

    #[test]
    fn flushing_and_ending_wait_for_nobody() {
        let spans = Spans::new("opentelemetry", Spans::MOST, &Health::default());
        let provider = provider(&spans);
        drop(provider.tracer("agent").start("first"));
        provider.force_flush().unwrap();
        assert_eq!(spans.take().unwrap().items(), 1);
        let open = provider.tracer("agent").start("second");
        drop(provider.tracer("agent").start("third"));
        provider.shutdown().unwrap();
        drop(open);
        assert!(spans.is_closed());
        assert_eq!(spans.take().unwrap().items(), 1);
        let many = Spans::new("opentelemetry", Spans::MOST, &Health::default());
        let other = self::provider(&many);
        (0..Spans::ENOUGH).for_each(|_| drop(other.tracer("agent").start("span")));
        assert!(many.are_many());
    }

    #[test]
    fn what_is_not_sampled_does_not_leave() {
        let spans = Spans::new("opentelemetry", Spans::MOST, &Health::default());
        let builder = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff);
        drop(builder.with_span_processor(spans.clone()).build().tracer("agent").start("span"));
        assert!(spans.take().is_none());
        assert_eq!(dropped(&spans), 0);
    }
}
