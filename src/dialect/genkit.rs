//! Genkit: actions of a kind each, with what went in and what came out as JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::{Convention, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, Usage, details, provider};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "genkit",
    signs: Signs {
        scopes: &["genkit-tracer"],
        keys: &[Key::GENKIT_TYPE],
        only_if: |spot| spot.attributes.has(Key::GENKIT_TYPE),
        ..Signs::NONE
    },
    kinds: &[(
        Key::GENKIT_SUBTYPE,
        &[
            ("model", Op::Chat),
            ("tool", Op::ExecuteTool),
            ("tool.v2", Op::ExecuteTool),
            ("embedder", Op::Embeddings),
            ("retriever", Op::Retrieval),
            ("reranker", Op::Rerank),
            ("evaluator", Op::Evaluate),
        ],
    )],
    op: |_| Some(Op::Step),
    fields: FieldKeys {
        session_id: &[Key::GENKIT_SESSION_ID],
        step_name: &[Key::GENKIT_NAME],
        tool_name: &[Key::GENKIT_NAME],
        input: &[Key::GENKIT_INPUT],
        output: &[Key::GENKIT_OUTPUT],
        ..FieldKeys::NONE
    },
    texts_are_json: true,
    amend,
    ..Dialect::BASE
};

/// A flow is the workflow if it is the outermost, and a prompt with a name an agent if it calls a model.
fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op.scope() {
        Scope::LlmRequest => model(spot, meaning),
        Scope::WorkflowStep if spot.word(Key::GENKIT_TYPE) == Some("dotprompt") => {
            (meaning.agent_name, meaning.hint) = (spot.word(Key::GENKIT_NAME), Some(Hint::AgentIfItCalls));
        }
        Scope::WorkflowStep if meaning.op == Op::Step => meaning.hint = Some(Hint::WorkflowIfOutermost),
        _ => {}
    }
}

/// A model is called by the plugin that has it and its own name. Plugins pass on what the provider answered, which says more
/// of the tokens than what they make of it.
fn model<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    #[derive(Deserialize)]
    struct Answer {
        usage: Option<Counts>,
        #[serde(default)]
        raw: Value,
    }
    if let Some(name) = spot.word(Key::GENKIT_NAME) {
        let (plugin, model) = name.split_once('/').map_or((None, name), |(plugin, model)| (Some(plugin), model));
        meaning.provider = provider::normalise(plugin, Some(model)).map(|name| Cow::Owned(name.into_owned()));
        meaning.request_model = Some(model);
    }
    let Some(answer) = details::json::<Answer>(spot, Key::GENKIT_OUTPUT) else { return };
    let of_provider = details::of_counts(&answer.raw["usage"], Convention::default());
    let of_plugin = answer.usage.map(Counts::usage).unwrap_or_default();
    let says_as_much = of_provider.input == of_plugin.input && of_provider.output == of_plugin.output;
    meaning.usage = if says_as_much { of_provider } else { of_plugin };
}

/// Tokens as Genkit calls them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    thoughts_tokens: Option<u64>,
    cached_content_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl Counts {
    fn usage(self) -> Usage {
        let usage = Usage {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: self.cached_content_tokens,
            reasoning: self.thoughts_tokens,
            ..Usage::default()
        };
        let convention = Convention::default();
        usage.normalised(self.total_tokens.map_or(convention, |total| convention.or_told_by(total, &usage)))
    }
}
