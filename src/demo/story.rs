//! What happens: stories as data, made of a seed, so that whoever watches can know what there is to see.

use serde_json::{Value, json};
use spanlight::Usage;

use super::random::Random;
use super::words::{FEATURES, Feature, answer};

/// How a test for a feature of the shop comes about.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its number among those of its program.
    pub number: u32,
    /// What the test is for.
    pub feature: &'static str,
    /// How long the task waits in the queue, in milliseconds.
    pub queued_ms: u64,
    /// What happens then, one after the other.
    pub scenes: Vec<Scene>,
    /// How it ends.
    pub ending: Ending,
}

/// How a story ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There is a test, and it passes.
    Good,
    /// This went wrong.
    Bad(&'static str),
}

/// A step of the workflow.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What the step is called.
    pub step: &'static str,
    /// The agent's part.
    pub work: Work,
    /// What happens when the agent is done.
    pub then: Vec<Act>,
    /// Why the step fails, if it does.
    pub error: Option<&'static str>,
}

/// What an agent does.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its name.
    pub agent: &'static str,
    /// The model that it calls.
    pub model: &'static str,
    /// One thing after the other.
    pub acts: Vec<Act>,
    /// What comes of it.
    pub output: String,
    /// Why it fails, if it does.
    pub error: Option<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// A model is called.
    Call(Call),
    /// A tool is called.
    Tool(ToolCall),
    /// The agent says how far it has come: what it does, and which part of how many that is.
    Progress(&'static str, u64, u64),
    /// A critic decides.
    Review(Review),
    /// An event of the catalogue, with its payload.
    Say(&'static str, Value),
    /// Nothing, for so many milliseconds.
    Wait(u64),
}

/// What a critic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// It is good.
    Approved,
    /// It is not.
    Rejected,
}

/// A call of a model.
#[derive(Clone, Debug)]
pub struct Call {
    /// The model.
    pub model: &'static str,
    /// Who serves it.
    pub provider: &'static str,
    /// What it is asked.
    pub prompt: String,
    /// What it answers, piece by piece.
    pub pieces: Vec<String>,
    /// Milliseconds until the first piece, and between pieces.
    pub pace_ms: (u64, u64),
    /// What it takes.
    pub usage: Usage,
    /// The kind of error and what it says, if it fails.
    pub error: Option<(&'static str, &'static str)>,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The tool.
    pub tool: &'static str,
    /// What it is called with.
    pub arguments: Value,
    /// What it returns, or what goes wrong.
    pub result: Result<Value, &'static str>,
    /// How long it takes, in milliseconds.
    pub millis: u64,
}

/// What a story comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls of models that went well, and that failed.
    pub calls: [u64; 2],
    /// Calls of tools, likewise.
    pub tools: [u64; 2],
    /// Runs of agents, likewise.
    pub agents: [u64; 2],
    /// Steps, likewise.
    pub steps: [u64; 2],
    /// Tokens in and out, and of those in from a cache.
    pub tokens: [u64; 3],
    /// Reviews that approved, and that rejected.
    pub reviews: [u64; 2],
    /// Validations that passed, and that did not.
    pub validations: [u64; 2],
    /// Events of other names.
    pub said: u64,
}

impl Story {
    /// The story of a seed and a number: a good one, or one in which much goes wrong.
    pub fn new(seed: u64, number: u32, goes_wrong: bool) -> Story {
        let mut random = Random::new(seed, u64::from(number) + 1);
        // Stories that go on at the same time are of different features.
        let first = Random::new(seed, 0).next() as usize;
        let feature = &FEATURES[first.wrapping_add(number as usize) % FEATURES.len()];
        let queued_ms = 150 + u64::from(number) * 900 + random.between(0, 400);
        let mut author = Author { random, feature };
        let (scenes, ending) = if goes_wrong { author.trouble() } else { author.success() };
        Story { number, feature: feature.name, queued_ms, scenes, ending }
    }

    /// What it costs by the estimate that its task is queued with.
    pub fn estimate(&self) -> f64 {
        self.scenes.len() as f64 / 20.0
    }

    /// How long it takes, in milliseconds.
    pub fn millis(&self) -> u64 {
        self.queued_ms + self.acts().map(Act::millis).sum::<u64>()
    }

    /// What it comes to.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for scene in &self.scenes {
            tally.steps[usize::from(scene.error.is_some())] += 1;
            tally.agents[usize::from(scene.work.error.is_some())] += 1;
        }
        self.acts().for_each(|act| tally.add(act));
        tally
    }

    fn acts(&self) -> impl Iterator<Item = &Act> {
        self.scenes.iter().flat_map(|scene| scene.work.acts.iter().chain(&scene.then))
    }
}

impl Act {
    fn millis(&self) -> u64 {
        match self {
            Act::Call(call) => call.pace_ms.0 + call.pace_ms.1 * call.pieces.len() as u64,
            Act::Tool(call) => call.millis,
            Act::Wait(millis) => *millis,
            Act::Progress(..) | Act::Review(_) | Act::Say(..) => 0,
        }
    }
}

impl Tally {
    fn add(&mut self, act: &Act) {
        match act {
            Act::Call(call) => {
                self.calls[usize::from(call.error.is_some())] += 1;
                let usage = [call.usage.input, call.usage.output, call.usage.cache_read];
                self.tokens.iter_mut().zip(usage).for_each(|(sum, tokens)| *sum += tokens.unwrap_or(0));
            }
            Act::Tool(call) => self.tools[usize::from(call.result.is_err())] += 1,
            Act::Review(review) => self.reviews[usize::from(*review == Review::Rejected)] += 1,
            Act::Say("validation.completed", result) => {
                self.validations[usize::from(result["result"]["test_passed"] != true)] += 1;
            }
            Act::Say(..) => self.said += 1,
            Act::Progress(..) | Act::Wait(_) => {}
        }
    }
}

/// Writes stories.
struct Author {
    random: Random,
    feature: &'static Feature,
}

/// Who works with which model of whom.
const PLANNER: Cast = Cast { agent: "planner", model: "gpt-5", provider: "openai" };
const WRITER: Cast = Cast { agent: "writer", model: "claude-sonnet-4-5", provider: "anthropic" };
const CRITIC: Cast = Cast { agent: "critic", model: "claude-haiku-4-5", provider: "anthropic" };
const VALIDATOR: Cast = Cast { agent: "validator", model: "gemini-2.5-flash", provider: "gcp.gemini" };

#[derive(Clone, Copy)]
struct Cast {
    agent: &'static str,
    model: &'static str,
    provider: &'static str,
}

impl Author {
    fn success(&mut self) -> (Vec<Scene>, Ending) {
        let scenes = vec![self.plan(), self.write(1), self.review(Review::Approved), self.validate(true)];
        (scenes, Ending::Good)
    }

    /// A tool that does not answer, a critic that rejects, a test that fails, somebody who has to look, and no money.
    fn trouble(&mut self) -> (Vec<Scene>, Ending) {
        const NO_MONEY: &str = "the budget of the feature is exceeded";
        let mut first = self.write(1);
        let (arguments, millis) = (json!({"command": "npm ci"}), self.random.between(500, 900));
        let hangs = ToolCall { tool: "run_command", arguments, result: Err("no answer within 60 s"), millis };
        // It is tried again, and again.
        for at in [1, 2] {
            first.work.acts.insert(at, Act::Tool(hangs.clone()));
        }
        let (second, mut failed) = (self.write(2), self.validate(false));
        let budget = |spend: f64| {
            json!({"budget": self.feature.name, "current_spend": spend, "limit": 0.5,
                                         "remaining": (0.5 - spend).max(0.0)})
        };
        failed.then.push(Act::Say("budget.warning", budget(0.42)));
        let escalation = json!({"attempts": 2, "last_error": "the test failed", "priority": "high"});
        failed.then.push(Act::Say("hitl.escalated", escalation));
        failed.then.push(Act::Wait(self.random.between(1500, 2500)));
        failed.then.push(Act::Say(
            "hitl.resolved",
            json!({"decision": "approved", "by": "dana", "message": "dana: try again"}),
        ));
        let mut third = self.write(3);
        third.work.acts.truncate(1);
        let overloaded = Some(("overloaded_error", "the model is overloaded"));
        third.work.acts.push(Act::Call(Call { error: overloaded, ..self.call(WRITER, 0) }));
        (third.work.error, third.error) = (Some(NO_MONEY), Some(NO_MONEY));
        let mut spent = budget(0.53);
        spent["tasks_blocked"] = json!(1);
        third.then.push(Act::Say("budget.exceeded", spent));
        let scenes = vec![
            self.plan(),
            first,
            self.review(Review::Rejected),
            second,
            self.review(Review::Approved),
            failed,
            third,
        ];
        (scenes, Ending::Bad(NO_MONEY))
    }

    fn plan(&mut self) -> Scene {
        let routes = json!({"routes": self.feature.routes});
        let acts = vec![
            Act::Progress("reading what there is", 1, 2),
            Act::Tool(self.tool("list_routes", json!({"prefix": self.feature.routes[0]}), routes)),
            Act::Progress("planning", 2, 2),
            Act::Call(self.call(PLANNER, 6)),
        ];
        self.scene("plan", PLANNER, acts, format!("a plan for {} in 4 steps", self.feature.name))
    }

    fn write(&mut self, attempt: u64) -> Scene {
        let file = format!("tests/{}.spec.ts", self.feature.name);
        let lines = self.random.between(60, 180);
        let acts = vec![
            Act::Call(self.call(WRITER, 8)),
            Act::Tool(self.tool("read_file", json!({"path": self.feature.file}), json!({"lines": 214}))),
            Act::Call(self.call(WRITER, 12)),
            Act::Tool(self.tool("write_file", json!({"path": file, "attempt": attempt}), json!({"lines": lines}))),
        ];
        self.scene("write", WRITER, acts, json!({"file": file, "lines": lines}).to_string())
    }

    fn review(&mut self, review: Review) -> Scene {
        let output = match review {
            Review::Approved => "approved: it asserts what the plan asks for",
            Review::Rejected => "rejected: it waits for fixed times, and asserts nothing of the total",
        };
        let acts = vec![Act::Call(self.call(CRITIC, 5)), Act::Review(review)];
        self.scene("review", CRITIC, acts, output.into())
    }

    fn validate(&mut self, passes: bool) -> Scene {
        let millis = self.random.between(900, 1800);
        let errors: &[&str] = if passes { &[] } else { &["TypeError: total is undefined"] };
        let arguments = json!({"browser": "chromium", "test": format!("tests/{}.spec.ts", self.feature.name)});
        let result = Ok(json!({"passed": passes, "console_errors": errors}));
        let acts = vec![
            Act::Tool(ToolCall { tool: "run_browser", arguments, result, millis }),
            Act::Call(self.call(VALIDATOR, 4)),
        ];
        let verdict = if passes { "the test passed" } else { "the test failed" };
        let mut scene = self.scene("validate", VALIDATOR, acts, verdict.into());
        let result = json!({"browser_launched": true, "test_executed": true, "test_passed": passes,
                            "screenshots": ["1.png", "2.png"], "execution_time_ms": millis,
                            "console_errors": errors, "network_failures": []});
        scene.then.push(Act::Say("validation.completed", json!({"result": result})));
        scene.error = (!passes).then_some(verdict);
        scene
    }

    fn scene(&mut self, step: &'static str, cast: Cast, acts: Vec<Act>, output: String) -> Scene {
        let work = Work { agent: cast.agent, model: cast.model, acts, output, error: None };
        Scene { step, work, then: Vec::new(), error: None }
    }

    fn tool(&mut self, tool: &'static str, arguments: Value, result: Value) -> ToolCall {
        ToolCall { tool, arguments, result: Ok(result), millis: self.random.between(120, 450) }
    }

    /// A call that answers in so many pieces. One without an answer has taken nothing.
    fn call(&mut self, cast: Cast, pieces: usize) -> Call {
        let prompt = format!("You are the {} of tests for {}.", cast.agent, self.feature.name);
        let pieces = answer(cast.agent, self.feature, pieces, &mut self.random);
        let pace_ms = (self.random.between(250, 700), self.random.between(60, 160));
        let input = self.random.between(4_000, 24_000);
        let output = pieces.len() as u64 * self.random.between(30, 110);
        let mut usage = Usage::new(input, output);
        match cast.provider {
            "anthropic" => usage = usage.cache_read(input * 6 / 10).cache_write(input / 10),
            "openai" => usage = usage.cache_read(input / 4).reasoning(output / 3),
            _ => {}
        }
        let usage = if pieces.is_empty() { Usage::default() } else { usage };
        Call { model: cast.model, provider: cast.provider, prompt, pieces, pace_ms, usage, error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        for goes_wrong in [false, true] {
            let told = |seed| format!("{:?}", Story::new(seed, 1, goes_wrong));
            assert_eq!(told(7), told(7));
            assert_ne!(told(7), told(8));
        }
    }

    #[test]
    fn a_good_story_has_no_failures_and_a_bad_one_of_every_kind() {
        let (good, bad) = (Story::new(1, 0, false).tally(), Story::new(1, 0, true).tally());
        for tally in [good.calls, good.tools, good.agents, good.steps, good.reviews, good.validations] {
            assert!(tally[0] > 0 && tally[1] == 0, "{good:?}");
        }
        for tally in [bad.calls, bad.tools, bad.agents, bad.steps, bad.reviews] {
            assert!(tally[0] > 0 && tally[1] > 0, "{bad:?}");
        }
        assert_eq!((bad.validations, bad.said), ([0, 1], 4));
    }

    #[test]
    fn stories_that_go_on_at_the_same_time_are_of_different_features() {
        let features: Vec<&str> = (0..3).map(|number| Story::new(3, number, false).feature).collect();
        assert!(features[0] != features[1] && features[1] != features[2] && features[0] != features[2]);
    }
}
