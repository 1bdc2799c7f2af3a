//! An agent of rig with a tool, seen through Spanlight without a word about Spanlight in it.
//!
//!     cargo run --manifest-path examples/rig/Cargo.toml
//!
//! It runs twice against a model server that this program plays: bare, and within a function that has a span of its own.
//! It ends with 1 if what is seen is not what happened.
#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use rig::AgentBuilder;
use rig::providers::openai::OpenAIConfig;
use rig::rig_tool;
use rig::tool::ToolExecutionError;
use serde_json::{Value, json};
use spanlight::Telemetry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tracing::instrument;

#[rig_tool(description = "Tells the weather of a city", params(city = "The name of the city"))]
fn weather(city: String) -> Result<String, ToolExecutionError> {
    Ok(format!("{city}: 21 degrees, some clouds"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let guard = Telemetry::builder().service_name("rig-example").init();
    let url = start_models().await?;
    println!("{}", ask(&url).await?);
    println!("{}", plan_a_walk(&url).await?);

    let telemetry = guard.telemetry().clone();
    telemetry.flush(Duration::from_secs(5))?;
    let mut names = Vec::new();
    for (_, record) in telemetry.get_events(0).events {
        let event = record.event();
        let run: String = event.trace_id.iter().map(ToString::to_string).collect();
        let agent = event.dimensions.agent.as_deref().unwrap_or("-");
        let cost = event.performance.cost_usd.map(|usd| format!("${usd:.6}")).unwrap_or_default();
        println!("{run:.6} {:<16} {:<18} of {agent:<10} {cost}", event.name, event.component_id.to_string());
        names.push(event.name.to_string());
    }
    let metrics = telemetry.metrics();
    println!("{} tokens for ${:.6}", metrics.tokens, metrics.total_cost_usd);
    Ok(ExitCode::from(u8::from(!is_as_expected(&names, metrics.tokens))))
}

/// rig opens a span for the agent only where there is none around it, so this is an agent with its calls.
async fn ask(url: &str) -> Result<String, Box<dyn Error>> {
    let model = OpenAIConfig::new("sk-none").with_base_url(url).client().chat("gpt-4o");
    let agent = AgentBuilder::new(model).name("forecaster").tool(Weather).default_max_turns(3).build();
    Ok(agent.prompt("Do I need an umbrella in Berlin?").await?.output().to_string())
}

/// And these are the same calls. Here rig only names the agent in them, and that there was a run of it is inferred.
#[instrument(skip_all)]
async fn plan_a_walk(url: &str) -> Result<String, Box<dyn Error>> {
    ask(url).await
}

/// Two questions, each with two calls of the model and one of the tool.
fn is_as_expected(names: &[String], tokens: u64) -> bool {
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    let found = ["llm.started", "llm.completed", "tool.started", "tool.completed", "agent.completed"].map(count);
    let is_right = found == [4, 4, 2, 2, 2] && tokens == 2 * (300 + 20 + 350 + 30);
    if !is_right {
        println!("WRONG: {found:?}, {tokens} tokens");
    }
    is_right
}

/// A server that speaks like OpenAI's, as far as is needed here; its base URL.
async fn start_models() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(reply(stream));
        }
    });
    Ok(url)
}

async fn reply(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).await.ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let answer = completion(&serde_json::from_slice(&body).ok()?).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nx-request-id: req_1";
    stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).as_bytes()).await.ok()
}

/// It asks for the tool first, and answers when it has its result.
fn completion(request: &Value) -> Value {
    let has_result = request["messages"].as_array().unwrap().iter().any(|message| message["role"] == "tool");
    let (message, usage, reason) = match has_result {
        true => {
            let message = json!({"role": "assistant", "content": "No, there are only some clouds."});
            (message, (350, 30), "stop")
        }
        false => {
            let function = json!({"name": "weather", "arguments": r#"{"city": "Berlin"}"#});
            let calls = json!([{"id": "call_1", "type": "function", "function": function}]);
            (json!({"role": "assistant", "content": null, "tool_calls": calls}), (300, 20), "tool_calls")
        }
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": usage.0, "completion_tokens": usage.1, "total_tokens": usage.0 + usage.1},
    })
}
