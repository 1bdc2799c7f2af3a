//! What ends a command from outside: Ctrl-C, and whoever stops services.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// Both of them.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes them from now on.
    pub fn new() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::new);
        Ok(Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
