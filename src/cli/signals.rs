//! What ends a command from outside: Ctrl-C, and whoever stops services; and what makes it read its files again.

use std::io::IsTerminal;

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

/// A hangup: of a terminal, which is the end, or from whoever has new files for a service.
pub struct Hangups {
    hangup: Signal,
    has_terminal: bool,
}

impl Hangups {
    /// Takes them from now on.
    pub fn new() -> Result<Hangups, Failure> {
        let has_terminal = std::io::stdin().is_terminal() || std::io::stdout().is_terminal();
        Ok(Hangups { hangup: signal(SignalKind::hangup()).map_err(Failure::new)?, has_terminal })
    }

    /// Waits for the next one. Says whether it is the end.
    pub async fn next(&mut self) -> bool {
        self.hangup.recv().await;
        self.has_terminal
    }
}
