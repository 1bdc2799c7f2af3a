//! `expected.json`, and how the ledger is held against it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// What Spanlight says, however it was asked.
#[derive(Debug, Default)]
pub struct Ledger {
    pub totals: BTreeMap<String, u64>,
    /// Calls and failures.
    pub tools: BTreeMap<String, (u64, u64)>,
    /// Runs.
    pub agents: BTreeMap<String, u64>,
}

pub struct Truth {
    figures: BTreeMap<String, u64>,
    tools: BTreeMap<String, (u64, u64)>,
    agents: BTreeMap<String, Option<u64>>,
    /// Figures that the telemetry does not contain, with the reason; a trailing `*` stands for the rest.
    unobtainable: BTreeMap<String, String>,
}

impl Truth {
    pub fn read(scenario: &Path) -> Truth {
        let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let expected = read(&scenario.join("expected.json"));
        let name = scenario.file_name().unwrap().to_string_lossy();
        let unobtainable = read(&scenario.parent().unwrap().join("unobtainable.json"));
        let requests = expected["server_log"]["requests"].as_array().cloned().unwrap_or_default();
        let chats = || {
            requests
                .iter()
                .filter(|r| !r["api"].as_str().unwrap_or_default().contains("embedding") && r["http_status"] == 200)
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
        let list = |key: &str| expected[key].as_array().cloned().unwrap_or_default();
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        Truth {
            figures: figures.map(|(name, figure)| (name.to_owned(), figure)).into(),
            tools: list("tools")
                .iter()
                .filter_map(|tool| Some((text(tool, "name")?, (tool["runs"].as_u64()?, tool["failures"].as_u64()?))))
                .collect(),
            agents: list("agents").iter().filter_map(|a| Some((text(a, "name")?, a["invocations"].as_u64()))).collect(),
            unobtainable: unobtainable[&*name]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(figure, reason)| (figure.clone(), reason.as_str().unwrap_or_default().to_owned()))
                .collect(),
        }
    }

    /// Every figure that differs, as `name=got/truth`.
    pub fn compare(&self, ledger: &Ledger) -> Vec<String> {
        let mut got: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (name, truth) in &self.figures {
            got.insert(name.clone(), (ledger.totals.get(name).copied().unwrap_or(0), *truth));
        }
        for (name, (runs, failures)) in &self.tools {
            let (calls, failed) = ledger.tools.get(name).copied().unwrap_or_default();
            got.insert(format!("tool:{name}"), (calls, *runs));
            got.insert(format!("tool_failed:{name}"), (failed, *failures));
        }
        for (name, invocations) in &self.agents {
            let runs = ledger.agents.get(name);
            got.insert(format!("agent:{name}"), (u64::from(runs.is_some()), 1));
            if let Some(invocations) = invocations {
                got.insert(format!("agent_runs:{name}"), (runs.copied().unwrap_or(0), *invocations));
            }
        }
        let is_obtainable = |name: &str| {
            !self.unobtainable.keys().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
        };
        let differs = |(name, (got, truth)): (String, (u64, u64))| {
            (got != truth && is_obtainable(&name)).then(|| format!("{name}={got}/{truth}"))
        };
        got.into_iter().filter_map(differs).collect()
    }
}
