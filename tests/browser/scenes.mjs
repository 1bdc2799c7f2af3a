// Much to look at: a run of many spans, many runs, and long texts.
import assert from "node:assert/strict";
import { OTLP, get, send } from "./browser.mjs";

const AT_ONCE = 500;

/** A run of agents, each with calls of a model and of tools, below one workflow. */
export async function runOf(spans, trace) {
  const start = BigInt(Date.now() - 60_000) * 1_000_000n;
  const list = [];
  for (let number = 1; number <= spans; number += 1) list.push(spanOf(number, trace, start));
  const resource = { attributes: [text("service.name", "large")] };
  const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "test" }, spans: list }] }] });
  const response = await fetch(`${OTLP}/v1/traces`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(response.status, 200, await response.text());
  const { runs } = await get("/api/v1/runs?limit=1000");
  assert.ok(runs.some((run) => run.id === trace));
}

function spanOf(number, trace, start) {
  const kind = number === 1 ? "workflow" : number % 50 === 2 ? "agent" : number % 2 ? "call" : "tool";
  const parent = { workflow: 0, agent: 1 }[kind] ?? number - ((number - 2) % 50);
  const from = number === 1 ? start : start + BigInt(number) * 5_000_000n;
  const lasts = { workflow: 51_000_000_000n, agent: 240_000_000n }[kind] ?? 4_000_000n;
  const attributes = {
    workflow: [text("gen_ai.operation.name", "invoke_workflow"), text("gen_ai.workflow.name", "large")],
    agent: [text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", `agent ${number % 7}`)],
    call: [
      text("gen_ai.operation.name", "chat"),
      text("gen_ai.request.model", "gpt-4o"),
      text("gen_ai.provider.name", "openai"),
      { key: "gen_ai.usage.input_tokens", value: { intValue: "100" } },
      { key: "gen_ai.usage.output_tokens", value: { intValue: "10" } },
    ],
    tool: [text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", `tool ${number}`)],
  };
  return {
    traceId: trace,
    spanId: id(number),
    ...(parent > 0 && { parentSpanId: id(parent) }),
    name: "work",
    kind: 1,
    startTimeUnixNano: `${from}`,
    endTimeUnixNano: `${from + lasts}`,
    attributes: attributes[kind],
  };
}

/** So many runs of an agent, a second apart; every seventh failed. */
export async function runs(count) {
  const began = Date.now() - count * 1000;
  for (let from = 0; from < count; from += AT_ONCE) {
    const events = [];
    for (let number = from; number < Math.min(count, from + AT_ONCE); number += 1) {
      const at = (millis) => new Date(began + number * 1000 + millis).toISOString();
      const run = { trace_id: id(number + 1).repeat(2), span_id: id(1), agent: `agent ${number % 7}`, feature: `feature ${number % 3}` };
      events.push({ ...run, name: "agent.started", timestamp: at(0) });
      if (number % 7) events.push({ ...run, name: "agent.completed", timestamp: at(800) });
      else events.push({ ...run, name: "agent.failed", timestamp: at(800), message: `it did not work in run ${number}` });
    }
    await send(...events);
  }
}

/** A run of an agent that reads a long document again and again. */
export async function longTexts(trace_id, characters) {
  const agent = { trace_id, agent: "reader" };
  const line = "the quick brown fox jumps over the lazy dog and goes on\n";
  const document = line.repeat(characters / line.length);
  await send({ ...agent, name: "agent.started", span_id: id(1), data: { input: "Read it." } });
  for (let call = 2; call < 8; call += 1) {
    const messages = [{ role: "user", parts: [{ type: "text", content: `${call}: ${document}` }] }];
    const response = [{ role: "assistant", parts: [{ type: "text", content: line.repeat(20) }] }];
    const about = { ...agent, span_id: id(call), parent_span_id: id(1), model: "gpt-4o" };
    await send({ ...about, name: "llm.started", data: { messages } });
    await send({ ...about, name: "llm.completed", data: { response } });
  }
  await send({ ...agent, name: "agent.completed", span_id: id(1), data: { output: document } });
}

function id(number) {
  return number.toString(16).padStart(16, "0");
}

function text(key, value) {
  return { key, value: { stringValue: value } };
}
