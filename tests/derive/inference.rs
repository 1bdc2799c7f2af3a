//! What no span says by itself: agents that only their calls name, calls that several spans report, placeholders of
//! spans that go on, and what happens besides.

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::RunStatus;
use spanlight::derive::cost::By;

use super::scene::{Scene, agent, chat, int, span, text, tool, workflow};

/// A call that names its agent.
fn chat_of(agent: &str, id: u64, parent: u64, time: (u64, u64)) -> Span {
    with(chat(id, parent, time, 100, 10), "gen_ai.agent.name", agent)
}

fn with(mut span: Span, key: &str, value: &str) -> Span {
    span.attributes.push(text(key, value));
    span
}

/// What Logfire sends when a span begins: another id, no length, below the span that it stands for.
fn pending(id: u64, of: &Span) -> Span {
    let parent = match of.parent_span_id.as_slice() {
        [] => "0000000000000000".to_owned(),
        id => id.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let mut pending = with(with(of.clone(), "logfire.span_type", "pending_span"), "logfire.pending_parent_id", &parent);
    (pending.parent_span_id, pending.span_id) = (of.span_id.clone(), id.to_be_bytes().to_vec());
    pending.end_time_unix_nano = of.start_time_unix_nano;
    pending
}

#[test]
fn calls_below_one_span_that_name_an_agent_are_one_run_of_it() {
    let mut scene = Scene::new();
    let spans = [
        chat_of("packer", 2, 1, (10, 20)),
        with(tool(3, 1, (20, 25), "weigh"), "gen_ai.agent.name", "packer"),
        chat_of("packer", 4, 1, (30, 40)),
        chat_of("checker", 5, 1, (40, 50)),
        span(1, 0, (0, 100), "handle request", vec![text("session.id", "s-1")]),
    ];
    scene.arrive(&spans).pass(10_000).finish();
    let agents: Vec<_> = scene.deriver.ledger(By::Agent, None).rows;
    let runs = |name: &str| {
        agents.iter().find(|row| &*row.key == name).map(|row| (row.figures.agent_runs, row.figures.llm_calls))
    };
    assert_eq!((runs("packer"), runs("checker")), (Some((1, 2)), Some((1, 1))));
    let run = &scene.deriver.summaries(|_| true)[0];
    assert_eq!((run.status, run.session_id.as_deref()), (RunStatus::Completed, Some("s-1")));
    let tree = scene.deriver.tree(&run.id).unwrap();
    let packer = &tree.roots[0];
    assert!(packer.inferred && packer.children.len() == 3, "{packer:?}");
    let started = scene.out.events.iter().find(|event| event.name.as_str() == "agent.started").unwrap();
    assert_eq!(started.data.get("inferred"), Some(true.into()));
    assert_eq!(scene.counted().agents.values().sum::<usize>(), 2);
}

#[test]
fn an_agent_that_reports_itself_is_not_inferred() {
    let mut scene = Scene::new();
    scene.arrive(&[chat_of("planner", 2, 1, (10, 20)), agent(1, 0, (0, 100), "planner")]).pass(10_000).finish();
    assert_eq!(scene.counted().agents.into_iter().collect::<Vec<_>>(), [("planner".to_owned(), 1)]);
    assert_eq!(scene.tally()["agent.started"], 1);
}

#[test]
fn an_agent_whose_span_never_came_is_a_lost_run_of_it() {
    let mut scene = Scene::new();
    scene.arrive(&[chat_of("doomed", 2, 1, (10, 20)), tool(3, 1, (20, 30), "step_one")]).pass(3_600_000);
    let run = &scene.deriver.summaries(|_| true)[0];
    assert_eq!((run.status, &*run.name), (RunStatus::Lost, "doomed"));
    assert_eq!((scene.tally()["agent.started"], scene.tally()["agent.failed"]), (1, 1));
    // It comes after all.
    scene.arrive(&[agent(1, 0, (0, 100), "doomed")]).pass(10_000);
    assert_eq!(scene.deriver.summaries(|_| true)[0].status, RunStatus::Completed);
    assert_eq!(scene.totals().agent_runs, 1);
}

#[test]
fn two_spans_of_one_call_count_once_and_of_two_calls_twice() {
    let named = |span: Span, id: &str| with(span, "gen_ai.tool.call.id", id);
    let answered = |span: Span, id: &str| with(span, "gen_ai.response.id", id);
    let mut scene = Scene::new();
    scene
        .arrive(&[
            named(tool(2, 1, (10, 20), "bash"), "call-1"),
            named(tool(3, 1, (11, 19), "Tool.execute"), "call-1"),
            // Some models count the calls of each answer anew.
            named(tool(4, 1, (30, 40), "bash"), "call-1"),
            answered(chat(5, 1, (40, 50), 100, 10), "resp-1"),
            answered(chat(6, 1, (41, 49), 100, 10), "resp-1"),
            answered(chat(7, 1, (50, 60), 100, 10), "resp-2"),
            workflow(1, 0, (0, 100)),
        ])
        .pass(10_000)
        .finish();
    let totals = scene.totals();
    assert_eq!((totals.tool_calls, totals.llm_calls, totals.input_tokens), (2, 2, Some(200)));
    assert_eq!(scene.counted().input_tokens, 200);
}

#[test]
fn a_span_and_its_placeholder_are_one_span_that_goes_on_until_it_has_ended() {
    let (root, call) = (agent(1, 0, (0, 1000), "slow"), tool(2, 1, (100, 900), "crunch"));
    let mut scene = Scene::new();
    scene.arrive(&[pending(11, &root), pending(12, &call)]).pass(1000);
    assert_eq!(scene.names(), ["agent.started", "tool.started"]);
    assert_eq!(scene.deriver.summaries(|_| true)[0].status, RunStatus::Running);
    assert_eq!((scene.deriver.in_flight(), scene.totals().tool_calls), (vec![("slow".into(), 1)], 0));
    scene.arrive(&[call.clone(), root.clone()]).pass(1000);
    assert_eq!(scene.names(), ["tool.completed", "agent.completed"]);
    // What comes late or twice says nothing new.
    scene.arrive(&[pending(11, &root), pending(12, &call)]).pass(10_000).finish();
    assert!(scene.names().is_empty());
    assert_eq!(scene.deriver.summaries(|_| true)[0].status, RunStatus::Completed);
    assert_eq!((scene.totals().tool_calls, scene.totals().agent_runs), (1, 1));
    assert_eq!(scene.deriver.counts().duplicate_spans, 0);
}

#[test]
fn a_tool_named_after_it_hands_off() {
    let mut scene = Scene::new();
    let mut general = tool(4, 1, (60, 70), "transfer_to_agent");
    general.attributes.push(text("gen_ai.tool.call.arguments", r#"{"agent_name":"Refunds"}"#));
    let mut failed = tool(5, 1, (70, 80), "transfer_to_nobody");
    failed.attributes.push(text("error.type", "KeyError"));
    scene
        .arrive(&[
            tool(3, 1, (20, 30), "transfer_to_billing_agent"),
            general,
            failed,
            agent(1, 9, (0, 100), "Triage"),
            agent(2, 9, (30, 90), "Billing agent"),
            workflow(9, 0, (0, 100)),
        ])
        .pass(10_000);
    let handoffs = scene.out.events.iter().filter(|event| event.name.as_str() == "agent.handed_off");
    let text = |value: Option<serde_json::Value>| value.unwrap().to_string();
    let pairs = handoffs.map(|event| ["from", "to", "inferred"].map(|key| text(event.data.get(key))).join(" "));
    assert_eq!(pairs.collect::<Vec<_>>(), [r#""Triage" "Billing agent" true"#, r#""Triage" "Refunds" true"#]);
}

#[test]
fn lookups_are_told_as_such() {
    let lookup =
        |id, name: &str, operation: &str| span(id, 1, (10, 20), name, vec![text("gen_ai.operation.name", operation)]);
    let mut scene = Scene::new();
    scene
        .arrive(&[
            lookup(2, "retrieval docs", "retrieval"),
            lookup(3, "search_memory", "search_memory"),
            workflow(1, 0, (0, 50)),
        ])
        .pass(10_000);
    let tally = scene.tally();
    assert_eq!((tally["knowledge.accessed"], tally["memory.accessed"], tally["step.completed"]), (1, 1, 2));
}

#[test]
fn making_an_agent_is_no_run() {
    let mut scene = Scene::new();
    let attributes =
        vec![text("gen_ai.operation.name", "create_agent"), text("gen_ai.agent.name", "writer"), int("n", 1)];
    scene.arrive(&[span(1, 0, (0, 10), "create_agent writer", attributes)]).pass(10_000);
    assert!(scene.deriver.summaries(|_| true).is_empty());
}
