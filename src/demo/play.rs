//! Lets a story happen: every span and event of it, through what the library gives to programs.

use std::time::Duration;

use serde_json::{Value, json};
use spanlight::{FutureExt, Progress, SpanExt, agent_span, llm_span, step_span, tool_span, workflow_span};
use tracing::Span;

use super::story::{Act, Call, Ending, Review, Scene, Story, ToolCall, Work};

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
        for scene in &story.scenes {
            step(scene, task, pace).await;
        }
        match story.ending {
            Ending::Good => Span::current().record_output("a test that passes"),
            Ending::Bad(error) => Span::current().record_error(error),
        }
    }
    .in_span(workflow)
    .await;
}

async fn step(scene: &Scene, task: &str, pace: Pace) {
    async {
        work(&scene.work, task, pace).await;
        for act in &scene.then {
            perform(act, task, pace).await;
        }
        if let Some(error) = scene.error {
            Span::current().record_error(error);
        }
    }
    .in_span(step_span!(scene.step))
    .await;
}

async fn work(work: &Work, task: &str, pace: Pace) {
    async {
        for act in &work.acts {
            perform(act, task, pace).await;
        }
        match work.error {
            Some(error) => Span::current().record_error(error),
            None => Span::current().record_output(&work.output),
        }
    }
    .in_span(agent_span!(work.agent, model = work.model))
    .await;
}

async fn perform(act: &Act, task: &str, pace: Pace) {
    match act {
        Act::Call(it) => call(it, pace).await,
        Act::Tool(it) => tool(it, pace).await,
        Act::Progress(what, part, of) => {
            let share = *part as f64 / *of as f64;
            Span::current().progress(Progress::new(*what).iteration(*part, *of).share(share));
        }
        Act::Review(review) => spanlight::record_critic_decision(*review == Review::Rejected),
        Act::Say(name, payload) => say(name, &mut payload.clone(), task),
        Act::Wait(millis) => pace.wait(*millis).await,
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
