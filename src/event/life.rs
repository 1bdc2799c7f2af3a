//! Beginnings, progress and ends of work from code, for work that no span tells of.
//!
//! Whoever traces the work with spans needs none of these: they are derived.

use super::{ComponentId, Event};

/// A run of a workflow, by its name. Its input and output are given by [`Event::with`].
impl Event {
    /// A run of a workflow began.
    pub fn workflow_started(workflow: &str) -> Event {
        Event::now("workflow.started").of(workflow, "")
    }

    /// A run of a workflow goes on.
    pub fn workflow_progress(workflow: &str) -> Event {
        Event::now("workflow.progress").of(workflow, "")
    }

    /// A run of a workflow ended well.
    pub fn workflow_completed(workflow: &str) -> Event {
        Event::now("workflow.completed").of(workflow, "")
    }

    /// A run of a workflow ended badly.
    pub fn workflow_failed(workflow: &str, error: &str) -> Event {
        Event::now("workflow.failed").of(workflow, "").because(error)
    }

    /// A run of a workflow was called off.
    pub fn workflow_canceled(workflow: &str) -> Event {
        Event::now("workflow.canceled").of(workflow, "")
    }

    /// A run of a workflow waits for something outside.
    pub fn workflow_paused(workflow: &str) -> Event {
        Event::now("workflow.paused").of(workflow, "")
    }

    /// A run of a workflow goes on after a pause.
    pub fn workflow_resumed(workflow: &str) -> Event {
        Event::now("workflow.resumed").of(workflow, "")
    }
}

/// A step of a workflow: the workflow's name, the step's number within it, from 0, and the step's name.
///
/// ```
/// use spanlight::event::Event;
///
/// let event = Event::step_started("pipeline", 0, "data_loader").with("step_type", "transform");
/// assert_eq!(event.component_id.to_string(), "pipeline:step:0");
/// ```
impl Event {
    /// A step began.
    pub fn step_started(workflow: &str, number: u32, step_name: &str) -> Event {
        Event::step("step.started", workflow, number, step_name)
    }

    /// A step goes on.
    pub fn step_progress(workflow: &str, number: u32, step_name: &str) -> Event {
        Event::step("step.progress", workflow, number, step_name)
    }

    /// A step ended well.
    pub fn step_completed(workflow: &str, number: u32, step_name: &str) -> Event {
        Event::step("step.completed", workflow, number, step_name)
    }

    /// A step ended badly.
    pub fn step_failed(workflow: &str, number: u32, step_name: &str, error: &str) -> Event {
        Event::step("step.failed", workflow, number, step_name).because(error)
    }

    /// A step was called off.
    pub fn step_canceled(workflow: &str, number: u32, step_name: &str) -> Event {
        Event::step("step.canceled", workflow, number, step_name)
    }

    fn step(name: &'static str, workflow: &str, number: u32, step_name: &str) -> Event {
        Event::now(name).of(workflow, &format!(":step:{number}")).with("step_name", step_name)
    }
}

/// A run of an agent, by its name.
///
/// ```
/// use spanlight::event::Event;
///
/// let event = Event::agent_failed("researcher", "no more iterations").task("t-17");
/// assert_eq!(event.message.as_deref(), Some("no more iterations"));
/// ```
impl Event {
    /// An agent began to work.
    pub fn agent_started(agent: &str) -> Event {
        Event::now("agent.started").agent(agent)
    }

    /// An agent's work goes on; how far it has come can be told with `iteration`, `max_iterations`, `current_step` and
    /// `progress`.
    pub fn agent_progress(agent: &str) -> Event {
        Event::now("agent.progress").agent(agent)
    }

    /// An agent's work ended well.
    pub fn agent_completed(agent: &str) -> Event {
        Event::now("agent.completed").agent(agent)
    }

    /// An agent's work ended badly.
    pub fn agent_failed(agent: &str, error: &str) -> Event {
        Event::now("agent.failed").agent(agent).because(error)
    }

    /// An agent's work was called off.
    pub fn agent_canceled(agent: &str) -> Event {
        Event::now("agent.canceled").agent(agent)
    }
}

/// A call of a model: the agent that calls, and the call's number within the agent's run, from 0.
///
/// ```
/// use spanlight::event::Event;
///
/// let event = Event::llm_completed("researcher", 0, "gpt-4o").provider("openai").tokens(1840, 95);
/// assert_eq!(event.component_id.to_string(), "researcher:llm:0");
/// ```
impl Event {
    /// A model was called.
    pub fn llm_started(agent: &str, number: u32, model: &str) -> Event {
        Event::call("llm.started", agent, number).model(model)
    }

    /// A piece of a model's answer came.
    pub fn llm_progress(agent: &str, number: u32, chunk: &str) -> Event {
        Event::call("llm.progress", agent, number).with("chunk", chunk)
    }

    /// What was said in a call, told apart from its start and its end: with [`Event::with`] the `messages` that went to the model
    /// or the `response`, in the form of OpenTelemetry's conventions: `[{"role": …, "parts": […]}]`.
    pub fn messages_recorded(agent: &str, number: u32) -> Event {
        Event::call("messages.recorded", agent, number)
    }

    /// A model answered. With [`Event::tokens`] and [`Event::provider`] it gets a price, unless it has a cost.
    pub fn llm_completed(agent: &str, number: u32, model: &str) -> Event {
        Event::call("llm.completed", agent, number).model(model)
    }

    /// A model gave no answer, or not all of it.
    pub fn llm_failed(agent: &str, number: u32, model: &str, error: &str) -> Event {
        Event::call("llm.failed", agent, number).model(model).because(error)
    }

    /// A call of a model was called off.
    pub fn llm_canceled(agent: &str, number: u32, model: &str) -> Event {
        Event::call("llm.canceled", agent, number).model(model)
    }

    fn call(name: &'static str, agent: &str, number: u32) -> Event {
        Event::now(name).of(agent, &format!(":llm:{number}")).agent(agent)
    }
}

/// A call of a tool, by its name; `name:N` tells several calls of it apart.
///
/// ```
/// use spanlight::event::Event;
/// use serde_json::json;
///
/// let event = Event::tool_started("calculator").with("arguments", json!({"a": 42, "b": 137}));
/// assert_eq!(event.dimensions.tool.as_deref(), Some("calculator"));
/// ```
impl Event {
    /// A tool was called.
    pub fn tool_started(tool: &str) -> Event {
        Event::tool_call("tool.started", tool)
    }

    /// A call of a tool goes on.
    pub fn tool_progress(tool: &str) -> Event {
        Event::tool_call("tool.progress", tool)
    }

    /// A call of a tool ended well.
    pub fn tool_completed(tool: &str) -> Event {
        Event::tool_call("tool.completed", tool)
    }

    /// A call of a tool ended badly; [`Event::with`] adds an `error_code`.
    pub fn tool_failed(tool: &str, error: &str) -> Event {
        Event::tool_call("tool.failed", tool).because(error)
    }

    /// A call of a tool was called off.
    pub fn tool_canceled(tool: &str) -> Event {
        Event::tool_call("tool.canceled", tool)
    }

    fn tool_call(name: &'static str, tool: &str) -> Event {
        // The number is of the call, not of the tool, by which metrics are broken down.
        let event = Event::now(name).of(tool, "");
        let tool = match tool.rsplit_once(':') {
            Some((owner, _)) if matches!(&event.component_id, ComponentId::Tool { number: Some(_), .. }) => owner,
            _ => tool,
        };
        event.tool(tool).with("tool_name", tool)
    }
}
