//! Budgets from the outside: spans in; verdicts, events, metrics and webhooks out; and all of it over a restart.

use std::time::Duration;

use serde_json::{Value, json};
use spanlight::{Budget, Telemetry};

use super::support::client::Answer;
use super::support::collector::{Collector, Port};
use super::support::sink::{Behaviour, Received, Sink};
use super::support::telemetry::{agent, chat, text, traces};
use super::support::{PATIENCE, tools, until};

/// A call of the tests costs 0.0035 dollars.
const CALL: f64 = 0.0035;

/// A collector with budgets, and with more exporters of its events.
async fn with_budgets(budgets: &str, exporters: &[(&str, &str)]) -> Collector {
    Collector::with(&config(budgets, exporters)).await
}

fn config(budgets: &str, exporters: &[(&str, &str)]) -> String {
    let settings: String = exporters.iter().map(|(id, settings)| format!("  {id}: {settings}\n")).collect();
    let ids: String = exporters.iter().map(|(id, _)| format!(", {id}")).collect();
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         connectors:\n  agent:\n    budgets:\n{budgets}\n\
         exporters:\n  prometheus:\n  file: {{path: agent-events.jsonl}}\n{settings}\
         service:\n  extensions: [web]\n  pipelines:\n    \
         traces: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [file{ids}]}}\n    \
         metrics: {{receivers: [agent], exporters: [prometheus]}}\n"
    )
}

/// One call, in a run of its own, for a feature.
async fn spend(collector: &Collector, run: u8, feature: &str) {
    let mut work = agent(run, 1, 0, "writer");
    work.attributes.push(text("feature", feature));
    collector.take_traces(traces(vec![chat(run, 2, 1), work])).await;
}

async fn verdict(collector: &Collector, asked: &str) -> Value {
    collector.json(&format!("/api/v1/budgets/{asked}")).await
}

fn decided(verdict: &Value) -> (&str, &str) {
    (verdict["verdict"].as_str().unwrap(), verdict["reason"].as_str().unwrap())
}

fn close_to(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-9
}

/// The names of the events of budgets in the collector's file, once there are so many.
async fn told(collector: &Collector, count: usize) -> Vec<Value> {
    let path = collector.data("agent-events.jsonl");
    until(&format!("{count} events of budgets"), async || {
        let text = std::fs::read_to_string(&path).ok()?;
        let of_budgets = text.lines().filter(|line| line.contains("\"name\":\"budget."));
        let events: Vec<Value> = of_budgets.map(|line| serde_json::from_str(line).unwrap()).collect();
        (events.len() >= count).then_some(events)
    })
    .await
}

/// Waits until the file of the budgets holds what was spent.
async fn saved(collector: &Collector, nano_usd: i64) {
    let path = collector.data("budgets.json");
    until("what was spent in the file", async || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.contains(&format!("\"spent_nano_usd\":{nano_usd}")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_is_spent_at_once_and_the_verdict_says_whether_to_go_on() {
    let budgets = "      - {name: monthly, limit_usd: 0.01, per: month}\n\
                   \x20     - {name: checkout, limit_usd: 0.005, per: total, match: {feature: [checkout, cart]}}\n\
                   \x20     - {name: runs, limit_usd: 0.004, per: run}\n";
    let collector = with_budgets(budgets, &[]).await;
    let untouched = verdict(&collector, "monthly/verdict").await;
    assert_eq!((decided(&untouched), untouched.get("age_ms")), (("allow", "enough"), None));
    spend(&collector, 1, "checkout").await;
    let first = verdict(&collector, "monthly/verdict").await;
    assert_eq!(decided(&first), ("allow", "enough"));
    assert!(close_to(&first["spent"], CALL) && close_to(&first["remaining"], 0.01 - CALL), "{first}");
    assert!(first["age_ms"].is_u64() && first.get("in_flight_estimate").is_none() && first["limit"] == 0.01, "{first}");
    assert!(first["resets_at"].as_str().unwrap().ends_with("-01T00:00:00.000000Z"), "{first}");
    assert_eq!(decided(&verdict(&collector, "monthly/verdict?est_cost=0.006").await), ("warn", "warning"));
    assert_eq!(decided(&verdict(&collector, "monthly/verdict?est_cost=0.007").await), ("stop", "too_much"));
    assert_eq!(decided(&verdict(&collector, "checkout/verdict?feature=search").await), ("allow", "not_for_this"));
    let of_run = format!("runs/verdict?run={}", "01".repeat(16));
    assert_eq!(decided(&verdict(&collector, &of_run).await), ("warn", "warning"));
    spend(&collector, 2, "cart").await;
    spend(&collector, 3, "search").await;
    assert_eq!(decided(&verdict(&collector, "monthly/verdict").await), ("stop", "spent"));
    assert_eq!(decided(&verdict(&collector, "checkout/verdict").await), ("stop", "spent"));
    let events = told(&collector, 5).await;
    let names = |budget: &str| -> Vec<&str> {
        let of_budget = events.iter().filter(|event| event["data"]["budget"] == budget);
        of_budget.map(|event| event["name"].as_str().unwrap()).collect()
    };
    assert_eq!(names("monthly"), ["budget.exceeded"]);
    assert_eq!(names("checkout"), ["budget.exceeded"]);
    assert_eq!(names("runs"), ["budget.warning"; 3]);
    assert_eq!(events.iter().filter(|event| event["execution_id"] == "01".repeat(16)).count(), 1);
    let sample = async |series: &str| collector.sample(&format!("agent_budget_{series}")).await;
    let of_us = r#"otel_scope_name="spanlight""#;
    assert_eq!(sample(&format!("spent_usd{{budget=\"monthly\",{of_us}}}")).await, Some(0.0105));
    assert_eq!(sample(&format!("limit_usd{{budget=\"monthly\",{of_us}}}")).await, Some(0.01));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_with_a_remedy() {
    let budgets = "      - {name: monthly, limit_usd: 1, per: month}\n\
                   \x20     - {name: users, limit_usd: 1, per: month, each: user}\n";
    let collector = with_budgets(budgets, &[]).await;
    let ask = async |asked: &str| -> Answer { collector.get(&format!("/api/v1/budgets/{asked}")).await };
    let error = |answer: &Answer| answer.json()["error"].as_str().unwrap().to_owned();
    let mistyped = ask("montly/verdict").await;
    assert_eq!(
        (mistyped.status, error(&mistyped).as_str()),
        (404, "there is no budget `montly`; did you mean `monthly`?")
    );
    let whose = ask("users/verdict").await;
    let remedy = "every user has a budget `users` of its own: say which, with `user=`";
    assert_eq!((whose.status, error(&whose).as_str()), (400, remedy));
    let amount = ask("monthly/verdict?est_cost=-1").await;
    assert_eq!((amount.status, error(&amount).starts_with("`est_cost=-1` is no amount")), (400, true));
    assert_eq!(ask("monthly/verdict?usr=ada").await.status, 400);
    let all = collector.json("/api/v1/budgets").await;
    let names: Vec<&Value> = all["budgets"].as_array().unwrap().iter().map(|budget| &budget["name"]).collect();
    assert_eq!((names, &all["budgets"][1]["windows"]), (vec![&json!("monthly"), &json!("users")], &json!([])));
}

#[tokio::test]
async fn what_was_spent_survives_a_crash_and_nobody_is_warned_twice() {
    let budgets = "      - {name: monthly, limit_usd: 0.01, per: month, warn_at: 0.5}\n";
    let collector = with_budgets(budgets, &[]).await;
    spend(&collector, 1, "a").await;
    spend(&collector, 2, "a").await;
    let before = told(&collector, 1).await;
    assert_eq!(before[0]["name"], "budget.warning");
    saved(&collector, 7_000_000).await;
    let collector = collector.killed_and_started_again().await;
    let restored = verdict(&collector, "monthly/verdict").await;
    assert!(close_to(&restored["spent"], 2.0 * CALL) && decided(&restored) == ("warn", "warning"), "{restored}");
    assert!(restored["age_ms"].is_u64());
    spend(&collector, 3, "a").await;
    let events = told(&collector, 2).await;
    let names: Vec<&str> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["budget.warning", "budget.exceeded"]);
    assert_eq!(events[1]["data"]["current_spend"], 0.0105);
    saved(&collector, 10_500_000).await;
    std::fs::write(collector.data("budgets.json"), b"{\"version\":1,\"budg").unwrap();
    let collector = collector.killed_and_started_again().await;
    let said = collector.line("budgets.json cannot be used").await;
    assert!(said.contains("it is damaged") && said.contains("budgets.json.damaged"), "{said}");
    assert!(collector.data("budgets.json.damaged").exists());
    assert_eq!(verdict(&collector, "monthly/verdict").await["spent"], 0);
}

#[tokio::test]
async fn what_was_spent_last_is_written_when_it_stops() {
    let collector = with_budgets("      - {name: monthly, limit_usd: 1, per: month}\n", &[]).await;
    spend(&collector, 1, "a").await;
    spend(&collector, 2, "a").await;
    collector.signal("TERM").await;
    let path = collector.data("budgets.json");
    collector.line("Everything was delivered.").await;
    until("what was spent", async || {
        std::fs::read_to_string(&path).ok()?.contains("\"spent_nano_usd\":7000000").then_some(())
    })
    .await;
}

/// Requests to a webhook, once there are so many.
async fn posted(sink: &Sink, count: usize) -> Vec<Received> {
    sink.until(&format!("{count} requests"), |received| (received.len() >= count).then(|| received.to_vec())).await
}

fn header<'r>(received: &'r Received, name: &str) -> &'r str {
    received.headers.get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_webhook_is_told_again_until_it_listens_and_can_tell_from_whom_it_is() {
    const SECRET: &str = "it is a secret";
    let sink = Sink::start().await;
    sink.will([Behaviour::Http(500, vec![]), Behaviour::Http(429, vec![("retry-after", "0")]), Behaviour::Break]);
    let webhook = format!(
        "{{url: '{}/hooks/spanlight', secret: '${{env:HOOK_SECRET}}', headers: {{x-team: agents}}, \
         retry_on_failure: {{initial_interval: 20ms, max_interval: 50ms}}}}",
        sink.url()
    );
    let config = config("      - {name: monthly, limit_usd: 0.005, per: month}\n", &[("webhook", &webhook)]);
    let collector = Collector::with_environment(&config, &[("HOOK_SECRET", SECRET)]).await;
    spend(&collector, 1, "a").await;
    spend(&collector, 2, "a").await;
    let received = posted(&sink, 4).await;
    let last = received.last().unwrap();
    assert_eq!((last.path.as_str(), header(last, "content-type")), ("/hooks/spanlight", "application/json"));
    assert_eq!(header(last, "x-team"), "agents");
    let body: Value = serde_json::from_slice(&last.body).unwrap();
    let names: Vec<&Value> = body["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert_eq!(names, [&json!("budget.exceeded")]);
    collector.sample_becomes(r#"spanlight_exporter_sent_total{exporter="webhook",signal="events"}"#, 1.0).await;
    for (secret, genuine) in [(SECRET, "True"), ("another", "False")] {
        let mut python = tools::python();
        python.arg(tools::file("tests/sdk/verify_webhook.py")).arg(header(last, "x-spanlight-signature")).arg(secret);
        let verified = tools::feed(python, std::str::from_utf8(&last.body).unwrap()).await;
        assert_eq!(String::from_utf8_lossy(&verified.stdout).trim(), genuine, "{verified:?}");
    }
    let ended = collector.stop().await;
    assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
}

#[tokio::test]
async fn a_webhook_that_refuses_is_not_asked_again_and_others_are_told_of_other_events() {
    let (strict, wide) = (Sink::start().await, Sink::start().await);
    strict.otherwise(Behaviour::Http(400, vec![]));
    let settings = [
        ("webhook/strict", format!("{{url: '{}', events: [agent.completed]}}", strict.url())),
        ("webhook/wide", format!("{{url: '{}', events: ['agent.*'], match: {{feature: b}}}}", wide.url())),
    ];
    let exporters: Vec<(&str, &str)> = settings.iter().map(|(id, settings)| (*id, settings.as_str())).collect();
    let collector = with_budgets("      - {name: monthly, limit_usd: 1, per: month}\n", &exporters).await;
    spend(&collector, 1, "a").await;
    let rejected = r#"spanlight_exporter_failed_total{exporter="webhook/strict",reason="rejected",signal="events"}"#;
    collector.sample_becomes(rejected, 1.0).await;
    spend(&collector, 2, "b").await;
    collector.sample_becomes(rejected, 2.0).await;
    let received = posted(&wide, 1).await;
    let bodies: String = received.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    assert!(bodies.contains("agent.started") && !bodies.contains(r#""feature":"a""#), "{bodies}");
    assert_eq!(strict.received().len(), 2);
    assert!(received[0].headers.get("x-spanlight-signature").is_none());
}

#[tokio::test]
async fn a_program_asks_its_own_budgets_and_those_of_a_collector() {
    let collector = with_budgets("      - {name: shared, limit_usd: 0.003, per: month, each: feature}\n", &[]).await;
    spend(&collector, 1, "a").await;
    let dir = tempfile::tempdir().unwrap();
    let url = collector.url(Port::Web).await;
    let start = || {
        let own = Budget::total("own", 0.003);
        let file = dir.path().join("own.json");
        Telemetry::builder().budget(own).budget_file(file).budgets_from(url.as_str()).build()
    };
    let telemetry = start();
    let shared = || telemetry.budget("shared").feature("a").verdict();
    until("the collector's word", async || (!shared().may_go_on()).then_some(())).await;
    let verdict = shared();
    assert_eq!((verdict.spent, verdict.limit), (Some(CALL), Some(0.003)));
    assert!(verdict.age.unwrap() < PATIENCE);
    assert!(telemetry.budget("shared").feature("b").verdict().may_go_on());
    assert!(!telemetry.budget("shared").feature("b").estimate(1.0).verdict().may_go_on());
    assert_eq!(telemetry.budget("nobody").verdict().reason.as_str(), "no_such_budget");
    tracing::subscriber::with_default(telemetry.subscriber(), || {
        let _agent = spanlight::agent_span!("writer").entered();
        let call = spanlight::llm_span!("gpt-4o", provider = "openai").entered();
        spanlight::SpanExt::record_usage(&*call, spanlight::Usage::new(1000, 100));
        drop(call);
    });
    let telemetry = tokio::task::spawn_blocking(move || {
        telemetry.flush(Duration::from_secs(20)).unwrap();
        telemetry
    });
    let telemetry = telemetry.await.unwrap();
    assert_eq!(telemetry.budget("own").verdict().reason.as_str(), "spent");
    let names: Vec<String> =
        telemetry.get_events(0).events.iter().map(|(_, record)| record.event().name.to_string()).collect();
    assert!(names.contains(&"budget.exceeded".to_owned()), "{names:?}");
    tokio::task::spawn_blocking(move || telemetry.shutdown(Duration::from_secs(20))).await.unwrap();
    let again = start();
    assert_eq!((again.budget("own").verdict().spent, again.budget("own").verdict().may_go_on()), (Some(CALL), false));
    // Without telemetry nobody knows, and nobody is stopped.
    assert_eq!(spanlight::budget("own").verdict().reason.as_str(), "unknown");
}

/// The blocks of Python in the documentation.
fn documented() -> Vec<&'static str> {
    let text = include_str!("../../docs/budgets.md");
    text.split("```python\n").skip(1).filter_map(|block| block.split("```").next()).collect()
}

#[tokio::test]
async fn what_the_documentation_shows_works() {
    let collector = with_budgets("      - {name: users, limit_usd: 0.01, per: month, each: user}\n", &[]).await;
    let [ask, verify] = documented()[..] else { panic!("there are other blocks of Python than before") };
    let calls = [r#""users", user="ada", usd=0.005"#, r#""users", user="ada", usd=0.02"#];
    let calls: String = calls.iter().map(|call| format!("print(may_spend({call}))\n")).collect();
    let mut python = tools::python();
    python.arg("-").env("SPANLIGHT_URL", collector.url(Port::Web).await);
    let said = tools::feed(python, &format!("{ask}\n{calls}")).await;
    assert_eq!(String::from_utf8_lossy(&said.stdout), "True\nFalse\n", "{said:?}");
    let tested = std::fs::read_to_string(tools::file("tests/sdk/verify_webhook.py")).unwrap();
    assert!(tested.contains(verify), "the documentation shows another way to verify than the tests use");
    let gone = "http://127.0.0.1:1";
    let mut python = tools::python();
    python.arg("-").env("SPANLIGHT_URL", gone);
    let said = tools::feed(python, &format!("{ask}\n{calls}")).await;
    assert_eq!(String::from_utf8_lossy(&said.stdout), "True\nTrue\n", "{said:?}");
}
