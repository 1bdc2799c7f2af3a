//! Spring AI: observations of Micrometer, whose spans have one instrumentation scope for all of an application.

use super::{Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "spring_ai",
    signs: Signs {
        scopes: &["org.springframework.boot"],
        keys: &[Key::SPRING_AI_KIND],
        only_if: |spot| spot.attributes.has_gen_ai() || spot.attributes.has(Key::SPRING_AI_KIND),
        ..Signs::NONE
    },
    kinds: &[
        (Key::SPRING_AI_KIND, &[("tool_call", Op::ExecuteTool), ("chat_client", Op::Step), ("advisor", Op::Step)]),
        (Key::GEN_AI_OPERATION_NAME, &[("embedding", Op::Embeddings), ("image", Op::Image)]),
    ],
    op: otel_genai::op,
    fields: FieldKeys {
        conversation_id: &[Key::SPRING_AI_CONVERSATION_ID],
        step_name: &[Key::SPRING_AI_ADVISOR_NAME],
        tool_name: &[Key::SPRING_AI_TOOL_NAME],
        input: &[Key::SPRING_AI_TOOL_ARGUMENTS],
        output: &[Key::SPRING_AI_TOOL_RESULT],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op.scope() {
        Scope::LlmRequest => {
            // What Micrometer writes where there is nothing.
            meaning.response_model = meaning.response_model.filter(|model| *model != "none");
            // Its models go on by themselves when tools have answered, and add up what they took so far.
            let finish = spot.word(Key::GEN_AI_RESPONSE_FINISH_REASONS).unwrap_or_default();
            meaning.running_total = Some(finish.to_ascii_lowercase().contains("tool"));
        }
        Scope::WorkflowStep if meaning.op == Op::Step => meaning.hint = Some(Hint::WorkflowIfOutermost),
        _ => {}
    }
}
