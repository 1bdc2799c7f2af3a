//! Work that waits for the disk or takes long, on a thread that has other tasks as well.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Lets the other tasks of this thread go on elsewhere meanwhile, where there are other threads.
pub fn off_worker<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}
