//! What a collector has left on disk, to be read while none runs.

use std::path::Path;
use std::sync::Arc;

use super::past;
use super::plan::Plan;
use crate::health::Health;
use crate::hub::Hub;

/// The events of a data directory, by the names that a plan has for its parts.
///
/// # Errors
/// There is no journal, it cannot be read, or a collector has it open; the remedy.
pub fn archive(plan: &Plan, data_dir: &Path) -> Result<Arc<Hub>, String> {
    let health = Health::default();
    let Some(config) = plan.journal() else {
        return Err("the configuration has no extension `journal`, without which no events are kept".into());
    };
    let directory = data_dir.join(&config.directory);
    if !directory.is_dir() {
        return Err(format!("there is no journal in {}; --data-dir names another place", directory.display()));
    }
    let journal = config.open(data_dir, &health).map_err(|error| error.to_string())?;
    let history = plan.history().map(|config| config.open(data_dir, &journal, &health)).transpose()?;
    Ok(past::hub(0, Some(&journal), history))
}
