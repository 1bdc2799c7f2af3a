// Health: what the collector takes in and sends on, what waits, what was dropped and why.
import { html, useEffect, useState } from "../lib/html.js";
import { api } from "../lib/api.js";
import { bytes, compact, counted, duration, integer, percent, words } from "../lib/format.js";
import { onEvents } from "../lib/live.js";
import { now } from "../lib/clock.js";
import { useQuery } from "../lib/query.js";
import { Copy } from "../components/copy.js";
import { Fact } from "../components/figures.js";
import { Icon } from "../components/icon.js";
import { Empty, Failure, Loading, Missing } from "../components/states.js";
import { Ago } from "../components/time.js";

/** Reasons that are no loss, and why. */
const HARMLESS = new Map([
  ["duplicate_span", "it had come before"],
  ["duplicate_event", "it had come before"],
  ["derived_here", "it is derived here as well"],
  ["pending_span", "it stood for work that has come since"],
  ["filtered", "somebody asked for it"],
]);

const ask = (signal) => api("/api/v1/health", { signal });
const askRuns = (signal) => api("/api/v1/runs?limit=500", { signal });

export function Health() {
  const [isForbidden, setForbidden] = useState(false);
  const { data, error, refresh } = useQuery(isForbidden ? null : "health", ask, { every: 2000, gap: 500 });
  const isRefused = isForbidden || error?.status === 403;
  useEffect(() => setForbidden(isRefused), [isRefused]);
  if (isRefused) return html`<${NotForAll} />`;
  if (!data) return html`<${Missing} name="Health" error=${error} retry=${refresh} />`;
  const counters = read(data.metrics);
  return html`<div class="screen health">
    <h1 class="unseen">Health</h1>
    ${error && html`<${Failure} error=${error} retry=${refresh} />`}
    <${Verdict} data=${data} counters=${counters} />
    <${Process} data=${data} counters=${counters} />
    <div class="columns">
      <section aria-labelledby="listening"><h2 id="listening">Taken in</h2><${Receivers} data=${data} counters=${counters} /></section>
      <section aria-labelledby="sending"><h2 id="sending">Sent on</h2><${Exporters} counters=${counters} /></section>
      <section aria-labelledby="sources"><h2 id="sources">Connected</h2><${Sources} /></section>
      <section aria-labelledby="lost"><h2 id="lost">Refused, dropped, withheld</h2><${Losses} counters=${counters} /></section>
    </div>
    <details class="all"><summary>All counters</summary><${Everything} metrics=${data.metrics} /></details>
  </div>`;
}

/** For whoever may see only their own: whether the collector is well, which is nobody's secret. */
function NotForAll() {
  const { data } = useQuery("readiness", askReadiness, { every: 5000 });
  return html`<div class="screen health">
    <h1 class="unseen">Health</h1>
    ${data && (data.ready ? html`<p class="banner good"><${Icon} name="check" /> <span><b>The collector is ready.</b> Your agents can send to it.</span></p>` : html`<p class="banner bad"><${Icon} name="cross" /> <span><b>Not ready.</b> ${data.reason}</span></p>`)}
    <${Empty} title="The rest of this screen adds up everybody's work." icon="person">
      <p>Your token shows what is yours: <a href="/runs">your runs</a> and <a href="/cost">what they cost</a>. With the permission <code>all</code> it would show this, too.</p>
    <//></div>`;
}

async function askReadiness(signal) {
  const answer = await fetch("/readyz", { signal });
  return { ready: answer.ok, reason: await answer.text() };
}

/** In one sentence. */
function Verdict({ data, counters }) {
  const lost = losses(counters).filter(({ reason }) => !HARMLESS.has(reason));
  const total = lost.reduce((sum, { value }) => sum + value, 0);
  if (!data.ready) return html`<p class="banner bad"><${Icon} name="cross" /> <span><b>Not ready.</b> ${data.unready}</span></p>`;
  if (total > 0) {
    const [worst] = lost;
    return html`<p class="banner warn"><${Icon} name="warning" /> <span><b>${counted(total, "item")} did not get through.</b> Most of it: ${integer(worst.value)} ${worst.what}, ${words(worst.reason)} (${worst.where}).</span></p>`;
  }
  return html`<p class="banner good"><${Icon} name="check" /> <span><b>All is well.</b> Nothing was refused or lost.</span></p>`;
}

function Process({ data, counters }) {
  const lag = useLag();
  return html`<dl class="facts">
    <${Fact} name="Up for">${duration(counters.sum("spanlight.process.uptime") * 1000)}<//>
    <${Fact} name="Memory">${bytes(counters.sum("spanlight.process.memory"))}<//>
    <${Fact} name="Runs in memory">${integer(counters.sum("spanlight.agent.runs"))}<//>
    <${Fact} name="Spans taken in">${compact(counters.sum("spanlight.agent.spans"))}<//>
    <${Fact} name="Events in memory" title=${`offsets ${data.oldest_event} to ${data.next_event}`}>${integer(data.next_event - data.oldest_event)}<//>
    <${Fact} name="Lag" title="From the collector having seen an event to this page having it, of the last one">${lag === null ? "–" : duration(lag)}<//>
    <${Fact} name="Version">${data.version}<//>
  </dl>`;
}

/** How long the last event took from the collector to this page. */
function useLag() {
  const [lag, setLag] = useState(/** @type {number | null} */ (null));
  useEffect(
    () =>
      onEvents((events) => {
        const last = events[events.length - 1];
        if (last) setLag(Math.max(0, now() - Date.parse(last.observed_at)));
      }),
    [],
  );
  return lag;
}

function Receivers({ data, counters }) {
  if (data.receivers.length === 0) return html`<${Empty} title="No receiver is configured." icon="bell" />`;
  return html`<ul class="cardlist">
    ${data.receivers.map(({ transport, address }) => {
      const of = (signal) => counters.sum("spanlight.receiver.accepted", { receiver: "otlp", transport, signal });
      const refused = counters.sum("spanlight.receiver.refused", { receiver: "otlp", transport });
      return html`<li class="card" key=${address}>
        <header><h3>OTLP over ${transport === "grpc" ? "gRPC" : "HTTP"}</h3><${Copy} text=${`http://${address}`} label="the address"><code>${address}</code><//></header>
        <dl class="pairs">
          ${["traces", "logs", "metrics", "events"].map((signal) => html`<div><dt>${signal}</dt><dd>${integer(of(signal))}</dd></div>`)}
          <div><dt>refused</dt><dd class=${refused ? "bad" : ""}>${integer(refused)}</dd></div>
        </dl></li>`;
    })}
  </ul>`;
}

function Exporters({ counters }) {
  const queues = counters.series("spanlight.queue.size");
  if (queues.length === 0) return html`<${Empty} title="Nothing is sent on: no exporter is configured." icon="bell" />`;
  return html`<ul class="cardlist">
    ${queues.map(({ labels, value: waiting }) => {
      const sum = (name) => counters.sum(name, labels);
      // A queue on disk is bounded in bytes, unless it is told to be in items.
      const [capacity, limit, waitingBytes] = [sum("spanlight.queue.capacity"), sum("spanlight.queue.limit"), sum("spanlight.queue.bytes")];
      const full = capacity ? waiting / capacity : limit ? waitingBytes / limit : 0;
      const failed = sum("spanlight.exporter.failed");
      const dropped = counters.sum("spanlight.dropped", { component: labels.exporter, signal: labels.signal });
      return html`<li class="card" key=${`${labels.exporter} ${labels.signal}`}>
        <header><h3>${labels.exporter}</h3>${labels.signal !== "all" && html`<span class="soft">${labels.signal}</span>`}</header>
        <div class="meter" role="meter" aria-label=${`Queue of ${labels.exporter}`} aria-valuemin="0" aria-valuemax="1" aria-valuenow=${full}>
          <span style=${{ width: `${Math.min(100, full * 100)}%` }}></span></div>
        <p class="soft">${integer(waiting)}${capacity ? ` of ${compact(capacity)}` : ""} waiting (${percent(full)}), ${bytes(waitingBytes)}${capacity ? "" : ` of ${bytes(limit)}`}</p>
        <dl class="pairs">
          <div><dt>sent</dt><dd>${integer(sum("spanlight.exporter.sent"))}</dd></div>
          <div><dt>repeated</dt><dd>${integer(sum("spanlight.exporter.retried"))}</dd></div>
          <div><dt>given up</dt><dd class=${failed ? "bad" : ""}>${integer(failed)}</dd></div>
          <div><dt>dropped</dt><dd class=${dropped ? "bad" : ""}>${integer(dropped)}</dd></div>
        </dl></li>`;
    })}
  </ul>`;
}

/** Who sends, by what the runs in memory say. */
function Sources() {
  const { data } = useQuery("sources", askRuns, { every: 10_000 });
  if (!data) return html`<${Loading} />`;
  const bySource = new Map();
  for (const run of data.runs) {
    const key = `${run.service ?? "(no service)"} ${run.dialect ?? ""}`;
    const known = bySource.get(key) ?? { service: run.service ?? "(no service)", dialect: run.dialect, runs: 0, last: run.started_at };
    known.runs += 1;
    if (run.started_at > known.last) known.last = run.started_at;
    bySource.set(key, known);
  }
  if (bySource.size === 0) return html`<${Empty} title="Nobody has sent anything yet." icon="bell"><p><a href="/">How to connect an agent</a></p><//>`;
  return html`<table class="plain-table">
    <thead><tr><th scope="col">Service</th><th scope="col">Told in</th><th scope="col" class="number">Runs</th><th scope="col" class="number">Last began</th></tr></thead>
    <tbody>${[...bySource.values()].map(
      (source) => html`<tr><th scope="row">${source.service}</th><td>${source.dialect ?? "–"}</td><td class="number">${integer(source.runs)}</td><td class="number"><${Ago} at=${source.last} /></td></tr>`,
    )}</tbody>
  </table>`;
}

function Losses({ counters }) {
  const found = losses(counters);
  if (found.length === 0) return html`<p class="quiet-note"><${Icon} name="check" /> Nothing. Whatever was taken over got through.</p>`;
  return html`<table class="plain-table">
    <thead><tr><th scope="col">Reason</th><th scope="col">Where</th><th scope="col" class="number">How many</th></tr></thead>
    <tbody>${found.map(
      ({ what, where, reason, value }) => html`<tr><th scope="row">${words(reason)} <span class="soft">${what}${HARMLESS.has(reason) ? `, which is no loss: ${HARMLESS.get(reason)}` : ""}</span></th><td>${where}</td>
        <td class=${`number ${HARMLESS.has(reason) ? "" : "bad"}`}>${integer(value)}</td></tr>`,
    )}</tbody>
  </table>`;
}

function Everything({ metrics }) {
  return html`<table class="plain-table"><tbody>
    ${metrics.flatMap(({ name, help, series }) =>
      series
        .filter(({ value }) => value !== 0)
        .map(
          ({ labels, value }) => html`<tr><th scope="row" title=${help}><code>${name}</code></th>
            <td>${Object.entries(labels).map(([key, value]) => `${key} ${value}`).join(" · ")}</td><td class="number">${integer(value)}</td></tr>`,
        ),
    )}
  </tbody></table>`;
}

/** What did not get through, the most of it first; what is no loss comes last. */
function losses(counters) {
  const kinds = [
    ["spanlight.dropped", "dropped"],
    ["spanlight.exporter.failed", "given up"],
    ["spanlight.receiver.refused", "refused"],
    ["spanlight.withheld", "withheld"],
  ];
  const found = kinds.flatMap(([name, what]) =>
    counters
      .series(name)
      .filter(({ value }) => value > 0)
      .map(({ labels: { reason, component, exporter, receiver, ...others }, value }) => {
        const where = [component ?? exporter ?? receiver, others.pipeline, others.transport, others.signal === "all" ? null : others.signal];
        return { what, reason, value, where: where.filter(Boolean).join(" · ") };
      }),
  );
  return found.sort((a, b) => HARMLESS.has(a.reason) - HARMLESS.has(b.reason) || b.value - a.value);
}

/** Counters by name and labels. */
function read(metrics) {
  const byName = new Map(metrics.map((metric) => [metric.name, metric.series]));
  const series = (name) => byName.get(name) ?? [];
  const fits = (labels, wanted) => Object.entries(wanted).every(([key, value]) => labels[key] === value);
  return {
    series,
    sum: (name, wanted = {}) =>
      series(name).filter(({ labels }) => fits(labels, wanted)).reduce((sum, { value }) => sum + value, 0),
  };
}
