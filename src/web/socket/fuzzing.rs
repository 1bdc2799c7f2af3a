//! What fuzzing gets at that nobody else needs: how a conversation is read.

use super::opening::Opening;
use super::request::{self, Complaint, Request};

/// Reads what a client says.
///
/// # Errors
/// What it is told of it.
pub fn message(text: &str) -> Result<(), String> {
    let said = |complaint: Complaint| complaint.message;
    match request::parse(text).map_err(|(_, complaint)| complaint.message)? {
        Request::Hello(hello) => {
            hello.check()?;
            hello.filter.iter().try_for_each(|fields| request::filter(fields).map(drop)).map_err(said)
        }
        Request::Subscribe(subscribe) => {
            subscribe.key().map_err(said)?;
            subscribe.filter.iter().try_for_each(|fields| request::filter(fields).map(drop)).map_err(said)
        }
        Request::Unsubscribe(named) => named.key().map(drop).map_err(said),
        Request::FilterUpdate(narrow) => {
            narrow.filter.iter().try_for_each(|fields| request::filter(fields).map(drop)).map_err(said)
        }
        Request::GetRecent { .. } | Request::Ping => Ok(()),
    }
}

/// Reads how a conversation is opened, by the path and the query of its URL.
///
/// # Errors
/// What the client is told of it.
pub fn opening(path: &str, query: &str) -> Result<(), String> {
    Opening::parse(path, Some(query)).map(drop)
}
