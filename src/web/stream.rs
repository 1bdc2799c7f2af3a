//! Events as they happen, as server-sent events that resume where they broke off.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};

use super::api::{Query, Who, refuse};
use super::{Shared, guard, json};
use crate::event::{Filter, Timestamp};
use crate::hub::Hub;

/// `GET /api/v1/stream`: from `Last-Event-ID` or `from` on, else from now on; until who asks is believed no more.
pub async fn stream(state: Shared, who: Who, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let mut query = Query::parse(query.as_deref());
    let hub = state.hub.clone();
    let from = match start(&hub, &headers, query.take("from").as_deref()) {
        Ok(from) => from,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, &message),
    };
    match Filter::from_pairs(query.pairs(), Timestamp::now()) {
        Ok(filter) => {
            let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
            let messages = messages(hub, from, who.limit(filter)).take_until(guard::end_of_belief(who.until()));
            Sse::new(messages).keep_alive(keep_alive).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Where a client wants to begin, and whether that is in another epoch.
enum Begin {
    Offset(u64),
    OtherEpoch,
}

fn start(hub: &Hub, headers: &HeaderMap, from: Option<&str>) -> Result<Begin, String> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    match (last, from) {
        (Some(last), _) => match last.split_once(':') {
            Some((epoch, offset)) if epoch == hub.epoch() => {
                let next = offset.parse::<u64>().ok().and_then(|offset| offset.checked_add(1));
                next.map(Begin::Offset).ok_or_else(|| format!("`{last}` is no event id"))
            }
            _ => Ok(Begin::OtherEpoch),
        },
        (None, Some(from)) => from.parse().map(Begin::Offset).map_err(|_| format!("`from={from}` is no offset")),
        (None, None) => Ok(Begin::Offset(hub.head())),
    }
}

fn messages(hub: Arc<Hub>, from: Begin, filter: Filter) -> impl Stream<Item = Result<Message, Infallible>> {
    const AT_ONCE: usize = 100;
    let (next, first) = match from {
        Begin::Offset(offset) => (offset, Vec::new()),
        Begin::OtherEpoch => {
            let first = hub.first();
            let gap = json::gap(0, first, "the collector was restarted");
            (first, vec![Message::default().event("gap").data(gap)])
        }
    };
    let watch = hub.watch();
    let state = (hub, watch, next, first.into_iter().rev().collect::<Vec<_>>(), filter);
    stream::unfold(state, |(hub, mut watch, mut next, mut ready, filter)| async move {
        loop {
            if let Some(message) = ready.pop() {
                return Some((Ok(message), (hub, watch, next, ready, filter)));
            }
            watch.borrow_and_update();
            let page = hub.read(next, AT_ONCE, &filter);
            let gap =
                page.gap.map(|(from, to)| Message::default().event("gap").data(json::gap(from, to, hub.why_gone())));
            let events = page.events.iter().map(|(offset, record)| {
                let id = format!("{}:{offset}", hub.epoch());
                Message::default().id(id).data(json::offset_event(*offset, record))
            });
            ready.extend(gap.into_iter().chain(events));
            ready.reverse();
            let looked_at_all = page.next == next || page.next >= hub.head();
            next = page.next;
            if ready.is_empty() && !looked_at_all {
                // Others have a turn, however little of what is on disk fits.
                tokio::task::yield_now().await;
            } else if ready.is_empty() && watch.changed().await.is_err() {
                return None;
            }
        }
    })
}
