//! What other systems send is read as events of the catalogue, in whatever body or entry it comes.

#[path = "../data/references/cases.rs"]
mod cases;

use serde_json::Value;
use spanlight::event::{Event, ReadError, Source, SourceKind, Timestamp, read_event, read_events, read_stream_entry};

use cases::{Case, all};

fn source() -> Source {
    Source { kind: SourceKind::Http, dialect: None, instance: None, service: None }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T06:28:00Z").unwrap()
}

fn json(events: Result<Vec<Event>, ReadError>, case: &Case) -> Vec<Value> {
    let events = events.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    events.iter().map(|event| serde_json::from_str(&event.to_json()).unwrap()).collect()
}

#[test]
fn every_example_is_what_the_catalogue_calls_it() {
    for case in all() {
        let mut read = read_events(case.sent.to_string().as_bytes(), &source(), now());
        assert_eq!(read.len(), 1);
        case.check(&json(read.remove(0), &case), "alone");
        case.check(&json(read_event(&case.name, case.rest.clone(), false, &source(), now()), &case), "emitted");
        let entry = case.entry();
        let fields = entry.iter().map(|(field, value)| (field.as_str(), value.as_bytes()));
        case.check(&json(read_stream_entry(fields, &source(), now()), &case), "entry of fields");
        let whole = case.sent.to_string();
        for field in ["event", "data", "payload", "message"] {
            let fields = [(field, whole.as_bytes())];
            case.check(&json(read_stream_entry(fields, &source(), now()), &case), "entry of one field");
        }
    }
}

#[test]
fn arrays_and_lines_hold_the_same_events() {
    let cases = all();
    let array = Value::from(cases.iter().map(|case| case.sent.clone()).collect::<Vec<_>>()).to_string();
    let lines: String = cases.iter().map(|case| format!("{}\n", case.sent)).collect();
    for body in [array, lines] {
        let read = read_events(body.as_bytes(), &source(), now());
        assert_eq!(read.len(), cases.len());
        for (case, events) in cases.iter().zip(read) {
            case.check(&json(events, case), "among others");
        }
    }
}

#[test]
fn every_event_of_the_catalogue_that_others_have_is_among_the_examples() {
    let cases = all();
    let told: Vec<&str> =
        cases.iter().flat_map(|case| &case.expected).filter_map(|event| event["name"].as_str()).collect();
    // These only Spanlight's own constructors, and spans, tell of.
    let own = [
        "workflow.progress",
        "step.progress",
        "step.canceled",
        "agent.canceled",
        "agent.handed_off",
        "llm.canceled",
        "tool.canceled",
        "hitl.resolved",
        "messages.recorded",
    ];
    for entry in spanlight::event::catalogue::CATALOGUE {
        assert_eq!(told.contains(&entry.name), !own.contains(&entry.name), "{}", entry.name);
    }
}

#[test]
fn the_documentation_has_every_name_and_what_it_needs() {
    let docs = include_str!("../../docs/events.md");
    let catalogue = &docs[docs.find("## The catalogue").unwrap()..];
    let rows: Vec<&str> = catalogue.lines().filter(|line| line.starts_with("| `")).collect();
    for entry in spanlight::event::catalogue::CATALOGUE {
        let (subject, verb) = entry.name.split_once('.').unwrap();
        let names = |row: &&&str| {
            let short = row.contains(&format!("`{subject}.")) && row.contains(&format!("`.{verb}`"));
            row.contains(&format!("`{}`", entry.name)) || short
        };
        let row = rows.iter().find(names).unwrap_or_else(|| panic!("{} is not in the table", entry.name));
        let body = format!(r#"{{"name":"{}","message":"why"}}"#, entry.name);
        match read_events(body.as_bytes(), &source(), now()).remove(0) {
            Ok(_) => assert!(!row.contains("**"), "{} needs nothing: {row}", entry.name),
            Err(error) => {
                let error = error.to_string();
                let needed = error.split("needs `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
                assert!(row.contains(&format!("**{needed}**")), "{error}: {row}");
            }
        }
    }
}
