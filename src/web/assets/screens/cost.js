// Cost: by feature, agent, model, day, tool or run, with how each was made; and budgets, if there are any.
import { html } from "../lib/html.js";
import { api, withQuery } from "../lib/api.js";
import { clock, compact, counted, dollars, fullTime, integer, percent } from "../lib/format.js";
import { choose, runUrl, usePlace } from "../lib/router.js";
import { useQuery } from "../lib/query.js";
import { CostOf, Fact, Tokens, WithFailed } from "../components/figures.js";
import { Explanation } from "../components/explain.js";
import { Icon } from "../components/icon.js";
import { Empty, Failure, Loading } from "../components/states.js";

const BY = ["feature", "agent", "model", "day", "tool", "run"];
const WINDOWS = [
  ["1h", "1 hour"],
  ["24h", "24 hours"],
  ["all", "since start"],
];
/** Ends of calls are what costs. */
const isCost = (event) => event.type !== "started" && event.type !== "progress";

export function Cost() {
  const { query } = usePlace();
  const by = BY.includes(query.get("by")) ? query.get("by") : "feature";
  const window = WINDOWS.some(([value]) => value === query.get("window")) ? query.get("window") : "24h";
  const ask = (signal) => api(withQuery("/api/v1/ledger", { by, window, explain: "true" }), { signal });
  const { data, error, refresh } = useQuery(`${by} ${window}`, ask, { follow: isCost, every: 5000, gap: 1000 });
  return html`<div class="screen costs">
    <h1 class="unseen">Cost</h1>
    <div class="filters">
      <div class="chips" role="group" aria-label="Broken down by">
        ${BY.map((one) => html`<button type="button" class="chip" aria-pressed=${one === by} onClick=${() => choose({ by: one, row: null })}>by ${one}</button>`)}
      </div>
      <div class="chips" role="group" aria-label="Time">
        ${WINDOWS.map(([value, text]) => html`<button type="button" class="chip" aria-pressed=${value === window} onClick=${() => choose({ window: value })}>${text}</button>`)}
      </div>
    </div>
    <${Budgets} />
    ${error && html`<${Failure} error=${error} retry=${refresh} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<${Ledger} ledger=${data} by=${by} chosen=${query.get("row")} />`}
  </div>`;
}

function Ledger({ ledger, by, chosen }) {
  const { totals } = ledger;
  const rows = by === "day" ? [...ledger.rows].sort((a, b) => (a.key < b.key ? 1 : -1)) : ledger.rows;
  const most = Math.max(...rows.map((row) => row.cost_usd ?? 0), 0);
  const others = (totals.cost_usd ?? 0) - rows.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0);
  const failed = totals.llm_failed ?? 0;
  return html`
    <dl class="facts">
      <${Fact} name="Cost" class="lead"><${CostOf} figures=${totals} /><//>
      <${Fact} name="Tokens"><${Tokens} figures=${totals} /><//>
      <${Fact} name="From caches" title="Input tokens that were read from a cache">${totals.input_tokens ? percent((totals.cache_read_tokens ?? 0) / totals.input_tokens) : "–"}<//>
      <${Fact} name="Model calls"><${WithFailed} done=${totals.llm_calls} failed=${failed} /><//>
      <${Fact} name="Without a price" class=${totals.unpriced_calls ? "is-warn" : ""}>${integer(totals.unpriced_calls ?? 0)}<//>
      <${Fact} name="Runs of agents"><${WithFailed} done=${(totals.agent_runs ?? 0) - (totals.agent_failed ?? 0)} failed=${totals.agent_failed} /><//>
    </dl>
    ${ledger.limited && html`<p class="quiet-note">Of the runs that your token may see, as far as they are in memory.</p>`}
    ${ledger.provisional && html`<p class="quiet-note">Some runs are not over: these figures may still change.</p>`}
    ${rows.length === 0 && html`<${Empty} title="Nothing was spent in this time." icon="dollar" />`}
    ${rows.length > 0 && html`<div class="table costlist" role="table" aria-label=${`Cost by ${by}`}>
      <div class="row head" role="row">
        <span role="columnheader">${by[0].toUpperCase()}${by.slice(1)}</span><span role="columnheader" class="number">Cost</span>
        <span role="columnheader">Share</span><span role="columnheader" class="number">Calls</span>
        <span role="columnheader" class="number">Tokens</span><span role="columnheader" class="number">Cached</span>
        <span role="columnheader" class="number">Tools</span>
      </div>
      ${rows.map((row) => html`<${Row} key=${row.key} row=${row} by=${by} most=${most} isOpen=${chosen === row.key} />`)}
    </div>`}
    ${rows.length > 0 && others > (totals.cost_usd ?? 0) * 1e-9 && html`<p class="quiet-note">${dollars(others)} of the total belong to no ${by}.</p>`}
    <${Aside} totals=${totals} />`;
}

function Row({ row, by, most, isOpen }) {
  const share = most > 0 ? (row.cost_usd ?? 0) / most : 0;
  const tokens = (row.input_tokens ?? 0) + (row.output_tokens ?? 0);
  const cached = row.input_tokens ? percent((row.cache_read_tokens ?? 0) / row.input_tokens) : "–";
  return html`<div class=${`row ${isOpen ? "open" : ""}`} role="row">
      <span role="cell" class="of-name">
        <button type="button" class="cover" aria-expanded=${isOpen} title=${row.key} onClick=${() => choose({ row: isOpen ? null : row.key })}>
          <${Icon} name="chevron" /> ${row.key || "(none)"}
        </button>
      </span>
      <span role="cell" class="number of-cost"><${CostOf} figures=${row} /></span>
      <span role="cell" class="share of-share">${share > 0 && html`<span style=${{ width: `${share * 100}%` }}></span>`}</span>
      <span role="cell" class="number of-calls">${compact((row.llm_calls ?? 0) + (row.llm_failed ?? 0))}${row.llm_failed ? html` <span class="bad" title=${`${row.llm_failed} failed`}>✗${compact(row.llm_failed)}</span>` : ""}</span>
      <span role="cell" class="number of-tokens">${tokens ? compact(tokens) : "–"}</span>
      <span role="cell" class="number of-cached">${cached}</span>
      <span role="cell" class="number of-tools">${row.tool_calls ? compact(row.tool_calls) : "–"}</span>
      ${isOpen && html`<div class="inside" role="cell">
        ${by === "run" && html`<p><a href=${runUrl(row.key, "?part=cost")}>Open the run, call by call</a></p>`}
        ${["feature", "agent"].includes(by) && html`<p><a href=${withQuery("/runs", { [by]: row.key })}>Runs of this ${by}</a></p>`}
        <${Explanation} row=${row} />
      </div>`}
    </div>`;
}

/** What was left out of all of it. */
function Aside({ totals }) {
  const { left_out: leftOut, unpriced } = totals.explanation ?? {};
  if (!leftOut?.length && !unpriced?.length && !totals.deviation) return null;
  return html`<section class="aside" aria-label="About the total"><h2>About the total</h2>
    <${Explanation} row=${{ deviation: totals.deviation, explanation: { left_out: leftOut, unpriced } }} /></section>`;
}

const VERDICTS = {
  allow: { status: "completed", icon: "check", word: "allow" },
  warn: { status: "pending", icon: "warning", word: "warn" },
  stop: { status: "failed", icon: "ban", word: "stop" },
};
/** Of a budget that each user or run has for itself, the first so many are shown: those with the most spent. */
const MOST_WINDOWS = 6;

/** Budgets, where the collector has any. */
function Budgets() {
  const { data } = useQuery("budgets", askBudgets, { follow: isCost, every: 5000, gap: 1000 });
  if (!data?.length) return null;
  return html`<section class="budgets" aria-labelledby="budgets"><h2 id="budgets">Budgets <span class="count">${counted(data.length, "budget")}</span></h2>
    <div class="cards">${data.flatMap((budget) => windowsOf(budget).map((window) => html`<${Budget} key=${`${budget.name} ${window.value ?? ""}`} budget=${budget} window=${window} />`))}</div></section>`;
}

/** What is spent of a budget at the moment; a budget of which nothing was spent has no window yet. */
function windowsOf(budget) {
  const untouched = { verdict: "allow", spent: 0, limit: budget.limit_usd, remaining: budget.limit_usd };
  return budget.windows?.length ? budget.windows.slice(0, MOST_WINDOWS) : [untouched];
}

function Budget({ budget, window }) {
  const { spent = 0, limit = budget.limit_usd, remaining, in_flight_estimate: underWay, resets_at: resets } = window;
  const share = limit > 0 ? Math.min(1, spent / limit) : 1;
  const { status, icon, word } = VERDICTS[window.verdict] ?? { status: "lost", icon: "question", word: window.verdict };
  return html`<article class="card budget" title=${window.reason}>
    <header><h3>${budget.name}${window.value ? html` <span class="soft">${window.value}</span>` : ""}</h3>
      ${budget.per && html`<span class="soft">per ${budget.per}</span>`}
      <span class=${`status ${status}`}><${Icon} name=${icon} />${word}</span></header>
    <div class=${`meter ${window.verdict}`} role="meter" aria-label=${`${budget.name}: spent`} aria-valuemin="0" aria-valuemax=${limit} aria-valuenow=${Math.min(spent, limit)}><span style=${{ width: `${share * 100}%` }}></span></div>
    <p><b>${dollars(spent)}</b> of ${dollars(limit)}${remaining === undefined ? "" : html` <span class="soft">· ${dollars(remaining)} left</span>`}
      ${underWay > 0 && html` <span class="soft">· about ${dollars(underWay)} under way</span>`}
      ${resets && html` <span class="soft" title=${fullTime(resets)}>· until ${clock(resets).slice(0, 5)}</span>`}</p>
  </article>`;
}

/** A collector that knows no budgets says that there is no such thing; and whoever sees only their own sees none. */
async function askBudgets(signal) {
  try {
    return (await api("/api/v1/budgets", { signal })).budgets ?? [];
  } catch (error) {
    if (error.status === 404 || error.status === 403) return [];
    throw error;
  }
}
