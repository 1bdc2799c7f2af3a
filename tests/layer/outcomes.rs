//! How work ended: well, badly, or called off.

use std::time::Duration;

use spanlight::event::{Event, Status};
use spanlight::{FutureExt, SpanExt, agent_span, llm_span, tool_span};
use tracing::Instrument;

use crate::support::{Scene, find};

fn end<'e>(events: &'e [Event], component: &str) -> &'e Event {
    let ends: Vec<&Event> =
        events.iter().filter(|event| event.is_end() && event.component_id.to_string() == component).collect();
    assert_eq!(ends.len(), 1, "{component}");
    ends[0]
}

#[tracing::instrument(fields(scope = "tool"), err)]
fn divide(by: u32) -> Result<u32, String> {
    1u32.checked_div(by).ok_or_else(|| "division by zero".to_owned())
}

#[test]
fn errors_that_are_returned_logged_or_recorded_fail_the_work() {
    let scene = Scene::new();
    divide(0).unwrap_err();
    divide(1).unwrap();
    agent_span!("recorded").record_error("out of ideas");
    agent_span!("by_field", error = "no network");
    agent_span!("by_status", otel.status_code = "ERROR", otel.status_description = "refused");
    agent_span!("logged").in_scope(|| tracing::error!("it broke"));
    agent_span!("repaired").in_scope(|| {
        tracing::error!("it broke");
        tracing::Span::current().record("otel.status_code", "OK");
    });
    let panicked = std::panic::catch_unwind(|| agent_span!("panicked").in_scope(|| panic!("on purpose")));
    assert!(panicked.is_err());
    let events = scene.events();
    for (component, message) in [
        ("recorded", "out of ideas"),
        ("by_field", "no network"),
        ("by_status", "refused"),
        ("logged", "it broke"),
        ("panicked", "panicked"),
    ] {
        let end = end(&events, component);
        assert_eq!((end.status, end.message.as_deref()), (Status::Failed, Some(message)), "{component}");
    }
    assert_eq!(end(&events, "repaired").status, Status::Completed);
    let divisions: Vec<(Status, Option<&str>)> = events
        .iter()
        .filter(|event| event.is_end() && event.component_id.to_string() == "divide")
        .map(|event| (event.status, event.message.as_deref()))
        .collect();
    assert_eq!(divisions, [(Status::Failed, Some("division by zero")), (Status::Completed, None)]);
}

#[tracing::instrument(fields(scope = "agent"))]
async fn waits_forever() {
    let call = llm_span!("gpt-4o");
    std::future::pending::<()>().instrument(call).await;
}

#[tracing::instrument(fields(scope = "agent"))]
async fn waits_a_moment() {
    async { tokio::time::sleep(Duration::from_millis(5)).await }.instrument(tool_span!("sleep")).await;
}

#[tokio::test]
async fn an_aborted_task_is_called_off_with_all_that_it_was_doing() {
    let scene = Scene::new();
    let task = tokio::spawn(waits_forever().with_subscriber_of_thread());
    tokio::time::sleep(Duration::from_millis(20)).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let events = scene.events();
    assert_eq!(end(&events, "waits_forever").status, Status::Canceled);
    assert_eq!(end(&events, "waits_forever:llm:0").status, Status::Canceled);
}

#[tokio::test]
async fn a_timeout_around_nested_work_calls_it_off() {
    let scene = Scene::new();
    let waited = tokio::time::timeout(Duration::from_millis(20), waits_forever()).await;
    assert!(waited.is_err());
    let events = scene.events();
    assert_eq!(end(&events, "waits_forever").status, Status::Canceled);
}

#[tokio::test]
async fn what_is_done_was_not_called_off() {
    let scene = Scene::new();
    waits_a_moment().await;
    tokio::spawn(waits_a_moment().with_subscriber_of_thread()).await.unwrap();
    let both = tokio::join!(waits_a_moment(), waits_a_moment());
    assert_eq!(both, ((), ()));
    let events = scene.events();
    let ends: Vec<Status> = events.iter().filter(|event| event.is_end()).map(|event| event.status).collect();
    assert_eq!(ends, [Status::Completed; 8]);
}

#[tokio::test]
async fn a_future_in_a_span_knows_whether_it_was_done() {
    let scene = Scene::new();
    let slow = std::future::pending::<()>().in_span(llm_span!("gpt-4o"));
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    let quick = tokio::time::sleep(Duration::from_millis(1)).in_span(tool_span!("quick"));
    let slow = std::future::pending::<()>().in_span(tool_span!("slow"));
    tokio::select! {
        () = quick => {}
        () = slow => {}
    }
    // Dropped long after it was done.
    let mut kept = Box::pin(async { 7 }.in_span(tool_span!("kept")));
    assert_eq!((&mut kept).await, 7);
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(kept);
    let events = scene.events();
    let outcome = |component: &str| end(&events, component).status;
    assert_eq!(events[1].status, Status::Canceled);
    assert_eq!(
        [outcome("quick"), outcome("slow"), outcome("kept")],
        [Status::Completed, Status::Canceled, Status::Completed]
    );
}

#[test]
fn whoever_knows_better_says_so() {
    let scene = Scene::new();
    agent_span!("quitter").record_canceled();
    assert_eq!(end(&scene.events(), "quitter").status, Status::Canceled);
}

#[test]
fn what_is_open_when_the_program_ends_was_called_off() {
    let scene = Scene::new();
    let agent = agent_span!("unfinished");
    let _entered = agent.enter();
    let report = scene.telemetry.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{report}");
    let page = scene.telemetry.get_events(0);
    let events: Vec<Event> = page.events.into_iter().map(|(_, record)| record.event().clone()).collect();
    find(&events, "agent.canceled", "unfinished");
}

/// Tasks on a test's own runtime run on its own thread, where its subscriber is the default.
trait OfThread: Sized {
    fn with_subscriber_of_thread(self) -> tracing::instrument::WithDispatch<Self>
    where
        Self: Future,
    {
        tracing::instrument::WithSubscriber::with_current_subscriber(self)
    }
}

impl<F: Future> OfThread for F {}
