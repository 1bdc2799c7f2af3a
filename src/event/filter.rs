//! Which events someone wants to see: the same fields in queries, on the stream and in the `filter` processor.

use std::fmt;

use super::{Event, EventType, Priority, Scope, Status, Timestamp, words};

/// A filter: within one field any value fits, across fields all must. The empty filter takes every event.
///
/// ```
/// use spanlight::event::{Filter, Timestamp};
///
/// let now = Timestamp::parse("2026-11-21T06:00:00Z").unwrap();
/// let filter = Filter::from_pairs([("scope", "tool"), ("scope", "agent"), ("since", "15m")], now).unwrap();
/// assert!(!filter.is_empty());
/// let error = Filter::from_pairs([("skope", "tool")], now).unwrap_err();
/// assert!(error.to_string().contains("did you mean `scope`?"), "{error}");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    scopes: Vec<Scope>,
    types: Vec<EventType>,
    statuses: Vec<Status>,
    names: Vec<String>,
    agents: Vec<String>,
    features: Vec<String>,
    models: Vec<String>,
    tools: Vec<String>,
    tasks: Vec<String>,
    executions: Vec<String>,
    conversations: Vec<String>,
    correlations: Vec<String>,
    users: Vec<String>,
    tags: Vec<String>,
    min_priority: Option<Priority>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    text: Option<String>,
    /// What else must fit, whatever is asked for.
    within: Option<Box<Filter>>,
}

/// Why a filter is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError(String);

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// The names of the fields.
    pub const FIELDS: &'static [&'static str] = &[
        "scope",
        "type",
        "status",
        "name",
        "agent",
        "feature",
        "model",
        "tool",
        "task",
        "execution",
        "conversation",
        "correlation",
        "user",
        "tag",
        "min_priority",
        "since",
        "until",
        "q",
    ];

    /// The filter of repeatable `field=value` pairs. `now` is what `since=15m` counts from.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Timestamp,
    ) -> Result<Filter, FilterError> {
        let mut filter = Filter::default();
        for (field, value) in pairs {
            filter.add(field, value, now)?;
        }
        Ok(filter)
    }

    fn add(&mut self, field: &str, value: &str, now: Timestamp) -> Result<(), FilterError> {
        match field {
            "scope" => self.scopes.push(word(field, value, Scope::parse, Scope::ALL)?),
            "type" => self.types.push(word(field, value, EventType::parse, EventType::ALL)?),
            "status" => self.statuses.push(word(field, value, Status::parse, Status::ALL)?),
            "name" => self.names.push(value.to_owned()),
            "agent" => self.agents.push(value.to_owned()),
            "feature" => self.features.push(value.to_owned()),
            "model" => self.models.push(value.to_owned()),
            "tool" => self.tools.push(value.to_owned()),
            "task" => self.tasks.push(value.to_owned()),
            "execution" => self.executions.push(value.to_owned()),
            "conversation" => self.conversations.push(value.to_owned()),
            "correlation" => self.correlations.push(value.to_owned()),
            "user" => self.users.push(value.to_owned()),
            "tag" => self.tags.push(value.to_owned()),
            "min_priority" => self.min_priority = Some(priority(value)?),
            "since" => self.since = Some(point_in_time(field, value, now)?),
            "until" => self.until = Some(point_in_time(field, value, now)?),
            "q" => self.text = Some(value.to_lowercase()),
            unknown => {
                let hint = crate::nearest(unknown, Filter::FIELDS.iter().copied());
                let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                return Err(FilterError(format!("`{unknown}` is no filter{hint}")));
            }
        }
        Ok(())
    }

    /// Only what these limits take as well.
    #[must_use]
    pub fn within(mut self, limits: Filter) -> Filter {
        self.within = Some(Box::new(match self.within {
            Some(within) => within.within(limits),
            None => limits,
        }));
        self
    }

    /// Whether it takes every event.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// The fields in which an event must have one of some values, for whoever has an index of them. All of these must fit,
    /// and what else there is to a filter narrows it down further.
    pub fn exact(&self) -> Vec<(&'static str, Vec<String>)> {
        fn words<T: ToString>(wanted: &[T]) -> Vec<String> {
            wanted.iter().map(ToString::to_string).collect()
        }
        let has_patterns = self.names.iter().any(|name| name.ends_with('*'));
        let mut fields = vec![
            ("scope", words(&self.scopes)),
            ("type", words(&self.types)),
            ("status", words(&self.statuses)),
            ("name", if has_patterns { Vec::new() } else { words(&self.names) }),
            ("agent", words(&self.agents)),
            ("feature", words(&self.features)),
            ("model", words(&self.models)),
            ("tool", words(&self.tools)),
            ("task", words(&self.tasks)),
            ("execution", words(&self.executions)),
            ("conversation", words(&self.conversations)),
            ("correlation", words(&self.correlations)),
            ("user", words(&self.users)),
        ];
        fields.retain(|(_, wanted)| !wanted.is_empty());
        fields.extend(self.within.iter().flat_map(|within| within.exact()));
        fields
    }

    /// The texts that an event must mention, in lower case, all of them; see [`words`].
    pub fn texts(&self) -> Vec<&str> {
        let within = self.within.iter().flat_map(|within| within.texts());
        self.text.as_deref().into_iter().chain(within).collect()
    }

    /// When what is taken happened: since, and until but not at.
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let (since, until) = self.within.as_ref().map_or((None, None), |within| within.times());
        let earlier = [self.until, until].into_iter().flatten().min();
        (self.since.max(since), earlier)
    }

    /// Whether it takes this one.
    pub fn matches(&self, event: &Event) -> bool {
        let text = |wanted: &[String], value: &Option<std::sync::Arc<str>>| {
            wanted.is_empty() || value.as_deref().is_some_and(|value| wanted.iter().any(|w| w == value))
        };
        any_of(&self.scopes, &event.scope)
            && any_of(&self.types, &event.event_type)
            && any_of(&self.statuses, &event.status)
            && (self.names.is_empty() || self.names.iter().any(|name| name_fits(name, event.name.as_str())))
            && text(&self.agents, &event.dimensions.agent)
            && text(&self.features, &event.dimensions.feature)
            && text(&self.models, &event.dimensions.model)
            && text(&self.tools, &event.dimensions.tool)
            && text(&self.tasks, &event.identity.task_id)
            && (self.executions.is_empty()
                || event
                    .execution_id()
                    .is_some_and(|execution| self.executions.iter().any(|wanted| *wanted == execution)))
            && text(&self.conversations, &event.identity.conversation_id)
            && text(&self.correlations, &event.identity.correlation_id)
            && text(&self.users, &event.identity.user_id)
            && (self.tags.is_empty() || event.tags.iter().any(|tag| self.tags.iter().any(|wanted| **wanted == **tag)))
            && self.min_priority.is_none_or(|least| event.priority <= least)
            && self.since.is_none_or(|since| event.timestamp >= since)
            && self.until.is_none_or(|until| event.timestamp < until)
            && self.text.as_deref().is_none_or(|text| words::mentions(&words::searchable(event), text))
            && self.within.as_ref().is_none_or(|within| within.matches(event))
    }
}

fn any_of<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}

/// `agent.*` takes every event of the subject.
fn name_fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == name,
    }
}

fn word<T: Copy + fmt::Display>(
    field: &str,
    value: &str,
    parse: fn(&str) -> Option<T>,
    all: &[T],
) -> Result<T, FilterError> {
    parse(value).ok_or_else(|| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        let hint = crate::nearest(value, all.iter().map(String::as_str));
        let hint = hint.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        FilterError(format!("`{value}` is no {field}; it is one of {}{hint}", all.join(", ")))
    })
}

fn priority(value: &str) -> Result<Priority, FilterError> {
    let priority = value.parse().ok().and_then(Priority::new);
    priority.ok_or_else(|| FilterError(format!("`{value}` is no priority; it is 1 (most urgent) to 10")))
}

fn point_in_time(field: &str, value: &str, now: Timestamp) -> Result<Timestamp, FilterError> {
    let ago = crate::duration::parse(value).ok().map(|duration| now.minus(duration));
    ago.or_else(|| Timestamp::parse(value)).ok_or_else(|| {
        FilterError(format!("`{field}={value}` is no time; write RFC 3339, or how long ago as in `15m` or `24h`"))
    })
}
