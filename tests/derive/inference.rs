//! What no span says by itself: agents that only their calls name, calls that several spans report, placeholders of
//! spans that go on, and what happens besides.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;
use spanlight::derive::RunStatus;
use spanlight::derive::cost::By;
use spanlight::otlp::{Batch, Signal};

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
fn a_trace_that_never_says_so_has_failed_with_its_agent_and_began_when_it_began() {
    let root = with(span(1, 0, (0, 1000), "OpenAI Agents trace: {name}", Vec::new()), "name", "support");
    let task = span(2, 1, (0, 1000), "Task: support", Vec::new());
    let mut desk = with(span(3, 2, (0, 1000), "Agent run: {name!r}", Vec::new()), "name", "desk");
    desk.status = Some(Status { code: StatusCode::Error.into(), message: "no such model".into() });
    let mut scene = Scene::new();
    scene.arrive_in("logfire.openai_agents", &[pending(11, &root)]).pass(1000);
    assert_eq!(scene.names(), ["workflow.started"]);
    scene.arrive_in("logfire.openai_agents", &[desk, task, root]).pass(10_000).finish();
    assert_eq!(scene.names(), ["agent.started", "agent.failed", "workflow.failed"]);
    assert_eq!(scene.deriver.summaries(|_| true)[0].status, RunStatus::Failed);
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

/// What a partial span processor sends of a span.
fn partial(event: &str, span: &Span) -> Vec<u8> {
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let attributes: Vec<String> = span
        .attributes
        .iter()
        .map(|attribute| {
            let Some(Value::StringValue(text)) = attribute.value.as_ref().and_then(|value| value.value.as_ref()) else {
                panic!()
            };
            format!(r#"{{"key":"{}","value":{{"stringValue":"{text}"}}}}"#, attribute.key)
        })
        .collect();
    let end =
        if event == "stop" { format!(r#","endTimeUnixNano":"{}""#, span.end_time_unix_nano) } else { String::new() };
    let body = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}","name":"{}","kind":"SPAN_KIND_INTERNAL",
        "startTimeUnixNano":"{}"{end},"status":{{}},"attributes":[{}]}}]}}]}}]}}"#,
        hex(&span.trace_id),
        hex(&span.span_id),
        span.name,
        span.start_time_unix_nano,
        attributes.join(",")
    );
    let attributes = vec![text("partial.event", event), text("partial.body.type", "json/v1")];
    let body = Some(AnyValue { value: Some(Value::StringValue(body)) });
    let record = LogRecord { body, attributes, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

#[test]
fn a_span_told_in_log_records_goes_on_until_it_has_ended() {
    let root = agent(1, 0, (0, 60_000), "slow");
    let mut scene = Scene::new();
    let log = |scene: &mut Scene, event: &str| {
        let batch = Batch::read(Signal::Logs, partial(event, &root).into()).unwrap().batch;
        scene.deriver.logs(&batch, scene.now, &mut scene.out);
    };
    for _ in 0..3 {
        log(&mut scene, "heartbeat");
        scene.pass(50_000);
        assert_eq!(scene.deriver.summaries(|_| true)[0].status, RunStatus::Running);
    }
    assert_eq!(scene.names(), ["agent.started"]);
    log(&mut scene, "stop");
    scene.arrive(std::slice::from_ref(&root)).pass(10_000);
    log(&mut scene, "heartbeat");
    assert_eq!(scene.pass(10_000).names(), ["agent.completed"]);
    assert_eq!((scene.totals().agent_runs, scene.deriver.counts().duplicate_spans), (1, 0));
}

#[test]
fn an_agent_within_itself_is_one_run_unless_it_came_there_through_a_tool() {
    let mut scene = Scene::new();
    scene
        .arrive(&[
            chat(9, 8, (50, 60), 1, 1),
            agent(8, 7, (45, 65), "writer"),
            tool(7, 3, (40, 70), "delegate"),
            chat(4, 3, (10, 20), 1, 1),
            agent(3, 2, (5, 80), "writer"),
            span(2, 1, (4, 90), "internal", vec![]),
            agent(1, 0, (0, 100), "writer"),
        ])
        .pass(10_000);
    assert_eq!((scene.totals().agent_runs, scene.counted().agents["writer"]), (2, 2));
}
