//! One span as its emitter sent it.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::api::{Who, may_see, no_run, ok, refuse};
use super::{Shared, json, stored};
use crate::blocking::off_worker;
use crate::event::{SpanId, TraceId};
use crate::otlp::json::to_json;
use crate::otlp::schema;

/// `GET /api/v1/runs/{id}/spans/{span}`: the requests that it came with, without all else, as OTLP/JSON.
pub async fn span(state: Shared, who: Who, Path((run, span)): Path<(String, String)>) -> Response {
    let Some(id) = SpanId::from_hex(&span) else {
        return refuse(StatusCode::BAD_REQUEST, &format!("`{span}` is no span id: 16 hexadecimal digits"));
    };
    let traces = state.connector.read(|core| {
        let visible = who.sees_all() || may_see(&who, &core.deriver.tree(&run)?.summary);
        if visible { core.deriver.traces_of(&run) } else { None }
    });
    let traces = match traces {
        Some(traces) => traces,
        // Of one that has left memory, no spans are known but those that came last.
        None if stored::find(&state, &who, &run).is_some() => TraceId::from_hex(&run).into_iter().collect(),
        None => return no_run(&run),
    };
    let is_of_run = |trace: &[u8]| traces.iter().any(|known| known.as_bytes().as_slice() == trace);
    // It reads through megabytes.
    let found = off_worker(|| state.recent.find(id, |span| is_of_run(span.trace_id)));
    let requests: Vec<String> = found.iter().map(|batch| to_json(batch.bytes(), &schema::TRACES)).collect();
    ok(json::object(|object| {
        json::list(object.key("requests"), &requests, |out, request| out.extend_from_slice(request.as_bytes()));
    }))
}
