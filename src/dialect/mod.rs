//! What a foreign span means. Pure: attributes in, [`Meaning`] out.
//!
//! Every emitter speaks its own dialect of the GenAI conventions. A dialect is a file of data: how to recognise
//! it, how its spans map to operations, and which keys it reads before the generic ones. [`DIALECTS`] is in order: the
//! first that fits; adding one is one file and one line in its list.

mod attributes;
mod content;
mod detect;
mod generic;
mod json;
mod mcp;
mod messages;
mod op;
mod otel_genai;
pub mod provider;
mod usage;

use std::borrow::Cow;

pub use attributes::{Attributes, is_redacted};
pub use content::Content;
pub use detect::DIALECTS;
pub use json::put_value;
pub use op::Op;
pub use usage::{Convention, Usage, UsageKeys};

use crate::event::Scope;
use crate::otlp::view::{Span, StatusCode};
use crate::semconv::Key;

/// What there is to see of one span.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a, 'b> {
    /// The name of its instrumentation scope.
    pub instrumentation: &'a str,
    /// The span.
    pub span: &'b Span<'a>,
    /// Its attributes, as far as anyone reads them.
    pub attributes: &'b Attributes<'a>,
}

/// One dialect: data, and two small functions where data does not reach.
#[derive(Debug)]
pub struct Dialect {
    /// Its name in `source.dialect`.
    pub name: &'static str,
    /// Whether a span is in this dialect. Cheap: it runs for every span.
    pub detect: fn(&Spot<'_, '_>) -> bool,
    /// What the span does; nothing for spans that are none of ours.
    pub op: fn(&Spot<'_, '_>) -> Option<Op>,
    /// The keys that it reads before the generic ones.
    pub fields: FieldKeys,
    /// The keys of token counts, in order of preference.
    pub usage: &'static UsageKeys,
    /// What its token counts leave out.
    pub convention: Convention,
}

/// The source keys of each field, in order of preference.
#[derive(Debug)]
pub struct FieldKeys {
    /// Whose model it is.
    pub provider: &'static [Key],
    /// The model asked for.
    pub request_model: &'static [Key],
    /// The model that answered.
    pub response_model: &'static [Key],
    /// The answer's id at its provider.
    pub response_id: &'static [Key],
    /// The conversation.
    pub conversation_id: &'static [Key],
    /// The session.
    pub session_id: &'static [Key],
    /// The user.
    pub user_id: &'static [Key],
    /// The agent.
    pub agent_name: &'static [Key],
    /// The workflow.
    pub workflow_name: &'static [Key],
    /// The step; the span's name where there is none.
    pub step_name: &'static [Key],
    /// The tool.
    pub tool_name: &'static [Key],
    /// The id that the model gave its call of the tool.
    pub tool_call_id: &'static [Key],
    /// Why the model stopped.
    pub finish_reason: &'static [Key],
    /// Whether the answer was streamed.
    pub stream: &'static [Key],
    /// Seconds until the first piece of the answer.
    pub ttft_s: &'static [Key],
    /// At which tier the provider served the call.
    pub service_tier: &'static [Key],
    /// What the call cost, in US dollars.
    pub cost: &'static [Key],
    /// The kind of error.
    pub error_type: &'static [Key],
    /// What went wrong.
    pub error_message: &'static [Key],
    /// What went in: messages, or a tool's arguments.
    pub input: &'static [Key],
    /// What came out: messages, or a tool's result.
    pub output: &'static [Key],
}

/// What a span means, borrowed from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning<'a> {
    /// The dialect it was understood in.
    pub dialect: &'static str,
    /// What it does.
    pub op: Op,
    /// Whose model it is, under its well-known name.
    pub provider: Option<Cow<'a, str>>,
    /// The model asked for.
    pub request_model: Option<&'a str>,
    /// The model that answered.
    pub response_model: Option<&'a str>,
    /// The conversation.
    pub conversation_id: Option<Cow<'a, str>>,
    /// The session.
    pub session_id: Option<Cow<'a, str>>,
    /// The user.
    pub user_id: Option<Cow<'a, str>>,
    /// The agent.
    pub agent_name: Option<&'a str>,
    /// The workflow.
    pub workflow_name: Option<&'a str>,
    /// The step.
    pub step_name: Option<&'a str>,
    /// The tool.
    pub tool_name: Option<&'a str>,
    /// Tokens; on spans that are no calls of a model, the sum of those below.
    pub usage: Usage,
    /// Seconds until the first piece of the answer.
    pub ttft_s: Option<f64>,
    /// At which tier the provider served the call.
    pub service_tier: Option<&'a str>,
    /// What the emitter says that it cost, in US dollars.
    pub reported_usd: Option<f64>,
    /// How it failed, if it did.
    pub failure: Option<Failure<'a>>,
}

/// How a span failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure<'a> {
    /// The kind of error.
    pub error_type: Option<&'a str>,
    /// What went wrong.
    pub message: Option<&'a str>,
}

/// What a span means; nothing if it is none of ours.
pub fn read<'a>(spot: &Spot<'a, '_>) -> Option<Meaning<'a>> {
    let dialect = detect::detect(spot)?;
    let op = (dialect.op)(spot)?;
    let attributes = spot.attributes;
    let text = |pick: fn(&FieldKeys) -> &'static [Key]| {
        attributes.text(pick(&dialect.fields)).or_else(|| attributes.text(pick(&generic::FIELDS)))
    };
    let label = |pick: fn(&FieldKeys) -> &'static [Key]| {
        attributes.label(pick(&dialect.fields)).or_else(|| attributes.label(pick(&generic::FIELDS)))
    };
    let amount = |pick: fn(&FieldKeys) -> &'static [Key]| {
        attributes.amount(pick(&dialect.fields)).or_else(|| attributes.amount(pick(&generic::FIELDS)))
    };
    let request_model = text(|fields| fields.request_model);
    let response_model = text(|fields| fields.response_model);
    Some(Meaning {
        dialect: dialect.name,
        op,
        provider: provider::normalise(text(|fields| fields.provider), response_model.or(request_model))
            .or_else(|| provider::of_address(attributes.text(&[Key::SERVER_ADDRESS])?).map(Cow::Borrowed)),
        request_model,
        response_model,
        conversation_id: label(|fields| fields.conversation_id),
        session_id: label(|fields| fields.session_id),
        user_id: label(|fields| fields.user_id),
        agent_name: text(|fields| fields.agent_name),
        workflow_name: text(|fields| fields.workflow_name),
        step_name: text(|fields| fields.step_name),
        // Without it the client's and the server's span would be two calls of the tool, and not of this name.
        tool_name: text(|fields| fields.tool_name)
            .or_else(|| if op.scope() == Scope::Tool { mcp::target(spot) } else { None }),
        usage: Usage::read(attributes, dialect.usage, dialect.convention),
        ttft_s: amount(|fields| fields.ttft_s),
        service_tier: text(|fields| fields.service_tier),
        reported_usd: amount(|fields| fields.cost),
        failure: failure(spot, dialect),
    })
}

/// The OTLP status decides; where it is unset, an `error.type`, a recorded exception, or a word of the emitter.
fn failure<'a>(spot: &Spot<'a, '_>, dialect: &Dialect) -> Option<Failure<'a>> {
    let attributes = spot.attributes;
    let first =
        |own: &'static [Key], generic: &'static [Key]| attributes.text(own).or_else(|| attributes.text(generic));
    let error_type = first(dialect.fields.error_type, generic::FIELDS.error_type);
    let exception = if spot.span.status_code == StatusCode::Ok { None } else { exception(spot.span) };
    let failed = match spot.span.status_code {
        StatusCode::Ok => false,
        StatusCode::Error => true,
        StatusCode::Unset => error_type.is_some() || exception.is_some() || generic::says_failed(attributes),
    };
    failed.then(|| {
        let exception = exception.unwrap_or_default();
        let status = Some(spot.span.status_message.as_str()).filter(|message| !message.is_empty());
        let attribute = || first(dialect.fields.error_message, generic::FIELDS.error_message);
        Failure {
            error_type: error_type.or(exception.error_type),
            message: status.or(exception.message).or_else(attribute),
        }
    })
}

/// The last exception recorded on a span: earlier ones may have been caught.
fn exception<'a>(span: &Span<'a>) -> Option<Failure<'a>> {
    if !span.has_events {
        return None;
    }
    let event = span.events().filter(|event| event.name == *"exception").last()?;
    let mut failure = Failure::default();
    for attribute in event.attributes() {
        let text = attribute.value.text().map(|text| text.as_str()).filter(|text| !text.is_empty());
        match attribute.key.as_str() {
            name if name == Key::EXCEPTION_TYPE.name() => failure.error_type = text,
            name if name == Key::EXCEPTION_MESSAGE.name() => failure.message = text,
            _ => {}
        }
    }
    Some(failure)
}

impl FieldKeys {
    /// No keys of its own: the generic ones serve. A dialect names those in which it differs.
    pub const NONE: FieldKeys = FieldKeys {
        provider: &[],
        request_model: &[],
        response_model: &[],
        response_id: &[],
        conversation_id: &[],
        session_id: &[],
        user_id: &[],
        agent_name: &[],
        workflow_name: &[],
        step_name: &[],
        tool_name: &[],
        tool_call_id: &[],
        finish_reason: &[],
        stream: &[],
        ttft_s: &[],
        service_tier: &[],
        cost: &[],
        error_type: &[],
        error_message: &[],
        input: &[],
        output: &[],
    };
}

impl Meaning<'_> {
    /// The model that was really used, as far as it is known.
    pub fn model(&self) -> Option<&str> {
        self.response_model.or(self.request_model)
    }
}
