//! The outcome metrics as a table, each with what it is made of.

use std::time::Duration;

use serde_json::Value;

use crate::console::{counted, event, table::Table};
use crate::duration;

/// How much of a window has seen any work.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The window.
    pub window: Duration,
    /// How long ago the first work began.
    pub ago: Duration,
}

impl Seen {
    /// The share of the window as a share of the time since the first work: there is no other work in it.
    pub fn of(self, share: f64) -> f64 {
        let ago = self.ago.as_secs_f64();
        if ago > 0.0 { (share * self.window.as_secs_f64() / ago).min(1.0) } else { share }
    }
}

/// The figures of a summary. What nothing was seen of is not 0, but absent.
pub fn outcome(summary: &Value, seen: Option<Seen>, colours: bool) -> String {
    let number = |key: &str| summary[key].as_f64();
    let count = |key: &str| summary[key].as_u64().unwrap_or(0);
    let seconds = |key: &str| number(key).map(|s| duration::display(duration::from_seconds(s)));
    let of = |part: &str, whole: &str, what: &str| match count(whole) {
        0 => format!("no {what}s"),
        all => format!("{} of {}", count(part), counted(all, what)),
    };
    let busy = number("agent_utilization").map(|share| seen.map_or(share, |seen| seen.of(share)));
    let since = seen.map_or("of the window".to_owned(), |seen| {
        format!("since the first work, {} ago", duration::display(seen.ago))
    });
    let waits = match (count("open_escalations"), seconds("oldest_open_escalation")) {
        (0, _) => "none is open".to_owned(),
        (open, Some(age)) => format!("{open} open, the oldest for {age}"),
        (open, None) => format!("{open} open"),
    };
    let mut table = Table::new(&["outcome", ">", ""]);
    for (name, value, made_of) in [
        ("cost per completed task", number("cost_per_feature").map(event::usd), some(count("tasks"), "task")),
        ("time to completion", seconds("time_to_completion"), "from the queue to the end, on average".to_owned()),
        (
            "validations passed",
            number("validation_pass_rate").map(percent),
            of("passed_validations", "validations", "validation"),
        ),
        (
            "critic rejections",
            number("critic_rejection_rate").map(percent),
            of("rejected_reviews", "reviews", "review"),
        ),
        (
            "retries per task",
            number("average_retry_count").map(|mean| format!("{mean:.2}")),
            of("retries", "attempted_tasks", "task"),
        ),
        ("agent utilisation", busy.map(percent), since),
        (
            "runs of agents",
            number("runs").map(|runs| format!("{runs:.0}")),
            format!("{} not completed", count("errors")),
        ),
        ("escalations to people", number("escalations").map(|count| format!("{count:.0}")), waits),
        ("people answered after", seconds("mean_human_wait"), some(count("human_waits"), "answer")),
    ] {
        table.row(vec![name.into(), value.unwrap_or_else(|| "-".into()), made_of]);
    }
    table.render(colours)
}

/// `no tasks`, `1 task`, `2 tasks`.
fn some(count: u64, what: &str) -> String {
    if count == 0 { format!("no {what}s") } else { counted(count, what) }
}

/// A share for people.
pub fn percent(share: f64) -> String {
    match share {
        _ if share > 0.0 && share < 0.001 => "<0.1 %".to_owned(),
        _ => format!("{:.1} %", share * 100.0),
    }
}

/// A figure with as many decimals as it has, four at most.
pub fn rounded(figure: f64) -> String {
    format!("{figure:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nothing_was_seen_of_is_not_zero() {
        let text = outcome(&json!({"runs": 0, "escalations": 0}), None, false);
        for line in ["critic rejections        -  no reviews", "cost per completed task  -  no tasks"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("0.0 %") && !text.contains("$0"), "{text}");
    }

    #[test]
    fn shares_are_of_the_time_in_which_there_was_work() {
        let seen = Seen { window: Duration::from_secs(86_400), ago: Duration::from_secs(60) };
        let text = outcome(&json!({"agent_utilization": 30.0 / 86_400.0}), Some(seen), false);
        assert!(text.contains("50.0 %  since the first work, 1 m 0 s ago"), "{text}");
        assert_eq!((percent(0.0004), percent(0.0)), ("<0.1 %".into(), "0.0 %".into()));
    }
}
