//! Rules: that they load, find what they look for, fire when they should, and are explained.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::dashboards::find;
use super::expressions::selectors;
use super::filled::Filled;
use super::support::tools::{file, promtool};
use super::support::until;

/// Recorded series that there are none of in a world in which all goes well, and why.
const MAY_BE_ABSENT: &[(&str, &str)] = &[("instance:spanlight_late", "nobody began to scrape a collector late")];

/// Looks at the rules that Prometheus has evaluated, and says what is wrong.
pub async fn look_at(world: &Filled, wrong: &mut Vec<String>) {
    let groups = until("all rules to be evaluated", async || {
        let groups = world.prometheus.ask("rules", &[]).await["data"]["groups"].clone();
        let mut rules = groups.as_array()?.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.all(|rule| rule["health"] != "unknown").then_some(groups)
    })
    .await;
    for rule in groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["name"].as_str().unwrap();
        let complain = &mut |what: String| wrong.push(format!("{name}: {what}"));
        if rule["health"] != "ok" {
            complain(rule["lastError"].to_string());
        }
        let expression = rule["query"].as_str().unwrap();
        let asked = selectors(expression).into_iter().chain((rule["type"] == "recording").then(|| name.to_owned()));
        for selector in asked.filter(|selector| !MAY_BE_ABSENT.iter().any(|(absent, _)| selector.starts_with(absent))) {
            find(&selector, world, complain).await;
        }
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_rules() {
    passes(&["check", "rules", "--lint-fatal", "prometheus/rules/recording.yml", "prometheus/rules/alerts.yml"]).await;
    passes(&["check", "config", "prometheus/prometheus.yml"]).await;
}

#[tokio::test]
async fn rules_do_what_they_say() {
    for tests in ["recording", "alerts", "absence"] {
        passes(&["test", "rules", &format!("tests/operate/rules/{tests}.yml")]).await;
    }
}

async fn passes(args: &[&str]) {
    let mut check = promtool();
    check.args(args).current_dir(file("")).stdin(Stdio::null());
    let said = check.output().await.unwrap();
    let words = [String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)].concat();
    assert!(said.status.success(), "{words}");
}

#[test]
fn every_alert_is_explained_tested_and_has_a_severity() {
    let read = |path: &str| std::fs::read_to_string(file(path)).unwrap();
    let (rules, runbook) = (read("prometheus/rules/alerts.yml"), read("docs/runbook.md"));
    let tests = ["alerts", "absence"].map(|tests| read(&format!("tests/operate/rules/{tests}.yml"))).concat();
    let mut alerts = BTreeSet::new();
    for alert in rules.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        alerts.insert(name);
        assert!(alert.contains(&format!("runbook_url: docs/runbook.md#{}\n", name.to_lowercase())), "{name}");
        let severity = alert.split("severity: ").nth(1).unwrap().split('}').next().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        let is_tested = tests.contains(&format!("{{alertname=\"{name}\""));
        assert!(is_tested, "{name} is not tested");
    }
    let explained: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts, explained);
}
