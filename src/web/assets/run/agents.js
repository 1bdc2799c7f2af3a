// The agents of a run: as a graph of all their runs together, or in lanes as it ran.
import { html, useMemo } from "../lib/html.js";
import { agentAbove, agentsOf, median, nameOf } from "../lib/agents.js";
import { now } from "../lib/clock.js";
import { counted, dollars, duration, integer, onAxis } from "../lib/format.js";
import { choose, usePlace } from "../lib/router.js";
import { extent, ticks } from "../lib/tree.js";
import { Icon } from "../components/icon.js";
import { Empty } from "../components/states.js";

const CARD = { width: 216, height: 122, gapX: 118, gapY: 44, margin: 40 };
/** How much lower a way back runs for each layer that it goes back. */
const BOW = 22;
const LANE = 40;
/** More tools than these are only counted. */
const MOST_TOOLS = 3;

/**
 * @param {{run: import("../lib/api.js").Run, rows: import("../lib/tree.js").Row[], events: import("./useevents.js").RunEvents}} props
 */
export function Agents({ rows, events }) {
  const { query } = usePlace();
  const view = query.get("view") === "lanes" ? "lanes" : "graph";
  const { agents, ways } = useMemo(() => agentsOf(rows, events.list), [rows, events.list]);
  if (agents.length === 0) return html`<${Empty} title="No agent is known in this run." icon="agent"><p>Its calls of models and tools are in the timeline.</p><//>`;
  return html`<div class="agents">
    <div class="filters"><div class="chips" role="group" aria-label="View">
      <button type="button" class="chip" aria-pressed=${view === "graph"} onClick=${() => choose({ view: null })}>All together</button>
      <button type="button" class="chip" aria-pressed=${view === "lanes"} onClick=${() => choose({ view: "lanes" })}>As it ran</button>
    </div>
    ${view === "graph" && html`<${Legend} ways=${ways} />`}</div>
    ${view === "graph" ? html`<${Graph} agents=${agents} ways=${ways} />` : html`<${Lanes} agents=${agents} rows=${rows} />`}
  </div>`;
}

function Legend({ ways }) {
  const words = { calls: "called", then: "came next", "hands off": "handed over" };
  const kinds = Object.keys(words).filter((kind) => ways.some((way) => way.kind === kind));
  return html`<span class="legend">${kinds.map((kind) => html`<span><svg width="26" height="8" aria-hidden="true"><path class=${`way ${classOf(kind)}`} d="M1 4H25" /></svg>${words[kind]}</span>`)}</span>`;
}

function Graph({ agents, ways }) {
  const at = new Map(agents.map((agent) => [agent.name, agent]));
  const layers = Math.max(...agents.map(({ layer }) => layer)) + 1;
  const places = Math.max(...agents.map(({ place }) => place)) + 1;
  const width = layers * (CARD.width + CARD.gapX) - CARD.gapX;
  const height = places * (CARD.height + CARD.gapY) - CARD.gapY + 2 * CARD.margin + layers * BOW;
  return html`<div class="graph" tabindex="0" role="group" aria-label="Graph of agents">
    <div class="canvas" style=${{ width: `${width}px`, height: `${height}px` }}>
      <svg width=${width} height=${height} aria-hidden="true">
        <defs>${["calls", "then", "hands-off"].map((kind) => html`<marker id=${`tip-${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class=${`tip ${kind}`} d="M0 0 8 4 0 8Z" /></marker>`)}</defs>
        ${ways.map((way) => html`<path class=${`way ${classOf(way.kind)}`} d=${pathOf(at.get(way.from), at.get(way.to))} marker-end=${`url(#tip-${classOf(way.kind)})`} />`)}
      </svg>
      ${ways.map((way) => html`<${WayLabel} way=${way} from=${at.get(way.from)} to=${at.get(way.to)} />`)}
      ${agents.map((agent) => html`<${Card} key=${agent.name} agent=${agent} />`)}
    </div>
    <ul class="unseen">${ways.map((way) => html`<li>${way.from} ${way.kind} ${way.to}, ${counted(way.count, "time")}</li>`)}</ul>
  </div>`;
}

function Card({ agent }) {
  const { left, top } = corner(agent);
  const tools = [...agent.tools].sort((a, b) => b[1].count - a[1].count);
  const rest = tools.slice(MOST_TOOLS).reduce((sum, [, tool]) => sum + tool.count, 0);
  const first = agent.runs.find(({ node }) => node.status === "failed") ?? agent.runs[0];
  return html`<button type="button" class=${`agentcard ${agent.failed ? "failed" : ""} ${agent.running ? "running" : ""}`}
      style=${{ left: `${left}px`, top: `${top}px`, width: `${CARD.width}px`, height: `${CARD.height}px` }}
      title=${agent.failed ? "Show the run of it that failed" : "Show its first run"} onClick=${() => choose({ span: first.node.span_id })}>
    <span class="head"><${Icon} name="agent" /><b title=${agent.name}>${agent.name}</b>${agent.running > 0 && html`<span class="spinner" aria-hidden="true"></span>`}</span>
    <span class="soft">${counted(agent.runs.length, "run")}${agent.failed ? html` · <span class="bad">${integer(agent.failed)} failed</span>` : ""}</span>
    <span class="soft">${duration(agent.millis)}${agent.cost === null ? "" : ` · ${dollars(agent.cost)}`}</span>
    <span class="soft models" title=${[...agent.models.keys()].join(", ")}>${[...agent.models].map(([model, count]) => `${model} ×${count}`).join(", ") || "no model called"}</span>
    <span class="tools">${tools.slice(0, MOST_TOOLS).map(([name, tool]) => html`<span class=${tool.failed ? "bad" : ""} title=${tool.failed ? `${tool.failed} failed` : null}>${name} ×${tool.count}${tool.failed ? " ✗" : ""}</span>`)}${rest > 0 && html`<span>+${integer(rest)}</span>`}</span>
  </button>`;
}

function WayLabel({ way, from, to }) {
  const { x, y } = middle(from, to);
  const typical = median(way.millis);
  const text = [`×${integer(way.count)}`, way.kind === "calls" && typical !== null ? duration(typical) : null].filter(Boolean).join(" · ");
  const title = `${way.from} ${way.kind} ${way.to}, ${counted(way.count, "time")}${typical === null ? "" : `, typically ${duration(typical)}`}${way.failed ? `, ${integer(way.failed)} failed` : ""}`;
  return html`<span class=${`waylabel ${classOf(way.kind)}`} style=${{ left: `${x}px`, top: `${y}px` }} title=${title} aria-hidden="true">${text}${way.failed ? html` <span class="bad">✗${integer(way.failed)}</span>` : ""}</span>`;
}

function corner({ layer, place }) {
  return { left: layer * (CARD.width + CARD.gapX), top: CARD.margin + place * (CARD.height + CARD.gapY) };
}

/** Forward from side to side; back, and to oneself, in a bow above or below. */
function pathOf(from, to) {
  const [a, b] = [corner(from), corner(to)];
  const half = CARD.height / 2;
  if (to.layer > from.layer) {
    const [x1, y1, x2, y2] = [a.left + CARD.width, a.top + half, b.left - 2, b.top + half];
    const bend = Math.max(40, (x2 - x1) / 2);
    // Past cards that stand in between.
    const lift = to.layer - from.layer > 1 && from.place === to.place ? -half - 22 : 0;
    return lift ? `M${x1 - 30} ${a.top}C${x1} ${a.top + lift + half},${x2 - 30} ${b.top + lift + half},${b.left + 40} ${b.top - 2}` : `M${x1} ${y1}C${x1 + bend} ${y1},${x2 - bend} ${y2},${x2} ${y2}`;
  }
  if (from.place !== to.place && from.layer !== to.layer) {
    const [x, y] = [b.left + CARD.width * 0.6, b.top + (from.place > to.place ? CARD.height + 2 : -2)];
    return `M${a.left} ${a.top + half}C${a.left - CARD.gapX} ${a.top + half},${x} ${(y + a.top + half) / 2},${x} ${y}`;
  }
  const [x1, x2] = [a.left + CARD.width * 0.4, b.left + CARD.width * 0.6];
  const y = CARD.height;
  const low = (4 / 3) * (BOW * (1 + from.layer - to.layer));
  return `M${x1} ${a.top + y}C${x1} ${a.top + y + low},${x2} ${b.top + y + low},${x2} ${b.top + y + 2}`;
}

function middle(from, to) {
  const [a, b] = [corner(from), corner(to)];
  const half = CARD.height / 2;
  if (to.layer > from.layer) {
    if (to.layer - from.layer > 1 && from.place === to.place) return { x: (a.left + b.left + CARD.width) / 2, y: a.top - 18 };
    return { x: (a.left + CARD.width + b.left) / 2, y: (a.top + b.top) / 2 + half - 11 };
  }
  if (from.place !== to.place && from.layer !== to.layer) return { x: (a.left - CARD.gapX / 2 + b.left + CARD.width * 0.6) / 2, y: (a.top + b.top + 2 * half) / 2 + half / 2 };
  return { x: (a.left + b.left + CARD.width) / 2, y: (a.top + b.top) / 2 + CARD.height + BOW * (1 + from.layer - to.layer) };
}

function classOf(kind) {
  return kind.replace(" ", "-");
}

function Lanes({ agents, rows }) {
  const span = extent(rows, now());
  const length = span.to - span.from;
  const share = (time) => ((time - span.from) / length) * 100;
  const work = useMemo(() => workByAgent(rows, length), [rows, length]);
  const scale = ticks(0, length, 5);
  return html`<div class="lanesview">
    <div class="axis" aria-hidden="true"><span class="tree">Agent</span><span class="bars">${scale.times.map((tick) => html`<span class="tick" style=${{ left: `${(tick / length) * 100}%` }}>${onAxis(tick, scale.step)}</span>`)}</span></div>
    <ol>${agents.map(
      (agent) => html`<li class="lanerow" key=${agent.name} style=${{ height: `${LANE}px` }}>
        <span class="tree" style=${{ paddingLeft: `${16 + Math.min(agent.depth, 8) * 14}px` }} title=${agent.name}><${Icon} name="agent" /> ${agent.name} <span class="count">×${integer(agent.runs.length)}</span></span>
        <span class="bars"><span class="lane">
          ${agent.runs.slice(0, 400).map((row) => {
            const end = row.stop ?? span.to;
            const { node } = row;
            return html`<button type="button" key=${node.span_id} class=${`ranbar ${node.status}`} title=${`${agent.name}: ${node.status}, ${duration(node.duration_ms ?? end - row.start)}`}
              style=${{ left: `${share(row.start)}%`, width: `max(6px, ${share(end) - share(row.start)}%)` }} onClick=${() => choose({ span: node.span_id })}>
              <span class="unseen">${agent.name}, ${node.status}</span></button>`;
          })}
          ${(work.get(agent.name) ?? []).map(({ scope, start, stop }) => html`<span class=${`within ${scope}`} style=${{ left: `${share(start)}%`, width: `max(1px, ${share(stop) - share(start)}%)` }}></span>`)}
        </span></span>
      </li>`,
    )}</ol>
    <p class="legend"><span><i class="within llm_request"></i> model calls</span><span><i class="within tool"></i> tools</span></p>
  </div>`;
}

/** Calls of models and tools by agent; what would be drawn on the same spot is one. */
function workByAgent(rows, length) {
  const found = new Map();
  const grain = length / 800;
  for (const row of rows) {
    const { scope } = row.node;
    if (scope !== "llm_request" && scope !== "tool") continue;
    const agent = agentAbove(rows, row);
    if (!agent) continue;
    const name = nameOf(agent);
    if (!found.has(name)) found.set(name, []);
    const list = found.get(name);
    const last = list[list.length - 1];
    const stop = row.stop ?? now();
    if (last?.scope === scope && row.start - last.stop < grain) last.stop = Math.max(last.stop, stop);
    else list.push({ scope, start: row.start, stop });
  }
  return found;
}
