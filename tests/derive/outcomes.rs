//! How spans say that they failed, or were called off.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use spanlight::derive::cost::By;

use super::dialects::understand;
use super::scene::{Scene, agent, attribute, bare_chat, chat, failed, span, text};

/// The kind and the message of a failure.
type Told = (Option<String>, Option<String>);

/// Whether it was called off, and how it failed.
fn outcome(sent: &Span) -> (bool, Option<Told>) {
    understand(sent, |meaning| {
        let meaning = meaning.unwrap();
        let failure = meaning.failure.map(|f| (f.error_type.map(str::to_owned), f.message.map(str::to_owned)));
        (meaning.canceled, failure)
    })
}

fn with(mut sent: Span, attributes: Vec<KeyValue>) -> Span {
    sent.attributes.extend(attributes);
    sent
}

#[test]
fn what_the_author_says_of_the_outcome_goes_before_what_was_recorded() {
    let broken = || failed(agent(1, 0, (0, 10), "writer"), "Timeout", "took too long");
    let said = |word: &str| outcome(&with(broken(), vec![text("spanlight.outcome", word)]));
    let failure = Some((Some("Timeout".to_owned()), Some("took too long".to_owned())));
    assert_eq!(said("canceled"), (true, None));
    assert_eq!(said("Cancelled"), (true, None));
    assert_eq!(said("completed"), (false, None));
    assert_eq!(said("failed"), (false, failure.clone()));
    assert_eq!(said("splendid"), (false, failure));
    let fine = with(agent(1, 0, (0, 10), "writer"), vec![text("spanlight.outcome", "failed")]);
    assert_eq!(outcome(&fine), (false, Some((None, None))));
}

#[test]
fn work_that_was_called_off_ends_so() {
    let mut scene = Scene::new();
    let off = || vec![text("spanlight.outcome", "canceled")];
    scene.arrive(&[with(bare_chat(2, 1, (1, 9)), off()), with(agent(1, 0, (0, 10), "writer"), off())]).finish();
    assert_eq!(scene.names(), ["agent.started", "llm.started", "llm.canceled", "agent.canceled"]);
    let summaries = scene.deriver.summaries(|_| true);
    assert_eq!((summaries[0].status.as_str(), &summaries[0].error), ("canceled", &None));
    assert_eq!(scene.deriver.ledger(By::Model, None).totals.llm_calls, 0, "nobody answered");
}

#[test]
fn a_kind_of_error_that_says_called_off_and_nothing_else_is_no_failure() {
    for kind in
        ["CancelledError", "asyncio.CancelledError", "asyncio.exceptions.CancelledError", "cancelled", "canceled"]
    {
        let sent = with(bare_chat(1, 0, (0, 1)), vec![text("error.type", kind)]);
        assert_eq!(outcome(&sent), (true, None), "{kind}");
    }
    for message in ["", "context canceled", "CancelledError: ", "cancelled"] {
        assert_eq!(outcome(&failed(bare_chat(1, 0, (0, 1)), "context canceled", message)), (true, None), "{message}");
    }
    let real = failed(bare_chat(1, 0, (0, 1)), "CancelledError", "the upstream closed the stream");
    assert!(!outcome(&real).0, "a message that says more is a failure");
    let other = failed(bare_chat(1, 0, (0, 1)), "Timeout", "cancelled");
    assert!(!outcome(&other).0, "only the kind of error tells");
    let mut fine = with(bare_chat(1, 0, (0, 1)), vec![text("error.type", "cancelled")]);
    fine.status = Some(Status { code: 1, message: String::new() });
    assert_eq!(outcome(&fine), (false, None), "a status that is explicitly good decides");
}

#[test]
fn an_exception_that_says_called_off_is_no_failure() {
    let mut sent = bare_chat(1, 0, (0, 1));
    sent.status = Some(Status { code: 2, message: "CancelledError: ".into() });
    let attributes = vec![text("exception.type", "asyncio.exceptions.CancelledError"), text("exception.message", "")];
    sent.events = vec![Event { name: "exception".into(), attributes, ..Event::default() }];
    assert_eq!(outcome(&sent), (true, None));
}

#[test]
fn the_field_error_is_a_failure_only_if_it_holds_one() {
    let error = |value: Value| {
        let attributes = vec![text("scope", "tool"), text("tool", "search"), attribute("error", value)];
        outcome(&span(1, 0, (0, 1), "search", attributes)).1
    };
    let word = |word: &str| Value::StringValue(word.into());
    assert_eq!(error(word("no network")), Some((None, Some("no network".into()))));
    assert_eq!(error(Value::BoolValue(true)), Some((None, None)));
    for nothing in [word(""), word("false"), word("None"), Value::BoolValue(false), Value::IntValue(0)] {
        assert_eq!(error(nothing.clone()), None, "{nothing:?}");
    }
    // Elsewhere the field is anybody's.
    assert_eq!(outcome(&with(chat(1, 0, (0, 1), 1, 1), vec![text("error", "no network")])).1, None);
}

#[test]
fn an_exception_that_only_passes_control_on_is_no_failure() {
    for (kind, message) in [
        ("ParentCommand", "Command(goto='writer')"),
        ("langgraph.errors.GraphInterrupt", "(Interrupt(value='sure?'),)"),
        ("Exception", "Exception: ParentCommand(Command(goto='writer'))"),
        ("Exception", "GraphInterrupt((Interrupt(value='sure?'),))"),
    ] {
        assert_eq!(outcome(&failed(bare_chat(1, 0, (0, 1)), kind, message)), (false, None), "{kind} {message}");
    }
    let real = failed(bare_chat(1, 0, (0, 1)), "ValueError", "ParentCommand(x)");
    assert!(outcome(&real).1.is_some(), "another kind of error only speaks of it");
}
