//! What happens: stories as data, made of a seed, so that whoever watches can know what there is to see.

use serde_json::Value;
use spanlight::Usage;

use super::author::Author;
use super::random::Random;
use super::words::FEATURES;

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

/// What stories are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// All goes well.
    Success,
    /// Much goes wrong, a person says to try again, and then the budget of the feature is spent.
    OutOfMoney,
    /// Much goes wrong, and a person says to leave it.
    GivenUp,
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
    /// A model is to be called for about so many US dollars, which is done only if the budget of the feature has as much.
    /// In stories it has not, and what the agent was doing ends there.
    CallIfPaid(Call, f64),
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
    /// Escalations that people answered with yes, and with no.
    pub resolutions: [u64; 2],
    /// Whether it is stopped because its budget is spent.
    pub stopped: u64,
}

impl Story {
    /// The story of a seed, a number and a plot.
    pub fn new(seed: u64, number: u32, plot: Plot) -> Story {
        let mut random = Random::new(seed, u64::from(number) + 1);
        // Stories that go on at the same time are of different features.
        let first = Random::new(seed, 0).next() as usize;
        let feature = &FEATURES[first.wrapping_add(number as usize) % FEATURES.len()];
        let queued_ms = 150 + u64::from(number) * 900 + random.between(0, 400);
        let (scenes, ending) = Author::new(random, feature).write_up(plot);
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
        for scene in self.played() {
            tally.steps[usize::from(scene.error.is_some() || scene.is_stopped())] += 1;
            tally.agents[usize::from(scene.work.error.is_some() || scene.is_stopped())] += 1;
        }
        tally.stopped = self.played().filter(|scene| scene.is_stopped()).count() as u64;
        self.acts().for_each(|act| tally.add(act));
        tally
    }

    /// What is not stopped before.
    fn played(&self) -> impl Iterator<Item = &Scene> {
        let stopped = self.scenes.iter().position(Scene::is_stopped);
        self.scenes.iter().take(stopped.map_or(self.scenes.len(), |at| at + 1))
    }

    fn acts(&self) -> impl Iterator<Item = &Act> {
        self.played().flat_map(|scene| scene.work.acts.iter().chain(&scene.then))
    }
}

impl Scene {
    /// Whether it ends for want of money.
    pub fn is_stopped(&self) -> bool {
        self.work.acts.iter().any(|act| matches!(act, Act::CallIfPaid(..)))
    }
}

impl Act {
    fn millis(&self) -> u64 {
        match self {
            Act::Call(call) => call.pace_ms.0 + call.pace_ms.1 * call.pieces.len() as u64,
            Act::Tool(call) => call.millis,
            Act::Wait(millis) => *millis,
            Act::CallIfPaid(..) | Act::Progress(..) | Act::Review(_) | Act::Say(..) => 0,
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
            Act::Say("hitl.resolved", resolution) => {
                self.resolutions[usize::from(resolution["decision"] != "approved")] += 1;
            }
            Act::Say(..) | Act::CallIfPaid(..) | Act::Progress(..) | Act::Wait(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        for plot in [Plot::Success, Plot::OutOfMoney, Plot::GivenUp] {
            let told = |seed| format!("{:?}", Story::new(seed, 1, plot));
            assert_eq!(told(7), told(7));
            assert_ne!(told(7), told(8));
        }
    }

    #[test]
    fn a_good_story_has_no_failures_and_a_bad_one_of_every_kind() {
        let good = Story::new(1, 0, Plot::Success).tally();
        for tally in [good.calls, good.tools, good.agents, good.steps, good.reviews, good.validations] {
            assert!(tally[0] > 0 && tally[1] == 0, "{good:?}");
        }
        for (plot, resolutions, stopped) in [(Plot::OutOfMoney, [1, 0], 1), (Plot::GivenUp, [0, 1], 0)] {
            let bad = Story::new(1, 0, plot).tally();
            for tally in [bad.calls, bad.tools, bad.steps, bad.reviews] {
                assert!(tally[0] > 0 && tally[1] > 0, "{bad:?}");
            }
            assert_eq!((bad.validations, bad.resolutions, bad.stopped), ([0, 1], resolutions, stopped));
            assert_eq!(bad.agents[1], stopped);
        }
    }

    #[test]
    fn stories_that_go_on_at_the_same_time_are_of_different_features() {
        let features: Vec<&str> = (0..3).map(|number| Story::new(3, number, Plot::Success).feature).collect();
        assert!(features[0] != features[1] && features[1] != features[2] && features[0] != features[2]);
    }
}
