//! Where in the hub a client is, and what it is sent of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Limits;
use super::frames::Frames;
use super::message;
use super::request::{self, Complaint, Envelope, Hello, Narrow, Request, Subscribe};
use super::wants::{Key, Wants};
use crate::auth::Principal;
use crate::event::{Event, Filter};
use crate::flow::SharedRecord;
use crate::hub::{Hub, Page};

use axum::extract::ws::Utf8Bytes;
use serde_json::{Map, Value};

/// Events that are looked at at a time.
const AT_ONCE: usize = 100;
/// Events that are sent before the client is listened to again: enough that sending them costs more than having the system
/// send, and few enough that a thousand clients who do not read have little waiting.
const AT_A_STRETCH: usize = 100;
/// Events of a run or conversation that come first if nobody says how many.
const REPLAYED: usize = 100;

/// What a client asked for, and how much of it it has.
pub struct Subscription {
    hub: Arc<Hub>,
    frames: Arc<Frames>,
    /// What it may see.
    principal: Principal,
    wants: Wants,
    envelope: Envelope,
    /// Whether it may still say what it wants before it gets everything.
    opening: bool,
    /// The first offset that was not looked at.
    next: u64,
    /// What it does not know yet to be missing.
    gap: Option<(u64, u64, &'static str)>,
    /// What was read for it and not sent.
    ready: VecDeque<(u64, SharedRecord)>,
    /// What happened before it was subscribed to, which comes first. It is behind `next`, so it does not say where we are.
    missed: VecDeque<(u64, SharedRecord)>,
}

impl Subscription {
    /// Of a client that has not said yet what it wants.
    pub fn new(hub: Arc<Hub>, frames: Arc<Frames>, principal: Principal, next: u64) -> Subscription {
        let (wants, envelope) = (Wants::default(), Envelope::Event);
        let (ready, missed) = (VecDeque::new(), VecDeque::new());
        Subscription { hub, frames, principal, wants, envelope, opening: true, next, gap: None, ready, missed }
    }

    /// Whether it may still say what it wants before it gets everything.
    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// The first offset that was not sent.
    pub fn next(&self) -> u64 {
        self.ready.front().map_or(self.next, |(offset, _)| *offset)
    }

    /// What it wants.
    pub fn wants(&self) -> &Wants {
        &self.wants
    }

    /// How events are wrapped.
    pub fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// Lets somebody else ask.
    pub fn is_for(&mut self, principal: Principal) {
        self.principal = principal;
    }

    /// It has not said what it wants, so it gets everything.
    pub fn take_all(&mut self) {
        self.opening = false;
        self.wants = Wants::all();
    }

    /// Looks for events; whether there is anything to send.
    pub fn look(&mut self) -> bool {
        if !self.missed.is_empty() {
            return true;
        }
        if self.wants.is_nothing() {
            return !self.ready.is_empty();
        }
        if self.ready.is_empty() {
            let Page { events, next, gap } = self.hub.read(self.next, AT_ONCE, &Filter::default());
            // What is missing is said once, as one piece.
            self.gap = match (self.gap, gap) {
                (Some((from, _, reason)), Some((_, to))) => Some((from, to, reason)),
                (None, Some((from, to))) => Some((from, to, self.hub.why_gone())),
                (gap, None) => gap,
            };
            self.next = next;
            let (wants, principal) = (&self.wants, &self.principal);
            let is_wanted = |(_, record): &(u64, SharedRecord)| takes(wants, principal, record.event());
            self.ready = events.into_iter().filter(is_wanted).collect();
        }
        self.gap.is_some() || !self.ready.is_empty()
    }

    /// Whether there is more to look at, although nothing of what was looked at is to be sent.
    pub fn is_behind(&self) -> bool {
        !self.wants.is_nothing() && self.next < self.hub.head()
    }

    /// The next messages.
    pub fn take(&mut self) -> Vec<Utf8Bytes> {
        let gap = self.gap.take().map(|(from, to, reason)| message::gap(from, to, reason).into());
        let (frames, envelope) = (&self.frames, self.envelope);
        let first = if self.missed.is_empty() { &mut self.ready } else { &mut self.missed };
        let stretch = first.len().min(AT_A_STRETCH);
        let events = first.drain(..stretch).map(|(offset, record)| frames.get(envelope, offset, &record));
        gap.into_iter().chain(events).collect()
    }

    /// Does what a client says, and answers it; of a `hello` the events are the answer, which `None` says.
    pub fn answer(&mut self, said: Result<Request, (Option<&'static str>, Complaint)>) -> Option<String> {
        let answered = match said {
            Ok(request) => self.obey(request),
            Err((kind, complaint)) => {
                // Whoever asked for something and was not understood must not be given everything.
                self.opening &= !matches!(kind, Some("hello" | "subscribe" | "unsubscribe" | "filter_update"));
                Err(complaint)
            }
        };
        answered.unwrap_or_else(|complaint| Some(message::error(&complaint)))
    }

    fn obey(&mut self, request: Request) -> Result<Option<String>, Complaint> {
        match request {
            Request::Hello(hello) => self.greet(hello).map(|()| None),
            Request::Subscribe(subscribe) => self.subscribe(&subscribe).map(Some),
            Request::Unsubscribe(named) => {
                let key = named.key()?;
                self.opening = false;
                match &key {
                    Some(key) if !self.wants.remove(key) => {
                        return Err(Complaint::invalid(format!("there is no subscription to {key:?}")));
                    }
                    Some(_) => {}
                    None => self.wants.clear(),
                }
                self.look_again();
                if self.wants.is_nothing() {
                    self.gap = None;
                }
                Ok(Some(message::unsubscribed(key.as_ref())))
            }
            Request::FilterUpdate(narrow) => {
                self.narrow(narrow)?;
                Ok(Some(message::filter_updated(&self.wants)))
            }
            Request::GetRecent { limit, event_types } => self.recent(limit, &event_types).map(Some),
            Request::Ping => Ok(Some(message::pong())),
        }
    }

    fn greet(&mut self, hello: Hello) -> Result<(), Complaint> {
        let opening = std::mem::take(&mut self.opening);
        let wanted_nothing = self.wants.is_nothing();
        let Hello { subscriptions, filter, agent_filter, performance_threshold, .. } = hello;
        self.narrow(Narrow { filter, agent_filter, performance_threshold, subscriptions })?;
        if wanted_nothing && self.wants.is_nothing() {
            self.wants.add(Key::Topic(super::wants::ALL_EVENTS));
        }
        // Who had no subscription has missed nothing.
        if wanted_nothing && !opening {
            self.next = self.hub.head();
        }
        self.envelope = hello.envelope;
        self.resume(hello.resume_from, hello.epoch.as_deref());
        Ok(())
    }

    fn narrow(&mut self, narrow: Narrow) -> Result<(), Complaint> {
        let filter = narrow.filter.as_ref().map(request::filter).transpose()?;
        let is_share = |threshold: &f64| (0.0..=1.0).contains(threshold);
        if narrow.performance_threshold.is_some_and(|threshold| !is_share(&threshold)) {
            return Err(Complaint::invalid("`performance_threshold` is from 0 to 1"));
        }
        if let Some(names) = &narrow.subscriptions {
            self.wants.set_topics(names)?;
        }
        self.wants.narrow(filter, narrow.agent_filter, narrow.performance_threshold);
        self.look_again();
        Ok(())
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Result<String, Complaint> {
        let key = subscribe.key()?;
        if subscribe.replay.is_some_and(|replay| replay > Limits::MOST_RECENT) {
            return Err(Complaint::invalid(format!("`replay` is at most {}", Limits::MOST_RECENT)));
        }
        let opening = std::mem::take(&mut self.opening);
        match key {
            Some(key) => Ok(self.subscribe_to(key, subscribe.replay)),
            None => self.subscribe_all(&subscribe.filter.clone().unwrap_or_default(), subscribe.replay, opening),
        }
    }

    /// To one thing more. What was there of it and was not sent comes first, and then all goes on: none comes twice.
    fn subscribe_to(&mut self, key: Key, replay: Option<usize>) -> String {
        let replay = replay.unwrap_or(if matches!(key, Key::Topic(_)) { 0 } else { REPLAYED });
        if self.wants.is_nothing() {
            self.next = self.hub.head();
        }
        let before = self.next();
        let (wants, principal) = (&self.wants, &self.principal);
        let is_new = |event: &Event| wants.takes_too(&key, event) && principal.may_see(event);
        let missed = self.last(replay, |offset, event| offset < before && is_new(event));
        let confirmed = message::subscribed(&key, before, missed.len());
        self.wants.add(key);
        self.look_again();
        self.missed.extend(missed);
        confirmed
    }

    /// To whatever fits, instead of all that was subscribed to.
    fn subscribe_all(
        &mut self,
        fields: &Map<String, Value>,
        replay: Option<usize>,
        opening: bool,
    ) -> Result<String, Complaint> {
        let filter = request::filter(fields)?;
        // Who had no subscription has missed nothing.
        self.next = if opening || !self.wants.is_nothing() { self.next() } else { self.hub.head() };
        self.ready.clear();
        self.missed.clear();
        self.wants = Wants::all();
        self.wants.narrow(Some(filter), None, None);
        // To replay is to go back to the first of them: then they come in order, and none twice.
        if let Some((first, _)) = self.last_wanted(replay.unwrap_or(0)).first() {
            self.next = self.next.min(*first);
        }
        Ok(message::subscribed_to(fields, self.next))
    }

    fn recent(&self, limit: Option<usize>, names: &[String]) -> Result<String, Complaint> {
        let limit = limit.unwrap_or(100);
        if limit > Limits::MOST_RECENT {
            return Err(Complaint::invalid(format!("`limit` is at most {}", Limits::MOST_RECENT)));
        }
        let of_names = Filter::from_pairs(names.iter().map(|name| ("name", name.as_str())), Default::default());
        let of_names = of_names.map_err(Complaint::filter)?;
        let all = Wants::all();
        let wants = if self.wants.is_nothing() { &all } else { &self.wants };
        let is_asked = |_, event: &Event| of_names.matches(event) && takes(wants, &self.principal, event);
        Ok(message::recent(self.hub.epoch(), &self.last(limit, is_asked)))
    }

    /// What was read for what was wanted before is looked at again.
    fn look_again(&mut self) {
        self.next = self.next();
        self.ready.clear();
        let (wants, principal) = (&self.wants, &self.principal);
        self.missed.retain(|(_, record)| takes(wants, principal, record.event()));
    }

    /// Goes back to behind the last event that the client has; with an epoch alone it has none of that one.
    fn resume(&mut self, last: Option<u64>, epoch: Option<&str>) {
        let wanted = match (last, epoch) {
            (None, None) => return,
            (last, _) => last.map_or(0, |last| last.saturating_add(1)),
        };
        self.missed.clear();
        let known = epoch.is_none_or(|epoch| epoch == self.hub.epoch());
        // An offset that was not given out yet is of another epoch, whatever the client says; or of a collector that has
        // read more of the same log.
        if known && (wanted <= self.hub.head() || (epoch.is_some() && self.hub.is_mirror())) {
            self.next = wanted;
            self.gap = None;
        } else {
            self.next = self.hub.first();
            self.gap = Some((0, self.next, "the collector was restarted"));
        }
    }

    fn last_wanted(&self, limit: usize) -> Vec<(u64, SharedRecord)> {
        self.last(limit, |_, event| takes(&self.wants, &self.principal, event))
    }

    /// The last events that fit.
    fn last(&self, limit: usize, fits: impl Fn(u64, &Event) -> bool) -> Vec<(u64, SharedRecord)> {
        if limit == 0 {
            return Vec::new();
        }
        let mut events = self.hub.read(self.hub.first(), usize::MAX, &Filter::default()).events;
        events.retain(|(offset, record)| fits(*offset, record.event()));
        events.split_off(events.len().saturating_sub(limit))
    }
}

fn takes(wants: &Wants, principal: &Principal, event: &Event) -> bool {
    wants.takes(event) && principal.may_see(event)
}
