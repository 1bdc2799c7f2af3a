//! Waiting for a bus to have done everything, and its end.

use std::time::Instant;

use super::Report;
use super::dispatch::Core;

impl Core {
    /// Waits until everything is handled; what is left at the deadline.
    pub fn wait(&self, deadline: Instant) -> Report {
        let pending = self.wait_until_handed_on(deadline);
        let subscriptions = self.subscriptions();
        let handlers = subscriptions.iter().filter(|inbox| !inbox.settings.is_stream);
        let left = handlers.filter_map(|inbox| {
            let left = inbox.wait_until_done(deadline).err()?;
            Some((inbox.settings.id.clone(), left))
        });
        Report { pending, left: left.collect() }
    }

    /// Takes nothing more in, and waits until everything is handled; what is left at the deadline is discarded.
    pub fn shutdown(&self, deadline: Instant) -> Report {
        self.close();
        let pending = self.wait_until_handed_on(deadline);
        let subscriptions = self.subscriptions();
        subscriptions.iter().for_each(|inbox| inbox.close());
        let report = Report { pending, ..self.wait(deadline) };
        subscriptions.iter().filter(|inbox| !inbox.settings.is_stream).for_each(|inbox| inbox.cancel());
        report
    }
}
