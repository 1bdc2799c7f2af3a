//! How alerts are configured: figures of a window that are told when they cross a bound.

use serde::Deserialize;

use crate::config::types::Span;
use crate::measure::{Alert, AlertMetric, Dimension};
use crate::nearest::nearest;

/// One alert, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct AlertConfig(pub Alert);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    metric: String,
    above: Option<f64>,
    below: Option<f64>,
    window: Option<Span>,
    #[serde(rename = "match", default)]
    of: Match,
    min_count: Option<u64>,
    #[serde(rename = "for")]
    lasting: Option<Span>,
    cooldown: Option<Span>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Match {
    agent: Option<String>,
    feature: Option<String>,
    model: Option<String>,
    tool: Option<String>,
}

impl TryFrom<Written> for AlertConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<AlertConfig, String> {
        let name = written.name.as_str();
        if name.trim().is_empty() {
            return Err("an alert needs a name".into());
        }
        let metric = AlertMetric::parse(&written.metric).ok_or_else(|| no_metric(&written.metric))?;
        let mut alert = match (written.above, written.below) {
            (Some(bound), None) if bound.is_finite() => Alert::above(name, metric, bound),
            (None, Some(bound)) if bound.is_finite() => Alert::below(name, metric, bound),
            (Some(_), Some(_)) => return Err("say `above` or `below`, not both; two alerts can watch both".into()),
            (None, None) => return Err("from where on? say `above: NUMBER` or `below: NUMBER`".into()),
            _ => return Err("a bound is a number, neither infinite nor none".into()),
        };
        if let Some(Span(window)) = written.window {
            if !(60..=86_400).contains(&window.as_secs()) {
                return Err("`window` is a minute at least and a day at most: 1m to 24h".into());
            }
            alert = alert.over(window);
        }
        let of = [
            (Dimension::Agent, written.of.agent),
            (Dimension::Feature, written.of.feature),
            (Dimension::Model, written.of.model),
            (Dimension::Tool, written.of.tool),
        ];
        let mut of = of.into_iter().filter_map(|(dimension, name)| Some((dimension, name?)));
        if let Some((dimension, name)) = of.next() {
            alert = alert.of(dimension, &name);
        }
        if of.next().is_some() {
            return Err("`match` takes one of agent, feature, model and tool".into());
        }
        alert = alert.min_count(written.min_count.unwrap_or(0));
        alert = alert.lasting(written.lasting.map(|span| span.0).unwrap_or_default());
        Ok(AlertConfig(match written.cooldown {
            Some(Span(cooldown)) => alert.cooldown(cooldown),
            None => alert,
        }))
    }
}

fn no_metric(word: &str) -> String {
    let hint = nearest(word, AlertMetric::WORDS.iter().copied()).map(|meant| format!("; did you mean `{meant}`?"));
    format!("`metric: {word}` is not one of {}{}", AlertMetric::WORDS.join(", "), hint.unwrap_or_default())
}
