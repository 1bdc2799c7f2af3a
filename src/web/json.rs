//! What the API answers, as JSON.

use super::columns;
use super::explain::{write_call, write_making};
use crate::derive::cost::{By, Figures, Making, Report};
use crate::derive::{CallRecord, OpenWork, RunSummary, RunTree, RunningRun, TreeNode};
use crate::dialect::Usage;
use crate::event::{JsonObject, Timestamp, push_str};
use crate::flow::SharedRecord;
use crate::hub::{Hub, Page};
use crate::measure::{Firing, Summary, SummaryRow};

/// `{"error": …}`
pub fn error(message: &str) -> Vec<u8> {
    object(|object| object.str("error", message))
}

/// The ledger, with how its costs were made if somebody wants to know. It may still change, and may be limited to what
/// somebody may see.
pub fn ledger(
    (by, window): (By, &str),
    report: &Report,
    (provisional, limited): (bool, bool),
    explains: bool,
) -> Vec<u8> {
    let write = |object: &mut JsonObject<'_>, figures: &Figures, making: &Making| {
        figures.write(object);
        if explains {
            write_making(object, making);
        }
    };
    object(|object| {
        object.display("by", by);
        object.str("window", window);
        object.bool("provisional", provisional);
        if limited {
            object.bool("limited", true);
        }
        let mut totals = JsonObject::begin(object.key("totals"));
        write(&mut totals, &report.totals, &report.making);
        totals.end();
        list(object.key("rows"), &report.rows, |out, row| {
            let mut entry = JsonObject::begin(out);
            entry.str("key", &row.key);
            write(&mut entry, &row.figures, &row.making);
            entry.end();
        });
    })
}

/// The summary, in total and broken down; since when there was work in its window, and the alerts that fire.
pub fn summary(
    window: &str,
    (summary, rows): (&Summary, &[SummaryRow]),
    (first_work, now): (Option<Timestamp>, Timestamp),
    firing: &[Firing],
) -> Vec<u8> {
    object(|object| {
        write_summary_of(object, window, summary, rows);
        object.display("now", now);
        if let Some(first_work) = first_work {
            object.display("first_work_at", first_work);
        }
        list(object.key("alerts"), firing, write_firing);
    })
}

fn write_firing(out: &mut Vec<u8>, firing: &Firing) {
    let mut entry = JsonObject::begin(out);
    entry.str("alert", &firing.alert);
    entry.str("metric", firing.metric.as_str());
    if let Some((dimension, of)) = &firing.of {
        entry.str(dimension.as_str(), of);
    }
    entry.opt_f64("value", firing.value);
    entry.f64(firing.bound.0, firing.bound.1);
    entry.display("since", firing.since);
    entry.end();
}

/// The members of a summary.
pub fn write_summary_of(object: &mut JsonObject<'_>, window: &str, summary: &Summary, rows: &[SummaryRow]) {
    object.str("window", window);
    let mut total = JsonObject::begin(object.key("summary"));
    summary.write(&mut total);
    total.end();
    list(object.key("rows"), rows, |out, row| {
        let mut entry = JsonObject::begin(out);
        entry.str("key", &row.key);
        row.summary.write(&mut entry);
        entry.end();
    });
}

/// How a run's work is written.
#[derive(Clone, Copy, Debug)]
pub enum Tree {
    /// As objects, each with those below it.
    Nested,
    /// As columns, for whoever has much to read.
    Columns,
}

/// One run with its work; `stored` is by how many events it is told again, where it has left memory.
pub fn run(tree: &RunTree, form: Tree, stored: Option<u64>) -> Vec<u8> {
    object(|object| {
        write_summary(object, &tree.summary);
        if let Some(events) = stored {
            object.bool("stored", true);
            object.u64("events", events);
        }
        match form {
            Tree::Nested => list(object.key("tree"), &tree.roots, write_node),
            Tree::Columns => columns::write_tree(object, tree),
        }
    })
}

/// The runs that are not over, and how many there are beyond these.
pub fn now(running: &[RunningRun], more: usize, at: Timestamp) -> Vec<u8> {
    object(|object| {
        object.display("at", at);
        list(object.key("running"), running, |out, run| {
            let mut entry = JsonObject::begin(out);
            write_summary(&mut entry, &run.summary);
            entry.display("last_seen_at", run.last_seen);
            list(entry.key("open"), &run.open, write_open);
            entry.end();
        });
        object.u64("more", more as u64);
    })
}

/// How the cost of a run was made.
pub fn run_ledger(id: &str, calls: &[CallRecord]) -> Vec<u8> {
    object(|object| {
        object.str("run", id);
        list(object.key("calls"), calls, write_call);
    })
}

/// A page of events.
pub fn events(hub: &Hub, page: &Page) -> Vec<u8> {
    object(|object| {
        object.str("epoch", hub.epoch());
        list(object.key("events"), &page.events, |out, (offset, record)| {
            out.extend_from_slice(offset_event(*offset, record).as_bytes());
        });
        object.u64("next", page.next);
        if let Some((from, to)) = page.gap {
            object.raw("gap", gap(from, to, hub.why_gone()).as_bytes());
        }
    })
}

/// An event with its offset.
pub fn offset_event(offset: u64, record: &SharedRecord) -> String {
    format!("{{\"offset\":{offset},\"event\":{}}}", record.json())
}

/// Offsets that cannot be had.
pub fn gap(from: u64, to: u64, reason: &str) -> String {
    let json = object(|object| {
        object.u64("from", from);
        object.u64("to", to);
        object.str("reason", reason);
    });
    String::from_utf8(json).unwrap_or_default()
}

/// A run as in a list.
pub fn write_summary(object: &mut JsonObject<'_>, run: &RunSummary) {
    object.str("id", &run.id);
    object.str("name", &run.name);
    object.str("status", run.status.as_str());
    object.display("started_at", run.started_at);
    if let Some(ended_at) = run.ended_at {
        object.display("ended_at", ended_at);
        object.f64("duration_ms", millis(run.started_at, ended_at));
    }
    object.opt_str("service", run.service.as_deref());
    object.opt_str("dialect", run.dialect);
    object.opt_str("conversation_id", run.conversation_id.as_deref());
    object.opt_str("session_id", run.session_id.as_deref());
    object.opt_str("user_id", run.user_id.as_deref());
    object.opt_str("feature", run.feature.as_deref());
    object.opt_str("task_id", run.task_id.as_deref());
    list(object.key("agents"), &run.agents, |out, agent| push_str(out, agent));
    object.opt_str("error", run.error.as_deref());
    object.bool("provisional", run.provisional);
    if run.orphans > 0 {
        object.u64("missing_parents", run.orphans as u64);
    }
    let mut figures = JsonObject::begin(object.key("figures"));
    run.figures.write(&mut figures);
    figures.end();
}

fn write_node(out: &mut Vec<u8>, node: &TreeNode) {
    let mut entry = JsonObject::begin(out);
    entry.display("span_id", node.span_id);
    entry.str("scope", node.scope.as_str());
    entry.str("operation", node.operation);
    entry.opt_str("name", node.name.as_deref());
    entry.str("status", node.status.as_str());
    entry.display("started_at", node.started_at);
    if let Some(ended_at) = node.ended_at {
        entry.display("ended_at", ended_at);
        entry.f64("duration_ms", millis(node.started_at, ended_at));
    }
    if node.inferred {
        entry.bool("inferred", true);
    }
    entry.opt_str("agent", node.agent.as_deref());
    entry.opt_str("model", node.model.as_deref());
    if let Some(usage) = &node.usage {
        write_usage(&mut entry, usage);
        entry.bool("counts", node.counts);
    }
    entry.opt_f64("cost_usd", node.cost_usd);
    entry.opt_str("error", node.error.as_deref());
    if !node.children.is_empty() {
        list(entry.key("children"), &node.children, write_node);
    }
    entry.end();
}

fn write_open(out: &mut Vec<u8>, work: &OpenWork) {
    let mut entry = JsonObject::begin(out);
    entry.display("span_id", work.span_id);
    entry.str("scope", work.scope.as_str());
    entry.str("operation", work.operation);
    entry.opt_str("name", work.name.as_deref());
    entry.opt_str("agent", work.agent.as_deref());
    if let Some(agent) = work.agent_span_id {
        entry.display("agent_span_id", agent);
    }
    entry.opt_str("model", work.model.as_deref());
    entry.display("started_at", work.started_at);
    entry.end();
}

/// The tokens of a call.
pub fn write_usage(object: &mut JsonObject<'_>, usage: &Usage) {
    object.opt_u64("input_tokens", usage.input);
    object.opt_u64("output_tokens", usage.output);
    object.opt_u64("cache_read_tokens", usage.cache_read);
    object.opt_u64("cache_write_tokens", usage.cache_write);
    object.opt_u64("reasoning_tokens", usage.reasoning);
    if usage.repaired {
        object.bool("usage_repaired", true);
    }
}

/// The milliseconds between two times.
pub fn millis(from: Timestamp, to: Timestamp) -> f64 {
    to.micros_since(from) as f64 / 1000.0
}

/// An object of what `write` writes.
pub fn object(write: impl FnOnce(&mut JsonObject<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = JsonObject::begin(&mut out);
    write(&mut object);
    object.end();
    out
}

/// A list of what `write` writes of each.
pub fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
