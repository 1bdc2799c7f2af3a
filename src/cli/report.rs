//! `spanlight report`: what came of the work, and what it cost, on one screen.

use clap::Args;
use serde_json::{Value, json};

use super::client::{get, query};
use super::explain::explain;
use super::outcome::{Seen, outcome};
use super::{Failure, Target};
use super::{breakdown, budgets};
use crate::console::{self, Style, counted};
use crate::duration;
use crate::event::Timestamp;

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

/// What the collector answers.
struct Answers {
    ledger: Value,
    /// Broken down by feature.
    metrics: Value,
    /// The rows by agent, if they are wanted.
    agents: Value,
    budgets: Value,
    runs: Value,
    since: String,
}

/// Shows the report.
pub async fn report(args: ReportArgs) -> Result<(), Failure> {
    let answers = Answers::ask(&args).await?;
    if args.target.json {
        console::output(&answers.to_json().to_string());
        return Ok(());
    }
    let (colours, width) = (console::colours(), console::width());
    let mut parts = Vec::new();
    let is_empty = answers.is_empty();
    if is_empty {
        parts.push(answers.nothing());
    } else {
        parts.push(answers.sentence(colours));
        parts.push(match answers.is_counted_anew() {
            true => Style::Dim.paint("What came of the work is counted since the collector started.", colours),
            false => outcome(&answers.metrics["summary"], answers.seen(), colours),
        });
        parts.extend(answers.alerts(colours));
    }
    parts.extend(budgets::budgets(&answers.budgets, colours, width));
    if !is_empty {
        parts.extend(breakdown::features(&answers.metrics, colours, width));
        parts.push(breakdown::costs(&answers.ledger, answers.busy(), colours, width));
        parts.extend(args.explain.then(|| explain(&answers.ledger, colours)));
    }
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).collect();
    console::output(&parts.join("\n\n"));
    Ok(())
}

impl Answers {
    async fn ask(args: &ReportArgs) -> Result<Answers, Failure> {
        let of_all = args.since == "all";
        let window = args.since.as_str();
        // Of more than a day there is no summary.
        let summed = if of_all { "24h" } else { window };
        let explains = args.explain.then_some("true");
        let get = async |path: &str, asked: &[(&str, Option<&str>)]| {
            get(&args.target, &format!("/api/v1/{path}{}", query(asked))).await
        };
        let of_agents = args.by == "agent";
        Ok(Answers {
            ledger: get("ledger", &[("by", Some(&args.by)), ("window", Some(window)), ("explain", explains)]).await?,
            metrics: get("metrics", &[("window", Some(summed)), ("by", Some("feature"))]).await?,
            agents: match of_agents {
                true => get("metrics", &[("window", Some(summed)), ("by", Some("agent"))]).await?,
                false => Value::Null,
            },
            budgets: get("budgets", &[]).await?,
            runs: get("runs", &[("since", Some(window).filter(|_| !of_all)), ("limit", Some("1000"))]).await?,
            since: args.since.clone(),
        })
    }

    fn to_json(&self) -> Value {
        let counts: serde_json::Map<String, Value> =
            self.counts().into_iter().map(|(status, count)| (status.to_owned(), count.into())).collect();
        let budgets = &self.budgets["budgets"];
        let mut all = json!({"ledger": self.ledger, "metrics": self.metrics, "budgets": budgets, "runs": counts});
        if !self.agents.is_null() {
            all["agents"] = self.agents["rows"].clone();
        }
        all
    }

    /// Whether nothing was seen.
    fn is_empty(&self) -> bool {
        let nobody_ran = self.runs["runs"].as_array().is_none_or(Vec::is_empty);
        let rows = self.ledger["rows"].as_array().is_none_or(Vec::is_empty);
        nobody_ran && rows && self.metrics["summary"]["runs"] == 0
    }

    /// Whether all of the work was done before the collector was started again.
    fn is_counted_anew(&self) -> bool {
        let cost_something = self.ledger["rows"].as_array().is_some_and(|rows| !rows.is_empty());
        cost_something && self.metrics["first_work_at"].is_null() && self.metrics["summary"]["runs"] == 0
    }

    fn window(&self) -> String {
        if self.since == "all" { "all that is known".into() } else { format!("the last {}", self.since) }
    }

    /// What to do where there is nothing to report.
    fn nothing(&self) -> String {
        let wider = if self.since == "all" { "" } else { " `--since all` looks further back." };
        format!(
            "Nothing to report of {}.{wider}\nSend traces over OTLP to port 4317 or 4318 of the collector; \
             `spanlight demo` plays agents to look at.\n",
            self.window()
        )
    }

    /// How many runs there are of each status.
    fn counts(&self) -> Vec<(&str, u64)> {
        let mut counts: Vec<(&str, u64)> = Vec::new();
        for run in self.runs["runs"].as_array().into_iter().flatten() {
            let status = run["status"].as_str().unwrap_or_default();
            match counts.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += 1,
                None => counts.push((status, 1)),
            }
        }
        counts.sort_unstable();
        counts
    }

    /// All of it in a sentence or two.
    fn sentence(&self, colours: bool) -> String {
        let summary = &self.metrics["summary"];
        let number = |key: &str| summary[key].as_u64().unwrap_or(0);
        let title = Style::Bold.paint(&format!("Report of {}", self.window()), colours);
        let counts = self.counts();
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        let more = if self.runs["next"].is_string() { "more than " } else { "" };
        let statuses: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let statuses = if statuses.is_empty() { String::new() } else { format!(" ({})", statuses.join(", ")) };
        let came_of_it = match self.is_counted_anew() {
            true => String::new(),
            false => {
                let (tasks, escalations) = (number("tasks"), number("escalations"));
                format!("{} completed, {} to people; ", counted(tasks, "task"), counted(escalations, "escalation"))
            }
        };
        let runs = counted(all, "run");
        let cost = super::runs::cost(&self.ledger["totals"]);
        let mut text = format!("{title}\n{more}{runs}{statuses}; {came_of_it}{cost}");
        if self.ledger["provisional"] == true {
            text.push_str(&Style::Dim.paint("\nSome runs are not over: these figures may still change.", colours));
        }
        text
    }

    /// Since when agents were at work in the window.
    fn seen(&self) -> Option<Seen> {
        let time = |key: &str| Timestamp::parse(self.metrics[key].as_str()?);
        let (first, now) = (time("first_work_at")?, time("now")?);
        let window = duration::parse(self.metrics["window"].as_str()?).ok()?;
        Some(Seen { window, ago: std::time::Duration::from_micros(now.micros_since(first)).min(window) })
    }

    /// How busy each agent was, if rows are by agent.
    fn busy(&self) -> Option<Vec<(&str, Option<f64>)>> {
        let rows = self.agents["rows"].as_array()?;
        let seen = self.seen();
        let share =
            |row: &Value| row["agent_utilization"].as_f64().map(|share| seen.map_or(share, |seen| seen.of(share)));
        Some(rows.iter().filter_map(|row| Some((row["key"].as_str()?, share(row)))).collect())
    }

    /// The alerts that fire.
    fn alerts(&self, colours: bool) -> Option<String> {
        let alerts = self.metrics["alerts"].as_array().filter(|alerts| !alerts.is_empty())?;
        let line = |alert: &Value| {
            let text = |key: &str| console::safe(alert[key].as_str().unwrap_or_default());
            let bound = ["above", "below"].into_iter().find_map(|bound| Some((bound, alert[bound].as_f64()?)));
            let (direction, bound) = bound.unwrap_or_default();
            let of = ["agent", "feature", "model", "tool"].into_iter().find(|key| alert[*key].is_string());
            let of = of.map(|of| format!(" of {of} {}", text(of))).unwrap_or_default();
            let value = alert["value"].as_f64().map_or("not known".to_owned(), super::outcome::rounded);
            let since = Timestamp::parse(&text("since")).map(console::event::clock).unwrap_or_default();
            let line = format!(
                "{}: {}{of} is {value}, {direction} {}, since {since}",
                text("alert"),
                text("metric"),
                super::outcome::rounded(bound)
            );
            format!("  {}\n", Style::Yellow.paint(&line, colours))
        };
        let lines: String = alerts.iter().map(line).collect();
        Some(format!("{}\n{lines}", Style::Bold.paint("Alerts that fire", colours)))
    }
}
