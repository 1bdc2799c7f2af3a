//! What the agent's code can say of its spans beyond the fields that they declare.

use std::fmt::Display;

use tracing::{Dispatch, Span};

use super::command::{Tag, Value, put_block, put_field};
use super::lanes::Lane;
use super::otel;
use super::set::{Settable, Usage};
use super::subscriber::AgentLayer;
use super::visit::{MOST_CONTENT, Scratch, format_at_most};
use crate::event::Data;

/// Says more of a span: of itself if it is a piece of an agent's work, else of the nearest such span around it.
///
/// None of this needs fields to be declared, waits, or fails; without a layer of ours nothing happens.
///
/// ```
/// use spanlight::{SpanExt, Usage};
///
/// let telemetry = spanlight::Telemetry::builder().build();
/// tracing::subscriber::with_default(telemetry.subscriber(), || {
///     let call = spanlight::llm_span!("gpt-4o", provider = "openai");
///     call.chunk("Once upon ");
///     call.chunk("a time");
///     call.record_usage(Usage::new(1840, 95));
///     call.record_output("Once upon a time");
/// });
/// telemetry.flush(std::time::Duration::from_secs(5)).unwrap();
/// assert_eq!(telemetry.metrics().tokens, 1935);
/// ```
pub trait SpanExt {
    /// Tokens of a call of a model. Cost is computed from them where the code gives none.
    fn record_usage(&self, usage: Usage);
    /// What it cost, in US dollars; this wins over what a price table says.
    fn record_cost(&self, usd: f64);
    /// What came out: an answer, a result. JSON stays JSON in the event.
    fn record_output(&self, output: impl Display);
    /// It failed, with what the error says of itself. Sources of an error are shown by what it writes, such as `{err:#}`
    /// of `anyhow`.
    fn record_error(&self, error: impl Display);
    /// It was called off. Mostly that is seen: of tasks that are aborted, and of futures that
    /// [`FutureExt::in_span`](crate::FutureExt::in_span) runs.
    fn record_canceled(&self);
    /// The model that really answered.
    fn record_model(&self, model: &str);
    /// A piece of a model's answer. Pieces are merged over 50 ms.
    fn chunk(&self, text: &str);
    /// How far it has come: a text, and what [`Progress`] adds. Merged over 100 ms; the last one counts.
    fn progress(&self, progress: impl Into<Progress>);
}

/// How far a piece of work has come.
///
/// ```
/// use spanlight::Progress;
///
/// let progress = Progress::new("reading sources").iteration(2, 5).share(0.4);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Progress {
    text: String,
    iteration: Option<(u64, u64)>,
    share: Option<f64>,
    step: Option<String>,
}

impl Progress {
    /// Told in words.
    pub fn new(text: impl Into<String>) -> Progress {
        Progress { text: text.into(), ..Progress::default() }
    }

    /// This iteration of at most so many.
    pub fn iteration(self, iteration: u64, most: u64) -> Progress {
        Progress { iteration: Some((iteration, most)), ..self }
    }

    /// The share that is done, from 0 to 1.
    pub fn share(self, share: f64) -> Progress {
        Progress { share: Some(share), ..self }
    }

    /// What is done just now.
    pub fn step(self, step: impl Into<String>) -> Progress {
        Progress { step: Some(step.into()), ..self }
    }

    fn data(&self) -> Data {
        Data::build(|data| {
            if let Some((iteration, most)) = self.iteration {
                data.u64("iteration", iteration);
                data.u64("max_iterations", most);
            }
            if let Some(share) = self.share {
                data.f64("progress", share);
            }
            data.opt_str("current_step", self.step.as_deref());
        })
    }
}

impl<T: Into<String>> From<T> for Progress {
    fn from(text: T) -> Progress {
        Progress::new(text)
    }
}

impl SpanExt for Span {
    fn record_usage(&self, usage: Usage) {
        let counts = [
            (Settable::InputTokens, usage.input),
            (Settable::OutputTokens, usage.output),
            (Settable::CacheReadTokens, usage.cache_read),
            (Settable::CacheWriteTokens, usage.cache_write),
            (Settable::ReasoningTokens, usage.reasoning),
        ];
        let value = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        set(self, || counts.into_iter().filter_map(|(field, count)| Some((field, value(count?)))));
    }

    fn record_cost(&self, usd: f64) {
        set(self, || [(Settable::Cost, Value::Double(usd))]);
    }

    fn record_output(&self, output: impl Display) {
        let output = format_at_most(format_args!("{output}"), MOST_CONTENT);
        set(self, || [(Settable::Output, Value::Text(&output))]);
    }

    fn record_error(&self, error: impl Display) {
        let error = format_at_most(format_args!("{error}"), crate::event::MAX_MESSAGE);
        set(self, || [(Settable::Error, Value::Text(&error))]);
    }

    fn record_canceled(&self) {
        set(self, || [(Settable::Outcome, Value::Text("canceled"))]);
    }

    fn record_model(&self, model: &str) {
        let model = &model[..model.floor_char_boundary(256.min(model.len()))];
        set(self, || [(Settable::ResponseModel, Value::Text(model))]);
    }

    fn chunk(&self, text: &str) {
        let text = &text[..text.floor_char_boundary(MOST_CONTENT.min(text.len()))];
        with_layer(self, |layer, _, id| {
            push(layer, Lane::Content, Tag::Chunk, id, |payload| put_block(payload, text.as_bytes()));
        });
    }

    fn progress(&self, progress: impl Into<Progress>) {
        let progress = progress.into();
        let text = &progress.text[..progress.text.floor_char_boundary(MOST_CONTENT.min(progress.text.len()))];
        with_layer(self, |layer, _, id| {
            push(layer, Lane::Content, Tag::Progress, id, |payload| {
                put_block(payload, text.as_bytes());
                put_block(payload, progress.data().as_json().as_bytes());
            });
        });
    }
}

/// Sets fields of one span in one command. What came out is content, everything else a fact.
fn set<'v, F: IntoIterator<Item = (Settable, Value<'v>)>>(span: &Span, fields: impl Fn() -> F) {
    with_layer(span, |layer, dispatch, id| {
        let is_content = fields().into_iter().any(|(field, _)| field == Settable::Output);
        let lane = if is_content { Lane::Content } else { Lane::Life };
        push(layer, lane, Tag::Set, id, |payload| {
            fields().into_iter().for_each(|(field, value)| put_field(payload, field as u16, &value));
        });
        if layer.source().otel.may_be_there() {
            fields().into_iter().for_each(|(field, value)| otel::mirror(dispatch, id, field, &value));
        }
    });
}

fn push(layer: &AgentLayer, lane: Lane, tag: Tag, id: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let mut scratch = Scratch::take();
    write(&mut scratch.facts);
    layer.source().lanes().push(lane, tag, id, &scratch.facts);
    scratch.put_back();
}

/// Calls a function with the layer, and with the span or the nearest above it that is ours.
fn with_layer(span: &Span, work: impl FnOnce(&AgentLayer, &Dispatch, u64)) {
    span.with_subscriber(|(id, dispatch)| {
        let Some(layer) = AgentLayer::of(dispatch) else { return };
        if let Some(id) = layer.nearest(dispatch, id) {
            work(layer, dispatch, id);
        }
    });
}
