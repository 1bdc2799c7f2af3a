//! Lets a story happen: every span and event of it, through what the library gives to programs.

use std::time::Duration;

use serde_json::{Value, json};
use spanlight::{FutureExt, Progress, SpanExt, agent_span, llm_span, step_span, tool_span, workflow_span};
use tracing::Span;

use super::story::{Act, Call, Ending, Review, Scene, Story, ToolCall, Work};

/// What each feature may cost.
pub const BUDGET: &str = "features";
/// How long it may take until it is known what was spent.
const PATIENCE: Duration = Duration::from_secs(2);

/// How fast time passes.
#[derive(Clone, Copy, Debug)]
pub struct Pace(f64);

impl Pace {
    /// So many times as fast as agents are.
    pub fn new(speed: f64) -> Pace {
        Pace(speed)
    }

    async fn wait(self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis).div_f64(self.0)).await;
    }
}

/// Plays a story as the task of a name.
pub async fn play(story: &Story, task: &str, pace: Pace) {
    let what = format!("a test for {}", story.feature);
    let mut queued = json!({"feature": story.feature, "est_cost": story.estimate(), "message": what});
    say("task.queued", &mut queued, task);
    pace.wait(story.queued_ms).await;
    let workflow = workflow_span!("write-test", feature = story.feature, task_id = task);
    async {
        let stage = Stage { feature: story.feature, task, pace };
        for scene in &story.scenes {
            if let Err(OutOfMoney) = stage.step(scene).await {
                Span::current().record_error(OutOfMoney::MESSAGE);
                return;
            }
        }
        match story.ending {
            Ending::Good => Span::current().record_output("a test that passes"),
            Ending::Bad(error) => Span::current().record_error(error),
        }
    }
    .in_span(workflow)
    .await;
}

/// Where a story happens.
struct Stage<'s> {
    feature: &'static str,
    task: &'s str,
    pace: Pace,
}

/// A budget said that work should not go on.
struct OutOfMoney;

impl OutOfMoney {
    const MESSAGE: &'static str = "the budget of the feature is spent";
}

impl Stage<'_> {
    async fn step(&self, scene: &Scene) -> Result<(), OutOfMoney> {
        async {
            self.work(&scene.work).await.inspect_err(|_| Span::current().record_error(OutOfMoney::MESSAGE))?;
            for act in &scene.then {
                self.perform(act).await?;
            }
            if let Some(error) = scene.error {
                Span::current().record_error(error);
            }
            Ok::<(), OutOfMoney>(())
        }
        .in_span(step_span!(scene.step))
        .await
    }

    async fn work(&self, work: &Work) -> Result<(), OutOfMoney> {
        async {
            for act in &work.acts {
                self.perform(act).await.inspect_err(|_| Span::current().record_error(OutOfMoney::MESSAGE))?;
            }
            match work.error {
                Some(error) => Span::current().record_error(error),
                None => Span::current().record_output(&work.output),
            }
            Ok::<(), OutOfMoney>(())
        }
        .in_span(agent_span!(work.agent, model = work.model))
        .await
    }

    async fn perform(&self, act: &Act) -> Result<(), OutOfMoney> {
        match act {
            Act::Call(it) => call(it, self.pace).await,
            Act::CallIfPaid(it, usd) if self.may_spend(*usd).await => call(it, self.pace).await,
            Act::CallIfPaid(..) => return Err(OutOfMoney),
            Act::Tool(it) => tool(it, self.pace).await,
            Act::Progress(what, part, of) => {
                let share = *part as f64 / *of as f64;
                Span::current().progress(Progress::new(*what).iteration(*part, *of).share(share));
            }
            Act::Review(review) => spanlight::record_critic_decision(*review == Review::Rejected),
            Act::Say(name, payload) => say(name, &mut payload.clone(), self.task),
            Act::Wait(millis) => self.pace.wait(*millis).await,
        }
        Ok(())
    }

    /// Asks as any agent would, and says what it made of the answer.
    async fn may_spend(&self, usd: f64) -> bool {
        // What the last call cost is known a moment after it; at a thousand times the pace of agents that is long.
        if let Some(telemetry) = spanlight::telemetry() {
            // If it is not known in time, the verdict is one of what is known, like that of any agent that does not wait.
            drop(tokio::task::spawn_blocking(move || telemetry.flush(PATIENCE)).await);
        }
        let verdict = spanlight::budget(BUDGET).feature(self.feature).estimate(usd).verdict();
        let decision = if verdict.may_go_on() { "go on" } else { "stop" };
        let why = format!("{decision}: the budget `{BUDGET}` says {}", verdict.reason.as_str());
        say("agent.decided", &mut json!({"decision": decision, "message": why}), self.task);
        verdict.may_go_on()
    }
}

async fn call(call: &Call, pace: Pace) {
    let messages = json!([{"role": "user", "parts": [{"type": "text", "content": call.prompt}]}]).to_string();
    let span = llm_span!(call.model, provider = call.provider, stream = true, messages = messages);
    async {
        let span = Span::current();
        pace.wait(call.pace_ms.0).await;
        for piece in &call.pieces {
            span.chunk(piece);
            pace.wait(call.pace_ms.1).await;
        }
        if let Some((kind, error)) = call.error {
            span.record("error.type", kind);
            span.record_error(error);
            return;
        }
        span.record_usage(call.usage);
        span.record_model(call.model);
        span.record("gen_ai.response.finish_reasons", "stop");
        span.record_output(call.pieces.concat());
    }
    .in_span(span)
    .await;
}

async fn tool(call: &ToolCall, pace: Pace) {
    async {
        pace.wait(call.millis).await;
        match &call.result {
            Ok(result) => Span::current().record_output(result),
            Err(error) => Span::current().record_error(error),
        }
    }
    .in_span(tool_span!(call.tool, arguments = call.arguments.to_string()))
    .await;
}

/// An event of the task.
fn say(name: &str, payload: &mut Value, task: &str) {
    payload["task_id"] = json!(task);
    // Payloads are written here, and tests hold them against the catalogue.
    spanlight::emit_event(name, std::mem::take(payload)).ok();
}
