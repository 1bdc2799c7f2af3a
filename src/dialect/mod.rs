//! What a foreign span means. Pure: attributes in, [`Meaning`] out.
//!
//! Every emitter speaks its own dialect of the GenAI conventions. A dialect is a file of data: how to recognise
//! it, how its spans map to operations, and which keys it reads before the generic ones. [`DIALECTS`] is in order: the
//! first that fits; adding one is one file and one line in its list.

mod ag2;
mod agentops;
mod agentscope;
mod ai_sdk;
mod ai_sdk_legacy;
mod anthropic_sdk;
mod attributes;
mod buckets;
mod claude_code;
mod codex;
mod content;
mod copilot;
mod crewai;
mod details;
mod detect;
mod fields;
mod gemini_cli;
mod genai;
mod generic;
mod genkit;
mod google_adk;
mod goose;
mod haystack;
mod json;
mod laminar;
mod langchain_rust;
mod langfuse;
mod langgraph;
mod langsmith;
mod lenient;
mod lexicon;
mod litellm;
mod livekit;
mod llama_index;
mod logfire;
mod logs;
mod mastra;
mod mcp;
mod messages;
mod metrics;
mod mlflow;
mod msft;
mod op;
mod opencode;
mod openinference;
mod openlit;
mod openllmetry;
mod otel_genai;
mod outcome;
mod pending;
pub mod provider;
mod pydantic_ai;
mod qwen_code;
mod rig;
mod spanlight;
mod spring_ai;
mod strands;
mod swiftide;
mod tool_result;
mod usage;
mod voltagent;

use std::borrow::Cow;

pub(crate) use attributes::is_same;
pub use attributes::{Attributes, Habits, is_redacted};
pub use content::Content;
pub use detect::DIALECTS;
use fields::Field;
pub use fields::{FieldKeys, UsageKeys};
pub use json::put_value;
use lexicon::Signs;
pub use lexicon::{Lexicon, Marks};
pub use logs::{About, LogDialect, Report};
pub use messages::{Matter, Recorded};
pub use metrics::{Measured, MetricDialect, Point, TokenKind};
pub use op::Op;
pub use outcome::Failure;
pub use pending::{Pending, pending};
pub use usage::{Convention, Usage};

use crate::event::{Decision, Scope};
use crate::otlp::view::Span;
use crate::semconv::Key;

/// What there is to see of one span.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a, 'b> {
    /// The name of its instrumentation scope; in process the target of its callsite.
    pub instrumentation: &'b str,
    /// The span; one that goes on has no end.
    pub span: &'b Span<'a>,
    /// Its attributes, as far as anyone reads them.
    pub attributes: &'b Attributes<'a>,
    /// What there are signs of.
    pub marks: Marks,
}

/// One dialect: data, and small functions where data does not reach.
#[derive(Debug)]
pub struct Dialect {
    /// Its name in `source.dialect`.
    pub name: &'static str,
    /// By what a span is known to be in it.
    pub signs: Signs,
    /// Attributes that say what a span does, with the words for it, in lower case. The first that is there and has
    /// a word of these decides.
    pub kinds: &'static [(Key, &'static [(&'static str, Op)])],
    /// What a span does that no such word tells; nothing for spans that are none of ours.
    pub op: fn(&Spot<'_, '_>) -> Option<Op>,
    /// The keys that it reads before the generic ones.
    pub fields: FieldKeys,
    /// The keys of token counts that it reads before those of the conventions.
    pub usage: Option<&'static UsageKeys>,
    /// What its token counts leave out.
    pub convention: Convention,
    /// The keys whose values may come in events of the span, which then say more of the span than happened to it.
    pub told_in_events: &'static [Key],
    /// Whether it is that of a coding agent, whose work is told in logs and metrics as well.
    pub coding_agent: bool,
    /// Whether it writes texts as JSON, with quotes around them.
    pub texts_are_json: bool,
    /// What no key says by itself.
    pub amend: for<'a> fn(&Spot<'a, '_>, &mut Meaning<'a>),
}

/// What a span means, borrowed from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning<'a> {
    /// The dialect it was understood in.
    pub dialect: &'static str,
    /// What it does.
    pub op: Op,
    /// Whose model it is, under its well-known name.
    pub provider: Option<Cow<'a, str>>,
    /// The model asked for.
    pub request_model: Option<&'a str>,
    /// The model that answered.
    pub response_model: Option<&'a str>,
    /// The conversation.
    pub conversation_id: Option<Cow<'a, str>>,
    /// The session.
    pub session_id: Option<Cow<'a, str>>,
    /// The user.
    pub user_id: Option<Cow<'a, str>>,
    /// The user's prompt that it was done for: what is of one prompt is of one run, whatever its traces.
    pub prompt_id: Option<Cow<'a, str>>,
    /// The agent.
    pub agent_name: Option<&'a str>,
    /// What tells it from others of its name.
    pub agent_id: Option<&'a str>,
    /// The workflow.
    pub workflow_name: Option<&'a str>,
    /// The step.
    pub step_name: Option<&'a str>,
    /// The tool.
    pub tool_name: Option<&'a str>,
    /// The id that the model gave its call of the tool: two spans with one id are one call.
    pub tool_call_id: Option<&'a str>,
    /// The answer's id at its provider: two spans with one id are one call of the model.
    pub response_id: Option<&'a str>,
    /// Tokens; on spans that are no calls of a model, the sum of those below.
    pub usage: Usage,
    /// Seconds until the first piece of the answer.
    pub ttft_s: Option<f64>,
    /// At which tier the provider served the call.
    pub service_tier: Option<&'a str>,
    /// What the emitter says that it cost, in US dollars.
    pub reported_usd: Option<f64>,
    /// How it failed, if it did.
    pub failure: Option<Failure<'a>>,
    /// Whether it was called off, which is no failure.
    pub canceled: bool,
    /// Whether its emitter never says of such work that it failed: then what it did last tells.
    pub is_silent: bool,
    /// Whether its tokens are those of all calls that its one call stands for, which tells of the last of them only.
    pub tells_of_calls: bool,
    /// Where its tokens include those of the calls before it in a loop of calls and tools: whether it asks for tools, so that the
    /// next call is of the same loop.
    pub running_total: Option<bool>,
    /// What it may turn out to be when its surroundings are known.
    pub hint: Option<Hint>,
    /// What happened with it besides.
    pub aside: Option<Aside<'a>>,
    /// Whether a coding agent tells of it, which does so in logs and metrics as well.
    pub coding_agent: bool,
    /// Whether it shows that all of its run is what the agent asks for itself: it costs tokens, and is no run of a user.
    pub own_request: bool,
}

/// What a span may be that its attributes alone do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A workflow, if nothing with a meaning is above it.
    WorkflowIfOutermost,
    /// An agent of the name in `agent_name`, if it calls a model itself and not only through an agent below.
    AgentIfItCalls,
    /// A step of the name in `step_name`, if a call of a model that tells its tokens is below it: the call itself.
    StepIfTold,
}

/// What happened with a span besides its beginning and end.
#[derive(Clone, Debug, PartialEq)]
pub enum Aside<'a> {
    /// One agent passed the work on to another.
    HandedOff {
        /// Who did; the agent at work, if it is not said.
        from: Option<Cow<'a, str>>,
        /// To whom.
        to: Cow<'a, str>,
    },
    /// The agent at work passed the work on to the one that works next; nobody says to whom.
    PassedOn,
    /// Somebody decided whether something may happen.
    Decided {
        /// Who: [`USER`] or [`POLICY`].
        reviewer: &'static str,
        /// How.
        decision: Decision,
        /// About what, such as a tool.
        target: Option<Cow<'a, str>>,
    },
}

/// The reviewer of what a person was asked about.
pub const USER: &str = "user";
/// The reviewer that is nobody: rules and modes.
pub const POLICY: &str = "policy";

impl<'a> Aside<'a> {
    /// A person decided, or else rules did.
    fn decided(by_user: bool, decision: Decision, target: Option<&'a str>) -> Aside<'a> {
        Aside::Decided { reviewer: reviewer(by_user), decision, target: target.map(Cow::Borrowed) }
    }
}

/// Who decided.
fn reviewer(by_user: bool) -> &'static str {
    if by_user { USER } else { POLICY }
}

/// To whom a span belongs that has no meaning of its own: the conversation, the session and the user. An application says
/// it on a span around the work.
pub fn belongs_to<'a>(attributes: &Attributes<'a>) -> [Option<Cow<'a, str>>; 3] {
    let fields = &generic::FIELDS;
    [fields.conversation_id, fields.session_id, fields.user_id].map(|keys| attributes.label(keys))
}

/// Tells what a span means; nothing if it is none of ours. It is told where it was made, because moving it would cost what reading
/// some fields does.
pub fn read<'a, R>(spot: &Spot<'a, '_>, tell: impl FnOnce(Option<&Meaning<'a>>) -> R) -> R {
    let dialect = detect::detect(spot).filter(|_| !logfire::is_mere_log(spot.attributes));
    let told = dialect.and_then(|dialect| dialect.told(spot));
    let spot = &Spot { attributes: told.as_ref().unwrap_or(spot.attributes), ..*spot };
    let op = |dialect: &Dialect| dialect.kind(spot).or_else(|| (dialect.op)(spot));
    let Some((dialect, op)) = dialect.and_then(|dialect| Some((dialect, op(dialect)?))) else { return tell(None) };
    let mut meaning = dialect.mean(spot, op);
    (dialect.amend)(spot, &mut meaning);
    // That tokens which nobody counted cost nothing is what emitters write who know no cost.
    let is_unknown = meaning.op.scope() == Scope::LlmRequest && !meaning.usage.is_known();
    meaning.reported_usd = meaning.reported_usd.filter(|usd| *usd > 0.0 || !is_unknown);
    tell(Some(&meaning))
}

impl Dialect {
    /// What a dialect is where it says nothing else: the GenAI conventions.
    const BASE: Dialect = Dialect {
        name: "",
        signs: Signs::NONE,
        kinds: &[],
        op: otel_genai::op,
        fields: FieldKeys::NONE,
        usage: None,
        convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
        told_in_events: &[],
        coding_agent: false,
        texts_are_json: false,
        amend: |_, _| {},
    };

    /// What an attribute for it says that the span does.
    #[inline]
    fn kind(&self, spot: &Spot<'_, '_>) -> Option<Op> {
        self.kinds.iter().find_map(|(key, words)| {
            let said = spot.word(*key)?;
            words.iter().find(|(word, _)| word.eq_ignore_ascii_case(said)).map(|(_, op)| *op)
        })
    }

    /// The attributes together with what events of the span say of it, if that makes a difference.
    fn told<'a>(&self, spot: &Spot<'a, '_>) -> Option<Attributes<'a>> {
        let may_tell = !self.told_in_events.is_empty() && spot.span.has_events;
        may_tell.then(|| spot.attributes.told_by(spot.span, self.told_in_events))
    }

    /// What the keys say: those of the dialect first, then the generic ones, then those of other dialects that the
    /// span speaks as well.
    #[inline]
    fn mean<'a>(&self, spot: &Spot<'a, '_>, op: Op) -> Meaning<'a> {
        let attributes = spot.attributes;
        let others = Others::of(spot, self);
        // What cannot be there is not looked for: of most fields most spans say nothing.
        let may_have = |field: Field| attributes.fillable().has(field);
        let text = |field| may_have(field).then(|| others.first(self, field, |keys| attributes.text(keys))).flatten();
        let label = |field| may_have(field).then(|| others.first(self, field, |keys| attributes.label(keys))).flatten();
        let amount =
            |field| may_have(field).then(|| others.first(self, field, |keys| attributes.amount(keys))).flatten();
        let request_model = text(Field::request_model);
        let response_model = text(Field::response_model);
        let (failure, canceled) = outcome::read(spot, &self.fields);
        let may_have_failed = op == Op::ExecuteTool && failure.is_none() && !canceled;
        let result = may_have_failed.then(|| text(Field::output)).flatten();
        let failure = failure.or_else(|| tool_result::failure(result?));
        Meaning {
            dialect: self.name,
            op,
            provider: provider::normalise(text(Field::provider), response_model.or(request_model))
                .or_else(|| provider::of_address(attributes.text(&[Key::SERVER_ADDRESS])?).map(Cow::Borrowed)),
            request_model,
            response_model,
            conversation_id: label(Field::conversation_id),
            session_id: label(Field::session_id),
            user_id: label(Field::user_id),
            prompt_id: attributes.label(self.fields.prompt_id),
            agent_name: text(Field::agent_name),
            agent_id: text(Field::agent_id),
            workflow_name: text(Field::workflow_name),
            step_name: text(Field::step_name),
            // Without it the client's and the server's span would be two calls of the tool, and not of this name.
            tool_name: text(Field::tool_name)
                .or_else(|| if op.scope() == Scope::Tool { mcp::target(spot) } else { None }),
            tool_call_id: text(Field::tool_call_id),
            response_id: text(Field::response_id),
            usage: Usage::read(attributes, self.usage, self.convention),
            ttft_s: attributes.amount(self.fields.ttft_ms).map(|ms| ms / 1000.0).or_else(|| amount(Field::ttft_s)),
            service_tier: text(Field::service_tier),
            reported_usd: amount(Field::cost),
            failure,
            canceled,
            is_silent: false,
            tells_of_calls: false,
            running_total: None,
            hint: None,
            aside: None,
            coding_agent: self.coding_agent,
            own_request: false,
        }
    }
}

/// What other dialects that a span speaks read, if any: most speak one.
struct Others([Option<&'static FieldKeys>; 3]);

impl Others {
    fn of(spot: &Spot<'_, '_>, own: &Dialect) -> Others {
        let mut others = Others([None; 3]);
        if spot.marks.places().nth(1).is_some() {
            let spoken = detect::spoken(spot).filter(|dialect| dialect.name != own.name);
            others.0.iter_mut().zip(spoken).for_each(|(place, dialect)| *place = Some(&dialect.fields));
        }
        others
    }

    /// What the dialect's own keys of a field say, else the generic ones, else those of the first of the others that says
    /// anything.
    #[inline(never)]
    fn first<T>(&self, own: &Dialect, field: Field, say: impl Fn(&'static [Key]) -> Option<T>) -> Option<T> {
        let known = say(own.fields.of(field)).or_else(|| say(generic::FIELDS.of(field)));
        known.or_else(|| self.0.iter().map_while(|fields| *fields).find_map(|fields| say(fields.of(field))))
    }
}

impl<'a, 'b> Spot<'a, 'b> {
    /// A span with its attributes, and what its scope and resource are signs of.
    pub fn new(
        instrumentation: &'b str,
        of_emitter: Marks,
        span: &'b Span<'a>,
        attributes: &'b Attributes<'a>,
        lexicon: &Lexicon,
    ) -> Spot<'a, 'b> {
        let marks = of_emitter.and(attributes.marks()).and(lexicon.marks_of_name(span.name.as_bytes()));
        Spot { instrumentation, span, attributes, marks }
    }

    /// Where a span of a Rust program says in which module it was written.
    const WHERE_WRITTEN: &'static [Key] = &[Key::TARGET, Key::CODE_MODULE_NAME, Key::CODE_NAMESPACE];

    /// Whether the span was written in one of these crates: its target tells, in process as the name of the
    /// instrumentation scope, and over OTLP as an attribute beside a scope that is named by whoever set it up.
    fn is_written_in(&self, crates: &[&str]) -> bool {
        let is_of = |path: &str, name: &str| {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let is_of_any = |path: &str| crates.iter().any(|name| is_of(path, name));
        let is_said = || Spot::WHERE_WRITTEN.iter().any(|key| self.word(*key).is_some_and(is_of_any));
        is_of_any(self.instrumentation) || is_said()
    }

    /// What an attribute says in one word, without its surroundings.
    fn word(&self, key: Key) -> Option<&'a str> {
        self.attributes.text(&[key])
    }

    /// Whether it goes on, so that what is not there yet may still come.
    fn is_open(&self) -> bool {
        self.span.end_time_unix_nano == 0
    }
}

impl<'a> Meaning<'a> {
    /// Whether it is work that anybody looks for: that an agent is made is none, nor is what clients and servers of MCP say
    /// to each other besides calls of tools.
    pub fn is_work(&self) -> bool {
        self.op != Op::CreateAgent && (self.op != Op::Step || self.dialect != mcp::DIALECT.name)
    }

    /// The id that a call of a model or of a tool is known by: two reports with one id are of one call.
    pub fn call_id(&self) -> Option<&'a str> {
        match self.op.scope() {
            Scope::LlmRequest => self.response_id,
            Scope::Tool => self.tool_call_id,
            _ => None,
        }
    }

    /// Somebody decided whether the tool may run. One that was refused did not, which is no failure.
    fn decided(&mut self, by_user: bool, decision: Decision) {
        if decision == Decision::Rejected {
            (self.canceled, self.failure) = (true, None);
        }
        self.aside = Some(Aside::decided(by_user, decision, self.tool_name));
    }

    /// The model that was really used, as far as it is known.
    pub fn model(&self) -> Option<&str> {
        self.response_model.or(self.request_model)
    }
}
