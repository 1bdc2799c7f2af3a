//! Made-up work with a known truth: thousands of tasks with attempts, reviews, validations, people and overlaps, told as
//! spans or as events. What is true is written down while the story is made up, second by second, and not computed from
//! what is told.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;

use super::scene::{agent, chat, failed, text, tool};

/// How many seconds everything takes at most.
pub const SECONDS: usize = 30_000;
pub const AGENTS: [&str; 5] = ["scribe", "runner", "medic", "planner", "researcher"];
pub const FEATURES: [&str; 4] = ["login", "checkout", "search", "profile"];
const TOOLS: [&str; 3] = ["browser", "shell", "grep"];
/// US dollars a token, read and written, of gpt-4o.
const RATES: (f64, f64) = (2.5e-6, 10e-6);

/// Numbers that look like chance, and are always the same.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.roll(at as u64 + 1) as usize);
        }
    }
}

/// A piece of telemetry, and the second from which on it can be sent.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Spans of one trace.
    Spans(Vec<Span>),
    /// Events as JSON, one a line.
    Events(String),
}

/// What is true.
#[derive(Default)]
pub struct Truth {
    pub tasks: Vec<TaskTruth>,
    pub runs: Vec<RunTruth>,
    pub calls: Vec<CallTruth>,
    pub tools: Vec<ToolTruth>,
    /// When, by whom, of which feature, and whether it was rejected.
    pub reviews: Vec<(u64, &'static str, &'static str, bool)>,
    /// When, of which feature, and whether it passed.
    pub validations: Vec<(u64, &'static str, bool)>,
    /// When, and of which feature.
    pub escalations: Vec<(u64, &'static str)>,
    pub waits: Vec<WaitTruth>,
    /// The seconds in which each agent was at work.
    pub at_work: BTreeMap<&'static str, Vec<bool>>,
}

pub struct TaskTruth {
    pub feature: &'static str,
    pub queued: u64,
    /// When it was completed, else when it went to people for good; else it is open.
    pub end: Option<(u64, bool)>,
    pub cost: f64,
    pub attempts: u64,
}

pub struct RunTruth {
    pub agent: &'static str,
    pub feature: &'static str,
    pub end: u64,
    pub failed: bool,
}

pub struct CallTruth {
    pub agent: &'static str,
    pub feature: &'static str,
    /// The tool below which it was made.
    pub tool: Option<&'static str>,
    pub model: &'static str,
    pub end: u64,
    pub tokens: u64,
    /// Nothing if the price of the model is not known.
    pub cost: Option<f64>,
}

pub struct ToolTruth {
    pub tool: &'static str,
    pub end: u64,
    pub failed: bool,
}

pub struct WaitTruth {
    pub feature: &'static str,
    pub from: u64,
    /// When it ended, and how.
    pub end: Option<(u64, &'static str)>,
}

/// Everything that happened, and what is true of it.
pub struct World {
    pub told: Vec<Told>,
    pub truth: Truth,
    dice: Dice,
    next_id: u64,
    as_events: bool,
}

/// A task while its story is made up.
struct Story {
    id: String,
    feature: &'static str,
    worker: &'static str,
    now: u64,
    truth: TaskTruth,
}

impl World {
    /// So many tasks, told as spans, or as events where they can be.
    pub fn new(tasks: u64, seed: u64, as_events: bool) -> World {
        let mut truth = Truth::default();
        let names = AGENTS.iter().chain(&["critic"]);
        truth.at_work = names.map(|agent| (*agent, vec![false; SECONDS])).collect();
        let mut world = World { told: Vec::new(), truth, dice: Dice::new(seed), next_id: 1, as_events };
        (0..tasks).for_each(|number| world.task(number));
        world.told.sort_by_key(|told| told.at);
        world
    }

    fn task(&mut self, number: u64) {
        let feature = self.dice.pick(&FEATURES);
        let worker = self.dice.pick(&AGENTS);
        let queued = self.dice.roll(20_000);
        let truth = TaskTruth { feature, queued, end: None, cost: 0.0, attempts: 0 };
        let mut story = Story { id: format!("t-{number}"), feature, worker, now: queued, truth };
        self.event(&story, queued, "task.queued", "");
        let has_critic = self.dice.percent(60);
        let has_validation = self.dice.percent(70);
        for _ in 0..4 {
            story.now += 1 + self.dice.roll(20);
            let failed = self.dice.percent(15);
            self.attempt(&mut story, failed);
            if failed || (has_critic && !self.review(&mut story)) {
                continue;
            }
            if !has_validation {
                story.truth.end = Some((story.now, true));
                break;
            }
            story.now += 1 + self.dice.roll(20);
            let passed = self.dice.percent(70);
            self.truth.validations.push((story.now, feature, passed));
            self.event(&story, story.now, "validation.completed", &format!(r#","data":{{"passed":{passed}}}"#));
            if passed {
                story.truth.end = Some((story.now, true));
                break;
            }
        }
        if story.truth.end.is_none() {
            self.escalate(&mut story);
        }
        self.truth.tasks.push(story.truth);
    }

    /// A run of the worker, in which it may have to wait for people.
    fn attempt(&mut self, story: &mut Story, is_failed: bool) {
        // Nobody who is silent for a minute is waited for.
        let (start, length) = (story.now, 12 + self.dice.roll(45));
        let trace = self.id();
        let mut end = start + length;
        let mut waited = None;
        if self.dice.percent(10) {
            let (from, wait) = (start + 2, 1 + self.dice.roll(600));
            end += wait;
            waited = Some((from, from + wait));
            let within = format!(r#","trace_id":"{}""#, hex(&trace_id(trace))) + r#","data":{"priority":"low"}"#;
            self.wait(story, from, Some((from + wait, "approved")), &within);
        }
        story.truth.attempts += 1;
        self.run(story, story.worker, (start, end), is_failed, trace);
        let at_work = self.truth.at_work.get_mut(story.worker).unwrap();
        for second in start..end {
            at_work[second as usize] |= waited.is_none_or(|(from, to)| second < from || second >= to);
        }
        story.now = end;
    }

    fn review(&mut self, story: &mut Story) -> bool {
        let (start, end) = (story.now + 1, story.now + 4 + self.dice.roll(10));
        let rejected = self.dice.percent(25);
        let trace = self.id();
        self.run(story, "critic", (start, end), false, trace);
        self.truth.at_work.get_mut("critic").unwrap()[start as usize..end as usize].fill(true);
        self.truth.reviews.push((end, "critic", story.feature, rejected));
        let decision = if rejected { "rejected" } else { "approved" };
        self.event(
            story,
            end,
            "review.decided",
            &format!(r#","data":{{"decision":"{decision}","reviewer":"critic"}}"#),
        );
        story.now = end;
        !rejected
    }

    fn escalate(&mut self, story: &mut Story) {
        story.now += 1 + self.dice.roll(10);
        let asked = story.now;
        let attempts = story.truth.attempts;
        story.truth.end = Some((asked, false));
        let data = format!(r#","data":{{"attempts":{attempts},"last_error":"it fails","priority":"high"}}"#);
        let answer = match self.dice.roll(4) {
            0 => None,
            1 => Some("approved"),
            2 => Some("rejected"),
            _ => Some("timed_out"),
        };
        let end = answer.map(|decision| (asked + 5 + self.dice.roll(900), decision));
        self.wait(story, asked, end, &data);
        if let Some((answered, "approved")) = end
            && self.dice.percent(50)
        {
            // With the help of people it works.
            story.now = answered + 2;
            self.attempt(story, false);
            story.truth.end = Some((story.now, true));
        }
    }

    fn wait(&mut self, story: &Story, from: u64, end: Option<(u64, &'static str)>, data: &str) {
        self.truth.escalations.push((from, story.feature));
        self.truth.waits.push(WaitTruth { feature: story.feature, from, end });
        self.event(story, from, "hitl.escalated", data);
        if let Some((at, decision)) = end {
            let within = data.split_once(r#","data""#).map_or("", |(within, _)| within);
            self.event(story, at, "hitl.resolved", &format!(r#"{within},"data":{{"decision":"{decision}"}}"#));
        }
    }

    /// A run of an agent with calls of models and tools.
    fn run(&mut self, story: &mut Story, name: &'static str, (start, end): (u64, u64), is_failed: bool, trace: u64) {
        self.truth.runs.push(RunTruth { agent: name, feature: story.feature, end, failed: is_failed });
        let root = self.id();
        let mut spans = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            let at = start + self.dice.roll(end - start - 1);
            let (tool_span, calls_within) = (self.id(), self.dice.percent(20));
            let is_tool = self.dice.percent(40);
            if is_tool {
                let (tool_name, failed_tool) = (self.dice.pick(&TOOLS), self.dice.percent(10));
                let span = tool(tool_span, root, (at * 1000, at * 1000 + 1000), tool_name);
                spans.push(if failed_tool { failed(span, "Broken", "it broke") } else { span });
                self.truth.tools.push(ToolTruth { tool: tool_name, end: at + 1, failed: failed_tool });
                if calls_within {
                    spans.push(self.call(story, name, (tool_span, Some(tool_name)), at));
                }
            } else {
                spans.push(self.call(story, name, (root, None), at));
            }
        }
        let mut run = agent(root, 0, (start * 1000, end * 1000), name);
        run.attributes.extend([text("task_id", &story.id), text("feature", story.feature)]);
        spans.push(if is_failed { failed(run, "Timeout", "it took too long") } else { run });
        let of_trace = |mut span: Span| {
            span.trace_id = trace_id(trace);
            span
        };
        let spans: Vec<Span> = spans.into_iter().map(of_trace).collect();
        match self.as_events {
            false => self.told.push(Told { at: end, what: What::Spans(spans) }),
            true => self.told.extend(spans.iter().flat_map(events_of)),
        }
    }

    fn call(&mut self, story: &mut Story, agent: &'static str, of: (u64, Option<&'static str>), at: u64) -> Span {
        let (input, output) = (1 + self.dice.roll(100_000), self.dice.roll(5_000));
        let is_priced = self.dice.percent(85);
        let mut span = chat(self.id(), of.0, (at * 1000, at * 1000 + 1000), input as i64, output as i64);
        let cost = is_priced.then_some(input as f64 * RATES.0 + output as f64 * RATES.1);
        let model = if is_priced { "gpt-4o" } else { "house-model" };
        if !is_priced {
            span.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
            span.attributes.push(text("gen_ai.request.model", model));
        }
        story.truth.cost += cost.unwrap_or(0.0);
        let (feature, tool, end) = (story.feature, of.1, at + 1);
        self.truth.calls.push(CallTruth { agent, feature, tool, model, end, tokens: input + output, cost });
        span
    }

    /// An event about a task.
    fn event(&mut self, story: &Story, at: u64, name: &str, more: &str) {
        let (id, time) = (self.id(), json_time(at));
        let (task, feature) = (&story.id, story.feature);
        let text = format!(
            r#"{{"event_id":"00000000-0000-4000-8000-{id:012x}","name":"{name}","timestamp":"{time}","task_id":"{task}","feature":"{feature}"{more}}}"#
        );
        self.told.push(Told { at, what: What::Events(text) });
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// The same span as events: its beginning, where that is told, and its end.
fn events_of(span: &Span) -> Vec<Told> {
    let attribute = |key: &str| {
        use opentelemetry_proto::tonic::common::v1::any_value::Value;
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(format!("\"{text}\"")),
            Value::IntValue(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let member =
        |name: &str, key: &str| attribute(key).map(|value| format!(r#","{name}":{value}"#)).unwrap_or_default();
    let second = |nanos: u64| (nanos / 1_000_000 - beginning_millis()) / 1000;
    let (start, end) = (second(span.start_time_unix_nano), second(span.end_time_unix_nano));
    let parent =
        (!span.parent_span_id.is_empty()).then(|| format!(r#","parent_span_id":"{}""#, hex(&span.parent_span_id)));
    let (subject, named) = match attribute("gen_ai.operation.name").as_deref() {
        Some("\"invoke_agent\"") => ("agent", member("agent", "gen_ai.agent.name")),
        Some("\"execute_tool\"") => ("tool", member("tool", "gen_ai.tool.name")),
        _ => ("llm", member("model", "gen_ai.request.model") + r#","provider":"openai""#),
    };
    let outcome = if span.status.is_some() { "failed" } else { "completed" };
    let tell = |at: u64, verb: &str, more: &str| {
        let id = format!("{}-0000-4000-8{}", &hex(&span.span_id[4..]), if verb == "started" { "000" } else { "001" });
        let text = format!(
            r#"{{"event_id":"{id}-{}","name":"{subject}.{verb}","timestamp":"{}","trace_id":"{}","span_id":"{}"{}{named}{}{}{more}}}"#,
            &hex(&span.trace_id)[20..],
            json_time(at),
            hex(&span.trace_id),
            hex(&span.span_id),
            parent.clone().unwrap_or_default(),
            member("task_id", "task_id"),
            member("feature", "feature"),
        );
        Told { at, what: What::Events(text) }
    };
    let tokens =
        member("input_tokens", "gen_ai.usage.input_tokens") + &member("output_tokens", "gen_ai.usage.output_tokens");
    let figures = format!(r#","message":"it broke","performance":{{"duration_ms":{}{tokens}}}"#, (end - start) * 1000);
    vec![tell(start, "started", ""), tell(end, outcome, &figures)]
}

fn trace_id(trace: u64) -> Vec<u8> {
    [[7; 8], trace.to_be_bytes()].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn beginning_millis() -> u64 {
    spanlight::event::Timestamp::parse(super::scene::BEGINNING).unwrap().as_micros() as u64 / 1000
}

fn json_time(second: u64) -> String {
    let beginning = spanlight::event::Timestamp::parse(super::scene::BEGINNING).unwrap();
    let time = beginning.plus(std::time::Duration::from_secs(second)).to_rfc3339();
    String::from_utf8(time.to_vec()).unwrap()
}
