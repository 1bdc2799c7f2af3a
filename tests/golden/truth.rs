//! `expected.json`, and how what Spanlight found is held against it.
//!
//! Figures are named `subject:detail`. One that the telemetry does not contain is listed in `unobtainable.json`, with
//! the evidence; a trailing `*` of its name stands for the rest. A figure that is listed there and is right all the
//! same fails, so that the list says nothing untrue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Figures by name.
pub type Figures = BTreeMap<String, u64>;

pub struct Truth {
    figures: Figures,
    unobtainable: BTreeMap<String, String>,
    /// Whether every tool that ran is among the figures, so that any other was not run.
    knows_all_tools: bool,
    /// Whether its root never came: what that was is told when nobody waits for it any more.
    has_lost_root: bool,
}

impl Truth {
    pub fn read(scenario: &Path) -> Truth {
        let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let expected = read(&scenario.join("expected.json"));
        let name = scenario.file_name().unwrap().to_string_lossy();
        let unobtainable = read(&scenario.parent().unwrap().join("unobtainable.json"));
        let reasons = unobtainable[&*name].as_object().into_iter().flatten();
        let mut figures = of_calls(&expected);
        figures.extend(of_tools(&expected));
        figures.extend(of_agents(&expected));
        figures.extend(of_runs(&expected));
        Truth {
            has_lost_root: !expected["lost_root"].is_null(),
            knows_all_tools: figures.keys().any(|name| name.starts_with("tool:")),
            figures,
            unobtainable: reasons
                .map(|(figure, reason)| (figure.clone(), reason.as_str().unwrap_or_default().to_owned()))
                .collect(),
        }
    }

    /// The same of what the ledger alone has.
    #[allow(dead_code, reason = "one of the two tests that read the truth has no more than the ledger")]
    pub fn compare_ledger(&self, got: &Figures) -> Vec<String> {
        let is_there = |wrong: &String| {
            let in_ledger = ["llm_calls=", "tool:", "tool_failed:", "agent_runs:"];
            let is_late = self.has_lost_root && wrong.starts_with("agent_runs:");
            !is_late && (in_ledger.iter().any(|name| wrong.starts_with(name)) || wrong.contains("_tokens="))
        };
        self.compare(got).into_iter().filter(is_there).collect()
    }

    /// Every figure that differs, as `name=got/truth`, and every excuse that none is needed for.
    pub fn compare(&self, got: &Figures) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut excused: BTreeSet<&str> = BTreeSet::new();
        let mut found = self.figures.clone();
        if self.knows_all_tools {
            let others = got.keys().filter(|name| name.starts_with("tool:") && !self.figures.contains_key(*name));
            found.extend(others.map(|name| (name.clone(), 0)));
        }
        for (name, truth) in &found {
            let value = got.get(name).copied().unwrap_or(0);
            if value == *truth {
                continue;
            }
            match self.excuse(name) {
                Some(excuse) => drop(excused.insert(excuse)),
                None => wrong.push(format!("{name}={value}/{truth}")),
            }
        }
        let useless = self.unobtainable.keys().filter(|excuse| !excused.contains(excuse.as_str()));
        wrong.extend(useless.map(|excuse| format!("({excuse} is right, and needs no excuse)")));
        wrong
    }

    fn excuse(&self, figure: &str) -> Option<&str> {
        let fits = |excuse: &&String| match excuse.strip_suffix('*') {
            Some(beginning) => figure.starts_with(beginning),
            None => figure == *excuse,
        };
        self.unobtainable.keys().find(fits).map(String::as_str)
    }
}

/// What the model server served, embeddings apart.
fn of_calls(expected: &Value) -> Figures {
    let log = &expected["server_log"];
    let requests = log["requests"].as_array().or(log.as_array()).or(expected["served"].as_array());
    let requests = requests.cloned().unwrap_or_default();
    let chats = || {
        let is_chat = |request: &&Value| !request["api"].as_str().unwrap_or_default().contains("embedding");
        requests.iter().filter(is_chat).filter(|request| request["http_status"] == 200)
    };
    let sum = |key: &str| chats().map(|request| request[key].as_u64().unwrap_or(0)).sum();
    let figures = [
        ("llm_calls", chats().count() as u64),
        ("input_tokens", sum("usage_input_total")),
        ("output_tokens", sum("usage_output_total")),
        ("cache_read_tokens", sum("usage_cached_input")),
        ("cache_write_tokens", sum("usage_cache_write_input")),
        ("reasoning_tokens", sum("usage_reasoning_output")),
    ];
    figures.map(|(name, figure)| (name.to_owned(), figure)).into()
}

/// What the tools themselves wrote down.
fn of_tools(expected: &Value) -> Figures {
    let mut figures = Figures::new();
    for tool in list(&expected["tools"]).iter().chain(list(&expected["expect"]["tools"])) {
        let Some(name) = tool["name"].as_str() else { continue };
        let count = |keys: &[&str]| keys.iter().filter_map(|key| tool[*key].as_u64()).next();
        let failed = count(&["failures", "failed"]).unwrap_or(0);
        let runs = count(&["runs", "count"]).or(count(&["ok"]).map(|ok| ok + failed)).unwrap_or(failed.max(1));
        *figures.entry(format!("tool:{name}")).or_default() += runs;
        *figures.entry(format!("tool_failed:{name}")).or_default() += failed;
    }
    figures
}

fn of_agents(expected: &Value) -> Figures {
    let mut figures = Figures::new();
    for agent in list(&expected["agents"]) {
        let Some(name) = agent["name"].as_str() else { continue };
        figures.insert(format!("agent:{name}"), 1);
        if let Some(invocations) = agent["invocations"].as_u64() {
            figures.insert(format!("agent_runs:{name}"), invocations);
        }
    }
    // Names in parentheses are those of the people who wrote the truth down.
    let calls = expected["llm_operations"]["by_agent"].as_object().into_iter().flatten();
    let calls = calls.filter(|(name, _)| !name.starts_with('('));
    figures.extend(calls.filter_map(|(name, count)| Some((format!("agent_calls:{name}"), count.as_u64()?))));
    for pair in list(&expected["handoffs"]) {
        let name = |at: usize| pair[at].as_str().unwrap_or_default();
        *figures.entry(format!("handoff:{}>{}", name(0), name(1))).or_default() += 1;
    }
    figures
}

fn of_runs(expected: &Value) -> Figures {
    let mut figures = Figures::new();
    let runs = expected["runs"].as_u64().or(expected["expect"]["runs"].as_u64());
    figures.extend(runs.map(|runs| ("runs".to_owned(), runs)));
    let decisions = expected["expect"]["decisions"].as_object().into_iter().flatten();
    figures.extend(decisions.filter_map(|(name, count)| Some((format!("decision:{name}"), count.as_u64()?))));
    for (key, figure) in [("session_id", "session"), ("user_id", "user"), ("thread_id", "conversation")] {
        let said = &expected[key];
        let all = said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
        // What stands after the first word is a note.
        let ids = all.iter().filter_map(|id| id.as_str()?.split(' ').next());
        figures.extend(ids.map(|id| (format!("{figure}:{id}"), 1)));
    }
    figures
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
