//! The figures of an event as an emitter gives them, and which of them cannot be.
//!
//! One absurd figure would spoil every sum that it enters for good, so it is stopped where events are read.

use serde_json::{Map, Value};

use super::Performance;
use super::ReadError;
use super::envelope::Envelope;

/// Ten years. What seems to take longer comes from a clock or a unit that is wrong.
pub const LONGEST_MS: f64 = 10.0 * 365.25 * 86_400_000.0;
/// A single piece of work that costs more than a billion US dollars was not paid for.
pub const MOST_USD: f64 = 1e9;

/// Whether a figure is neither negative, nor beyond `most`, nor no number at all.
pub fn is_possible(figure: f64, most: f64) -> bool {
    (0.0..=most).contains(&figure)
}

impl Performance {
    /// What is left without figures that cannot be, which code may have computed as well.
    pub fn possible(mut self) -> Performance {
        let keep = |figure: &mut Option<f64>, most| *figure = figure.filter(|figure| is_possible(*figure, most));
        keep(&mut self.duration_ms, LONGEST_MS);
        keep(&mut self.ttft_ms, LONGEST_MS);
        keep(&mut self.cost_usd, MOST_USD);
        self
    }
}

impl Envelope {
    /// The figures, or which of them cannot be.
    pub(super) fn performance(&self) -> Result<Performance, ReadError> {
        let usage = Usage(["usage", "token_usage", "tokens"].iter().find_map(|key| self.find(&[key])?.as_object()));
        Ok(Performance {
            duration_ms: self.duration(&["duration_ms", "execution_time_ms", "latency_ms"])?,
            cost_usd: self.figure(
                &["cost_usd", "cost", "token_cost"],
                MOST_USD,
                "a cost of 0 to a billion US dollars",
            )?,
            input_tokens: self.count(&["input_tokens", "prompt_tokens"])?.or_else(|| usage.input()),
            output_tokens: self.count(&["output_tokens", "completion_tokens"])?.or_else(|| usage.output()),
            cache_read_tokens: self.count(&["cache_read_tokens"])?.or_else(|| usage.cache_read()),
            cache_write_tokens: self.count(&["cache_write_tokens"])?.or_else(|| usage.cache_write()),
            reasoning_tokens: self.count(&["reasoning_tokens"])?.or_else(|| usage.reasoning()),
            ttft_ms: self.duration(&["ttft_ms"])?,
            success: self.all("success").find_map(Value::as_bool),
            // Some are sure in words, which stay in the payload.
            confidence: ["confidence", "confidence_score"].iter().find_map(|key| self.all(key).find_map(number)),
        })
    }

    fn duration(&self, keys: &[&str]) -> Result<Option<f64>, ReadError> {
        self.figure(keys, LONGEST_MS, "a duration of 0 ms to 10 years")
    }

    fn figure(&self, keys: &[&str], most: f64, what: &str) -> Result<Option<f64>, ReadError> {
        let Some(figure) = self.number(keys)? else { return Ok(None) };
        if is_possible(figure, most) {
            return Ok(Some(figure));
        }
        let key = keys.iter().find(|key| self.find(&[**key]).is_some()).copied().unwrap_or_default();
        Err(ReadError(format!("{key} {figure:?} is not {what}; leave it out if it is not known")))
    }

    fn number(&self, keys: &[&str]) -> Result<Option<f64>, ReadError> {
        self.first(keys, number, "number")
    }

    fn count(&self, keys: &[&str]) -> Result<Option<u64>, ReadError> {
        self.first(keys, count, "number of tokens")
    }

    /// The first of the members that is of a kind. Under a figure's own name, which is the first, nothing else is taken;
    /// other systems may mean other things by theirs.
    fn first<T>(&self, keys: &[&str], read: fn(&Value) -> Option<T>, kind: &str) -> Result<Option<T>, ReadError> {
        let found = keys.iter().find_map(|key| self.all(key).find_map(read));
        match keys.first().and_then(|own| Some((own, self.find(&[own])?))) {
            Some((own, value)) if found.is_none() => Err(ReadError(format!("{own} {value} is no {kind}"))),
            _ => Ok(found),
        }
    }
}

/// A number, also where it is text, as decimals are that shall keep all their digits.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

fn count(value: &Value) -> Option<u64> {
    let whole = |number: f64| (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as u64);
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).or_else(|| value.as_f64().and_then(whole))
}

/// Tokens as APIs of models report them.
struct Usage<'v>(Option<&'v Map<String, Value>>);

impl Usage<'_> {
    fn first(&self, keys: &[&str]) -> Option<u64> {
        let map = self.0?;
        keys.iter().find_map(|key| count(map.get(*key)?))
    }

    fn detail(&self, of: &[&str], key: &str) -> Option<u64> {
        let map = self.0?;
        of.iter().find_map(|of| count(map.get(*of)?.get(key)?))
    }

    /// All that was read. Who reports what a cache gave, or took, beside the rest leaves it out of the rest.
    fn input(&self) -> Option<u64> {
        let input = self.first(&["input_tokens", "prompt_tokens", "inputTokens", "promptTokens", "input", "prompt"])?;
        let beside = [self.first(&["cache_read_input_tokens"]), self.first(&["cache_creation_input_tokens"])];
        Some(beside.into_iter().flatten().fold(input, u64::saturating_add))
    }

    fn output(&self) -> Option<u64> {
        self.first(&["output_tokens", "completion_tokens", "outputTokens", "completionTokens", "output", "completion"])
    }

    fn cache_read(&self) -> Option<u64> {
        self.first(&["cache_read_input_tokens", "cache_read_tokens"])
            .or_else(|| self.detail(&["prompt_tokens_details", "input_tokens_details"], "cached_tokens"))
    }

    fn cache_write(&self) -> Option<u64> {
        self.first(&["cache_creation_input_tokens", "cache_write_tokens"])
    }

    fn reasoning(&self) -> Option<u64> {
        self.first(&["reasoning_tokens"])
            .or_else(|| self.detail(&["completion_tokens_details", "output_tokens_details"], "reasoning_tokens"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Source, SourceKind, Timestamp, read_events};

    fn read(members: &str) -> Result<Event, String> {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let body = format!(r#"{{"name":"agent.completed","agent":"a",{members}}}"#);
        let read = read_events(body.as_bytes(), &source, Timestamp::from_unix_seconds(1e9)).remove(0);
        read.map(|mut events| events.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn figures_that_cannot_be_are_refused_by_name() {
        for (members, field) in [
            (r#""duration_ms":1e300"#, "duration_ms 1e300"),
            (r#""duration_ms":-1"#, "duration_ms -1"),
            (r#""latency_ms":315576000001"#, "latency_ms 315576000001"),
            (r#""cost_usd":-5"#, "cost_usd -5"),
            (r#""payload":{"token_cost":1e300}"#, "token_cost 1e300"),
            (r#""performance":{"ttft_ms":-0.5}"#, "ttft_ms -0.5"),
            (r#""cost_usd":NaN"#, "not JSON"),
        ] {
            let error = read(members).unwrap_err();
            assert!(error.contains(field), "{members}: {error}");
        }
        let fine = read(r#""duration_ms":315576000000,"cost_usd":0,"ttft_ms":0.5"#).unwrap();
        assert_eq!(fine.performance.duration_ms, Some(315_576_000_000.0));
        assert_eq!((fine.performance.cost_usd, fine.performance.ttft_ms), (Some(0.0), Some(0.5)));
    }
}
