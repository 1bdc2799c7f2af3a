//! Requests of AI-agent spans as SDKs send them: a workflow of two steps with an agent each, three model calls
//! and two tool calls a trace, in the order in which they end.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// The encoded request of `spans` spans; `seed` makes its trace ids and token counts its own.
/// `content` is how many bytes of messages every model call has; tools are given and give a part of that.
pub fn request(spans: usize, seed: u64, content: usize) -> Vec<u8> {
    let spans = (0..).flat_map(|index| trace(seed, index, content)).take(spans).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "support-agents"),
                    text("service.version", "1.4.2"),
                    text("telemetry.sdk.language", "python"),
                    text("telemetry.sdk.name", "opentelemetry"),
                    text("telemetry.sdk.version", "1.45.0"),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope { name: "agents".into(), ..InstrumentationScope::default() }),
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
    .encode_to_vec()
}

fn trace(seed: u64, index: u64, content: usize) -> Vec<Span> {
    let conversation = format!("conv-{seed:04x}{index:04x}");
    let message = |role: &str, length: usize| {
        let words = "the order was delivered on monday ".repeat(length / 34 + 1);
        format!(r#"[{{"role":"{role}","parts":[{{"type":"text","content":"{}"}}]}}]"#, &words[..length])
    };
    let with_content = |mut attributes: Vec<KeyValue>, said: [(&str, &str, usize); 2]| {
        let said = said.iter().filter(|_| content > 0);
        attributes.extend(said.map(|(key, role, length)| text(key, &message(role, *length))));
        attributes
    };
    let span = |number: u64, parent: u64, name: &str, (from, to): (u64, u64), attributes: Vec<KeyValue>| {
        let id = |number: u64| (index << 8 | number).to_be_bytes().to_vec();
        let start = 1_790_000_000_000_000_000 + index * 1_000_000;
        Span {
            trace_id: [seed.to_be_bytes(), (index + 1).to_be_bytes()].concat(),
            span_id: id(number),
            parent_span_id: if parent == 0 { Vec::new() } else { id(parent) },
            name: name.into(),
            kind: 1,
            flags: 0x101,
            start_time_unix_nano: start + from * 1_000_000,
            end_time_unix_nano: start + to * 1_000_000,
            attributes,
            status: Some(Status::default()),
            ..Span::default()
        }
    };
    let agent = |name: &str| {
        vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.agent.name", name),
            text("gen_ai.conversation.id", &conversation),
            text("gen_ai.request.model", "gpt-4o"),
            int("gen_ai.usage.input_tokens", 3530),
            int("gen_ai.usage.output_tokens", 399),
        ]
    };
    let chat = |call: u64, model: &str, input: i64, output: i64| {
        let finish = AnyValue { value: Some(Value::StringValue("stop".into())) };
        let attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", model),
            text("gen_ai.response.model", &format!("{model}-2024-08-06")),
            text("gen_ai.response.id", &format!("chatcmpl-{seed:08x}{index:04x}{call:02x}")),
            any("gen_ai.response.finish_reasons", Value::ArrayValue(ArrayValue { values: vec![finish] })),
            any("gen_ai.request.temperature", Value::DoubleValue(0.2)),
            int("gen_ai.request.max_tokens", 2048),
            int("gen_ai.usage.input_tokens", input + (seed % 97) as i64),
            int("gen_ai.usage.output_tokens", output),
            int("gen_ai.usage.cache_read.input_tokens", input / 2),
            text("gen_ai.conversation.id", &conversation),
            text("server.address", "api.openai.example"),
            int("server.port", 443),
        ];
        let said =
            [("gen_ai.input.messages", "user", content * 3 / 4), ("gen_ai.output.messages", "assistant", content / 4)];
        with_content(attributes, said)
    };
    let tool = |call: u64, name: &str| {
        let attributes = vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", name),
            text("gen_ai.tool.type", "function"),
            text("gen_ai.tool.call.id", &format!("call_{index:08x}{call:02x}")),
        ];
        let said =
            [("gen_ai.tool.call.arguments", "tool", content / 16), ("gen_ai.tool.call.result", "tool", content / 4)];
        with_content(attributes, said)
    };
    let step = |name: &str| vec![text("workflow.step.name", name), text("gen_ai.conversation.id", &conversation)];
    let workflow =
        vec![text("gen_ai.operation.name", "invoke_workflow"), text("gen_ai.workflow.name", "support_triage")];
    vec![
        span(4, 3, "chat gpt-4o-mini", (30, 700), chat(0, "gpt-4o-mini", 412, 96)),
        span(3, 2, "invoke_agent planner", (20, 710), agent("planner")),
        span(2, 1, "step plan", (10, 720), step("plan")),
        span(7, 6, "chat gpt-4o", (760, 1600), chat(1, "gpt-4o", 1320, 58)),
        span(8, 6, "execute_tool search_orders", (1610, 1790), tool(1, "search_orders")),
        span(9, 6, "execute_tool get_policy", (1800, 1870), tool(2, "get_policy")),
        span(10, 6, "chat gpt-4o", (1880, 2960), chat(2, "gpt-4o", 2210, 341)),
        span(6, 5, "invoke_agent researcher", (750, 2970), agent("researcher")),
        span(5, 1, "step research", (740, 2980), step("research")),
        span(1, 0, "invoke_workflow support_triage", (0, 3000), workflow),
    ]
}

fn any(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    any(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    any(key, Value::IntValue(value))
}
