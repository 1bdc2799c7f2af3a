//! What each fact and each event from outside counts for.

use super::Measure;
use super::instrument::{Label, is_amount};
use super::snapshot::Exemplar;
use super::windows::Dimension;
use crate::derive::{CallFact, Fact, FactKind, Name, Outcome, Tallied, Tally};
use crate::dialect::{Op, POLICY};
use crate::event::{Decision, Event, Timestamp};

impl Measure {
    /// Counts a piece of work that has entered the counters.
    pub fn fact(&mut self, fact: &Fact, now: Timestamp) {
        self.alerts.saw(fact, now);
        match &fact.kind {
            FactKind::Call(call) => self.call(fact, call, now),
            FactKind::Promoted { calls, usd } => self.tokens_and_cost(fact, calls, *usd, now),
            FactKind::ToolCall => self.tool_call(fact, now),
            FactKind::AgentRun { reported_usd, waited } => self.agent_run(fact, *reported_usd, waited, now),
            FactKind::Waited => self.agent_waited(fact, now),
            FactKind::Workflow => {
                let labels = [(&fact.name).into(), fact.outcome.as_str().into()];
                self.instruments.workflow_duration.record(labels, seconds(fact), exemplar(fact), now);
            }
            FactKind::Step => {
                let labels = [(&fact.name).into(), fact.outcome.as_str().into()];
                self.instruments.step_duration.record(labels, seconds(fact), exemplar(fact), now);
            }
            FactKind::Decision { reviewer, decision, waited_s } => {
                self.decision(fact, reviewer, *decision, now);
                if let Some(waited) = waited_s {
                    self.answered(fact, *decision, *waited, now);
                }
            }
            FactKind::TaskWork { usd, ends_it } => self.task_work(fact, *usd, *ends_it, now),
            FactKind::TaskCost { usd } => self.task_cost(fact, *usd, now),
            FactKind::Overcounted { usd } => self.instruments.overcounted.add([(&fact.agent).into()], *usd, now),
        }
    }

    /// Counts an event from outside that speaks of no piece of work: reviews, validations, escalations ….
    pub fn event(&mut self, event: &Event, now: Timestamp) {
        let agent = &event.dimensions.agent;
        match event.name.as_str() {
            "task.queued" => self.queued(event, now),
            "review.decided" => self.review(event, now),
            "validation.completed" => self.validation(event, now),
            "hitl.escalated" => self.escalation(event, now),
            "hitl.resolved" => {
                let seconds = number(event, "waited_ms").map(|millis| millis / 1000.0);
                self.resolved(event, word(event, "decision"), seconds, now);
            }
            "memory.accessed" => {
                let (tier, hit) = (word(event, "tier"), word(event, "hit"));
                self.instruments.memory_accesses.add([(&tier).into(), (&hit).into()], 1.0, now);
            }
            "agent.collaborated" => {
                let consensus = word(event, "consensus_reached");
                self.instruments.collaborations.add([agent.into(), (&consensus).into()], 1.0, now);
            }
            _ => {}
        }
    }

    /// Counts what only metrics of the agent tell of.
    pub fn tally(&mut self, tally: &Tally, now: Timestamp) {
        let (agent, amount) = (Label::from(&tally.agent), tally.amount);
        let instruments = &mut self.instruments;
        match &tally.what {
            Tallied::Lines(kind) => instruments.code_lines.add([kind.into(), agent], amount, now),
            Tallied::Commits => instruments.code_commits.add([agent], amount, now),
            Tallied::PullRequests => instruments.code_pull_requests.add([agent], amount, now),
            Tallied::Sessions => instruments.sessions.add([agent], amount, now),
            Tallied::ActiveTime(who) => instruments.session_time.add([who.into(), agent], amount, now),
            Tallied::Decision { reviewer, decision } => {
                instruments.review_decisions.add([(*reviewer).into(), decision.as_str().into()], amount, now);
            }
        }
    }

    fn call(&mut self, fact: &Fact, call: &CallFact, now: Timestamp) {
        let (operation, provider) = (Label::from(call.op.as_str()), Label::from(&call.provider));
        let [request_model, response_model] = models(call);
        let failed = fact.outcome != Outcome::Completed;
        let error = match &call.error_type {
            _ if !failed => Label::from(""),
            Some(error) => Label::from(error),
            None => Label::from("_OTHER"),
        };
        let exemplar = exemplar(fact);
        let labels = [operation, provider, request_model, response_model, error];
        self.instruments.operation_duration.record(labels, seconds(fact), exemplar, now);
        if let Some(ttft) = call.ttft_s {
            let labels = [operation, provider, request_model, response_model];
            self.instruments.time_to_first_chunk.record(labels, ttft, exemplar, now);
        }
        self.tokens_and_cost(fact, call, call.price.usd(), now);
        // The row of a model counts its calls; runs in total are those of agents.
        if let Some(model) = &call.model {
            self.windows.add_row(fact.end, (Dimension::Model, model), now, |sums| {
                sums.runs += 1;
                sums.errors += u64::from(failed);
            });
        }
    }

    /// What a call took, or the calls that only their agent tells of; of the cost, what counts of it here.
    fn tokens_and_cost(&mut self, fact: &Fact, call: &CallFact, usd: Option<f64>, now: Timestamp) {
        let (operation, provider) = (Label::from(call.op.as_str()), Label::from(&call.provider));
        let [request_model, response_model] = models(call);
        for (kind, tokens) in [("input", call.usage.input), ("output", call.usage.output)] {
            if let Some(tokens) = tokens {
                let (agent, feature) = ((&fact.agent).into(), (&fact.feature).into());
                let labels = [operation, provider, request_model, response_model, kind.into(), agent, feature];
                self.instruments.token_usage.record(labels, tokens as f64, exemplar(fact), now);
            }
        }
        self.input_tokens(fact, call, now);
        let failed = fact.outcome != Outcome::Completed;
        let (mut unpriced, mut cost_usd) = (0, 0.0);
        match (call.price.source(), usd) {
            (Ok(source), Some(usd)) => {
                cost_usd = self.count_cost(fact, usd, (&call.model, &call.provider), source.as_str(), now);
            }
            // A call that failed before any token costs nothing that anyone could know.
            (Err(_), _) if failed && !call.usage.is_known() => {}
            (Ok(_), None) => {}
            (Err(reason), _) => {
                unpriced = 1;
                self.instruments.unpriced.add([(&call.model).into(), provider, reason.as_str().into()], 1.0, now);
            }
        }
        let of_model = call.op != Op::Embeddings;
        self.windows.add(fact.end, &rows_of(fact, call.model.as_ref()), now, |sums| {
            sums.cost_usd += cost_usd;
            sums.unpriced_calls += unpriced;
            if of_model {
                sums.input_tokens = sums.input_tokens.saturating_add(call.usage.input.unwrap_or(0));
                sums.output_tokens = sums.output_tokens.saturating_add(call.usage.output.unwrap_or(0));
            }
        });
    }

    /// What of the input came from caches and went into them. The sum is all of it.
    fn input_tokens(&mut self, fact: &Fact, call: &CallFact, now: Timestamp) {
        let Some(input) = call.usage.input else { return };
        let read = call.usage.cache_read.unwrap_or(0).min(input);
        let write = call.usage.cache_write.unwrap_or(0).min(input - read);
        for (cache, tokens) in [("read", read), ("write", write), ("none", input - read - write)] {
            if tokens > 0 {
                let labels = [cache.into(), (&fact.agent).into(), (&fact.feature).into(), (&call.model).into()];
                self.instruments.input_tokens.add(labels, tokens as f64, now);
            }
        }
    }

    /// Enters a cost into the counter; what of it is for the windows.
    fn count_cost(&mut self, fact: &Fact, usd: f64, by: Supplier<'_>, source: &'static str, now: Timestamp) -> f64 {
        let (model, provider) = by;
        let (agent, feature) = ((&fact.agent).into(), (&fact.feature).into());
        self.instruments.cost.add([agent, feature, model.into(), provider.into(), source.into()], usd, now);
        if is_amount(usd) { usd } else { 0.0 }
    }

    fn tool_call(&mut self, fact: &Fact, now: Timestamp) {
        let (tool, outcome) = (Label::from(&fact.name), Label::from(fact.outcome.as_str()));
        self.instruments.tool_calls.add([tool, (&fact.agent).into(), outcome], 1.0, now);
        self.instruments.tool_duration.record([tool, outcome], seconds(fact), exemplar(fact), now);
        let failed = u64::from(fact.outcome != Outcome::Completed);
        // The row of a tool counts its calls; runs in total are those of agents.
        if let Some(tool) = &fact.name {
            self.windows.add_row(fact.end, (Dimension::Tool, tool), now, |sums| {
                sums.runs += 1;
                sums.errors += failed;
            });
        }
    }

    fn agent_run(&mut self, fact: &Fact, reported_usd: Option<f64>, waited: &[(Timestamp, Timestamp)], now: Timestamp) {
        let (agent, outcome) = (Label::from(&fact.agent), Label::from(fact.outcome.as_str()));
        self.instruments.run_duration.record([agent, outcome], seconds(fact), exemplar(fact), now);
        self.instruments.runs.add([agent, outcome], 1.0, now);
        self.agent_worked(fact, waited, now);
        let failed = u64::from(fact.outcome != Outcome::Completed);
        let rows = [(Dimension::Agent, fact.agent.as_ref()), (Dimension::Feature, fact.feature.as_ref())];
        self.windows.add(fact.end, &rows, now, |sums| {
            sums.runs += 1;
            sums.errors += failed;
        });
        if let Some(usd) = reported_usd {
            let usd = self.count_cost(fact, usd, (&None, &None), "reported", now);
            self.windows.add(fact.end, &rows_of(fact, None), now, |sums| sums.cost_usd += usd);
        }
    }

    /// What rules and modes let pass is counted, and says nothing of how often people reject.
    fn decision(&mut self, fact: &Fact, reviewer: &'static str, decision: Decision, now: Timestamp) {
        self.instruments.review_decisions.add([reviewer.into(), decision.as_str().into()], 1.0, now);
        if reviewer != POLICY {
            self.verdict([fact.agent.as_ref(), fact.feature.as_ref()], decision.as_str(), fact.end, now);
        }
    }

    /// A person answered an agent that had asked.
    fn answered(&mut self, fact: &Fact, decision: Decision, seconds: f64, now: Timestamp) {
        self.instruments.human_wait.record([decision.as_str().into()], seconds, exemplar(fact), now);
        let rows = [(Dimension::Agent, fact.agent.as_ref()), (Dimension::Feature, fact.feature.as_ref())];
        self.windows.add(fact.end, &rows, now, |sums| {
            sums.human_waits += 1;
            sums.human_wait_seconds += seconds;
        });
    }

    /// Approved or rejected, as the summary has it.
    fn verdict(&mut self, [reviewer, feature]: [Option<&Name>; 2], decision: &str, at: Timestamp, now: Timestamp) {
        let is = |verdict: Decision| u64::from(decision == verdict.as_str());
        self.windows.add(at, &[(Dimension::Agent, reviewer), (Dimension::Feature, feature)], now, |sums| {
            sums.approved += is(Decision::Approved);
            sums.rejected += is(Decision::Rejected);
        });
    }

    fn review(&mut self, event: &Event, now: Timestamp) {
        let decision = word(event, "decision");
        let reviewer = event.data.get("reviewer").and_then(|reviewer| reviewer.as_str().map(Name::from));
        let reviewer = reviewer.or_else(|| event.dimensions.agent.clone());
        self.instruments.review_decisions.add([(&reviewer).into(), (&decision).into()], 1.0, now);
        let feature = event.dimensions.feature.as_ref();
        self.verdict([reviewer.as_ref(), feature], &decision, event.timestamp, now);
        if [Decision::Rejected, Decision::Revise].iter().any(|no| *decision == *no.as_str()) {
            self.judged(event, false, now);
        }
    }

    /// Passed only if the browser was launched and the test executed and passed, where these are given.
    fn validation(&mut self, event: &Event, now: Timestamp) {
        let data = event.data.to_map();
        let result = data.get("result").and_then(|result| result.as_object()).unwrap_or(&data);
        let said = |key: &str| result.get(key).and_then(serde_json::Value::as_bool);
        let given: Vec<bool> =
            ["passed", "browser_launched", "test_executed", "test_passed"].into_iter().filter_map(said).collect();
        let passed =
            if given.is_empty() { event.performance.success.unwrap_or(true) } else { given.iter().all(|t| *t) };
        let feature = event.dimensions.feature.as_ref();
        let labels = [(&event.dimensions.feature).into(), if passed { "passed" } else { "failed" }.into()];
        self.instruments.validation_results.add(labels, 1.0, now);
        self.windows.add(event.timestamp, &[(Dimension::Feature, feature)], now, |sums| {
            sums.validated += 1;
            sums.passed += u64::from(passed);
        });
        self.judged(event, passed, now);
    }

    fn escalation(&mut self, event: &Event, now: Timestamp) {
        self.instruments.escalations.add([(&word(event, "priority")).into()], 1.0, now);
        let attempts = number(event, "attempts").filter(|attempts| (0.0..=MOST_ATTEMPTS).contains(attempts));
        self.escalated(event, attempts.map(|attempts| attempts as u64), now);
    }
}

/// The model asked for, and the one that answered. Events and metrics name a model without saying which it is.
fn models(call: &CallFact) -> [Label<'_>; 2] {
    [
        (if call.request_model.is_some() { &call.request_model } else { &call.model }).into(),
        (&call.response_model).into(),
    ]
}

/// Whose tokens and cost those of a fact are.
fn rows_of<'f>(fact: &'f Fact, model: Option<&'f Name>) -> [(Dimension, Option<&'f Name>); 4] {
    [
        (Dimension::Agent, fact.agent.as_ref()),
        (Dimension::Feature, fact.feature.as_ref()),
        (Dimension::Model, model),
        (Dimension::Tool, fact.tool.as_ref()),
    ]
}

/// Who says that a task took more attempts has miscounted, and would spoil the mean of a day.
const MOST_ATTEMPTS: f64 = 1e6;

/// The model and the provider that a cost is owed to.
type Supplier<'a> = (&'a Option<Name>, &'a Option<Name>);

fn seconds(fact: &Fact) -> f64 {
    fact.end.micros_since(fact.start) as f64 / 1e6
}

fn exemplar(fact: &Fact) -> Option<Exemplar> {
    let (trace_id, span_id) = fact.span?;
    Some(Exemplar { value: seconds(fact), at: fact.end, trace_id, span_id })
}

/// A member of the payload as a word.
fn word(event: &Event, key: &str) -> Name {
    match event.data.get(key) {
        Some(serde_json::Value::String(text)) => text.into(),
        Some(serde_json::Value::Bool(truth)) => truth.to_string().into(),
        Some(serde_json::Value::Number(number)) => number.to_string().into(),
        _ => "".into(),
    }
}

fn number(event: &Event, key: &str) -> Option<f64> {
    event.data.get(key).and_then(|value| value.as_f64())
}
