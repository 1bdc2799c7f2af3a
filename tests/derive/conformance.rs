//! Short cases that every reader of this telemetry gets wrong in some way, each with what is right.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanlight::dialect::{Meaning, Op, Usage};
use spanlight::otlp::{Batch, Signal};

use super::dialects::understand_in;
use super::scene::{Scene, agent, chat, int, span, text};

fn of_attributes(attributes: Vec<KeyValue>) -> Span {
    span(1, 0, (0, 100), "span", attributes)
}

fn meaning<T>(scope: &str, sent: &Span, look: impl FnOnce(Meaning<'_>) -> T) -> T {
    understand_in(scope, sent, |meaning| look(meaning.unwrap()))
}

fn usage(scope: &str, sent: &Span) -> Usage {
    meaning(scope, sent, |meaning| meaning.usage)
}

/// The figures of a log record, sent alone.
fn figures_of_log(scope: &str, attributes: Vec<KeyValue>) -> (Option<u64>, Option<u64>, Option<u64>, Option<u64>) {
    let record = LogRecord { time_unix_nano: 1_795_262_400_000_000_000, attributes, ..LogRecord::default() };
    let scope = InstrumentationScope { name: scope.into(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let mut scene = Scene::new();
    let batch = Batch::read(Signal::Logs, bytes.into()).unwrap().batch;
    scene.deriver.logs(&batch, scene.now, &mut scene.out);
    let totals = scene.pass(10_000).totals();
    assert_eq!(totals.llm_calls, 1);
    (totals.input_tokens, totals.cache_read_tokens, totals.output_tokens, totals.reasoning_tokens)
}

#[test]
fn claude_code_counts_the_uncached_rest() {
    let mut sent = of_attributes(vec![
        text("span.type", "llm_request"),
        text("model", "claude-sonnet-4-5"),
        int("input_tokens", 2),
        int("output_tokens", 1200),
        int("cache_read_tokens", 84_562),
        int("cache_creation_tokens", 7096),
    ]);
    sent.name = "claude_code.llm_request".into();
    let usage = usage("com.anthropic.claude_code.tracing", &sent);
    assert_eq!((usage.input, usage.cache_read, usage.cache_write), (Some(91_660), Some(84_562), Some(7096)));
    assert_eq!(usage.output, Some(1200));
}

#[test]
fn cached_input_has_its_own_price() {
    let priced = |scope: &str, mut attributes: Vec<KeyValue>| {
        attributes.push(text("gen_ai.request.model", "claude-sonnet-4-5"));
        let sent = of_attributes(attributes);
        let usage = usage(scope, &sent);
        assert_eq!(
            (usage.input, usage.cache_read, usage.cache_write),
            (Some(130_213), Some(128_955), Some(1253)),
            "{scope}"
        );
        let mut scene = Scene::new();
        scene.arrive(&[sent]).pass(10_000);
        scene.totals().cost_usd.unwrap()
    };
    let conventions = vec![
        text("gen_ai.operation.name", "chat"),
        int("gen_ai.usage.input_tokens", 130_213),
        int("gen_ai.usage.cache_read.input_tokens", 128_955),
        int("gen_ai.usage.cache_write.input_tokens", 1253),
        int("gen_ai.usage.output_tokens", 10),
    ];
    let buckets = r#"{"input":5,"input_cached_tokens":128955,"input_cache_creation":1253,"output":10}"#;
    let langfuse =
        vec![text("langfuse.observation.type", "generation"), text("langfuse.observation.usage_details", buckets)];
    for (scope, attributes) in [("", conventions), ("langfuse-sdk", langfuse)] {
        let usd = priced(scope, attributes);
        assert!((usd - 0.043_550_25).abs() < 1e-9, "{scope}: {usd}");
    }
}

#[test]
fn gemini_cli_leaves_thoughts_out_of_its_output() {
    let attributes = vec![
        text("event.name", "gemini_cli.api_response"),
        text("model", "gemini-2.5-pro"),
        text("session.id", "s"),
        int("input_token_count", 100),
        int("cached_content_token_count", 40),
        int("output_token_count", 50),
        int("thoughts_token_count", 30),
    ];
    assert_eq!(figures_of_log("gemini-cli", attributes), (Some(100), Some(40), Some(80), Some(30)));
}

#[test]
fn codex_writes_numbers_as_text_and_counts_reasoning_as_output() {
    let attributes = vec![
        text("event.name", "codex.sse_event"),
        text("event.kind", "response.completed"),
        text("conversation.id", "c"),
        text("model", "gpt-5.5"),
        text("input_token_count", "47468"),
        int("cached_token_count", 18_176),
        text("output_token_count", "340"),
        int("reasoning_token_count", 60),
    ];
    assert_eq!(figures_of_log("codex_otel.log_only", attributes), (Some(47_468), Some(18_176), Some(340), Some(60)));
}

#[test]
fn what_an_agent_reports_is_the_sum_of_its_calls() {
    let strands = |mut sent: Span| {
        sent.attributes.push(text("gen_ai.system", "strands-agents"));
        sent
    };
    let mut whole = agent(1, 0, (0, 100), "buyer");
    whole.attributes.extend([int("gen_ai.usage.input_tokens", 300), int("gen_ai.usage.output_tokens", 30)]);
    let mut scene = Scene::new();
    let spans = [chat(2, 1, (10, 20), 100, 10), chat(3, 1, (30, 40), 200, 20), whole].map(strands);
    scene.arrive(&spans).pass(10_000);
    assert_eq!((scene.totals().input_tokens, scene.totals().output_tokens), (Some(300), Some(30)));
}

#[test]
fn minus_one_token_is_unknown() {
    let sent = of_attributes(vec![
        text("gen_ai.operation.name", "chat.completions"),
        int("gen_ai.response.prompt_tokens", -1),
        int("gen_ai.response.completion_tokens", 7),
    ]);
    let usage = usage("Microsoft.SemanticKernel.Connectors.OpenAI", &sent);
    assert_eq!((usage.input, usage.output), (None, Some(7)));
}

#[test]
fn operations_that_lie() {
    let retriever =
        of_attributes(vec![text("gen_ai.operation.name", "embeddings"), text("langsmith.span.kind", "retriever")]);
    meaning("langsmith", &retriever, |meaning| assert_eq!(meaning.op, Op::Retrieval));
    let named = of_attributes(vec![text("gen_ai.request.model", "gpt-4o"), text("gen_ai.agent.name", "writer")]);
    meaning("", &named, |meaning| assert_eq!(meaning.op, Op::InvokeAgent));
    let quoted = of_attributes(vec![text("mlflow.spanType", r#""CHAT_MODEL""#)]);
    meaning("mlflow", &quoted, |meaning| assert_eq!(meaning.op, Op::Chat));
    let unknown = of_attributes(vec![text("gen_ai.operation.name", "frobnicate"), int("gen_ai.usage.input_tokens", 5)]);
    meaning("", &unknown, |meaning| assert_eq!(meaning.op, Op::Step));
}

#[test]
fn the_name_of_a_prompt_is_no_message() {
    let sent = of_attributes(vec![text("gen_ai.operation.name", "chat"), text("gen_ai.prompt.name", "greeting")]);
    meaning("", &sent, |meaning| assert_eq!(meaning.dialect, "otel_genai"));
    let mut scene = Scene::new();
    scene.arrive(&[sent]).pass(1000);
    assert!(scene.out.events.iter().all(|event| event.data.get("messages").is_none()));
}

#[test]
fn copilots_cost_is_no_money() {
    let sent = of_attributes(vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "nobody-knows-this-model"),
        int("gen_ai.usage.input_tokens", 10),
        int("github.copilot.cost", 1),
    ]);
    assert_eq!(meaning("github.copilot", &sent, |meaning| meaning.reported_usd), None);
    let mut scene = Scene::new();
    scene.arrive(&[sent]).pass(10_000);
    assert_eq!(scene.totals().cost_usd, None);
}
