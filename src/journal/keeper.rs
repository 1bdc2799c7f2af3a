//! The keeper: one thread that syncs, saves cursors and deletes what is not kept, so that the writer need not wait.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::event::Timestamp;

/// How often cursors are saved and old segments looked for.
const ROUND: Duration = Duration::from_secs(1);

/// Works until it is told to end.
pub fn run(shared: &Arc<Shared>) {
    let sync_every = shared.settings.sync_every.max(Duration::from_millis(1));
    let (mut synced, mut looked) = (Instant::now(), Instant::now());
    loop {
        let (wants_sync, closed) = wait(shared, sync_every.min(ROUND));
        if closed {
            return;
        }
        if wants_sync || synced.elapsed() >= sync_every {
            shared.sync();
            synced = Instant::now();
        }
        if looked.elapsed() >= ROUND {
            if shared.save_cursors().is_err() {
                // They are saved with the next round; until then what they hold is kept.
                shared.counts.failures.fetch_add(1, Relaxed);
            }
            shared.retain(Timestamp::now());
            shared.queue.nudge();
            looked = Instant::now();
        }
    }
}

fn wait(shared: &Shared, most: Duration) -> (bool, bool) {
    let keeper = shared.keeper();
    let idle = |keeper: &mut super::shared::Keeper| !keeper.wants_sync && !keeper.closed;
    let (mut keeper, _) =
        shared.wake_keeper.wait_timeout_while(keeper, most, idle).unwrap_or_else(PoisonError::into_inner);
    (std::mem::take(&mut keeper.wants_sync), keeper.closed)
}
