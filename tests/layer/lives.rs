//! The lives of spans: names, parents, ids, outcomes.

use spanlight::event::Status;
use spanlight::{SpanExt, Usage, agent_span, llm_span, step_span, tool_span, workflow_span};

use tracing::Instrument;

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

#[tracing::instrument(fields(gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = name))]
async fn agent(name: &str) {
    tokio::task::yield_now().await;
    call_a_model().await;
}

#[tracing::instrument(skip_all, fields(scope = "llm", model = "gpt-4o", input_tokens, output_tokens))]
async fn call_a_model() {
    tokio::task::yield_now().await;
    let span = tracing::Span::current();
    span.record("input_tokens", 100);
    span.record("output_tokens", 10);
}

#[test]
fn work_keeps_its_place_across_awaits_tasks_and_threads() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let workflow = workflow_span!("fan_out");
    runtime.block_on(
        async {
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    let work = async move { agent(&format!("agent-{number}")).await };
                    let work = tracing::Instrument::in_current_span(work);
                    tokio::spawn(tracing::instrument::WithSubscriber::with_current_subscriber(work))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let span = tracing::Span::current();
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let thread = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    span.in_scope(|| drop(tool_span!("threaded")));
                });
            });
            thread.join().unwrap();
        }
        .instrument(workflow),
    );
    let events = scene.events();
    assert_eq!(events.len(), 2 + 20 * 4 + 2);
    let workflow = find(&events, "workflow.started", "fan_out");
    for number in 0..20 {
        let agent = find(&events, "agent.completed", &format!("agent-{number}"));
        let call = find(&events, "llm.completed", &format!("agent-{number}:llm:0"));
        assert_eq!((agent.trace_id, agent.parent_span_id), (workflow.trace_id, workflow.span_id));
        assert_eq!(call.parent_span_id, agent.span_id);
        assert_eq!(call.performance.input_tokens, Some(100));
    }
    assert_eq!(find(&events, "tool.completed", "threaded").parent_span_id, workflow.span_id);
    for event in &events {
        assert_eq!(event.identity.execution_id, workflow.identity.execution_id);
    }
}

#[test]
fn what_follows_from_a_span_belongs_to_its_execution() {
    let scene = Scene::new();
    let (first, child) = agent_span!("first").in_scope(|| (tracing::Span::current(), tool_span!("tool")));
    let open = tracing::info_span!(parent: None, "invoke_agent", scope = "agent", agent = "of the open");
    open.follows_from(&first);
    drop(open);
    let id = child.id().unwrap();
    drop((first, child));
    scene.telemetry.flush(crate::support::PATIENCE).unwrap();
    let closed = tracing::info_span!("invoke_agent", scope = "agent", agent = "of the closed");
    closed.follows_from(id);
    drop(closed);
    let events = scene.events();
    let first = find(&events, "agent.started", "first");
    for name in ["of the open", "of the closed"] {
        assert_eq!(find(&events, "agent.started", name).trace_id, first.trace_id, "{name}");
    }
    assert_eq!(find(&events, "agent.started", "of the closed").parent_span_id, first.span_id);
}

#[test]
fn a_tool_that_follows_from_a_call_is_of_its_agent() {
    let scene = Scene::new();
    let call = tracing::info_span!("chat", gen_ai.operation.name = "chat", gen_ai.agent.name = "forecaster");
    let tool =
        tracing::info_span!("execute_tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "weather");
    tool.follows_from(&call);
    drop((tool, call));
    let events = scene.events();
    assert_eq!(find(&events, "tool.completed", "weather").dimensions.agent.as_deref(), Some("forecaster"));
}

#[test]
fn patterns_say_what_spans_are_that_do_not() {
    use spanlight::event::Scope;
    let telemetry = spanlight::Telemetry::builder()
        .span_pattern("*::lives::run_*", Scope::Agent)
        .span_pattern("lookup", Scope::Tool)
        .build();
    let scene = Scene::with(telemetry);
    tracing::info_span!("run_research").in_scope(|| {
        tracing::info_span!("unrelated").in_scope(|| drop(tracing::info_span!("lookup")));
    });
    assert_eq!(
        scene.told(),
        ["agent.started run_research", "tool.started lookup", "tool.completed lookup", "agent.completed run_research"]
    );
}

#[test]
fn a_span_that_is_reused_by_the_registry_is_another_one() {
    let scene = Scene::new();
    for number in 0..1000 {
        drop(agent_span!(&*format!("agent-{number}")));
        drop(tracing::info_span!("none of ours"));
    }
    let told = scene.told();
    assert_eq!(told.len(), 2000);
    assert_eq!(told[1998..], ["agent.started agent-999", "agent.completed agent-999"]);
}

#[test]
fn a_span_that_is_kept_longer_than_its_work_ends_when_it_is_closed() {
    let scene = Scene::new();
    let agent = agent_span!("kept");
    agent.in_scope(|| std::thread::sleep(std::time::Duration::from_millis(5)));
    std::thread::sleep(std::time::Duration::from_millis(30));
    drop(agent);
    let events = scene.events();
    let end = find(&events, "agent.completed", "kept");
    let left = end.data.get("last_exit_ms").unwrap().as_f64().unwrap();
    let took = end.performance.duration_ms.unwrap();
    assert!((5.0..30.0).contains(&left) && took >= 35.0, "{left} {took}");
}

#[test]
fn names_are_looked_at_once_and_parents_can_be_given() {
    let scene = Scene::new();
    let mut numbers = 0..;
    let mut name = || format!("agent-{}", numbers.next().unwrap());
    let first = agent_span!(name());
    let tool = tool_span!(parent: &first, "search", feature = "x");
    let root = agent_span!(parent: None, name());
    drop((tool, root, first));
    let events = scene.events();
    let first = find(&events, "agent.started", "agent-0");
    assert_eq!(find(&events, "tool.started", "search").parent_span_id, first.span_id);
    assert_eq!(find(&events, "agent.started", "agent-1").parent_span_id, None);
}

#[test]
fn what_an_agent_says_it_cost_counts_where_nobody_knows_better() {
    let scene = Scene::new();
    agent_span!("priced by hand").record_cost(0.25);
    let agent = agent_span!("priced by its calls").entered();
    agent.record_cost(9.0);
    llm_span!("gpt-4o", provider = "openai").record_usage(Usage::new(1000, 500));
    drop(agent);
    let events = scene.events();
    assert_eq!(find(&events, "agent.completed", "priced by hand").performance.cost_usd, Some(0.25));
    assert_eq!(find(&events, "agent.completed", "priced by its calls").performance.cost_usd, Some(0.0075));
    assert_eq!(scene.telemetry.metrics().total_cost_usd, 0.2575);
}

#[test]
fn prices_of_a_file_go_before_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.json");
    std::fs::write(&path, r#"{"prices": [{"model": "house-model", "input": 1000, "output": 2000}]}"#).unwrap();
    let scene = Scene::with(spanlight::Telemetry::builder().prices(&path).build());
    llm_span!("house-model").record_usage(Usage::new(1000, 100));
    let events = scene.events();
    let end = events.iter().find(|event| event.name == *"llm.completed").unwrap();
    assert_eq!(end.performance.cost_usd, Some(1.2));
}
