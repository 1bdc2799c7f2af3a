//! What spans mean that instrumentations of other people write: OpenInference, LangSmith, OpenLLMetry, LiteLLM, and
//! the frameworks that trace themselves.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_proto::tonic::trace::v1::span::Event as SentEvent;
use serde_json::{Value as Json, json};
use spanlight::dialect::{Aside, Hint, Meaning, Op};

use super::dialects::{payloads, understand_in};
use super::scene::{attribute, failed, int, span, text};

/// Attributes as `key=text`, `key:=number` or a bare key for a truth.
fn attributes(said: &[&str]) -> Vec<KeyValue> {
    let one = |said: &&str| match (said.split_once(":="), said.split_once('=')) {
        (Some((key, number)), _) => int(key, number.parse().unwrap()),
        (None, Some((key, word))) => text(key, word),
        (None, None) => attribute(said, Value::BoolValue(true)),
    };
    said.iter().map(one).collect()
}

fn sent(name: &str, said: &[&str]) -> Sent {
    span(1, 0, (0, 1000), name, attributes(said))
}

fn meaning<T>(scope: &str, name: &str, said: &[&str], look: impl FnOnce(&Meaning<'_>) -> T) -> T {
    understand_in(scope, &sent(name, said), |meaning| look(&meaning.unwrap_or_else(|| panic!("{name} {said:?}"))))
}

const LANGCHAIN: &str = "openinference.instrumentation.langchain";
const PIPECAT: &str = "openinference.instrumentation.pipecat";
const INSTRUCTOR: &str = "openinference.instrumentation.instructor";
const BEEAI: &str = "openinference.instrumentation.beeai";

#[test]
fn kinds_of_spans() {
    let agents = "openinference.instrumentation.openai_agents";
    let table: &[(&str, &str, &[&str], &str, Op)] = &[
        ("x", "x", &["openinference.span.kind=LLM", "gen_ai.operation.name=chat"], "openinference", Op::Chat),
        ("x", "x", &["openinference.span.kind=TOOL"], "openinference", Op::ExecuteTool),
        ("x", "x", &["openinference.span.kind=AGENT"], "openinference", Op::InvokeAgent),
        ("x", "x", &["openinference.span.kind=CHAIN"], "openinference", Op::Step),
        ("x", "x", &["openinference.span.kind=EMBEDDING"], "openinference", Op::Embeddings),
        ("x", "x", &["openinference.span.kind=RERANKER"], "openinference", Op::Rerank),
        ("x", "x", &["openinference.span.kind=RETRIEVER"], "openinference", Op::Retrieval),
        ("x", "x", &["openinference.span.kind=GUARDRAIL"], "openinference", Op::Guardrail),
        ("x", "x", &["openinference.span.kind=EVALUATOR"], "openinference", Op::Evaluate),
        ("x", "x", &["openinference.span.kind=PROMPT"], "openinference", Op::Step),
        ("x", "x", &["openinference.span.kind=DECISION"], "openinference", Op::Chat),
        (LANGCHAIN, "book_agent", &["openinference.span.kind=AGENT", "tool.name=t"], "openinference", Op::ExecuteTool),
        (
            LANGCHAIN,
            "AgentLLM",
            &["openinference.span.kind=AGENT", "llm.invocation_parameters={}"],
            "openinference",
            Op::Chat,
        ),
        (LANGCHAIN, "AgentExecutor", &["openinference.span.kind=AGENT"], "openinference", Op::Step),
        (agents, "support", &["openinference.span.kind=AGENT"], "openinference", Op::InvokeWorkflow),
        (agents, "Triage", &["openinference.span.kind=AGENT", "agent.name=Triage"], "openinference", Op::InvokeAgent),
        (agents, "handoff to B", &["openinference.span.kind=TOOL"], "openinference", Op::Handoff),
        (PIPECAT, "pipecat.tts", &["openinference.span.kind=LLM", "llm.model_name=sonic-2"], "openinference", Op::Step),
        (
            PIPECAT,
            "pipecat.llm",
            &["openinference.span.kind=LLM", "gen_ai.operation.name=chat"],
            "openinference",
            Op::Chat,
        ),
        (INSTRUCTOR, "instructor.patch", &["openinference.span.kind=TOOL"], "openinference", Op::Step),
        (BEEAI, "desk", &["openinference.span.kind=AGENT", "agent.name=desk"], "openinference", Op::InvokeAgent),
        (
            BEEAI,
            "retry",
            &["openinference.span.kind=LLM", "metadata.path=backend.chat.retry"],
            "openinference",
            Op::Step,
        ),
        (BEEAI, "final_answer", &["openinference.span.kind=TOOL", "tool.name=final_answer"], "openinference", Op::Step),
        (
            "langsmith",
            "x",
            &["langsmith.span.kind=retriever", "gen_ai.operation.name=embeddings"],
            "langsmith",
            Op::Retrieval,
        ),
        ("langsmith", "x", &["langsmith.span.kind=prompt", "gen_ai.operation.name=chat"], "langsmith", Op::Step),
        (
            "langsmith",
            "x",
            &["langsmith.span.kind=llm", "langsmith.metadata.ls_model_type=llm"],
            "langsmith",
            Op::TextCompletion,
        ),
        ("x", "x.workflow", &["traceloop.span.kind=workflow"], "openllmetry", Op::InvokeWorkflow),
        (
            "x",
            "x.task",
            &["traceloop.span.kind=task", "gen_ai.operation.name=vector_db_retrieve"],
            "openllmetry",
            Op::Retrieval,
        ),
        ("x", "x.agent", &["traceloop.span.kind=agent", "gen_ai.operation.name=chat"], "openllmetry", Op::InvokeAgent),
        ("x", "x", &["llm.request.type=embedding"], "openllmetry", Op::Embeddings),
        ("x", "x", &["gen_ai.prompt.0.content=hi", "gen_ai.usage.prompt_tokens:=3"], "openllmetry", Op::Chat),
        ("litellm", "litellm_request", &["llm.request.type=acompletion"], "litellm", Op::Chat),
        ("litellm", "my generation", &["gen_ai.operation.name=aembedding"], "litellm", Op::Embeddings),
        ("litellm", "raw_gen_ai_request", &[], "litellm", Op::Step),
        ("litellm", "Received Proxy Server Request", &[], "litellm", Op::InvokeWorkflow),
        ("litellm", "execute_guardrail pii", &["litellm.guardrail.name=pii"], "litellm", Op::Guardrail),
        ("litellm", "guardrail", &["openinference.span.kind=guardrail"], "openinference", Op::Guardrail),
        ("x", "redis.get", &["litellm.service.name=redis"], "litellm", Op::Step),
        ("openlit.otel", "x", &["gen_ai.operation.name=image"], "openlit", Op::Image),
        ("x", "x", &["lmnr.span.type=EXECUTOR"], "laminar", Op::InvokeAgent),
        ("x", "x", &["lmnr.span.type=CACHED"], "laminar", Op::Chat),
        ("x", "x", &["lmnr.span.type=DEFAULT"], "laminar", Op::Step),
        ("x", "x", &["agentops.span.kind=AgentOpsSpanKindValues.AGENT"], "agentops", Op::InvokeAgent),
        ("x", "x", &["agentops.span.kind=session"], "agentops", Op::InvokeWorkflow),
        ("x", "tool_call.t", &["agentops.span.kind=tool", "tool.name=t"], "agentops", Op::Step),
        (
            "x",
            "execute agent",
            &["crewai.event_name=e", "gen_ai.operation.name=invoke_agent"],
            "crewai",
            Op::InvokeAgent,
        ),
        ("x", "query memory", &["crewai.event_name=e"], "crewai", Op::Memory),
        (
            "x",
            "tool failure",
            &["crewai.event_name=tool_failure_detected", "gen_ai.operation.name=execute_tool"],
            "crewai",
            Op::Step,
        ),
        ("x", "haystack.pipeline.run", &[], "haystack", Op::InvokeWorkflow),
        ("x", "haystack.agent.step.tool", &["haystack.tool.name=t"], "haystack", Op::ExecuteTool),
        ("x", "haystack.component.run", &["haystack.component.type=OpenAIChatGenerator"], "haystack", Op::Chat),
        ("x", "haystack.component.run", &["haystack.component.type=InMemoryBM25Retriever"], "haystack", Op::Retrieval),
        ("x", "haystack.component.run", &["haystack.component.type=PromptBuilder"], "haystack", Op::Step),
        (
            "llamaindex.opentelemetry.tracer",
            "FunctionTool.acall",
            &["llamaindex.step.input_event=ToolCall"],
            "llama_index",
            Op::ExecuteTool,
        ),
        ("llamaindex.opentelemetry.tracer", "X.step", &[], "llama_index", Op::Step),
        ("mcp", "MCP send tools/call add", &["mcp.method.name=tools/call"], "mcp", Op::Mcp),
    ];
    for (scope, name, said, dialect, op) in table {
        let got = meaning(scope, name, said, |meaning| (meaning.dialect, meaning.op));
        assert_eq!(got, (*dialect, *op), "{name} {said:?}");
    }
    for kind in ["unknown", "http", "text"] {
        let sent = sent("x", &[&format!("agentops.span.kind={kind}")]);
        assert_eq!(understand_in("x", &sent, |meaning| meaning.map(|meaning| meaning.op)), None, "{kind}");
    }
}

#[test]
fn tokens_and_what_they_leave_out() {
    let usage = |scope: &str, name: &str, said: &[&str]| {
        meaning(scope, name, said, |m| (m.usage.input, m.usage.output, m.usage.cache_read, m.usage.reasoning))
    };
    let oi = &[
        "openinference.span.kind=LLM",
        "llm.token_count.prompt:=100",
        "llm.token_count.completion:=20",
        "llm.token_count.prompt_details.cache_read:=60",
        "llm.token_count.completion_details.reasoning:=5",
    ];
    assert_eq!(usage("x", "x", oi), (Some(100), Some(20), Some(60), Some(5)));
    let decision =
        &["openinference.span.kind=DECISION", "decision.token_count.input:=7", "decision.token_count.output:=1"];
    assert_eq!(usage("x", "x", decision), (Some(7), Some(1), None, None));
    let printed = &[
        "langsmith.span.kind=llm",
        "gen_ai.usage.input_tokens:=100",
        "gen_ai.usage.output_tokens:=20",
        "gen_ai.usage.input_token_details={'audio': 0, 'cache_read': 60}",
        r#"langsmith.metadata.usage_metadata={"output_token_details":{"reasoning":5}}"#,
    ];
    assert_eq!(usage("langsmith", "x", printed), (Some(100), Some(20), Some(60), Some(5)));
    let litellm = &[
        "llm.request.type=acompletion",
        "gen_ai.usage.input_tokens:=100",
        "gen_ai.usage.output_tokens:=20",
        "metadata.usage_object={'prompt_tokens_details': {'cached_tokens': 60, 'x': None}, 'completion_tokens_details': {'reasoning_tokens': 5}}",
    ];
    assert_eq!(usage("litellm", "litellm_request", litellm), (Some(100), Some(20), Some(60), Some(5)));
    let openlit = |provider: &str| {
        let provider = format!("gen_ai.provider.name={provider}");
        let said = [
            "gen_ai.operation.name=chat",
            "gen_ai.usage.input_tokens:=100",
            "gen_ai.usage.cache_read.input_tokens:=60",
        ];
        usage("openlit.instrumentation", "chat", &[&said[..], &[&provider]].concat()).0
    };
    assert_eq!((openlit("openai"), openlit("anthropic")), (Some(100), Some(160)));
    let reply = r#"haystack.agent.step.llm.output={"replies":[{"role":"assistant","meta":{"model":"gpt-4o-mini","usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":60}}},"content":[]}]}"#;
    assert_eq!(usage("x", "haystack.agent.step.llm", &[reply]), (Some(100), Some(20), Some(60), None));
    let beside = r#"haystack.component.output={"replies":["hi"],"meta":[{"model":"gpt-4o-mini","usage":{"prompt_tokens":100,"completion_tokens":20}}]}"#;
    let generator = &["haystack.component.type=OpenAIGenerator", beside];
    assert_eq!(usage("x", "haystack.component.run", generator), (Some(100), Some(20), None, None));
}

#[test]
fn a_cost_of_nothing_is_no_cost_where_no_price_is_known() {
    let cost = |said: &str| {
        let said = ["gen_ai.operation.name=chat", "gen_ai.usage.input_tokens:=1", said];
        meaning("openlit", "chat", &said, |meaning| meaning.reported_usd)
    };
    assert_eq!((cost("gen_ai.usage.cost:=0"), cost("gen_ai.usage.cost:=2")), (None, Some(2.0)));
    let failed = ["llm.request.type=completion", "litellm.cost.total:=0"];
    assert_eq!(meaning("litellm", "litellm_request", &failed, |meaning| meaning.reported_usd), None);
}

#[test]
fn nodes_of_graphs_and_agents_of_langchain() {
    let hinted = |name: &str, metadata: Json| {
        let metadata = format!("metadata={metadata}");
        let said = ["openinference.span.kind=CHAIN", &metadata];
        meaning(LANGCHAIN, name, &said, |m| (m.op, m.hint, m.agent_name.map(str::to_owned)))
    };
    let agent = |name: &str| (Op::Step, Some(Hint::AgentIfItCalls), Some(name.to_owned()));
    assert_eq!(hinted("LangGraph", json!({})), (Op::InvokeWorkflow, Some(Hint::AgentIfItCalls), None));
    assert_eq!(hinted("team", json!({"ls_integration": "langgraph"})).0, Op::InvokeWorkflow);
    assert_eq!(hinted("writer", json!({"langgraph_node": "writer"})), agent("writer"));
    assert_eq!(hinted("wrïter", json!({"langgraph_node": "x", "lc_agent_name": "wrïter"})), agent("wrïter"));
    let part = json!({"langgraph_node": "model", "lc_agent_name": "writer"});
    assert_eq!(hinted("model", part), (Op::Step, Some(Hint::WorkflowIfOutermost), Some("writer".into())));
    assert_eq!(hinted("agent", json!({"langgraph_node": "agent"})).1, Some(Hint::WorkflowIfOutermost));
    assert_eq!(hinted("RunnableSequence", json!({})).1, Some(Hint::WorkflowIfOutermost));
    let whose = json!({"thread_id": 7, "user_id": "u", "langgraph_triggers": ["a"], "x": null});
    let said = ["openinference.span.kind=CHAIN", &format!("metadata={whose}")];
    let got = meaning(LANGCHAIN, "x", &said, |m| {
        [&m.conversation_id, &m.session_id, &m.user_id].map(|id| id.as_deref().map(str::to_owned))
    });
    assert_eq!(got.map(Option::unwrap), ["7", "7", "u"]);
}

#[test]
fn who_handed_the_work_on_to_whom() {
    let handed = |scope: &str, name: &str, said: &[&str]| {
        meaning(scope, name, said, |meaning| match meaning.aside.clone().unwrap() {
            Aside::HandedOff { from, to } => (from.map(|from| from.into_owned()), to.into_owned()),
            other => panic!("{other:?}"),
        })
    };
    let agents = "openinference.instrumentation.openai_agents";
    let oi = ["openinference.span.kind=TOOL", "input.value=A", "output.value=B"];
    assert_eq!(handed(agents, "handoff to B", &oi), (Some("A".into()), "B".into()));
    assert_eq!(handed(agents, "handoff to B", &oi[..1]), (None, "B".into()));
    let traceloop = ["traceloop.span.kind=handoff", "gen_ai.handoff.from_agent=A", "gen_ai.handoff.to_agent=B"];
    assert_eq!(handed("x", "A → B.handoff", &traceloop), (Some("A".into()), "B".into()));
    let agentops = ["agentops.span.kind=agent", "from_agent=A", "to_agent=B"];
    assert_eq!(handed("x", "x", &agentops), (Some("A".into()), "B".into()));
}

#[test]
fn names_of_agents_and_tools() {
    let named = |scope: &str, name: &str, said: &[&str]| {
        meaning(scope, name, said, |m| m.agent_name.or(m.tool_name).or(m.workflow_name).map(str::to_owned)).unwrap()
    };
    // A node of a graph is whatever it is: only that of an agent is named like one.
    let node = |kind: &str| {
        let kind = format!("openinference.span.kind={kind}");
        let said = [kind.as_str(), "graph.node.name=weather"];
        meaning("x", "weather", &said, |meaning| meaning.agent_name.map(str::to_owned))
    };
    assert_eq!((node("AGENT").as_deref(), node("TOOL"), node("CHAIN")), (Some("weather"), None, None));
    let agent = ["openinference.span.kind=AGENT", "graph.node.id=Auditor"];
    assert_eq!(named("x", "Auditor.audit._execute_core", &agent), "Auditor");
    assert_eq!(named("x", "planner.run", &["openinference.span.kind=AGENT", "graph.node.id=9f3a"]), "planner");
    assert_eq!(named("x", "read.run", &["openinference.span.kind=TOOL"]), "read");
    let crew = [
        "crewai.event_name=e",
        "gen_ai.operation.name=invoke_agent",
        "gen_ai.agent.name=f8cd65",
        "crewai.agent.role=Planner",
    ];
    assert_eq!(named("x", "execute agent", &crew), "Planner");
    assert_eq!(named("x", "p.agent", &["traceloop.span.kind=agent", "traceloop.entity.name=p"]), "p");
    assert_eq!(named("x", "t.tool", &["traceloop.span.kind=tool"]), "t");
    let summary = "llamaindex.step.input_summary=ToolCall(tool_name='add', tool_kwargs={}, tool_id='c1')";
    let tool = ["llamaindex.step.input_event=ToolCall", summary];
    assert_eq!(named("llamaindex.opentelemetry.tracer", "FunctionTool.call", &tool), "add");
    assert_eq!(named("x", "MCP send tools/call add", &["mcp.method.name=tools/call"]), "add");
}

#[test]
fn failures_say_what_went_wrong_and_not_where() {
    let said = ["openinference.span.kind=TOOL", "tool.name=t"];
    let status = "ValueError('no')Traceback (most recent call last):\n  File \"x.py\"";
    let sent = failed(sent("t", &said), "ValueError", status);
    let got = understand_in(LANGCHAIN, &sent, |meaning| meaning.unwrap().failure.unwrap().message.map(str::to_owned));
    assert_eq!(got.as_deref(), Some("ValueError('no')"));
    let tool = ["haystack.tool.name=t", "haystack.tool.error", r#"haystack.agent.step.tool.output={"error": "no"}"#];
    let got = meaning("x", "haystack.agent.step.tool", &tool, |meaning| {
        meaning.failure.clone().unwrap().message.map(str::to_owned)
    });
    assert_eq!(got.as_deref(), Some("no"));
}

#[test]
fn messages_come_out_in_one_form() {
    let call = json!({"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}});
    let asked = json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]);
    let answered = json!([{"role": "assistant", "parts": [call]}]);
    let openai = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]}"#;
    let table: &[&[&str]] = &[
        &[
            "openinference.span.kind=LLM",
            "llm.input_messages.0.message.role=user",
            "llm.input_messages.0.message.contents.0.message_content.type=text",
            "llm.input_messages.0.message.contents.0.message_content.text=hi",
            "llm.output_messages.0.message.role=assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id=c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name=add",
            r#"llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments={"a":1}"#,
        ],
        &[
            "openinference.span.kind=LLM",
            r#"input.value={"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            &format!(r#"output.value={{"choices":[{{"index":0,"message":{openai}}}]}}"#),
        ],
        &[
            "llm.request.type=chat",
            "gen_ai.prompt.0.role=user",
            r#"gen_ai.prompt.0.content=[{"type":"text","text":"hi"}]"#,
            "gen_ai.completion.0.role=assistant",
            "gen_ai.completion.0.tool_calls.0.id=c1",
            "gen_ai.completion.0.tool_calls.0.name=add",
            r#"gen_ai.completion.0.tool_calls.0.arguments={"a":1}"#,
        ],
        &[
            "langsmith.span.kind=llm",
            r#"gen_ai.prompt={"messages":[[{"lc":1,"type":"constructor","id":["HumanMessage"],"kwargs":{"content":"hi","type":"human"}}]]}"#,
            r#"gen_ai.completion={"generations":[[{"type":"ChatGeneration","message":{"lc":1,"type":"constructor","kwargs":{"content":"","type":"ai","tool_calls":[{"name":"add","args":{"a":1},"id":"c1"}]}}}]]}"#,
        ],
        &[
            "gen_ai.operation.name=chat",
            r#"gen_ai.input.messages=[{"role":"user","content":[{"text":"hi"}]}]"#,
            r#"gen_ai.output.messages=[{"role":"assistant","content":[{"toolUse":{"toolUseId":"c1","name":"add","input":{"a":1}}}]}]"#,
        ],
        &[
            "lmnr.span.type=LLM",
            r#"lmnr.span.input=[{"role":"user","parts":[{"text":"hi"}]}]"#,
            r#"lmnr.span.output={"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"add","input":{"a":1}}]}"#,
        ],
        &[
            "openinference.span.kind=LLM",
            r#"input.value=[{"role":"user","content":"hi"}]"#,
            r#"output.value={"output":[{"type":"function_call","call_id":"c1","name":"add","arguments":"{\"a\":1}"}]}"#,
        ],
    ];
    for said in table {
        let (start, end) = payloads(&sent("chat", said));
        assert_eq!((&start["messages"], &end["response"]), (&asked, &answered), "{said:?}");
    }
}

#[test]
fn what_is_no_message_stays_as_it_is() {
    for said in ["just text", r#"{"texts":["a"]}"#, r#"{"messages":"#, "[1,2]", r#"[{"role":"#] {
        let (start, _) = payloads(&sent("chat", &["lmnr.span.type=LLM", &format!("lmnr.span.input={said}")]));
        let shown = match &start["messages"] {
            Json::String(text) => text.clone(),
            json => json.to_string(),
        };
        assert_eq!(shown, *said);
    }
}

#[test]
fn arguments_and_results_of_tools_come_out_of_what_they_are_in() {
    let tool = |input: &str, output: &str| {
        let said = ["traceloop.span.kind=tool", "traceloop.entity.name=t"];
        let content = [format!("traceloop.entity.input={input}"), format!("traceloop.entity.output={output}")];
        let (start, end) = payloads(&sent("t.tool", &[&said[..], &[&content[0], &content[1]]].concat()));
        (start["arguments"].clone(), end["result"].clone())
    };
    assert_eq!(tool(r#"{"args": [], "kwargs": {"a": 1}}"#, r#""{\"b\": 2}""#), (json!({"a": 1}), json!({"b": 2})));
    assert_eq!(
        tool(r#"{"args": [1], "kwargs": {}}"#, r#""text""#),
        (json!({"args": [1], "kwargs": {}}), json!("text"))
    );
    let message = r#"{"type": "tool", "data": {"content": "hits", "type": "tool", "tool_call_id": "c1"}}"#;
    assert_eq!(tool(r#"{"input": "{'q': None}"}"#, message), (json!({"q": null}), json!("hits")));
    assert_eq!(tool(r#"{"input": "to translate"}"#, "5"), (json!({"input": "to translate"}), json!("5")));
}

#[test]
fn events_of_llama_index_say_what_a_span_did() {
    let mut call = sent("OpenAI.achat", &[]);
    let said = [
        "response.raw.model=gpt-4o-mini",
        "response.raw.usage.prompt_tokens:=100",
        "response.raw.usage.completion_tokens:=20",
        "response.raw.usage.prompt_tokens_details.cached_tokens:=60",
    ];
    call.events =
        vec![SentEvent { name: "LLMChatEndEvent".into(), attributes: attributes(&said), ..SentEvent::default() }];
    understand_in("llamaindex.opentelemetry.tracer", &call, |meaning| {
        let meaning = meaning.unwrap();
        assert_eq!((meaning.op, meaning.model()), (Op::Chat, Some("gpt-4o-mini")));
        assert_eq!((meaning.usage.input, meaning.usage.cache_read), (Some(100), Some(60)));
    });
}
