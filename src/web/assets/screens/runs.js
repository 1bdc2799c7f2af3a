// Runs: all of them, the latest first, found by text, status, agent, feature and time.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { counted } from "../lib/format.js";
import { choose, go, place, runUrl, usePlace } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { useRuns } from "../lib/useruns.js";
import { Icon } from "../components/icon.js";
import { More } from "../components/more.js";
import { RunList } from "../components/runlist.js";
import { Empty, Failure, Loading } from "../components/states.js";

const STATUSES = ["running", "completed", "failed", "canceled", "lost"];
const SINCE = [
  ["", "any time"],
  ["15m", "15 minutes"],
  ["1h", "1 hour"],
  ["24h", "24 hours"],
];
/** What runs can be chosen by beside their status; each is a parameter of the API and of the address. */
const FIELDS = ["agent", "feature", "task", "conversation", "user"];

export function Runs() {
  const { query } = usePlace();
  const chosen = filterOf(query);
  const key = JSON.stringify(chosen);
  const search = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { runs: all, isLoaded, isWhole, error, refresh, more, end } = useRuns(key, chosen);
  const selected = query.get("row");
  const { shown: runs, held, showAll } = useSteady(key, isLoaded ? all : null, selected === null);
  const move = (by) => {
    // Keys may come faster than what they do is drawn.
    const at = runs.findIndex((run) => run.id === place.get().query.get("row"));
    const next = runs[Math.min(runs.length - 1, Math.max(0, at + by))];
    if (next) choose({ row: next.id });
  };
  useKeys({
    "/": () => search.current.focus(),
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => selected && go(runUrl(selected)),
    Escape: () => (document.activeElement === search.current ? search.current.blur() : choose({ row: null })),
  });

  return html`<div class="screen runs">
    <h1 class="unseen">Runs</h1>
    <${Filters} query=${query} search=${search} runs=${runs} />
    ${held > 0 && html`<button type="button" class="pill" onClick=${showAll}>${counted(held, "new run")}</button>`}
    ${error && html`<${Failure} error=${error} retry=${refresh} />`}
    ${!isLoaded && !error && html`<${Loading} />`}
    ${isLoaded && runs.length === 0 && html`<${NoRuns} isFiltered=${key !== "{}"} />`}
    ${runs.length > 0 && html`<${RunList} runs=${runs} selected=${selected} label="Runs" />`}
    ${isLoaded && !isWhole && html`<${More} key=${end} text="Earlier runs" more=${more} />`}
  </div>`;
}

function Filters({ query, search, runs }) {
  const statuses = query.getAll("status");
  const toggle = (status) => {
    const next = new URLSearchParams(query);
    next.delete("status");
    const chosen = statuses.includes(status) ? statuses.filter((one) => one !== status) : [...statuses, status];
    chosen.forEach((one) => next.append("status", one));
    next.delete("row");
    go(`/runs${next.size ? `?${next}` : ""}`, { replace: true });
  };
  const agents = [...new Set([...runs.flatMap((run) => run.agents), ...query.getAll("agent")])].sort();
  const features = [...new Set([...runs.map((run) => run.feature), query.get("feature")])].filter(Boolean).sort();
  const others = ["task", "conversation", "user"].filter((field) => query.has(field));
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <label class="searchbox">
      <${Icon} name="search" /><span class="unseen">Search in names, agents and ids</span>
      <input ref=${search} type="search" placeholder="Name, agent or id" value=${query.get("q") ?? ""}
        onInput=${(event) => choose({ q: event.target.value, row: null })} />
      <kbd aria-hidden="true">/</kbd>
    </label>
    <div class="chips" role="group" aria-label="Status">
      ${STATUSES.map(
        (status) => html`<button type="button" class=${`chip ${status}`} aria-pressed=${statuses.includes(status)} onClick=${() => toggle(status)}>${status}</button>`,
      )}
    </div>
    <${Choice} label="Agent" name="agent" query=${query} values=${agents} />
    <${Choice} label="Feature" name="feature" query=${query} values=${features} />
    <label class="choice"><span>Since</span>
      <select value=${query.get("since") ?? ""} onChange=${(event) => choose({ since: event.target.value, row: null })}>
        ${SINCE.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
      </select>
    </label>
    ${others.map(
      (field) => html`<button type="button" class="chip" aria-pressed="true" title="Take away" onClick=${() => choose({ [field]: null })}>
        ${field}: ${query.get(field)} <${Icon} name="close" />
      </button>`,
    )}
  </form>`;
}

function Choice({ label, name, query, values }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${query.get(name) ?? ""} onChange=${(event) => choose({ [name]: event.target.value, row: null })}>
      <option value="">any</option>
      ${values.map((value) => html`<option value=${value}>${value}</option>`)}
    </select>
  </label>`;
}

function NoRuns({ isFiltered }) {
  if (!isFiltered) {
    return html`<${Empty} title="There are no runs yet." icon="list"><p><a href="/">How to connect an agent</a></p><//>`;
  }
  return html`<${Empty} title="No run fits."><p><a href="/runs">Show all runs</a></p><//>`;
}

/** What the address says is wanted, as parameters of the API. */
function filterOf(query) {
  const chosen = {};
  for (const field of ["q", "since"]) if (query.get(field)) chosen[field] = query.get(field);
  for (const field of ["status", ...FIELDS]) if (query.has(field)) chosen[field] = query.getAll(field);
  return chosen;
}

/**
 * Keeps rows where they are: known runs change in place, and new ones wait until somebody wants them, unless the top of
 * the list is what is being looked at.
 */
function useSteady(key, runs, isFree) {
  const [limit, setLimit] = useState({ key: "", newest: "" });
  const newest = runs?.[0] ? orderOf(runs[0]) : "";
  const isAtTop = (document.querySelector("main")?.scrollTop ?? 0) < 8;
  const isOpen = limit.key !== key || (isFree && isAtTop);
  useEffect(() => {
    if (isOpen && newest) setLimit({ key, newest });
  }, [isOpen, key, newest]);
  if (!runs) return { shown: [], held: 0, showAll: () => {} };
  const steady = isOpen ? runs : runs.filter((run) => orderOf(run) <= limit.newest);
  // So many may have come that none of the known ones is among those asked for.
  const shown = steady.length > 0 ? steady : runs;
  return { shown, held: runs.length - shown.length, showAll: () => setLimit({ key, newest }) };
}

function orderOf(run) {
  return `${run.started_at} ${run.id}`;
}
