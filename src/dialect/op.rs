//! What a span does: the operation, and the scope it belongs to.

use crate::event::Scope;

/// An operation in the canonical model. Spans of unknown operations are steps, never calls of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A workflow runs.
    InvokeWorkflow,
    /// A session or turn of a coding agent.
    Turn,
    /// A named task of a framework.
    Task,
    /// Planning.
    Plan,
    /// Looking documents up.
    Retrieval,
    /// Reading or writing an agent's memory.
    Memory,
    /// Checking content.
    Guardrail,
    /// Judging a result.
    Evaluate,
    /// One agent passes the work to another.
    Handoff,
    /// A hook of the host runs.
    Hook,
    /// A phase of a tool call, or of waiting for one.
    ToolPhase,
    /// Any other step.
    Step,
    /// An agent works.
    InvokeAgent,
    /// An agent is made, which is not work of the agent.
    CreateAgent,
    /// A chat model answers.
    Chat,
    /// A completion model answers.
    TextCompletion,
    /// A multimodal model answers.
    GenerateContent,
    /// Texts become vectors.
    Embeddings,
    /// Documents are ranked.
    Rerank,
    /// Content is classified.
    Moderation,
    /// Speech becomes text.
    Transcription,
    /// Images are made.
    Image,
    /// A tool runs.
    ExecuteTool,
    /// A tool runs over MCP.
    Mcp,
}

impl Op {
    /// The scope of spans that do this.
    pub fn scope(self) -> Scope {
        match self {
            Op::InvokeWorkflow | Op::Turn => Scope::Workflow,
            Op::Task
            | Op::Plan
            | Op::Retrieval
            | Op::Memory
            | Op::Guardrail
            | Op::Evaluate
            | Op::Handoff
            | Op::Hook
            | Op::ToolPhase
            | Op::Step => Scope::WorkflowStep,
            Op::InvokeAgent | Op::CreateAgent => Scope::Agent,
            Op::Chat
            | Op::TextCompletion
            | Op::GenerateContent
            | Op::Embeddings
            | Op::Rerank
            | Op::Moderation
            | Op::Transcription
            | Op::Image => Scope::LlmRequest,
            Op::ExecuteTool | Op::Mcp => Scope::Tool,
        }
    }

    /// The value of `gen_ai.operation.name` for it, where the conventions have one; else our own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::InvokeWorkflow => "invoke_workflow",
            Op::Turn => "turn",
            Op::Task => "task",
            Op::Plan => "plan",
            Op::Retrieval => "retrieval",
            Op::Memory => "memory",
            Op::Guardrail => "guardrail",
            Op::Evaluate => "evaluate",
            Op::Handoff => "handoff",
            Op::Hook => "hook",
            Op::ToolPhase => "tool_phase",
            Op::Step => "step",
            Op::InvokeAgent => "invoke_agent",
            Op::CreateAgent => "create_agent",
            Op::Chat => "chat",
            Op::TextCompletion => "text_completion",
            Op::GenerateContent => "generate_content",
            Op::Embeddings => "embeddings",
            Op::Rerank => "rerank",
            Op::Moderation => "moderation",
            Op::Transcription => "transcription",
            Op::Image => "image",
            Op::ExecuteTool => "execute_tool",
            Op::Mcp => "mcp",
        }
    }

    /// The operation of a value of `gen_ai.operation.name`: the conventions' own, and those that frameworks
    /// write there. An unknown one is a step.
    pub fn of_operation_name(name: &str) -> Op {
        Op::known(name).or_else(|| Op::known(&name.to_ascii_lowercase())).unwrap_or(Op::Step)
    }

    /// The operation of a known value, in lower case.
    pub(super) fn known(name: &str) -> Option<Op> {
        Some(match name {
            "chat" | "chat.completions" | "completion" | "generate" | "model_request" | "response" | "llm_request"
            | "llm_call" => Op::Chat,
            "execute_tool" | "tool_call" | "mcp_tool_call" => Op::ExecuteTool,
            "invoke_agent" | "agent_call" => Op::InvokeAgent,
            "generate_content" => Op::GenerateContent,
            "text_completion" | "text.completions" | "text_completions" => Op::TextCompletion,
            "embeddings" => Op::Embeddings,
            "invoke_workflow" => Op::InvokeWorkflow,
            "create_agent" => Op::CreateAgent,
            "retrieval" | "vector_db_retrieve" => Op::Retrieval,
            "plan" => Op::Plan,
            "create_memory_store"
            | "delete_memory_store"
            | "create_memory"
            | "update_memory"
            | "upsert_memory"
            | "search_memory"
            | "delete_memory" => Op::Memory,
            "rerank" => Op::Rerank,
            "moderation" => Op::Moderation,
            "transcription" => Op::Transcription,
            "image_generation" => Op::Image,
            "execute_hook" => Op::Hook,
            "handoff" | "agent_handoff" => Op::Handoff,
            "execute_task" | "task" => Op::Task,
            "fetch_response"
            | "agent_step"
            | "execute_event_loop_cycle"
            | "execute_method"
            | "invoke_node"
            | "orchestrate_tools"
            | "schedule_tool_calls"
            | "user_prompt"
            | "system_prompt"
            | "compact_events"
            | "goto" => Op::Step,
            _ => return None,
        })
    }
}
