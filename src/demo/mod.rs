//! The demonstration: made-up agents that write tests of a shop, traced through the library as any program is.
//!
//! It knows the library from outside only, as `spanlight::…`, so that what it does is what anybody can do. `story` says
//! what happens, `author` writes it, `play` lets it happen.

mod author;
mod play;
mod random;
mod story;
mod words;

use std::time::Duration;

use spanlight::budget::Dimension;
use spanlight::{Budget, Builder, ContentPolicy, Telemetry};
use tracing::instrument::WithSubscriber;

pub use story::{Act, Call, Ending, Plot, Review, Scene, Story, Tally, ToolCall, Work};

/// What is played.
#[derive(Clone, Debug)]
pub struct Program {
    /// The same seed tells the same stories.
    pub seed: u64,
    /// How many.
    pub runs: u32,
    /// Whether every other one goes wrong, the first included.
    pub failure: bool,
    /// So many times as fast as agents are.
    pub speed: f64,
}

impl Program {
    /// The stories, in the order in which they begin.
    pub fn stories(&self) -> Vec<Story> {
        let plot = |number| match number % 4 {
            0 if self.failure => Plot::OutOfMoney,
            2 if self.failure => Plot::GivenUp,
            _ => Plot::Success,
        };
        (0..self.runs).map(|number| Story::new(self.seed, number, plot(number))).collect()
    }

    /// What it traces itself with, without anywhere to send it: what nobody said can be shown to anybody, and every
    /// feature has a budget, which the agents ask.
    pub fn telemetry(&self) -> Builder {
        let budget = Budget::daily(play::BUDGET, self.limit_of_a_feature()).each(Dimension::Feature);
        Telemetry::builder().service_name("spanlight-demo").content(ContentPolicy::Keep).budget(budget)
    }

    /// US dollars: where things go wrong, a third attempt is one too many.
    fn limit_of_a_feature(&self) -> f64 {
        if self.failure { 0.24 } else { self.plenty() }
    }

    /// What all of it may cost in US dollars: less than it does where things go wrong.
    pub fn daily_limit(&self) -> f64 {
        if self.failure { 0.15 * f64::from(self.runs) } else { self.plenty() }
    }

    /// What each feature may cost in a month in US dollars, which is more.
    pub fn monthly_limit_of_a_feature(&self) -> f64 {
        if self.failure { 0.5 * f64::from(self.runs.div_ceil(6)) } else { self.plenty() }
    }

    fn plenty(&self) -> f64 {
        5.0 + f64::from(self.runs)
    }

    /// Plays all of them, one beginning while others go on. `name` begins the names of their tasks, so that those of two
    /// programs are not the same.
    pub async fn play(&self, name: &str) {
        let mut playing = tokio::task::JoinSet::new();
        for story in self.stories() {
            let pace = play::Pace::new(self.speed);
            let task = format!("{name}-{}", story.number + 1);
            playing.spawn(async move { play::play(&story, &task, pace).await }.with_current_subscriber());
        }
        playing.join_all().await;
    }

    /// About how long it takes.
    pub fn duration(&self) -> Duration {
        let longest = self.stories().iter().map(Story::millis).max().unwrap_or_default();
        Duration::from_millis(longest).div_f64(self.speed)
    }
}
