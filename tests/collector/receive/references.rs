//! What other systems send comes out as events of the catalogue, posted one by one, as an array and as lines.

#[path = "../../data/references/cases.rs"]
mod cases;

use serde_json::Value;

use crate::support::collector::Collector;
use cases::{Case, all};

async fn come_out(collector: &Collector, cases: &[Case], how: &str) {
    let count = cases.iter().map(|case| case.expected.len()).sum();
    let events = collector.events(count).await;
    let mut rest = events.as_slice();
    for case in cases {
        let (own, others) = rest.split_at(case.expected.len());
        case.check(own, how);
        rest = others;
    }
    assert!(events.iter().all(|event| event["source"]["kind"] == "http"));
}

#[tokio::test]
async fn one_by_one() {
    let (collector, cases) = (Collector::start().await, all());
    for case in &cases {
        let answer = collector.post("/v1/events", &[], case.sent.to_string()).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"accepted":1}"#), "{}", case.place);
    }
    come_out(&collector, &cases, "one by one").await;
}

#[tokio::test]
async fn as_an_array_and_as_lines() {
    let cases = all();
    let array = Value::from(cases.iter().map(|case| case.sent.clone()).collect::<Vec<_>>()).to_string();
    let lines: String = cases.iter().map(|case| format!("{}\n", case.sent)).collect();
    for (body, how) in [(array, "as an array"), (lines, "as lines")] {
        let collector = Collector::start().await;
        let answer = collector.post("/v1/events", &[], body).await;
        assert_eq!(answer.text(), format!(r#"{{"accepted":{}}}"#, cases.len()));
        come_out(&collector, &cases, how).await;
    }
}

#[tokio::test]
async fn what_is_missing_is_named_and_costs_the_others_nothing() {
    let collector = Collector::start().await;
    let body = r#"[{"name":"agent.started","agent":"scribe","execution_id":"e"},
        {"name":"review.decided","data":{"desicion":"approved","reviewer":"critic"}},
        {"event_type":"hitl_escalated","payload":{"attempts":3}},
        {"name":"agent.completed","agent":"scribe","execution_id":"e"}]"#;
    let answer = collector.post("/v1/events", &[], body).await;
    let outcome = answer.json();
    assert_eq!((answer.status, &outcome["accepted"]), (200, &Value::from(2)), "{outcome}");
    let errors: Vec<(u64, &str)> = outcome["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["index"].as_u64().unwrap(), entry["error"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            (
                1,
                "`review.decided` needs `decision`: approved, rejected or revise; did you mean `decision` by `desicion`?"
            ),
            (2, "`hitl.escalated` needs `task_id`; it has `attempts`"),
        ]
    );
    collector.events(2).await;
}
