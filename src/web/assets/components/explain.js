// How a cost was made, in lines that can be followed with a pocket calculator.
import { html } from "../lib/html.js";
import { counted, dollars, exactDollars, integer, percent, price, words } from "../lib/format.js";
import { Icon } from "./icon.js";

/** Why something that is reported does not count. */
const LEFT_OUT = {
  call_below: ["span", "the same call is reported again by a span below, which counts"],
  call_above: ["span", "the same call is reported by a span above, which counts"],
  sum_of_calls: ["span", "agents, tools and workflows report sums of the calls below them"],
  reported_zero: ["cost", "the emitter says $0, but the model has a price, which counts"],
};

/** What to do about calls without a price. */
const UNPRICED = {
  unknown_model: "No price list knows it. Add a price to the file that connectors.agent.prices.overrides names.",
  unknown_provider: "No price list knows it. Add a price to the file that connectors.agent.prices.overrides names.",
  no_model: "Nothing names the model: have the client send gen_ai.request.model.",
  no_usage: "It came without tokens: have the client report its usage, which for streams is often an option.",
};

/**
 * @param {{row: Record<string, any>}} props a row of the ledger, or its totals
 */
export function Explanation({ row }) {
  const { lines = [], other_rates: others, reported, reported_by_agents: agents, promoted_runs: promoted, unpriced, left_out: leftOut, token_counting: counting } = row.explanation ?? {};
  const counts = lines.filter((line) => line.counts);
  const beside = lines.filter((line) => !line.counts);
  return html`<div class="explanation">
    ${counts.map((line, index) => html`<${Line} key=${index} line=${line} />`)}
    ${others && html`<p>${counted(others.calls, "call")} at further prices: ${dollars(others.usd)}</p>`}
    ${reported && html`<p>${counted(reported.calls, "call")} at the cost that the emitter itself reports: ${exactDollars(reported.usd, reported.usd)}</p>`}
    ${agents && html`<p>${counted(agents.runs, "agent run")} at the cost that the emitter itself reports, because no call below has a price: ${dollars(agents.usd)}</p>`}
    ${promoted && html`<p class="soft">Among these are ${counted(promoted, "agent run")}: only they tell what their calls took.</p>`}
    ${beside.map((line, index) => html`<${Line} key=${`b${index}`} line=${line} />`)}
    <${Deviation} of=${row.deviation} />
    ${(unpriced ?? []).map(
      (entry) => html`<p class="warn"><${Icon} name="warning" /> No price: ${counted(entry.calls, "call")}${entry.model ? ` of ${entry.model}` : ""} (${words(entry.reason)}).
        ${UNPRICED[entry.reason] ?? "Its counts of tokens contradict one another."}</p>`,
    )}
    ${(leftOut ?? []).map((entry) => html`<p class="soft">Not counted: ${leftOutOf(entry)}.</p>`)}
    ${counting?.exclusive && html`<p class="soft">${counted(counting.exclusive, "call")} reported cached or reasoning tokens beside the others; they were added.</p>`}
    ${counting?.repaired && html`<p class="soft">${counted(counting.repaired, "call")} reported more cached or reasoning tokens than input or output; they were taken as counted beside these.</p>`}
  </div>`;
}

/** Calls at the same prices: what was paid for, by how much, and what it comes to. */
function Line({ line }) {
  const source = line.price_source === "override" ? line.price_version : [line.price_source, line.price_version].filter(Boolean).join(" ");
  const calls = counted(line.calls, "call");
  return html`<div class="pricing">
    <p>${line.counts ? calls : `For comparison, what ${calls} would come to`} at the prices of <b>${line.priced_as}</b> in ${source}${line.service_tier ? `, tier ${line.service_tier}` : ""}${line.above_tokens ? `, for inputs above ${integer(line.above_tokens)} tokens` : ""}${line.from ? `, valid since ${line.from}` : ""}</p>
    <${Parts} parts=${line.parts} total=${line.usd} />
    ${line.service_tier_unpriced && html`<p class="soft">~ There is no price for this tier: the usual one was taken.</p>`}
  </div>`;
}

/**
 * @param {{parts: Record<string, any>[], total: number}} props
 */
export function Parts({ parts, total }) {
  return html`
    <table class="sum-table">
      <tbody>
        ${parts.map(
          (part) => html`<tr>
            <td class="number">${integer(part.tokens ?? part.requests)}</td>
            <th scope="row">${words(part.part)}</th>
            <td class="number">× ${part.usd_per_mtok !== undefined ? `${price(part.usd_per_mtok)} per million` : `${price(part.usd_per_request)} each`}${part.approx ? " ~" : ""}</td>
            <td class="number">= ${exactDollars(part.usd, total)}</td>
          </tr>`,
        )}
        ${parts.length > 1 && html`<tr class="together"><td></td><th scope="row">together</th><td></td><td class="number">= ${exactDollars(total, total)}</td></tr>`}
      </tbody>
    </table>
    ${parts.some((part) => part.approx) && html`<p class="soft">~ There is no price for this kind of token: the nearest of the model's was taken.</p>`}`;
}

function Deviation({ of }) {
  if (!of) return null;
  const { calls, reported_usd: reported, computed_usd: computed } = of;
  const difference = reported - computed;
  const share = computed > 0 ? ` (${percent(Math.abs(difference) / computed)})` : "";
  const verdict =
    Math.abs(difference) <= Math.abs(computed) * 1e-6
      ? "both agree"
      : `reported is ${exactDollars(Math.abs(difference), reported)} ${difference > 0 ? "more" : "less"}${share}`;
  return html`<p>Reported and ours, of ${counted(calls, "call")} with both: ${exactDollars(reported, reported)} and ${exactDollars(computed, computed)}; ${verdict}.</p>`;
}

function leftOutOf({ reason, times, tokens, usd }) {
  const [what, why] = LEFT_OUT[reason] ?? ["span", "counted elsewhere"];
  const amounts = [tokens && `${integer(tokens)} tokens`, usd > 0 && dollars(usd)].filter(Boolean);
  return `${[counted(times, what), ...amounts].join(", ")}: ${why}`;
}
