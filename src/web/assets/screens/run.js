// One run: what came of it, and its parts: transcript, timeline, agents, events, cost.
import { html, useEffect, useMemo } from "../lib/html.js";
import { api, withQuery } from "../lib/api.js";
import { counted, duration, fullTime, integer } from "../lib/format.js";
import { choose, go, runUrl, usePlace, withChoices } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { useQuery } from "../lib/query.js";
import { rowsOf } from "../lib/tree.js";
import { Copy } from "../components/copy.js";
import { CostOf, Fact, Tokens, WithFailed } from "../components/figures.js";
import { Icon } from "../components/icon.js";
import { Failure, Missing } from "../components/states.js";
import { StatusMark } from "../components/status.js";
import { Ago, Clock } from "../components/time.js";
import { Agents } from "../run/agents.js";
import { Calls } from "../run/calls.js";
import { Detail } from "../run/detail.js";
import { Events } from "../run/events.js";
import { Timeline } from "../run/timeline.js";
import { Transcript } from "../run/transcript.js";
import { useEvents } from "../run/useevents.js";

const PARTS = [
  { id: "transcript", name: "Transcript", show: Transcript, tellsOfEvents: true },
  { id: "timeline", name: "Timeline", show: Timeline },
  { id: "agents", name: "Agents", show: Agents, tellsOfEvents: true },
  { id: "events", name: "Events", show: Events, tellsOfEvents: true },
  { id: "cost", name: "Cost", show: Calls },
];

/**
 * @param {{id: string}} props
 */
export function Run({ id }) {
  const { query } = usePlace();
  const ask = (signal) => api(`/api/v1/runs/${encodeURIComponent(id)}?tree=columns`, { signal });
  const { data: run, error, refresh } = useQuery(id, ask, {
    follow: (event) => event.execution_id === id || event.trace_id === id,
    gap: 400,
  });
  // What ends a run is that nothing more comes, of which no event tells.
  useEffect(() => {
    if (!run?.provisional) return undefined;
    const timer = window.setInterval(refresh, 3000);
    return () => window.clearInterval(timer);
  }, [run?.provisional]);
  const rows = useMemo(() => (run ? rowsOf(run) : []), [run]);
  const part = PARTS.find(({ id }) => id === query.get("part")) ?? PARTS[0];
  const selected = query.get("span");
  const events = useEvents(id, part.tellsOfEvents || selected !== null);
  useKeys({
    ...Object.fromEntries(PARTS.map(({ id }, index) => [String(index + 1), () => choose({ part: id })])),
    "[": () => step(-1),
    "]": () => step(1),
    Escape: () => (selected || query.has("event") ? choose({ span: null, event: null }) : go("/runs")),
  });
  useEffect(() => {
    if (run) document.title = `${run.name} · Spanlight`;
  }, [run?.name]);
  if (!run) return html`<${NoRun} error=${error} retry=${refresh} />`;
  const row = selected && rows.find(({ node }) => node.span_id === selected);
  return html`<div class=${`screen run ${row ? "has-detail" : ""}`}>
    <div class="body">
      <${Verdict} run=${run} rows=${rows} />
      ${error && html`<${Failure} error=${error} retry=${refresh} />`}
      <${Tabs} current=${part.id} run=${run} rows=${rows} events=${events} />
      <div role="tabpanel" id="part" aria-labelledby=${`tab-${part.id}`} class="part">
        <${part.show} run=${run} rows=${rows} events=${events} selected=${selected} />
      </div>
    </div>
    ${row && html`<${Detail} key=${selected} run=${run} row=${row} rows=${rows} events=${events} />`}
  </div>`;
}

/** What came of it, in a strip. */
function Verdict({ run, rows }) {
  const { figures } = run;
  const retried = rows.filter(({ node }) => node.status === "failed" && node.scope !== "workflow").length;
  return html`<header class="verdict">
    <nav class="crumbs" aria-label="Where this is">
      <a href="/runs">Runs</a> <${Icon} name="chevron" />
      <${Copy} text=${run.id} label="the run's id"><code>${run.id.length > 20 ? `${run.id.slice(0, 12)}…` : run.id}</code><//>
    </nav>
    <div class="title">
      <${StatusMark} status=${run.status} />
      <h1 title=${run.name}>${run.name}</h1>
      ${run.status !== "running" && html`<span class="when"><${Ago} at=${run.started_at} /></span>`}
    </div>
    <dl class="facts">
      <${Fact} name=${run.status === "running" ? "Running for" : "Took"} class="lead" title=${`began ${fullTime(run.started_at)}`}>
        ${run.status === "running" ? html`<${Clock} since=${run.started_at} />` : duration(run.duration_ms)}
      <//>
      <${Fact} name="Cost" class="lead"><${CostOf} figures=${figures} /><//>
      <${Fact} name="Tokens"><${Tokens} figures=${figures} /><//>
      <${Fact} name="Model calls"><${WithFailed} done=${figures.llm_calls} failed=${figures.llm_failed} /><//>
      <${Fact} name="Tool calls"><${WithFailed} done=${(figures.tool_calls ?? 0) - (figures.tool_failed ?? 0)} failed=${figures.tool_failed} /><//>
      <${Fact} name="Failed work" class=${retried ? "is-bad" : ""} title="Steps, agents, calls of models and tools that failed">${integer(retried)}<//>
      <${Fact} name="Agents" class="wide" title=${run.agents.join(", ")}>${run.agents.join(", ") || "–"}<//>
    </dl>
    <${Labels} run=${run} />
    ${run.error && html`<p class="banner bad"><${Icon} name="cross" /> <span>${run.error}</span></p>`}
    ${run.stored && html`<p class="banner"><${Icon} name="memory" /> <span>This run has left memory: its events are known, and what they come to.</span></p>`}
    ${run.status === "lost" && !run.stored && html`<p class="banner warn"><${Icon} name="question" /> Nothing was heard of it any more; its process may have died. It comes back to life if more arrives.</p>`}
    ${run.missing_parents > 0 && html`<p class="banner warn"><${Icon} name="warning" /> ${counted(run.missing_parents, "span")} that others name as their parent ${run.missing_parents === 1 ? "has" : "have"} not arrived.</p>`}
  </header>`;
}

/** What the run belongs to; each leads to all runs that do. */
function Labels({ run }) {
  const labels = [
    ["feature", run.feature],
    ["task", run.task_id],
    ["conversation", run.conversation_id],
    ["user", run.user_id],
  ].filter(([, value]) => value);
  const others = [["session", run.session_id], ["service", run.service], ["told in", run.dialect]].filter(([, value]) => value);
  return html`<ul class="labels">
    ${labels.map(([name, value]) => html`<li><a href=${withQuery("/runs", { [name]: value })} title=${`Runs of the ${name} ${value}`}><span>${name}</span> ${value}</a></li>`)}
    ${others.map(([name, value]) => html`<li title=${value}><span>${name}</span> ${value}</li>`)}
  </ul>`;
}

function Tabs({ current, run, rows, events }) {
  const counts = { timeline: rows.length, agents: run.agents.length, events: events.list.length };
  const move = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const at = PARTS.findIndex(({ id }) => id === current);
    const next = PARTS[(at + by + PARTS.length) % PARTS.length].id;
    choose({ part: next });
    document.getElementById(`tab-${next}`).focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="Parts of the run" onKeyDown=${move}>
    ${PARTS.map(
      ({ id, name }) => html`<a role="tab" id=${`tab-${id}`} aria-selected=${id === current} aria-controls="part"
        tabindex=${id === current ? 0 : -1} href=${withChoices({ part: id, event: null })}>
        ${name}${counts[id] > 0 && html` <span class="count">${integer(counts[id])}</span>`}
      </a>`,
    )}
  </div>`;
}

function NoRun({ error, retry }) {
  if (!error) return html`<${Missing} name="Run" />`;
  const words = "This run is not known: it has not been heard of, or it is kept no more.";
  return html`<div class="screen">
    <${Missing} name="Run" error=${error.status === 404 ? new Error(words) : error} retry=${retry} />
    <p class="more-rows"><a href="/runs">All runs</a></p></div>`;
}

/** The run before or after in time, as seen from the address: the screen may still be about to follow it. */
async function step(by) {
  const { runs } = await api("/api/v1/runs?limit=1000");
  const at = runs.findIndex((run) => runUrl(run.id).split("?")[0] === window.location.pathname);
  const next = runs[at + (by < 0 ? -1 : 1)];
  if (next) go(runUrl(next.id, window.location.search.replace(/[?&](span|event)=[^&]*/g, "")));
}
