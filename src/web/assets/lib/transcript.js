// What was said and done in a run, in order: made of its tree and its events. Nothing here touches the page.

/** @typedef {import("./api.js").DomainEvent} DomainEvent */
/** @typedef {import("./tree.js").Row} Row */

/**
 * A part of a message. Emitters know more kinds than these.
 * @typedef {{type: string, content?: any, name?: string, id?: string, arguments?: any, response?: any}} Part
 */
/** @typedef {{role: string, parts: Part[]}} Message */

/**
 * An entry of the transcript. `depth` is how many agents are around it.
 * @typedef {{kind: "step" | "agent" | "call" | "tool" | "output" | "note", key: string, depth: number, row: Row | null,
 *   messages?: Message[], response?: Message[], streaming?: string, arguments?: any, result?: any,
 *   input?: any, output?: any, event?: DomainEvent}} Entry
 */

/** What happens with work besides its life is told between the work. */
const LIFE = /^(workflow|step|agent|llm|tool)\.(started|progress|completed|failed|canceled)$/;

/** What was said in a call, where its emitter tells that beside the span. */
const RECORDED = "messages.recorded";

/**
 * @param {Row[]} rows
 * @param {{offset: number, event: DomainEvent}[]} events
 * @returns {Entry[]}
 */
export function transcript(rows, events) {
  const { bySpan, notes } = sort(events);
  const builder = new Builder(rows, bySpan);
  let next = 0;
  const tellNotesUntil = (time) => {
    while (next < notes.length && timeOf(notes[next].timestamp) < time) builder.note(notes[next++]);
  };
  for (const row of rows) {
    builder.endBefore(row.index, tellNotesUntil);
    tellNotesUntil(row.start);
    builder.begin(row);
  }
  builder.endBefore(rows.length, tellNotesUntil);
  tellNotesUntil(Infinity);
  return builder.entries;
}

/**
 * The content of one span, as its events tell it.
 * @param {{offset: number, event: DomainEvent}[]} events
 * @param {string} span
 */
export function contentOf(events, span) {
  return sort(events.filter(({ event }) => event.span_id === span)).bySpan.get(span) ?? { data: {}, chunks: "" };
}

/**
 * Messages, whatever form they have.
 * @param {any} value
 * @returns {Message[]}
 */
export function messagesOf(value) {
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value : [value];
  if (!list.every((one) => one && typeof one === "object" && Array.isArray(one.parts))) {
    return [{ role: "", parts: [{ type: "text", content: value }] }];
  }
  return list.map(({ role, parts }) => ({ role: String(role ?? ""), parts: partsOf(parts) }));
}

/** Parts with a type each; emitters send bare text, and nothing, too. */
export function partsOf(parts) {
  const known = parts.filter((part) => part !== null && part !== undefined);
  return known.map((part) => (typeof part === "object" ? part : { type: "text", content: part }));
}

class Builder {
  /** @type {Entry[]} */
  entries = [];
  /** Agents and calls whose work has begun and not ended. */
  open = [];
  /** Whether any tool of an agent is told by itself, by the agent's place. */
  hasTools = new Set();

  constructor(rows, bySpan) {
    this.rows = rows;
    this.bySpan = bySpan;
    for (const row of rows) if (row.node.scope === "tool") this.hasTools.add(this.agentOf(row));
  }

  begin(row) {
    const { node } = row;
    const { data, chunks } = this.bySpan.get(node.span_id) ?? { data: {}, chunks: "" };
    const entry = { key: node.span_id, row, depth: this.open.length };
    if (node.scope === "agent") {
      this.entries.push({ ...entry, kind: "agent", input: data.input });
      this.open.push({ row, said: new Set(), last: "", output: data.output });
    } else if (node.scope === "llm_request") {
      this.entries.push({ ...entry, kind: "call", ...this.call(data), streaming: node.status === "running" ? chunks : "" });
    } else if (node.scope === "tool") {
      this.entries.push({ ...entry, kind: "tool", arguments: data.arguments, result: data.result });
    } else if (this.open.length === 0 && row.index > 0) {
      // Within an agent, steps are how its framework counts; and the first of all is the run.
      this.entries.push({ ...entry, kind: "step" });
    }
  }

  /** Of a call, what was not said before in the same run of an agent. */
  call(data) {
    const agent = this.open[this.open.length - 1];
    const said = agent?.said ?? new Set();
    const hasTools = this.hasTools.has(agent?.row.index ?? -1);
    const all = [...system(data.system_instructions), ...messagesOf(data.messages)];
    const fresh = all.filter((message) => isNew(said, message) && !(hasTools && message.role === "tool"));
    const response = messagesOf(data.response).map((message) => ({
      ...message,
      role: message.role || "assistant",
      parts: message.parts.filter((part) => !(hasTools && part.type === "tool_call")),
    }));
    messagesOf(data.response).forEach((message) => isNew(said, message));
    if (agent) agent.last = textOf(response) || agent.last;
    return { messages: fresh, response: response.filter(({ parts }) => parts.length > 0) };
  }

  /** Ends the agents whose work is before a place. */
  endBefore(place, tellNotesUntil) {
    while (this.open.length > 0 && this.open[this.open.length - 1].row.end <= place) {
      const { row, last, output } = this.open[this.open.length - 1];
      tellNotesUntil(row.stop ?? Infinity);
      this.open.pop();
      const text = textOf(messagesOf(output));
      if (!text || text.trim() === last.trim()) continue;
      const key = `${row.node.span_id}/output`;
      this.entries.push({ kind: "output", key, row, depth: this.open.length, output });
    }
  }

  note(event) {
    this.entries.push({ kind: "note", key: event.event_id, row: null, depth: this.open.length, event });
  }

  agentOf(row) {
    for (let at = row.parent; at >= 0; at = this.rows[at].parent) {
      if (this.rows[at].node.scope === "agent") return at;
    }
    return -1;
  }
}

/** Events by span, and those that tell of no life of a span. */
function sort(events) {
  const bySpan = new Map();
  const notes = [];
  for (const { event } of events) {
    const isOfSpan = LIFE.test(event.name) || event.name === RECORDED;
    if (!isOfSpan) notes.push(event);
    if (!isOfSpan || !event.span_id) continue;
    if (!bySpan.has(event.span_id)) bySpan.set(event.span_id, { data: {}, chunks: "", recorded: [] });
    const known = bySpan.get(event.span_id);
    if (event.name === RECORDED) known.recorded.push(event.data ?? {});
    else if (event.type === "progress") known.chunks += event.data?.chunk ?? "";
    else Object.assign(known.data, event.data);
  }
  for (const { data, recorded } of bySpan.values()) {
    const of = (key) => (recorded.some((said) => said[key]) ? recorded.flatMap((said) => said[key] ?? []) : undefined);
    for (const key of ["system_instructions", "messages", "response"]) data[key] ??= of(key);
  }
  notes.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  return { bySpan, notes };
}

/** A time in milliseconds since 1970, microseconds included, which this and the work around it may have in common. */
function timeOf(text) {
  const beyond = /\.\d{3}(\d+)/.exec(text);
  return Date.parse(text) + (beyond ? Number(`0.${beyond[1]}`) : 0);
}

function system(instructions) {
  if (instructions === undefined) return [];
  return [{ role: "system", parts: partsOf([].concat(instructions)) }];
}

function isNew(said, message) {
  const key = `${message.role}${JSON.stringify(message.parts)}`;
  if (said.has(key)) return false;
  said.add(key);
  return true;
}

function textOf(messages) {
  const texts = messages.flatMap(({ parts }) => parts.filter((part) => part.type === "text").map((part) => part.content));
  return texts.map((text) => (typeof text === "string" ? text : JSON.stringify(text))).join("\n");
}
