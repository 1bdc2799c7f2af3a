//! The lives of spans: names, parents, ids, outcomes.

use spanlight::event::Status;
use spanlight::{SpanExt, Usage, agent_span, llm_span, step_span, tool_span, workflow_span};

use crate::support::{Scene, find};

#[test]
fn nested_work_has_its_ids_and_parents() {
    let scene = Scene::new();
    {
        let _workflow = workflow_span!("publish", feature = "articles", task_id = "t-1").entered();
        let _step = step_span!("write").entered();
        let _agent = agent_span!("scribe").entered();
        {
            let call = llm_span!("gpt-4o", provider = "openai").entered();
            call.record_usage(Usage::new(1840, 95));
        }
        let _tool = tool_span!("search").entered();
    }
    let events = scene.events();
    let told: Vec<String> = events.iter().map(|event| format!("{} {}", event.name, event.component_id)).collect();
    assert_eq!(
        told,
        [
            "workflow.started publish",
            "step.started publish:step:0",
            "agent.started scribe",
            "llm.started scribe:llm:0",
            "llm.completed scribe:llm:0",
            "tool.started search",
            "tool.completed search",
            "agent.completed scribe",
            "step.completed publish:step:0",
            "workflow.completed publish",
        ]
    );
    let workflow = find(&events, "workflow.started", "publish");
    let llm = find(&events, "llm.completed", "scribe:llm:0");
    let agent = find(&events, "agent.completed", "scribe");
    assert_eq!(llm.parent_span_id, agent.span_id);
    assert_eq!(llm.trace_id, workflow.trace_id);
    assert_eq!(llm.identity.workflow_id.as_deref(), workflow.span_id.map(|id| id.to_string()).as_deref());
    assert_eq!(llm.identity.task_id.as_deref(), Some("t-1"));
    assert_eq!(llm.dimensions.feature.as_deref(), Some("articles"));
    assert_eq!(llm.dimensions.agent.as_deref(), Some("scribe"));
    assert_eq!(llm.performance.cost_usd, Some(0.00555));
    assert_eq!(agent.performance.cost_usd, Some(0.00555));
    assert_eq!(agent.status, Status::Completed);
    let metrics = scene.telemetry.metrics();
    assert_eq!((metrics.tokens, metrics.runs, metrics.cost_per_feature), (1935, 1, Some(0.00555)));
}
