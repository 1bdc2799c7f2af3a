//! The demonstration: made-up agents that write tests of a shop, traced through the library as any program is.
//!
//! It knows the library from outside only, as `spanlight::…`, so that what it does is what anybody can do. `story` says
//! what happens, `play` lets it happen.

mod play;
mod random;
mod story;
mod words;

use std::time::Duration;

use tracing::instrument::WithSubscriber;

pub use story::{Act, Call, Ending, Review, Scene, Story, Tally, ToolCall, Work};

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
        (0..self.runs).map(|number| Story::new(self.seed, number, self.failure && number % 2 == 0)).collect()
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
