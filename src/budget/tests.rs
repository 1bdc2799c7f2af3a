//! What must hold of budgets in whatever order they are told of spending.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::derive::{Cost, Statement, Whose};
use crate::event::{Event, SourceKind, Timestamp};

const NOW: &str = "2026-11-21T06:28:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn cost(at: &str, usd: f64, feature: &str) -> Cost {
    let whose = Whose { feature: Some(feature.into()), model: Some("gpt-4o".into()), ..Whose::default() };
    Cost { at: Timestamp::parse(at).unwrap(), usd, whose }
}

fn run(run: u64, costs: &[Cost]) -> Statement {
    Statement { run, id: format!("run-{run}").into(), costs: costs.to_vec(), open: Vec::new(), is_last: false }
}

fn judge(budgets: &mut Budgets, name: &str, question: &Question) -> (&'static str, &'static str, f64) {
    let verdict = budgets.judge(name, question, now()).unwrap();
    (verdict.decision.as_str(), verdict.reason.as_str(), verdict.spent.unwrap_or(-1.0))
}

fn told(budgets: &mut Budgets) -> Vec<Event> {
    budgets.crossings().iter().map(|crossing| crossing.event("", SourceKind::Otlp, now())).collect()
}

fn names(budgets: &mut Budgets) -> Vec<String> {
    told(budgets).iter().map(|event| event.name.to_string()).collect()
}

#[test]
fn a_verdict_grows_stricter_as_money_is_spent_and_milder_when_that_is_corrected() {
    let mut budgets = Budgets::new(vec![Budget::daily("daily", 10.0), Budget::daily("soft", 10.0).soft()]);
    let question = Question::default();
    for (usd, decision, reason) in [
        (7.99, "allow", "enough"),
        (8.0, "warn", "warning"),
        (9.99, "warn", "warning"),
        (10.0, "stop", "spent"),
        (12.0, "stop", "spent"),
        (3.0, "allow", "enough"),
    ] {
        budgets.state(run(1, &[cost(NOW, usd, "a")]), now());
        assert_eq!(judge(&mut budgets, "daily", &question), (decision, reason, usd));
        let soft = if decision == "stop" { "warn" } else { decision };
        assert_eq!(judge(&mut budgets, "soft", &question), (soft, reason, usd));
    }
}

#[test]
fn what_somebody_says_that_it_will_cost_counts_before_it_does() {
    let mut budgets = Budgets::new(vec![Budget::daily("daily", 10.0)]);
    budgets.state(run(1, &[cost(NOW, 7.0, "a")]), now());
    let with = |usd| Question { estimated_usd: Some(usd), ..Question::default() };
    assert_eq!(judge(&mut budgets, "daily", &with(0.5)), ("allow", "enough", 7.0));
    assert_eq!(judge(&mut budgets, "daily", &with(1.0)), ("warn", "warning", 7.0));
    assert_eq!(judge(&mut budgets, "daily", &with(3.0)), ("warn", "warning", 7.0));
    assert_eq!(judge(&mut budgets, "daily", &with(3.01)), ("stop", "too_much", 7.0));
}

#[test]
fn calls_that_go_on_cost_what_those_of_their_model_have_cost() {
    let mut budgets = Budgets::new(vec![Budget::daily("daily", 10.0)]);
    let open = |model: &str| Whose { model: Some(model.into()), ..Whose::default() };
    let in_flight = |budgets: &Budgets| budgets.look_at("daily", &Question::default(), now()).unwrap();
    assert_eq!(in_flight(&budgets).in_flight_estimate, None);
    budgets.state(Statement { open: vec![open("gpt-4o"), open("gpt-4o"), open("new")], ..run(1, &[]) }, now());
    assert_eq!(in_flight(&budgets).in_flight_estimate, None);
    budgets.learn(&"gpt-4o".into(), 4.0);
    assert_eq!(in_flight(&budgets).in_flight_estimate, Some(8.0));
    assert_eq!(in_flight(&budgets).decision, Decision::Warn);
    budgets.state(run(2, &[cost(NOW, 2.0, "a")]), now());
    assert_eq!((in_flight(&budgets).decision, in_flight(&budgets).reason), (Decision::Stop, Reason::InFlight));
    budgets.state(run(1, &[]), now());
    assert_eq!(in_flight(&budgets).in_flight_estimate, Some(0.0));
}

#[test]
fn each_crossing_is_told_once_and_again_only_of_a_limit_that_was_raised() {
    let mut budgets = Budgets::new(vec![Budget::daily("daily", 10.0)]);
    let mut spend = |usd| {
        budgets.state(run(1, &[cost(NOW, usd, "a")]), now());
        names(&mut budgets)
    };
    assert!(spend(7.0).is_empty());
    assert_eq!(spend(8.0), ["budget.warning"]);
    assert!(spend(9.0).is_empty());
    assert!(spend(1.0).is_empty());
    assert!(spend(8.5).is_empty());
    assert_eq!(spend(10.0), ["budget.exceeded"]);
    assert!(spend(20.0).is_empty());
    assert!(spend(1.0).is_empty() && spend(11.0).is_empty());
    let saved = budgets.save(now());
    let mut raised = Budgets::new(vec![Budget::daily("daily", 15.0)]);
    assert!(raised.restore(&saved).unwrap().is_empty());
    raised.state(run(2, &[cost(NOW, 2.0, "a")]), now());
    assert_eq!(names(&mut raised), ["budget.warning"]);
    raised.state(run(2, &[cost(NOW, 4.0, "a")]), now());
    assert_eq!(names(&mut raised), ["budget.exceeded"]);
}

#[test]
fn who_goes_over_both_at_once_is_told_of_the_limit_alone() {
    let mut budgets = Budgets::new(vec![Budget::daily("daily", 10.0).only(Dimension::Feature, "a")]);
    budgets.state(run(1, &[cost(NOW, 11.0, "a")]), now());
    let events = told(&mut budgets);
    assert_eq!(events.len(), 1);
    let event: serde_json::Value = serde_json::from_str(&events[0].to_json()).unwrap();
    let data = json!({
        "budget": "daily", "current_spend": 11.0, "limit": 10.0, "tasks_blocked": 0, "per": "day",
        "window_start": "2026-11-21T00:00:00.000000Z", "window_end": "2026-11-22T00:00:00.000000Z",
    });
    assert_eq!((&event["name"], &event["feature"], &event["data"]), (&"budget.exceeded".into(), &"a".into(), &data));
    assert_eq!(event["message"], "budget daily: 11.00 of 10.00 US dollars are spent (110 %)");
    // The same is the same after a restart, and something else is something else.
    let id_with = |budget: Budget, of: &str| {
        let mut budgets = Budgets::new(vec![budget]);
        budgets.state(run(7, &[cost(NOW, 12.0, "a")]), now());
        budgets.crossings()[0].event(of, SourceKind::Layer, now()).event_id
    };
    let daily = || Budget::daily("daily", 10.0);
    assert_eq!(id_with(daily().only(Dimension::Feature, "a"), ""), events[0].event_id);
    for other in [
        id_with(daily(), "agent"),
        id_with(Budget::hourly("daily", 10.0), ""),
        id_with(Budget::daily("daily", 9.0), ""),
    ] {
        assert_ne!(other, events[0].event_id);
    }
}

#[test]
fn budgets_are_for_what_they_are_for() {
    let mut budgets = Budgets::new(vec![
        Budget::daily("checkout", 10.0).only(Dimension::Feature, "checkout").only(Dimension::Model, "gpt-*"),
        Budget::hourly("features", 5.0).each(Dimension::Feature),
        Budget::per_run("runs", 3.0),
        Budget::total("tags", 3.0).only(Dimension::Tag, "nightly"),
    ]);
    let mut tagged = cost(NOW, 0.5, "search");
    tagged.whose.tags = Some(["x".into(), "nightly".into()].into());
    budgets.state(run(1, &[cost(NOW, 2.0, "checkout"), cost(NOW, 1.5, "search"), tagged]), now());
    let of = |feature: &str| {
        let whose = Whose { feature: Some(feature.into()), ..Whose::default() };
        Question { whose, run: Some("run-1".into()), ..Question::default() }
    };
    assert_eq!(judge(&mut budgets, "checkout", &Question::default()), ("allow", "enough", 2.0));
    assert_eq!(judge(&mut budgets, "checkout", &of("search")), ("allow", "not_for_this", -1.0));
    assert_eq!(judge(&mut budgets, "features", &of("search")), ("allow", "enough", 2.0));
    assert_eq!(judge(&mut budgets, "features", &of("nobody")), ("allow", "enough", 0.0));
    assert_eq!(judge(&mut budgets, "runs", &of("search")), ("stop", "spent", 4.0));
    assert_eq!(judge(&mut budgets, "tags", &of("search")), ("allow", "enough", 0.5));
    let error = |budgets: &mut Budgets, name| budgets.judge(name, &Question::default(), now()).unwrap_err().to_string();
    assert_eq!(error(&mut budgets, "runs"), "every run has a budget `runs` of its own: say which, with `run=`");
    assert_eq!(error(&mut budgets, "chekout"), "there is no budget `chekout`; did you mean `checkout`?");
}

#[test]
fn late_calls_are_spent_of_the_time_in_which_they_were_made() {
    let mut budgets = Budgets::new(vec![Budget::hourly("hourly", 1.0)]);
    let ahead = cost("2031-01-01T00:00:00Z", 0.25, "a");
    budgets.state(run(1, &[cost("2026-11-21T05:59:59Z", 1.0, "a"), cost(NOW, 0.5, "a"), ahead]), now());
    assert_eq!(judge(&mut budgets, "hourly", &Question::default()).2, 0.75);
    let events = told(&mut budgets);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].data.get("window_start"), Some("2026-11-21T05:00:00.000000Z".into()));
}

#[test]
fn what_a_run_cost_stays_when_it_leaves_memory_and_goes_when_another_holds_it() {
    let mut budgets = Budgets::new(vec![Budget::total("all", 100.0)]);
    budgets.state(Statement { is_last: true, ..run(1, &[cost(NOW, 1.0, "a")]) }, now());
    budgets.state(run(1, &[]), now());
    budgets.state(run(2, &[cost(NOW, 2.0, "a")]), now());
    budgets.state(run(3, &[cost(NOW, 4.0, "a")]), now());
    budgets.state(run(2, &[]), now());
    budgets.state(run(3, &[cost(NOW, 4.0, "a"), cost(NOW, 2.0, "a")]), now());
    assert_eq!(judge(&mut budgets, "all", &Question::default()).2, 7.0);
}

#[test]
fn values_without_number_find_an_end_and_are_counted() {
    let mut budgets =
        Budgets::new(vec![Budget::daily("features", 1.0).each(Dimension::Feature), Budget::per_run("runs", 1.0)]);
    for number in 0..Budgets::MOST as u64 + 10 {
        budgets.state(run(number, &[cost(NOW, 0.5, &format!("f{number}"))]), now());
    }
    assert_eq!(budgets.counts().no_room, 10);
    let of = |feature: &str| {
        let whose = Whose { feature: Some(feature.into()), ..Whose::default() };
        Question { whose, ..Question::default() }
    };
    assert_eq!(judge(&mut budgets, "features", &of("f3")).2, 0.5);
    // Runs that were not heard of for the longest time make room.
    let of_run = |number: usize| Question { run: Some(format!("run-{number}").into()), ..Question::default() };
    assert_eq!(judge(&mut budgets, "runs", &of_run(Budgets::MOST + 9)).2, 0.5);
}

#[test]
fn what_was_saved_is_gone_on_from_unless_it_cannot_be_used() {
    let definitions = || vec![Budget::daily("daily", 10.0), Budget::hourly("users", 1.0).each(Dimension::Feature)];
    let mut budgets = Budgets::new(definitions());
    budgets.state(run(1, &[cost(NOW, 9.0, "a"), cost(NOW, 0.5, "b")]), now());
    assert_eq!(names(&mut budgets).len(), 2);
    assert_eq!(budgets.unsaved(), Some(Urgency::Now));
    let saved = budgets.save(now());
    assert_eq!(budgets.unsaved(), None);
    let mut restored = Budgets::new(definitions());
    assert!(restored.restore(&saved).unwrap().is_empty());
    assert_eq!(restored.save(now()), saved);
    assert_eq!(judge(&mut restored, "daily", &Question::default()), ("warn", "warning", 9.5));
    restored.state(run(1, &[cost(NOW, 0.1, "b")]), now());
    assert!(names(&mut restored).is_empty());
    let mut other = Budgets::new(vec![Budget::daily("daily", 10.0).only(Dimension::Feature, "a")]);
    assert_eq!(other.restore(&saved).unwrap(), ["daily"]);
    assert_eq!(judge(&mut other, "daily", &Question::default()).2, 0.0);
    for (bytes, why) in [
        (&b"{\"version\":1,"[..], "it is damaged"),
        (b"", "it is damaged"),
        (b"{\"version\":7}", "it is of version 7 of its layout, and this program knows version 1"),
    ] {
        let mut budgets = Budgets::new(definitions());
        let error = budgets.restore(bytes).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
        assert_eq!(judge(&mut budgets, "daily", &Question::default()).2, 0.0);
    }
}

/// Runs, with what each costs at which hour and for what.
fn runs() -> impl Strategy<Value = Vec<(u64, Vec<Cost>)>> {
    let cost = (0u8..4, 0u32..3_000_000, 0u8..3).prop_map(|(hour, micros, feature)| {
        cost(&format!("2026-11-21T0{}:00:00Z", 3 + hour), f64::from(micros) / 1e6, &format!("f{feature}"))
    });
    proptest::collection::vec((0u64..6, proptest::collection::vec(cost, 0..5)), 1..30)
}

proptest! {
    /// Whatever was stated in between, and in whatever order: what counts is what was stated last of each run.
    #[test]
    fn only_the_last_statement_of_each_run_counts(mut stated in runs(), seed in 0usize..1000) {
        let definitions = || vec![
            Budget::hourly("hours", 5.0).each(Dimension::Feature),
            Budget::daily("day", 9.0),
            Budget::per_run("runs", 2.0),
        ];
        let spent = |stated: &[(u64, Vec<Cost>)]| {
            let mut budgets = Budgets::new(definitions());
            let mut told = 0;
            for (number, costs) in stated {
                budgets.state(run(*number, costs), now());
                told += budgets.crossings().len();
            }
            let windows: Vec<_> = budgets.books.iter().map(|book| {
                let spent = book.windows.iter().filter(|(_, spent)| spent.usd != Usd::ZERO);
                let mut windows: Vec<_> = spent.map(|(key, spent)| (key.clone(), spent.usd)).collect();
                windows.sort_unstable();
                windows
            }).collect();
            (windows, told)
        };
        let (windows, told) = spent(&stated);
        let mut last: Vec<(u64, Vec<Cost>)> = Vec::new();
        for (number, costs) in &stated {
            last.retain(|(known, _)| known != number);
            last.push((*number, costs.clone()));
        }
        let turn = seed % last.len();
        last.rotate_left(turn);
        last.iter_mut().for_each(|(_, costs)| costs.reverse());
        prop_assert_eq!(&spent(&last).0, &windows);
        // Said once more, it changes nothing.
        stated.extend(last);
        let (again, told_again) = spent(&stated);
        prop_assert_eq!((again, told_again), (windows, told));
    }
}

#[test]
fn those_of_a_time_say_when_they_begin_anew() {
    let budgets =
        Budgets::new(vec![Budget::daily("daily", 1.0), Budget::total("all", 1.0), Budget::per_run("run", 1.0)]);
    let now = Timestamp::parse("2026-11-21T06:28:00Z").unwrap();
    let resets: Vec<_> = budgets.standings(now).iter().map(|standing| standing.resets_at).collect();
    assert_eq!(resets, [Timestamp::parse("2026-11-22T00:00:00Z"), None, None]);
}
