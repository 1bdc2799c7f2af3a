// How the cost of a run was made, call by call.
import { html } from "../lib/html.js";
import { api } from "../lib/api.js";
import { dollars, integer, percent, words } from "../lib/format.js";
import { choose } from "../lib/router.js";
import { useQuery } from "../lib/query.js";
import { Parts } from "../components/explain.js";
import { Empty, Failure, Loading } from "../components/states.js";

/**
 * @param {{run: import("../lib/api.js").Run}} props
 */
export function Calls({ run }) {
  const ask = (signal) => api(`/api/v1/runs/${encodeURIComponent(run.id)}/ledger`, { signal });
  const { data, error, refresh } = useQuery(run.id, ask, {
    follow: (event) => event.execution_id === run.id && event.scope === "llm_request",
    gap: 1000,
  });
  if (!data) return error ? html`<${Failure} error=${error} retry=${refresh} />` : html`<${Loading} />`;
  if (data.calls.length === 0) return html`<${Empty} title="No model was called, so there is nothing to pay for." icon="dollar" />`;
  const total = run.figures.cost_usd ?? 0;
  return html`<div class="calls">
    <p class="quiet-note">Each call counts once, where it is reported closest to the model. In US dollars: tokens × the price of a million of them.</p>
    ${data.calls.map((call) => html`<${Call} key=${call.span_id} call=${call} total=${total} />`)}
  </div>`;
}

function Call({ call, total }) {
  const share = call.counts && call.cost_usd && total ? call.cost_usd / total : null;
  const tokens = call.input_tokens !== undefined ? `${integer(call.input_tokens)} → ${integer(call.output_tokens)}` : "no tokens reported";
  return html`<details class=${`callrow ${call.counts ? "" : "uncounted"}`}>
    <summary>
      <span class="name">${call.model ?? call.operation}</span>
      <span class="soft">${call.agent ?? ""}</span>
      <span class="number">${tokens}</span>
      <span class="number">${priceOf(call)}</span>
      <span class="share" aria-hidden="true">${share !== null && html`<span style=${{ width: `${share * 100}%` }}></span>`}</span>
      <span class="number soft">${share === null ? "" : percent(share)}</span>
    </summary>
    <div class="explanation">
      ${call.computed && html`<p>At the prices of <b>${call.computed.priced_as}</b> in ${[call.computed.price_source, call.computed.price_version].filter(Boolean).join(" ")}</p>
        <${Parts} parts=${call.computed.parts} total=${call.computed.usd} />`}
      ${call.reported_usd !== undefined && html`<p>The emitter reports ${dollars(call.reported_usd)}${call.deviation_usd ? `, which is ${dollars(Math.abs(call.deviation_usd))} ${call.deviation_usd > 0 ? "more" : "less"} than ours` : ""}.</p>`}
      ${call.unpriced && html`<p class="warn">Unpriced: ${words(call.unpriced)}.</p>`}
      ${call.left_out && html`<p class="soft">Not counted: ${words(call.left_out.reason)}${call.left_out.tokens ? `, ${integer(call.left_out.tokens)} tokens` : ""}${call.left_out.usd ? `, ${dollars(call.left_out.usd)}` : ""}.</p>`}
      ${call.token_counting && html`<p class="soft">Cached and reasoning tokens are told as ${words(call.token_counting)} of the others.</p>`}
      <p><button type="button" class="quiet" onClick=${() => choose({ part: "timeline", span: call.span_id })}>Show it in the timeline</button></p>
    </div>
  </details>`;
}

function priceOf(call) {
  if (!call.counts) return html`<span class="soft">counted elsewhere</span>`;
  if (call.cost_usd !== undefined) return dollars(call.cost_usd);
  return call.input_tokens === undefined ? html`<span class="soft">–</span>` : html`<span class="cost unpriced">unpriced</span>`;
}
