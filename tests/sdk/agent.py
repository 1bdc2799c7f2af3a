"""A small agent run, told with the official OpenTelemetry SDK. Prints what it knows of itself as JSON.

Where it sends and how is said by the environment, as `spanlight` prints it: OTEL_EXPORTER_OTLP_ENDPOINT and
OTEL_EXPORTER_OTLP_PROTOCOL. agent.mjs beside it does the same work.
"""

import json
import os
import time
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

MILLISECOND = 1_000_000
# An odd number of nanoseconds: whoever rounds is found out.
START = time.time_ns() - 10_000 * MILLISECOND + 123
LARGE = 2**63 - 1
PRICES = {"input": 2.5, "cached": 1.25, "output": 10}  # of gpt-4o, in USD per million tokens


class Witness(SpanProcessor):
    """Keeps what the SDK itself holds of each span when it ends."""

    def __init__(self):
        self.spans = []

    def on_end(self, span):
        self.spans.append(truth_of(span))


def at(milliseconds):
    return START + milliseconds * MILLISECOND


def ids(context):
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def plain(attributes):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in (attributes or {}).items()}


def truth_of(span):
    scope = span.instrumentation_scope
    return {
        **ids(span.context),
        "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "kind": span.kind.name,
        "start": str(span.start_time),
        "end": str(span.end_time),
        "attributes": plain(span.attributes),
        "events": [
            {"name": event.name, "time": str(event.timestamp), "attributes": plain(event.attributes)}
            for event in span.events
        ],
        "links": [{**ids(link.context), "attributes": plain(link.attributes)} for link in span.links],
        "status": {"code": span.status.status_code.name, "message": span.status.description or ""},
        "scope": {"name": scope.name, "version": scope.version},
        "resource": plain(span.resource.attributes),
    }


def chat(tracer, start, end, usage, links=(), **attributes):
    usage = {f"gen_ai.usage.{name}": tokens for name, tokens in usage.items()}
    span = tracer.start_span(
        "chat gpt-4o",
        kind=SpanKind.CLIENT,
        start_time=at(start),
        links=links,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.stop_sequences": ["END", "STOP"],
            "server.address": "api.openai.com",
            "server.port": 443,
        },
    )
    span.add_event("first token", {"seconds": 0.25}, timestamp=at(start + 250))
    span.set_attributes({"gen_ai.response.model": "gpt-4o-2024-08-06", **usage, **attributes})
    span.end(at(end))
    return span


def tool_attributes(name, call):
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call,
    }


def search_flights(tracer):
    attributes = tool_attributes("search_flights", "call_1")
    with work(tracer, "execute_tool search_flights", 2000, 3000, attributes):
        request = {"http.request.method": "GET", "http.response.status_code": 200}
        span = tracer.start_span("GET", kind=SpanKind.CLIENT, start_time=at(2100), attributes=request)
        span.end(at(2900))


def book_flight(tracer, logger):
    attributes = tool_attributes("book_flight", "call_2")
    with work(tracer, "execute_tool book_flight", 3000, 4500, attributes) as span:
        error = TimeoutError("the airline did not answer")
        span.record_exception(error, timestamp=at(4400))
        span.set_attribute("error.type", "TimeoutError")
        span.set_status(Status(StatusCode.ERROR, str(error)))
        logger.emit(
            timestamp=at(4400),
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body="booking failed: «Zürich → 東京»",
            attributes={"attempt": 1, "airline": "LX"},
        )
        return {**ids(span.get_span_context()), "time": str(at(4400))}


@contextmanager
def work(tracer, name, start, end, attributes, kind=SpanKind.INTERNAL):
    """A span that is the current one inside, and ends when it is said to."""
    span = tracer.start_span(name, kind=kind, start_time=at(start), attributes=attributes)
    with trace.use_span(span):
        yield span
    span.end(at(end))


def run(tracer, logger):
    workflow = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "plan-trip",
        "feature": "travel",
        "task_id": "trip-7",
        "flags": [True, False],
        "ratios": [0.5, -1.25],
        "large": LARGE,
        "dry_run": False,
    }
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "trip-planner",
        "gen_ai.agent.id": "agent_42",
        "gen_ai.conversation.id": "conversation-9",
    }
    with work(tracer, "invoke_workflow plan-trip", 0, 8000, workflow):
        with work(tracer, "invoke_agent trip-planner", 500, 7500, agent):
            usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read.input_tokens": 400}
            called = {"gen_ai.response.finish_reasons": ["tool_calls"]}
            first = chat(tracer, 1000, 2000, usage, **called)
            search_flights(tracer)
            log = book_flight(tracer, logger)
            links = [Link(first.get_span_context(), {"why": "continues"})]
            stopped = {"gen_ai.response.finish_reasons": ["stop"]}
            chat(tracer, 5000, 7000, {"input_tokens": 1500, "output_tokens": 60}, links, **stopped)
    return log


def count(meter):
    bookings = meter.create_counter("app.bookings", "{booking}", "Bookings that were tried.")
    bookings.add(2, {"channel": "web"})
    bookings.add(1, {"channel": "web"})
    meter.create_histogram("app.latency", "s", "How long the airline took.").record(1.5, {"airline": "LX"})


def totals():
    cost = (600 + 1500) * PRICES["input"] + 400 * PRICES["cached"] + (100 + 60) * PRICES["output"]
    return {
        "llm_calls": 2,
        "input_tokens": 2500,
        "output_tokens": 160,
        "cache_read_tokens": 400,
        "cost_usd": cost / 1e6,
        "tool_calls": 2,
        "tool_failed": 1,
        "agent_runs": 1,
    }


def main():
    resource = Resource.create({"service.name": "trip-service", "service.instance.id": "python-1", "zone": "a"})
    witness = Witness()
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracers.add_span_processor(witness)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    log = run(tracers.get_tracer("trip.planner", "1.2.3"), loggers.get_logger("trip.planner"))
    count(meters.get_meter("trip.planner"))
    for provider in (tracers, meters, loggers):
        provider.shutdown()
    print(json.dumps({"spans": witness.spans, "log": log, "totals": totals()}))


main()
