//! The file of prices that the agent connector is told of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::config::{self, Problem};
use crate::derive::cost::{Overrides, Policy, PriceFile, PriceSettings};

/// Where prices come from, and which cost counts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricesConfig {
    /// A file of prices that go before those of the table: ours (YAML or JSON) or in LiteLLM's layout (JSON).
    pub overrides: Option<PathBuf>,
    /// Which cost counts where the emitter reports one.
    pub policy: Policy,
}

impl PricesConfig {
    /// As the deriver wants it. What is wrong with the file is said with the place in the file.
    pub fn load(&self) -> Result<PriceSettings, Vec<String>> {
        let overrides = self.overrides.as_deref().map(read).transpose()?;
        Ok(PriceSettings { overrides: overrides.map(Arc::new), policy: self.policy })
    }
}

fn read(path: &Path) -> Result<Overrides, Vec<String>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| vec![format!("cannot read {name}: {error}")])?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_yaml && text.trim_start().starts_with('{') {
        return Overrides::from_json(&name, &text).map_err(|problem| vec![problem]);
    }
    let in_file = |problem: &Problem| format!("{name}: {problem}");
    let tree = config::parse_yaml(&text).map_err(|problem| vec![in_file(&problem)])?;
    let mut problems = Vec::new();
    let file: Option<PriceFile> = config::read(&tree, "", &mut problems);
    let file = file.ok_or_else(|| problems.iter().map(in_file).collect::<Vec<_>>())?;
    Overrides::from_file(&name, &text, file).map_err(|problem| vec![problem])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, text: &str) -> Result<PriceSettings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let config = PricesConfig { overrides: Some(path.clone()), policy: Policy::Reported };
        let place = format!("{}", path.display());
        config.load().map_err(|problems| problems.into_iter().map(|text| text.replace(&place, name)).collect())
    }

    #[test]
    fn a_file_of_ours_is_yaml_or_json() {
        for (name, text) in [
            ("prices.yaml", "prices:\n  - {model: my-model, input: 1.5, output: 6}\n"),
            ("prices.json", r#"{"prices": [{"model": "my-model", "input": 1.5, "output": 6}]}"#),
            ("prices.yaml", r#"{"prices": [{"model": "my-model", "input": 1.5, "output": 6}]}"#),
            ("prices.json", r#"{"my-model": {"input_cost_per_token": 1.5e-6, "output_cost_per_token": 6e-6}}"#),
        ] {
            assert_eq!(load(name, text).unwrap().overrides.unwrap().len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_place_and_a_remedy() {
        let wrong = |name: &str, text: &str| load(name, text).unwrap_err();
        assert_eq!(
            wrong("p.yaml", "prices:\n  - model: m\n    inptu: 1\n    input: -1\n    output: 2\n"),
            [
                "p.yaml: line 3: prices.0: unknown key `inptu`; did you mean `input`?",
                "p.yaml: line 4: prices.0.input: `-1` is no price; write US dollars, 0 or more",
            ]
        );
        assert_eq!(
            wrong("p.yaml", "prices:\n  - {model: m, input: 1, output: 2, from: soon}\n"),
            ["p.yaml: line 2: prices.0.from: `soon` is no day such as 2026-10-01"]
        );
        let twice = "prices:\n  - {model: m, input: 1, output: 2}\n  - {model: m, input: 2, output: 2}\n";
        assert!(wrong("p.yaml", twice)[0].starts_with("p.yaml: `m` has two lines for the same time, tier and size;"));
        let no_base = "prices:\n  - {model: m, input: 1, output: 2, above: 200000}\n";
        assert!(wrong("p.yaml", no_base)[0].contains("add one with the usual prices"));
        assert!(wrong("p.json", "{\"models\": 1}")[0].contains("neither LiteLLM's layout"));
        assert!(wrong("p.json", "{\"prices\": ")[0].starts_with("p.json is not JSON: "));
        let unknown = wrong("p.json", r#"{"prices": [{"model": "m", "inptu": 1}]}"#);
        assert!(unknown[0].starts_with("p.json: unknown field `inptu`, expected one of `model`,"), "{unknown:?}");
        let config = PricesConfig { overrides: Some("/no/such/file".into()), policy: Policy::Reported };
        assert!(config.load().unwrap_err()[0].starts_with("cannot read /no/such/file: "));
    }
}
