//! `spanlight runs`: a table of runs.

use clap::Args;
use serde_json::Value;

use super::client::{filter_query, get, get_bytes};
use super::{Failure, Target};
use crate::console::{self, Style, event, table::Table};
use crate::event::Timestamp;

/// `spanlight runs`
#[derive(Args, Debug)]
pub struct RunsArgs {
    #[command(flatten)]
    target: Target,
    /// Only runs of this status: running, completed, failed, canceled, lost
    #[arg(long)]
    status: Vec<String>,
    /// Only runs in which this agent worked
    #[arg(long)]
    agent: Vec<String>,
    /// Only runs for this feature
    #[arg(long)]
    feature: Vec<String>,
    /// Only runs on this task
    #[arg(long)]
    task: Vec<String>,
    /// Only runs of this conversation
    #[arg(long)]
    conversation: Vec<String>,
    /// Only runs for this user
    #[arg(long)]
    user: Vec<String>,
    /// Only runs that began since: a time, or how long ago, such as 15m
    #[arg(long)]
    since: Vec<String>,
    /// Only runs that began before
    #[arg(long)]
    until: Vec<String>,
    /// Only runs whose name, agent or id has this text, or whose events mention it
    #[arg(long)]
    q: Vec<String>,
    /// How many
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// Lists runs.
pub async fn runs(args: RunsArgs) -> Result<(), Failure> {
    let limit = [args.limit.to_string()];
    let query = filter_query(&[
        ("status", &args.status),
        ("agent", &args.agent),
        ("feature", &args.feature),
        ("task", &args.task),
        ("conversation", &args.conversation),
        ("user", &args.user),
        ("since", &args.since),
        ("until", &args.until),
        ("q", &args.q),
        ("limit", &limit),
    ]);
    let path = format!("/api/v1/runs{query}");
    if args.target.json {
        let body = get_bytes(&args.target, &path).await?;
        console::output(&String::from_utf8_lossy(&body));
        return Ok(());
    }
    let answer = get(&args.target, &path).await?;
    let runs = answer["runs"].as_array().cloned().unwrap_or_default();
    if runs.is_empty() {
        console::output("There are no such runs yet.");
        return Ok(());
    }
    let mut table =
        Table::new(&["started", "run", "status", "name", "agents", ">calls", ">tools", ">tokens", ">took", ">cost"]);
    for run in &runs {
        table.row(row(run));
    }
    table.style("status", style);
    fit(&mut table, console::width());
    console::output(&table.render(console::colours()));
    if answer["next"].is_string() {
        console::output(&Style::Dim.paint("There are more: --limit shows them.", console::colours()));
    }
    Ok(())
}

/// As much as a line of the terminal has room for; what matters least goes first.
fn fit(table: &mut Table, width: usize) {
    const LEAST: usize = 14;
    table.cut("agents", LEAST, width);
    for column in ["agents", "tools", "calls", "tokens"] {
        if table.width() > width {
            table.without(column);
        }
    }
    table.cut("name", LEAST, width);
}

/// How a status looks.
pub fn style(status: &str) -> Style {
    match status {
        "completed" => Style::Green,
        "failed" | "lost" => Style::Red,
        _ => Style::Yellow,
    }
}

fn row(run: &Value) -> Vec<String> {
    let text = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    let figures = &run["figures"];
    let count = |key: &str| figures[key].as_u64().unwrap_or(0);
    let agents: Vec<&str> = run["agents"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let started = Timestamp::parse(&text("started_at")).map(|at| event::day_and_clock(at, Timestamp::now()));
    vec![
        started.unwrap_or_default(),
        text("id").chars().take(12).collect(),
        text("status"),
        console::cut(&text("name"), 40),
        console::cut(&agents.join(", "), 60),
        (count("llm_calls") + count("llm_failed")).to_string(),
        count("tool_calls").to_string(),
        (count("input_tokens") + count("output_tokens")).to_string(),
        run["duration_ms"].as_f64().map(took).unwrap_or_default(),
        cost(figures),
    ]
}

/// A duration in milliseconds, for people.
pub fn took(millis: f64) -> String {
    crate::duration::display(crate::duration::from_seconds(millis / 1000.0))
}

/// What figures cost; calls without a known price are said, never shown as 0.
pub fn cost(figures: &Value) -> String {
    let unpriced = figures["unpriced_calls"].as_u64().unwrap_or(0);
    match (figures["cost_usd"].as_f64(), unpriced) {
        (Some(usd), 0) => event::usd(usd),
        (Some(usd), unpriced) => format!("{} + {unpriced} unpriced", event::usd(usd)),
        (None, 0) => "-".into(),
        (None, unpriced) => format!("{unpriced} unpriced"),
    }
}
