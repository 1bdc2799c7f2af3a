//! Order of arrival: any order, any batches, any span twice, and always the same meaning.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use spanlight::derive::TreeNode;
use spanlight::event::Scope;

use super::scene::{Scene, agent, bare_chat, chat, nanodollars, span, tool, workflow};

/// What a span of a made-up run is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Workflow,
    Agent(u8),
    Tool(u8),
    Chat { input: i64, output: i64 },
    BareChat,
    Other,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        1 => Just(Kind::Workflow),
        3 => (0..3u8).prop_map(Kind::Agent),
        3 => (0..3u8).prop_map(Kind::Tool),
        5 => (1..5000i64, 0..500i64).prop_map(|(input, output)| Kind::Chat { input, output }),
        1 => Just(Kind::BareChat),
        2 => Just(Kind::Other),
    ]
}

/// A run: what each span is, and which earlier one it hangs from. The first is the root.
fn run() -> impl Strategy<Value = Vec<(Kind, usize)>> {
    let span = (kind(), any::<prop::sample::Index>());
    prop::collection::vec(span, 1..25).prop_map(|drawn| {
        let hang = |(at, (kind, parent)): (usize, (Kind, prop::sample::Index))| (kind, parent.index(at.max(1)));
        drawn.into_iter().enumerate().map(hang).collect()
    })
}

fn spans(run: &[(Kind, usize)]) -> Vec<Span> {
    let make = |(at, (kind, parent)): (usize, &(Kind, usize))| {
        let (id, parent) = (at as u64 + 1, if at == 0 { 0 } else { *parent as u64 + 1 });
        let time = (id * 10, 10_000 - id * 10);
        match *kind {
            Kind::Workflow => workflow(id, parent, time),
            Kind::Agent(name) => agent(id, parent, time, ["writer", "critic", "planner"][name as usize]),
            Kind::Tool(name) => tool(id, parent, time, ["search", "fetch", "shell"][name as usize]),
            Kind::Chat { input, output } => chat(id, parent, time, input, output),
            Kind::BareChat => bare_chat(id, parent, time),
            Kind::Other => span(id, parent, time, "GET /", vec![]),
        }
    };
    run.iter().enumerate().map(make).collect()
}

/// A run, and the places of its spans request by request: in another order, some of them twice.
fn delivery() -> impl Strategy<Value = (Vec<(Kind, usize)>, Vec<Vec<usize>>)> {
    let shuffled = run().prop_flat_map(|run| {
        let places: Vec<usize> = (0..run.len()).collect();
        (Just(run), Just(places).prop_shuffle())
    });
    let twice = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    let sizes = prop::collection::vec(1..6usize, 1..10);
    (shuffled, twice, sizes).prop_map(|((run, mut places), twice, sizes)| {
        places.extend(twice.iter().map(|again| again.index(run.len())));
        let mut requests = Vec::new();
        for size in sizes.iter().cycle() {
            if places.is_empty() {
                break;
            }
            requests.push(places.drain(..places.len().min(*size)).collect());
        }
        (run, requests)
    })
}

fn request(spans: &[Span], places: &[usize]) -> Vec<Span> {
    places.iter().map(|place| spans[*place].clone()).collect()
}

/// Which fact each event tells of which span, and to which agent and which workflow it says it belongs. What an
/// agent's or a workflow's end says of the work below it is what was known when it was told.
fn told(scene: &Scene) -> Vec<String> {
    let mut told: Vec<String> = scene
        .out
        .events
        .iter()
        .map(|event| {
            let (agent, workflow) = (&event.dimensions.agent, &event.identity.workflow_id);
            let tokens = event.performance.input_tokens.filter(|_| event.scope == Scope::LlmRequest);
            format!("{} {} {agent:?} {workflow:?} {tokens:?}", event.event_id, event.name)
        })
        .collect();
    told.sort();
    told
}

/// Trees as text.
fn picture(trees: &[TreeNode]) -> String {
    let one = |node: &TreeNode| {
        let cost = node.cost_usd.map(nanodollars);
        format!("{} {} {cost:?} {} ({})", node.span_id, node.operation, node.counts, picture(&node.children))
    };
    trees.iter().map(one).collect::<Vec<_>>().join(", ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_order_of_arrival_changes_nothing((run, requests) in delivery()) {
        let spans = spans(&run);
        let mut at_once = Scene::new();
        at_once.arrive(&spans).pass(10_000).finish();
        let mut in_pieces = Scene::new();
        for places in &requests {
            // All within the time for which events wait for the spans above them.
            in_pieces.arrive(&request(&spans, places)).pass(10);
        }
        in_pieces.pass(10_000).finish();
        prop_assert_eq!(at_once.totals(), in_pieces.totals());
        prop_assert_eq!(at_once.counted(), in_pieces.counted());
        prop_assert_eq!(told(&at_once), told(&in_pieces));
        let trees = |scene: &Scene| scene.deriver.tree(&"01".repeat(16)).map_or(vec![], |tree| tree.roots);
        let (at_once, in_pieces) = (trees(&at_once), trees(&in_pieces));
        prop_assert_eq!(picture(&at_once), picture(&in_pieces));
    }

    #[test]
    fn lateness_costs_no_event_and_no_cent((run, requests) in delivery()) {
        let spans = spans(&run);
        let mut at_once = Scene::new();
        at_once.arrive(&spans).pass(10_000).finish();
        let mut late = Scene::new();
        for places in &requests {
            late.arrive(&request(&spans, places)).pass(60_000);
        }
        late.finish();
        prop_assert_eq!(at_once.totals(), late.totals());
        let ids = |scene: &Scene| scene.out.events.iter().map(|event| event.event_id).collect::<Vec<_>>();
        let (on_time, later): (BTreeSet<_>, BTreeSet<_>) = (ids(&at_once).into_iter().collect(), ids(&late).into_iter().collect());
        prop_assert_eq!(ids(&late).len(), later.len(), "an event came twice");
        prop_assert_eq!(on_time, later);
        // Counters cannot go down: what was counted before a deeper call turned up is corrected beside them.
        let (on_time, later) = (at_once.counted(), late.counted());
        prop_assert_eq!(on_time.cost, later.cost - later.overcounted);
    }

    #[test]
    fn within_a_request_events_come_in_the_order_in_which_they_happened(run in run()) {
        let mut scene = Scene::new();
        scene.arrive(&spans(&run)).finish();
        let times: Vec<_> = scene.out.events.iter().map(|event| event.timestamp).collect();
        prop_assert!(times.is_sorted());
    }
}
