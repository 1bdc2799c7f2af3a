//! Writes stories: who does what in which order, with which figures.

use serde_json::{Value, json};
use spanlight::Usage;

use super::random::Random;
use super::story::{Act, Call, Ending, Plot, Review, Scene, ToolCall, Work};
use super::words::{Feature, answer};

/// Writes stories.
pub struct Author {
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
    /// Of a feature.
    pub fn new(random: Random, feature: &'static Feature) -> Author {
        Author { random, feature }
    }

    /// What happens, and how it ends.
    pub fn write_up(&mut self, plot: Plot) -> (Vec<Scene>, Ending) {
        match plot {
            Plot::Success => (self.success(), Ending::Good),
            Plot::OutOfMoney => {
                let mut scenes =
                    self.trouble(json!({"decision": "approved", "by": "dana", "message": "dana: try again"}));
                scenes.extend([self.write_at_great_cost(), self.validate(true)]);
                (scenes, Ending::Good)
            }
            Plot::GivenUp => {
                let no = json!({"decision": "rejected", "by": "robin", "message": "robin: this needs no test"});
                (self.trouble(no), Ending::Bad("a person gave it up"))
            }
        }
    }

    fn success(&mut self) -> Vec<Scene> {
        vec![self.plan(), self.write(1), self.review(Review::Approved), self.validate(true)]
    }

    /// A tool that does not answer, a critic that rejects, a model that is overloaded, a test that fails, and somebody who
    /// has to look.
    fn trouble(&mut self, answer: Value) -> Vec<Scene> {
        let mut first = self.write(1);
        let (arguments, millis) = (json!({"command": "npm ci"}), self.random.between(500, 900));
        let hangs = ToolCall { tool: "run_command", arguments, result: Err("no answer within 60 s"), millis };
        // It is tried again, and again, with the same arguments.
        for at in 1..=3 {
            first.work.acts.insert(at, Act::Tool(hangs.clone()));
        }
        let mut second = self.write(2);
        let overloaded = Some(("overloaded_error", "the model is overloaded"));
        second.work.acts.insert(0, Act::Call(Call { error: overloaded, ..self.call(WRITER, 0) }));
        let together =
            json!({"primary_agent": "writer", "collaborating_agents": ["critic"], "consensus_reached": true});
        second.work.acts.push(Act::Say("agent.collaborated", together));
        let mut failed = self.validate(false);
        let escalation = json!({"attempts": 2, "last_error": "the test failed", "priority": "high"});
        failed.then.push(Act::Say("hitl.escalated", escalation));
        failed.then.push(Act::Wait(self.random.between(1500, 2500)));
        failed.then.push(Act::Say("hitl.resolved", answer));
        vec![self.plan(), first, self.review(Review::Rejected), second, self.review(Review::Approved), failed]
    }

    /// The third attempt reads everything there is, asks whether there is money for more, and ends if there is not.
    fn write_at_great_cost(&mut self) -> Scene {
        let (mut all, mut more) = (self.call(WRITER, 6), self.call(WRITER, 14));
        all.usage = Usage::new(self.random.between(19_000, 21_000), 400);
        more.usage = Usage::new(60_000, 4_000);
        let acts = vec![Act::Call(all), Act::CallIfPaid(more, 0.25)];
        self.scene("write", WRITER, acts, "a test from scratch".into())
    }

    fn plan(&mut self) -> Scene {
        let routes = json!({"routes": self.feature.routes});
        let remembered = json!({"tier": "project", "key": format!("plans/{}", self.feature.name), "hit": true});
        let acts = vec![
            Act::Progress("reading what there is", 1, 2),
            Act::Say("memory.accessed", remembered),
            Act::Tool(self.tool("list_routes", json!({"prefix": self.feature.routes[0]}), routes)),
            Act::Progress("planning", 2, 2),
            Act::Call(self.call(PLANNER, 6)),
            Act::Say("agent.handed_off", json!({"from": "planner", "to": "writer"})),
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
        // Close to one another, so that budgets are crossed at the same places whatever the seed.
        let input = self.random.between(18_000, 22_000);
        let output = pieces.len() as u64 * self.random.between(60, 80);
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
