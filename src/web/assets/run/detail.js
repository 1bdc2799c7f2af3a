// One piece of work with all that is known of it: its figures, what went in and came out, attributes and events.
import { html, useEffect, useMemo, useRef } from "../lib/html.js";
import { api } from "../lib/api.js";
import { clock, dollars, duration, fullTime, integer } from "../lib/format.js";
import { choose } from "../lib/router.js";
import { useQuery } from "../lib/query.js";
import { spansOf } from "../lib/otlp.js";
import { contentOf, messagesOf, partsOf } from "../lib/transcript.js";
import { nameOf } from "../lib/tree.js";
import { Copy } from "../components/copy.js";
import { Icon } from "../components/icon.js";
import { LongText, Value, asText } from "../components/json.js";
import { Messages } from "../components/messages.js";
import { KindMark, StatusMark, kindWord } from "../components/status.js";
import { Clock } from "../components/time.js";

/**
 * @param {{run: import("../lib/api.js").Run, row: import("../lib/tree.js").Row, rows: import("../lib/tree.js").Row[],
 *   events: import("./useevents.js").RunEvents}} props
 */
export function Detail({ run, row, rows, events }) {
  const { node } = row;
  const own = useMemo(() => events.list.filter(({ event }) => event.span_id === node.span_id), [events.list, node.span_id]);
  const { data, chunks } = useMemo(() => contentOf(own, node.span_id), [own]);
  const panel = useRef(null);
  useEffect(() => {
    // On a phone it covers what was clicked, so it has to be where the keyboard is.
    if (window.matchMedia("(max-width: 900px)").matches) panel.current.focus();
  }, []);
  const parent = row.parent >= 0 ? rows[row.parent].node : null;
  return html`<aside ref=${panel} class="detail" tabindex="-1" aria-label=${`${kindWord(node.scope)} ${nameOf(node)}`}>
    <header>
      <${KindMark} scope=${node.scope} />
      <h2 title=${nameOf(node)}>${nameOf(node)}</h2>
      <${StatusMark} status=${node.status} />
      <button type="button" class="plain" aria-label="Close" title="Close (Esc)" onClick=${() => choose({ span: null })}><${Icon} name="close" /></button>
    </header>
    <div class="content">
      ${node.error && html`<p class="banner bad"><${Icon} name="cross" /> <span>${node.error}</span></p>`}
      <${Figures} run=${run} row=${row} parent=${parent} first=${own[0]?.event} />
      <${InAndOut} data=${data} chunks=${node.status === "running" ? chunks : ""} />
      <${Attributes} run=${run} node=${node} />
      ${own.length > 0 && html`<${Raw} own=${own} />`}
    </div>
  </aside>`;
}

function Figures({ run, row, parent, first }) {
  const { node } = row;
  const offset = row.start - Date.parse(run.started_at);
  const cached = node.cache_read_tokens ? ` (${integer(node.cache_read_tokens)} cached)` : "";
  const written = node.cache_write_tokens ? `${integer(node.cache_write_tokens)} written to a cache` : null;
  const hasTokens = node.input_tokens !== undefined;
  const lines = [
    ["Kind", node.operation && `${kindWord(node.scope)} · ${node.operation}`],
    ["Took", node.status === "running" ? html`<${Clock} since=${node.started_at} /> so far` : duration(node.duration_ms)],
    ["Began", html`<span title=${fullTime(node.started_at)}>${clock(node.started_at)}${offset > 0 ? ` (+${duration(offset)})` : ""}</span>`],
    ["Agent", node.agent],
    ["Model", node.model],
    ["Provider", first?.provider],
    ["Tokens", hasTokens && `${integer(node.input_tokens)}${cached} → ${integer(node.output_tokens)}`],
    ["", written],
    ["Reasoning", node.reasoning_tokens && `${integer(node.reasoning_tokens)} tokens`],
    ["Cost", costOf(node, hasTokens)],
    ["", node.inferred && "made out from its surroundings; its emitter does not say so"],
    ["Below", parent && html`<button type="button" class="quiet" onClick=${() => choose({ span: parent.span_id })}>${nameOf(parent)}</button>`],
    ["Span", html`<${Copy} text=${node.span_id} label="the span's id"><code>${node.span_id}</code><//>`],
  ];
  return html`<dl class="pairs">
    ${lines.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function costOf(node, hasTokens) {
  if (hasTokens && node.counts === false) return "counted elsewhere";
  if (node.cost_usd !== undefined) return dollars(node.cost_usd);
  return hasTokens ? html`<span class="cost unpriced">unpriced</span>` : null;
}

function InAndOut({ data, chunks }) {
  const parts = [
    ["Instructions", data.system_instructions !== undefined && [{ role: "", parts: partsOf([].concat(data.system_instructions)) }]],
    ["Messages", data.messages && messagesOf(data.messages)],
    ["Input", data.input !== undefined && messagesOf(data.input)],
    ["Answer", data.response && messagesOf(data.response)],
    ["Output", data.output !== undefined && messagesOf(data.output)],
  ].filter(([, messages]) => messages && messages.length > 0);
  return html`
    ${data.arguments !== undefined && html`<section><h3>Arguments</h3><${Value} value=${data.arguments} label="the arguments" /></section>`}
    ${data.result !== undefined && html`<section><h3>Result</h3><${Value} value=${data.result} label="the result" /></section>`}
    ${parts.map(([name, messages]) => html`<section key=${name}><h3>${name}</h3><${Messages} messages=${messages} /></section>`)}
    ${chunks && html`<section><h3>Answer so far</h3><${Value} value=${chunks} label="the answer so far" /></section>`}`;
}

/** The span as its emitter sent it. */
function Attributes({ run, node }) {
  const key = `${run.id}/${node.span_id}/${node.status}`;
  const ask = (signal) => api(`/api/v1/runs/${encodeURIComponent(run.id)}/spans/${node.span_id}`, { signal });
  const { data } = useQuery(key, ask);
  const sent = useMemo(() => spansOf(data?.requests ?? []), [data]);
  // What was told in log records or events never was a span, and old ones have left memory.
  if (sent.length === 0) return null;
  return html`<section>
    <h3>As it was sent</h3>
    ${sent.map(({ span, attributes, resource, scope }, index) => html`<div key=${index}>
      ${scope && html`<p class="soft">by <code>${scope}</code></p>`}
      <${Pairs} title="Attributes" pairs=${attributes} isOpen />
      <${Pairs} title="Resource" pairs=${resource} />
      <details><summary>The whole span, in OTLP</summary><${LongText} text=${JSON.stringify(span, null, 2)} label="the span" class="code" /></details>
    </div>`)}
  </section>`;
}

function Pairs({ title, pairs, isOpen = false }) {
  if (pairs.length === 0) return null;
  return html`<details open=${isOpen}><summary>${title} <span class="count">${integer(pairs.length)}</span></summary>
    <dl class="attributes">
      ${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><${LongText} text=${asText(value)} label=${name} class="code" /></dd></div>`)}
    </dl>
  </details>`;
}

function Raw({ own }) {
  return html`<section><h3>Events <span class="count">${integer(own.length)}</span></h3>
    ${own.slice(0, 50).map(
      ({ offset, event }) => html`<details key=${offset}><summary><code>${event.name}</code> <span class="count">${clock(event.timestamp)}</span></summary>
        <${LongText} text=${JSON.stringify(event, null, 2)} label="the event" class="code" /></details>`,
    )}
  </section>`;
}
