//! Events of the catalogue from code: what each of them needs is an argument, the rest is added by name.

use std::sync::Arc;

use super::{ComponentId, Data, Event, EventName, Timestamp};

impl Event {
    /// A reviewer decided on somebody's work: `approved`, `rejected` or `revise`.
    ///
    /// ```
    /// use spanlight::event::Event;
    ///
    /// let event = Event::review_decided("critic", "rejected");
    /// assert_eq!(event.component_id.to_string(), "critic");
    /// ```
    pub fn review_decided(reviewer: impl Into<Arc<str>>, decision: &str) -> Event {
        let reviewer = reviewer.into();
        let mut event = Event::now("review.decided");
        event.data = Data::build(|data| {
            data.str("decision", decision);
            data.str("reviewer", &reviewer);
        });
        event.component_id = ComponentId::Agent(reviewer);
        event
    }

    fn now(name: &'static str) -> Event {
        Event::named(EventName::of(name), Timestamp::now())
    }
}
