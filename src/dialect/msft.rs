//! Microsoft's frameworks: Agent Framework, Semantic Kernel, Microsoft.Extensions.AI and AutoGen.

use super::{Convention, Dialect, FieldKeys, Meaning, Op, Signs, Spot, Usage, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "msft",
    signs: Signs {
        scopes: &[
            "agent_framework*",
            "semantic_kernel*",
            "Microsoft.SemanticKernel*",
            "Microsoft.Extensions.AI*",
            "Microsoft.Agents.AI*",
            "Experimental.Microsoft.*",
            "autogen*",
        ],
        ..Signs::NONE
    },
    op,
    fields: FieldKeys { workflow_name: &[Key::WORKFLOW_NAME, Key::WORKFLOW_BUILDER_NAME], ..FieldKeys::NONE },
    amend,
    ..Dialect::BASE
};

/// Spans that do not say what they do, by what their names begin with. Of what there is besides, `workflow.build` runs
/// nothing: it is before the run, and a trace of its own.
const NAMES: &[(&str, Op)] = &[
    ("workflow.run", Op::InvokeWorkflow),
    ("workflow.session", Op::InvokeWorkflow),
    ("executor.process", Op::Step),
    ("AutoFunctionInvocationLoop", Op::Step),
];

/// What runtimes write of passing messages on: work is in what they are passed to.
const PLUMBING: &[&str] = &["edge_group.process", "message.send"];

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if let Some(op) = otel_genai::op(spot) {
        return Some(op);
    }
    let first_word = spot.span.name.as_str().split(' ').next().unwrap_or_default();
    if PLUMBING.contains(&first_word) {
        return Some(Op::Step);
    }
    NAMES.iter().find(|(known, _)| *known == first_word).map(|(_, op)| *op)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if is_of_semantic_kernel(spot) && meaning.op.scope() == Scope::Tool {
        meaning.tool_name = meaning.tool_name.map(function_of);
    }
    let is_of_anthropic = || meaning.provider.as_deref() == Some("anthropic");
    if meaning.op.scope() == Scope::LlmRequest
        && spot.instrumentation.starts_with("agent_framework")
        && is_of_anthropic()
    {
        meaning.usage = counted_apart(spot);
    }
}

fn is_of_semantic_kernel(spot: &Spot<'_, '_>) -> bool {
    ["semantic_kernel", "Microsoft.SemanticKernel"].iter().any(|scope| spot.instrumentation.starts_with(scope))
}

/// The function of `Plugin-function`: the plugin is how it is offered, and may have no hyphen in its name.
fn function_of(name: &str) -> &str {
    name.split_once('-').map(|(_, function)| function).filter(|function| !function.is_empty()).unwrap_or(name)
}

/// Anthropic's counts as Agent Framework passes them on: what caches served and took is not in the input.
fn counted_apart(spot: &Spot<'_, '_>) -> Usage {
    let convention = Convention { input_excludes_cache: true, output_excludes_reasoning: false };
    Usage::read(spot.attributes, None, convention)
}
