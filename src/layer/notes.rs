//! What open spans say of themselves: pieces of answers and progress, merged, and that they live.

use std::time::Duration;

use super::command::{Command, Reader, Value};
use super::follow::Follower;
use super::open::Pending;
use super::tell::Told;
use crate::semconv::Key;

/// Pieces of an answer are merged for so long.
const CHUNK: u64 = 50_000_000;
/// Progress is merged for so long.
const PROGRESS: u64 = 100_000_000;
/// A piece of merged text does not get longer.
const MOST_PENDING: usize = 64 << 10;

impl Follower {
    /// A piece of an answer came. The first one tells how long it took.
    pub(super) fn chunk(&mut self, command: &Command<'_>, told: &mut Vec<Told>) {
        self.will_tell(command.span);
        let Some(span) = self.open.get_mut(&command.span) else { return };
        let Some(text) = Reader(command.payload).text() else { return };
        if !std::mem::replace(&mut span.has_answered, true) {
            let seconds = command.stamp.saturating_sub(span.began) as f64 / 1e9;
            span.record_default(Key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK.name(), &Value::Double(seconds));
        }
        span.life.say(false);
        let new = Pending { since: command.stamp, text: String::new(), data: String::new() };
        let pending = span.chunk.get_or_insert(new);
        pending.text.push_str(text);
        if pending.text.len() > MOST_PENDING {
            self.tell_pending_of(command.span, u64::MAX, told);
        }
    }

    /// A span has come further; what it said before and has not gone out is out of date.
    pub(super) fn progress(&mut self, command: &Command<'_>) {
        self.will_tell(command.span);
        let mut reader = Reader(command.payload);
        let (Some(span), Some(text)) = (self.open.get_mut(&command.span), reader.text()) else { return };
        let since = span.progress.as_ref().map_or(command.stamp, |pending| pending.since);
        let data = reader.text().unwrap_or_default();
        span.progress = Some(Pending { since, text: text.into(), data: data.into() });
        span.life.say(false);
    }

    fn will_tell(&mut self, id: u64) {
        if self.open.get(&id).is_some_and(|span| span.chunk.is_none() && span.progress.is_none()) {
            self.pending.push(id);
        }
    }

    /// Tells what was merged for long enough.
    pub(super) fn tell_pending(&mut self, now: u64, told: &mut Vec<Told>) {
        for id in std::mem::take(&mut self.pending) {
            self.tell_pending_of(id, now, told);
            if self.open.get(&id).is_some_and(|span| span.chunk.is_some() || span.progress.is_some()) {
                self.pending.push(id);
            }
        }
    }

    /// The same of one span, of which is told before that it has begun.
    pub(super) fn tell_pending_of(&mut self, id: u64, now: u64, told: &mut Vec<Told>) {
        let is_due = |pending: &mut Pending, patience: u64| now.saturating_sub(pending.since) >= patience;
        let Some(span) = self.open.get_mut(&id) else { return };
        let chunk = span.chunk.take_if(|pending| is_due(pending, CHUNK));
        let progress = span.progress.take_if(|pending| is_due(pending, PROGRESS));
        if chunk.is_none() && progress.is_none() {
            return;
        }
        self.tell_those_above(id);
        told.extend(self.writer.batch());
        let Some(span) = self.open.get_mut(&id) else { return };
        told.extend(chunk.and_then(|pending| Told::chunk(span, &pending)));
        told.extend(progress.and_then(|pending| Told::progress(span, &pending)));
    }

    /// Has open spans say that they live. They are looked through a few times in that time.
    pub(super) fn beat(&mut self, now: u64, every: Duration, told: &mut Vec<Told>) {
        if self.next_beat > now {
            return;
        }
        let every = every.as_nanos() as u64;
        self.next_beat = now + every / 8;
        for span in self.open.values_mut().filter(|span| span.is_told) {
            if now.saturating_sub(span.last_heartbeat) >= every {
                span.last_heartbeat = now;
                told.extend(Told::heartbeat(span, now));
            }
        }
    }
}
