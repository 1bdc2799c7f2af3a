// Now: what is running this moment, errors first.
import { html } from "../lib/html.js";
import { api } from "../lib/api.js";
import { compact, counted, dollars, integer, percent } from "../lib/format.js";
import { now } from "../lib/clock.js";
import { runUrl } from "../lib/router.js";
import { useQuery } from "../lib/query.js";
import { token } from "../lib/token.js";
import { CostOf, Fact, Tokens } from "../components/figures.js";
import { Icon } from "../components/icon.js";
import { RunList } from "../components/runlist.js";
import { Failure, Missing } from "../components/states.js";
import { KindMark, StatusMark } from "../components/status.js";
import { Ago, Clock } from "../components/time.js";
import { Welcome } from "./welcome.js";

const anyEvent = () => true;

const askNow = (signal) => api("/api/v1/now", { signal });

/** What need not be of this very moment; the collector looks at all its runs for it. */
async function askLatest(signal) {
  const [latest, hour, ledger] = await Promise.all([
    api("/api/v1/runs?limit=12&status=completed&status=failed&status=canceled&status=lost", { signal }),
    unlessForbidden("/api/v1/metrics?window=1h", signal),
    api("/api/v1/ledger?window=1h&by=model", { signal }),
  ]);
  return { latest: latest.runs, hour: hour?.summary ?? {}, figures: ledger.totals };
}

/** What is added up over everybody is not for those who may see only their own; they are not refused again and again. */
async function unlessForbidden(path, signal) {
  if (forbidden.has(token.get())) return null;
  try {
    return await api(path, { signal });
  } catch (error) {
    if (error.status !== 403) throw error;
    forbidden.add(token.get());
    return null;
  }
}

/** Tokens that may see only their own. */
const forbidden = new Set();

export function Now() {
  const moment = useQuery("now", askNow, { follow: anyEvent, every: 3000, gap: 200 });
  const lately = useQuery("latest", askLatest, { follow: anyEvent, every: 3000, gap: 800 });
  const error = moment.error ?? lately.error;
  const refresh = () => [moment, lately].forEach((query) => query.refresh());
  if (!moment.data || !lately.data) return html`<${Missing} name="Now" error=${error} retry=${refresh} />`;
  const data = { ...moment.data, ...lately.data };
  if (data.running.length === 0 && data.latest.length === 0) return html`<${Welcome} />`;
  const failed = data.latest.filter(isFresh).slice(0, 3);
  return html`<div class="screen now">
    <h1 class="unseen">Now</h1>
    ${error && html`<${Failure} error=${error} retry=${refresh} />`}
    <${Hour} data=${data} />
    ${failed.length > 0 && html`<${Attention} runs=${failed} />`}
    <section aria-labelledby="at-work">
      <h2 id="at-work">At work <span class="count">${integer(data.running.length + data.more)}</span></h2>
      ${data.running.length === 0 && html`<p class="quiet-note">Nothing is running. The next run appears here by itself.</p>`}
      <div class="cards">${data.running.map((run) => html`<${Working} key=${run.id} run=${run} />`)}</div>
      ${data.more > 0 && html`<p class="quiet-note"><a href="/runs?status=running">${counted(data.more, "more run")} at work</a></p>`}
    </section>
    <section aria-labelledby="latest">
      <h2 id="latest">Latest <a class="more" href="/runs">All runs</a></h2>
      <${RunList} runs=${data.latest} label="Latest runs" />
    </section>
  </div>`;
}

/** Whether a run went wrong within the last hour. */
function isFresh({ status, ended_at: ended, started_at: started }) {
  return ["failed", "lost"].includes(status) && now() - Date.parse(ended ?? started) < 3_600_000;
}

/** The last hour in figures. */
function Hour({ data }) {
  const { running, more, hour, figures } = data;
  const agents = new Set(running.flatMap((run) => run.open.filter((work) => work.scope === "agent").map((work) => work.name)));
  return html`<dl class="facts" aria-label="Now, and the last hour">
    <${Fact} name="Runs at work" class="lead">${integer(running.length + more)}<//>
    <${Fact} name="Agents at work" class="lead">${integer(agents.size)}<//>
    <${Spent} figures=${figures} hour=${hour} />
  </dl>`;
}

function Spent({ figures, hour }) {
  const failures = (figures.llm_failed ?? 0) + (figures.tool_failed ?? 0) + (figures.agent_failed ?? 0);
  return html`
    <${Fact} name="Cost, last hour"><${CostOf} figures=${figures} /><//>
    <${Fact} name="Tokens, last hour"><${Tokens} figures=${figures} /><//>
    <${Fact} name="Model calls">${integer((figures.llm_calls ?? 0) + (figures.llm_failed ?? 0))}<//>
    <${Fact} name="Tool calls">${integer(figures.tool_calls ?? 0)}<//>
    <${Fact} name="Failures" class=${failures ? "is-bad" : ""} title="Calls of models and tools, and runs of agents, that failed">
      ${failures ? html`<${Icon} name="cross" /> ` : ""}${integer(failures)}
    <//>
    ${hour.cost_per_feature !== undefined && html`<${Fact} name="Cost per task">${dollars(hour.cost_per_feature)}<//>`}
    ${hour.critic_rejection_rate !== undefined && html`<${Fact} name="Rejected">${percent(hour.critic_rejection_rate)}<//>`}
    ${hour.validation_pass_rate !== undefined && html`<${Fact} name="Validated">${percent(hour.validation_pass_rate)}<//>`}`;
}

/** What went wrong lately. */
function Attention({ runs }) {
  return html`<section class="attention" aria-labelledby="attention">
    <h2 id="attention"><${Icon} name="warning" /> Went wrong lately</h2>
    <ul>
      ${runs.map(
        (run) => html`<li key=${run.id}>
          <${StatusMark} status=${run.status} />
          <a class="cover" href=${runUrl(run.id)}>${run.name}</a>
          ${run.feature && html`<span class="soft">${run.feature}</span>`}
          <span class="why" title=${run.error}>${run.error ?? "nothing was heard of it any more"}</span>
          <span class="when"><${Ago} at=${run.ended_at ?? run.started_at} /></span>
        </li>`,
      )}
    </ul>
  </section>`;
}

/** A run at work: its agents, and what each is doing. */
function Working({ run }) {
  const { figures } = run;
  const failures = (figures.llm_failed ?? 0) + (figures.tool_failed ?? 0);
  return html`<article class="card working">
    <header>
      <span class="spinner" aria-hidden="true"></span>
      <h3><a class="cover" href=${runUrl(run.id)} title=${run.name}>${run.name}</a></h3>
      <span class="subject" title=${run.task_id}>${[run.feature, run.service].filter(Boolean).join(" · ")}</span>
      <${Clock} since=${run.started_at} />
    </header>
    <ul class="lanes">
      ${lanes(run).map((lane) => html`<${Lane} key=${lane.key} lane=${lane} />`)}
      ${run.open.length === 0 &&
      html`<li class="lane"><span class="idle">Last heard <${Ago} at=${run.last_seen_at} />. Its emitter tells of work when it is over.</span></li>`}
    </ul>
    <footer>
      ${figures.cost_usd === undefined && !figures.unpriced_calls ? html`<span>no cost yet</span>` : html`<span><${CostOf} figures=${figures} /> so far</span>`}
      ${figures.input_tokens ? html`<span><${Tokens} figures=${figures} /> tokens</span>` : null}
      <span>${compact((figures.llm_calls ?? 0) + (figures.llm_failed ?? 0))} calls · ${compact(figures.tool_calls ?? 0)} tools</span>
      ${failures > 0 && html`<span class="bad"><${Icon} name="cross" /> ${counted(failures, "failure")}</span>`}
    </footer>
  </article>`;
}

function Lane({ lane }) {
  const { agent, doing } = lane;
  return html`<li class="lane">
    <${KindMark} scope=${agent ? "agent" : doing[0].scope} />
    <span class="who" title=${agent?.name}>${agent?.name ?? agent?.agent ?? doing[0].name ?? doing[0].model ?? doing[0].operation}</span>
    <span class="what">
      ${doing.length === 0 && html`<span class="idle">thinking</span>`}
      ${(agent ? doing : []).map(
        (work) => html`<span class="act" key=${work.span_id} title=${work.name ?? work.model}>
          <${KindMark} scope=${work.scope} />${work.name ?? work.model ?? work.operation} <${Clock} since=${work.started_at} />
        </span>`,
      )}
    </span>
    <${Clock} since=${(agent ?? doing[0]).started_at} />
  </li>`;
}

/**
 * The open work of a run by agent: calls of models and tools are what an agent is doing. Work of no agent has a lane
 * of its own, unless an agent works below it.
 * @param {import("../lib/api.js").Run} run
 */
function lanes(run) {
  const byAgent = new Map();
  for (const work of run.open.filter((work) => work.scope === "agent")) {
    byAgent.set(work.span_id, { key: work.span_id, agent: work, doing: [] });
  }
  const alone = [];
  for (const work of run.open) {
    if (work.scope !== "llm_request" && work.scope !== "tool") continue;
    const lane = byAgent.get(work.agent_span_id);
    if (lane) lane.doing.push(work);
    else alone.push({ key: work.span_id, agent: null, doing: [work] });
  }
  const found = [...byAgent.values(), ...alone];
  // Who waits for others at work is no news.
  const busy = found.filter((lane) => lane.doing.length > 0);
  if (found.length > 0) return busy.length > 0 ? busy : found.slice(-3);
  return run.open.slice(-1).map((work) => ({ key: work.span_id, agent: null, doing: [work] }));
}
