//! Prices that go before those of the table: from a file of ours, or one in LiteLLM's layout.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::price::PriceSource;
use super::prices::Call;
use super::rates::{Part, PerPart, Rates};
use super::table::{self, provider_in_table};
use super::{litellm, price_file};
use crate::dialect::provider;
use crate::event::Timestamp;

/// The prices of a file.
#[derive(Debug)]
pub struct Overrides {
    /// The file's name.
    pub name: Arc<str>,
    /// Its name and what its content hashes to.
    version: Arc<str>,
    /// By the model's name in lower case.
    models: HashMap<Box<str>, Vec<Listing>, RandomState>,
    /// Whose models it lists.
    providers: HashSet<Box<str>, RandomState>,
    /// What could not be used, for whoever wrote the file.
    pub warnings: Vec<String>,
}

/// What a model costs at one provider.
#[derive(Debug)]
struct Listing {
    /// Under its well-known name; nothing fits any.
    provider: Option<Box<str>>,
    /// Whether the key says whose model it is, as `azure/gpt-4o` does.
    key: Key,
    /// The name it is listed under.
    name: Arc<str>,
    rows: Arc<[Row]>,
}

/// How a listing is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// By the model's name alone.
    Model,
    /// By the provider's and the model's name in one.
    ProviderAndModel,
    /// By the model's name, of that provider alone.
    ModelOfProvider,
}

/// Prices that hold since a time, at a tier, for inputs above a size.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Since when; nothing is since ever.
    pub from: Option<Timestamp>,
    /// At which tier; nothing is the usual one.
    pub service_tier: Option<Box<str>>,
    /// For inputs of more tokens than this.
    pub above: Option<u64>,
    /// US dollars for a million of each part.
    pub per_million: PerPart<f64>,
    /// Which of them are taken from plain input or output.
    pub assumed: PerPart<bool>,
}

/// The prices of the model of a call, at the time of the call.
#[derive(Clone, Debug)]
pub struct Found {
    version: Arc<str>,
    name: Arc<str>,
    rows: Arc<[Row]>,
    service_tier: Option<Arc<str>>,
    at: Timestamp,
}

impl Overrides {
    /// Of a file in JSON, ours or in LiteLLM's layout. An error names the entry and the remedy.
    pub fn from_json(name: &str, text: &str) -> Result<Overrides, String> {
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("{name} is not JSON: {error}"))?;
        let keys = json.as_object().ok_or_else(|| format!("{name} is a JSON value that is no object"))?;
        if keys.contains_key("prices") {
            let file = serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?;
            return Overrides::from_file(name, text, file);
        }
        let mut overrides = Overrides::empty(name, text);
        litellm::read(keys, &mut overrides).map_err(|problem| format!("{name}: {problem}"))?;
        Ok(overrides)
    }

    /// Of a file of ours that was read already; `text` is what is in it.
    pub fn from_file(name: &str, text: &str, file: price_file::PriceFile) -> Result<Overrides, String> {
        let mut overrides = Overrides::empty(name, text);
        file.list(&mut overrides).map_err(|problem| format!("{name}: {problem}"))?;
        Ok(overrides)
    }

    fn empty(name: &str, text: &str) -> Overrides {
        let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        Overrides {
            name: name.into(),
            version: format!("{name} (xxh3 {hash:016x})").into(),
            models: HashMap::default(),
            providers: HashSet::default(),
            warnings: Vec::new(),
        }
    }

    /// How many models it lists.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Lists a model.
    pub fn list(&mut self, provider: Option<&str>, key: Key, found_by: &str, name: &str, rows: Arc<[Row]>) {
        let provider = provider.map(|provider| well_known(provider).into_boxed_str());
        if let Some(provider) = &provider {
            self.providers.insert(provider_in_table(provider).into());
        }
        let listing = Listing { provider, key, name: name.into(), rows };
        self.models.entry(found_by.to_lowercase().into()).or_default().push(listing);
    }

    /// The prices of a call's model: of the one that answered, else of the one asked for.
    pub fn find(&self, call: &Call<'_>) -> Option<Found> {
        let models = [call.response_model, call.request_model];
        let listing = models.into_iter().flatten().find_map(|model| self.listing(call.provider, model, call.at))?;
        let found = Found {
            version: self.version.clone(),
            name: listing.name.clone(),
            rows: listing.rows.clone(),
            service_tier: call.service_tier.map(Arc::from),
            at: call.at,
        };
        // A price that came into force later is none of this call's.
        found.row(0).is_some().then_some(found)
    }

    fn listing(&self, provider: Option<&str>, model: &str, at: Timestamp) -> Option<&Listing> {
        let model = model.to_lowercase();
        let bare = model.strip_prefix("models/").unwrap_or(&model);
        let named = |provider: Option<&str>, name: &str| {
            let known = self.models.get(name)?.iter();
            let fitting = known.filter_map(|listing| Some((self.distance(listing, provider)?, listing)));
            fitting.min_by_key(|(distance, _)| *distance).map(|(_, listing)| listing)
        };
        let any_name = |provider: Option<&str>, name: &str| {
            let global = without_region(name);
            let of_snapshot = |name: &str| {
                let model = without_date(name)?;
                // Some snapshots have prices of their own, which are not those of the file.
                named(provider, model).filter(|_| table::is_priced_alike(provider, name, model, at))
            };
            let as_it_is = named(provider, name).or_else(|| named(provider, global?));
            as_it_is.or_else(|| of_snapshot(name)).or_else(|| of_snapshot(global?))
        };
        any_name(provider, bare).or_else(|| {
            let (prefix, rest) = bare.split_once('/')?;
            any_name(Some(&well_known(prefix)), rest)
        })
    }

    /// How well a listing fits a provider; nothing if it is somebody else's.
    fn distance(&self, listing: &Listing, provider: Option<&str>) -> Option<u8> {
        let family = provider.map(provider_in_table);
        let is_unheard_of = |family: &str| !self.providers.contains(family) && !table::knows_provider(family);
        match (&listing.provider, provider) {
            _ if listing.key == Key::ProviderAndModel => Some(0),
            (Some(of), Some(provider)) if **of == *provider => Some(0),
            (Some(of), Some(_)) if Some(provider_in_table(of)) == family => Some(1),
            (None, _) => Some(2),
            // Whoever answers under a name that nobody knows answers with the model of its maker.
            (Some(_), _) if listing.key == Key::Model && family.is_none_or(is_unheard_of) => Some(3),
            _ => None,
        }
    }
}

impl Found {
    /// The rates for an input of so many tokens.
    pub fn rates(&self, input: u64) -> Option<Rates> {
        let row = self.row(input)?;
        Some(Rates {
            source: PriceSource::Override,
            version: self.version.clone(),
            model: self.name.clone(),
            service_tier: self.service_tier.clone(),
            tier_is_unknown: self.service_tier.is_some() && row.service_tier.is_none(),
            above: row.above,
            from: row.from,
            per_million: row.per_million,
            assumed: row.assumed,
        })
    }

    /// All rows of one date are one price list. Of the latest, those of the tier hold, else the usual ones; and of
    /// these the one for the largest inputs that this one is larger than.
    fn row(&self, input: u64) -> Option<&Row> {
        let in_force = || self.rows.iter().filter(|row| row.from.is_none_or(|from| from <= self.at));
        let from = in_force().map(|row| row.from).max()?;
        let at_tier = |tier: Option<&str>| {
            let rows = in_force().filter(|row| row.from == from && row.service_tier.as_deref() == tier);
            rows.filter(|row| row.above.is_none_or(|above| input > above)).max_by_key(|row| row.above)
        };
        let own = self.service_tier.as_deref().and_then(|tier| at_tier(Some(tier)));
        own.or_else(|| at_tier(None))
    }
}

/// Prices as they are given, US dollars for a million of each part, made whole: what has no price of its own goes by that
/// of plain input or output, and the flags say so.
pub fn complete(given: &PerPart<Option<f64>>) -> Option<(PerPart<f64>, PerPart<bool>)> {
    let of = |part: Part| given[part as usize];
    let (input, output) = (of(Part::UncachedInput)?, of(Part::Output)?);
    let written = of(Part::CacheWrite5m).or(of(Part::CacheWrite));
    let stand_in = |part: Part| match part {
        Part::CacheWrite | Part::CacheWrite5m => (written.unwrap_or(input), written.is_none()),
        Part::CacheWrite1h => (written.unwrap_or(input), true),
        Part::UncachedInput | Part::CacheRead | Part::InputAudio => (input, true),
        // Reasoning is billed as output unless a price says otherwise.
        Part::Reasoning => (output, false),
        Part::Output | Part::OutputAudio => (output, true),
        Part::Request => (0.0, false),
    };
    let whole = Part::ALL.map(|part| match of(part) {
        Some(usd) => (usd, false),
        None => stand_in(part),
    });
    Some((whole.map(|(usd, _)| usd), whole.map(|(usd, assumed)| assumed && usd > 0.0)))
}

/// A provider's name as calls have it.
fn well_known(name: &str) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "bedrock_converse" => "aws.bedrock".into(),
        "cohere_chat" => "cohere".into(),
        "text-completion-openai" => "openai".into(),
        _ if name.starts_with("vertex_ai") => "gcp.vertex_ai".into(),
        _ => provider::normalise(Some(&name), None).map_or(name.clone(), |name| name.into_owned()),
    }
}

/// The name of a model of Bedrock without the region in front.
fn without_region(name: &str) -> Option<&str> {
    const REGIONS: [&str; 8] = ["us.", "eu.", "apac.", "au.", "jp.", "ca.", "us-gov.", "global."];
    REGIONS.iter().find_map(|region| name.strip_prefix(region))
}

/// The name of a model without the date of its snapshot: `-20250929`, `@20250929` or `-2024-08-06`.
fn without_date(name: &str) -> Option<&str> {
    let is_number = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let (rest, last) = name.rsplit_once(['-', '@'])?;
    if is_number(last, 8) || last == "latest" {
        return Some(rest);
    }
    let (rest, month) = rest.rsplit_once('-').filter(|_| is_number(last, 2))?;
    let (rest, year) = rest.rsplit_once('-').filter(|_| is_number(month, 2))?;
    Some(rest).filter(|_| is_number(year, 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::cost::{Policy, PriceSettings, Prices};
    use crate::dialect::Usage;

    const LITELLM: &str = r#"{
        "sample_spec": {"litellm_provider": "one of …", "input_cost_per_token": "0.0000"},
        "house-model": {
            "litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "cache_read_input_token_cost": 1e-7,
            "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_above_200k_tokens": 6e-6,
            "input_cost_per_token_batches": 5e-7, "output_cost_per_token_batches": 2e-6,
            "input_cost_per_token_flex": 8e-7, "input_cost_per_token_priority": 3e-6,
            "output_cost_per_reasoning_token": 5e-6, "input_cost_per_audio_token": 9e-6
        },
        "azure/house-model": {"litellm_provider": "azure", "input_cost_per_token": 7e-6, "output_cost_per_token": 8e-6},
        "us.anthropic.house-v1:0": {
            "litellm_provider": "bedrock_converse", "input_cost_per_token": 3.3e-6, "output_cost_per_token": 1.65e-5,
            "cache_creation_input_token_cost": 4e-6, "cache_creation_input_token_cost_above_1hr": 6e-6,
            "cache_read_input_token_cost": 3e-7
        },
        "anthropic.house-v1:0": {
            "litellm_provider": "bedrock_converse", "input_cost_per_token": 3e-6, "output_cost_per_token": 1.5e-5
        },
        "staircase": {
            "litellm_provider": "dashscope",
            "tiered_pricing": [
                {"range": [0, 32000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
                {"range": [32000.0, 128000.0], "input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6}
            ]
        },
        "vectors": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": "2e-8"},
        "pictures": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.04},
        "broken": {"litellm_provider": "openai", "input_cost_per_token": "cheap", "output_cost_per_token": 1e-6},
        "not-a-model": 7
    }"#;

    const OURS: &str = r#"{"prices": [
        {"model": "gpt-4o", "input": 1, "output": 2},
        {"model": "gpt-4o", "from": "2026-10-01", "input": 3, "output": 4},
        {"model": "gpt-4o", "from": "2026-10-01", "service_tier": "batch", "input": 1.5, "output": 2},
        {"model": "gpt-4o", "provider": "azure", "input": 5, "output": 6},
        {"model": "claude-sonnet-4-5", "provider": "anthropic", "input": 1, "output": 1},
        {"model": "later-model", "from": "2027-01-01", "input": 1, "output": 1}
    ]}"#;

    struct Asked<'a> {
        provider: Option<&'a str>,
        model: &'a str,
        tier: Option<&'a str>,
        at: &'a str,
        usage: Usage,
    }

    fn asked<'a>(provider: &'a str, model: &'a str, input: u64, output: u64) -> Asked<'a> {
        let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
        let provider = Some(provider).filter(|provider| !provider.is_empty());
        Asked { provider, model, tier: None, at: "2026-11-01T12:00:00Z", usage }
    }

    /// What it costs, in billionths, and as which model of which file.
    fn answer(text: &str, asked: &Asked<'_>) -> Option<(i64, Rates)> {
        let overrides = Overrides::from_json("prices.json", text).unwrap();
        let settings = PriceSettings { overrides: Some(overrides.into()), policy: Policy::Reported };
        let call = Call {
            provider: asked.provider,
            response_model: Some(asked.model),
            request_model: None,
            service_tier: asked.tier,
            at: Timestamp::parse(asked.at).unwrap(),
            usage: &asked.usage,
        };
        let computed = Prices::new(settings).price(&call, None).computed.ok()?;
        Some(((computed.usd * 1e9).round() as i64, (*computed.rates).clone()))
    }

    fn cost(text: &str, asked: &Asked<'_>) -> Option<i64> {
        answer(text, asked).map(|(cost, _)| cost)
    }

    #[test]
    fn entries_that_cannot_be_used_are_said_and_the_rest_is_kept() {
        let overrides = Overrides::from_json("prices.json", LITELLM).unwrap();
        assert_eq!(
            overrides.warnings,
            [
                "prices.json: `broken` is left out: its `input_cost_per_token` is \"cheap\", not US dollars per token",
                "prices.json: `not-a-model` is left out: it is no object",
            ]
        );
        let (cost, rates) = answer(LITELLM, &asked("openai", "vectors", 1000, 0)).unwrap();
        assert_eq!((cost, rates.source), (20_000, PriceSource::Override));
        assert!(rates.version.starts_with("prices.json (xxh3 "), "{}", rates.version);
        assert_eq!(cost_of_unknown("pictures"), None);
        assert_eq!(cost_of_unknown("sample_spec"), None);
    }

    fn cost_of_unknown(model: &str) -> Option<i64> {
        cost(LITELLM, &asked("openai", model, 1000, 0))
    }

    #[test]
    fn models_are_found_by_provider_region_and_prefix() {
        let of = |provider: &str, model: &str| cost(LITELLM, &asked(provider, model, 1000, 100));
        let (openai, azure) = (Some(1_400_000), Some(7_800_000));
        assert_eq!(of("openai", "house-model"), openai);
        assert_eq!(of("openai", "House-Model-2026-08-06"), openai, "a snapshot of it");
        assert_eq!(of("azure.ai.openai", "house-model"), azure);
        assert_eq!(of("openai", "azure/house-model"), azure, "the name says whose it is");
        assert_eq!(of("our-proxy", "house-model"), openai);
        assert_eq!(of("", "house-model"), openai);
        assert_eq!(of("aws.bedrock", "house-model"), None, "Bedrock has no such model in this file");
        let (us, global) = (Some(4_950_000), Some(4_500_000));
        assert_eq!(of("aws.bedrock", "us.anthropic.house-v1:0"), us);
        assert_eq!(of("aws.bedrock", "eu.anthropic.house-v1:0"), global);
        assert_eq!(of("aws.bedrock", "bedrock/us.anthropic.house-v1:0"), us);
    }

    #[test]
    fn size_and_tier_choose_the_price_of_all_tokens() {
        let of = |input: u64, tier: Option<&str>| {
            answer(LITELLM, &Asked { tier, ..asked("openai", "house-model", input, 1000) }).unwrap()
        };
        let usual = |input: u64| (input as i64) * 1000 + 4_000_000;
        assert_eq!(of(200_000, None).0, usual(200_000));
        assert_eq!(of(200_001, None).0, 200_001 * 2000 + 6_000_000, "every token, not only those above");
        assert_eq!(of(200_001, None).1.above, Some(200_000));
        assert_eq!(of(1000, Some("batch")).0, 500_000 + 2_000_000);
        assert_eq!(of(1000, Some("flex")).0, 800_000 + 4_000_000, "output has no price of its own there");
        let (cost, rates) = of(1000, Some("scale"));
        assert_eq!((cost, rates.tier_is_unknown), (usual(1000), true));
        assert_eq!(of(1000, Some("default")).1.service_tier, None);
        let stairs = |input: u64| cost_of(input, "staircase");
        assert_eq!((stairs(32_000), stairs(32_001)), (32_000_000, 64_002_000));
    }

    fn cost_of(input: u64, model: &str) -> i64 {
        cost(LITELLM, &asked("", model, input, 0)).unwrap()
    }

    #[test]
    fn each_kind_of_token_has_its_price_or_that_of_plain_ones_which_is_said() {
        let usage = Usage {
            input: Some(1000),
            cache_read: Some(100),
            cache_write: Some(300),
            cache_write_1h: Some(200),
            output: Some(50),
            reasoning: Some(20),
            input_audio: Some(10),
            ..Usage::default()
        };
        let house = answer(LITELLM, &Asked { usage, ..asked("openai", "house-model", 0, 0) }).unwrap();
        let uncached = 1000 - 100 - 300 - 10;
        assert_eq!(house.0, uncached * 1000 + 100 * 100 + 300 * 1000 + 10 * 9000 + 30 * 4000 + 20 * 5000);
        let amounts = crate::derive::cost::Amounts::of(&usage);
        let assumed: Vec<Part> = house.1.items(&amounts).filter(|item| item.is_assumed).map(|item| item.part).collect();
        assert_eq!(assumed, [Part::CacheWrite, Part::CacheWrite1h]);
        assert!(house.1.is_approximate(&amounts));
        let bedrock =
            answer(LITELLM, &Asked { usage, ..asked("aws.bedrock", "us.anthropic.house-v1:0", 0, 0) }).unwrap();
        assert_eq!(bedrock.0, uncached * 3300 + 100 * 300 + 100 * 4000 + 200 * 6000 + 10 * 3300 + 50 * 16_500);
    }

    #[test]
    fn prices_hold_at_the_time_of_the_call_and_go_before_the_table() {
        let of = |at: &str, provider: &str| {
            answer(OURS, &Asked { at, ..asked(provider, "gpt-4o", 1000, 100) })
                .map(|(cost, rates)| (cost, rates.source))
        };
        let ours = |cost| Some((cost, PriceSource::Override));
        assert_eq!(of("2026-09-30T23:59:59Z", "openai"), ours(1_200_000));
        assert_eq!(of("2026-10-01T00:00:00Z", "openai"), ours(3_400_000));
        assert_eq!(of("2026-10-01T00:00:00Z", "azure.ai.openai"), ours(5_600_000));
        let batch = answer(OURS, &Asked { tier: Some("batch"), ..asked("openai", "gpt-4o-2024-08-06", 1000, 100) });
        assert_eq!(batch.map(|(cost, _)| cost), Some(1_700_000));
        assert_eq!(cost(OURS, &asked("openai", "later-model", 1000, 0)), None, "not yet in force");
        for (provider, model) in
            [("openai", "gpt-4o-mini"), ("openai", "gpt-4o-2024-05-13"), ("aws.bedrock", "claude-sonnet-4-5")]
        {
            let other = answer(OURS, &asked(provider, model, 1000, 100)).map(|(_, rates)| rates.source);
            assert_ne!(other, Some(PriceSource::Override), "{model} of {provider} is not what the file lists");
        }
        let snapshot = answer(OURS, &asked("anthropic", "claude-sonnet-4-5-20250929", 1000, 100)).unwrap();
        assert_eq!(snapshot.1.source, PriceSource::Override);
    }
}
