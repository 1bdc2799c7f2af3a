//! Reading expressions: the selectors in them, and variables of Grafana.

use std::collections::BTreeSet;

/// The selectors of an expression: `name{…}`, and names alone of metrics that are ours or that rules record.
pub fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(begin) = rest.find(is_of_name) {
        rest = &rest[begin..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let is_labelled = rest[end..].starts_with('{');
        let end = if is_labelled { end + rest[end..].find('}').unwrap() + 1 } else { end };
        if is_labelled || is_metric(&rest[..end]) {
            found.insert(rest[..end].to_owned());
        }
        rest = &rest[end..];
    }
    found
}

fn is_metric(name: &str) -> bool {
    name == "up"
        || name.contains(':')
        || ["agent_", "gen_ai_client_", "spanlight_"].iter().any(|ours| name.starts_with(ours))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// `{{label}}` of a legend.
pub fn labels_of(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next())
}

/// Puts the built-in variables of Grafana in, as it would for a range of this many seconds that is scraped every two.
pub fn with_times(expression: &str, seconds: u64) -> String {
    let range = format!("{seconds}s");
    let times = [
        ("$__rate_interval_ms", "10000"),
        ("$__rate_interval", "10s"),
        ("$__range_s", range.trim_end_matches('s')),
        ("$__range", &range),
    ];
    times.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[test]
fn selectors_are_found_wherever_they_are() {
    let expression =
        r#"sum by (agent, le) (increase(x_total{a=~"up|y"}[5m]) unless up{job="x_y"} offset 1h) / job:y:ratio1h > 2"#;
    let found: Vec<String> = selectors(expression).into_iter().collect();
    assert_eq!(found, ["job:y:ratio1h", r#"up{job="x_y"}"#, r#"x_total{a=~"up|y"}"#]);
    assert_eq!(labels_of("{{reason}} in {{component}}").collect::<Vec<_>>(), ["reason", "component"]);
}
