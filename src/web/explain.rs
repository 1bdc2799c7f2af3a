//! How a cost was made, as JSON: of one call, and added up.

use super::json::{list, write_usage};
use crate::derive::CallRecord;
use crate::derive::cost::{Amounts, Counting, Item, LeftOutSum, Line, Making, Part, Rates, UnpricedModel};
use crate::event::JsonObject;

/// One call, or other work that reports tokens or a cost beside the calls below it.
pub fn write_call(out: &mut Vec<u8>, call: &CallRecord) {
    let mut entry = JsonObject::begin(out);
    entry.display("span_id", call.span_id);
    entry.str("operation", call.operation);
    entry.opt_str("agent", call.agent.as_deref());
    entry.opt_str("provider", call.provider.as_deref());
    entry.opt_str("model", call.model.as_deref());
    write_usage(&mut entry, &call.usage);
    entry.opt_str("token_counting", Counting::of(&call.usage).map(Counting::as_str));
    entry.bool("counts", call.counts);
    entry.opt_f64("cost_usd", call.price.usd());
    match call.price.source() {
        Ok(source) => entry.str("price_source", source.as_str()),
        Err(unpriced) if call.counts => entry.str("unpriced", unpriced.as_str()),
        Err(_) => {}
    }
    let computed = call.price.computed.as_ref().ok();
    entry.opt_str("priced_as", computed.map(|computed| &*computed.rates.model));
    entry.opt_f64("reported_usd", call.price.reported_usd);
    entry.opt_f64("deviation_usd", call.price.both_usd().map(|(reported, computed)| reported - computed));
    if let Some(computed) = computed {
        let mut object = JsonObject::begin(entry.key("computed"));
        object.f64("usd", dollars(computed.usd));
        write_rates(&mut object, &computed.rates, &Amounts::of(&call.usage));
        object.end();
    }
    if let Some(left_out) = &call.left_out {
        let mut object = JsonObject::begin(entry.key("left_out"));
        object.str("reason", left_out.reason.as_str());
        object.opt_u64("tokens", left_out.tokens);
        object.opt_f64("usd", left_out.usd);
        object.end();
    }
    entry.end();
}

/// How the cost of a row was made.
pub fn write_making(object: &mut JsonObject<'_>, making: &Making) {
    let mut entry = JsonObject::begin(object.key("explanation"));
    list(entry.key("lines"), &making.lines, write_line);
    for (key, money) in [("other_rates", making.others), ("reported", making.reported)] {
        if money.calls > 0 {
            let mut object = JsonObject::begin(entry.key(key));
            object.u64("calls", money.calls);
            object.f64("usd", money.usd);
            object.end();
        }
    }
    if making.agents.calls > 0 {
        let mut object = JsonObject::begin(entry.key("reported_by_agents"));
        object.u64("runs", making.agents.calls);
        object.f64("usd", making.agents.usd);
        object.end();
    }
    if making.promoted > 0 {
        entry.u64("promoted_runs", making.promoted);
    }
    list(entry.key("unpriced"), &making.unpriced, write_unpriced);
    list(entry.key("left_out"), &making.left_out, write_left_out);
    let mut counting = JsonObject::begin(entry.key("token_counting"));
    let counted = Counting::ALL.into_iter().zip(making.counting).filter(|(_, calls)| *calls > 0);
    counted.for_each(|(kind, calls)| counting.u64(kind.as_str(), calls));
    counting.end();
    entry.end();
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    let mut entry = JsonObject::begin(out);
    entry.bool("counts", line.counts);
    entry.u64("calls", line.calls);
    entry.f64("usd", dollars(line.usd()));
    write_rates(&mut entry, &line.rates, &line.amounts);
    entry.end();
}

fn write_rates(object: &mut JsonObject<'_>, rates: &Rates, amounts: &Amounts) {
    object.str("price_source", rates.source.as_str());
    object.str("price_version", &rates.version);
    object.str("priced_as", &rates.model);
    object.opt_str("service_tier", rates.service_tier.as_deref());
    if rates.tier_is_unknown {
        object.bool("service_tier_unpriced", true);
    }
    object.opt_u64("above_tokens", rates.above);
    object.opt_str("from", rates.from.map(|from| from.date()).as_deref());
    if rates.is_approximate(amounts) {
        object.bool("approx", true);
    }
    let items: Vec<Item> = rates.items(amounts).collect();
    list(object.key("parts"), &items, write_item);
}

fn write_item(out: &mut Vec<u8>, item: &Item) {
    let mut entry = JsonObject::begin(out);
    entry.str("part", item.part.as_str());
    match item.part {
        Part::Request => {
            entry.u64("requests", item.amount);
            entry.f64("usd_per_request", dollars(item.per_million / 1e6));
        }
        _ => {
            entry.u64("tokens", item.amount);
            entry.f64("usd_per_mtok", item.per_million);
        }
    }
    entry.f64("usd", dollars(item.usd));
    if item.is_assumed {
        entry.bool("approx", true);
    }
    entry.end();
}

fn write_unpriced(out: &mut Vec<u8>, unpriced: &UnpricedModel) {
    let mut entry = JsonObject::begin(out);
    entry.str("reason", unpriced.reason.as_str());
    entry.opt_str("provider", unpriced.provider.as_deref());
    entry.opt_str("model", unpriced.model.as_deref());
    entry.u64("calls", unpriced.calls);
    entry.end();
}

fn write_left_out(out: &mut Vec<u8>, left_out: &LeftOutSum) {
    let mut entry = JsonObject::begin(out);
    entry.str("reason", left_out.reason.as_str());
    entry.u64("times", left_out.times);
    if left_out.tokens > 0 {
        entry.u64("tokens", left_out.tokens);
    }
    entry.opt_f64("usd", left_out.usd);
    entry.end();
}

/// An amount without the digits that come of adding in binary.
fn dollars(usd: f64) -> f64 {
    (usd * 1e12).round() / 1e12
}
