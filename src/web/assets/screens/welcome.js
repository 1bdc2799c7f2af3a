// The first page: how to connect, as long as nothing has arrived.
import { html, useState } from "../lib/html.js";
import { ApiError, api } from "../lib/api.js";
import { useQuery } from "../lib/query.js";
import { Copy } from "../components/copy.js";
import { Icon } from "../components/icon.js";

const ask = (signal) => api("/api/v1/health", { signal });

export function Welcome() {
  const { data } = useQuery("health", ask);
  const receiver = data?.receivers.find(({ transport }) => transport === "http") ?? data?.receivers[0];
  const environment = receiver && environmentFor(receiver);
  return html`<div class="screen welcome">
    <h1>Nothing has arrived yet</h1>
    <p class="lead">Spanlight listens. Point any agent that speaks OpenTelemetry at it, and its runs appear here while they happen.</p>
    <section>
      <h2>In the environment of your agent</h2>
      ${environment &&
      html`<div class="snippet">
        <pre>${environment}</pre>
        <${Copy} text=${environment} label="the environment">Copy<//>
      </div>`}
      ${data && !receiver && html`<p>No receiver is configured that takes telemetry: add <code>receivers.otlp</code>.</p>`}
      <p class="hint">Coding agents (Claude Code, Codex, Gemini CLI…) need a line or two more: see docs/coding-agents.md.</p>
    </section>
    <section>
      <h2>Or look at made-up agents first</h2>
      <${DemoButton} />
      <p class="hint">In a terminal: <code>spanlight demo</code>, or <code>spanlight demo --failure</code>.</p>
    </section>
  </div>`;
}

/** Lets the collector play its demonstration. */
export function DemoButton() {
  const [outcome, setOutcome] = useState(/** @type {string | null} */ (null));
  const play = async () => {
    setOutcome("");
    try {
      await api("/api/v1/demo", { method: "POST" });
      setOutcome("Four made-up runs have begun.");
    } catch (error) {
      setOutcome(error instanceof ApiError ? error.message : String(error));
    }
  };
  return html`<div class="demo">
    <button type="button" class="primary" disabled=${outcome === ""} onClick=${play}><${Icon} name="play" /> Play the demonstration</button>
    <span role="status">${outcome}</span>
  </div>`;
}

function environmentFor({ transport, address }) {
  const [, port] = /:(\d+)$/.exec(address) ?? [];
  // Whoever looks from another machine reaches the collector where the page comes from.
  const isEverywhere = /^(0\.0\.0\.0|\[::\])/.test(address);
  const host = isEverywhere ? `${window.location.hostname}:${port}` : address;
  return [
    `export OTEL_EXPORTER_OTLP_ENDPOINT=http://${host}`,
    `export OTEL_EXPORTER_OTLP_PROTOCOL=${transport === "http" ? "http/protobuf" : "grpc"}`,
  ].join("\n");
}
