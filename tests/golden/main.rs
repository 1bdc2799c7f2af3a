//! Real telemetry of real agent software, against what truly happened.
//!
//! Each folder of `tests/data/corpus` holds the request bodies of one run in order of arrival, and
//! `expected.json`, the truth as the model server and the tools saw it. The run as Spanlight understands it is
//! kept as a picture in `snapshots/`; run with `UPDATE_SNAPSHOTS=1` to take new ones, and read the difference.
//! `SCENARIOS=one,another` looks at these only.
#![allow(clippy::unwrap_used, clippy::panic)]

mod delivery;
mod order;
#[path = "../support/recorded.rs"]
mod recorded;
mod spending;
mod truth;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use delivery::scenarios;
use recorded::requests;
use spanlight::derive::cost::By;
use spanlight::derive::{Deriver, TreeNode};
use spanlight::event::Event;
use truth::{Figures, Truth};

#[test]
fn every_scenario_is_understood() {
    let mut failures = String::new();
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let (deriver, events) = derive(&scenario);
        let wrong = Truth::read(&scenario).compare(&figures(&deriver, &events));
        if !wrong.is_empty() {
            writeln!(failures, "{name}: {}", wrong.join(" ")).unwrap();
        }
        let picture = picture(&deriver, &events);
        let path = PathBuf::from(format!("tests/golden/snapshots/{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &picture).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != picture {
            writeln!(failures, "{name}: the picture differs from {}:\n{picture}", path.display()).unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// Everything that the deriver makes of a scenario, its requests arriving a second apart.
fn derive(scenario: &Path) -> (Deriver, Vec<Event>) {
    delivery::deliver(requests(scenario).map(|batch| (batch, Duration::from_secs(1))))
}

/// All that is held against the truth.
fn figures(deriver: &Deriver, events: &[Event]) -> Figures {
    let totals = deriver.ledger(By::Model, None).totals;
    let totals = [
        ("llm_calls", Some(totals.llm_calls)),
        ("input_tokens", totals.input_tokens),
        ("output_tokens", totals.output_tokens),
        ("cache_read_tokens", totals.cache_read_tokens),
        ("cache_write_tokens", totals.cache_write_tokens),
        ("reasoning_tokens", totals.reasoning_tokens),
    ];
    let mut figures: Figures =
        totals.into_iter().filter_map(|(name, figure)| Some((name.to_owned(), figure?))).collect();
    for row in deriver.ledger(By::Tool, None).rows {
        figures.insert(format!("tool:{}", row.key), row.figures.tool_calls);
        figures.insert(format!("tool_failed:{}", row.key), row.figures.tool_failed);
    }
    for row in deriver.ledger(By::Agent, None).rows {
        figures.insert(format!("agent:{}", row.key), 1);
        figures.insert(format!("agent_runs:{}", row.key), row.figures.agent_runs);
        figures.insert(format!("agent_calls:{}", row.key), row.figures.llm_calls + row.figures.llm_failed);
    }
    let runs = deriver.summaries(|_| true);
    figures.insert("runs".into(), runs.len() as u64);
    for run in &runs {
        let ids = [("session", &run.session_id), ("user", &run.user_id), ("conversation", &run.conversation_id)];
        figures.extend(ids.into_iter().filter_map(|(name, id)| Some((format!("{name}:{}", id.as_ref()?), 1))));
    }
    let text = |event: &Event, key: &str| {
        event.data.get(key).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    for event in events {
        let name = match event.name.as_str() {
            "agent.handed_off" => format!("handoff:{}>{}", text(event, "from"), text(event, "to")),
            "review.decided" => format!("decision:{}_{}", text(event, "reviewer"), text(event, "decision")),
            _ => continue,
        };
        *figures.entry(name).or_default() += 1;
    }
    figures
}

/// The runs as indented trees, then the events in the order in which they came out.
fn picture(deriver: &Deriver, events: &[Event]) -> String {
    let mut text = String::new();
    let mut summaries = deriver.summaries(|_| true);
    summaries.sort_by_key(|summary| summary.started_at);
    let mut start = None;
    for summary in summaries {
        start.get_or_insert(summary.started_at);
        let cost = summary.figures.cost_usd.map_or("no price".into(), |usd| format!("${usd:.6}"));
        writeln!(text, "run {} {} {cost}", summary.name, summary.status.as_str()).unwrap();
        for root in deriver.tree(&summary.id).unwrap().roots {
            tree(&mut text, &root, 1);
        }
    }
    let start = start.unwrap_or_default();
    writeln!(text, "\nevents").unwrap();
    for event in events {
        let at = event.timestamp.micros_since(start) as f64 / 1e6;
        write!(text, "  {at:8.3} {} {}", event.name, event.component_id).unwrap();
        let figures = &event.performance;
        if let (Some(input), Some(output)) = (figures.input_tokens, figures.output_tokens) {
            write!(text, " {input}>{output}").unwrap();
        }
        if let Some(usd) = figures.cost_usd {
            write!(text, " ${usd:.6}").unwrap();
        }
        if let Some(message) = &event.message {
            write!(text, " {message:?}").unwrap();
        }
        text.push('\n');
    }
    let report = deriver.ledger(By::Model, None);
    writeln!(text, "\nledger").unwrap();
    for row in report.rows {
        let cost = row.figures.cost_usd.map_or("no price".into(), |usd| format!("${usd:.6}"));
        writeln!(text, "  {} {} calls, {} failed, {cost}", row.key, row.figures.llm_calls, row.figures.llm_failed)
            .unwrap();
    }
    text
}

fn tree(text: &mut String, node: &TreeNode, level: usize) {
    write!(text, "{:indent$}{} {}", "", node.scope, node.operation, indent = level * 2).unwrap();
    for part in [&node.name, &node.model].into_iter().flatten() {
        write!(text, " {part}").unwrap();
    }
    if let Some(usage) = &node.usage {
        write!(
            text,
            " {}>{}",
            usage.input.map_or("?".into(), |n| n.to_string()),
            usage.output.map_or("?".into(), |n| n.to_string())
        )
        .unwrap();
        for (name, count) in
            [("read", usage.cache_read), ("written", usage.cache_write), ("reasoning", usage.reasoning)]
        {
            if let Some(count) = count.filter(|count| *count > 0) {
                write!(text, " {name}={count}").unwrap();
            }
        }
        if !node.counts {
            text.push_str(" (counted elsewhere)");
        }
    }
    if node.inferred {
        text.push_str(" (inferred)");
    }
    if node.status.as_str() != "completed" {
        write!(text, " {}", node.status.as_str()).unwrap();
    }
    if let Some(error) = &node.error {
        write!(text, " {:?}", &error[..error.floor_char_boundary(60)]).unwrap();
    }
    text.push('\n');
    node.children.iter().for_each(|child| tree(text, child, level + 1));
}
