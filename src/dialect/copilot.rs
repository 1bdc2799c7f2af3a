//! GitHub Copilot, in the terminal and in VS Code: the GenAI conventions, and refusals as failed tools.

use super::{Dialect, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Decision;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "copilot",
    signs: Signs {
        scopes: &["github.copilot", "copilot-chat", "copilot_chat"],
        resource: &[("service.name", "github-copilot"), ("service.name", "copilot-chat")],
        families: &["github.copilot.", "copilot_chat."],
        only_if: |spot| spot.attributes.has_gen_ai(),
        ..Signs::NONE
    },
    op: otel_genai::op,
    coding_agent: true,
    amend,
    ..Dialect::BASE
};

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::InvokeAgent => meaning.agent_name = meaning.agent_name.or(Some("copilot")),
        Op::ExecuteTool if spot.word(Key::ERROR_TYPE) == Some("denied") => meaning.decided(false, Decision::Rejected),
        _ => {}
    }
}
