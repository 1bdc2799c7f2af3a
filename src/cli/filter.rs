//! Which events are wanted: the filters of the API, as options.

use clap::Args;

use super::Failure;
use super::client::query;
use crate::event::{Filter, Timestamp};

/// The filters of the API. Of several values of one any fits, and all filters must.
#[derive(Args, Debug)]
pub struct EventFilter {
    /// Only events of this scope: workflow, workflow_step, agent, llm_request, tool, system
    #[arg(long)]
    scope: Vec<String>,
    /// Only events of this type: started, progress, completed, failed, canceled
    #[arg(long = "type")]
    kind: Vec<String>,
    /// Only events of this status
    #[arg(long)]
    status: Vec<String>,
    /// Only events of this name; `agent.*` is every event of agents
    #[arg(long)]
    name: Vec<String>,
    /// Only events of this agent
    #[arg(long)]
    agent: Vec<String>,
    /// Only events for this feature
    #[arg(long)]
    feature: Vec<String>,
    /// Only events of this model
    #[arg(long)]
    model: Vec<String>,
    /// Only events of this tool
    #[arg(long)]
    tool: Vec<String>,
    /// Only events of this task
    #[arg(long)]
    task: Vec<String>,
    /// Only events of this execution (a run's id)
    #[arg(long)]
    execution: Vec<String>,
    /// Only events of this conversation
    #[arg(long)]
    conversation: Vec<String>,
    /// Only events of this correlation
    #[arg(long)]
    correlation: Vec<String>,
    /// Only events of this user
    #[arg(long)]
    user: Vec<String>,
    /// Only events with this tag
    #[arg(long)]
    tag: Vec<String>,
    /// Only events at least as urgent, from 1 (most urgent) to 10
    #[arg(long)]
    min_priority: Vec<String>,
    /// Only events since: a time, or how long ago, such as 15m
    #[arg(long)]
    since: Vec<String>,
    /// Only events until
    #[arg(long)]
    until: Vec<String>,
    /// Only events that mention this text
    #[arg(long)]
    q: Vec<String>,
}

impl EventFilter {
    /// As a query string, behind other parameters.
    pub fn query(&self, others: &[(&str, Option<&str>)]) -> String {
        let mut pairs = others.to_vec();
        pairs.extend(self.pairs().map(|(field, value)| (field, Some(value))));
        query(&pairs)
    }

    /// As what tells which events fit.
    pub fn to_filter(&self) -> Result<Filter, Failure> {
        let pairs: Vec<(&str, &str)> = self.pairs().collect();
        Filter::from_pairs(pairs, Timestamp::now()).map_err(Failure::usage)
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields: [(&'static str, &Vec<String>); 18] = [
            ("scope", &self.scope),
            ("type", &self.kind),
            ("status", &self.status),
            ("name", &self.name),
            ("agent", &self.agent),
            ("feature", &self.feature),
            ("model", &self.model),
            ("tool", &self.tool),
            ("task", &self.task),
            ("execution", &self.execution),
            ("conversation", &self.conversation),
            ("correlation", &self.correlation),
            ("user", &self.user),
            ("tag", &self.tag),
            ("min_priority", &self.min_priority),
            ("since", &self.since),
            ("until", &self.until),
            ("q", &self.q),
        ];
        fields.into_iter().flat_map(|(field, values)| values.iter().map(move |value| (field, value.as_str())))
    }
}
