//! `spanlight report --explain`: how each cost was made, in lines that can be followed with a pocket calculator.

use serde_json::Value;

use crate::console::{self, Style, counted, event, safe};

/// Where longer sentences end on wide terminals.
const READABLE: usize = 100;

/// All rows of a ledger and its totals, each with how its cost was made.
pub fn explain(ledger: &Value, colours: bool) -> String {
    let mut page = Page { text: String::new(), colours, width: console::width().clamp(40, READABLE) };
    page.style(Style::Bold, "How each cost was made");
    page.style(Style::Dim, "In US dollars: tokens × the price of a million of them.");
    // Tools and agents may have worked without calling any model.
    let has_calls = |row: &&Value| row["cost_usd"].is_f64() || calls(row).iter().any(|calls| *calls > 0);
    for row in list(&ledger["rows"]).iter().filter(has_calls) {
        page.section(row["key"].as_str().unwrap_or_default(), row);
    }
    page.total(ledger);
    page.text
}

struct Page {
    text: String,
    colours: bool,
    width: usize,
}

impl Page {
    fn section(&mut self, key: &str, row: &Value) {
        self.title(key, row);
        let explanation = &row["explanation"];
        let (counting, beside): (Vec<_>, Vec<_>) =
            list(&explanation["lines"]).iter().partition(|line| line["counts"] == true);
        counting.into_iter().for_each(|line| self.line(line));
        self.other_rates(&explanation["other_rates"]);
        self.reported(&explanation["reported"]);
        self.agents(&explanation["reported_by_agents"]);
        self.promoted(&explanation["promoted_runs"]);
        beside.into_iter().for_each(|line| self.line(line));
        self.deviation(&row["deviation"]);
        if row["cost_usd"].is_null() && row["unpriced_calls"] == 0 && row["llm_failed"].as_u64() > Some(0) {
            self.say(2, "Calls that failed without any token cost nothing that anyone could know.");
        }
        self.unpriced(&explanation["unpriced"]);
        self.left_out(&explanation["left_out"]);
        self.counting(&explanation["token_counting"]);
    }

    fn total(&mut self, ledger: &Value) {
        let totals = &ledger["totals"];
        self.title("Total", totals);
        let cost = |figures: &Value| figures["cost_usd"].as_f64().unwrap_or(0.0);
        let (above, all) = (list(&ledger["rows"]).iter().map(cost).sum::<f64>(), cost(totals));
        match all - above {
            rest if rest.abs() <= all * 1e-9 => self.say(2, "The sum of the costs above."),
            rest if above == 0.0 => self.say(2, &format!("These {} are of no row above.", money(rest, all))),
            rest => {
                self.say(2, &format!("The sum of the costs above, and {} that is of none of them.", money(rest, all)))
            }
        }
        self.deviation(&totals["deviation"]);
        self.left_out(&totals["explanation"]["left_out"]);
    }

    fn title(&mut self, key: &str, row: &Value) {
        let calls = calls(row);
        let mut facts = vec![row["cost_usd"].as_f64().map_or("no cost known".into(), event::usd)];
        facts.push(counted(calls[0] + calls[2], "call"));
        facts.extend((calls[1] > 0).then(|| format!("{} failed", calls[1])));
        facts
            .extend(row["unpriced_calls"].as_u64().filter(|calls| *calls > 0).map(|calls| format!("{calls} unpriced")));
        let name = Style::Bold.paint(&console::cut(&safe(key), 50), self.colours);
        self.text.push_str(&format!("\n{name}  {}\n", facts.join(" · ")));
    }

    /// Calls at the same prices: what was paid for, by how much, and what it comes to.
    fn line(&mut self, line: &Value) {
        let word = |key: &str| line[key].as_str().map(safe).unwrap_or_default();
        let calls = counted(line["calls"].as_u64().unwrap_or(0), "call");
        let source = match line["price_source"].as_str() {
            Some("override") => word("price_version"),
            _ => format!("{} {}", word("price_source"), word("price_version")),
        };
        let counts = line["counts"] == true;
        let begin = if counts { calls } else { format!("For comparison, what {calls} would come to") };
        let mut heading = format!("{begin} at the prices of {} in {source}", word("priced_as"));
        if line["service_tier"].is_string() {
            heading.push_str(&format!(", tier {}", word("service_tier")));
        }
        if let Some(above) = line["above_tokens"].as_u64() {
            heading.push_str(&format!(", for inputs above {} tokens", grouped(above)));
        }
        if line["from"].is_string() {
            heading.push_str(&format!(", valid since {}", word("from")));
        }
        self.say(2, &(heading + ":"));
        let total = line["usd"].as_f64().unwrap_or(0.0);
        let parts = list(&line["parts"]);
        let rates: Vec<String> = parts.iter().map(rate).collect();
        let widest = rates.iter().map(|rate| rate.chars().count()).max().unwrap_or(0);
        for (part, rate) in parts.iter().zip(&rates) {
            let amount = part["tokens"].as_u64().or(part["requests"].as_u64()).unwrap_or(0);
            let name = part["part"].as_str().map(safe).unwrap_or_default().replace('_', " ");
            let assumed = if part["approx"] == true { "~" } else { " " };
            let usd = money(part["usd"].as_f64().unwrap_or(0.0), total);
            self.row(&format!("{:>13} {name:<14} × {rate:<widest$}{assumed}= {usd:>12}", grouped(amount)));
        }
        if parts.len() > 1 {
            let (space, usd) = (" ".repeat(13 + 1 + 14 + 3 + widest - 8), money(total, total));
            self.row(&format!("{space}together = {usd:>12}"));
        }
        if parts.iter().any(|part| part["approx"] == true) {
            self.say(4, "~ There is no price for this kind of token: the nearest of the model's was taken.");
        }
        if line["service_tier_unpriced"] == true {
            self.say(4, "~ There is no price for this tier: the usual one was taken.");
        }
    }

    fn other_rates(&mut self, others: &Value) {
        if let (Some(calls), Some(usd)) = (others["calls"].as_u64(), others["usd"].as_f64()) {
            self.say(2, &format!("{} at further prices: {}", counted(calls, "call"), event::usd(usd)));
        }
    }

    fn reported(&mut self, reported: &Value) {
        if let (Some(calls), Some(usd)) = (reported["calls"].as_u64(), reported["usd"].as_f64()) {
            let calls = counted(calls, "call");
            self.say(2, &format!("{calls} at the cost that the emitter itself reports: {}", money(usd, usd)));
        }
    }

    fn agents(&mut self, agents: &Value) {
        if let (Some(runs), Some(usd)) = (agents["runs"].as_u64(), agents["usd"].as_f64()) {
            let runs = counted(runs, "agent run");
            let why = "because no call below has a price";
            self.say(2, &format!("{runs} at the cost that the emitter itself reports, {why}: {}", money(usd, usd)));
        }
    }

    fn promoted(&mut self, runs: &Value) {
        if let Some(runs) = runs.as_u64() {
            let runs = counted(runs, "agent run");
            self.say(2, &format!("Among these are {runs}: only they tell what their calls took."));
        }
    }

    fn deviation(&mut self, deviation: &Value) {
        let usd = |key: &str| deviation[key].as_f64();
        let (Some(reported), Some(computed)) = (usd("reported_usd"), usd("computed_usd")) else { return };
        let calls = counted(deviation["calls"].as_u64().unwrap_or(0), "call");
        let difference = reported - computed;
        let share = if computed > 0.0 { format!(" ({:+.1} %)", difference / computed * 100.0) } else { String::new() };
        let verdict = match difference.abs() <= computed.abs() * 1e-6 {
            true => "both agree".to_owned(),
            false if difference > 0.0 => format!("reported is {} more{share}", money(difference, reported)),
            false => format!("reported is {} less{share}", money(-difference, reported)),
        };
        let (reported, computed) = (money(reported, reported), money(computed, computed));
        self.say(2, &format!("Reported and ours, of {calls} with both: {reported} and {computed}; {verdict}."));
    }

    fn unpriced(&mut self, unpriced: &Value) {
        for entry in list(unpriced) {
            let calls = counted(entry["calls"].as_u64().unwrap_or(0), "call");
            let model = entry["model"].as_str().map(safe);
            let of = model.as_ref().map(|model| format!(" of {model}")).unwrap_or_default();
            let reason = entry["reason"].as_str().unwrap_or_default();
            self.style(Style::Yellow, &format!("  No price: {calls}{of} ({reason})"));
            match (reason, model) {
                ("unknown_model" | "unknown_provider", Some(model)) => {
                    self.say(
                        4,
                        "No price list knows it. Add a price to the file that connectors.agent.prices.overrides names:",
                    );
                    self.row(&format!("- {{model: {}, input: …, output: …}}", quoted(&model)));
                    self.say(4, "in US dollars per million tokens.");
                }
                ("no_model", _) => self.say(4, "Nothing names the model: have the client send gen_ai.request.model."),
                ("no_usage", _) => self.say(
                    4,
                    "It came without tokens: have the client report its usage, which for streams is often an option.",
                ),
                _ => self.say(4, "Its counts of tokens contradict one another."),
            }
        }
    }

    fn left_out(&mut self, left_out: &Value) {
        for entry in list(left_out) {
            let times = entry["times"].as_u64().unwrap_or(0);
            let (what, why) = match entry["reason"].as_str() {
                Some("call_below") => ("span", "the same call is reported again by a span below, which counts"),
                Some("call_above") => ("span", "the same call is reported by a span above, which counts"),
                Some("sum_of_calls") => ("span", "agents, tools and workflows report sums of the calls below them"),
                Some("reported_zero") => ("cost", "the emitter says $0, but the model has a price, which counts"),
                _ => ("span", "counted elsewhere"),
            };
            let tokens = entry["tokens"].as_u64().map(|tokens| format!("{} tokens", grouped(tokens)));
            let usd = entry["usd"].as_f64().filter(|usd| *usd > 0.0).map(event::usd);
            let amounts: Vec<String> = [tokens, usd].into_iter().flatten().collect();
            let amounts = if amounts.is_empty() { String::new() } else { format!(", {}", amounts.join(", ")) };
            self.say(2, &format!("Not counted: {}{amounts}: {why}.", counted(times, what)));
        }
    }

    fn counting(&mut self, counting: &Value) {
        let calls = |key: &str| counting[key].as_u64().map(|calls| counted(calls, "call"));
        if let Some(calls) = calls("exclusive") {
            self.say(2, &format!("{calls} reported cached or reasoning tokens beside the others; they were added."));
        }
        if let Some(calls) = calls("repaired") {
            let why = "reported more cached or reasoning tokens than input or output; they were taken as counted beside these";
            self.say(2, &format!("{calls} {why}."));
        }
    }

    /// A line that must not be broken.
    fn row(&mut self, text: &str) {
        self.text.push_str(&format!("    {text}\n"));
    }

    fn style(&mut self, style: Style, text: &str) {
        let line = style.paint(text, self.colours);
        self.text.push_str(&format!("{line}\n"));
    }

    /// A sentence in lines that fit.
    fn say(&mut self, indent: usize, text: &str) {
        let mut used = 0;
        for word in text.split(' ') {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > self.width {
                self.text.push('\n');
                used = 0;
            }
            let space = match used {
                0 if self.text.ends_with('\n') => indent,
                _ => 1,
            };
            self.text.extend([&" ".repeat(space), word]);
            used += space + length;
        }
        self.text.push('\n');
    }
}

/// Calls that succeeded, that failed, and those of embedding models.
fn calls(row: &Value) -> [u64; 3] {
    ["llm_calls", "llm_failed", "embedding_calls"].map(|key| row[key].as_u64().unwrap_or(0))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The price of a part, as price lists have it.
fn rate(part: &Value) -> String {
    match (part["usd_per_mtok"].as_f64(), part["usd_per_request"].as_f64()) {
        (Some(usd), _) => format!("${} per million", price(usd)),
        (_, Some(usd)) => format!("${} each", price(usd)),
        _ => String::new(),
    }
}

/// Cents, and as many digits more as there are.
fn price(usd: f64) -> String {
    let text = format!("{usd:.9}");
    let (whole, digits) = text.split_once('.').unwrap_or((&text, ""));
    let digits = digits.trim_end_matches('0');
    format!("{whole}.{digits:0<2}")
}

/// An amount with the digits that make it add up to a total.
fn money(usd: f64, total: f64) -> String {
    match total.abs() {
        total if total >= 1000.0 => format!("${usd:.2}"),
        total if total >= 1.0 => format!("${usd:.4}"),
        _ => format!("${usd:.8}"),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A name as a value in YAML.
fn quoted(name: &str) -> String {
    let is_plain =
        name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)) && !name.starts_with(['-', '.']);
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!([0, 999, 1000, 128_955, 1_234_567].map(grouped), ["0", "999", "1,000", "128,955", "1,234,567"]);
        assert_eq!([3.0, 0.3, 0.075, 1.25, 0.000002].map(price), ["3.00", "0.30", "0.075", "1.25", "0.000002"]);
        assert_eq!([money(0.000015, 0.04), money(1.5, 2.0), money(1.5, 2000.0)], ["$0.00001500", "$1.5000", "$1.50"]);
        assert_eq!([quoted("a/b-1.5"), quoted("a: b")], ["a/b-1.5", "'a: b'"]);
    }

    #[test]
    fn a_row_can_be_followed_to_its_cost() {
        let row = json!({
            "key": "claude-sonnet-4-5", "llm_calls": 1, "llm_failed": 0, "embedding_calls": 0,
            "cost_usd": 0.04355025, "unpriced_calls": 0,
            "deviation": {"calls": 1, "reported_usd": 0.05, "computed_usd": 0.04, "usd": 0.01},
            "explanation": {
                "lines": [{
                    "counts": true, "calls": 1, "usd": 0.04355025, "price_source": "genai-prices",
                    "price_version": "0.2.1", "priced_as": "claude-sonnet-4-5", "approx": true,
                    "parts": [
                        {"part": "uncached_input", "tokens": 5, "usd_per_mtok": 3.0, "usd": 0.000015},
                        {"part": "cache_read", "tokens": 128_955, "usd_per_mtok": 0.3, "usd": 0.0386865},
                        {"part": "cache_write", "tokens": 1253, "usd_per_mtok": 3.75, "usd": 0.00469875, "approx": true},
                        {"part": "output", "tokens": 10, "usd_per_mtok": 15.0, "usd": 0.00015}
                    ]
                }],
                "unpriced": [{"reason": "unknown_model", "model": "ours", "calls": 2}],
                "left_out": [{"reason": "call_below", "times": 1, "tokens": 2010}],
                "token_counting": {"exclusive": 1}
            }
        });
        let mut page = Page { text: String::new(), colours: false, width: 80 };
        page.section("claude-sonnet-4-5", &row);
        page.total(&json!({"totals": {"llm_calls": 1, "cost_usd": 0.04355025}, "rows": [row]}));
        assert_eq!(
            page.text,
            "
claude-sonnet-4-5  $0.0436 · 1 call
  1 call at the prices of claude-sonnet-4-5 in genai-prices 0.2.1:
                5 uncached input × $3.00 per million  =  $0.00001500
          128,955 cache read     × $0.30 per million  =  $0.03868650
            1,253 cache write    × $3.75 per million ~=  $0.00469875
               10 output         × $15.00 per million =  $0.00015000
                                             together =  $0.04355025
    ~ There is no price for this kind of token: the nearest of the model's was
    taken.
  Reported and ours, of 1 call with both: $0.05000000 and $0.04000000; reported
  is $0.01000000 more (+25.0 %).
  No price: 2 calls of ours (unknown_model)
    No price list knows it. Add a price to the file that
    connectors.agent.prices.overrides names:
    - {model: ours, input: …, output: …}
    in US dollars per million tokens.
  Not counted: 1 span, 2,010 tokens: the same call is reported again by a span
  below, which counts.
  1 call reported cached or reasoning tokens beside the others; they were added.

Total  $0.0436 · 1 call
  The sum of the costs above.
"
        );
    }
}
