//! A made-up day with a known truth: whatever way it is delivered, every figure is exactly what it must be.

use std::collections::BTreeMap;
use std::time::Duration;

use spanlight::derive::{Deriver, Output, Settings};
use spanlight::event::{Source, SourceKind, Timestamp, read_events};
use spanlight::measure::{Dimension, Measure, Summary, Value};

use super::made_up::{Dice, RunTruth, Told, Truth, What, World};
use super::scene::{BEGINNING, batch};

/// A deriver and what it is counted by, with a clock.
struct Collector {
    deriver: Deriver,
    measure: Measure,
    out: Output,
    now: Timestamp,
}

impl Collector {
    fn new() -> Collector {
        let now = Timestamp::parse(BEGINNING).unwrap();
        // Nothing is read but figures, and all is kept.
        let mut settings = Settings { wants_events: false, ..Settings::default() };
        settings.limits.spans = 1_000_000;
        Collector { deriver: Deriver::new(settings), measure: Measure::new(now), out: Output::default(), now }
    }

    /// Delivers what is told, each at its second.
    fn deliver(&mut self, told: &[Told]) -> &mut Collector {
        for told in told {
            self.wait_until(told.at as f64);
            match &told.what {
                What::Spans(spans) => self.deriver.spans(&batch(spans), self.now, &mut self.out),
                What::Events(json) => {
                    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
                    for event in read_events(json.as_bytes(), &source, self.now).into_iter().flat_map(Result::unwrap) {
                        self.deriver.event(event, self.now, &mut self.out);
                    }
                }
            }
            self.count();
        }
        self
    }

    fn wait_until(&mut self, second: f64) {
        let until = Timestamp::parse(BEGINNING).unwrap().plus(Duration::from_secs_f64(second));
        while self.now < until {
            self.now = self.now.plus(Duration::from_millis(500)).min(until);
            self.deriver.tick(self.now, &mut self.out);
            self.count();
            self.measure.tick(self.now);
        }
    }

    fn count(&mut self) {
        for index in self.out.from_outside.drain(..) {
            self.measure.event(&self.out.events[index], self.now);
        }
        self.out.facts.drain(..).for_each(|fact| self.measure.fact(&fact, self.now));
        self.out.events.clear();
    }

    fn finish(&mut self) -> &mut Collector {
        self.deriver.finish(self.now, &mut self.out);
        self.count();
        self.measure.finish(self.now);
        self
    }

    fn second(&self) -> u64 {
        self.now.micros_since(Timestamp::parse(BEGINNING).unwrap()) / 1_000_000
    }
}

/// What of the truth is within a window that ends at a second.
struct Window<'t> {
    truth: &'t Truth,
    from: u64,
    to: u64,
}

impl Window<'_> {
    /// Whether something that happened then is counted in it: by the minute.
    fn has(&self, second: u64) -> bool {
        second / 60 >= self.from / 60
    }

    fn summary(&self, of: Option<(Dimension, &str)>) -> Summary {
        let truth = self.truth;
        let is = |dimension: Dimension, name: Option<&str>| {
            of.is_none_or(|of| name.is_some_and(|name| of == (dimension, name)))
        };
        let is_of =
            |agent: Option<&str>, feature: Option<&str>| is(Dimension::Agent, agent) || is(Dimension::Feature, feature);
        let ratio = |part: f64, whole: usize| (whole > 0).then(|| part / whole as f64);
        let tasks: Vec<_> = truth.tasks.iter().filter(|task| is_of(None, Some(task.feature))).collect();
        let ended: Vec<_> = tasks.iter().filter(|task| task.end.is_some_and(|(end, _)| self.has(end))).collect();
        let completed: Vec<_> = ended.iter().filter(|task| task.end.is_some_and(|(_, completed)| completed)).collect();
        let retries: u64 = ended.iter().map(|task| task.attempts - 1).sum();
        let seconds: u64 = completed.iter().map(|task| task.end.map_or(0, |(end, _)| end - task.queued)).sum();
        let reviews = truth.reviews.iter().filter(|(at, by, of, _)| self.has(*at) && is_of(Some(by), Some(of)));
        let reviews: Vec<bool> = reviews.map(|(.., rejected)| *rejected).collect();
        let validations = truth.validations.iter().filter(|(at, of, _)| self.has(*at) && is_of(None, Some(of)));
        let validations: Vec<bool> = validations.map(|(.., passed)| *passed).collect();
        let count = |list: &[bool]| list.iter().filter(|yes| **yes).count() as f64;
        let is_call = |of: &(Option<&str>, &str, &str, &str)| {
            is_of(Some(of.1), Some(of.2)) || is(Dimension::Model, Some(of.3)) || is(Dimension::Tool, of.0)
        };
        let calls = truth.calls.iter().filter(|call| self.has(call.end));
        let calls: Vec<_> = calls.filter(|call| is_call(&(call.tool, call.agent, call.feature, call.model))).collect();
        let (runs, errors) = self.runs_and_errors(of);
        let waits: Vec<_> = truth.waits.iter().filter(|wait| is_of(None, Some(wait.feature))).collect();
        let answered: Vec<u64> =
            waits.iter().filter_map(|wait| Some(wait.end.filter(|(at, _)| self.has(*at))?.0 - wait.from)).collect();
        let open: Vec<u64> = waits.iter().filter(|wait| wait.end.is_none()).map(|wait| self.to - wait.from).collect();
        let escalations = truth.escalations.iter().filter(|(at, of)| self.has(*at) && is_of(None, Some(of)));
        Summary {
            agent_utilization: self.utilization(of),
            cost_per_feature: ratio(completed.iter().map(|task| task.cost).sum(), completed.len()),
            average_retry_count: ratio(retries as f64, ended.len()),
            critic_rejection_rate: ratio(count(&reviews), reviews.len()),
            validation_pass_rate: ratio(count(&validations), validations.len()),
            time_to_completion: ratio(seconds as f64, completed.len()),
            total_cost_usd: calls.iter().filter_map(|call| call.cost).sum(),
            unpriced_calls: calls.iter().filter(|call| call.cost.is_none()).count() as u64,
            tokens: calls.iter().map(|call| call.tokens).sum(),
            runs,
            errors,
            tasks: completed.len() as u64,
            attempted_tasks: ended.len() as u64,
            retries,
            reviews: reviews.len() as u64,
            rejected_reviews: count(&reviews) as u64,
            validations: validations.len() as u64,
            passed_validations: count(&validations) as u64,
            escalations: escalations.count() as u64,
            human_waits: answered.len() as u64,
            open_escalations: open.len() as u64,
            oldest_open_escalation: open.iter().max().map(|age| *age as f64),
            mean_human_wait: ratio(answered.iter().sum::<u64>() as f64, answered.len()),
        }
    }

    fn runs_and_errors(&self, of: Option<(Dimension, &str)>) -> (u64, u64) {
        let (truth, has) = (self.truth, |end: &u64| self.has(*end));
        let failures: Vec<bool> = match of {
            Some((Dimension::Model, model)) => {
                let calls = truth.calls.iter().filter(|call| call.model == model && has(&call.end));
                calls.map(|_| false).collect()
            }
            Some((Dimension::Tool, tool)) => {
                let calls = truth.tools.iter().filter(|call| call.tool == tool && has(&call.end));
                calls.map(|call| call.failed).collect()
            }
            of => {
                let is_it = |run: &&RunTruth| match of {
                    Some((Dimension::Agent, agent)) => run.agent == agent,
                    Some((_, feature)) => run.feature == feature,
                    None => true,
                };
                truth.runs.iter().filter(|run| has(&run.end)).filter(is_it).map(|run| run.failed).collect()
            }
        };
        (failures.len() as u64, failures.iter().filter(|failed| **failed).count() as u64)
    }

    fn utilization(&self, of: Option<(Dimension, &str)>) -> Option<f64> {
        let shares = self.truth.at_work.iter().filter_map(|(agent, seconds)| {
            let busy = seconds[self.from as usize..self.to as usize].iter().filter(|busy| **busy).count();
            let is_seen = busy > 0 || self.truth.runs.iter().any(|run| run.agent == *agent && self.has(run.end));
            Some((*agent, busy as f64)).filter(|_| is_seen)
        });
        let shares: Vec<f64> = match of {
            None => shares.map(|(_, busy)| busy).collect(),
            Some((Dimension::Agent, name)) => {
                shares.filter(|(agent, _)| *agent == name).map(|(_, busy)| busy).collect()
            }
            Some(_) => return None,
        };
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

fn is_equal(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs().max(1.0)
}

fn assert_equal(is: &Summary, must: &Summary, what: &str) {
    let figures = |summary: &Summary| {
        [
            ("agent_utilization", summary.agent_utilization),
            ("cost_per_feature", summary.cost_per_feature),
            ("average_retry_count", summary.average_retry_count),
            ("critic_rejection_rate", summary.critic_rejection_rate),
            ("validation_pass_rate", summary.validation_pass_rate),
            ("time_to_completion", summary.time_to_completion),
            ("total_cost_usd", Some(summary.total_cost_usd)),
            ("unpriced_calls", Some(summary.unpriced_calls as f64)),
            ("tokens", Some(summary.tokens as f64)),
            ("runs", Some(summary.runs as f64)),
            ("errors", Some(summary.errors as f64)),
            ("tasks", Some(summary.tasks as f64)),
            ("attempted_tasks", Some(summary.attempted_tasks as f64)),
            ("retries", Some(summary.retries as f64)),
            ("reviews", Some(summary.reviews as f64)),
            ("rejected_reviews", Some(summary.rejected_reviews as f64)),
            ("validations", Some(summary.validations as f64)),
            ("passed_validations", Some(summary.passed_validations as f64)),
            ("escalations", Some(summary.escalations as f64)),
            ("human_waits", Some(summary.human_waits as f64)),
            ("open_escalations", Some(summary.open_escalations as f64)),
            ("oldest_open_escalation", summary.oldest_open_escalation),
            ("mean_human_wait", summary.mean_human_wait),
        ]
    };
    for ((name, is), (_, must)) in figures(is).into_iter().zip(figures(must)) {
        let fits = match (is, must) {
            (Some(is), Some(must)) => is_equal(is, must),
            (is, must) => is == must,
        };
        assert!(fits, "{what}: {name} is {is:?} and must be {must:?}");
    }
}

/// Compares every window, in total and by every row.
fn check_windows(collector: &Collector, truth: &Truth, what: &str) {
    let to = collector.second();
    for minutes in [10, 60, 180, 24 * 60] {
        let window = Window { truth, from: to.saturating_sub(minutes * 60), to };
        let length = Duration::from_secs(minutes * 60);
        let share = |mut summary: Summary| {
            let share = |seconds: f64| seconds / length.as_secs_f64();
            summary.agent_utilization = summary.agent_utilization.map(share);
            summary
        };
        let what = format!("{what}, {minutes} minutes");
        assert_equal(&collector.measure.summary(length, collector.now), &share(window.summary(None)), &what);
        for dimension in [Dimension::Agent, Dimension::Feature, Dimension::Model, Dimension::Tool] {
            for row in collector.measure.summary_by(dimension, length, collector.now) {
                let must = share(window.summary(Some((dimension, &row.key))));
                assert_equal(&row.summary, &must, &format!("{what}, {dimension:?} {}", row.key));
                let alone = collector.measure.summary_of((dimension, &row.key), length, collector.now);
                assert_equal(&alone, &must, &format!("{what}, {dimension:?} {} alone", row.key));
            }
        }
    }
}

/// How often, and how much, by the value of an attribute.
type BySum = BTreeMap<String, (u64, f64)>;

/// Sums of a metric by one attribute.
fn sums(collector: &Collector, name: &str, by: &str) -> BySum {
    let metrics = collector.measure.snapshot(&[]);
    let family = &metrics.iter().find(|metric| *metric.family.name == *name).unwrap().family;
    let mut sums = BySum::new();
    for series in &family.series {
        let key = series.attributes.iter().find(|(key, _)| **key == *by).map_or("", |(_, value)| value);
        let sum = sums.entry(key.into()).or_default();
        match &series.value {
            Value::Number(number) => sum.1 += number,
            Value::Histogram { count, sum: total, .. } => {
                sum.0 += count;
                sum.1 += total.unwrap_or(0.0);
            }
            Value::Summary { .. } => {}
        }
    }
    sums
}

/// Compares counters and histograms.
fn check_counters(collector: &Collector, truth: &Truth, what: &str) {
    let mut must: BTreeMap<(&str, &str), BySum> = BTreeMap::new();
    let mut count = |name, by, key: &str, times: u64, amount: f64| {
        let sum = must.entry((name, by)).or_default().entry(key.to_owned()).or_default();
        *sum = (sum.0 + times, sum.1 + amount);
    };
    let word = |failed: bool| if failed { "failed" } else { "completed" };
    for run in &truth.runs {
        count("agent.runs", "agent", run.agent, 0, 1.0);
        count("agent.runs", "outcome", word(run.failed), 0, 1.0);
    }
    for (agent, seconds) in &truth.at_work {
        count("agent.active.time", "agent", agent, 0, seconds.iter().filter(|busy| **busy).count() as f64);
    }
    for call in &truth.calls {
        count("gen_ai.client.operation.duration", "gen_ai.operation.name", "chat", 1, 1.0);
        match call.cost {
            Some(usd) => count("agent.cost.usd", "feature", call.feature, 0, usd),
            None => count("agent.cost.unpriced", "model", call.model, 0, 1.0),
        }
        count("gen_ai.client.token.usage", "agent", call.agent, 2, call.tokens as f64);
    }
    for call in &truth.tools {
        count("agent.tool.calls", "tool", call.tool, 0, 1.0);
        count("agent.tool.duration", "outcome", word(call.failed), 1, 1.0);
    }
    for (_, feature, passed) in &truth.validations {
        count("agent.validation.results", "feature", feature, 0, 1.0);
        count("agent.validation.results", "result", if *passed { "passed" } else { "failed" }, 0, 1.0);
    }
    for (.., rejected) in &truth.reviews {
        let decision = if *rejected { "rejected" } else { "approved" };
        count("agent.review.decisions", "decision", decision, 0, 1.0);
    }
    for (end, decision, wait) in truth.waits.iter().filter_map(|wait| wait.end.map(|(end, how)| (end, how, wait))) {
        count("agent.human.wait", "resolution", decision, 1, (end - wait.from) as f64);
    }
    for (task, end, completed) in truth.tasks.iter().filter_map(|task| task.end.map(|(end, how)| (task, end, how))) {
        if completed {
            count("agent.task.duration", "feature", task.feature, 1, (end - task.queued) as f64);
            count("agent.task.attempts", "feature", task.feature, 1, task.attempts as f64);
        }
    }
    for ((name, by), must) in must {
        let mut is = sums(collector, name, by);
        if name.starts_with("agent.task.") {
            is = sums_of_completed(collector, name);
        }
        let fits = is.len() == must.len()
            && is
                .iter()
                .zip(&must)
                .all(|((key, is), (other, must))| key == other && is.0 == must.0 && is_equal(is.1, must.1));
        assert!(fits, "{what}: {name} by {by} is {is:?} and must be {must:?}");
    }
    let left_out = collector.measure.left_out();
    assert_eq!((left_out.overflowed, left_out.too_late, left_out.invalid), (0, 0, 0), "{what}");
}

/// By feature, of tasks that were completed: some of them went to people before.
fn sums_of_completed(collector: &Collector, name: &str) -> BySum {
    let metrics = collector.measure.snapshot(&[]);
    let family = &metrics.iter().find(|metric| *metric.family.name == *name).unwrap().family;
    let is_completed =
        |attributes: &[(_, std::sync::Arc<str>)]| attributes.iter().any(|(_, value)| **value == *"completed");
    let completed = family.series.iter().filter(|series| is_completed(&series.attributes));
    let sum = |series: &spanlight::measure::Series| match &series.value {
        Value::Histogram { count, sum, .. } => (series.attributes[0].1.to_string(), (*count, sum.unwrap_or(0.0))),
        _ => (String::new(), (0, 0.0)),
    };
    completed.map(sum).collect()
}

/// When everything has been told, and settled.
fn end(told: &[Told]) -> f64 {
    told.iter().map(|told| told.at).max().unwrap_or(0) as f64 + 600.0
}

fn delivered(told: &[Told], end: f64) -> Collector {
    let mut collector = Collector::new();
    collector.deliver(told).wait_until(end);
    collector.finish();
    collector
}

/// The same, all of it at the very end, in this order.
fn delivered_at_the_end(told: Vec<Told>, end: f64) -> Collector {
    let mut collector = Collector::new();
    collector.wait_until(end - 100.0);
    collector.deliver(&told.into_iter().map(|told| Told { at: 0, ..told }).collect::<Vec<_>>()).wait_until(end);
    collector.finish();
    collector
}

#[test]
fn told_as_it_happens_every_figure_is_exact() {
    for as_events in [false, true] {
        let world = World::new(3000, 1, as_events);
        let end = end(&world.told);
        let what = format!("in order, as events: {as_events}");
        let collector = delivered(&world.told, end);
        check_windows(&collector, &world.truth, &what);
        check_counters(&collector, &world.truth, &what);
    }
}

#[test]
fn in_any_order_and_twice_every_figure_is_the_same() {
    for (seed, as_events) in [(2, false), (3, true)] {
        let mut world = World::new(1000, seed, as_events);
        let end = end(&world.told);
        let mut dice = Dice::new(seed + 100);
        let twice: Vec<Told> = world.told.iter().filter(|_| dice.roll(5) == 0).cloned().collect();
        world.told.extend(twice);
        dice.shuffle(&mut world.told);
        let what = format!("shuffled, as events: {as_events}");
        let collector = delivered_at_the_end(world.told, end);
        check_windows(&collector, &world.truth, &what);
        check_counters(&collector, &world.truth, &what);
    }
}

#[test]
fn in_pieces_every_figure_is_the_same() {
    let mut world = World::new(1000, 4, false);
    let end = end(&world.told);
    let mut dice = Dice::new(104);
    let mut pieces = Vec::new();
    for told in world.told.drain(..) {
        match told.what {
            // With the end of the run, or within a second of it.
            What::Spans(spans) => pieces.extend(
                spans.into_iter().map(|span| Told { at: told.at + dice.roll(2), what: What::Spans(vec![span]) }),
            ),
            What::Events(_) => pieces.push(told),
        }
    }
    dice.shuffle(&mut pieces);
    pieces.sort_by_key(|told| told.at);
    let collector = delivered(&pieces, end);
    check_windows(&collector, &world.truth, "in pieces");
    check_counters(&collector, &world.truth, "in pieces");
}

#[test]
fn what_is_late_goes_where_it_belongs() {
    for (seed, as_events) in [(5, false), (6, true)] {
        let mut world = World::new(1000, seed, as_events);
        let end = end(&world.told);
        let mut dice = Dice::new(seed + 100);
        for told in &mut world.told {
            // What is told from within a run while it goes on is in time: else it would be lost meanwhile.
            let is_work = matches!(&told.what, What::Events(json) if json.contains("trace_id"));
            if !is_work && dice.roll(3) == 0 {
                told.at = (told.at + dice.roll(5000)).min(end as u64);
            }
        }
        world.told.sort_by_key(|told| told.at);
        let collector = delivered(&world.told, end);
        check_windows(&collector, &world.truth, &format!("late, as events: {as_events}"));
    }
}
