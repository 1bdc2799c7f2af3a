//! Macros that make spans with every field that a piece of work can have, so that each can be recorded later.

/// A run of a workflow: what agents and steps are parts of.
///
/// The name comes first, then any fields; those of the work can also be recorded later.
///
/// ```
/// let workflow = spanlight::workflow_span!("publish", feature = "articles", task_id = "t-17");
/// let _running = workflow.entered();
/// ```
#[macro_export]
macro_rules! workflow_span {
    () => {
        ::core::compile_error!("workflow_span! needs the workflow's name first: workflow_span!(\"publish\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::workflow_span!()
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!("invoke_workflow", "workflow", $name, gen_ai.workflow.name = $name, { $($($fields)*)? })
    };
}

/// A step of a workflow.
///
/// ```
/// let _step = spanlight::step_span!("validate").entered();
/// ```
#[macro_export]
macro_rules! step_span {
    () => {
        ::core::compile_error!("step_span! needs the step's name first: step_span!(\"validate\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::step_span!()
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!("step", "step", $name, step = $name, { $($($fields)*)? })
    };
}

/// A run of an agent.
///
/// ```
/// let agent = spanlight::agent_span!("scribe", model = "gpt-4o", feature = "articles");
/// # drop(agent);
/// ```
#[macro_export]
macro_rules! agent_span {
    () => {
        ::core::compile_error!("agent_span! needs the agent's name first: agent_span!(\"scribe\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::agent_span!()
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            "invoke_agent", "agent", $name,
            gen_ai.agent.name = $name,
            gen_ai.input.messages = $crate::__private::tracing::field::Empty,
            gen_ai.output.messages = $crate::__private::tracing::field::Empty,
            gen_ai.request.model = $crate::__private::tracing::field::Empty,
            { $($($fields)*)? }
        )
    };
}

/// A call of a model. The model that is asked for comes first.
///
/// ```
/// use spanlight::{SpanExt, Usage};
///
/// let call = spanlight::llm_span!("gpt-4o", provider = "openai", stream = true);
/// call.chunk("Once upon a time");
/// call.record_usage(Usage::new(1840, 95));
/// ```
#[macro_export]
macro_rules! llm_span {
    () => {
        ::core::compile_error!("llm_span! needs the model first: llm_span!(\"gpt-4o\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::llm_span!()
    };
    ($model:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            "chat", "llm", $model,
            gen_ai.request.model = $model,
            gen_ai.provider.name = $crate::__private::tracing::field::Empty,
            gen_ai.request.stream = $crate::__private::tracing::field::Empty,
            gen_ai.input.messages = $crate::__private::tracing::field::Empty,
            gen_ai.output.messages = $crate::__private::tracing::field::Empty,
            gen_ai.response.id = $crate::__private::tracing::field::Empty,
            gen_ai.response.model = $crate::__private::tracing::field::Empty,
            gen_ai.response.finish_reasons = $crate::__private::tracing::field::Empty,
            gen_ai.response.time_to_first_chunk = $crate::__private::tracing::field::Empty,
            gen_ai.usage.input_tokens = $crate::__private::tracing::field::Empty,
            gen_ai.usage.output_tokens = $crate::__private::tracing::field::Empty,
            gen_ai.usage.cache_read.input_tokens = $crate::__private::tracing::field::Empty,
            gen_ai.usage.cache_creation.input_tokens = $crate::__private::tracing::field::Empty,
            gen_ai.usage.reasoning.output_tokens = $crate::__private::tracing::field::Empty,
            gen_ai.usage.cost = $crate::__private::tracing::field::Empty,
            { $($($fields)*)? }
        )
    };
}

/// A call of a tool.
///
/// ```
/// use spanlight::SpanExt;
///
/// let call = spanlight::tool_span!("search", arguments = r#"{"query": "agents"}"#);
/// call.record_output("3 results");
/// ```
#[macro_export]
macro_rules! tool_span {
    () => {
        ::core::compile_error!("tool_span! needs the tool's name first: tool_span!(\"search\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::tool_span!()
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            "execute_tool", "tool", $name,
            gen_ai.tool.name = $name,
            gen_ai.tool.call.id = $crate::__private::tracing::field::Empty,
            gen_ai.tool.call.arguments = $crate::__private::tracing::field::Empty,
            gen_ai.tool.call.result = $crate::__private::tracing::field::Empty,
            { $($($fields)*)? }
        )
    };
}

/// A span of a piece of work: its operation, scope and name, what it has of its own, and what all have.
#[doc(hidden)]
#[macro_export]
macro_rules! __work_span {
    ($operation:literal, $scope:literal, $name:expr, $($own:ident).+ = $own_value:expr,
     $($($later:ident).+ = $empty:expr,)* { $($fields:tt)* }) => {
        $crate::__private::tracing::info_span!(
            $operation,
            otel.name = %::core::format_args!(concat!($operation, " {}"), $name),
            otel.status_code = $crate::__private::tracing::field::Empty,
            otel.status_description = $crate::__private::tracing::field::Empty,
            spanlight.scope = $scope,
            gen_ai.operation.name = $operation,
            $($own).+ = $own_value,
            $($($later).+ = $empty,)*
            spanlight.outcome = $crate::__private::tracing::field::Empty,
            gen_ai.conversation.id = $crate::__private::tracing::field::Empty,
            session.id = $crate::__private::tracing::field::Empty,
            user.id = $crate::__private::tracing::field::Empty,
            feature = $crate::__private::tracing::field::Empty,
            task_id = $crate::__private::tracing::field::Empty,
            error = $crate::__private::tracing::field::Empty,
            error.type = $crate::__private::tracing::field::Empty,
            $($fields)*
        )
    };
}
