//! What metrics of coding agents mean: which of them count what nothing else tells, and which count what spans and logs
//! tell as well.

use super::{Attributes, Convention, Lexicon, reviewer};
use crate::event::Decision;
use crate::otlp::view::{AnyValue, DataPoint, Metric, MetricKind, Number, Temporality};
use crate::semconv::Key;

/// The metrics of one kind of emitter.
#[derive(Debug)]
pub struct MetricDialect {
    /// Its name in `source.dialect`.
    pub name: &'static str,
    /// What the agent is called.
    pub agent: &'static str,
    /// What it is known by: the beginnings of its instrumentation scopes.
    pub scopes: &'static [&'static str],
    /// Its metrics, by name.
    pub metrics: &'static [(&'static str, Measured)],
    /// What its counts of tokens leave out.
    pub convention: Convention,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// Tokens of the kind that an attribute names.
    TokensBy(Key, &'static [(&'static str, TokenKind)]),
    /// Tokens of one kind.
    Tokens(TokenKind),
    /// US dollars.
    Cost,
    /// Lines of code, added or removed as an attribute says.
    LinesBy(Key),
    /// Lines of code that were added, or removed.
    Lines(&'static str),
    /// Commits.
    Commits,
    /// Pull requests.
    PullRequests,
    /// Sessions.
    Sessions,
    /// Seconds in which somebody worked, a person or the program.
    ActiveTime,
    /// Decisions on edits.
    Decisions,
}

/// A kind of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Read by the model.
    Input,
    /// Written by it.
    Output,
    /// Read from a cache.
    CacheRead,
    /// Written to a cache.
    CacheWrite,
    /// Reasoning.
    Reasoning,
}

/// One data point, as far as anyone reads it.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// The number, or of a distribution the sum.
    pub value: f64,
    /// What it is relative to.
    pub temporality: Temporality,
    /// When counting began: nanoseconds since 1970.
    pub start: u64,
    /// When the value held: nanoseconds since 1970.
    pub time: u64,
    /// The session that it was measured in, where it says so.
    pub session: Option<&'a str>,
    /// The model, answered or asked for.
    pub model: Option<&'a str>,
    /// The agent below, where it is one's.
    pub agent: Option<&'a str>,
}

static METRIC_DIALECTS: &[&MetricDialect] = &[&CLAUDE_CODE, &CODEX, &GEMINI_CLI, &QWEN_CODE, &COPILOT];

static CLAUDE_CODE: MetricDialect = MetricDialect {
    name: "claude_code",
    agent: "claude-code",
    scopes: &["com.anthropic.claude_code"],
    metrics: &[
        ("claude_code.token.usage", Measured::TokensBy(Key::PLAIN_TYPE, CLAUDE_TOKENS)),
        ("claude_code.cost.usage", Measured::Cost),
        ("claude_code.session.count", Measured::Sessions),
        ("claude_code.lines_of_code.count", Measured::LinesBy(Key::PLAIN_TYPE)),
        ("claude_code.commit.count", Measured::Commits),
        ("claude_code.pull_request.count", Measured::PullRequests),
        ("claude_code.active_time.total", Measured::ActiveTime),
        ("claude_code.code_edit_tool.decision", Measured::Decisions),
    ],
    convention: Convention { input_excludes_cache: true, output_excludes_reasoning: false },
};

const CLAUDE_TOKENS: &[(&str, TokenKind)] = &[
    ("input", TokenKind::Input),
    ("output", TokenKind::Output),
    ("cacheRead", TokenKind::CacheRead),
    ("cacheCreation", TokenKind::CacheWrite),
];

static CODEX: MetricDialect = MetricDialect {
    name: "codex",
    agent: "codex",
    scopes: &["codex"],
    metrics: &[
        // Its totals are the sum of the others.
        ("codex.turn.token_usage", Measured::TokensBy(Key::TOKEN_TYPE, CODEX_TOKENS)),
        ("codex.thread.started", Measured::Sessions),
    ],
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
};

const CODEX_TOKENS: &[(&str, TokenKind)] = &[
    ("input", TokenKind::Input),
    ("output", TokenKind::Output),
    ("cached_input", TokenKind::CacheRead),
    ("cache_write_input", TokenKind::CacheWrite),
    ("reasoning_output", TokenKind::Reasoning),
];

static GEMINI_CLI: MetricDialect = MetricDialect {
    name: "gemini_cli",
    agent: "gemini-cli",
    scopes: &["gemini-cli"],
    metrics: &[
        ("gemini_cli.token.usage", Measured::TokensBy(Key::PLAIN_TYPE, GEMINI_TOKENS)),
        ("gemini_cli.session.count", Measured::Sessions),
        ("gemini_cli.lines.changed", Measured::LinesBy(Key::PLAIN_TYPE)),
    ],
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: true },
};

const GEMINI_TOKENS: &[(&str, TokenKind)] = &[
    ("input", TokenKind::Input),
    ("output", TokenKind::Output),
    ("cache", TokenKind::CacheRead),
    ("thought", TokenKind::Reasoning),
];

static QWEN_CODE: MetricDialect = MetricDialect {
    name: "qwen_code",
    agent: "qwen-code",
    scopes: &["qwen-code"],
    metrics: &[
        ("qwen-code.token.usage", Measured::TokensBy(Key::PLAIN_TYPE, GEMINI_TOKENS)),
        ("qwen-code.session.count", Measured::Sessions),
        ("qwen-code.lines.changed", Measured::LinesBy(Key::PLAIN_TYPE)),
    ],
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
};

static COPILOT: MetricDialect = MetricDialect {
    name: "copilot",
    agent: "copilot",
    scopes: &["github.copilot"],
    metrics: &[
        ("gen_ai.client.inference.usage.input_tokens", Measured::Tokens(TokenKind::Input)),
        ("gen_ai.client.inference.usage.output_tokens", Measured::Tokens(TokenKind::Output)),
        ("gen_ai.client.inference.usage.cache_read.input_tokens", Measured::Tokens(TokenKind::CacheRead)),
        ("gen_ai.client.inference.usage.cache_write.input_tokens", Measured::Tokens(TokenKind::CacheWrite)),
        ("gen_ai.client.inference.usage.reasoning.output_tokens", Measured::Tokens(TokenKind::Reasoning)),
        ("github.copilot.code.lines_added", Measured::Lines("added")),
        ("github.copilot.code.lines_removed", Measured::Lines("removed")),
    ],
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
};

impl MetricDialect {
    /// The dialect of the metrics of an instrumentation scope.
    pub fn of_scope(scope: &str) -> Option<&'static MetricDialect> {
        METRIC_DIALECTS.iter().copied().find(|dialect| dialect.scopes.contains(&scope))
    }

    /// What a metric counts, if it is one that is read.
    pub fn measured(&self, metric: &Metric<'_>) -> Option<Measured> {
        self.metrics.iter().find(|(name, _)| metric.name == **name).map(|(_, measured)| *measured)
    }
}

impl<'a> Point<'a> {
    /// Reads a data point; nothing if it has no value that adds up.
    pub fn read(point: &DataPoint<'a>, kind: MetricKind, attributes: &Attributes<'a>) -> Option<Point<'a>> {
        if point.no_recorded_value() {
            return None;
        }
        let (value, temporality) = match kind {
            MetricKind::Sum { temporality, .. } => match point.number()? {
                Number::Int(number) => (number as f64, temporality),
                Number::Double(number) => (number, temporality),
            },
            MetricKind::Histogram(temporality) => (point.histogram().sum?, temporality),
            _ => return None,
        };
        Some(Point {
            value: Some(value).filter(|value| value.is_finite() && *value >= 0.0)?,
            temporality,
            start: point.start_time_unix_nano(),
            time: point.time_unix_nano(),
            session: attributes.text(&[Key::SESSION_ID, Key::GEN_AI_CONVERSATION_ID, Key::CONVERSATION_ID]),
            model: attributes.text(&[Key::GEN_AI_RESPONSE_MODEL, Key::GEN_AI_REQUEST_MODEL, Key::PLAIN_MODEL]),
            agent: attributes.text(&[Key::AGENT_NAME]),
        })
    }
}

impl<'a> Attributes<'a> {
    /// Takes all attributes of a data point.
    pub fn take_all(&mut self, lexicon: &Lexicon, point: &DataPoint<'a>) {
        self.clear();
        point.attributes().for_each(|attribute| self.take(lexicon, attribute));
    }

    /// The word of an attribute.
    pub fn word(&self, key: Key) -> Option<&'a str> {
        self.get(key).and_then(AnyValue::text).map(|text| text.as_str())
    }

    /// Who decided on an edit, and how.
    pub fn decided(&self) -> Option<(&'static str, Decision)> {
        let decision = match self.word(Key::PLAIN_DECISION)? {
            "accept" => Decision::Approved,
            "reject" => Decision::Rejected,
            _ => return None,
        };
        let by_user = self.word(Key::PLAIN_SOURCE).is_some_and(|source| source.starts_with("user"));
        Some((reviewer(by_user), decision))
    }
}
