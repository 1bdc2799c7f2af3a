//! What is said from within work: pieces of answers, progress, heartbeats, events.

use std::time::Duration;

use serde_json::json;
use spanlight::event::{Event, EventType, Filter, Timestamp};
use spanlight::{Progress, SpanExt, Usage, agent_span, llm_span, tool_span};

use crate::support::{PATIENCE, Scene, find};

#[test]
fn pieces_of_an_answer_are_merged_and_none_is_lost() {
    let scene = Scene::new();
    let agent = agent_span!("scribe").entered();
    let call = llm_span!("gpt-4o", stream = true);
    let pieces: Vec<String> = (0..200).map(|piece| format!("{piece} ")).collect();
    for piece in &pieces {
        call.chunk(piece);
        std::thread::sleep(Duration::from_micros(500));
    }
    call.record_usage(Usage::new(10, 200));
    drop(call);
    drop(agent);
    let events = scene.events();
    let chunks: Vec<&Event> = events.iter().filter(|event| event.name == *"llm.progress").collect();
    assert!((2..=20).contains(&chunks.len()), "{} pieces", chunks.len());
    let text: String =
        chunks.iter().map(|event| event.data.get("chunk").unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(text, pieces.concat());
    let end = find(&events, "llm.completed", "scribe:llm:0");
    assert!(end.performance.ttft_ms.is_some());
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[..2], ["agent.started", "llm.started"]);
    assert_eq!(names[names.len() - 2..], ["llm.completed", "agent.completed"]);
}

#[test]
fn progress_is_told_at_most_so_often_and_the_last_of_it_always() {
    let scene = Scene::new();
    let tool = tool_span!("download");
    for percent in 0..=100u32 {
        tool.progress(Progress::new(format!("{percent} %")).share(f64::from(percent) / 100.0).step("download"));
        std::thread::sleep(Duration::from_millis(3));
    }
    drop(tool);
    let events = scene.events();
    let progress: Vec<&Event> = events.iter().filter(|event| event.event_type == EventType::Progress).collect();
    assert!((2..=8).contains(&progress.len()), "{}", progress.len());
    let last = progress.last().unwrap();
    assert_eq!(last.message.as_deref(), Some("100 %"));
    assert_eq!(last.data.to_map(), *json!({"progress": 1, "current_step": "download"}).as_object().unwrap());
}

#[test]
fn an_event_belongs_to_the_work_that_it_happens_in() {
    let scene = Scene::new();
    agent_span!("critic", feature = "articles", task_id = "t-1").in_scope(|| {
        tracing::info_span!("none of ours").in_scope(|| {
            spanlight::record_critic_decision(true);
            spanlight::emit_event("quality_check", json!({"score": 0.4, "passed": false})).unwrap();
        });
    });
    spanlight::emit_event("task_queued", json!({"task_id": "t-2"})).unwrap();
    let events = scene.events();
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["agent.started", "review.decided", "quality.checked", "agent.completed", "task.queued"]);
    let (start, review) = (&events[0], &events[1]);
    assert_eq!((review.trace_id, review.span_id), (start.trace_id, start.span_id));
    assert_eq!(review.identity.task_id.as_deref(), Some("t-1"));
    assert_eq!(review.dimensions.feature.as_deref(), Some("articles"));
    assert_eq!(review.identity.execution_id, start.identity.execution_id);
    assert_eq!(events[4].trace_id, None);
    assert_eq!(spanlight::metrics().critic_rejection_rate, Some(1.0));
    assert!(spanlight::emit_event("task_queued", json!([])).is_err());
}

#[test]
fn usage_can_be_recorded_anywhere_below_the_call() {
    let scene = Scene::new();
    tracing::info_span!("call", scope = "llm", model = "gpt-4o", provider = "openai").in_scope(|| {
        tracing::info_span!("parse the answer").in_scope(|| {
            tracing::Span::current().record_usage(Usage::new(1000, 500));
            tracing::Span::current().record_output(r#"[{"role": "assistant", "content": "done"}]"#);
        });
    });
    let events = scene.events();
    let end = events.iter().find(|event| event.name == *"llm.completed").unwrap();
    assert_eq!((end.performance.input_tokens, end.performance.output_tokens), (Some(1000), Some(500)));
    assert_eq!(end.performance.cost_usd, Some(0.0075));
    let parts = json!([{"type": "text", "content": "done"}]);
    assert_eq!(end.data.get("response"), Some(json!([{"role": "assistant", "parts": parts}])));
}

#[test]
fn a_subscription_gets_what_fits_and_says_what_it_missed() {
    let telemetry = spanlight::Telemetry::builder().ring(10).build();
    let scene = Scene::with(telemetry);
    let filter = Filter::from_pairs([("scope", "tool")], Timestamp::now()).unwrap();
    let mut tools = scene.telemetry.subscribe(filter);
    agent_span!("scribe").in_scope(|| drop(tool_span!("search")));
    let next = |tools: &mut spanlight::Subscription| tools.recv_timeout(PATIENCE).unwrap().event().name.to_string();
    assert_eq!([next(&mut tools), next(&mut tools)], ["tool.started", "tool.completed"]);
    for _ in 0..20 {
        drop(tool_span!("search"));
    }
    scene.telemetry.flush(PATIENCE).unwrap();
    let rest = std::iter::from_fn(|| tools.try_next()).count();
    assert_eq!((rest, tools.lost()), (10, 30));
    assert!(tools.recv_timeout(Duration::from_millis(1)).is_none());
}

#[tokio::test]
async fn a_subscription_can_be_awaited() {
    let scene = Scene::new();
    let mut all = scene.telemetry.subscribe(Filter::default());
    let listener = tokio::spawn(async move { all.next().await.unwrap().event().name.to_string() });
    tokio::task::yield_now().await;
    drop(agent_span!("scribe"));
    assert_eq!(listener.await.unwrap(), "agent.started");
}

#[test]
fn open_work_is_seen_while_it_is_open() {
    let scene = Scene::new();
    let mut all = scene.telemetry.subscribe(Filter::default());
    let _agent = agent_span!("scribe").entered();
    let began = std::time::Instant::now();
    assert_eq!(all.recv_timeout(PATIENCE).unwrap().event().name, *"agent.started");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn open_work_says_that_it_lives_and_closed_work_does_not() {
    let limits = spanlight::layer::Limits { heartbeat: Duration::from_millis(50), ..Default::default() };
    let scene = Scene::with(spanlight::Telemetry::builder().limits(limits).build());
    let filter = Filter::from_pairs([("name", "system.progress")], Timestamp::now()).unwrap();
    let mut beats = scene.telemetry.subscribe(filter);
    let agent = agent_span!("scribe").entered();
    drop(tool_span!("search"));
    for sequence in 0..3 {
        let beat = beats.recv_timeout(PATIENCE).unwrap();
        let beat = beat.event();
        assert_eq!(beat.component_id.to_string(), "system:heartbeat");
        assert_eq!(beat.dimensions.agent.as_deref(), Some("scribe"));
        let id = spanlight::event::EventId::of_span_fact(
            beat.trace_id.unwrap(),
            beat.span_id.unwrap(),
            "system.progress",
            sequence,
        );
        assert_eq!(beat.event_id, id);
    }
    drop(agent);
    scene.telemetry.flush(PATIENCE).unwrap();
    while beats.try_next().is_some() {}
    assert!(beats.recv_timeout(Duration::from_millis(150)).is_none());
}

#[test]
fn a_subscription_ends_with_telemetry() {
    let scene = Scene::new();
    let mut all = scene.telemetry.subscribe(Filter::default());
    drop(agent_span!("scribe"));
    scene.telemetry.shutdown(PATIENCE);
    let rest: Vec<String> =
        std::iter::from_fn(|| all.recv_timeout(PATIENCE)).map(|record| record.event().name.to_string()).collect();
    assert_eq!(rest, ["agent.started", "agent.completed"]);
    assert!(all.has_ended());
    spanlight::emit(Event::quality_checked(0.5, true));
    assert_eq!(scene.telemetry.health().sum("spanlight.dropped", &[("signal", "event")]), 1);
}
