//! What Grafana's linter asks of dashboards, and what ours ask of themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dashboards::{all, panels, variables};
use super::expressions::selectors;
use super::support::tools::file;

/// The units that panels have.
const UNITS: [&str; 7] = ["bytes", "cpm", "cps", "currencyUSD", "percentunit", "s", "short"];
const MOST_PANELS: usize = 18;

#[test]
fn dashboards_can_be_told_apart_and_lead_to_each_other() {
    let dashboards = all();
    let uids: BTreeSet<&str> = dashboards.iter().map(|one| one["uid"].as_str().unwrap()).collect();
    let titles: BTreeSet<&str> = dashboards.iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!((uids.len(), titles.len()), (dashboards.len(), dashboards.len()));
    for dashboard in &dashboards {
        let uid = &dashboard["uid"];
        assert_eq!(dashboard["links"][0]["tags"], dashboard["tags"], "{uid}");
        assert!(!dashboard["description"].as_str().unwrap().is_empty(), "{uid}");
        assert_eq!(dashboard["editable"], false, "{uid}");
        assert!(panels(dashboard).count() <= MOST_PANELS, "{uid} has {} panels", panels(dashboard).count());
        for (to, chosen) in links(dashboard) {
            let Some(aim) = dashboards.iter().find(|one| one["uid"] == to) else { panic!("{uid}: {to}") };
            assert!(variables(aim).iter().any(|variable| variable["name"] == chosen), "{uid}: {to} has no {chosen}");
        }
    }
}

/// Where panels lead, and the variable that is chosen there.
fn links(dashboard: &Value) -> Vec<(String, String)> {
    let text = dashboard.to_string();
    let links = text.split("\"/d/").skip(1);
    let parts = links.map(|link| link.split_once("?var-").unwrap());
    parts.map(|(uid, rest)| (uid.to_owned(), rest.split('=').next().unwrap().to_owned())).collect()
}

#[test]
fn whose_data_it_is_can_be_chosen() {
    for dashboard in all() {
        let uid = &dashboard["uid"];
        let variables = variables(&dashboard);
        let named = |name: &str| variables.iter().find(|variable| variable["name"] == name).unwrap();
        assert_eq!(
            (&named("datasource")["type"], &named("datasource")["query"]),
            (&"datasource".into(), &"prometheus".into())
        );
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = named(name);
            assert_eq!((&variable["label"], &variable["allValue"]), (&label.into(), &".+".into()), "{uid}");
            assert_eq!(variable["multi"], true, "{uid}");
        }
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{uid}");
            assert_eq!(variable["refresh"], 2, "{uid}: it is read again when the range changes");
        }
        let text = dashboard["panels"].to_string();
        for variable in variables {
            let name = variable["name"].as_str().unwrap();
            assert!(
                text.contains(&format!("${name}")) || text.contains(&format!("${{{name}")),
                "{uid}: {name} is not used"
            );
        }
    }
}

#[test]
fn panels_say_what_they_show() {
    for dashboard in all() {
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            let of = format!("{}, {title}", dashboard["uid"]);
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{of}: a description");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].as_str().is_some_and(|unit| UNITS.contains(&unit)), "{of}: a unit");
            assert!(!defaults["thresholds"]["steps"].as_array().unwrap().is_empty(), "{of}: thresholds");
            let says_nothing = ["stat", "table", "bargauge"].contains(&panel["type"].as_str().unwrap());
            assert!(!says_nothing || defaults["noValue"].is_string(), "{of}: what it says where there is nothing");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{of}");
            assert!(titles.insert((title, panel["type"].as_str())), "{of}: two have one title");
            let targets = panel["targets"].as_array().unwrap();
            let ids: BTreeSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert!(!targets.is_empty() && ids.len() == targets.len(), "{of}: targets");
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for dashboard in all() {
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{}", panel["title"]);
            for cell in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
                assert!(taken.insert(cell), "{}, {}", dashboard["uid"], panel["title"]);
            }
        }
    }
}

#[test]
fn expressions_are_of_whom_was_chosen_and_fit_the_range() {
    for dashboard in all() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                let of = format!("{}, {}: {expression}", dashboard["uid"], panel["title"]);
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{of}");
                for selector in selectors(expression) {
                    let is_whose = selector.contains(r#"job=~"$job""#) && selector.contains(r#"instance=~"$instance""#);
                    assert!(is_whose, "{of}: {selector}");
                    // Programs send metrics of the same names for the same calls.
                    let is_derived = !selector.starts_with("agent_") && !selector.starts_with("gen_ai_");
                    assert!(is_derived || selector.contains(r#"otel_scope_name="spanlight""#), "{of}: {selector}");
                }
                for rate in ["rate(", "irate("].iter().flat_map(|function| expression.split(function).skip(1)) {
                    assert!(rate.split(']').next().unwrap().ends_with("[$__rate_interval"), "{of}");
                }
            }
        }
    }
}

#[test]
fn exemplars_open_traces_in_data_sources_that_are_provisioned() {
    let sources = std::fs::read_to_string(file("grafana/provisioning/datasources/spanlight.yaml")).unwrap();
    for line in sources.lines().filter(|line| line.contains("datasourceUid: ")) {
        let uid = line.split("datasourceUid: ").nth(1).unwrap().split(',').next().unwrap();
        assert!(sources.contains(&format!("    uid: {uid}\n")), "{uid}");
        assert!(line.contains("name: trace_id"), "{line}");
    }
}
