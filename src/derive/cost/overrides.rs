//! Prices that go before those of the table: from a file of ours, or one in LiteLLM's layout.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::price::PriceSource;
use super::prices::Call;
use super::rates::{Part, PerPart, Rates};
use super::table::provider_in_table;
use super::{litellm, price_file};
use crate::dialect::provider;
use crate::event::Timestamp;

/// The prices of a file.
#[derive(Debug)]
pub struct Overrides {
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
    /// By the model's name, of a key that has the provider's in front.
    WithoutProvider,
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
    /// US dollars for one of each part.
    pub usd: PerPart<f64>,
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
        let listing = models.into_iter().flatten().find_map(|model| self.listing(call.provider, model))?;
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

    fn listing(&self, provider: Option<&str>, model: &str) -> Option<&Listing> {
        let model = model.to_lowercase();
        let bare = model.strip_prefix("models/").unwrap_or(&model);
        let named = |provider: Option<&str>, name: &str| {
            let known = self.models.get(name)?.iter();
            let fitting = known.filter_map(|listing| Some((self.distance(listing, provider)?, listing)));
            fitting.min_by_key(|(distance, _)| *distance).map(|(_, listing)| listing)
        };
        let any_name = |provider: Option<&str>, name: &str| {
            let (global, undated) = (without_region(name), without_date(name));
            let names = [Some(name), global, undated, global.and_then(without_date)];
            names.into_iter().flatten().find_map(|name| named(provider, name))
        };
        any_name(provider, bare).or_else(|| {
            let (prefix, rest) = bare.split_once('/')?;
            any_name(Some(&well_known(prefix)), rest)
        })
    }

    /// How well a listing fits a provider; nothing if it is somebody else's.
    fn distance(&self, listing: &Listing, provider: Option<&str>) -> Option<u8> {
        let family = provider.map(provider_in_table);
        match (&listing.provider, provider) {
            _ if listing.key == Key::ProviderAndModel => Some(0),
            (Some(of), Some(provider)) if **of == *provider => Some(0),
            (Some(of), Some(_)) if Some(provider_in_table(of)) == family => Some(1),
            (None, _) => Some(2),
            // Whoever answers under a name that nobody knows answers with the model of its maker.
            (Some(_), _) if listing.key == Key::Model && family.is_none_or(|family| !self.providers.contains(family)) => {
                Some(3)
            }
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
            usd: row.usd,
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

impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} models", self.version, self.len())
    }
}

/// Prices as they are given, US dollars for one of each part, made whole: what has no price of its own goes by that
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
