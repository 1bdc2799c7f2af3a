//! `spanlight report`: the outcome metrics, and what it cost.

use clap::Args;
use serde_json::{Value, json};

use super::budgets;
use super::client::{get, query};
use super::explain::explain;
use super::runs::cost;
use super::{Failure, Target};
use crate::console::{self, Style, event, table::Table};

/// `spanlight report`
#[derive(Args, Debug)]
pub struct ReportArgs {
    #[command(flatten)]
    target: Target,
    /// By what to break the cost down: model, agent, tool, feature, run, day
    #[arg(long, default_value = "model")]
    by: String,
    /// How far back: a duration of at most 24h, or all
    #[arg(long, default_value = "24h", value_name = "WINDOW")]
    since: String,
    /// Also show how each cost was made: tokens, prices and where they are from, and what was left out
    #[arg(long)]
    explain: bool,
}

/// Shows the report.
pub async fn report(args: ReportArgs) -> Result<(), Failure> {
    let window = Some(args.since.as_str());
    let explains = args.explain.then_some("true");
    let asked = query(&[("by", Some(&args.by)), ("window", window), ("explain", explains)]);
    let ledger = get(&args.target, &format!("/api/v1/ledger{asked}")).await?;
    let summary_window = if args.since == "all" { Some("24h") } else { window };
    let metrics = get(&args.target, &format!("/api/v1/metrics{}", query(&[("window", summary_window)]))).await?;
    let budgets = get(&args.target, "/api/v1/budgets").await?;
    if args.target.json {
        let budgets = &budgets["budgets"];
        console::output(&json!({"ledger": ledger, "metrics": metrics, "budgets": budgets}).to_string());
        return Ok(());
    }
    let colours = console::colours();
    let title = format!("Of the last {}", metrics["window"].as_str().unwrap_or_default());
    console::output(&outcome(&title, &metrics["summary"], colours));
    console::output("");
    console::output(&costs(&ledger, &args.by, colours));
    if let Some(budgets) = budgets::budgets(&budgets, colours) {
        console::output("");
        console::output(&budgets);
    }
    if args.explain {
        console::output("");
        console::output(&explain(&ledger, colours));
    }
    Ok(())
}

/// The figures of a summary.
pub fn outcome(title: &str, summary: &Value, colours: bool) -> String {
    let number = |key: &str| summary[key].as_f64();
    let percent = |key: &str| number(key).map(|share| format!("{:.1} %", share * 100.0));
    let seconds = |key: &str| number(key).map(|s| crate::duration::display(crate::duration::from_seconds(s)));
    let mut table = Table::new(&["outcome", ">"]);
    for (name, value) in [
        ("agent utilisation", percent("agent_utilization")),
        ("cost per completed task", number("cost_per_feature").map(event::usd)),
        ("average retries", number("average_retry_count").map(|count| format!("{count:.2}"))),
        ("critic rejections", percent("critic_rejection_rate")),
        ("validations passed", percent("validation_pass_rate")),
        ("time to completion", seconds("time_to_completion")),
        ("runs of agents", number("runs").map(|count| format!("{count:.0}"))),
        ("of these not completed", number("errors").map(|count| format!("{count:.0}"))),
        ("escalations to people", number("escalations").map(|count| format!("{count:.0}"))),
        ("of these open", number("open_escalations").map(|count| format!("{count:.0}"))),
        ("people answered after", seconds("mean_human_wait")),
    ] {
        // What nothing was seen of is not 0.
        table.row(vec![name.into(), value.unwrap_or_else(|| "-".into())]);
    }
    format!("{}\n{}", Style::Bold.paint(title, colours), table.render(colours))
}

fn costs(ledger: &Value, by: &str, colours: bool) -> String {
    let mut table = Table::new(&[by, ">calls", ">failed", ">tools", ">input", ">cached", ">output", ">cost"]);
    let rows = ledger["rows"].as_array().cloned().unwrap_or_default();
    for row in &rows {
        table.row(cells(row["key"].as_str().unwrap_or_default(), row));
    }
    table.row(cells("total", &ledger["totals"]));
    let title = match ledger["window"].as_str() {
        Some("all") | None => "Cost since the collector started".to_owned(),
        Some(window) => format!("Cost of the last {window}"),
    };
    let mut text = format!("{}\n{}", Style::Bold.paint(&title, colours), table.render(colours));
    if let Some(unpriced) = ledger["totals"]["unpriced_calls"].as_u64().filter(|calls| *calls > 0) {
        let hint =
            format!("{} without a price: --explain says why, and what to do.", console::counted(unpriced, "call"));
        text.push_str(&(Style::Yellow.paint(&hint, colours) + "\n"));
    }
    if ledger["provisional"] == true {
        text.push_str(&Style::Dim.paint("Some runs are not over: these figures may still change.", colours));
    }
    text
}

fn cells(key: &str, figures: &Value) -> Vec<String> {
    let count = |key: &str| figures[key].as_u64().map_or("-".to_owned(), |count| count.to_string());
    vec![
        console::cut(key, 40),
        count("llm_calls"),
        count("llm_failed"),
        count("tool_calls"),
        count("input_tokens"),
        count("cache_read_tokens"),
        count("output_tokens"),
        cost(figures),
    ]
}
