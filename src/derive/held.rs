//! Spans whose events are not out yet: they wait for what is above them, or until it is clear what they are.

use std::time::Duration;

use bytes::Bytes;

use super::names::Name;
use super::node::{NodeIx, State};
use super::run::Run;
use crate::dialect::{Attributes, Content, Lexicon, Marks, Op, Spot};
use crate::event::Timestamp;
use crate::otlp::view::Span;

/// How long a span's events wait for the spans above it. SDKs export children before their parents, mostly in
/// the same request or the next.
pub const HOLD: Duration = Duration::from_millis(500);

/// How long those of work wait of which it is open what it is: as long as its figures.
pub const UNDECIDED: Duration = Duration::from_secs(5);

/// A span whose events are not out yet.
#[derive(Clone, Debug)]
pub struct Held {
    pub at: NodeIx,
    pub since: Timestamp,
    /// The encoded span, a slice of the batch it came in, if there may be content in it.
    pub content: Option<Bytes>,
    /// The name of its instrumentation scope.
    pub instrumentation: Name,
    /// What its scope and resource are signs of.
    pub marks: Marks,
    pub service: Option<Name>,
    pub instance: Option<Name>,
    /// Whether it is to be heard above it what it is.
    pub waits_above: bool,
}

impl Held {
    /// Something to tell of work of which there is no span.
    pub fn of_run(run: &Run, at: NodeIx, since: Timestamp) -> Held {
        Held {
            at,
            since,
            content: None,
            instrumentation: "".into(),
            marks: Marks::default(),
            service: run.service.clone(),
            instance: run.instance.clone(),
            waits_above: false,
        }
    }

    /// What the span says beyond its meaning, which is that it does this.
    pub fn read<'a>(&'a self, op: Op, lexicon: &Lexicon, attributes: &mut Attributes<'a>) -> Content<'a> {
        let Some(record) = &self.content else { return Content::default() };
        attributes.clear();
        let span = Span::read_with(record, |name, attribute| attributes.take_of(name, lexicon, attribute));
        Content::read(&Spot::new(&self.instrumentation, self.marks, &span, attributes, lexicon), op)
    }
}

impl Run {
    /// Forgets what an earlier look at the same span held: a later one knows more.
    pub fn forget_held(&mut self, at: NodeIx) {
        let waits = matches!(self.node(at).state, State::Open { .. }) || self.node(at).was_seen_open;
        if waits && self.held.iter().any(|held| held.at == at) {
            self.held.retain(|held| held.at != at);
            self.looked_at = 0;
        }
    }

    /// Takes out the held spans that have waited for `patience`, or whose surroundings are known. Those that were
    /// looked at in vain are looked at again only if something has arrived above any of them.
    pub fn take_ready(&mut self, now: Timestamp, patience: Duration) -> Vec<Held> {
        let mut held = std::mem::take(&mut self.held);
        let expired = held.partition_point(|held| held.since <= now.minus(patience));
        let mut ready: Vec<Held> = held.drain(..expired).collect();
        let gap_closed = std::mem::take(&mut self.gap_closed);
        let new = if gap_closed { 0 } else { self.looked_at.saturating_sub(expired) };
        // Whoever has told of the beginning tells of the end too, and of what was in between before it.
        let is_ready = |held: &mut Held| self.is_complete_above(held.at) && !self.node(held.at).has_teller;
        ready.extend(held.extract_if(new.., is_ready));
        self.looked_at = held.len();
        self.held = held;
        self.keep_undecided(&mut ready, gap_closed, now, patience);
        ready
    }

    /// Keeps back that of which it is open what it is, for as long as calls may still come that tell; and gives out what
    /// has become clear.
    fn keep_undecided(&mut self, ready: &mut Vec<Held>, gap_closed: bool, now: Timestamp, patience: Duration) {
        if !patience.is_zero() {
            let is_undecided = |held: &mut Held| {
                held.waits_above = self.lacks_who_hands_off(held.at);
                held.waits_above || self.is_undecided(held.at)
            };
            let undecided: Vec<Held> = ready.extract_if(.., is_undecided).collect();
            self.undecided.extend(undecided);
        }
        if self.undecided.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.undecided);
        let waits_until = if patience.is_zero() { now } else { now.minus(UNDECIDED) };
        let is_clear = |held: &mut Held| {
            let node = self.node(held.at);
            // Where nothing has come above it, it need not be asked once more what is there: others may be many.
            let waits = held.waits_above && !gap_closed && node.agent.is_none() && !node.was_seen_open;
            held.since <= waits_until || !(waits || self.is_undecided(held.at))
        };
        ready.extend(waiting.extract_if(.., is_clear));
        self.undecided = waiting;
    }
}
