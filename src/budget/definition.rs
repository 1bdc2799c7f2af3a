//! What a budget is: how much, for how long, and for what.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::usd::Usd;
use crate::derive::Whose;

/// How much may be spent, in what time, on what.
///
/// ```
/// use spanlight::budget::{Budget, Dimension};
///
/// let budget = Budget::hourly("checkout", 3.0).only(Dimension::Feature, "checkout").warn_at(0.5);
/// let per_user = Budget::monthly("users", 10.0).each(Dimension::User);
/// # assert!(budget.name() == "checkout" && per_user.name() == "users");
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How it is called.
    #[serde(deserialize_with = "a_name")]
    pub(super) name: String,
    /// How much may be spent.
    #[serde(rename = "limit_usd", deserialize_with = "an_amount")]
    pub(super) limit: Usd,
    /// In what time.
    pub(super) per: Per,
    /// From which share of the limit on it warns.
    #[serde(default = "most_of_it", deserialize_with = "a_share")]
    pub(super) warn_at: f64,
    /// On what; without any, on everything.
    #[serde(default, rename = "match")]
    pub(super) only: Only,
    /// Whether each value of a dimension may spend as much.
    #[serde(default)]
    pub(super) each: Option<Dimension>,
    /// Whether work is to stop when it is spent, and not only to be told.
    #[serde(default = "yes")]
    pub(super) hard: bool,
}

/// In what time something may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A UTC hour.
    Hour,
    /// A UTC day.
    Day,
    /// A calendar month, in UTC.
    Month,
    /// A run.
    Run,
    /// All time.
    Total,
}

/// By what spending can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// What the work is for.
    Feature,
    /// The agent at work.
    Agent,
    /// The model called.
    Model,
    /// Whose model it is.
    Provider,
    /// The tool below which it happens.
    Tool,
    /// For which user.
    User,
    /// A tag of the work.
    Tag,
}

/// On what a budget may be spent: of every dimension that is named, one of the values. A value that ends in `*` stands
/// for all that begin like it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Only {
    feature: Values,
    agent: Values,
    model: Values,
    provider: Values,
    tool: Values,
    user: Values,
    tag: Values,
}

/// The values of one dimension; none is all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Values(Vec<String>);

impl Budget {
    /// So many US dollars a UTC day.
    pub fn daily(name: impl Into<String>, limit_usd: f64) -> Budget {
        Budget::new(name, limit_usd, Per::Day)
    }

    /// So many US dollars a UTC hour.
    pub fn hourly(name: impl Into<String>, limit_usd: f64) -> Budget {
        Budget::new(name, limit_usd, Per::Hour)
    }

    /// So many US dollars a calendar month.
    pub fn monthly(name: impl Into<String>, limit_usd: f64) -> Budget {
        Budget::new(name, limit_usd, Per::Month)
    }

    /// So many US dollars for every run.
    pub fn per_run(name: impl Into<String>, limit_usd: f64) -> Budget {
        Budget::new(name, limit_usd, Per::Run)
    }

    /// So many US dollars, once and for all.
    pub fn total(name: impl Into<String>, limit_usd: f64) -> Budget {
        Budget::new(name, limit_usd, Per::Total)
    }

    /// So many US dollars in some time. A limit that is negative or no number is 0: nothing may be spent.
    pub fn new(name: impl Into<String>, limit_usd: f64, per: Per) -> Budget {
        Budget {
            name: name.into(),
            limit: Usd::of(limit_usd.max(0.0)),
            per,
            warn_at: most_of_it(),
            only: Only::default(),
            each: None,
            hard: true,
        }
    }

    /// From which share of the limit on it warns: 0.8, unless told otherwise.
    pub fn warn_at(mut self, share: f64) -> Budget {
        self.warn_at = if share.is_nan() { most_of_it() } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Counts only what is of this value; of several values of one dimension, what is of any. A value that ends in `*`
    /// stands for all that begin like it.
    pub fn only(mut self, dimension: Dimension, value: impl Into<String>) -> Budget {
        self.only.values_mut(dimension).0.push(value.into());
        self
    }

    /// Each value of a dimension may spend as much. A budget for every run stays that.
    pub fn each(mut self, dimension: Dimension) -> Budget {
        self.each = (self.per != Per::Run).then_some(dimension);
        self
    }

    /// Only warns, also when it is spent.
    pub fn soft(mut self) -> Budget {
        self.hard = false;
        self
    }

    /// How it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much may be spent.
    pub fn limit(&self) -> Usd {
        self.limit
    }

    /// In what time.
    pub fn per(&self) -> Per {
        self.per
    }

    /// From which share of the limit on it warns.
    pub fn warns_at(&self) -> f64 {
        self.warn_at
    }

    /// Whether work is to stop when it is spent.
    pub fn is_hard(&self) -> bool {
        self.hard
    }

    /// Whose every value may spend as much.
    pub fn of_each(&self) -> Option<Dimension> {
        self.each
    }

    /// On what it may be spent: the dimensions that are named, with their values.
    pub fn matches(&self) -> impl Iterator<Item = (Dimension, &[String])> {
        self.only.named()
    }

    /// From how much on it warns.
    pub fn warning(&self) -> Usd {
        self.limit.times(self.warn_at)
    }

    /// What has to be the same for what was spent before to count on: not how much it is.
    pub(super) fn fingerprint(&self) -> String {
        serde_json::to_string(&(self.per, &self.only, self.each)).unwrap_or_default()
    }
}

/// What is wrong with budgets that stand side by side.
pub fn problem(budgets: &[Budget]) -> Option<String> {
    let of_runs = budgets.iter().find(|budget| budget.per == Per::Run && budget.each.is_some());
    let of_runs =
        of_runs.map(|budget| format!("`{}` is for every run, so it cannot be for `each` of something", budget.name));
    duplicate(budgets).map(|name| format!("`{name}` is the name of two budgets; give each its own")).or(of_runs)
}

fn duplicate(budgets: &[Budget]) -> Option<&str> {
    let is_second = |(at, budget): &(usize, &Budget)| budgets[..*at].iter().any(|other| other.name == budget.name);
    budgets.iter().enumerate().find(is_second).map(|(_, budget)| budget.name.as_str())
}

impl Only {
    /// The dimensions that are named, with their values.
    pub(super) fn named(&self) -> impl Iterator<Item = (Dimension, &[String])> {
        let all = Dimension::ALL.map(|dimension| (dimension, self.values(dimension).0.as_slice()));
        all.into_iter().filter(|(_, values)| !values.is_empty())
    }

    /// Whether something is what the budget is for.
    pub(super) fn accepts(&self, whose: &Whose) -> bool {
        self.named().all(|(dimension, wanted)| {
            dimension.values(whose).iter().any(|value| wanted.iter().any(|wanted| fits(wanted, value)))
        })
    }

    /// Whether something may be what the budget is for, of which not all is known.
    pub(super) fn may_accept(&self, whose: &Whose) -> bool {
        self.named().all(|(dimension, wanted)| {
            let values = dimension.values(whose);
            values.is_empty() || values.iter().any(|value| wanted.iter().any(|wanted| fits(wanted, value)))
        })
    }

    fn values(&self, dimension: Dimension) -> &Values {
        match dimension {
            Dimension::Feature => &self.feature,
            Dimension::Agent => &self.agent,
            Dimension::Model => &self.model,
            Dimension::Provider => &self.provider,
            Dimension::Tool => &self.tool,
            Dimension::User => &self.user,
            Dimension::Tag => &self.tag,
        }
    }

    fn values_mut(&mut self, dimension: Dimension) -> &mut Values {
        match dimension {
            Dimension::Feature => &mut self.feature,
            Dimension::Agent => &mut self.agent,
            Dimension::Model => &mut self.model,
            Dimension::Provider => &mut self.provider,
            Dimension::Tool => &mut self.tool,
            Dimension::User => &mut self.user,
            Dimension::Tag => &mut self.tag,
        }
    }
}

fn fits(wanted: &str, value: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == value, |beginning| value.starts_with(beginning))
}

impl Dimension {
    const ALL: [Dimension; 7] = [
        Dimension::Feature,
        Dimension::Agent,
        Dimension::Model,
        Dimension::Provider,
        Dimension::Tool,
        Dimension::User,
        Dimension::Tag,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::Feature => "feature",
            Dimension::Agent => "agent",
            Dimension::Model => "model",
            Dimension::Provider => "provider",
            Dimension::Tool => "tool",
            Dimension::User => "user",
            Dimension::Tag => "tag",
        }
    }

    /// What something is in this dimension: nothing, one thing, or, of tags, several.
    pub(super) fn values(self, whose: &Whose) -> &[crate::derive::Name] {
        let one = match self {
            Dimension::Feature => &whose.feature,
            Dimension::Agent => &whose.agent,
            Dimension::Model => &whose.model,
            Dimension::Provider => &whose.provider,
            Dimension::Tool => &whose.tool,
            Dimension::User => &whose.user,
            Dimension::Tag => return whose.tags.as_deref().unwrap_or_default(),
        };
        one.as_slice()
    }
}

impl Per {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Per::Hour => "hour",
            Per::Day => "day",
            Per::Month => "month",
            Per::Run => "run",
            Per::Total => "total",
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
        struct OneOrMany;
        impl<'de> de::Visitor<'de> for OneOrMany {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Values, E> {
                Ok(Values(vec![value.to_owned()]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut values: A) -> Result<Values, A::Error> {
                let mut found = Vec::new();
                while let Some(value) = values.next_element::<String>()? {
                    found.push(value);
                }
                Ok(Values(found))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

fn a_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let can_be_in_a_url = |letter: char| letter.is_alphanumeric() || "-_.:".contains(letter);
    if name.is_empty() || !name.chars().all(can_be_in_a_url) {
        return Err(de::Error::custom(format!("`{name}` is no name for a budget; write letters, digits, - _ . and :")));
    }
    Ok(name)
}

fn an_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
    let dollars = f64::deserialize(deserializer)?;
    if !(0.0..1e9).contains(&dollars) {
        return Err(de::Error::custom(format!("`{dollars}` is no limit; write US dollars, 0 or more")));
    }
    Ok(Usd::of(dollars))
}

fn a_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(de::Error::custom(format!("`{share}` is no share of the limit; write 0 to 1, such as 0.8")));
    }
    Ok(share)
}

fn most_of_it() -> f64 {
    0.8
}

fn yes() -> bool {
    true
}
