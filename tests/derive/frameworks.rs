//! What spans of frameworks mean whose dialects differ from the conventions: kinds, tokens, failures and content.

use opentelemetry_proto::tonic::trace::v1::span::Event as SentEvent;
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, Status};
use serde_json::{Value as Json, json};
use spanlight::dialect::{Hint, Op, Usage};

use super::dialects::{payloads_in, understand_in};
use super::scene::{Scene, agent, bare_chat, chat, int, span, text, tool};

/// A span of an instrumentation scope, with attributes as `key=value`.
fn sent(name: &str, attributes: &[&str]) -> Sent {
    let attributes = attributes.iter().map(|attribute| {
        let (key, value) = attribute.split_once('=').unwrap();
        value.parse().map_or_else(|_| text(key, value), |number| int(key, number))
    });
    span(1, 0, (0, 100), name, attributes.collect())
}

#[test]
fn every_framework_says_in_its_own_way_what_a_span_does() {
    for (scope, name, attributes, dialect, op) in [
        ("langfuse-sdk", "x", &["langfuse.observation.type=generation"][..], "langfuse", Some(Op::Chat)),
        ("", "x", &["langfuse.observation.type=embedding"], "langfuse", Some(Op::Embeddings)),
        ("", "x", &["langfuse.observation.type=AGENT"], "langfuse", Some(Op::InvokeAgent)),
        ("", "x", &["langfuse.observation.type=retriever"], "langfuse", Some(Op::Retrieval)),
        ("", "x", &["langfuse.observation.type=guardrail"], "langfuse", Some(Op::Guardrail)),
        ("", "x", &["langfuse.observation.type=span"], "langfuse", Some(Op::Step)),
        ("", "x", &["langfuse.observation.type=span", "gen_ai.tool.name=t"], "langfuse", Some(Op::ExecuteTool)),
        ("", "x", &["mlflow.spanType=\"CHAT_MODEL\""], "mlflow", Some(Op::Chat)),
        ("", "x", &["mlflow.spanType=\"RERANKER\""], "mlflow", Some(Op::Rerank)),
        ("", "x", &["mlflow.spanType=\"WORKFLOW\""], "mlflow", Some(Op::InvokeWorkflow)),
        ("", "x", &["mlflow.spanType=\"of my own\""], "mlflow", Some(Op::Step)),
        ("", "x", &["mlflow.spanType=\"UNKNOWN\""], "", None),
        ("ai", "ai.generateText", &["ai.operationId=ai.generateText"], "ai_sdk_legacy", Some(Op::InvokeAgent)),
        ("ai", "x", &["operation.name=ai.streamText.doStream poet"], "ai_sdk_legacy", Some(Op::Chat)),
        ("", "x", &["ai.operationId=ai.toolCall"], "ai_sdk_legacy", Some(Op::ExecuteTool)),
        ("", "x", &["ai.operationId=ai.embed"], "ai_sdk_legacy", Some(Op::Step)),
        ("", "x", &["ai.operationId=ai.embed.doEmbed"], "ai_sdk_legacy", Some(Op::Embeddings)),
        ("ai", "GET /", &[], "", None),
        ("gen_ai", "decide m", &["gen_ai.operation.name=decide"], "ai_sdk", Some(Op::Chat)),
        ("gen_ai", "step 1", &["gen_ai.operation.name=agent_step"], "ai_sdk", Some(Op::Step)),
        ("", "x", &["mastra.span.type=agent_run"], "mastra", Some(Op::InvokeAgent)),
        ("", "x", &["mastra.span.type=model_generation"], "mastra", Some(Op::Step)),
        ("", "x", &["mastra.span.type=model_generation", "gen_ai.operation.name=chat"], "mastra", Some(Op::Chat)),
        ("", "x", &["mastra.span.type=model_chunk"], "", None),
        ("pydantic-ai", "agent run", &["agent_name=a"], "pydantic_ai", Some(Op::InvokeAgent)),
        ("pydantic-ai", "running tools", &[], "pydantic_ai", Some(Op::Step)),
        ("pydantic-ai", "running tool", &["gen_ai.tool.name=t"], "pydantic_ai", Some(Op::ExecuteTool)),
        ("pydantic-ai", "model request attempt m", &["gen_ai.usage.input_tokens=4"], "pydantic_ai", Some(Op::Step)),
        ("logfire.openai", "x", &["logfire.span_type=log", "gen_ai.operation.name=chat"], "", None),
        ("gcp.vertex.agent", "invocation", &[], "google_adk", Some(Op::InvokeWorkflow)),
        ("gcp.vertex.agent", "call_llm", &["gen_ai.request.model=m"], "google_adk", Some(Op::Chat)),
        ("gcp.vertex.agent", "agent_run [writer]", &[], "google_adk", Some(Op::InvokeAgent)),
        ("gcp.vertex.agent", "invoke_node a", &["gen_ai.operation.name=invoke_node"], "google_adk", Some(Op::Step)),
        (
            "gcp.vertex.agent",
            "execute_tool (merged)",
            &["gen_ai.operation.name=execute_tool", "gen_ai.tool.name=(merged tools)"],
            "google_adk",
            Some(Op::Step),
        ),
        (
            "",
            "invoke_graph",
            &["gen_ai.system=strands-agents", "gen_ai.operation.name=invoke_graph"],
            "strands",
            Some(Op::InvokeWorkflow),
        ),
        (
            "",
            "x",
            &["gen_ai.provider.name=strands-agents", "gen_ai.operation.name=memory.add"],
            "strands",
            Some(Op::Memory),
        ),
        ("agent_framework", "workflow.run", &["workflow.name=w"], "msft", Some(Op::InvokeWorkflow)),
        ("agent_framework", "executor.process a", &["executor.id=a"], "msft", Some(Op::Step)),
        ("agent_framework", "workflow.build", &[], "", None),
        ("Microsoft.SemanticKernel.X", "x", &["gen_ai.operation.name=chat.completions"], "msft", Some(Op::Chat)),
        ("com.anthropic.sdk.python", "anthropic.mcp_tool_use x", &[], "anthropic_sdk", Some(Op::ExecuteTool)),
        ("com.anthropic.sdk.python", "anthropic.models.list", &[], "anthropic_sdk", Some(Op::Step)),
    ] {
        let found = understand_in(scope, &sent(name, attributes), |meaning| meaning.map(|m| (m.dialect, m.op)));
        assert_eq!(found, op.map(|op| (dialect, op)), "{scope} {name} {attributes:?}");
    }
}

#[test]
fn the_root_of_a_chain_is_a_workflow() {
    let hint = |attribute: &str| understand_in("", &sent("x", &[attribute]), |meaning| meaning.unwrap().hint);
    assert_eq!(hint("langfuse.observation.type=chain"), Some(Hint::WorkflowIfOutermost));
    assert_eq!(hint("langfuse.observation.type=span"), None);
    assert_eq!(hint("mlflow.spanType=\"CHAIN\""), Some(Hint::WorkflowIfOutermost));
}

/// Counts: input, output, read from and written to a cache, reasoning.
fn counts(usage: &Usage) -> [Option<u64>; 5] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning]
}

#[test]
fn tokens_come_under_one_definition_whoever_counts_them() {
    let langfuse = |buckets: &str| format!("langfuse.observation.usage_details={buckets}");
    let generation = "langfuse.observation.type=generation".to_owned();
    let call = |more: &[&str]| {
        let base =
            ["ai.operationId=ai.generateText.doGenerate", "ai.usage.promptTokens=21", "ai.usage.completionTokens=4"];
        base.iter().chain(more).map(|one| (*one).to_owned()).collect::<Vec<_>>()
    };
    let metadata = |json: &str| format!("ai.response.providerMetadata={json}");
    let all = |input, output, read, written, reasoning| [input, output, read, written, reasoning];
    for (scope, name, attributes, expected) in [
        (
            "",
            "buckets are apart from one another",
            vec![
                generation.clone(),
                langfuse(r#"{"input":5,"input_cached_tokens":128955,"input_cache_creation":1253,"output":10}"#),
            ],
            all(Some(130_213), Some(10), Some(128_955), Some(1253), None),
        ),
        (
            "",
            "reasoning is a bucket too",
            vec![generation.clone(), langfuse(r#"{"input":5,"output":10,"output_reasoning_tokens":30,"total":45}"#)],
            all(Some(5), Some(40), None, None, Some(30)),
        ),
        (
            "",
            "a total that is the sum of the wholes has the buckets within",
            vec![generation.clone(), langfuse(r#"{"input":50,"input_cached_tokens":20,"output":10,"total":60}"#)],
            all(Some(50), Some(10), Some(20), None, None),
        ),
        (
            "",
            "the provider's own names",
            vec![
                generation.clone(),
                langfuse(
                    r#"{"prompt_tokens":812,"completion_tokens":46,"prompt_tokens_details":{"cached_tokens":512},
                        "completion_tokens_details":{"reasoning_tokens":7}}"#,
                ),
            ],
            all(Some(812), Some(46), Some(512), None, Some(7)),
        ),
        (
            "",
            "Anthropic's own names",
            vec![
                generation.clone(),
                langfuse(r#"{"input_tokens":5,"cache_read_input_tokens":90,"cache_creation_input_tokens":3,"output_tokens":2}"#),
            ],
            all(Some(98), Some(2), Some(90), Some(3), None),
        ),
        ("", "what is no JSON", vec![generation, langfuse("{truncated")], all(None, None, None, None, None)),
        (
            "",
            "MLflow's JSON",
            vec![
                "mlflow.spanType=\"LLM\"".to_owned(),
                r#"mlflow.chat.tokenUsage={"input_tokens":9,"output_tokens":3,"cache_read_input_tokens":4}"#.to_owned(),
            ],
            all(Some(9), Some(3), Some(4), None, None),
        ),
        (
            "ai",
            "what the provider said itself, not added up",
            call(&[
                "ai.model.provider=anthropic.messages",
                &metadata(r#"{"anthropic":{"usage":{"input_tokens":21,"cache_read_input_tokens":700,"cache_creation_input_tokens":80}}}"#),
            ]),
            all(Some(801), Some(4), Some(700), Some(80), None),
        ),
        (
            "ai",
            "what the provider said itself, added up already",
            call(&[
                "ai.model.provider=anthropic.messages",
                &metadata(r#"{"anthropic":{"usage":{"input_tokens":1,"cache_read_input_tokens":20,"cache_creation_input_tokens":0}}}"#),
            ]),
            all(Some(21), Some(4), Some(20), Some(0), None),
        ),
        (
            "ai",
            "Amazon counts apart, and says what it wrote in its metadata",
            call(&[
                "ai.model.provider=amazon-bedrock",
                "ai.usage.cachedInputTokens=30",
                &metadata(r#"{"bedrock":{"usage":{"cacheWriteInputTokens":9}}}"#),
            ]),
            all(Some(60), Some(4), Some(30), Some(9), None),
        ),
        (
            "ai",
            "version 6 tells the parts, and has them within",
            call(&[
                "ai.model.provider=amazon-bedrock",
                "ai.usage.inputTokenDetails.cacheReadTokens=15",
                "ai.usage.inputTokenDetails.noCacheTokens=6",
            ]),
            all(Some(21), Some(4), Some(15), None, None),
        ),
        (
            "ai",
            "Google's answer leaves out what it thought",
            call(&[
                "ai.model.provider=google.generative-ai",
                &metadata(r#"{"google":{"usageMetadata":{"candidatesTokenCount":4,"thoughtsTokenCount":11}}}"#),
            ]),
            all(Some(21), Some(15), None, None, Some(11)),
        ),
        (
            "",
            "early versions of Strands told by their total what they left out",
            [
                "gen_ai.system=strands-agents",
                "gen_ai.operation.name=chat",
                "gen_ai.usage.input_tokens=10",
                "gen_ai.usage.output_tokens=5",
                "gen_ai.usage.cache_read_input_tokens=100",
                "gen_ai.usage.total_tokens=115",
            ]
            .map(str::to_owned)
            .to_vec(),
            all(Some(110), Some(5), Some(100), None, None),
        ),
        (
            "gcp.vertex.agent",
            "ADK counts the reasoning of models behind LiteLLM twice",
            [
                "gen_ai.operation.name=generate_content",
                "gen_ai.request.model=openai/gpt-5-mini",
                "gen_ai.usage.input_tokens=380",
                "gen_ai.usage.output_tokens=73",
                "gen_ai.usage.reasoning.output_tokens=24",
            ]
            .map(str::to_owned)
            .to_vec(),
            all(Some(380), Some(49), None, None, Some(24)),
        ),
        (
            "gcp.vertex.agent",
            "the first versions of ADK told the sum as the output",
            [
                "gen_ai.request.model=gemini-2.5-flash",
                "gen_ai.usage.input_tokens=100",
                "gen_ai.usage.output_tokens=130",
                r#"gcp.vertex.agent.llm_response={"usage_metadata":{"prompt_token_count":100,"candidates_token_count":20,"thoughts_token_count":10,"total_token_count":130}}"#,
            ]
            .map(str::to_owned)
            .to_vec(),
            all(Some(100), Some(30), None, None, Some(10)),
        ),
        (
            "Microsoft.SemanticKernel.Diagnostics",
            "-1 is unknown",
            [
                "gen_ai.operation.name=chat.completions",
                "gen_ai.response.prompt_tokens=-1",
                "gen_ai.response.completion_tokens=7",
            ]
            .map(str::to_owned)
            .to_vec(),
            all(None, Some(7), None, None, None),
        ),
        (
            "agent_framework",
            "Agent Framework passes on Anthropic's counts",
            [
                "gen_ai.operation.name=chat",
                "gen_ai.provider.name=anthropic",
                "gen_ai.usage.input_tokens=3",
                "gen_ai.usage.output_tokens=2",
                "gen_ai.usage.cache_read.input_tokens=50",
            ]
            .map(str::to_owned)
            .to_vec(),
            all(Some(53), Some(2), Some(50), None, None),
        ),
    ] {
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let name_of_span = if scope == "gcp.vertex.agent" { "call_llm" } else { "x" };
        let usage = understand_in(scope, &sent(name_of_span, &attributes), |meaning| meaning.unwrap().usage);
        assert_eq!(counts(&usage), expected, "{name}");
    }
}

#[test]
fn caches_that_live_for_an_hour_are_told_from_those_of_five_minutes() {
    let metadata = r#"ai.response.providerMetadata={"anthropic":{"usage":{"input_tokens":1,"cache_creation_input_tokens":9,
        "cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}}}}"#;
    let call = sent("x", &["ai.operationId=ai.generateText.doGenerate", "ai.usage.promptTokens=1", metadata]);
    let usage = understand_in("ai", &call, |meaning| meaning.unwrap().usage);
    assert_eq!((usage.cache_write, usage.cache_write_5m, usage.cache_write_1h), (Some(9), Some(4), Some(5)));
}

#[test]
fn failures_show_in_words_of_every_framework_and_what_was_put_off_did_not_fail() {
    let failed = |scope: &str, sent: &Sent| {
        understand_in(scope, sent, |meaning| {
            let meaning = meaning.unwrap();
            (
                meaning.op,
                meaning.failure.map(|failure| failure.message.unwrap_or_default().to_owned()),
                meaning.canceled,
            )
        })
    };
    let level = sent(
        "x",
        &[
            "langfuse.observation.type=tool",
            "langfuse.observation.level=ERROR",
            "langfuse.observation.status_message=fully booked",
        ],
    );
    assert_eq!(failed("", &level), (Op::ExecuteTool, Some("fully booked".into()), false));
    let warning = sent("x", &["langfuse.observation.type=tool", "langfuse.observation.level=WARNING"]);
    assert_eq!(failed("", &warning), (Op::ExecuteTool, None, false));

    let raised = |kind: &str, more: &[&str]| {
        let mut span = sent("running tool", &[&["gen_ai.tool.name=t"], more].concat());
        span.status = Some(Status { code: 2, message: format!("{kind}: ") });
        let attributes = vec![text("exception.type", &format!("pydantic_ai.exceptions.{kind}"))];
        span.events.push(SentEvent { name: "exception".into(), attributes, ..SentEvent::default() });
        span
    };
    let again = raised("ToolRetryError", &["tool_response=try another"]);
    assert_eq!(failed("pydantic-ai", &again), (Op::ExecuteTool, Some("try another".into()), false));
    assert_eq!(failed("pydantic-ai", &raised("CallDeferred", &[])), (Op::ExecuteTool, None, false));
    assert_eq!(failed("pydantic-ai", &raised("ApprovalRequired", &[])), (Op::ToolPhase, None, false));
    let invalid = raised("ToolRetryError", &["pydantic_ai.tool.failure_stage=validation", "tool_response=no"]);
    assert_eq!(failed("pydantic-ai", &invalid).0, Op::ToolPhase);

    let called_off =
        sent("x", &["gen_ai.system=strands-agents", "gen_ai.operation.name=chat", "strands.cancellation.type=X"]);
    assert_eq!(failed("", &called_off), (Op::Chat, None, true));
}

#[test]
fn agents_tools_and_times_are_found_where_each_framework_puts_them() {
    let shown = |scope: &str, name: &str, attributes: &[&str]| {
        understand_in(scope, &sent(name, attributes), |meaning| {
            let meaning = meaning.unwrap();
            (
                meaning.agent_name.map(str::to_owned),
                meaning.tool_name.map(str::to_owned),
                meaning.ttft_s.map(|seconds| (seconds * 1000.0).round() as u64),
            )
        })
    };
    let some = |name: &str| Some(name.to_owned());
    for (scope, name, attributes, expected) in [
        ("", "planner", &["langfuse.observation.type=agent"][..], (some("planner"), None, None)),
        ("", "agent.guide", &["mastra.span.type=agent_run", "gen_ai.agent.id=guide"], (some("guide"), None, None)),
        ("", "search", &["mlflow.spanType=\"TOOL\""], (None, some("search"), None)),
        (
            "ai",
            "x",
            &["ai.operationId=ai.streamText.doStream", "ai.telemetry.functionId=poet", "ai.response.msToFirstChunk=28"],
            (some("poet"), None, Some(28)),
        ),
        ("gen_ai", "invoke_agent gpt-4o", &["gen_ai.operation.name=invoke_agent"], (some("invoke_agent"), None, None)),
        ("gcp.vertex.agent", "agent_run [writer]", &[], (some("writer"), None, None)),
        (
            "",
            "x",
            &["gen_ai.system=strands-agents", "gen_ai.operation.name=chat", "gen_ai.server.time_to_first_token=50"],
            (None, None, Some(50)),
        ),
        (
            "semantic_kernel.functions",
            "x",
            &["gen_ai.operation.name=execute_tool", "gen_ai.tool.name=Desk-close-it"],
            (None, some("close-it"), None),
        ),
        (
            "agent_framework",
            "x",
            &["gen_ai.operation.name=execute_tool", "gen_ai.tool.name=close-it"],
            (None, some("close-it"), None),
        ),
    ] {
        assert_eq!(shown(scope, name, attributes), expected, "{name} {attributes:?}");
    }
}

#[test]
fn a_stream_that_logfire_tells_of_at_its_end_is_one_call() {
    let request = sent("Chat Completion", &["gen_ai.operation.name=chat", "gen_ai.request.model=m"]);
    let log = ["logfire.span_type=log", "gen_ai.operation.name=chat", "gen_ai.usage.input_tokens=3"];
    let op = |sent: &Sent| understand_in("logfire.openai", sent, |meaning| meaning.map(|meaning| meaning.op));
    assert_eq!(op(&request), Some(Op::Step));
    assert_eq!(op(&sent("streaming response took 1s", &log)), Some(Op::Chat));
    let mut failed = request;
    failed.status = Some(Status { code: 2, message: "429".into() });
    assert_eq!(op(&failed), Some(Op::Chat));
}

#[test]
fn a_call_that_bills_takes_details_from_the_call_right_above() {
    let mut outer = chat(2, 1, (0, 100), 300, 47);
    outer.attributes.push(int("gen_ai.usage.cache_read.input_tokens", 128));
    outer.attributes.push(int("gen_ai.usage.reasoning.output_tokens", 16));
    let inner = chat(3, 2, (10, 90), 300, 47);
    let usd = |spans: &[Sent]| {
        let mut scene = Scene::new();
        let totals = scene.arrive(spans).finish().totals();
        assert_eq!((totals.llm_calls, totals.cache_read_tokens, totals.reasoning_tokens), (1, Some(128), Some(16)));
        totals.cost_usd
    };
    let run = agent(1, 0, (0, 110), "writer");
    let alone = usd(&[outer.clone(), run.clone()]);
    assert_eq!(usd(&[inner.clone(), outer.clone(), run.clone()]), alone);
    assert_eq!(usd(&[run.clone(), outer.clone(), inner]), alone);

    // Another number of tokens is another count, of which nobody knows the parts.
    let mut scene = Scene::new();
    let totals = scene.arrive(&[chat(3, 2, (10, 90), 200, 47), outer, run]).finish().totals();
    assert_eq!((totals.input_tokens, totals.cache_read_tokens), (Some(200), None));
}

#[test]
fn what_an_agent_calls_within_a_call_is_not_the_same_call() {
    let mut scene = Scene::new();
    let spans = [
        chat(5, 4, (30, 40), 20, 2),
        agent(4, 3, (25, 45), "helper"),
        tool(3, 2, (20, 50), "ask_helper"),
        chat(2, 1, (0, 60), 100, 10),
        agent(1, 0, (0, 70), "writer"),
        bare_chat(6, 1, (61, 65)),
    ];
    let totals = scene.arrive(&spans).finish().totals();
    assert_eq!((totals.llm_calls, totals.input_tokens), (3, Some(120)));
}

/// The content in the events of a span: what went in and what came out.
fn content(scope: &str, sent: &Sent) -> (Json, Json) {
    let (start, end) = payloads_in(scope, sent);
    let of = |payload: &serde_json::Map<String, Json>, keys: [&str; 3]| {
        keys.iter().find_map(|key| payload.get(*key)).cloned().unwrap_or(Json::Null)
    };
    (of(&start, ["messages", "arguments", "input"]), of(&end, ["response", "result", "output"]))
}

#[test]
fn messages_have_one_form_whoever_wrote_them() {
    let said = |role: &str, content: &str| json!({"role": role, "parts": [{"type": "text", "content": content}]});
    let call = |id: &str| json!({"type": "tool_call", "id": id, "name": "look", "arguments": {"at": "it"}});
    let answer = |id: &str, response: Json| json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": id, "response": response}]});

    let ai_sdk = sent(
        "x",
        &[
            "ai.operationId=ai.generateText.doGenerate",
            r#"ai.prompt.messages=[{"role":"system","content":"Be."},{"role":"user","content":[{"type":"text","text":"Hi"}]},
                {"role":"tool","content":[{"type":"tool-result","toolCallId":"1","toolName":"look","output":{"type":"json","value":{"ok":1}}}]}]"#,
            "ai.response.text=Looking.",
            r#"ai.response.toolCalls=[{"toolCallId":"2","toolName":"look","input":"{\"at\":\"it\"}"}]"#,
            "ai.response.finishReason=tool-calls",
        ],
    );
    let (input, output) = content("ai", &ai_sdk);
    assert_eq!(input, json!([said("system", "Be."), said("user", "Hi"), answer("1", json!({"ok": 1}))]));
    let parts = json!([{"type": "text", "content": "Looking."}, call("2")]);
    assert_eq!(output, json!([{"role": "assistant", "parts": parts, "finish_reason": "tool_call"}]));

    let whole = sent("x", &["ai.operationId=ai.generateText", r#"ai.prompt={"system":"Be.","prompt":"Hi"}"#]);
    assert_eq!(content("ai", &whole).0, json!([said("system", "Be."), said("user", "Hi")]));

    let mut strands = sent("chat", &["gen_ai.system=strands-agents", "gen_ai.operation.name=chat"]);
    for (name, attributes) in [
        ("gen_ai.system.message", &[("content", r#"[{"text": "Be."}]"#)][..]),
        ("gen_ai.user.message", &[("content", r#"[{"text": "Hi"}]"#)]),
        (
            "gen_ai.tool.message",
            &[("content", r#"[{"toolResult": {"toolUseId": "1", "content": [{"text": "seen"}]}}]"#)],
        ),
        (
            "gen_ai.choice",
            &[
                ("message", r#"[{"toolUse": {"toolUseId": "2", "name": "look", "input": {"at": "it"}}}]"#),
                ("finish_reason", "tool_use"),
            ],
        ),
    ] {
        let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
        strands.events.push(SentEvent { name: name.into(), attributes, ..SentEvent::default() });
    }
    let (input, output) = content("", &strands);
    assert_eq!(input, json!([said("system", "Be."), said("user", "Hi"), answer("1", json!("seen"))]));
    assert_eq!(output, json!([{"role": "assistant", "parts": [call("2")], "finish_reason": "tool_call"}]));

    let adk = sent(
        "call_llm",
        &[
            r#"gcp.vertex.agent.llm_request={"model":"m","config":{"system_instruction":"Be."},"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
            r#"gcp.vertex.agent.llm_response={"content":{"role":"model","parts":[{"text":"Hello"}]},"finish_reason":"STOP"}"#,
        ],
    );
    let (input, output) = content("gcp.vertex.agent", &adk);
    assert_eq!(input, json!([said("system", "Be."), said("user", "Hi")]));
    assert_eq!(output[0]["parts"], said("assistant", "Hello")["parts"]);

    let first_format = sent(
        "chat m",
        &[
            "gen_ai.operation.name=chat",
            r#"events=[{"event.name":"gen_ai.user.message","role":"user","content":"Hi"},
                {"event.name":"gen_ai.tool.message","role":"tool","id":"1","content":"seen"},
                {"event.name":"gen_ai.choice","index":0,"message":{"role":"assistant","content":"Hello"}}]"#,
        ],
    );
    let (input, output) = content("pydantic-ai", &first_format);
    assert_eq!(
        (input, output),
        (json!([said("user", "Hi"), answer("1", json!("seen"))]), json!([said("assistant", "Hello")]))
    );
}

#[test]
fn answers_of_tools_are_not_said_by_the_user() {
    let answer = json!({"type": "tool_call_response", "id": "1", "response": "seen"});
    let asked = json!({"type": "text", "content": "And?"});
    let sent_messages = json!([{"role": "user", "parts": [answer, asked]}]).to_string();
    let call = sent("x", &["gen_ai.operation.name=chat", &format!("gen_ai.input.messages={sent_messages}")]);
    let expected = json!([{"role": "tool", "parts": [answer]}, {"role": "user", "parts": [asked]}]);
    assert_eq!(content("pydantic-ai", &call).0, expected);
}

#[test]
fn what_tools_take_and_give_is_shown_as_it_is() {
    let mlflow = sent(
        "t",
        &[
            "mlflow.spanType=\"TOOL\"",
            r#"mlflow.spanInputs={"at": "it"}"#,
            r#"mlflow.spanOutputs="{\"sky\": \"clear\"}""#,
        ],
    );
    assert_eq!(content("", &mlflow), (json!({"at": "it"}), json!({"sky": "clear"})));
    let mut strands = sent("execute_tool t", &["gen_ai.system=strands-agents", "gen_ai.tool.name=t"]);
    for (name, key, value) in
        [("gen_ai.tool.message", "content", r#"{"at": "it"}"#), ("gen_ai.choice", "message", r#"[{"text": "seen"}]"#)]
    {
        let attributes = vec![text(key, value)];
        strands.events.push(SentEvent { name: name.into(), attributes, ..SentEvent::default() });
    }
    assert_eq!(content("", &strands), (json!({"at": "it"}), json!([{"text": "seen"}])));
}
