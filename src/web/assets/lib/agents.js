// The agents of a run: who called, followed and handed over to whom, in sum and as it ran. Nothing here touches the page.

/** @typedef {import("./tree.js").Row} Row */

/**
 * All runs of one agent.
 * @typedef {{name: string, layer: number, place: number, runs: Row[], failed: number, running: number, millis: number,
 *   cost: number | null, models: Map<string, number>, tools: Map<string, {count: number, failed: number}>,
 *   depth: number}} Agent
 */

/**
 * A way from one agent to another. `kind`: it called it, it was followed by it, or it handed over to it.
 * @typedef {{from: string, to: string, kind: "calls" | "then" | "hands off", count: number, failed: number,
 *   millis: number[]}} Way
 */

/**
 * @param {Row[]} rows
 * @param {{event: import("./api.js").DomainEvent}[]} events
 * @returns {{agents: Agent[], ways: Way[]}}
 */
export function agentsOf(rows, events) {
  /** @type {Map<string, Agent>} */
  const agents = new Map();
  /** @type {Map<string, Way>} */
  const ways = new Map();
  /** The last run of an agent below each agent run. */
  const before = new Map();
  for (const row of rows) {
    const { node } = row;
    const above = agentAbove(rows, row);
    if (node.scope === "agent") {
      const agent = known(agents, nameOf(row), depthOf(rows, above));
      count(agent, row);
      if (above) way(ways, nameOf(above), agent.name, "calls", row);
      const previous = before.get(above?.index);
      // Of those at work at the same time, none follows the other.
      if (previous && (previous.stop ?? Infinity) <= row.start + 1) way(ways, nameOf(previous), agent.name, "then", row);
      before.set(above?.index, row);
    } else if (above) {
      const agent = agents.get(nameOf(above));
      if (node.scope === "llm_request") countCall(agent, node);
      else if (node.scope === "tool") countTool(agent, node);
    }
  }
  for (const { event } of events) {
    if (event.name !== "agent.handed_off" || !event.data?.from || !event.data?.to) continue;
    const { from, to } = event.data;
    if (!agents.has(from) || !agents.has(to)) continue;
    way(ways, from, to, "hands off", null);
    // What was handed over is not only a thing that came next.
    ways.delete(keyOf(from, to, "then"));
  }
  const list = [...agents.values()];
  layOut(list, [...ways.values()]);
  return { agents: list, ways: [...ways.values()] };
}

/**
 * The value in the middle.
 * @param {number[]} values
 */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** The nearest agent run above a row. */
export function agentAbove(rows, row) {
  for (let at = row.parent; at >= 0; at = rows[at].parent) {
    if (rows[at].node.scope === "agent") return rows[at];
  }
  return null;
}

export function nameOf(row) {
  return row.node.name ?? row.node.agent ?? "agent";
}

function known(agents, name, depth) {
  if (!agents.has(name)) {
    const counts = { failed: 0, running: 0, millis: 0, cost: null };
    agents.set(name, { name, layer: 0, place: 0, runs: [], ...counts, models: new Map(), tools: new Map(), depth });
  }
  return agents.get(name);
}

function count(agent, row) {
  const { status, duration_ms: millis } = row.node;
  agent.runs.push(row);
  agent.failed += status === "failed" || status === "lost" ? 1 : 0;
  agent.running += status === "running" ? 1 : 0;
  agent.millis += millis ?? 0;
}

function countCall(agent, node) {
  if (node.model) agent.models.set(node.model, (agent.models.get(node.model) ?? 0) + 1);
  if (node.counts && node.cost_usd !== undefined) agent.cost = (agent.cost ?? 0) + node.cost_usd;
}

function countTool(agent, node) {
  const name = node.name ?? "tool";
  const tool = agent.tools.get(name) ?? { count: 0, failed: 0 };
  tool.count += 1;
  tool.failed += node.status === "failed" ? 1 : 0;
  agent.tools.set(name, tool);
}

function way(ways, from, to, kind, row) {
  const key = keyOf(from, to, kind);
  const found = ways.get(key) ?? { from, to, kind, count: 0, failed: 0, millis: [] };
  found.count += 1;
  if (row?.node.status === "failed") found.failed += 1;
  if (row?.node.duration_ms !== undefined) found.millis.push(row.node.duration_ms);
  ways.set(key, found);
}

function keyOf(from, to, kind) {
  return JSON.stringify([from, to, kind]);
}

function depthOf(rows, above) {
  let depth = 0;
  for (let at = above; at; at = agentAbove(rows, at)) depth += 1;
  return depth;
}

/** From left to right in the order in which agents first were reached; ways back do not count. */
function layOut(agents, ways) {
  const byName = new Map(agents.map((agent, index) => [agent.name, { agent, index }]));
  for (const { agent, index } of byName.values()) {
    const forward = ways.filter((way) => way.to === agent.name && (byName.get(way.from)?.index ?? Infinity) < index);
    agent.layer = Math.max(0, ...forward.map((way) => byName.get(way.from).agent.layer + 1));
  }
  const filled = new Map();
  for (const agent of agents) {
    agent.place = filled.get(agent.layer) ?? 0;
    filled.set(agent.layer, agent.place + 1);
  }
}
