//! What metrics say of agents' work that nothing else says: lines, commits, sessions; and tokens and cost of those who
//! send nothing but metrics.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::cost::{Call as PricedCall, Figures, Posting};
use super::names::Name;
use super::run::Run;
use super::series::Series;
use super::{Deriver, Output};
use crate::dialect::{Attributes, Measured, MetricDialect, Point, TokenKind, Usage, provider};
use crate::event::{Decision, Timestamp};
use crate::otlp::Batch;
use crate::otlp::view::{AnyValue, Group};
use crate::semconv::resource;

/// Something counted that only metrics tell of.
#[derive(Clone, Debug)]
pub struct Tally {
    /// What was counted.
    pub what: Tallied,
    /// How many more of it.
    pub amount: f64,
    /// The agent.
    pub agent: Name,
}

/// What only metrics count.
#[derive(Clone, Debug)]
pub enum Tallied {
    /// Lines of code: `added` or `removed`.
    Lines(Name),
    /// Commits.
    Commits,
    /// Pull requests.
    PullRequests,
    /// Sessions.
    Sessions,
    /// Seconds in which a person or the program worked, by who.
    ActiveTime(Name),
    /// Decisions on edits.
    Decision {
        /// Who decided.
        reviewer: &'static str,
        /// How.
        decision: Decision,
    },
}

/// Tokens and cost by session, or by emitter where no session is named, as metrics count them.
#[derive(Debug, Default)]
pub struct Meters {
    series: Series,
    meters: HashMap<Name, Meter, RandomState>,
    by_age: VecDeque<Name>,
    /// Sessions and emitters whose calls spans or logs tell of.
    told: HashSet<u64, RandomState>,
    told_by_age: VecDeque<u64>,
    /// Emitters that send spans of their calls.
    with_spans: HashSet<u64, RandomState>,
}

/// What one session used.
#[derive(Debug)]
struct Meter {
    rows: Vec<Row>,
}

/// What one model and agent used in it.
#[derive(Debug)]
struct Row {
    dialect: &'static MetricDialect,
    model: Option<Name>,
    agent: Name,
    at: Timestamp,
    /// As the emitter counts them.
    counted: Usage,
    reported_usd: Option<f64>,
    figures: Figures,
}

impl Meters {
    const MOST: usize = 10_000;
    const MOST_ROWS: usize = 64;

    /// Spans or logs tell of the calls of this session, or of an emitter that names no session.
    pub fn is_told(&mut self, of: &str) {
        let id = xxh3_64(of.as_bytes());
        if !self.told.insert(id) {
            return;
        }
        self.told_by_age.push_back(id);
        if self.told_by_age.len() > 4 * Meters::MOST
            && let Some(oldest) = self.told_by_age.pop_front()
        {
            self.told.remove(&oldest);
        }
    }

    /// An emitter sends spans of its calls: what it says of them in events is the same once more.
    pub fn sends_spans(&mut self, emitter: &str) {
        if self.with_spans.len() >= Meters::MOST {
            self.with_spans.clear();
        }
        self.with_spans.insert(xxh3_64(emitter.as_bytes()));
    }

    /// Whether an emitter sends spans.
    pub fn has_spans(&self, emitter: &str) -> bool {
        self.with_spans.contains(&xxh3_64(emitter.as_bytes()))
    }

    /// Whether what a run holds is told by other spans once more, and better.
    pub fn spans_tell_of(&self, run: &Run) -> bool {
        run.told_elsewhere || run.unless_spans_of.as_ref().is_some_and(|of| self.has_spans(of))
    }

    /// Takes from the way into the counters what spans tell of as well.
    pub fn forget_told_by_spans(&self, run: &mut Run) {
        if self.spans_tell_of(run) {
            run.unsettled.clear();
            run.waiting.clear();
        }
    }

    fn knows_of(&self, of: &str) -> bool {
        self.told.contains(&xxh3_64(of.as_bytes()))
    }

    /// The figures of all sessions that nothing but metrics tell of, and what each is called.
    pub fn postings(&self) -> impl Iterator<Item = (&Name, Posting<'_>)> {
        let untold = self.meters.iter().filter(|(of, _)| !self.knows_of(of));
        untold.flat_map(|(of, meter)| meter.rows.iter().map(move |row| (of, row.posting())))
    }

    fn row(
        &mut self,
        of: &Name,
        model: Option<Name>,
        agent: Name,
        dialect: &'static MetricDialect,
    ) -> (Option<&mut Row>, Option<Meter>) {
        let mut leaving = None;
        if !self.meters.contains_key(of) {
            if self.by_age.len() >= Meters::MOST
                && let Some(oldest) = self.by_age.pop_front()
            {
                let told = self.knows_of(&oldest);
                leaving = self.meters.remove(&oldest).filter(|_| !told);
            }
            self.by_age.push_back(of.clone());
        }
        let rows = &mut self.meters.entry(of.clone()).or_insert_with(|| Meter { rows: Vec::new() }).rows;
        let known = rows.iter().position(|row| row.model == model && row.agent == agent);
        let at = known.unwrap_or_else(|| {
            if rows.len() < Meters::MOST_ROWS {
                rows.push(Row {
                    dialect,
                    model,
                    agent,
                    at: Timestamp::default(),
                    counted: Usage::default(),
                    reported_usd: None,
                    figures: Figures::default(),
                });
            }
            rows.len() - 1
        });
        (rows.get_mut(at), leaving)
    }
}

impl Deriver {
    /// Takes the metrics of a batch in.
    pub fn metrics(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        let mut attributes = Attributes::new();
        for group in batch.groups() {
            let Some(dialect) = MetricDialect::of_scope(group.scope.name.as_str()) else { continue };
            let emitter = emitter_name(&group);
            for metric in group.metrics() {
                let (Some(measured), Some(kind)) = (dialect.measured(&metric), metric.kind) else { continue };
                for point in metric.data_points() {
                    attributes.take_all(&self.lexicon, &point);
                    let Some(read) = Point::read(&point, kind, &attributes) else { continue };
                    let mut id = Xxh3::new();
                    for part in [emitter.as_bytes(), metric.name.as_bytes()] {
                        id.update(part);
                        id.update(&[0]);
                    }
                    // Exporters may put attributes in any order.
                    let labels = point.attributes().map(|attribute| {
                        xxh3_64(attribute.key.as_bytes())
                            ^ xxh3_64(format!("{:?}", attribute.value).as_bytes()).rotate_left(1)
                    });
                    id.update(&labels.fold(0u64, u64::wrapping_add).to_le_bytes());
                    let more = self.meters.series.more(id.digest(), &read);
                    if more > 0.0 {
                        self.measured(dialect, measured, more, &read, &attributes, &emitter, now, out);
                    }
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a data point has many sides, and is looked at in one place")]
    fn measured(
        &mut self,
        dialect: &'static MetricDialect,
        measured: Measured,
        more: f64,
        point: &Point<'_>,
        attributes: &Attributes<'_>,
        emitter: &str,
        now: Timestamp,
        out: &mut Output,
    ) {
        let of = self.names.share(point.session.unwrap_or(emitter));
        let mut tally = |what: Tallied, names: &mut super::Names| {
            let agent = names.share(point.agent.unwrap_or(dialect.agent));
            out.tallies.push(Tally { what, amount: more, agent });
        };
        let named = |key| attributes.word(key).unwrap_or("other");
        match measured {
            Measured::TokensBy(key, kinds) => {
                let kind = attributes.word(key).and_then(|word| kinds.iter().find(|(known, _)| *known == word));
                if let Some((_, kind)) = kind {
                    self.used(dialect, &of, point, now, |row| row.count(*kind, more));
                }
            }
            Measured::Tokens(kind) => self.used(dialect, &of, point, now, |row| row.count(kind, more)),
            Measured::Cost => {
                self.used(dialect, &of, point, now, |row| {
                    row.reported_usd = Some(row.reported_usd.unwrap_or(0.0) + more);
                });
            }
            Measured::LinesBy(key) => {
                let kind = self.names.share(named(key));
                tally(Tallied::Lines(kind), &mut self.names);
            }
            Measured::Lines(kind) => {
                let kind = self.names.share(kind);
                tally(Tallied::Lines(kind), &mut self.names);
            }
            Measured::Commits => tally(Tallied::Commits, &mut self.names),
            Measured::PullRequests => tally(Tallied::PullRequests, &mut self.names),
            Measured::Sessions => tally(Tallied::Sessions, &mut self.names),
            Measured::ActiveTime => {
                let who = self.names.share(named(crate::semconv::Key::PLAIN_TYPE));
                tally(Tallied::ActiveTime(who), &mut self.names);
            }
            Measured::Decisions if self.meters.knows_of(&of) => {}
            Measured::Decisions => {
                if let Some((reviewer, decision)) = attributes.decided() {
                    tally(Tallied::Decision { reviewer, decision }, &mut self.names);
                }
            }
        }
    }

    /// Enters tokens or cost of a session, and what they make together.
    fn used(
        &mut self,
        dialect: &'static MetricDialect,
        of: &Name,
        point: &Point<'_>,
        now: Timestamp,
        count: impl FnOnce(&mut Row),
    ) {
        let model = point.model.map(|model| self.names.share(model));
        let agent = self.names.share(point.agent.unwrap_or(dialect.agent));
        let (row, leaving) = self.meters.row(of, model, agent, dialect);
        if let Some(row) = row {
            row.at = row.at.max(Timestamp::from_unix_nanos(point.time));
            count(row);
            let usage = row.counted.normalised(row.dialect.convention);
            let whose = provider::normalise(None, row.model.as_deref());
            let call = PricedCall {
                provider: whose.as_deref(),
                response_model: row.model.as_deref(),
                request_model: None,
                service_tier: None,
                at: row.at,
                usage: &usage,
            };
            let cost_usd = self.prices.price(&call, row.reported_usd).usd();
            row.figures = Figures {
                input_tokens: usage.input,
                output_tokens: usage.output,
                cache_read_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
                reasoning_tokens: usage.reasoning,
                cost_usd,
                ..Figures::default()
            };
        }
        if let Some(leaving) = leaving {
            self.ledger.post_all(leaving.rows.iter().map(Row::posting), now);
        }
    }
}

impl Row {
    fn count(&mut self, kind: TokenKind, more: f64) {
        let counted = &mut self.counted;
        let count = match kind {
            TokenKind::Input => &mut counted.input,
            TokenKind::Output => &mut counted.output,
            TokenKind::CacheRead => &mut counted.cache_read,
            TokenKind::CacheWrite => &mut counted.cache_write,
            TokenKind::Reasoning => &mut counted.reasoning,
        };
        *count = Some(count.unwrap_or(0).saturating_add(more as u64));
    }

    fn posting(&self) -> Posting<'_> {
        Posting {
            at: self.at,
            model: self.model.as_ref(),
            agent: Some(&self.agent),
            tool: None,
            feature: None,
            figures: self.figures.clone(),
            call: None,
            left_out: None,
        }
    }
}

/// What tells an emitter from others of its kind, as far as its spans and logs say it too.
fn emitter_name(group: &Group<'_>) -> String {
    let text = |key| group.resource.get(key).and_then(AnyValue::text).map(|text| text.as_str()).unwrap_or_default();
    emitter_of(text(resource::SERVICE_NAME), text(resource::SERVICE_INSTANCE_ID))
}

/// The same of a service and its instance.
pub fn emitter_of(service: &str, instance: &str) -> String {
    format!("{service}/{instance}")
}
