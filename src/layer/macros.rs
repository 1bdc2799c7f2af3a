//! Macros that make spans with every field that a piece of work can have, so that each can be recorded later.

/// A run of a workflow: what agents and steps are parts of.
///
/// The name comes first, then any fields; those of the work can also be recorded later. It is text, `&str` or `String`.
/// As with the macros of `tracing`, `parent: …` may come before it.
///
/// ```
/// let workflow = spanlight::workflow_span!("publish", feature = "articles", task_id = "t-17");
/// let _running = workflow.entered();
/// ```
#[macro_export]
macro_rules! workflow_span {
    (@[$($parent:tt)*] $name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            [$($parent)*] "invoke_workflow", "workflow", $name => gen_ai.workflow.name,
            [],
            { $($($fields)*)? }
        )
    };
    () => {
        ::core::compile_error!("workflow_span! needs the workflow's name first: workflow_span!(\"publish\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::workflow_span!()
    };
    (parent: $parent:expr, $name:expr $(, $($fields:tt)*)?) => {
        $crate::workflow_span!(@[parent: $parent,] $name $(, $($fields)*)?)
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::workflow_span!(@[] $name $(, $($fields)*)?)
    };
}

/// A step of a workflow.
///
/// ```
/// let _step = spanlight::step_span!("validate").entered();
/// ```
#[macro_export]
macro_rules! step_span {
    (@[$($parent:tt)*] $name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            [$($parent)*] "step", "step", $name => step,
            [],
            { $($($fields)*)? }
        )
    };
    () => {
        ::core::compile_error!("step_span! needs the step's name first: step_span!(\"validate\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::step_span!()
    };
    (parent: $parent:expr, $name:expr $(, $($fields:tt)*)?) => {
        $crate::step_span!(@[parent: $parent,] $name $(, $($fields)*)?)
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::step_span!(@[] $name $(, $($fields)*)?)
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
    (@[$($parent:tt)*] $name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            [$($parent)*] "invoke_agent", "agent", $name => gen_ai.agent.name,
            [gen_ai.request.model, gen_ai.input.messages, gen_ai.output.messages],
            { $($($fields)*)? }
        )
    };
    () => {
        ::core::compile_error!("agent_span! needs the agent's name first: agent_span!(\"scribe\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::agent_span!()
    };
    (parent: $parent:expr, $name:expr $(, $($fields:tt)*)?) => {
        $crate::agent_span!(@[parent: $parent,] $name $(, $($fields)*)?)
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::agent_span!(@[] $name $(, $($fields)*)?)
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
    (@[$($parent:tt)*] $model:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            [$($parent)*] "chat", "llm", $model => gen_ai.request.model,
            [
                gen_ai.provider.name,
                gen_ai.request.stream,
                gen_ai.input.messages,
                gen_ai.output.messages,
                gen_ai.response.id,
                gen_ai.response.model,
                gen_ai.response.finish_reasons,
                gen_ai.response.time_to_first_chunk,
                gen_ai.usage.input_tokens,
                gen_ai.usage.output_tokens,
                gen_ai.usage.cache_read.input_tokens,
                gen_ai.usage.cache_creation.input_tokens,
                gen_ai.usage.reasoning.output_tokens,
                gen_ai.usage.cost
            ],
            { $($($fields)*)? }
        )
    };
    () => {
        ::core::compile_error!("llm_span! needs the model first: llm_span!(\"gpt-4o\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::llm_span!()
    };
    (parent: $parent:expr, $model:expr $(, $($fields:tt)*)?) => {
        $crate::llm_span!(@[parent: $parent,] $model $(, $($fields)*)?)
    };
    ($model:expr $(, $($fields:tt)*)?) => {
        $crate::llm_span!(@[] $model $(, $($fields)*)?)
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
    (@[$($parent:tt)*] $name:expr $(, $($fields:tt)*)?) => {
        $crate::__work_span!(
            [$($parent)*] "execute_tool", "tool", $name => gen_ai.tool.name,
            [gen_ai.tool.call.id, gen_ai.tool.call.arguments, gen_ai.tool.call.result],
            { $($($fields)*)? }
        )
    };
    () => {
        ::core::compile_error!("tool_span! needs the tool's name first: tool_span!(\"search\")")
    };
    ($($field:ident).+ = $($fields:tt)*) => {
        $crate::tool_span!()
    };
    (parent: $parent:expr, $name:expr $(, $($fields:tt)*)?) => {
        $crate::tool_span!(@[parent: $parent,] $name $(, $($fields)*)?)
    };
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::tool_span!(@[] $name $(, $($fields)*)?)
    };
}

/// A span of a piece of work: where it hangs, its operation, scope and name, the field that has the name, fields that are
/// recorded later, and what the caller adds. The name is looked at once.
#[doc(hidden)]
#[macro_export]
macro_rules! __work_span {
    ([$($parent:tt)*] $operation:literal, $scope:literal, $name:expr => $($own:ident).+,
     [$($($later:ident).+),*], { $($fields:tt)* }) => {
        match &$name {
            name => $crate::__private::tracing::info_span!(
                $($parent)*
                $operation,
                otel.name = %::core::format_args!(concat!($operation, " {}"), name),
                otel.status_code = $crate::__private::tracing::field::Empty,
                otel.status_description = $crate::__private::tracing::field::Empty,
                spanlight.scope = $scope,
                gen_ai.operation.name = $operation,
                $($own).+ = name,
                $($($later).+ = $crate::__private::tracing::field::Empty,)*
                spanlight.outcome = $crate::__private::tracing::field::Empty,
                gen_ai.conversation.id = $crate::__private::tracing::field::Empty,
                session.id = $crate::__private::tracing::field::Empty,
                user.id = $crate::__private::tracing::field::Empty,
                feature = $crate::__private::tracing::field::Empty,
                task_id = $crate::__private::tracing::field::Empty,
                error = $crate::__private::tracing::field::Empty,
                error.type = $crate::__private::tracing::field::Empty,
                $($fields)*
            ),
        }
    };
}
