//! `spanlight health`: whether a running collector moves, for health checks of containers and services.

use http_body_util::{BodyExt, Limited};

use super::client::request;
use super::{Failure, Target};
use crate::console;

/// A reason is no longer.
const LONGEST_REASON: usize = 4096;

/// Runs the command: it ends well if the collector is ready, else with the reason.
pub async fn health(target: Target) -> Result<(), Failure> {
    let answer = request(&target, "/readyz", &[]).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_REASON).collect().await;
    let body = body.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?.to_bytes();
    let said = String::from_utf8_lossy(&body);
    if !status.is_success() {
        return Err(Failure::new(format!("{} is not ready ({status}): {}", target.url, said.trim())));
    }
    let json = serde_json::json!({"ready": true, "url": target.url});
    console::output(&if target.json { json.to_string() } else { said.trim().to_owned() });
    Ok(())
}
