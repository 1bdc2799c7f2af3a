//! Coding agents: what their log records, spans and metrics tell that no recorded run has.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use prost::Message;
use spanlight::derive::RunStatus;
use spanlight::derive::cost::By;
use spanlight::event::Timestamp;
use spanlight::otlp::{Batch, Signal};

use crate::scene::{BEGINNING, Scene, attribute, chat, int, span, text};

const CLAUDE: &str = "com.anthropic.claude_code.events";

/// A log record at a time in milliseconds after the beginning.
pub fn record(at: u64, event: &str, attributes: Vec<KeyValue>) -> LogRecord {
    let beginning = Timestamp::parse(BEGINNING).unwrap().as_micros() as u64 * 1000;
    let named = [text("event.name", event)].into_iter().chain(attributes).collect();
    LogRecord { time_unix_nano: beginning + at * 1_000_000, attributes: named, ..LogRecord::default() }
}

fn logs(scope: &str, log_records: Vec<LogRecord>) -> Batch {
    let scope = InstrumentationScope { name: scope.into(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Batch::read(Signal::Logs, bytes.into()).unwrap().batch
}

pub fn said(scene: &mut Scene, scope: &str, records: Vec<LogRecord>) {
    scene.deriver.logs(&logs(scope, records), scene.now, &mut scene.out);
}

fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// Of one prompt of a session of Claude Code.
pub fn of_prompt(prompt: &str, more: Vec<KeyValue>) -> Vec<KeyValue> {
    [text("session.id", "s1"), text("prompt.id", prompt)].into_iter().chain(more).collect()
}

fn decisions(scene: &Scene) -> BTreeMap<(&'static str, &'static str), usize> {
    scene.counted().decisions
}

/// Name, calls and failures of every tool.
fn tools(scene: &Scene) -> Vec<(String, u64, u64)> {
    let rows = scene.deriver.ledger(By::Tool, None).rows.into_iter();
    let mut tools: Vec<_> =
        rows.map(|row| (row.key.to_string(), row.figures.tool_calls, row.figures.tool_failed)).collect();
    tools.sort();
    tools
}

fn statuses(scene: &Scene) -> Vec<RunStatus> {
    let mut runs = scene.deriver.summaries(|_| true);
    runs.sort_by_key(|run| run.started_at);
    runs.iter().map(|run| run.status).collect()
}

#[test]
fn an_interactive_session_of_claude_is_two_runs_with_decisions_of_its_user() {
    let edit = |more: Vec<KeyValue>| {
        of_prompt("p1", [text("tool_name", "Edit"), text("tool_use_id", "t1")].into_iter().chain(more).collect())
    };
    let records = vec![
        record(0, "user_prompt", of_prompt("p1", vec![])),
        record(
            900,
            "api_request",
            of_prompt(
                "p1",
                vec![
                    text("model", "claude-sonnet-4-5"),
                    int("input_tokens", 10),
                    int("cache_read_tokens", 90),
                    int("output_tokens", 5),
                    attribute("cost_usd", Value::DoubleValue(0.5)),
                    text("duration_ms", "800"),
                ],
            ),
        ),
        record(2000, "tool_decision", edit(vec![text("decision", "accept"), text("source", "user_temporary")])),
        record(2100, "tool_result", edit(vec![text("success", "true"), text("duration_ms", "20")])),
        record(
            3000,
            "tool_decision",
            of_prompt(
                "p1",
                vec![
                    text("tool_name", "Bash"),
                    text("tool_use_id", "t2"),
                    text("decision", "reject"),
                    text("source", "user_reject"),
                ],
            ),
        ),
        record(9000, "user_prompt", of_prompt("p2", vec![])),
        record(9900, "api_error", of_prompt("p2", vec![text("error", "overloaded"), text("status_code", "529")])),
    ];
    let mut scene = Scene::new();
    for _ in 0..2 {
        said(&mut scene, CLAUDE, records.clone());
    }
    scene.pass(1000);
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.llm_failed, totals.input_tokens), (1, 1, Some(100)));
    assert_eq!(totals.cost_usd, Some(0.5));
    assert_eq!(tools(&scene), [("Bash".into(), 1, 0), ("Edit".into(), 1, 0)]);
    scene.pass(700_000);
    assert_eq!(statuses(&scene), [RunStatus::Completed, RunStatus::Lost], "nobody knows how the second one ended");
    assert_eq!(decisions(&scene), [(("user", "approved"), 1), (("user", "rejected"), 1)].into());
    let told: Vec<&str> = scene.out.events.iter().map(|event| event.name.as_str()).collect();
    let count = |name: &str| told.iter().filter(|told| **told == name).count();
    let counts = ["agent.started", "llm.completed", "llm.failed", "tool.completed", "tool.canceled", "review.decided"];
    assert_eq!(counts.map(count), [2, 1, 1, 1, 1, 2], "{told:?}");
}

#[test]
fn waiting_for_the_user_is_none_of_the_tools_time_and_a_refusal_cancels_it() {
    let phase = |kind: &str, more: Vec<KeyValue>| [text("span.type", kind)].into_iter().chain(more).collect();
    let tool = |id: u64, time: (u64, u64)| {
        let attributes = phase("tool", vec![text("gen_ai.tool.name", "Edit"), text("tool_use_id", &id.to_string())]);
        span(id, 1, time, "claude_code.tool", attributes)
    };
    let asked = |id: u64, parent: u64, time: (u64, u64), decision: &str, source: &str| {
        let attributes = phase("tool.blocked_on_user", vec![text("decision", decision), text("source", source)]);
        span(id, parent, time, "claude_code.tool.blocked_on_user", attributes)
    };
    let mut scene = Scene::new();
    scene.arrive(&[
        asked(11, 10, (100, 1600), "accept", "user_temporary"),
        span(12, 10, (1600, 1650), "claude_code.tool.execution", phase("tool.execution", vec![truth("success", true)])),
        tool(10, (100, 1650)),
        asked(21, 20, (2000, 3000), "reject", "user_reject"),
        tool(20, (2000, 3000)),
        span(1, 0, (0, 4000), "claude_code.interaction", phase("interaction", vec![])),
    ]);
    scene.pass(700_000);
    assert_eq!(tools(&scene), [("Edit".into(), 2, 0)]);
    assert_eq!(decisions(&scene), [(("user", "approved"), 1), (("user", "rejected"), 1)].into());
    let waits: Vec<f64> = scene
        .out
        .events
        .iter()
        .filter(|event| event.name.as_str() == "hitl.resolved")
        .filter_map(|event| event.data.get("waited_ms")?.as_f64())
        .collect();
    assert_eq!(waits, [1500.0, 1000.0]);
    let took: Vec<Option<f64>> = scene
        .out
        .events
        .iter()
        .filter(|event| event.name.as_str() == "tool.completed")
        .map(|event| event.performance.duration_ms)
        .collect();
    assert_eq!(took, [Some(50.0)]);
    assert_eq!(scene.out.events.iter().filter(|event| event.name.as_str() == "tool.canceled").count(), 1);
}

#[test]
fn an_interaction_whose_last_call_failed_has_failed() {
    let call = |id: u64, time, failed: bool| {
        let mut call = span(id, 1, time, "claude_code.llm_request", vec![text("span.type", "llm_request")]);
        if failed {
            call.status = Some(opentelemetry_proto::tonic::trace::v1::Status { code: 2, message: "429".into() });
        }
        call
    };
    let interaction = span(1, 0, (0, 4000), "claude_code.interaction", vec![text("span.type", "interaction")]);
    for (first, last, status) in
        [(true, false, RunStatus::Completed), (false, true, RunStatus::Failed), (true, true, RunStatus::Failed)]
    {
        for late in [false, true] {
            let (first, last) = (call(2, (10, 20), first), call(3, (30, 40), last));
            let spans = [first, last.clone(), interaction.clone()];
            let mut scene = Scene::new();
            if late {
                scene.arrive(&[spans[0].clone(), spans[2].clone()]).arrive(&[last]);
            } else {
                scene.arrive(&spans);
            }
            scene.pass(10_000);
            assert_eq!(statuses(&scene), [status]);
        }
    }
}

#[test]
fn what_the_user_of_codex_did_not_allow_is_broken_off() {
    let tool = |id: u64, call: &str, aborted: bool| {
        span(
            id,
            1,
            (id * 100, id * 100 + 50),
            "apply_patch",
            vec![
                text("tool_name", "apply_patch"),
                text("call_id", call),
                text("tool_source", "direct"),
                truth("aborted", aborted),
            ],
        )
    };
    let mut scene = Scene::new();
    let turn = span(1, 0, (0, 1000), "session_task.turn", vec![text("turn.id", "t"), text("model", "gpt-5.5")]);
    let spans = in_scope("codex-app-server", &[tool(2, "c1", false), tool(3, "c2", true), turn]);
    scene.deriver.spans(&spans, scene.now, &mut scene.out);
    let of = |more: Vec<KeyValue>| [text("conversation.id", "conv")].into_iter().chain(more).collect::<Vec<_>>();
    said(
        &mut scene,
        "codex_otel.log_only",
        vec![
            record(0, "codex.user_prompt", of(vec![])),
            record(
                190,
                "codex.tool_decision",
                of(vec![
                    text("tool_name", "apply_patch"),
                    text("call_id", "c1"),
                    text("decision", "approved"),
                    text("source", "User"),
                ]),
            ),
        ]
        .into_iter()
        .map(|record| LogRecord { trace_id: vec![1; 16], ..record })
        .collect(),
    );
    said(
        &mut scene,
        "codex_otel.log_only",
        vec![
            record(
                300,
                "codex.api_request",
                of(vec![int("http.response.status_code", 500), text("error.message", "oops")]),
            ),
            record(
                500,
                "codex.sse_event",
                of(vec![
                    text("event.kind", "response.completed"),
                    text("input_token_count", "70"),
                    text("output_token_count", "7"),
                    int("cached_token_count", 20),
                    text("model", "gpt-5.5"),
                ]),
            ),
            record(501, "codex.sse_event", of(vec![text("event.kind", "response.output_text.delta")])),
        ],
    );
    scene.pass(700_000);
    assert_eq!(decisions(&scene), [(("user", "approved"), 1), (("user", "rejected"), 1)].into());
    assert_eq!(tools(&scene), [("apply_patch".into(), 2, 0)]);
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.llm_failed, totals.input_tokens), (1, 1, Some(70)));
    assert_eq!(statuses(&scene), [RunStatus::Completed]);
}

/// Spans of an instrumentation scope.
fn in_scope(scope: &str, spans: &[opentelemetry_proto::tonic::trace::v1::Span]) -> Batch {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
    let scope = InstrumentationScope { name: scope.into(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: spans.to_vec(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Batch::read(Signal::Traces, ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()).unwrap().batch
}

#[test]
fn geminis_users_decide_in_a_terminal_on_what_they_are_asked_about() {
    let call = |at: u64, tool: &str, decision: &str, interactive: bool, success: bool, more: Vec<KeyValue>| {
        let attributes = vec![
            text("session.id", "g"),
            text("prompt_id", "g########1"),
            text("function_name", tool),
            text("decision", decision),
            truth("interactive", interactive),
            truth("success", success),
            int("duration_ms", 5),
        ];
        record(at, "gemini_cli.tool_call", attributes.into_iter().chain(more).collect())
    };
    let mut scene = Scene::new();
    said(
        &mut scene,
        "gemini-cli",
        vec![
            record(0, "gemini_cli.user_prompt", vec![text("session.id", "g"), text("prompt_id", "g########1")]),
            call(100, "read_file", "accept", true, true, vec![]),
            call(200, "replace", "accept", true, true, vec![]),
            call(300, "run_shell_command", "reject", true, false, vec![text("error", "cancelled")]),
            call(400, "replace", "accept", false, true, vec![]),
            call(500, "write_file", "reject", false, false, vec![text("error_type", "tool_not_registered")]),
            record(
                600,
                "gemini_cli.api_error",
                vec![
                    text("session.id", "g"),
                    text("prompt_id", "g########1"),
                    int("status_code", 429),
                    text("error.type", "ApiError"),
                ],
            ),
            record(
                700,
                "gemini_cli.api_response",
                vec![
                    text("session.id", "g"),
                    text("prompt_id", "g########1"),
                    text("model", "gemini-2.5-pro"),
                    int("input_token_count", 50),
                    int("output_token_count", 4),
                    int("thoughts_token_count", 6),
                    int("duration_ms", 90),
                ],
            ),
        ],
    );
    scene.pass(700_000);
    let expected = [(("policy", "approved"), 2), (("user", "approved"), 1), (("user", "rejected"), 1)];
    assert_eq!(decisions(&scene), expected.into());
    let names = ["read_file", "replace", "run_shell_command", "write_file"].map(str::to_owned);
    let counts = [(1, 0), (2, 0), (1, 0), (1, 1)];
    assert_eq!(
        tools(&scene),
        names.into_iter().zip(counts).map(|(name, (all, bad))| (name, all, bad)).collect::<Vec<_>>()
    );
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.llm_failed, totals.output_tokens), (1, 1, Some(10)));
}

fn tokens(session: &str, kind: &str, count: i64) -> Batch {
    let point = NumberDataPoint {
        attributes: vec![text("session.id", session), text("type", kind), text("model", "claude-sonnet-4-5")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        value: Some(number_data_point::Value::AsInt(count)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 1, is_monotonic: true };
    let metric = Metric { name: "claude_code.token.usage".into(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope = InstrumentationScope { name: "com.anthropic.claude_code".into(), ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    Batch::read(Signal::Metrics, bytes.into()).unwrap().batch
}

#[test]
fn metrics_count_until_something_tells_of_the_calls() {
    let mut scene = Scene::new();
    for batch in
        [tokens("s1", "input", 10), tokens("s1", "cacheRead", 90), tokens("s1", "input", 10), tokens("s2", "input", 7)]
    {
        scene.deriver.metrics(&batch, scene.now, &mut scene.out);
    }
    assert_eq!(scene.totals().input_tokens, Some(107));
    let call = vec![text("model", "claude-sonnet-4-5"), int("input_tokens", 10), int("cache_read_tokens", 90)];
    said(&mut scene, CLAUDE, vec![record(5, "api_request", of_prompt("p1", call))]);
    assert_eq!(scene.totals().input_tokens, Some(107));
    assert_eq!(scene.totals().llm_calls, 1);
}

#[test]
fn calls_that_an_sdk_tells_in_events_count_where_no_span_does() {
    let details = |span: u64| LogRecord {
        trace_id: vec![1; 16],
        span_id: span.to_be_bytes().to_vec(),
        ..record(
            90,
            "gen_ai.client.inference.operation.details",
            vec![
                text("gen_ai.operation.name", "chat"),
                text("gen_ai.request.model", "gpt-4o"),
                int("gen_ai.usage.input_tokens", 100),
                int("gen_ai.usage.output_tokens", 10),
            ],
        )
    };
    let after = |arrive: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new();
        arrive(&mut scene);
        scene.pass(700_000);
        let totals = scene.totals();
        (totals.llm_calls, totals.input_tokens)
    };
    let spans = [chat(2, 0, (0, 100), 100, 10)];
    assert_eq!(after(&|scene| said(scene, "sdk", vec![details(2)])), (1, Some(100)));
    assert_eq!(
        after(&|scene| {
            scene.arrive(&spans);
            said(scene, "sdk", vec![details(2)]);
        }),
        (1, Some(100))
    );
    assert_eq!(
        after(&|scene| {
            said(scene, "sdk", vec![details(2)]);
            scene.arrive(&spans);
        }),
        (1, Some(100))
    );
}

#[test]
fn a_judgement_in_a_log_record_is_an_event() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 0, (0, 100), 100, 10)]);
    let judged = LogRecord {
        trace_id: vec![1; 16],
        span_id: 2u64.to_be_bytes().to_vec(),
        ..record(
            200,
            "gen_ai.evaluation.result",
            vec![
                text("gen_ai.evaluation.name", "relevance"),
                text("gen_ai.evaluation.score.label", "pass"),
                attribute("gen_ai.evaluation.score.value", Value::DoubleValue(0.75)),
            ],
        )
    };
    for _ in 0..2 {
        said(&mut scene, "judge", vec![judged.clone()]);
    }
    let checked: Vec<_> = scene.out.events.iter().filter(|event| event.name.as_str() == "quality.checked").collect();
    assert_eq!(checked.len(), 1);
    assert_eq!(checked[0].data.get("score"), Some(0.75.into()));
    assert_eq!(checked[0].data.get("passed"), Some(true.into()));
}

#[test]
fn what_claude_asks_for_itself_is_part_of_a_run_and_none_of_its_own() {
    let of = |kind: &str| vec![text("span.type", kind), text("session.id", "s1"), int("input_tokens", 10)];
    let mut own = span(7, 0, (5, 20), "claude_code.llm_request", of("llm_request"));
    own.trace_id = vec![9; 16];
    let spans = [
        span(2, 1, (10, 50), "claude_code.llm_request", of("llm_request")),
        span(1, 0, (0, 100), "claude_code.interaction", of("interaction")),
    ];
    for first in [true, false] {
        let mut scene = Scene::new();
        if first {
            scene.arrive(std::slice::from_ref(&own)).arrive(&spans);
        } else {
            scene.arrive(&spans).arrive(std::slice::from_ref(&own));
        }
        scene.pass(10_000);
        assert_eq!(statuses(&scene), [RunStatus::Completed]);
        assert_eq!((scene.totals().llm_calls, scene.totals().agent_runs), (2, 1));
    }
}
