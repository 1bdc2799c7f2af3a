//! How budgets stand, as a table.

use std::time::Duration;

use serde_json::Value;

use crate::console::{Style, event, table::Table};
use crate::duration;
use crate::event::Timestamp;

/// Windows that are shown of a budget that each of something has.
const MOST: usize = 5;

/// The answer of `/api/v1/budgets` as a table; nothing if there are no budgets.
pub fn budgets(answer: &Value, colours: bool, width: usize) -> Option<String> {
    let narrow = width < 100;
    let budgets = answer["budgets"].as_array().filter(|budgets| !budgets.is_empty())?;
    let header = ["budget", "per", "of", ">spent", ">limit", "", ">", "verdict", "anew in"];
    let mut table = Table::new(&header);
    let now = answer["now"].as_str().and_then(Timestamp::parse);
    for budget in budgets {
        let (name, per) = (text(budget, "name"), text(budget, "per"));
        let windows = budget["windows"].as_array().cloned().unwrap_or_default();
        for window in windows.iter().take(MOST) {
            table.row(cells(&name, &per, window, (now, narrow)));
        }
        if windows.is_empty() {
            let limit = budget["limit_usd"].as_f64().map(event::usd).unwrap_or_default();
            table.row(vec![
                name,
                per,
                "-".into(),
                "-".into(),
                limit,
                bar(0.0, narrow),
                "-".into(),
                "-".into(),
                "-".into(),
            ]);
        }
    }
    Some(format!("{}\n{}", Style::Bold.paint("Budgets", colours), table.render(colours)))
}

fn cells(name: &str, per: &str, window: &Value, (now, narrow): (Option<Timestamp>, bool)) -> Vec<String> {
    let number = |key: &str| window[key].as_f64();
    let usd = |key: &str| number(key).map_or("-".to_owned(), event::usd);
    let share = number("spent").zip(number("limit").filter(|limit| *limit > 0.0)).map(|(spent, limit)| spent / limit);
    let of = window["value"].as_str().unwrap_or("-");
    let resets = window["resets_at"].as_str().and_then(Timestamp::parse).zip(now);
    let resets = resets.map(|(at, now)| duration::display(Duration::from_micros(at.micros_since(now))));
    vec![
        name.to_owned(),
        per.to_owned(),
        crate::console::cut(of, if narrow { 14 } else { 32 }),
        usd("spent"),
        usd("limit"),
        bar(share.unwrap_or(0.0), narrow),
        share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        text(window, "verdict"),
        resets.unwrap_or_else(|| "-".into()),
    ]
}

/// A share as a bar, full from 1 on; nothing where there is no room for one.
fn bar(share: f64, narrow: bool) -> String {
    let length = if narrow { 0 } else { 10 };
    let full = ((share * length as f64).floor() as usize).min(length);
    "█".repeat(full) + &"░".repeat(length - full)
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_budget_is_there_and_of_many_windows_those_with_the_most() {
        assert_eq!(budgets(&json!({"budgets": []}), false, 100), None);
        let window = |value: &str, spent: f64| json!({"value": value, "spent": spent, "limit": 2, "verdict": "warn"});
        let windows: Vec<Value> = (0..9).map(|at| window(&format!("user-{at}"), 1.8)).collect();
        let answer = json!({"now": "2026-11-21T21:00:00Z", "budgets": [
            {"name": "daily", "per": "day", "limit_usd": 25, "windows": [
                {"spent": 5, "limit": 25, "verdict": "allow", "resets_at": "2026-11-22T00:00:00Z"}]},
            {"name": "users", "per": "month", "limit_usd": 2, "windows": windows},
            {"name": "runs", "per": "run", "limit_usd": 1, "windows": []},
        ]});
        let shown = budgets(&answer, false, 100).unwrap();
        let squeezed: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(squeezed.contains(&"daily day - $5.00 $25.00 ██░░░░░░░░ 20 % allow 3 h 0 m".to_owned()), "{shown}");
        assert!(squeezed.contains(&"users month user-4 $1.80 $2.00 █████████░ 90 % warn -".to_owned()), "{shown}");
        assert!(squeezed.contains(&"runs run - - $1.00 ░░░░░░░░░░ - - -".to_owned()), "{shown}");
        assert!(!shown.contains("user-5"));
    }
}
