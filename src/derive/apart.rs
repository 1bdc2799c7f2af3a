//! Calls that are told in two traces: an SDK that traces itself, called by something whose instrumentation does not say
//! where it is, puts every call into a trace of its own.

use std::collections::VecDeque;
use std::time::Duration;

use super::Deriver;
use super::runs::RunIx;
use crate::dialect::Meaning;
use crate::event::{Scope, SpanId, Timestamp};
use crate::otlp::view::Span;

/// The latest calls that may be told a second time in another trace.
#[derive(Debug, Default)]
pub struct Apart {
    /// Those of SDKs, alone in their traces.
    alone: VecDeque<Seen>,
    /// Those of whoever may have called an SDK.
    around: VecDeque<Seen>,
}

/// What two reports of one call have in common.
#[derive(Debug)]
struct Seen {
    run: RunIx,
    model: Box<str>,
    input: u64,
    output: u64,
    start: Timestamp,
    end: Timestamp,
}

/// Whose SDKs trace themselves, and the dialect that these speak.
const PROVIDER: &str = "anthropic";
const SDK: &str = "anthropic_sdk";

impl Apart {
    /// More calls than end within the seconds that lie between two reports of one.
    const MOST: usize = 256;

    /// Takes a call down, unless the other report of it is here: then the run of the one that is alone.
    fn note(&mut self, call: Seen, is_alone: bool) -> Option<RunIx> {
        let Apart { alone, around } = self;
        let (own, others) = if is_alone { (alone, around) } else { (around, alone) };
        let is_other = |other: &Seen| if is_alone { call.is_within(other) } else { other.is_within(&call) };
        if let Some(other) = others.iter().position(is_other).and_then(|place| others.remove(place)) {
            return Some(if is_alone { call.run } else { other.run });
        }
        if own.len() == Apart::MOST {
            own.pop_front();
        }
        own.push_back(call);
        None
    }
}

impl Seen {
    const CLOSING: Duration = Duration::from_millis(5);

    /// Whether it may be what happened within the other: as many tokens of the same model, in the time of the other.
    fn is_within(&self, other: &Seen) -> bool {
        let is_same_model = self.model.starts_with(&*other.model) || other.model.starts_with(&*self.model);
        // What wraps a stream may see its last piece before the client has closed it.
        let is_in_time = other.start <= self.start && self.end <= other.end.plus(Seen::CLOSING);
        self.run != other.run && (self.input, self.output) == (other.input, other.output) && is_same_model && is_in_time
    }
}

impl Deriver {
    /// Leaves the run of an SDK's call out that another run tells of, whichever came first.
    pub(super) fn leave_out_what_is_told_apart(
        &mut self,
        ix: RunIx,
        meaning: Option<&Meaning<'_>>,
        span: &Span<'_>,
        parent: Option<SpanId>,
    ) {
        let is_its = |meaning: &&Meaning<'_>| meaning.provider.as_deref() == Some(PROVIDER);
        let Some(meaning) = meaning.filter(is_its).filter(|meaning| meaning.op.scope() == Scope::LlmRequest) else {
            return;
        };
        let (Some(model), Some(input), Some(output)) = (meaning.model(), meaning.usage.input, meaning.usage.output)
        else {
            return;
        };
        let call = Seen {
            run: ix,
            model: model.into(),
            input,
            output,
            start: Timestamp::from_unix_nanos(span.start_time_unix_nano),
            end: Timestamp::from_unix_nanos(span.end_time_unix_nano),
        };
        let is_alone = meaning.dialect == SDK && parent.is_none();
        if let Some(told_elsewhere) = self.apart.note(call, is_alone) {
            self.runs.change(told_elsewhere, |run| {
                // With other work in it, it is more than that call.
                run.told_elsewhere = run.nodes.len() == 1;
                if run.told_elsewhere {
                    run.overcounted.push(0);
                }
            });
        }
    }
}

/// Whether a call of this dialect without anything above it may yet turn out to be told elsewhere.
pub fn may_be_told_elsewhere(dialect: Option<&str>) -> bool {
    dialect == Some(SDK)
}
