//! What is decided of work, by whom it is reviewed and to whom it is escalated: the catalogue's closed sets of words.

use super::kind::words;

words! {
    /// What a reviewer decided, in `review.decided`.
    Decision {
        /// Good as it is.
        Approved = "approved",
        /// Not to be used.
        Rejected = "rejected",
        /// To be done again.
        Revise = "revise",
    }
}

words! {
    /// What came of an escalation to a person, in `hitl.resolved`.
    Resolution {
        /// The person allowed it.
        Approved = "approved",
        /// The person refused it.
        Rejected = "rejected",
        /// Nobody answered in time.
        TimedOut = "timed_out",
    }
}

words! {
    /// How much an escalation to a person presses, in `hitl.escalated`. Not the same as [`super::Priority`], which is
    /// that of the event.
    Urgency {
        /// Any time.
        Low = "low",
        /// Soon.
        Medium = "medium",
        /// Now.
        High = "high",
    }
}
