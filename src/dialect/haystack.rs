//! Haystack's own tracing: known by the names of its spans. Models and tokens are in what came out, which it tells only
//! where it was told to trace content.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::Word;
use super::{Dialect, Failure, FieldKeys, Meaning, Op, Signs, Spot, details};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "haystack",
    signs: Signs { names: &["haystack."], families: &["haystack."], ..Signs::NONE },
    op,
    fields: FieldKeys {
        step_name: &[Key::HAYSTACK_COMPONENT_NAME],
        tool_name: &[Key::HAYSTACK_TOOL_NAME],
        failure: &[Key::HAYSTACK_TOOL_ERROR],
        input: &[
            Key::HAYSTACK_LLM_INPUT,
            Key::HAYSTACK_TOOL_INPUT,
            Key::HAYSTACK_AGENT_INPUT,
            Key::HAYSTACK_COMPONENT_INPUT,
            Key::HAYSTACK_PIPELINE_INPUT,
        ],
        output: OUTPUTS,
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

const OUTPUTS: &[Key] = &[
    Key::HAYSTACK_LLM_OUTPUT,
    Key::HAYSTACK_TOOL_OUTPUT,
    Key::HAYSTACK_AGENT_OUTPUT,
    Key::HAYSTACK_COMPONENT_OUTPUT,
    Key::HAYSTACK_PIPELINE_OUTPUT,
];

const NAMES: &[(&str, Op)] = &[
    ("haystack.pipeline.run", Op::InvokeWorkflow),
    ("haystack.async_pipeline.run", Op::InvokeWorkflow),
    ("haystack.agent.run", Op::InvokeAgent),
    ("haystack.agent.step", Op::Step),
    ("haystack.agent.step.llm", Op::Chat),
    ("haystack.chat_generator.run", Op::Chat),
    ("haystack.agent.step.tool", Op::ExecuteTool),
];

/// What components do, by how their types are called.
const COMPONENTS: &[(&str, Op)] = &[
    ("ChatGenerator", Op::Chat),
    ("Generator", Op::TextCompletion),
    ("Retriever", Op::Retrieval),
    ("Embedder", Op::Embeddings),
    ("Ranker", Op::Rerank),
    ("Evaluator", Op::Evaluate),
];

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let named = NAMES.iter().find(|(name, _)| spot.span.name == **name).map(|(_, op)| *op);
    let component = spot.word(Key::HAYSTACK_COMPONENT_TYPE).unwrap_or_default();
    let of_component = || COMPONENTS.iter().find(|(ending, _)| component.ends_with(ending)).map(|(_, op)| *op);
    Some(named.or_else(of_component).unwrap_or(Op::Step))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op.scope() {
        Scope::LlmRequest => answer(spot, meaning),
        Scope::Tool => {
            if let Some(failure) = &mut meaning.failure
                && failure.message.is_none()
            {
                *failure = Failure { message: said(spot), ..failure.clone() };
            }
        }
        // Within a pipeline an agent is a component, which has the name that its run lacks.
        _ if spot.word(Key::HAYSTACK_COMPONENT_TYPE) == Some("Agent") => {
            meaning.agent_name = spot.word(Key::HAYSTACK_COMPONENT_NAME);
        }
        _ => {}
    }
}

/// Which model answered, and with how many tokens: in what it replied, or beside that.
fn answer<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        replies: Vec<Reply<'a>>,
        #[serde(borrow, default)]
        meta: Vec<Meta<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Reply<'a> {
        Message {
            #[serde(borrow)]
            meta: Meta<'a>,
        },
        Other(serde::de::IgnoredAny),
    }
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, default)]
        model: Word<'a>,
        #[serde(default)]
        usage: Value,
    }
    let Some(Ok(answer)) = spot.attributes.text(OUTPUTS).map(serde_json::from_str::<Answer<'_>>) else { return };
    let in_replies = answer.replies.into_iter().find_map(|reply| match reply {
        Reply::Message { meta } => Some(meta),
        Reply::Other(_) => None,
    });
    let Some(meta) = in_replies.or_else(|| answer.meta.into_iter().next()) else { return };
    meaning.response_model = meaning.response_model.or(meta.model.borrowed(""));
    meaning.usage = meaning.usage.or(details::of_counts(&meta.usage, DIALECT.convention));
    if meaning.provider.is_none() {
        meaning.provider = super::provider::normalise(None, meaning.response_model);
    }
}

/// What a tool that failed gave in place of a result.
fn said<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: Word<'a>,
    }
    let output = spot.word(Key::HAYSTACK_TOOL_OUTPUT)?;
    let read = serde_json::from_str::<Failed<'_>>(output).ok();
    read.and_then(|failed| failed.error.borrowed("")).or(Some(output))
}
