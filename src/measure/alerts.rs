//! Alerts: figures of a window that are beyond a bound, told once when they cross it and once when they are back.

use std::collections::VecDeque;
use std::time::Duration;

use super::Measure;
use super::summary::Summary;
use super::windows::{Dimension, Sums, Windows};
use crate::derive::{Fact, FactKind, Name};
use crate::event::{ComponentId, Data, Event, EventName, Priority, Timestamp, message};

/// What is to be watched, and from where on it is told.
///
/// ```
/// use spanlight::measure::{Alert, AlertMetric, Dimension};
/// use std::time::Duration;
///
/// let alert = Alert::above("failing scribe", AlertMetric::ErrorRate, 0.2)
///     .over(Duration::from_secs(15 * 60))
///     .of(Dimension::Agent, "scribe")
///     .min_count(10);
/// let _telemetry = spanlight::Telemetry::builder().alert(alert).build();
/// ```
#[derive(Clone, Debug)]
pub struct Alert {
    name: Name,
    metric: AlertMetric,
    bound: Bound,
    window: Duration,
    of: Option<(Dimension, Name)>,
    min_count: u64,
    lasting: Duration,
    cooldown: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Above(f64),
    Below(f64),
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident = $word:literal,)*) => {
        /// A figure that can be watched: the fields of a [`Summary`], and two that follow from the same work.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AlertMetric {
            $($(#[doc = $help])+ $name,)*
        }

        impl AlertMetric {
            /// The words for them.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The one of a word.
            pub fn parse(word: &str) -> Option<AlertMetric> {
                match word {
                    $($word => Some(AlertMetric::$name),)*
                    _ => None,
                }
            }

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(AlertMetric::$name => $word,)*
                }
            }
        }
    };
}

metrics! {
    /// Mean share of the window in which agents were at work.
    AgentUtilization = "agent_utilization",
    /// US dollars per completed task.
    CostPerFeature = "cost_per_feature",
    /// Mean attempts beyond the first.
    AverageRetryCount = "average_retry_count",
    /// Rejected reviews of all.
    CriticRejectionRate = "critic_rejection_rate",
    /// Passed validations of all.
    ValidationPassRate = "validation_pass_rate",
    /// Mean seconds from queue to completion.
    TimeToCompletion = "time_to_completion",
    /// US dollars.
    TotalCostUsd = "total_cost_usd",
    /// Calls whose price is not known.
    UnpricedCalls = "unpriced_calls",
    /// Tokens read and written.
    Tokens = "tokens",
    /// Runs of agents, or calls of one model or tool.
    Runs = "runs",
    /// Of these, not completed.
    Errors = "errors",
    /// Their share.
    ErrorRate = "error_rate",
    /// How often a task went to people.
    Escalations = "escalations",
    /// Tasks that wait for people.
    OpenEscalations = "open_escalations",
    /// Seconds that the one of them has waited that waits longest.
    OldestOpenEscalation = "oldest_open_escalation",
    /// Mean seconds until people answered.
    MeanHumanWait = "mean_human_wait",
    /// Seconds that 95 of 100 runs of agents, or calls of one model or tool, do not exceed.
    P95Duration = "p95_duration",
}

impl Alert {
    /// Told when a figure of the last 15 minutes is above a bound.
    pub fn above(name: &str, metric: AlertMetric, bound: f64) -> Alert {
        Alert::new(name, metric, Bound::Above(bound))
    }

    /// Told when a figure of the last 15 minutes is below a bound.
    pub fn below(name: &str, metric: AlertMetric, bound: f64) -> Alert {
        Alert::new(name, metric, Bound::Below(bound))
    }

    fn new(name: &str, metric: AlertMetric, bound: Bound) -> Alert {
        let window = Duration::from_secs(15 * 60);
        let cooldown = Duration::from_secs(60);
        Alert { name: name.into(), metric, bound, window, of: None, min_count: 0, lasting: Duration::ZERO, cooldown }
    }

    /// Of another window, a day at most.
    pub fn over(mut self, window: Duration) -> Alert {
        self.window = window.clamp(Duration::from_secs(60), Windows::LONGEST);
        self
    }

    /// Only of one agent, feature, model or tool.
    pub fn of(mut self, dimension: Dimension, name: &str) -> Alert {
        self.of = Some((dimension, name.into()));
        self
    }

    /// Only if there are so many runs, tasks, reviews, validations or answers that the figure is made of.
    pub fn min_count(mut self, count: u64) -> Alert {
        self.min_count = count;
        self
    }

    /// Only if it has been beyond the bound for so long.
    pub fn lasting(mut self, time: Duration) -> Alert {
        self.lasting = time;
        self
    }

    /// Back only if it has been within the bound for so long: a minute, unless told otherwise.
    pub fn cooldown(mut self, time: Duration) -> Alert {
        self.cooldown = time;
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_crossed(&self, value: f64) -> bool {
        match self.bound {
            Bound::Above(bound) => value > bound,
            Bound::Below(bound) => value < bound,
        }
    }

    /// Whether a piece of work is one of those whose duration is watched.
    fn is_about(&self, fact: &Fact) -> bool {
        let is = |name: &Option<Name>, of: &Name| name.as_ref() == Some(of);
        match (&fact.kind, &self.of) {
            (FactKind::AgentRun { .. }, None) => true,
            (FactKind::AgentRun { .. }, Some((Dimension::Agent, agent))) => is(&fact.agent, agent),
            (FactKind::AgentRun { .. }, Some((Dimension::Feature, feature))) => is(&fact.feature, feature),
            (FactKind::Call(call), Some((Dimension::Model, model))) => is(&call.model, model),
            (FactKind::ToolCall, Some((Dimension::Tool, tool))) => is(&fact.name, tool),
            _ => false,
        }
    }
}

/// What is watched, and how it stands.
#[derive(Debug, Default)]
pub struct Alerts {
    watched: Vec<Watched>,
    next_look: Timestamp,
}

#[derive(Debug)]
struct Watched {
    alert: Alert,
    state: State,
    /// When work ended, and how many seconds it took: only if durations are watched.
    durations: VecDeque<(Timestamp, f64)>,
    /// The figure when it was looked at last.
    last: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Within the bound, or nothing to measure.
    Quiet,
    /// Beyond it, and not for long enough.
    Crossed { since: Timestamp },
    /// Told; and since when it is back, if it is.
    Told { since: Timestamp, back: Option<Timestamp> },
}

/// A step that is to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Fired,
    /// After having been beyond the bound since then.
    Recovered(Timestamp),
}

impl Alerts {
    /// How often figures are looked at.
    const EVERY: Duration = Duration::from_secs(5);

    /// Watches these instead.
    pub fn watch(&mut self, alerts: Vec<Alert>) {
        let watched = |alert| Watched { alert, state: State::Quiet, durations: VecDeque::new(), last: None };
        self.watched = alerts.into_iter().map(watched).collect();
    }

    /// A piece of work has ended.
    pub fn saw(&mut self, fact: &Fact, now: Timestamp) {
        for watched in &mut self.watched {
            if watched.alert.metric == AlertMetric::P95Duration && watched.alert.is_about(fact) {
                let seconds = fact.end.micros_since(fact.start) as f64 / 1e6;
                watched.saw(fact.end.not_ahead_of(now), seconds);
            }
        }
    }
}

impl Watched {
    /// Of a window with more work than that, the latest counts.
    const MOST_DURATIONS: usize = 10_000;

    fn saw(&mut self, end: Timestamp, seconds: f64) {
        if self.durations.len() >= Watched::MOST_DURATIONS {
            self.durations.pop_front();
        }
        self.durations.push_back((end, seconds));
    }

    fn p95(&mut self, from: Timestamp) -> (Option<f64>, u64) {
        self.durations.retain(|(end, _)| *end >= from);
        let mut seconds: Vec<f64> = self.durations.iter().map(|(_, seconds)| *seconds).collect();
        let count = seconds.len();
        let place = (count * 95).div_ceil(100).saturating_sub(1);
        let found = (count > 0).then(|| *seconds.select_nth_unstable_by(place, f64::total_cmp).1);
        (found, count as u64)
    }

    /// What is to be told of a figure.
    fn step(&mut self, value: Option<f64>, now: Timestamp) -> Option<Step> {
        let is_crossed = value.is_some_and(|value| self.alert.is_crossed(value));
        let lasts = |since: Timestamp, time: Duration| now.micros_since(since) >= time.as_micros() as u64;
        let (state, step) = match (self.state, is_crossed) {
            (State::Quiet | State::Crossed { .. }, false) => (State::Quiet, None),
            (State::Told { since, .. }, true) => (State::Told { since, back: None }, None),
            (State::Told { since, back }, false) => {
                let back = back.unwrap_or(now);
                match lasts(back, self.alert.cooldown) {
                    true => (State::Quiet, Some(Step::Recovered(since))),
                    false => (State::Told { since, back: Some(back) }, None),
                }
            }
            (state, true) => {
                let since = if let State::Crossed { since } = state { since } else { now };
                match lasts(since, self.alert.lasting) {
                    true => (State::Told { since, back: None }, Some(Step::Fired)),
                    false => (State::Crossed { since }, None),
                }
            }
        };
        self.state = state;
        step
    }

    fn event(&self, step: Step, (value, count): (Option<f64>, u64), now: Timestamp) -> Option<Event> {
        let alert = &self.alert;
        let name = if step == Step::Fired { "performance.alert" } else { "error.recovered" };
        let mut event = Event::named(EventName::parse(name)?, now);
        event.component_id = ComponentId::System("alerts".into());
        event.priority = Priority::new(2).unwrap_or_default();
        let of = alert.of.as_ref().map(|(dimension, of)| (dimension.as_str(), of));
        match &alert.of {
            Some((Dimension::Agent, agent)) => event.dimensions.agent = Some(agent.clone()),
            Some((Dimension::Feature, feature)) => event.dimensions.feature = Some(feature.clone()),
            Some((Dimension::Model, model)) => event.dimensions.model = Some(model.clone()),
            Some((Dimension::Tool, tool)) => event.dimensions.tool = Some(tool.clone()),
            None => {}
        }
        let (direction, bound) = match alert.bound {
            Bound::Above(bound) => ("above", bound),
            Bound::Below(bound) => ("below", bound),
        };
        let metric = alert.metric.as_str();
        let whose = of.map(|(dimension, of)| format!(" of {dimension} {of}")).unwrap_or_default();
        let figure = value.map_or("not known".to_owned(), |value| {
            format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
        });
        let is =
            if step == Step::Fired { format!("{direction} {bound}") } else { format!("no longer {direction} {bound}") };
        event.message = Some(message(&format!("{}: {metric}{whose} is {figure}, {is}", alert.name)));
        event.data = Data::build(|data| {
            data.str("alert", &alert.name);
            data.str("metric", metric);
            data.opt_f64("value", value);
            data.f64(direction, bound);
            data.u64("window_s", alert.window.as_secs());
            data.u64("count", count);
            if let Step::Recovered(since) = step {
                data.f64("lasted_s", now.micros_since(since) as f64 / 1e6);
            }
        });
        Some(event)
    }
}

/// An alert that was told, and whose figure is not back yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// Its name.
    pub alert: Name,
    /// What is watched.
    pub metric: AlertMetric,
    /// Of which agent, feature, model or tool.
    pub of: Option<(Dimension, Name)>,
    /// How it stood when it was looked at last; nothing if there is nothing any more that it could be made of.
    pub value: Option<f64>,
    /// `above` or `below`, and the bound.
    pub bound: (&'static str, f64),
    /// Since when it has been beyond it.
    pub since: Timestamp,
}

impl Measure {
    /// The alerts that were told and have not recovered.
    pub fn firing(&self) -> Vec<Firing> {
        let firing = |watched: &Watched| {
            let State::Told { since, .. } = watched.state else { return None };
            let Alert { name, metric, bound, of, .. } = watched.alert.clone();
            let bound = match bound {
                Bound::Above(bound) => ("above", bound),
                Bound::Below(bound) => ("below", bound),
            };
            Some(Firing { alert: name, metric, of, value: watched.last, bound, since })
        };
        self.alerts.watched.iter().filter_map(firing).collect()
    }

    /// Says which figures are watched.
    pub fn watch(&mut self, alerts: Vec<Alert>) {
        self.alerts.watch(alerts);
    }

    /// Looks at what is watched, if it is time to: what has crossed its bound, or is back, as events.
    pub fn check_alerts(&mut self, now: Timestamp) -> Vec<Event> {
        if self.alerts.watched.is_empty() || now < self.alerts.next_look {
            return Vec::new();
        }
        self.alerts.next_look = now.plus(Alerts::EVERY);
        let mut watched = std::mem::take(&mut self.alerts.watched);
        let mut events = Vec::new();
        for watched in &mut watched {
            let (value, count) = self.figure(watched, now);
            watched.last = value;
            let Some(step) = watched.step(value.filter(|_| count >= watched.alert.min_count), now) else { continue };
            let state = if step == Step::Fired { "fired" } else { "recovered" };
            self.instruments.alerts.add([(&watched.alert.name).into(), state.into()], 1.0, now);
            events.extend(watched.event(step, (value, count), now));
        }
        self.alerts.watched = watched;
        events
    }

    /// A figure, and how much it is made of.
    fn figure(&self, watched: &mut Watched, now: Timestamp) -> (Option<f64>, u64) {
        let (of, window) = (watched.alert.of.clone(), watched.alert.window);
        let from = now.minus(window);
        if watched.alert.metric == AlertMetric::P95Duration {
            return watched.p95(from);
        }
        let (sums, summary) = match &of {
            Some((dimension, name)) => {
                (self.windows.row(*dimension, name, from, now), self.summary_of((*dimension, name), window, now))
            }
            None => (self.windows.totals(from, now), self.summary(window, now)),
        };
        watched.alert.metric.of(&summary, &sums)
    }
}

impl AlertMetric {
    fn of(self, summary: &Summary, sums: &Sums) -> (Option<f64>, u64) {
        let number = |number: u64| Some(number as f64);
        match self {
            AlertMetric::AgentUtilization => (summary.agent_utilization, sums.runs),
            AlertMetric::CostPerFeature => (summary.cost_per_feature, sums.tasks),
            AlertMetric::AverageRetryCount => (summary.average_retry_count, sums.attempted_tasks),
            AlertMetric::CriticRejectionRate => (summary.critic_rejection_rate, sums.approved + sums.rejected),
            AlertMetric::ValidationPassRate => (summary.validation_pass_rate, sums.validated),
            AlertMetric::TimeToCompletion => (summary.time_to_completion, sums.tasks),
            AlertMetric::TotalCostUsd => (Some(summary.total_cost_usd), sums.runs),
            AlertMetric::UnpricedCalls => (number(summary.unpriced_calls), sums.runs),
            AlertMetric::Tokens => (number(summary.tokens), sums.runs),
            AlertMetric::Runs => (number(summary.runs), sums.runs),
            AlertMetric::Errors => (number(summary.errors), sums.runs),
            AlertMetric::ErrorRate => ((sums.runs > 0).then(|| sums.errors as f64 / sums.runs as f64), sums.runs),
            AlertMetric::Escalations => (number(summary.escalations), sums.escalations),
            AlertMetric::OpenEscalations => (number(summary.open_escalations), summary.open_escalations),
            AlertMetric::OldestOpenEscalation => (summary.oldest_open_escalation, summary.open_escalations),
            AlertMetric::MeanHumanWait => (summary.mean_human_wait, sums.human_waits),
            // Of durations only what is watched is kept.
            AlertMetric::P95Duration => (None, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, SourceKind, read_events};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1e9).plus(Duration::from_secs(seconds))
    }

    fn tell(measure: &mut Measure, json: &str, now: Timestamp) {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        for event in read_events(json.as_bytes(), &source, now).into_iter().flatten().flatten() {
            measure.event(&event, now);
        }
    }

    fn names(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.name.as_str()).collect()
    }

    #[test]
    fn an_alert_is_told_once_and_again_only_after_it_was_back() {
        let alert = Alert::above("a", AlertMetric::Runs, 10.0).lasting(Duration::from_secs(10));
        let mut watched = Watched { alert, state: State::Quiet, durations: VecDeque::new(), last: None };
        let mut told = Vec::new();
        for (second, value) in
            [(0, 11.0), (5, 9.0), (10, 11.0), (20, 12.0), (30, 13.0), (40, 9.0), (50, 11.0), (60, 9.0), (120, 9.0)]
        {
            told.extend(watched.step(Some(value), at(second)).map(|step| (second, step)));
        }
        assert_eq!(told, [(20, Step::Fired), (120, Step::Recovered(at(10)))]);
        assert_eq!(watched.step(Some(11.0), at(130)), None);
        assert_eq!(watched.step(Some(11.0), at(140)), Some(Step::Fired));
        assert_eq!(watched.step(None, at(150)), None);
        assert_eq!(watched.step(None, at(210)), Some(Step::Recovered(at(130))), "nothing is measured any more");
    }

    #[test]
    fn a_pass_rate_below_its_bound_is_told_of_its_feature() {
        let mut measure = Measure::new(at(0));
        let alert = Alert::below("bad logins", AlertMetric::ValidationPassRate, 0.5).of(Dimension::Feature, "login");
        measure.watch(vec![alert.min_count(2).over(Duration::from_secs(600)).cooldown(Duration::ZERO)]);
        let failed = r#"{"name":"validation.completed","feature":"login","data":{"passed":false}}"#;
        tell(&mut measure, failed, at(10));
        assert!(measure.check_alerts(at(10)).is_empty(), "that is only one");
        tell(&mut measure, failed, at(11));
        assert!(measure.check_alerts(at(12)).is_empty(), "it was looked at just now");
        let told = measure.check_alerts(at(15));
        assert_eq!(names(&told), ["performance.alert"]);
        assert_eq!(told[0].dimensions.feature.as_deref(), Some("login"));
        assert_eq!(
            told[0].message.as_deref(),
            Some("bad logins: validation_pass_rate of feature login is 0, below 0.5")
        );
        let [firing] = measure.firing().try_into().unwrap();
        assert_eq!((&*firing.alert, firing.value, firing.bound), ("bad logins", Some(0.0), ("below", 0.5)));
        assert_eq!((firing.of, firing.since), (Some((Dimension::Feature, "login".into())), at(15)));
        assert!(measure.check_alerts(at(20)).is_empty());
        assert_eq!(names(&measure.check_alerts(at(700))), ["error.recovered"]);
        assert!(measure.firing().is_empty());
    }

    #[test]
    fn the_ninety_fifth_percentile_is_one_of_the_durations() {
        let alert = Alert::above("slow", AlertMetric::P95Duration, 1.0);
        let mut watched = Watched { alert, state: State::Quiet, durations: VecDeque::new(), last: None };
        assert_eq!(watched.p95(at(0)), (None, 0));
        (1..=100).for_each(|seconds| watched.saw(at(seconds), seconds as f64));
        assert_eq!(watched.p95(at(0)), (Some(95.0), 100));
        assert_eq!(watched.p95(at(100)), (Some(100.0), 1));
    }
}
