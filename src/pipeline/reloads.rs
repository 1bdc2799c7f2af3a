//! Files of certificates, keys and tokens: looked at in intervals, and when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::health::{About, Count, Health};
use crate::report;

/// How often files are looked at of which no configuration says it.
pub const USUAL: Duration = Duration::from_secs(60);

const RELOADS: About = About {
    name: "spanlight.reloads",
    unit: "{reload}",
    help: "Files of certificates, keys and tokens that were read again because they had changed, by outcome.",
};

/// What is made of files that may change.
pub struct Reloads {
    tasks: JoinSet<()>,
    /// Changes when somebody asks.
    asked: watch::Receiver<()>,
    health: Health,
}

/// Reads files again, and says whether something else was in them.
type Renew = Arc<dyn Fn() -> Result<bool, String> + Send + Sync>;

impl Reloads {
    /// None yet. All are looked at at once when `asked` changes.
    pub fn new(asked: watch::Receiver<()>, health: &Health) -> Reloads {
        Reloads { tasks: JoinSet::new(), asked, health: health.clone() }
    }

    /// Looks from now on, for as long as this is there.
    pub fn add(
        &mut self,
        what: &str,
        every: Duration,
        renew: impl Fn() -> Result<bool, String> + Send + Sync + 'static,
    ) {
        let count = |outcome| self.health.counter(RELOADS, &[("component", what), ("outcome", outcome)]);
        let (renewed, failed) = (count("renewed"), count("failed"));
        let (what, mut asked, renew): (_, _, Renew) = (what.to_owned(), self.asked.clone(), Arc::new(renew));
        self.tasks.spawn(async move {
            let mut interval = interval(every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // They have just been read.
            interval.tick().await;
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    Ok(()) = asked.changed() => {}
                }
                look(&what, &renew, &renewed, &failed).await;
            }
        });
    }
}

async fn look(what: &str, renew: &Renew, renewed: &Count, failed: &Count) {
    let renew = renew.clone();
    // Disks may be slow. Where reading itself broke, there is nothing to say that a panic has not said.
    let Ok(result) = spawn_blocking(move || renew()).await else { return };
    match result {
        Ok(false) => {}
        Ok(true) => {
            renewed.add(1);
            report::note(&format!("{what}: certificates, keys or tokens were read again"));
        }
        Err(error) => {
            failed.add(1);
            report::warn(&format!("{what}: {error}; what was read before stays in force"));
        }
    }
}
