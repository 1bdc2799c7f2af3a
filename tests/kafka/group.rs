//! A group of collectors: each trace has one owner, and what it knows of runs in progress does not die with it.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::read::{completed, events};
use crate::support::collector::Collector;
use crate::support::telemetry::{agent, chat, traces};
use crate::support::until;
use crate::{accepted, deriving, gateway};

const TRACES: u8 = 20;
const PARTITIONS: &str = r#"spanlight_receiver_partitions{receiver="kafka"}"#;

/// Waits until each of two has its half of the partitions of spans and of logs.
async fn share(first: &Collector, second: &Collector) {
    for collector in [first, second] {
        collector.sample_becomes(PARTITIONS, 4.0).await;
    }
}

async fn spans_taken(collectors: &[&Collector]) -> f64 {
    let mut taken = 0.0;
    for collector in collectors {
        taken += collector.sample(&accepted("traces")).await.unwrap_or_default();
    }
    taken
}

#[tokio::test]
async fn runs_in_progress_are_rebuilt_by_whoever_gets_the_partitions_of_one_that_was_killed() {
    let cluster = Cluster::start(4);
    let gateway = gateway(&cluster, "").await;
    let (mut first, second) = (deriving(&cluster, "").await, deriving(&cluster, "").await);
    share(&first, &second).await;
    // The calls come first, and the agents that made them when they are done.
    gateway.take_traces(traces((1..=TRACES).map(|trace| chat(trace, 2, 1)).collect())).await;
    until("all calls", async || (spans_taken(&[&first, &second]).await == f64::from(TRACES)).then_some(())).await;
    let had = first.sample(&accepted("traces")).await.unwrap();
    assert!(had > 0.0 && had < f64::from(TRACES), "each has some: {had}");
    first.signal("KILL").await;
    first.gone().await;
    gateway.take_traces(traces((1..=TRACES).map(|trace| agent(trace, 1, 0, "scribe")).collect())).await;
    for name in ["llm.completed", "agent.completed"] {
        until(&format!("{TRACES} {name}"), async || {
            let traces: BTreeSet<String> = completed(&second, name).into_iter().collect();
            (traces.len() == usize::from(TRACES)).then_some(())
        })
        .await;
    }
    assert_eq!(completed(&second, "llm.completed").len(), usize::from(TRACES), "each is told once");
    cluster.is_committed("otlp_spans", 2 * i64::from(TRACES)).await;
}

#[tokio::test]
async fn a_run_whose_partition_goes_to_another_is_told_of_there_alone() {
    let cluster = Cluster::start(4);
    let gateway = gateway(&cluster, "").await;
    let mut first = deriving(&cluster, "").await;
    first.sample_becomes(PARTITIONS, 8.0).await;
    gateway.take_traces(traces((1..=TRACES).map(|trace| chat(trace, 2, 1)).collect())).await;
    first.sample_becomes(&accepted("traces"), f64::from(TRACES)).await;
    let second = deriving(&cluster, "").await;
    share(&first, &second).await;
    let handed_over = until("runs handed over", async || {
        first.sample("spanlight_agent_runs_handed_over_total").await.filter(|count| *count > 0.0)
    })
    .await;
    second.sample_becomes(&accepted("traces"), handed_over).await;
    gateway.take_traces(traces((1..=TRACES).map(|trace| agent(trace, 1, 0, "scribe")).collect())).await;
    let all = || [completed(&first, "agent.completed"), completed(&second, "agent.completed")].concat();
    until("all agents", async || (all().len() == usize::from(TRACES)).then_some(())).await;
    assert_eq!(all().iter().collect::<BTreeSet<_>>().len(), usize::from(TRACES));
    assert_eq!(completed(&second, "agent.completed").len() as f64, handed_over);
    let read = usize::from(TRACES) * 2 - completed(&second, "agent.completed").len();
    assert_eq!(first.sample(&accepted("traces")).await, Some(read as f64), "what stays is not read again");
    // At its end, whoever has given runs away does not tell that they were lost.
    first.signal("INT").await;
    first.gone().await;
    assert!(events(&first).iter().all(|event| event["status"] != "lost"));
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told_of_and_holds_up_nobodys_end() {
    let cluster = Cluster::start(1);
    let (writing, reading) = (gateway(&cluster, "timeout: 500ms").await, deriving(&cluster, "").await);
    reading.sample_becomes(PARTITIONS, 2.0).await;
    cluster.mock.broker_down(1).unwrap();
    writing.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    writing.line("does not take messages").await;
    reading.line("cannot read of").await;
    reading.signal("INT").await;
    assert!(reading.ended().await.status.success());
    writing.signal("INT").await;
    // Something was left, which is said.
    assert!(!writing.ended().await.status.success());
}
