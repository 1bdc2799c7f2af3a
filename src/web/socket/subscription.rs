//! Which events a client of a WebSocket gets, and where in the hub it is.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::MOST_RECENT;
use super::message::{self, Complaint, Envelope, Request};
use crate::event::Filter;
use crate::flow::SharedRecord;
use crate::hub::Hub;

/// Events that are read from the hub at a time.
const AT_ONCE: usize = 100;
/// Events that are sent before the client is listened to again.
const AT_A_STRETCH: usize = 10;

/// What a client asked for, and how much of it it has.
pub struct Subscription {
    hub: Arc<Hub>,
    /// None if it gets no events.
    filter: Option<Filter>,
    envelope: Envelope,
    /// Whether it may still say what it wants before it gets everything.
    opening: bool,
    /// The first offset that was not looked at.
    next: u64,
    /// What it does not know yet to be missing.
    gap: Option<(u64, u64, &'static str)>,
    /// What was read for it and not sent.
    ready: VecDeque<(u64, SharedRecord)>,
}

/// What is said of a message that is no text.
pub fn no_text() -> String {
    message::error(&Complaint { code: "invalid_message", message: "messages are JSON, as text".into() })
}

impl Subscription {
    /// Of a client that has not said yet what it wants.
    pub fn new(hub: Arc<Hub>, next: u64) -> Subscription {
        let ready = VecDeque::new();
        Subscription { hub, filter: None, envelope: Envelope::Event, opening: true, next, gap: None, ready }
    }

    /// Whether it may still say what it wants before it gets everything.
    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// The first offset that was not sent.
    pub fn next(&self) -> u64 {
        self.ready.front().map_or(self.next, |(offset, _)| *offset)
    }

    /// It has not said what it wants, so it gets everything.
    pub fn take_all(&mut self) {
        self.opening = false;
        self.filter = Some(Filter::default());
    }

    /// Looks for events; whether there is anything to send.
    pub fn look(&mut self) -> bool {
        if let (Some(filter), true) = (&self.filter, self.ready.is_empty()) {
            let page = self.hub.read(self.next, AT_ONCE, filter);
            // What is missing is said once, as one piece.
            self.gap = match (self.gap, page.gap) {
                (Some((from, _, reason)), Some((_, to))) => Some((from, to, reason)),
                (None, Some((from, to))) => Some((from, to, self.hub.why_gone())),
                (gap, None) => gap,
            };
            self.next = page.next;
            self.ready = page.events.into();
        }
        self.filter.is_some() && (self.gap.is_some() || !self.ready.is_empty())
    }

    /// Whether there is more to look at, although nothing of what was looked at is to be sent.
    pub fn is_behind(&self) -> bool {
        self.filter.is_some() && self.next < self.hub.head()
    }

    /// The next messages.
    pub fn take(&mut self) -> Vec<String> {
        let gap = self.gap.take().map(|(from, to, reason)| message::gap(from, to, reason));
        let stretch = self.ready.len().min(AT_A_STRETCH);
        let events = self.ready.drain(..stretch).map(|(offset, record)| message::event(self.envelope, offset, &record));
        gap.into_iter().chain(events).collect()
    }

    /// Does what a client says, and answers it; of a `hello` the events are the answer, which `None` says.
    pub fn answer(&mut self, text: &str) -> Option<String> {
        let answered = match message::parse(text) {
            Ok(request) => self.obey(request),
            Err((kind, complaint)) => {
                // Whoever asked for something and was not understood must not be given everything.
                self.opening &= !matches!(kind, Some("hello" | "subscribe" | "unsubscribe"));
                Err(complaint)
            }
        };
        answered.unwrap_or_else(|complaint| Some(message::error(&complaint)))
    }

    fn obey(&mut self, request: Request) -> Result<Option<String>, Complaint> {
        match request {
            Request::Hello { resume_from, epoch, envelope, filter } => {
                let opening = std::mem::take(&mut self.opening);
                if filter.is_some() || self.filter.is_none() {
                    self.replace_filter(&filter.unwrap_or_default(), opening)?;
                }
                self.envelope = envelope;
                self.resume(resume_from, epoch.as_deref());
                Ok(None)
            }
            Request::Subscribe { filter, replay } => {
                let opening = std::mem::take(&mut self.opening);
                self.replace_filter(&filter, opening)?;
                // To replay is to go back to the first of them: then they come in order, and none twice.
                if let Some((first, _)) = self.last(replay).first() {
                    self.next = self.next.min(*first);
                }
                Ok(Some(message::subscribed(&filter, self.next)))
            }
            Request::Unsubscribe {} => {
                self.opening = false;
                self.filter = None;
                self.gap = None;
                self.ready.clear();
                Ok(Some(message::unsubscribed()))
            }
            Request::GetRecent { limit } => {
                let limit = limit.unwrap_or(100);
                if limit > MOST_RECENT {
                    let message = format!("`limit` is at most {MOST_RECENT}");
                    return Err(Complaint { code: "invalid_message", message });
                }
                Ok(Some(message::recent(self.hub.epoch(), &self.last(limit))))
            }
            Request::Ping => Ok(Some(message::pong())),
        }
    }

    /// What was read for the old filter is looked at again with the new one.
    fn replace_filter(&mut self, fields: &Map<String, Value>, opening: bool) -> Result<(), Complaint> {
        let filter = message::filter(fields)?;
        // Who had no subscription has missed nothing.
        self.next = if opening || self.filter.is_some() { self.next() } else { self.hub.head() };
        self.ready.clear();
        self.filter = Some(filter);
        Ok(())
    }

    /// Goes back to behind the last event that the client has; with an epoch alone it has none of that one.
    fn resume(&mut self, last: Option<u64>, epoch: Option<&str>) {
        let wanted = match (last, epoch) {
            (None, None) => return,
            (last, _) => last.map_or(0, |last| last.saturating_add(1)),
        };
        let known = epoch.is_none_or(|epoch| epoch == self.hub.epoch());
        // An offset that was not given out yet is of another epoch, whatever the client says.
        if known && wanted <= self.hub.head() {
            self.next = wanted;
            self.gap = None;
        } else {
            self.next = self.hub.first();
            self.gap = Some((0, self.next, "the collector was restarted"));
        }
    }

    /// The last events that fit.
    fn last(&self, limit: usize) -> Vec<(u64, SharedRecord)> {
        if limit == 0 {
            return Vec::new();
        }
        let all = Filter::default();
        let mut events = self.hub.read(self.hub.first(), usize::MAX, self.filter.as_ref().unwrap_or(&all)).events;
        events.split_off(events.len().saturating_sub(limit))
    }
}
