// A small agent run, told with the official OpenTelemetry SDK. Prints what it knows of itself as JSON.
//
// Where it sends and how is said by the environment, as `spanlight` prints it: OTEL_EXPORTER_OTLP_ENDPOINT and
// OTEL_EXPORTER_OTLP_PROTOCOL. agent.py beside it does the same work. The packages are those of the working directory.

import { createRequire } from "node:module";

const packages = createRequire(`${process.cwd()}/`);
const { diag, DiagConsoleLogger, DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = packages("@opentelemetry/api");
const { SeverityNumber } = packages("@opentelemetry/api-logs");
const { resourceFromAttributes, defaultResource } = packages("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = packages("@opentelemetry/sdk-logs");
const { MeterProvider, PeriodicExportingMetricReader } = packages("@opentelemetry/sdk-metrics");
const { BatchSpanProcessor, NodeTracerProvider } = packages("@opentelemetry/sdk-trace-node");

const FLAVOURS = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" };
const flavour = FLAVOURS[process.env.OTEL_EXPORTER_OTLP_PROTOCOL];
const { OTLPTraceExporter } = packages(`@opentelemetry/exporter-trace-otlp-${flavour}`);
const { OTLPMetricExporter } = packages(`@opentelemetry/exporter-metrics-otlp-${flavour}`);
const { OTLPLogExporter } = packages(`@opentelemetry/exporter-logs-otlp-${flavour}`);

// A refused export is otherwise not mentioned.
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

const MILLISECOND = 1_000_000n;
const SECOND = 1_000_000_000n;
// An odd number of nanoseconds: whoever rounds is found out.
const START = (BigInt(Date.now()) - 10_000n) * MILLISECOND + 123n;
const PRICES = { input: 2.5, cached: 1.25, output: 10 }; // of gpt-4o, in USD per million tokens

const at = (milliseconds) => {
  const nanos = START + BigInt(milliseconds) * MILLISECOND;
  return [Number(nanos / SECOND), Number(nanos % SECOND)];
};
const nanos = ([seconds, rest]) => String(BigInt(seconds) * SECOND + BigInt(rest));
const ids = ({ traceId, spanId }) => ({ trace_id: traceId, span_id: spanId });

// Keeps what the SDK itself holds of each span when it ends.
class Witness {
  spans = [];
  onStart() {}
  onEnd(span) {
    this.spans.push(truthOf(span));
  }
  async forceFlush() {}
  async shutdown() {}
}

function truthOf(span) {
  const { name, version } = span.instrumentationScope;
  return {
    ...ids(span.spanContext()),
    parent_span_id: span.parentSpanContext?.spanId ?? "",
    name: span.name,
    kind: SpanKind[span.kind],
    start: nanos(span.startTime),
    end: nanos(span.endTime),
    attributes: span.attributes,
    events: span.events.map(({ name, time, attributes }) => ({ name, time: nanos(time), attributes: attributes ?? {} })),
    links: span.links.map(({ context, attributes }) => ({ ...ids(context), attributes: attributes ?? {} })),
    status: { code: SpanStatusCode[span.status.code], message: span.status.message ?? "" },
    scope: { name, version },
    resource: span.resource.attributes,
  };
}

// A span in which other work is done.
function work(tracer, parent, name, [start, end], attributes, body) {
  const span = tracer.startSpan(name, { startTime: at(start), attributes }, parent);
  const result = body(trace.setSpan(parent, span), span);
  span.end(at(end));
  return result;
}

function chat(tracer, parent, [start, end], usage, reason, links = []) {
  const attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.stop_sequences": ["END", "STOP"],
    "server.address": "api.openai.com",
    "server.port": 443,
  };
  const options = { kind: SpanKind.CLIENT, startTime: at(start), attributes, links };
  const span = tracer.startSpan("chat gpt-4o", options, parent);
  span.addEvent("first token", { seconds: 0.25 }, at(start + 250));
  for (const [name, tokens] of Object.entries(usage)) span.setAttribute(`gen_ai.usage.${name}`, tokens);
  span.setAttributes({ "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.finish_reasons": [reason] });
  span.end(at(end));
  return span;
}

const toolAttributes = (name, call) => ({
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": name,
  "gen_ai.tool.type": "function",
  "gen_ai.tool.call.id": call,
});

function searchFlights(tracer, parent) {
  const attributes = toolAttributes("search_flights", "call_1");
  work(tracer, parent, "execute_tool search_flights", [2000, 3000], attributes, (inside) => {
    const request = { "http.request.method": "GET", "http.response.status_code": 200 };
    const options = { kind: SpanKind.CLIENT, startTime: at(2100), attributes: request };
    tracer.startSpan("GET", options, inside).end(at(2900));
  });
}

function bookFlight(tracer, logger, parent) {
  const attributes = toolAttributes("book_flight", "call_2");
  return work(tracer, parent, "execute_tool book_flight", [3000, 4500], attributes, (inside, span) => {
    const error = new Error("the airline did not answer");
    error.name = "TimeoutError";
    span.recordException(error, at(4400));
    span.setAttribute("error.type", error.name);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    logger.emit({
      timestamp: at(4400),
      severityNumber: SeverityNumber.WARN,
      severityText: "WARN",
      body: "booking failed: «Zürich → 東京»",
      attributes: { attempt: 1, airline: "LX" },
      context: inside,
    });
    return { ...ids(span.spanContext()), time: nanos(at(4400)) };
  });
}

function run(tracer, logger) {
  const workflow = {
    "gen_ai.operation.name": "invoke_workflow",
    "gen_ai.workflow.name": "plan-trip",
    feature: "travel",
    task_id: "trip-7",
    flags: [true, false],
    ratios: [0.5, -1.25],
    large: Number.MAX_SAFE_INTEGER,
    dry_run: false,
  };
  const agent = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "trip-planner",
    "gen_ai.agent.id": "agent_42",
    "gen_ai.conversation.id": "conversation-9",
  };
  return work(tracer, ROOT_CONTEXT, "invoke_workflow plan-trip", [0, 8000], workflow, (outer) =>
    work(tracer, outer, "invoke_agent trip-planner", [500, 7500], agent, (inner) => {
      const usage = { input_tokens: 1000, output_tokens: 100, "cache_read.input_tokens": 400 };
      const first = chat(tracer, inner, [1000, 2000], usage, "tool_calls");
      searchFlights(tracer, inner);
      const log = bookFlight(tracer, logger, inner);
      const links = [{ context: first.spanContext(), attributes: { why: "continues" } }];
      chat(tracer, inner, [5000, 7000], { input_tokens: 1500, output_tokens: 60 }, "stop", links);
      return log;
    }),
  );
}

function count(meter) {
  const bookings = meter.createCounter("app.bookings", { unit: "{booking}", description: "Bookings that were tried." });
  bookings.add(2, { channel: "web" });
  bookings.add(1, { channel: "web" });
  const latency = meter.createHistogram("app.latency", { unit: "s", description: "How long the airline took." });
  latency.record(1.5, { airline: "LX" });
}

function totals() {
  const cost = (600 + 1500) * PRICES.input + 400 * PRICES.cached + (100 + 60) * PRICES.output;
  return {
    llm_calls: 2,
    input_tokens: 2500,
    output_tokens: 160,
    cache_read_tokens: 400,
    cost_usd: cost / 1e6,
    tool_calls: 2,
    tool_failed: 1,
    agent_runs: 1,
  };
}

const own = { "service.name": "trip-service", "service.instance.id": "node-1", zone: "a" };
const resource = defaultResource().merge(resourceFromAttributes(own));
const witness = new Witness();
const tracers = new NodeTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter()), witness],
});
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() });
const meters = new MeterProvider({ resource, readers: [reader] });
const processors = [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })];
const loggers = new LoggerProvider({ resource, processors });
const log = run(tracers.getTracer("trip.planner", "1.2.3"), loggers.getLogger("trip.planner"));
count(meters.getMeter("trip.planner"));
await Promise.all([tracers, meters, loggers].map((provider) => provider.shutdown()));
console.log(JSON.stringify({ spans: witness.spans, log, totals: totals() }));
