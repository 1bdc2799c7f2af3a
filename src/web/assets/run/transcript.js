// The transcript: who said and did what, agents within agents.
import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { clock, dollars, duration, integer } from "../lib/format.js";
import { isBad, noteOf } from "../lib/notes.js";
import { choose } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { messagesOf, transcript } from "../lib/transcript.js";
import { nameOf } from "../lib/tree.js";
import { Icon } from "../components/icon.js";
import { Value } from "../components/json.js";
import { Messages } from "../components/messages.js";
import { More } from "../components/more.js";
import { Empty, Loading } from "../components/states.js";
import { KindMark, StatusMark } from "../components/status.js";
import { Clock } from "../components/time.js";

/** So many entries are drawn at first, and more whenever the last one comes into sight. */
const AT_ONCE = 120;

/**
 * @param {{rows: import("../lib/tree.js").Row[], events: import("./useevents.js").RunEvents, selected: string | null}} props
 */
export function Transcript({ rows, events, selected }) {
  const entries = useMemo(() => transcript(rows, events.list), [rows, events.list]);
  const [shown, setShown] = useState(AT_ONCE);
  const at = entries.findIndex(({ row, kind }) => row?.node.span_id === selected && kind !== "output");
  const select = (index) => {
    for (let next = index, by = index > at ? 1 : -1; entries[next]; next += by) {
      if (entries[next].row) return choose({ span: entries[next].row.node.span_id });
    }
    return undefined;
  };
  const keys = { j: () => select(at + 1), k: () => select(at - 1) };
  useKeys({ ...keys, ArrowDown: keys.j, ArrowUp: keys.k });
  useEffect(() => {
    if (at >= shown) setShown(at + AT_ONCE);
    else if (at >= 0) document.getElementById(`entry-${selected}`)?.scrollIntoView({ block: "nearest" });
  }, [selected, at >= shown]);
  if (!events.loaded && rows.length > 0) return html`<${Loading} />`;
  if (entries.length === 0) return html`<${Empty} title="Nothing is known of what was said." icon="list" />`;
  const hasContent = entries.some((entry) => entry.messages?.length || entry.response?.length || entry.arguments !== undefined || entry.input !== undefined);
  return html`<div class="transcript-list">
    ${!hasContent && html`<p class="quiet-note">Its emitter sends no prompts and answers, or they have left memory; what was done is here all the same.</p>`}
    <ol>
      ${entries.slice(0, shown).map((entry) => html`<${Line} key=${entry.key} entry=${entry} isSelected=${entry.row?.node.span_id === selected && entry.kind !== "output"} />`)}
    </ol>
    ${shown < entries.length && html`<${More} key=${shown} text=${`${integer(entries.length - shown)} more`} more=${() => setShown(shown + AT_ONCE)} />`}
  </div>`;
}

function Line({ entry, isSelected }) {
  const { kind, row, depth, event } = entry;
  if (kind === "step") return html`<li class="entry step"><span>${nameOf(row.node)}</span></li>`;
  const inner = event ? html`<${Note} event=${event} />` : html`<${Work} entry=${entry} isSelected=${isSelected} />`;
  return html`<li id=${event || kind === "output" ? null : `entry-${entry.key}`} class=${`entry ${kind} ${isSelected ? "selected" : ""}`}
    style=${{ marginLeft: `${Math.min(depth, 8) * 18}px` }}>${inner}</li>`;
}

function Work({ entry, isSelected }) {
  const { kind, row } = entry;
  const { node } = row;
  if (kind === "output") {
    return html`<div class="head"><${KindMark} scope="agent" /><b>${nameOf(node)}</b> <span class="soft">answers</span></div>
      <div class="said"><${Messages} messages=${messagesOf(entry.output)} /></div>`;
  }
  const facts = [];
  if (node.input_tokens !== undefined) facts.push(`${integer(node.input_tokens)} → ${integer(node.output_tokens)} tokens`);
  if (node.cost_usd !== undefined) facts.push(dollars(node.cost_usd));
  return html`
    <button type="button" class="head" aria-pressed=${isSelected} title=${`${clock(node.started_at)} · details`}
      onClick=${() => choose({ span: isSelected ? null : node.span_id })}>
      <${KindMark} scope=${node.scope} />
      <b>${nameOf(node)}</b>
      ${kind === "agent" && node.model && html`<span class="soft">${node.model}</span>`}
      ${node.status !== "completed" && html`<${StatusMark} status=${node.status} />`}
      <span class="facts-line">${facts.map((fact) => html`<span>${fact}</span>`)}
        <span>${node.status === "running" ? html`<${Clock} since=${node.started_at} />` : duration(node.duration_ms)}</span></span>
    </button>
    <${Said} entry=${entry} />
    ${node.error && html`<p class="error bad">${node.error}</p>`}`;
}

function Said({ entry }) {
  const { kind } = entry;
  if (kind === "agent") {
    // What an agent was given as messages, its first call shows.
    return typeof entry.input === "string" ? html`<div class="said"><${Value} value=${entry.input} label="the input" /></div>` : null;
  }
  if (kind === "tool") {
    const { arguments: given, result } = entry;
    if (given === undefined && result === undefined) return null;
    return html`<div class="said io">
      ${given !== undefined && html`<div><span class="role">given</span><${Value} value=${given} label="the arguments" /></div>`}
      ${result !== undefined && html`<div><span class="role">result</span><${Value} value=${result} label="the result" /></div>`}
    </div>`;
  }
  const { messages, response, streaming } = entry;
  if (!messages.length && !response.length && !streaming) return null;
  return html`<div class="said">
    <${Messages} messages=${messages} />
    <${Messages} messages=${response} />
    ${streaming && html`<div class="message assistant streaming"><span class="role">assistant</span><${Value} value=${streaming} label="the answer so far" /></div>`}
  </div>`;
}

/** What happened between the work. */
function Note({ event }) {
  const bad = isBad(event);
  const icon = bad ? "cross" : event.name.startsWith("hitl") ? "person" : event.name.startsWith("budget") ? "dollar" : "bell";
  return html`<p class=${`happened ${bad ? "bad" : ""}`} title=${`${event.name} · ${clock(event.timestamp)}`}>
    <${Icon} name=${icon} /> <b>${noteOf(event) ?? event.name}</b> ${event.message && html`<span>${event.message}</span>`}
  </p>`;
}
