//! What the documentation shows is so: its programs run, and it leaves nothing out that there is.

use std::collections::BTreeSet;

use super::support::collector::{Collector, Port, run_in};
use super::support::{PATIENCE, tools, until};

#[tokio::test]
async fn the_programs_of_getting_started_show_up() {
    let collector = Collector::start().await;
    let otlp = collector.url(Port::Http).await;
    let mut python = tools::python();
    python.args(["-c", &program("python")]);
    let mut javascript = tools::node();
    javascript.args(["--input-type=module", "-e", &program("js")]);
    let event = program("sh").replace("http://127.0.0.1:4318", &otlp);
    let mut curl = tokio::process::Command::new("sh");
    curl.args(["-c", &event]);
    for (mut command, run) in
        [(python, "getting-started-python"), (javascript, "getting-started-js"), (curl, "getting-started-curl")]
    {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{run}: {}", String::from_utf8_lossy(&output.stderr));
        let found = until(run, async || {
            let runs = collector.json("/api/v1/runs").await;
            let of = |key: &str, found: &serde_json::Value| found[key] == run;
            let mut all = runs["runs"].as_array()?.clone().into_iter();
            all.find(|found| of("service", found) || of("id", found) || of("execution_id", found))
        });
        let found = found.await;
        // 1840 tokens at 2.50 and 95 at 10 US dollars a million.
        assert_eq!(found["figures"]["cost_usd"], 0.00555, "{found}");
    }
}

/// The program in a language on the page: what else is in it are commands.
fn program(language: &str) -> String {
    let page = std::fs::read_to_string(tools::file("docs/getting-started.md")).unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains("getting-started-")).unwrap().to_owned()
}

#[tokio::test]
async fn every_key_of_a_configuration_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(tools::file("collector-config/default.yaml"), folder.path().join("c.yaml")).unwrap();
    let listed = run_in(folder.path(), &["config", "components"]).await.stdout;
    let mut section = "";
    let mut places = BTreeSet::new();
    for line in listed.lines() {
        match line.strip_prefix("  ") {
            Some(component) => drop(places.insert(format!("{section}.{}", component.split(' ').next().unwrap()))),
            None => section = line.trim(),
        }
    }
    let mut keys = BTreeSet::new();
    // What is known below a place is said of a key that is not; and what has keys below itself is found by asking there.
    while !places.is_empty() {
        let asked: Vec<String> =
            places.iter().flat_map(|place| [format!("{place}={{zzz: 1}}"), format!("{place}=[{{zzz: 1}}]")]).collect();
        let mut below = BTreeSet::new();
        for asked in asked {
            let said = run_in(folder.path(), &["config", "check", "c.yaml", "--set", &asked]).await.stderr;
            for line in said.lines().filter(|line| line.contains("unknown key `zzz`; known are ")) {
                let place = asked.split('=').next().unwrap();
                let known = line.split("known are ").nth(1).unwrap().split(", ").map(str::to_owned);
                below.extend(known.map(|key| format!("{place}.{key}")));
            }
        }
        places = below.into_iter().filter(|key| keys.insert(key.clone())).collect();
    }
    assert!(keys.len() > 100, "{keys:?}");
    let pages = ["configuration", "budgets", "redis", "content", "cost", "journal", "metrics", "api", "history"];
    let read = |page: &&str| std::fs::read_to_string(tools::file(&format!("docs/{page}.md"))).unwrap_or_default();
    let text: String = pages.iter().map(read).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let missing: Vec<&String> =
        keys.iter().filter(|key| !words.contains(key.rsplit('.').next().unwrap_or_default())).collect();
    assert!(missing.is_empty(), "not in the documentation: {missing:#?}");
}
