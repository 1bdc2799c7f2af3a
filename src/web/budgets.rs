//! Budgets over HTTP: how they stand, and whether work should go on.

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::api::{Query, bad, ok, refuse};
use super::json;
use crate::budget::{Budget, Dimension, Question, Unanswerable, Verdict};
use crate::event::{JsonObject, Timestamp};

/// Windows of one budget that are listed, those with the most spent first.
const MOST: usize = 1000;

/// `GET /api/v1/budgets`
pub async fn budgets(state: Shared, RawQuery(query): RawQuery) -> Response {
    if let Some(answer) = Query::parse(query.as_deref()).unknown(&[]) {
        return answer;
    }
    let now = Timestamp::now();
    let listed = state.connector.budgets(|budgets| {
        let all = budgets.all(MOST, now);
        json::object(|object| {
            object.display("now", now);
            json::list(object.key("budgets"), &all, |out, (budget, verdicts)| {
                let mut entry = JsonObject::begin(out);
                write_budget(&mut entry, budget, verdicts);
                entry.end();
            });
        })
    });
    let none = || json::object(|object| json::list(object.key("budgets"), &[] as &[Verdict], |_, _| {}));
    ok(listed.unwrap_or_else(none))
}

/// `GET /api/v1/budgets/{name}/verdict`
pub async fn verdict(state: Shared, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let question = match question(Query::parse(query.as_deref())) {
        Ok(question) => question,
        Err(answer) => return *answer,
    };
    match state.connector.judge(&name, &question) {
        Ok(verdict) => ok(json::object(|object| write_verdict(object, &verdict))),
        Err(error @ Unanswerable::NoSuchBudget { .. }) => refuse(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error @ Unanswerable::OfWhich { .. }) => bad(&error.to_string()),
    }
}

/// What somebody says of what they want to do.
fn question(mut query: Query) -> Result<Question, Box<Response>> {
    let mut take = |key: &str| query.take(key).map(std::sync::Arc::<str>::from);
    let mut question = Question { run: take("run"), ..Question::default() };
    let whose = &mut question.whose;
    for (key, value) in [
        ("feature", &mut whose.feature),
        ("agent", &mut whose.agent),
        ("model", &mut whose.model),
        ("provider", &mut whose.provider),
        ("tool", &mut whose.tool),
        ("user", &mut whose.user),
    ] {
        *value = take(key);
    }
    let tags: Vec<_> = std::iter::from_fn(|| take("tag")).collect();
    whose.tags = (!tags.is_empty()).then(|| tags.into());
    if let Some(text) = take("est_cost") {
        let usd = text.parse().ok().filter(|usd: &f64| usd.is_finite() && *usd >= 0.0);
        let no_amount = || bad(&format!("`est_cost={text}` is no amount of US dollars, such as 0.25"));
        question.estimated_usd = Some(usd.ok_or_else(|| Box::new(no_amount().into_response()))?);
    }
    const KNOWN: &[&str] = &["feature", "agent", "model", "provider", "tool", "user", "tag", "run", "est_cost"];
    query.unknown(KNOWN).map_or(Ok(question), |answer| Err(Box::new(answer)))
}

fn write_budget(object: &mut JsonObject<'_>, budget: &Budget, verdicts: &[Verdict]) {
    object.str("name", budget.name());
    object.str("per", budget.per().as_str());
    object.f64("limit_usd", budget.limit().dollars());
    object.f64("warn_at", budget.warns_at());
    object.bool("hard", budget.is_hard());
    let only: Vec<(Dimension, &[String])> = budget.matches().collect();
    if !only.is_empty() {
        let mut matched = JsonObject::begin(object.key("match"));
        for (dimension, values) in only {
            json::list(matched.key(dimension.as_str()), values, |out, value| crate::event::push_str(out, value));
        }
        matched.end();
    }
    object.opt_str("each", budget.of_each().map(Dimension::as_str));
    json::list(object.key("windows"), verdicts, |out, verdict| {
        let mut entry = JsonObject::begin(out);
        write_verdict(&mut entry, verdict);
        entry.end();
    });
}

fn write_verdict(object: &mut JsonObject<'_>, verdict: &Verdict) {
    object.str("verdict", verdict.decision.as_str());
    object.str("reason", verdict.reason.as_str());
    object.str("budget", &verdict.budget);
    object.opt_str("value", verdict.value.as_deref());
    object.opt_f64("spent", verdict.spent);
    object.opt_f64("limit", verdict.limit);
    object.opt_f64("remaining", verdict.remaining);
    object.opt_f64("in_flight_estimate", verdict.in_flight_estimate);
    if let Some(since) = verdict.since {
        object.display("since", since);
    }
    if let Some(resets_at) = verdict.resets_at {
        object.display("resets_at", resets_at);
    }
    object.opt_u64("age_ms", verdict.age.map(|age| age.as_millis() as u64));
}
