//! Runs that turn out to be one, and calls that are told twice and late: nothing is lost, and nothing counts twice.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::Limits;

use super::coding_agents::{of_prompt, record, said};
use super::scene::{Scene, agent, chat, int, span, text, tool};

const CLAUDE: &str = "com.anthropic.claude_code.events";

fn claude(id: u64, parent: u64, time: (u64, u64), kind: &str, more: Vec<KeyValue>) -> Span {
    let attributes = [text("span.type", kind)].into_iter().chain(more).collect();
    span(id, parent, time, &format!("claude_code.{kind}"), attributes)
}

fn of_trace(trace: u8, span: Span) -> Span {
    Span { trace_id: vec![trace; 16], ..span }
}

fn with(mut span: Span, more: &[KeyValue]) -> Span {
    span.attributes.extend_from_slice(more);
    span
}

fn calls_counted(scene: &Scene) -> usize {
    scene.counted().calls.values().sum()
}

#[test]
fn the_halves_of_calls_find_each_other_however_far_one_side_is_behind() {
    const CALLS: u64 = 400;
    for has_ids in [true, false] {
        let tokens = |call: u64| {
            let id = has_ids.then(|| text("request_id", &format!("r{call}")));
            let tokens = [text("model", "claude-sonnet-4-5"), int("input_tokens", 10), int("output_tokens", 5)];
            tokens.into_iter().chain(id).collect::<Vec<_>>()
        };
        let end = |call: u64| call * 20_000;
        let spans: Vec<Span> = (1..=CALLS)
            .map(|call| claude(call + 1, 1, (end(call) - 10, end(call)), "llm_request", tokens(call)))
            .chain([claude(1, 0, (0, end(CALLS + 1)), "interaction", vec![text("session.id", "s1")])])
            .collect();
        let records: Vec<LogRecord> = (1..=CALLS)
            .map(|call| LogRecord {
                trace_id: vec![1; 16],
                ..record(end(call), "api_request", of_prompt("p1", tokens(call)))
            })
            .collect();
        for spans_first in [true, false] {
            let mut scene = Scene::new();
            if spans_first {
                scene.arrive(&spans);
            }
            said(&mut scene, CLAUDE, records.clone());
            if !spans_first {
                scene.arrive(&spans);
            }
            assert_eq!(scene.totals().llm_calls, CALLS, "ids: {has_ids}, spans first: {spans_first}");
            scene.finish();
            assert_eq!(calls_counted(&scene), CALLS as usize);
        }
    }
}

#[test]
fn spans_of_one_call_stay_one_call_when_their_run_is_joined_with_another() {
    let id = [text("gen_ai.response.id", "r1")];
    let of_prompt = || vec![text("prompt.id", "p1"), text("session.id", "s1"), int("input_tokens", 7)];
    let larger: Vec<Span> = (1..=5).map(|id| claude(id, 0, (id, id + 1), "llm_request", of_prompt())).collect();
    let twice = [11, 12].map(|span| of_trace(9, with(chat(span, 10, (20, 30), 100, 10), &id)));
    let joins = of_trace(9, claude(13, 10, (40, 50), "llm_request", of_prompt()));
    let mut scene = Scene::new();
    scene.arrive(&larger).arrive(&twice);
    assert_eq!(scene.totals().llm_calls, 6);
    scene.arrive(&[joins]);
    assert_eq!(scene.totals().llm_calls, 7);
    scene.finish();
    assert_eq!(calls_counted(&scene), 7);
}

#[test]
fn a_span_that_tells_more_of_a_call_that_was_counted_is_not_counted_as_well() {
    let id = [text("gen_ai.response.id", "r1")];
    let called = [text("gen_ai.tool.call.id", "t1")];
    let more = [id[0].clone(), int("gen_ai.usage.cache_read.input_tokens", 50)];
    let mut scene = Scene::new();
    let first = [with(chat(2, 1, (10, 20), 100, 10), &id), with(tool(4, 1, (40, 50), "search"), &called)];
    scene.arrive(&first).arrive(&[agent(1, 0, (0, 90), "writer")]).pass(6000);
    assert_eq!((calls_counted(&scene), scene.counted().tools["search"]), (1, 1));
    scene.arrive(&[with(chat(3, 1, (9, 21), 100, 10), &more), with(tool(5, 1, (39, 51), "search"), &called)]);
    scene.pass(6000).finish();
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.tool_calls, totals.cache_read_tokens), (1, 1, Some(50)));
    assert_eq!((calls_counted(&scene), scene.counted().tools["search"]), (1, 1));
}

#[test]
fn a_call_below_a_counted_one_of_the_same_id_is_counted_in_its_place() {
    let id = [text("gen_ai.response.id", "r1")];
    let mut scene = Scene::new();
    scene.arrive(&[with(chat(2, 1, (10, 20), 100, 10), &id), agent(1, 0, (0, 90), "writer")]).pass(6000);
    let before = scene.counted();
    scene.arrive(&[with(chat(3, 2, (11, 19), 100, 10), &id)]).pass(6000).finish();
    let counted = scene.counted();
    assert_eq!(counted.cost - counted.overcounted, before.cost);
}

#[test]
fn the_rest_of_a_request_is_not_lost_when_its_run_is_taken_over_by_another() {
    let of_session = || vec![text("session.id", "s1"), int("input_tokens", 10)];
    let orphans: Vec<Span> = (21..=25)
        .map(|id| of_trace(9, claude(id, if id == 21 { 0 } else { 21 }, (5, 20), "llm_request", of_session())))
        .collect();
    let spans = [
        claude(2, 1, (10, 50), "llm_request", vec![int("input_tokens", 10)]),
        claude(1, 0, (0, 100), "interaction", of_session()),
    ];
    let mut scene = Scene::new();
    scene.arrive(&orphans).arrive(&spans).pass(10_000);
    assert_eq!(scene.deriver.counts().duplicate_spans, 0);
    assert_eq!((scene.totals().agent_runs, scene.deriver.in_memory().1), (1, 1));
    scene.finish();
    assert_eq!(scene.counted().agents.values().sum::<usize>(), 1);
}

#[test]
fn calls_that_spans_tell_of_too_do_not_count_when_their_events_leave_memory_or_the_program_stops() {
    let details = || {
        let attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "gpt-4o"),
            int("gen_ai.usage.input_tokens", 100),
        ];
        record(90, "gen_ai.client.inference.operation.details", attributes)
    };
    let mut scene = Scene::new();
    said(&mut scene, "sdk", vec![details()]);
    scene.arrive(&[chat(2, 0, (0, 100), 100, 10)]).finish();
    assert_eq!((scene.totals().llm_calls, calls_counted(&scene)), (1, 1));

    let mut scene = Scene::with(Limits { spans: 3, ..Limits::default() });
    said(&mut scene, "sdk", vec![details()]);
    for trace in 1..=10 {
        scene.arrive(&[of_trace(trace, chat(2, 0, (0, 100), 100, 10))]).pass(10_000);
    }
    scene.finish();
    assert_eq!((scene.totals().llm_calls, calls_counted(&scene)), (10, 10));
}

#[test]
fn calls_told_in_events_count_where_spans_are_of_other_things() {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "gpt-4o"),
        int("gen_ai.usage.input_tokens", 100),
    ];
    let mut scene = Scene::new();
    scene.arrive(&[span(1, 0, (0, 100), "GET /", vec![])]);
    said(&mut scene, "sdk", vec![record(90, "gen_ai.client.inference.operation.details", attributes)]);
    scene.pass(10_000).finish();
    assert_eq!((scene.totals().llm_calls, calls_counted(&scene)), (1, 1));
}

/// A call as a framework tells it, and as the SDK below tells it in a trace of its own.
fn told_apart(trace: u8, time: (u64, u64)) -> [Span; 2] {
    let told = |model: &str| {
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "anthropic"),
            text("gen_ai.request.model", model),
            int("gen_ai.usage.input_tokens", 100),
            int("gen_ai.usage.output_tokens", 10),
        ]
    };
    let of_sdk = span(7, 0, (time.0 + 1, time.1 - 1), "anthropic.messages.create", told("claude-sonnet-4-5-20250929"));
    [span(time.0 + 2, 1, time, "ChatAnthropic", told("claude-sonnet-4-5")), of_trace(trace, of_sdk)]
}

#[test]
fn a_call_that_an_sdk_tells_in_a_trace_of_its_own_counts_once() {
    for sdk_first in [true, false] {
        let mut scene = Scene::new();
        for (trace, time) in [(11, (0, 40)), (12, (10, 50)), (13, (50, 90))] {
            let [framework, sdk] = told_apart(trace, time);
            let mut reports = [("com.anthropic.sdk.python", sdk), ("some.framework", framework)];
            if !sdk_first {
                reports.reverse();
            }
            for (scope, span) in reports {
                scene.arrive_in(scope, &[span]).pass(500);
            }
        }
        scene.arrive(&[agent(1, 0, (0, 100), "writer")]).pass(10_000);
        assert_eq!((scene.totals().llm_calls, calls_counted(&scene)), (3, 3), "{sdk_first}");
        assert_eq!((scene.deriver.summaries(|_| true).len(), scene.tally()["llm.completed"]), (1, 3), "{sdk_first}");
    }
    // By itself it counts.
    let mut scene = Scene::new();
    let [_, sdk] = told_apart(11, (0, 40));
    scene.arrive_in("com.anthropic.sdk.python", &[sdk]).pass(10_000);
    assert_eq!((scene.totals().llm_calls, calls_counted(&scene), scene.tally()["llm.completed"]), (1, 1, 1));
}

#[test]
fn what_runs_are_called_by_is_bounded_too() {
    let mut scene = Scene::with(Limits { spans: 100, ..Limits::default() });
    for trace in 1..=200 {
        let prompt = LogRecord { trace_id: vec![trace; 16], ..record(1, "user_prompt", of_prompt("p1", vec![])) };
        said(&mut scene, CLAUDE, vec![prompt]);
    }
    let counts = scene.deriver.counts();
    assert!(counts.runs_cut_short + counts.runs_evicted > 0, "one run with the names of 200");
}

#[test]
fn calls_of_one_id_that_follow_one_another_are_as_many_and_are_read_without_a_walk_over_all() {
    const CALLS: u64 = 20_000;
    let called = [text("gen_ai.tool.call.id", "call_0")];
    // Each is told by two, who go on to the next call at the same time.
    let tells = |number: u64| with(tool(number, 1, (number / 2 * 10, number / 2 * 10 + 5), "search"), &called);
    let spans: Vec<Span> = (2..2 + CALLS).map(tells).chain([agent(1, 0, (0, CALLS * 10), "writer")]).collect();
    let mut scene = Scene::new();
    for some in spans.chunks(1000) {
        scene.arrive(some);
    }
    let began = std::time::Instant::now();
    assert_eq!(scene.totals().tool_calls, CALLS / 2);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
