//! Dashboards: that they are what their sources say, and that every panel shows something.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::expressions::{labels_of, selectors, with_times};
use super::filled::{Filled, HAS_ARCHIVE};
use super::prometheus::Series;
use super::support::tools::{file, python, tool};

/// Selectors that nothing answers to in a world in which all goes well, and why. What panels show of them is zero.
pub const MAY_BE_ABSENT: &[(&str, &str)] = &[(
    "agent_cost_overcounted_usd_total",
    "a call was counted twice only where a deeper one came late, which none here did",
)];

/// All that are provisioned.
pub fn all() -> Vec<Value> {
    let read = |path: &PathBuf| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    paths().iter().map(read).collect()
}

fn paths() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(file("grafana/dashboards")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The panels of a dashboard, without the headings of rows.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// The variables of a dashboard.
pub fn variables(dashboard: &Value) -> &Vec<Value> {
    dashboard["templating"]["list"].as_array().unwrap()
}

/// An expression as Grafana would send it with all that can be chosen.
pub fn with_variables(expression: &str, dashboard: &Value, seconds: u64) -> String {
    let text = with_times(expression, seconds);
    variables(dashboard).iter().fold(text, |text, variable| {
        let every = variable["allValue"].as_str().unwrap_or_default();
        text.replace(&format!("${}", variable["name"].as_str().unwrap()), every)
    })
}

/// Evaluates everything in a dashboard, and says what is wrong.
pub async fn look_at(dashboard: &Value, world: &Filled, wrong: &mut Vec<String>) {
    let uid = dashboard["uid"].as_str().unwrap();
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] == "query") {
        let query = with_variables(variable["query"]["query"].as_str().unwrap(), dashboard, 60);
        if !has_choices(&query, world).await {
            wrong.push(format!("{uid}: there is nothing to choose: {query}"));
        }
    }
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            let complain = &mut |what: String| wrong.push(format!("{uid}, {title}, {}: {what}", target["refId"]));
            look_at_target(target, dashboard, world, complain).await;
        }
    }
}

async fn look_at_target(target: &Value, dashboard: &Value, world: &Filled, complain: &mut impl FnMut(String)) {
    let seconds = world.seconds().ceil() as u64;
    let expression = with_variables(target["expr"].as_str().unwrap(), dashboard, seconds);
    if expression.contains('$') {
        complain(format!("a variable is not known: {expression}"));
    }
    let prometheus = &world.prometheus;
    let answer = if target["instant"] == true {
        prometheus.at(&expression, world.until).await
    } else {
        prometheus.between(&expression, world.since, world.until).await
    };
    match answer {
        Err(error) => complain(format!("{error}: {expression}")),
        Ok(series) if series.iter().all(|one| one.values.is_empty()) && needs_more(&expression) => {}
        Ok(series) if series.iter().all(|one| one.values.is_empty()) => complain(format!("it is empty: {expression}")),
        Ok(series) => has_labels(&series, target["legendFormat"].as_str().unwrap(), complain),
    }
    for selector in selectors(&expression) {
        find(&selector, world, complain).await;
    }
    if target["exemplar"] == true {
        // Those of recorded runs are as old as these are.
        let asked = [("query", expression.as_str()), ("start", "0"), ("end", &world.until.to_string())];
        let found = prometheus.ask("query_exemplars", &asked).await;
        if !found["data"].to_string().contains("trace_id") {
            complain(format!("no exemplar leads to a trace: {found}"));
        }
    }
}

/// Whether a selector selects anything; where several stand in an expression, an empty one would not be seen.
pub async fn find(selector: &str, world: &Filled, complain: &mut impl FnMut(String)) {
    let found = world.prometheus.between(selector, world.since, world.until).await;
    let is_empty = found.is_ok_and(|series| series.is_empty());
    let name = selector.split('{').next().unwrap();
    if is_empty && !needs_more(selector) && !MAY_BE_ABSENT.iter().any(|(absent, _)| *absent == name) {
        complain(format!("nothing answers to {selector}"));
    }
}

/// Whether an expression is of something that this build does not have.
fn needs_more(expression: &str) -> bool {
    !HAS_ARCHIVE && (expression.contains("spanlight_archive_") || expression.contains("\"archive\""))
}

fn has_labels(series: &[Series], legend: &str, complain: &mut impl FnMut(String)) {
    for label in labels_of(legend) {
        if !series.iter().any(|one| one.labels.contains_key(label)) {
            complain(format!("no series has the label `{label}`"));
        }
    }
}

/// `label_values(selector, label)`
async fn has_choices(query: &str, world: &Filled) -> bool {
    let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
    let (selector, label) = inner.rsplit_once(", ").unwrap();
    let values = world.prometheus.ask(&format!("label/{label}/values"), &[("match[]", selector)]).await;
    values["data"].as_array().is_some_and(|values| !values.is_empty())
}

#[tokio::test]
async fn what_is_written_is_what_the_sources_say() {
    let mut build = python();
    build.arg(file("grafana/build.py")).arg("--check").stdin(Stdio::null());
    let said = build.output().await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[tokio::test]
async fn grafana_knows_every_option() {
    let packages = tool("grafana/node_modules");
    let mut check = Command::new("node");
    check.current_dir(packages.parent().unwrap()).stdin(Stdio::null());
    // Beside the packages, because that is where its imports are looked for.
    std::fs::copy(file("tests/operate/schema/check.mjs"), packages.with_file_name("check.mjs")).unwrap();
    check.arg("check.mjs").args(paths());
    let said = check.output().await.unwrap();
    let words = [String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)].concat();
    assert!(said.status.success(), "{words}");
}

#[test]
fn what_may_be_absent_has_a_name_that_is_documented() {
    let documented = std::fs::read_to_string(file("docs/metrics.md")).unwrap();
    for (name, _) in MAY_BE_ABSENT {
        assert!(documented.contains(&format!("`{name}`")), "{name}");
    }
}
