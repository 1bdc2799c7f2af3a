//! Tables of a report: what came of each feature, and what each model, agent or tool cost.

use serde_json::Value;

use super::outcome::percent;
use super::runs::cost;
use crate::console::{self, Style, event, table::Table};
use crate::duration;

/// Rows beyond which the rest is only counted.
const MOST: usize = 20;
/// The longest name, and the shortest that is still one.
const NAMES: (usize, usize) = (40, 12);

/// What came of each feature; nothing if no work was for any.
pub fn features(metrics: &Value, colours: bool, width: usize) -> Option<String> {
    let rows = metrics["rows"].as_array().filter(|rows| !rows.is_empty())?;
    let header = [">done", ">cost", ">per task", ">took", ">retries", ">passed", ">rejected", ">people"];
    let mut table = Table::new(&[&["feature"][..], &header].concat());
    let name = longest_name(width, 62);
    for row in rows.iter().take(MOST) {
        let number = |key: &str| row[key].as_f64();
        let count = |key: &str| row[key].as_u64().unwrap_or(0);
        let of = |part: &str, whole: &str| match count(whole) {
            0 => "-".to_owned(),
            all => format!("{} of {all}", count(part)),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        table.row(vec![
            console::cut(row["key"].as_str().unwrap_or_default(), name),
            count("tasks").to_string(),
            spent(number("total_cost_usd").unwrap_or(0.0), count("unpriced_calls"), count("tokens")),
            or_none(number("cost_per_feature").map(event::usd)),
            or_none(number("time_to_completion").map(|s| duration::display(duration::from_seconds(s)))),
            or_none(number("average_retry_count").map(|mean| format!("{mean:.2}"))),
            of("passed_validations", "validations"),
            of("rejected_reviews", "reviews"),
            count("escalations").to_string(),
        ]);
    }
    let mut text = format!("{}\n{}", Style::Bold.paint("By feature", colours), table.render(colours));
    if rows.len() > MOST {
        let more = format!("and {} more: --json has them", rows.len() - MOST);
        text.push_str(&Style::Dim.paint(&more, colours));
    }
    Some(text)
}

/// What was spent where calls have a price; that none has one is not $0.
fn spent(usd: f64, unpriced: u64, tokens: u64) -> String {
    match (usd > 0.0, unpriced) {
        (true, 0) => event::usd(usd),
        (true, unpriced) => format!("{} + {unpriced} unpriced", event::usd(usd)),
        (false, 0) if tokens == 0 => "-".to_owned(),
        (false, 0) => event::usd(0.0),
        (false, unpriced) => format!("{unpriced} unpriced"),
    }
}

fn longest_name(width: usize, others: usize) -> usize {
    width.saturating_sub(others).clamp(NAMES.1, NAMES.0)
}

/// The ledger. Rows of agents also say how busy each was.
pub fn costs(ledger: &Value, busy: Option<Vec<(&str, Option<f64>)>>, colours: bool, width: usize) -> String {
    let by = ledger["by"].as_str().unwrap_or_default();
    let columns = columns(by);
    let titles = columns.iter().map(|(title, _)| *title);
    let mut table = Table::new(&[by].into_iter().chain(titles).chain([">cost"]).collect::<Vec<_>>());
    let name = longest_name(width, 66);
    let of_agent =
        |key: &str| busy.as_ref().map(|busy| busy.iter().find(|(agent, _)| *agent == key).and_then(|row| row.1));
    for row in ledger["rows"].as_array().into_iter().flatten() {
        let key = row["key"].as_str().unwrap_or_default();
        table.row(cells(&console::cut(key, name), columns, row, of_agent(key)));
    }
    table.row(cells("total", columns, &ledger["totals"], of_agent("")));
    for column in ["cached", "tools", "failed"] {
        if table.width() > width {
            table.without(column);
        }
    }
    let title = match ledger["window"].as_str() {
        Some("all") | None => format!("Cost by {by} of all that is known"),
        Some(window) => format!("Cost by {by} of the last {window}"),
    };
    let mut text = format!("{}\n{}", Style::Bold.paint(&title, colours), table.render(colours));
    if let Some(unpriced) = ledger["totals"]["unpriced_calls"].as_u64().filter(|calls| *calls > 0) {
        let hint =
            format!("{} without a price: --explain says why, and what to do.", console::counted(unpriced, "call"));
        text.push_str(&(Style::Yellow.paint(&hint, colours) + "\n"));
    }
    text
}

/// The columns of a table but for its cost, with the figures that they show: a table of tools is about calls of tools, and
/// no model runs any.
fn columns(by: &str) -> &'static [(&'static str, &'static str)] {
    match by {
        "agent" => &[
            (">runs", "agent_runs"),
            (">failed", "agent_failed"),
            (">busy", BUSY),
            (">calls", CALLS),
            (">tools", "tool_calls"),
            (">input", "input_tokens"),
            (">output", "output_tokens"),
        ],
        "tool" => &[
            (">runs", "tool_calls"),
            (">failed", "tool_failed"),
            (">calls", CALLS),
            (">input", "input_tokens"),
            (">output", "output_tokens"),
        ],
        "model" => &[
            (">calls", CALLS),
            (">failed", "llm_failed"),
            (">input", "input_tokens"),
            (">cached", "cache_read_tokens"),
            (">output", "output_tokens"),
        ],
        _ => &[
            (">calls", CALLS),
            (">failed", "llm_failed"),
            (">tools", "tool_calls"),
            (">input", "input_tokens"),
            (">cached", "cache_read_tokens"),
            (">output", "output_tokens"),
        ],
    }
}

/// The share of time at work, which no row has: it comes from elsewhere.
const BUSY: &str = "busy";
/// Calls of models, also those that failed, as runs are listed with them.
const CALLS: &str = "calls";

/// The cells of a row: of an agent with its share of time at work, as far as that is known.
fn cells(key: &str, columns: &[(&str, &str)], figures: &Value, busy: Option<Option<f64>>) -> Vec<String> {
    let mut cells = vec![key.to_owned()];
    cells.extend(columns.iter().map(|(_, figure)| match *figure {
        BUSY => busy.flatten().map_or("-".into(), percent),
        CALLS => ["llm_calls", "llm_failed"].iter().filter_map(|part| figures[*part].as_u64()).sum::<u64>().to_string(),
        figure => figures[figure].as_u64().map_or("-".to_owned(), |count| count.to_string()),
    }));
    cells.push(cost(figures));
    cells
}
