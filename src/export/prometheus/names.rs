//! From OTel names and units to Prometheus names (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility").

use crate::measure::FamilyKind;

/// The name of a metric, without the suffixes of its samples.
pub fn metric(name: &str, unit: &str, kind: FamilyKind) -> String {
    let mut translated = sanitise(name);
    for part in unit_words(unit, kind) {
        if !translated.ends_with(&part) {
            translated.push('_');
            translated.push_str(&part);
        }
    }
    let mut collapsed = String::with_capacity(translated.len());
    for letter in translated.chars() {
        if letter != '_' || !collapsed.ends_with('_') {
            collapsed.push(letter);
        }
    }
    let trimmed = collapsed.trim_end_matches('_');
    // `_total` is the suffix of a counter's sample, not part of its name.
    let bare = if kind == FamilyKind::Counter { trimmed.strip_suffix("_total").unwrap_or(trimmed) } else { trimmed };
    if bare.is_empty() { "_".to_owned() } else { bare.to_owned() }
}

/// The name of a label.
pub fn label(name: &str) -> String {
    let label = sanitise(name).replace(':', "_");
    match label.as_str() {
        "" => "_".to_owned(),
        // These belong to the samples of histograms and summaries.
        "le" | "quantile" => format!("exported_{label}"),
        _ if label.starts_with("__") => format!("key{label}"),
        _ => label,
    }
}

fn sanitise(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        let valid = letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
        if out.is_empty() && letter.is_ascii_digit() {
            out.push('_');
        }
        out.push(if valid { letter } else { '_' });
    }
    out
}

/// A UCUM unit in words: `By/s` is bytes per second, `{token}` is nothing.
fn unit_words(unit: &str, kind: FamilyKind) -> Vec<String> {
    let mut plain = String::new();
    let mut depth = 0;
    for letter in unit.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            letter if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    if plain == "1" {
        return if kind == FamilyKind::Gauge { vec!["ratio".into()] } else { Vec::new() };
    }
    let mut parts = plain.splitn(2, '/');
    let (unit, per) = (parts.next().unwrap_or_default(), parts.next());
    let mut words: Vec<String> = Vec::new();
    words.extend(Some(word(unit)).filter(|word| !word.is_empty()));
    if let Some(per) = per.filter(|per| !per.is_empty()) {
        words.push(format!("per_{}", per_word(per)));
    }
    words
}

fn word(unit: &str) -> String {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => return sanitise(other),
    }
    .to_owned()
}

fn per_word(unit: &str) -> String {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => return sanitise(other),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        let name = |name, unit, kind| metric(name, unit, kind);
        assert_eq!(name("gen_ai.client.token.usage", "{token}", FamilyKind::Histogram), "gen_ai_client_token_usage");
        let duration = name("gen_ai.client.operation.duration", "s", FamilyKind::Histogram);
        assert_eq!(duration, "gen_ai_client_operation_duration_seconds");
        assert_eq!(name("agent.cost.usd", "{USD}", FamilyKind::Counter), "agent_cost_usd");
        assert_eq!(name("claude_code.cost.usage", "USD", FamilyKind::Counter), "claude_code_cost_usage_USD");
        assert_eq!(name("http.requests_total", "", FamilyKind::Counter), "http_requests");
        assert_eq!(name("a..b", "By/s", FamilyKind::Gauge), "a_b_bytes_per_second");
        assert_eq!(name("usage", "1", FamilyKind::Gauge), "usage_ratio");
        assert_eq!(name("2nd.try", "", FamilyKind::Gauge), "_2nd_try");
        assert_eq!(name("run.seconds", "s", FamilyKind::Gauge), "run_seconds");
        assert_eq!(label("gen_ai.agent.name"), "gen_ai_agent_name");
        assert_eq!(label("__name__"), "key__name__");
        assert_eq!(label("le"), "exported_le");
        // What has no letter that Prometheus knows still needs a name.
        assert_eq!((name("値", "", FamilyKind::Gauge), label("")), ("_".into(), "_".into()));
    }
}
