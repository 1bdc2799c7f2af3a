"""A support desk of two agents, as any program with the OpenTelemetry SDK reports it. Models and tools are made up.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    python examples/agent.py

Where it sends is said by the usual variables; `spanlight` prints them when it starts.
"""

import random
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "support-desk"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("support-desk")


def chat(model, input_tokens, output_tokens):
    """A call of a model, named and described as OpenTelemetry's GenAI conventions say."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic" if model.startswith("claude") else "openai",
        "gen_ai.request.model": model,
    }
    with tracer.start_as_current_span(f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        time.sleep(random.uniform(0.2, 0.6))
        span.set_attribute("gen_ai.response.model", model)
        span.set_attribute("gen_ai.usage.input_tokens", input_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", output_tokens)


def tool(name, error=None):
    """A call of a tool, which may fail."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    with tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes) as span:
        time.sleep(random.uniform(0.05, 0.2))
        if error:
            span.set_attribute("error.type", "TimeoutError")
            span.set_status(Status(StatusCode.ERROR, error))


def agent(name):
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    return tracer.start_as_current_span(f"invoke_agent {name}", attributes=attributes)


def answer_a_customer():
    attributes = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "answer-customer",
        "gen_ai.conversation.id": f"ticket-{random.randrange(1000, 9999)}",
        "spanlight.feature": "support",
    }
    with tracer.start_as_current_span("invoke_workflow answer-customer", attributes=attributes):
        with agent("researcher"):
            chat("gpt-4o", 1840, 95)
            tool("search_orders")
            tool("search_manual", error="the index did not answer within 5 s")
            chat("gpt-4o", 2610, 310)
        with agent("writer"):
            chat("claude-sonnet-4-5", 3120, 640)


if __name__ == "__main__":
    answer_a_customer()
    provider.shutdown()
