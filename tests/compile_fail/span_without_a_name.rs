//! Every span is of something that has a name, and the name comes first.

fn main() {
    let _workflow = spanlight::workflow_span!();
    let _step = spanlight::step_span!();
    let _agent = spanlight::agent_span!();
    let _llm = spanlight::llm_span!();
    let _tool = spanlight::tool_span!();
    let _agent = spanlight::agent_span!(feature = "articles");
    let _llm = spanlight::llm_span!(gen_ai.request.model = "gpt-4o");
}
